//! The host checks the signatures in a module when it loads the module.

use guest_abi::function::{Scalar, Type};
use guest_functions::{FunctionError, ModuleConfig, SectionError};

use crate::support::{entry, function, load, native};

const GCD: &str = "(func (export \"__guest_function_gcd\") (param i64 i64) (result i64) (i64.const 1))";

fn gcd() -> Vec<u8> {
    function!("gcd", ["a": Type::of(Scalar::I64), "b": Type::of(Scalar::I64)], Type::of(Scalar::I64))
}

fn refused(functions: &str, section: &[u8]) -> String {
    load(&native(functions, section), ModuleConfig::default()).unwrap_err().to_string()
}

#[test]
fn functions_are_listed_with_all_that_the_module_says() {
    let documented = entry!(
        guest_abi::function::Declaration::new(
            guest_abi::function::Kind::Scalar,
            "now",
            &[],
            &[("", Type::of(Scalar::Timestamp))]
        )
        .with_documentation("The time.")
        .with_volatility(guest_abi::function::Volatility::Volatile)
    );
    let functions = format!("{GCD} (func (export \"__guest_function_now\") (result i64) (i64.const 1))");
    let module = load(&native(&functions, &[gcd(), documented].concat()), ModuleConfig::default()).unwrap();
    let shown: Vec<String> = module.signatures().map(ToString::to_string).collect();
    assert_eq!(shown, ["gcd(a: i64, b: i64) -> i64", "now() -> timestamp"]);
    let now = module.function("now").unwrap();
    assert_eq!((now.signature().documentation.as_str(), now.signature().volatility.name()), ("The time.", "volatile"));
    let error = module.function("gcds").unwrap_err().to_string();
    assert_eq!(error, "the module `test` has no function `gcds`; there is `gcd`");
    assert!(module.hash().iter().any(|byte| *byte != 0));
}

#[test]
fn a_section_that_cannot_be_read_is_an_error() {
    let mut newer = gcd();
    newer[4] = 9;
    assert!(refused(GCD, &newer).contains("version 9 at byte 0, but this host reads version 1; use a newer host"));
    assert!(refused(GCD, &gcd()[..20]).contains("ends inside the entry"));
    let mut damaged = gcd();
    damaged[5] = 7;
    assert!(refused(GCD, &damaged).contains("damaged entry at byte 0: kind"));
    assert!(refused(GCD, &gcd().repeat(2)).contains("two functions of the name `gcd`"));
    let error = load(&native(GCD, &newer), ModuleConfig::default()).unwrap_err();
    assert!(matches!(error, FunctionError::Section(SectionError::Version { found: 9, .. })));
}

#[test]
fn exports_are_as_the_signatures_say() {
    let missing = refused("", &gcd());
    assert!(missing.contains("declares the function `gcd`, and has no export `__guest_function_gcd`"), "{missing}");
    let other = refused(&GCD.replace("(param i64 i64)", "(param i64 i32)"), &gcd());
    assert!(other.contains("`(i64, i32) -> i64`, and its signature crosses as `(i64, i64) -> i64`"), "{other}");
    // Without a section there are no functions, and that is no error.
    let module = load(&native(GCD, &[]), ModuleConfig::default()).unwrap();
    assert_eq!(module.signatures().count(), 0);
    let error = module.function("gcd").unwrap_err().to_string();
    assert_eq!(error, "the module `test` has no function `gcd`; there is none");
}
