//! Signatures as people write them, for modules that have none: `name(text: string, many: list(i64?)?) -> i64?`.

use guest_abi::function::{Field, Kind, Scalar, Signature, Type};

use crate::error::FunctionError;

/// Reads a signature. The function is immutable and strict.
///
/// # Errors
/// [`FunctionError::Declaration`].
pub(crate) fn signature(text: &str) -> Result<Signature, FunctionError> {
    read(text).map_err(|reason| FunctionError::Declaration { declaration: text.trim().to_owned(), reason })
}

const SHAPE: &str = "write a function as `name(parameter: type, other: type) -> type`";

fn read(text: &str) -> Result<Signature, String> {
    let (name, rest) = text.split_once('(').ok_or(SHAPE)?;
    let (params, result) = rest.rsplit_once("->").ok_or(SHAPE)?;
    let params = params.trim().strip_suffix(')').ok_or(SHAPE)?;
    let name = name.trim();
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(SHAPE.to_owned());
    }
    let mut fields: Vec<Field> = Vec::new();
    for param in parts(params) {
        let (name, ty) = param.split_once(':').ok_or(SHAPE)?;
        let field = Field::new(name.trim(), self::ty(ty)?);
        if field.name.is_empty() {
            return Err(SHAPE.to_owned());
        }
        if fields.iter().any(|other| other.name == field.name) {
            return Err(format!("two parameters have the name `{}`", field.name));
        }
        fields.push(field);
    }
    let mut signature = Signature::new(Kind::Scalar, name);
    signature.params = fields;
    signature.results = vec![Field::new("", ty(result)?)];
    Ok(signature)
}

/// The parts between commas that stand in no parentheses.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, char) in text.char_indices() {
        match char {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !(parts.is_empty() && text.trim().is_empty()) {
        parts.push(&text[start..]);
    }
    parts
}

fn ty(text: &str) -> Result<Type, String> {
    let text = text.trim();
    if let Some(inner) = text.strip_suffix('?') {
        return Ok(ty(inner)?.nullable());
    }
    if let Some(inner) = text.strip_prefix("list(").and_then(|rest| rest.strip_suffix(')')) {
        let item = ty(inner)?;
        return if item.list.is_some() { Err("a list of lists is not a type".to_owned()) } else { Ok(item.list()) };
    }
    scalar(text).map(Type::of).ok_or_else(|| {
        format!(
            "`{text}` is not a type; the types are bool, i32, i64, u64, f32, f64, string, bytes, date, timestamp, \
             decimal(precision, scale), record, document and list(type), with `?` behind one that may be null"
        )
    })
}

fn scalar(text: &str) -> Option<Scalar> {
    Some(match text {
        "bool" => Scalar::Bool,
        "i32" => Scalar::I32,
        "i64" => Scalar::I64,
        "u64" => Scalar::U64,
        "f32" => Scalar::F32,
        "f64" => Scalar::F64,
        "string" => Scalar::String,
        "bytes" => Scalar::Bytes,
        "date" => Scalar::Date,
        "timestamp" => Scalar::Timestamp,
        "record" => Scalar::Record,
        "document" => Scalar::Document,
        other => {
            let (precision, scale) = other.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(',')?;
            let precision = precision.trim().parse().ok().filter(|precision| (1..=38).contains(precision))?;
            let scale = scale.trim().parse().ok().filter(|scale: &i8| i16::from(*scale) <= i16::from(precision))?;
            Scalar::Decimal { precision, scale }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_read_as_it_is_shown() {
        for text in [
            "gcd(a: i64, b: i64) -> i64",
            "now() -> timestamp",
            "sum(items: list(decimal(20, -3)?)?, of: string?) -> decimal(38, 10)?",
            "f(a: bool, b: i32, c: u64, d: f32, e: f64, f: bytes, g: date, h: record) -> document",
        ] {
            assert_eq!(signature(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_none_says_how_one_looks() {
        for (text, part) in [
            ("gcd", "write a function as"),
            ("gcd(a: i64)", "write a function as"),
            ("gcd(a: i64 -> i64", "write a function as"),
            ("(a: i64) -> i64", "write a function as"),
            ("a b(a: i64) -> i64", "write a function as"),
            ("f(a) -> i64", "write a function as"),
            ("f(: i64) -> i64", "write a function as"),
            ("f(a: i64,) -> i64", "write a function as"),
            ("f(a: i64, a: i64) -> i64", "two parameters"),
            ("f(a: int) -> i64", "`int` is not a type; the types are bool"),
            ("f(a: decimal(39, 1)) -> i64", "is not a type"),
            ("f(a: decimal(3, 4)) -> i64", "is not a type"),
            ("f(a: list(list(i64))) -> i64", "list of lists"),
            ("f() -> ", "is not a type"),
        ] {
            let error = signature(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
