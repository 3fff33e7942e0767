//! The arguments with which functions of numbers are invoked, as an embedder configures them.

use std::collections::BTreeMap;
use std::fmt;

use guest_prepare::module_info::{Signature, ValueType};
use wasmtime::ValRaw;

/// Arguments of functions, by the function's name, in the form in which people write numbers.
///
/// [`Instance::invoke`](crate::Instance::invoke) calls a function of a bare module with them. Integers are decimal, or
/// hexadecimal behind `0x`, and from the lowest signed to the highest unsigned number of their width; floating-point
/// numbers are as Rust reads them, `inf` and `nan` among them.
///
/// ```
/// use guest_host::{Arguments, Engine, EngineConfig, Guest, InstanceConfig, MemoryState, PrepareOptions, Val};
///
/// let wasm = wat::parse_str(
///     r#"(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"#,
/// )?;
/// let engine = Engine::new(&EngineConfig::default())?;
/// let guest = Guest::load(&engine, "add", &wasm, PrepareOptions::default())?;
/// let config = InstanceConfig::default().with_arguments(Arguments::default().of("add", ["20", "22"]));
/// let mut instance = guest.instantiate(&config, MemoryState::new())?;
/// assert!(matches!(instance.invoke_by_name("add")?.results(), [Val::I32(42)]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Arguments {
    by_function: BTreeMap<String, Vec<String>>,
}

impl Arguments {
    /// Adds the arguments of a function, or replaces them.
    #[must_use]
    pub fn of<A: Into<String>>(mut self, function: impl Into<String>, arguments: impl IntoIterator<Item = A>) -> Self {
        self.by_function.insert(function.into(), arguments.into_iter().map(Into::into).collect());
        self
    }

    /// The arguments of a function, if it has any.
    #[must_use]
    pub fn get(&self, function: &str) -> Option<&[String]> {
        self.by_function.get(function).map(Vec::as_slice)
    }

    /// The functions that have arguments, with these.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.by_function.iter().map(|(function, arguments)| (function.as_str(), arguments.as_slice()))
    }

    /// The arguments of a function as a call takes them. A function without parameters needs none.
    pub(crate) fn slots(&self, function: &str, signature: &Signature) -> Result<Vec<ValRaw>, ArgumentError> {
        let given = match self.get(function) {
            Some(given) => given,
            None if signature.params.is_empty() => &[],
            None => return Err(ArgumentError::Missing(MissingArguments { signature: signature.clone() })),
        };
        if given.len() != signature.params.len() {
            return Err(ArgumentError::Number { signature: signature.clone(), given: given.len() });
        }
        let parse = |(number, (ty, text)): (usize, (&ValueType, &String))| {
            let invalid = || ArgumentError::Invalid { number: number + 1, ty: ty.clone(), text: text.clone() };
            slot(ty, text.trim()).ok_or_else(invalid)
        };
        signature.params.iter().zip(given).enumerate().map(parse).collect()
    }
}

/// A function that takes arguments, and was invoked without any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingArguments {
    /// Its type.
    pub signature: Signature,
}

impl fmt::Display for MissingArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the function has type `{}`, and no arguments were given for it", self.signature)
    }
}

/// Why arguments do not fit a function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgumentError {
    /// None were given.
    #[error("{0}")]
    Missing(MissingArguments),
    /// Another number of them than the function has parameters.
    #[error(
        "the function has type `{signature}`, which takes {} argument{}; {given} {} given",
        signature.params.len(),
        if signature.params.len() == 1 { "" } else { "s" },
        if *given == 1 { "was" } else { "were" }
    )]
    Number {
        /// Its type.
        signature: Signature,
        /// How many were given.
        given: usize,
    },
    /// Text that is no number of the parameter's type.
    #[error("argument {number} is `{}`, which is not of type `{ty}`{}", crate::text::cut(text, 100), advice(ty))]
    Invalid {
        /// Which, counted from 1.
        number: usize,
        /// The type of the parameter.
        ty: ValueType,
        /// The text.
        text: String,
    },
}

fn advice(ty: &ValueType) -> &'static str {
    match ty {
        ValueType::I32 => ": an integer from -2147483648 to 4294967295, or a hexadecimal one such as 0xFF",
        ValueType::I64 => {
            ": an integer from -9223372036854775808 to 18446744073709551615, or a hexadecimal one such as 0xFF"
        }
        _ => ": a number such as 2.5, 1e-3, inf or nan",
    }
}

/// The slot of a number that somebody has written.
fn slot(ty: &ValueType, text: &str) -> Option<ValRaw> {
    Some(match ty {
        ValueType::I32 => {
            let number = integer(text)?;
            let signed = i32::try_from(number).ok();
            ValRaw::i32(signed.or_else(|| u32::try_from(number).ok().map(u32::cast_signed))?)
        }
        ValueType::I64 => {
            let number = integer(text)?;
            let signed = i64::try_from(number).ok();
            ValRaw::i64(signed.or_else(|| u64::try_from(number).ok().map(u64::cast_signed))?)
        }
        ValueType::F32 => ValRaw::f32(text.parse::<f32>().ok()?.to_bits()),
        ValueType::F64 => ValRaw::f64(text.parse::<f64>().ok()?.to_bits()),
        _ => return None,
    })
}

fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let number = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) if digits.starts_with(|first: char| first.is_ascii_hexdigit()) => i128::from_str_radix(digits, 16),
        None if digits.starts_with(|first: char| first.is_ascii_digit()) => digits.parse(),
        _ => return None,
    };
    number.ok().map(|number| if negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(ty: ValueType, text: &str) -> Option<u64> {
        slot(&ty, text).map(|slot| slot.get_u64())
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        let i32s = |text| slot(&ValueType::I32, text).map(|slot| slot.get_i32());
        assert_eq!(
            (i32s("-2147483648"), i32s("4294967295"), i32s("0xff"), i32s("+7")),
            (Some(i32::MIN), Some(-1), Some(255), Some(7))
        );
        for wrong in ["", "-", "1.5", "4294967296", "-2147483649", "0x", "0x-1", "--1", "+-1", "seven", "1_000"] {
            assert_eq!(i32s(wrong), None, "{wrong}");
        }
        assert_eq!(read(ValueType::I64, "18446744073709551615"), Some(u64::MAX));
        assert_eq!(read(ValueType::I64, "-0x8000000000000000"), Some(1 << 63));
        assert_eq!(read(ValueType::I64, "340282366920938463463374607431768211456"), None);
        assert_eq!(read(ValueType::F64, "-2.5"), Some((-2.5_f64).to_bits()));
        assert_eq!(slot(&ValueType::F32, "inf").map(|slot| slot.get_f32()), Some(f32::INFINITY.to_bits()));
        assert!(slot(&ValueType::F64, "nan").is_some() && slot(&ValueType::F64, "two").is_none());
        assert!(slot(&ValueType::V128, "1").is_none());
    }

    #[test]
    fn arguments_that_do_not_fit_say_what_would() {
        let signature = Signature::new([ValueType::I32, ValueType::F64], [ValueType::I32]);
        let message = |arguments: Arguments| arguments.slots("f", &signature).unwrap_err().to_string();
        let none = Arguments::default();
        assert_eq!(
            message(none.clone()),
            "the function has type `(i32, f64) -> i32`, and no arguments were given for it"
        );
        assert_eq!(
            message(none.clone().of("f", ["1"])),
            "the function has type `(i32, f64) -> i32`, which takes 2 arguments; 1 was given"
        );
        let wrong = message(none.clone().of("f", ["1", "x"]));
        assert_eq!(wrong, "argument 2 is `x`, which is not of type `f64`: a number such as 2.5, 1e-3, inf or nan");
        assert_eq!(none.clone().of("f", ["1", "2"]).slots("f", &signature).unwrap().len(), 2);
        assert_eq!(none.slots("g", &Signature::default()).unwrap().len(), 0);
    }
}
