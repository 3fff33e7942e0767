//! Percent encoding of paths, queries and forms.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;

/// The text behind percent encoding. With `plus`, `+` stands for a space, as in queries and forms. `None` for a `%` without two
/// digits, and for what is not UTF-8.
///
/// ```
/// use guest_abi::http::decode;
///
/// assert_eq!(decode("a%20b+c", false).as_deref(), Some("a b+c"));
/// assert_eq!(decode("a%20b+c", true).as_deref(), Some("a b c"));
/// assert_eq!(decode("%4", false), None);
/// ```
#[must_use]
pub fn decode(text: &str, plus: bool) -> Option<String> {
    if !text.contains(['%', '+']) {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        bytes.push(match byte {
            b'%' => u8::try_from(digit()? << 4 | digit()?).ok()?,
            b'+' if plus => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// The names and values of a query, or of a form in a body. Pairs that cannot be [decoded](decode) are left out.
///
/// ```
/// use guest_abi::http::pairs;
///
/// let found: Vec<_> = pairs("name=Ada+L&age=36&x&bad=%").collect();
/// let expected = [("name", "Ada L"), ("age", "36"), ("x", "")];
/// assert!(found.iter().map(|(name, value)| (name.as_str(), value.as_str())).eq(expected));
/// ```
pub fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    text.split('&').filter(|pair| !pair.is_empty()).filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decode(name, true)?, decode(value, true)?))
    })
}
