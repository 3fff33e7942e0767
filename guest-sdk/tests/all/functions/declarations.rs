//! Declarations: what hosts read of a function.

use guest_abi::function::{Volatility, read_section};
use guest_sdk::function::Function;
use guest_sdk::{Date, Decimal, List, Result, Timestamp, function};

/// Everything.
///
///     and more
#[function(volatile, strict = false)]
#[expect(clippy::too_many_arguments, reason = "one for each type")]
pub(crate) fn everything(
    _a: bool,
    b: i32,
    Date(c): Date,
    d: Option<Timestamp>,
    e: Decimal<9, -1>,
    f: List<'_, Option<&str>>,
    g: Option<&[f64]>,
    r#type: &[u8],
) -> Result<Option<Vec<u64>>> {
    let known = d.is_some() || e.0 != 0 || !f.is_empty() || g.is_some() || !r#type.is_empty();
    Ok(known.then(|| vec![u64::from(b.unsigned_abs()), u64::from(c.unsigned_abs())]))
}

#[function(volatility = "stable")]
fn r#gen() -> &'static str {
    "generated"
}

#[test]
fn the_section_has_names_types_and_documentation() {
    const EVERYTHING: guest_abi::function::Declaration<'static> = __guest_function_everything::DECLARATION;
    const GEN: guest_abi::function::Declaration<'static> = __guest_function_gen::DECLARATION;
    const ENTRIES: ([u8; EVERYTHING.size()], [u8; GEN.size()]) = (EVERYTHING.entry(), GEN.entry());
    let section = [ENTRIES.0.as_slice(), &ENTRIES.1].concat();
    let [everything, generated] = <[_; 2]>::try_from(read_section(&section).unwrap()).unwrap();
    assert_eq!(
        everything.to_string(),
        "everything(a: bool, b: i32, c: date, d: timestamp?, e: decimal(9, -1), f: list(string?), g: list(f64)?, type: bytes) \
         -> list(u64)?"
    );
    assert_eq!(everything.documentation, "Everything.\n\n    and more");
    assert_eq!((everything.volatility, everything.strict), (Volatility::Volatile, false));
    assert_eq!(generated.to_string(), "gen() -> string");
    assert_eq!((generated.volatility, generated.strict), (Volatility::Stable, true));
    assert_eq!(generated.documentation, "");
}

#[test]
fn functions_stay_as_they_are() {
    assert_eq!(r#gen(), "generated");
    #[function]
    const fn one_more(number: i64) -> i64 {
        number + 1
    }
    const TWO: i64 = one_more(1);
    assert_eq!(TWO, 2);
}
