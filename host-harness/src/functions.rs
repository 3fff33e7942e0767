//! The functions of a guest that are called: all of them, or those that were asked for, with the arguments that they take.
//!
//! Functions of bare modules take arguments, which only the caller knows. One without arguments is left out of all, and is an
//! error where it was asked for by name. Stages take memory blocks, which verification has for them.

use std::fmt;

use guest_host::{ArgumentError, Arguments, Cause, ConfigError, Guest, LoadError, MissingArguments, Val};
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
    /// The stages to call; none where the caller has no memory blocks for them.
    pub stages: Vec<String>,
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
    select_among(guest, asked, arguments, false)
}

/// As [`select`], with the [stages](guest_abi::block) besides: all of them if `asked` is empty. A stage of a bare module for which there
/// are arguments is called with those.
///
/// ```
/// use guest_host::{Arguments, Engine, EngineConfig, Guest, PrepareOptions};
/// use host_harness::functions::select_with_stages;
///
/// # let wasm = wat::parse_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../guest-host/examples/increment.wat")))?;
/// # let engine = Engine::new(&EngineConfig::default())?;
/// # let guest = Guest::load(&engine, "increment", &wasm, PrepareOptions::default())?;
/// let found = select_with_stages(&guest, &[], &Arguments::default())?;
/// assert_eq!((found.functions.len(), found.stages), (0, vec!["increment".to_owned()]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As for [`select`]. A guest with stages needs no function that can be called.
pub fn select_with_stages(guest: &Guest, asked: &[String], arguments: &Arguments) -> Result<Selection, LoadError> {
    select_among(guest, asked, arguments, true)
}

fn select_among(
    guest: &Guest,
    asked: &[String],
    arguments: &Arguments,
    with_stages: bool,
) -> Result<Selection, LoadError> {
    let stages = || guest.stages().map(|(name, _)| name).filter(|_| with_stages);
    let is_stage = |name: &str| stages().any(|stage| stage == name) && arguments.get(name).is_none();
    let is_function = |name: &str| guest.function(name).is_ok();
    let functions = guest.functions().iter().map(String::as_str);
    let names: Vec<&str> = match asked {
        [] => functions.chain(stages().filter(|stage| !is_function(stage))).collect(),
        asked => asked.iter().map(String::as_str).collect(),
    };
    let mut found = Selection::default();
    for name in names {
        if is_stage(name) {
            found.stages.push(name.to_owned());
            // An extension function may have the same name.
            if is_bare(guest) || !is_function(name) {
                continue;
            }
        }
        match with_stages {
            true => check_with_stages(guest, name)?,
            false => guest.function(name).map(drop).map_err(LoadError::Function)?,
        }
        match parameters(guest, name).filter(|_| arguments.get(name).is_none()) {
            Some(signature) => {
                found.skipped.push(SkippedFunction { function: name.to_owned(), signature: signature.clone() });
            }
            None => found.functions.push(name.to_owned()),
        }
    }
    let refuse = !asked.is_empty() || (found.functions.is_empty() && found.stages.is_empty());
    match found.skipped.first().filter(|_| refuse) {
        Some(skipped) => Err(skipped.clone().error()),
        None => Ok(found),
    }
}

/// Checks that the guest has an extension function of this name, a function of numbers, or a [stage](guest_abi::block).
///
/// # Errors
/// [`LoadError::Function`] with the names that there are.
pub fn check_with_stages(guest: &Guest, name: &str) -> Result<(), LoadError> {
    match guest.function(name) {
        Err(Cause::MissingExport { name, functions, .. }) if guest.stage(&name).is_none() => {
            let stages = guest.stages().map(|(stage, _)| stage.to_owned()).filter(|stage| !functions.contains(stage));
            let functions: Vec<String> = functions.iter().cloned().chain(stages).collect();
            Err(LoadError::Function(Cause::missing_export(&name, &functions)))
        }
        // Nothing else is wrong with a name.
        _ => Ok(()),
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
