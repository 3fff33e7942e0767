//! The section with the signatures of functions: what a guest declares is what a host reads, and nothing else is read.

use guest_abi::function::{Declaration, Kind, Scalar, SectionError, Type, Volatility, read_section};
use proptest::prelude::*;

const DECIMAL: Scalar = Scalar::Decimal { precision: 20, scale: -3 };
const FIRST: Declaration<'_> = Declaration::new(
    Kind::Scalar,
    "price",
    &[("of", Type::of(Scalar::String)), ("many", Type::of(Scalar::I64).nullable().list().nullable())],
    &[("", Type::of(DECIMAL).nullable())],
)
.with_documentation("The price.\n\nOf all of them.")
.with_volatility(Volatility::Stable)
.with_strict(false);
const SECOND: Declaration<'_> =
    Declaration::new(Kind::Table, "tokens", &[], &[("at", Type::of(Scalar::I32)), ("text", Type::of(Scalar::String))]);
const THIRD: Declaration<'_> =
    Declaration::new(Kind::Aggregate, "sum", &[("x", Type::of(Scalar::F64))], &[("", Type::of(Scalar::F64))])
        .with_state_version(70_000);

static SECTION: [[u8; FIRST.size()]; 1] = [FIRST.entry()];

fn section() -> Vec<u8> {
    [&SECTION[0][..], &SECOND.entry::<{ SECOND.size() }>(), &THIRD.entry::<{ THIRD.size() }>()].concat()
}

#[test]
fn what_is_declared_is_read() {
    let found = read_section(&section()).unwrap();
    let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "price(of: string, many: list(i64?)?) -> decimal(20, -3)?",
            "tokens() -> table(at: i32, text: string)",
            "sum(x: f64) -> f64",
        ]
    );
    assert_eq!((found[0].volatility, found[0].strict, found[0].state_version), (Volatility::Stable, false, 0));
    assert_eq!(found[0].documentation, "The price.\n\nOf all of them.");
    assert_eq!((found[2].volatility, found[2].strict, found[2].state_version), (Volatility::Immutable, true, 70_000));
    assert_eq!(read_section(&[]).unwrap(), []);
}

#[test]
fn a_name_occurs_once() {
    let twice = [THIRD.entry::<{ THIRD.size() }>(); 2].concat();
    assert_eq!(read_section(&twice), Err(SectionError::Duplicate { name: "sum".to_owned() }));
}

#[test]
fn other_versions_are_named() {
    let mut newer = THIRD.entry::<{ THIRD.size() }>();
    newer[4] = 2;
    let error = read_section(&newer).unwrap_err();
    assert_eq!(error, SectionError::Version { at: 0, found: 2 });
    assert!(error.to_string().contains("use a newer host"), "{error}");
    newer[4] = 0;
    let error = read_section(&newer).unwrap_err().to_string();
    assert!(error.contains("newer `guest-sdk`"), "{error}");
}

#[test]
fn every_cut_is_an_error() {
    let section = section();
    let ends = [0, FIRST.size(), FIRST.size() + SECOND.size()];
    for cut in (0..section.len()).filter(|cut| !ends.contains(cut)) {
        let error = read_section(&section[..cut]).unwrap_err();
        assert!(matches!(error, SectionError::Truncated { .. }), "cut at {cut}: {error}");
    }
}

proptest! {
    #[test]
    fn damage_is_an_error_or_another_signature_and_never_a_panic(at in 0..THIRD.size(), byte: u8) {
        let mut damaged = THIRD.entry::<{ THIRD.size() }>();
        damaged[at] = byte;
        if let Ok(found) = read_section(&damaged) {
            // The entry is as long as before, so a text is still a text.
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(found[0].params.len(), 1);
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_section(&bytes);
    }
}
