//! The functions of a guest that are called: all of them, or those that were asked for, with the arguments that they take.
//!
//! Functions of bare modules take arguments, which only the caller knows. One without arguments is left out of all, and is an
//! error where it was asked for by name.

use std::fmt;

use guest_host::{ArgumentError, Arguments, ConfigError, Guest, LoadError, MissingArguments, Val};
use guest_prepare::module_info::{ContractKind, Signature, ValueType};
use serde::{Deserialize, Serialize};

/// The functions to call, and those that were left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Selection {
    /// The functions to call.
    pub functions: Vec<String>,
    /// The functions that take arguments and have none.
    pub skipped: Vec<SkippedFunction>,
}

/// A function that takes arguments and has none.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkippedFunction {
    /// Its name.
    pub function: String,
    /// Its type.
    pub signature: Signature,
}

impl SkippedFunction {
    fn error(self) -> LoadError {
        let reason = ArgumentError::Missing(MissingArguments { signature: self.signature }).to_string();
        ConfigError::Arguments { function: self.function, reason }.into()
    }
}

/// Selects the functions of a guest to call; all that can be called if `asked` is empty.
///
/// ```
/// use guest_host::{Arguments, Engine, EngineConfig, Guest, PrepareOptions};
/// use host_harness::functions::select;
///
/// let wasm = wat::parse_str(
///     r#"(module (func (export "one") (result i32) (i32.const 1)) (func (export "id") (param i32) (result i32) (local.get 0)))"#,
/// )?;
/// let engine = Engine::new(&EngineConfig::default())?;
/// let guest = Guest::load(&engine, "numbers", &wasm, PrepareOptions::default())?;
/// let found = select(&guest, &[], &Arguments::default())?;
/// assert_eq!((found.functions, found.skipped.len()), (vec!["one".to_owned()], 1));
/// assert_eq!(select(&guest, &[], &Arguments::default().of("id", ["7"]))?.functions, ["one", "id"]);
/// assert!(select(&guest, &["id".to_owned()], &Arguments::default()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`LoadError::Function`] when there is no function of a name that was asked for, and [`ConfigError::Arguments`] when one that
/// was asked for, or every function, takes arguments and has none.
pub fn select(guest: &Guest, asked: &[String], arguments: &Arguments) -> Result<Selection, LoadError> {
    let mut found = Selection::default();
    for function in if asked.is_empty() { guest.functions() } else { asked } {
        guest.function(function).map_err(LoadError::Function)?;
        match parameters(guest, function).filter(|_| arguments.get(function).is_none()) {
            Some(signature) => {
                found.skipped.push(SkippedFunction { function: function.clone(), signature: signature.clone() });
            }
            None => found.functions.push(function.clone()),
        }
    }
    let refuse = !asked.is_empty() || found.functions.is_empty();
    match found.skipped.first().filter(|_| refuse) {
        Some(skipped) => Err(skipped.clone().error()),
        None => Ok(found),
    }
}

/// The type of a function that takes arguments.
fn parameters<'g>(guest: &'g Guest, function: &str) -> Option<&'g Signature> {
    let signature = guest.info().exported_function(function)?;
    (is_bare(guest) && !signature.params.is_empty()).then_some(signature)
}

/// Those of the arguments that are of functions of this guest. Guests that are measured together share one configuration.
#[must_use]
pub fn arguments_of(guest: &Guest, arguments: &Arguments) -> Arguments {
    let is_taken = |function: &str| is_bare(guest) && guest.function(function).is_ok();
    let taken = arguments.iter().filter(|(function, _)| is_taken(function));
    taken.fold(Arguments::default(), |taken, (function, values)| taken.of(function, values.iter().cloned()))
}

/// Whether the guest speaks no contract.
#[must_use]
pub fn is_bare(guest: &Guest) -> bool {
    guest.info().contract() == ContractKind::Bare
}

/// Why an exported function of a bare module cannot be called.
pub(crate) fn why_not(name: &str, signature: &Signature) -> String {
    if name.starts_with(guest_abi::names::RESERVED_PREFIX) {
        return "its name begins with `_`: the host calls `_initialize` itself, and no other".to_owned();
    }
    let is_number = |ty: &ValueType| matches!(ty, ValueType::I32 | ValueType::I64 | ValueType::F32 | ValueType::F64);
    let of = |what: &str, types: &[ValueType]| {
        let found = types.iter().enumerate().find(|(_, ty)| !is_number(ty));
        found.map(|(index, ty)| format!("{what} {} is of type `{ty}`, which is no number", index + 1))
    };
    let found = of("parameter", &signature.params).or_else(|| of("result", &signature.results));
    found.unwrap_or_else(|| "its type is not one of numbers".to_owned())
}

/// A number that a function of a bare module returned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Number {
    /// Its type: `i32`, `i64`, `f32` or `f64`.
    #[serde(rename = "type")]
    pub ty: String,
    /// The number in decimal, integers with their sign; as text, since JSON has no NaN and rounds large integers.
    pub value: String,
}

impl Number {
    /// The number of a value; `None` if it is no number.
    #[must_use]
    pub fn of(value: &Val) -> Option<Self> {
        let (ty, value) = match value {
            Val::I32(number) => ("i32", number.to_string()),
            Val::I64(number) => ("i64", number.to_string()),
            // The shortest text that reads as the same number, with an exponent where it would be long.
            Val::F32(bits) => ("f32", format!("{:?}", f32::from_bits(*bits))),
            Val::F64(bits) => ("f64", format!("{:?}", f64::from_bits(*bits))),
            _ => return None,
        };
        Some(Self { ty: ty.to_owned(), value })
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.value, self.ty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        let text = |value: Val| Number::of(&value).unwrap().to_string();
        assert_eq!(
            (text(Val::I32(-1)), text(Val::I64(i64::MIN))),
            ("-1 (i32)".into(), "-9223372036854775808 (i64)".into())
        );
        let f64 = |number: f64| text(Val::F64(number.to_bits()));
        assert_eq!((f64(0.1), f64(-0.0), f64(1e300)), ("0.1 (f64)".into(), "-0.0 (f64)".into(), "1e300 (f64)".into()));
        assert_eq!((f64(f64::NAN), f64(f64::NEG_INFINITY)), ("NaN (f64)".into(), "-inf (f64)".into()));
        assert_eq!(text(Val::F32(0.1_f32.to_bits())), "0.1 (f32)");
        assert_eq!(Number::of(&Val::null_func_ref()), None);
    }
}
