//! Names of guests.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::ServeError;

/// Bytes that a name has at most.
const LONGEST: usize = 64;

/// The name of a guest: 1 to 64 of the characters `a-z`, `0-9` and `-`, of which the first is a letter. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestName(Arc<str>);

impl GuestName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for GuestName {
    type Err = ServeError;

    fn from_str(text: &str) -> Result<Self, ServeError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        match begins && text.len() <= LONGEST && text.bytes().all(allowed) {
            true => Ok(Self(text.into())),
            false => Err(ServeError::Name(guest_host::text::printable_within(text, LONGEST).into_owned())),
        }
    }
}

impl fmt::Display for GuestName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for name in ["a", "acme", "a-1", &"a".repeat(64)] {
            assert_eq!(name.parse::<GuestName>().unwrap().as_str(), name);
        }
        for name in ["", "1a", "-a", "A", "a/b", "a.b", "..", "a b", "ä", "a\0", &"a".repeat(65)] {
            let error = name.parse::<GuestName>().unwrap_err().to_string();
            assert!(error.contains("is not a guest's name: use 1 to 64"), "{error}");
        }
    }
}
