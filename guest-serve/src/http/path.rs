//! Parts of a request's path and query.

use guest_abi::http::decode;
use guest_functions::wire::InputError;
use guest_functions::{Signature, Value, ValueError};
use serde_json::Value as Json;

use super::refusal::Refusal;

/// Bytes that the key of a tenant has at most.
const LONGEST_TENANT: usize = 256;

/// The key of a tenant that stands in a path.
pub(super) fn tenant(segment: &str) -> Result<String, Refusal> {
    match decode(segment, false) {
        Some(key) if key.len() <= LONGEST_TENANT => Ok(key),
        Some(_) => Err(Refusal::Tenant(format!("the key of the tenant is longer than {LONGEST_TENANT} bytes"))),
        None => Err(Refusal::Tenant("the key of the tenant is not UTF-8, or has a `%` without two digits".to_owned())),
    }
}

/// The arguments in a query, by name: each as people write it.
pub(super) fn arguments(signature: &Signature, query: &str) -> Result<Vec<Value>, Refusal> {
    let mut found: Vec<Option<Value>> = vec![None; signature.params.len()];
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
        let (Some(name), Some(text)) = (decode(name, true), decode(text, true)) else {
            return Err(Refusal::Query("the query is not UTF-8, or has a `%` without two digits".to_owned()));
        };
        let Some(at) = signature.params.iter().position(|field| field.name == name) else {
            let name = guest_host::text::cut(&name, 100);
            return Err(Refusal::Query(format!("`{signature}` has no parameter `{name}`")));
        };
        let field = &signature.params[at];
        let of_parameter = |reason: String| Refusal::Query(format!("the argument `{}`: {reason}", field.name));
        if found[at].is_some() {
            return Err(of_parameter("it is there twice".to_owned()));
        }
        let value = Value::parse(&text, field.ty).map_err(|error: ValueError| of_parameter(error.to_string()))?;
        found[at] = Some(value);
    }
    let given = |(value, field): (Option<Value>, &guest_functions::Field)| match value {
        Some(value) => Ok(value),
        None if field.ty.nullable => Ok(Value::Null),
        None => {
            let message = format!("the argument `{}`: it is missing; write ?{}=VALUE", field.name, field.name);
            Err(Refusal::Query(message))
        }
    };
    found.into_iter().zip(&signature.params).map(given).collect()
}

/// The object in a query, as JSON: a value that is a number, a truth value or a text in JSON is that, and every other is a text as it
/// stands.
pub(super) fn object(query: &str) -> Result<String, Refusal> {
    let mut object = String::from("{");
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
        let (Some(name), Some(text)) = (decode(name, true), decode(text, true)) else {
            return Err(Refusal::Query("the query is not UTF-8, or has a `%` without two digits".to_owned()));
        };
        let is_json =
            !matches!(serde_json::from_str(&text), Err(_) | Ok(Json::Null | Json::Array(_) | Json::Object(_)));
        let value = if is_json { text } else { Json::from(text).to_string() };
        let separator = if object.len() > 1 { "," } else { "" };
        object.extend([separator, &Json::from(name).to_string(), ":", &value]);
    }
    object.push('}');
    Ok(object)
}

/// That a body is not the arguments.
impl From<InputError> for Refusal {
    fn from(error: InputError) -> Self {
        Self::Arguments(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use guest_functions::{Field, Kind, Scalar, Type};

    use super::*;

    #[test]
    fn tenants_are_decoded() {
        assert_eq!(tenant("blue%20room+1%C3%A4").unwrap(), "blue room+1ä");
        for wrong in ["%", "%1", "%zz", "%FF"] {
            assert!(tenant(wrong).is_err(), "{wrong}");
        }
        assert!(tenant(&"a".repeat(256)).is_ok() && tenant(&"a".repeat(257)).is_err());
    }

    #[test]
    fn a_query_is_an_object_of_numbers_and_texts() {
        assert_eq!(object("").unwrap(), "{}");
        assert_eq!(
            object("Year=2023&a&b=01&c=%2201%22&d=true&e=null&f=[1]&g=-1.5e3&h=x+%22y%22&i=%20").unwrap(),
            r#"{"Year":2023,"a":"","b":"01","c":"01","d":true,"e":"null","f":"[1]","g":-1.5e3,"h":"x \"y\"","i":" "}"#
        );
        assert!(object("a=%").is_err() && object("%FF=1").is_err());
    }

    #[test]
    fn arguments_stand_in_a_query_by_name() {
        let mut signature = Signature::new(Kind::Scalar, "f");
        signature.params = vec![
            Field::new("a", Type::of(Scalar::I64)),
            Field::new("b", Type::of(Scalar::String)),
            Field::new("c", Type::of(Scalar::F64).nullable()),
        ];
        signature.results = vec![Field::new("", Type::of(Scalar::I64))];
        let read = |query: &str| arguments(&signature, query).map_err(|error| error.to_string());
        assert_eq!(read("b=x+y%26&a=-1"), Ok(vec![Value::I64(-1), "x y&".into(), Value::Null]));
        assert_eq!(read("a=1&b&c=0.5"), Ok(vec![Value::I64(1), "".into(), Value::F64(0.5)]));
        for (query, part) in [
            ("a=1", "the argument `b`: it is missing; write ?b=VALUE"),
            ("a=x&b=", "the argument `a`: `x` is not of type i64"),
            ("a=1&a=2", "the argument `a`: it is there twice"),
            ("d=1", "has no parameter `d`"),
            ("a=%", "without two digits"),
        ] {
            let error = read(query).unwrap_err();
            assert!(error.contains(part), "{query}: {error}");
        }
    }
}
