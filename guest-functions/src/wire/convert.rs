//! From items of either encoding to values, by the types that are asked for.

use std::borrow::Cow;

use guest_abi::document::DocumentBuf;
use guest_abi::function::{Field, Items, Scalar, Signature, Type};

use super::Fault;
use crate::error::{FunctionError, nearest};
use crate::value::{self, Value, ValueError};

/// An item of bytes that are well-formed.
pub(super) trait Node<'b>: Copy {
    /// Bytes before it.
    fn at(self) -> usize;

    /// Its kind, by its first byte.
    fn kind(self) -> Kind;

    /// Its content; of lists and maps one level.
    fn content(self) -> Result<Content<'b, Self>, Fault>;

    /// The document that it is.
    fn document(self) -> Result<DocumentBuf, Fault>;

    /// Its text in errors.
    fn shown(self) -> String;
}

/// The kind of an item, which a reader needs before it reads the item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    List,
    Map,
    Other,
}

/// The content of an item.
#[derive(Debug)]
pub(super) enum Content<'b, N> {
    Null,
    Bool(bool),
    Integer(i128),
    Float(Float<'b>),
    Text(Cow<'b, str>),
    Bytes(&'b [u8]),
    List(Vec<N>),
    /// Names, and the items behind them.
    Map(Vec<(Cow<'b, str>, N)>),
}

/// A number with a fraction or an exponent.
#[derive(Debug)]
pub(super) struct Float<'b> {
    /// The nearest float of 64 bits; infinite where the digits are beyond its range.
    pub(super) value: f64,
    /// Its digits, where it was written in some.
    pub(super) digits: Option<&'b str>,
}

impl Float<'_> {
    /// The nearest float of 32 bits.
    #[expect(clippy::cast_possible_truncation, reason = "the nearest float is wanted")]
    fn narrow(&self) -> f32 {
        self.digits.and_then(|digits| digits.parse().ok()).unwrap_or(self.value as f32)
    }

    /// Whether a float that was read of it is the number, and not what is left beyond a range.
    fn has(&self, is_finite: bool) -> bool {
        is_finite || (self.digits.is_none() && !self.value.is_finite())
    }
}

/// The arguments of a function.
pub(super) fn arguments<'b, N: Node<'b>>(root: N, signature: &Signature) -> Result<Vec<Value>, Fault> {
    let sole = match signature.params.as_slice() {
        [field] => Some(field),
        _ => None,
    };
    if let Some(field) = sole.filter(|field| is_bare(root, field)) {
        return Ok(vec![argument(root, field, signature)?]);
    }
    match root.content()? {
        Content::List(items) if items.len() == signature.params.len() => {
            let pairs = items.into_iter().zip(&signature.params);
            pairs.map(|(item, field)| argument(item, field, signature)).collect()
        }
        Content::List(items) => {
            let error = FunctionError::Arity { signature: Box::new(signature.clone()), given: items.len() };
            Err(Fault::new(root.at(), error.to_string()))
        }
        Content::Map(members) => by_name(root, members, signature),
        Content::Null if signature.params.is_empty() => Ok(Vec::new()),
        _ => Err(Fault::new(
            root.at(),
            format!("write the arguments of `{signature}` as an array, or as an object by name"),
        )),
    }
}

/// Whether the item is the argument for the only parameter itself, and not an array or an object of arguments.
fn is_bare<'b, N: Node<'b>>(root: N, field: &Field) -> bool {
    match (root.kind(), field.ty.list, field.ty.scalar) {
        (Kind::List, Some(Items { nullable }), _) => match root.content() {
            Ok(Content::List(items)) => match items.as_slice() {
                [item] => item.kind() != Kind::List && (nullable || item.kind() != Kind::Null),
                _ => true,
            },
            _ => true,
        },
        (Kind::Map, None, Scalar::Document) => match root.content() {
            Ok(Content::Map(members)) => match members.as_slice() {
                [(name, item)] => *name != field.name || !matches!(item.kind(), Kind::Map | Kind::Null),
                _ => true,
            },
            _ => true,
        },
        (Kind::List | Kind::Map, _, _) => false,
        _ => true,
    }
}

fn by_name<'b, N: Node<'b>>(
    root: N,
    members: Vec<(Cow<'b, str>, N)>,
    signature: &Signature,
) -> Result<Vec<Value>, Fault> {
    let mut found: Vec<Option<Value>> = vec![None; signature.params.len()];
    for (name, item) in members {
        let Some(at) = signature.params.iter().position(|field| field.name == name) else {
            return Err(unknown(item.at(), &name, signature));
        };
        let field = &signature.params[at];
        if found[at].is_some() {
            return Err(of_parameter(Fault::new(item.at(), "it is there twice"), field));
        }
        found[at] = Some(argument(item, field, signature)?);
    }
    let pairs = found.into_iter().zip(&signature.params);
    let given = |(value, field): (Option<Value>, &Field)| match value {
        Some(value) => Ok(value),
        None if field.ty.nullable => Ok(Value::Null),
        None => Err(of_parameter(Fault::new(root.at(), format!("it is missing; its type is {}", field.ty)), field)),
    };
    pairs.map(given).collect()
}

#[cold]
fn unknown(at: usize, name: &str, signature: &Signature) -> Fault {
    let similar = nearest(name, signature.params.iter().map(|field| field.name.as_str()));
    let offered = match similar.first() {
        Some(_) => format!("; there {} `{}`", if similar.len() == 1 { "is" } else { "are" }, similar.join("`, `")),
        None => "; there is none".to_owned(),
    };
    let name = guest_host::text::cut(name, 100);
    Fault::new(at, format!("`{}` has no parameter `{name}`{offered}", signature.name))
}

#[cold]
fn of_parameter(fault: Fault, field: &Field) -> Fault {
    Fault { parameter: Some(field.name.clone()), ..fault }
}

/// The argument for a parameter.
fn argument<'b, N: Node<'b>>(item: N, field: &Field, signature: &Signature) -> Result<Value, Fault> {
    // Null reaches functions that return null for it as well.
    let ty = if signature.strict { field.ty.nullable() } else { field.ty };
    value(item, ty).map_err(|fault| of_parameter(fault, field))
}

/// A value of this type.
pub(super) fn value<'b, N: Node<'b>>(item: N, ty: Type) -> Result<Value, Fault> {
    if item.kind() == Kind::Null && ty.nullable {
        return Ok(Value::Null);
    }
    let Some(Items { nullable }) = ty.list else { return scalar(item, ty.scalar) };
    if item.kind() != Kind::List {
        return Err(unfit(item, ty));
    }
    let Content::List(items) = item.content()? else { return Err(unfit(item, ty)) };
    let of = |item: N| match item.kind() {
        Kind::Null if nullable => Ok(Value::Null),
        _ => scalar(item, ty.scalar),
    };
    items.into_iter().map(of).collect::<Result<_, _>>().map(Value::List)
}

fn scalar<'b, N: Node<'b>>(item: N, scalar: Scalar) -> Result<Value, Fault> {
    let wrong = || unfit(item, Type::of(scalar));
    match (scalar, item.kind()) {
        (Scalar::Document, Kind::Map) => return item.document().map(Value::Document),
        (_, Kind::Other) if scalar != Scalar::Document => {}
        _ => return Err(wrong()),
    }
    let parsed =
        |text: &str| Value::parse(text, Type::of(scalar)).map_err(|error| Fault::new(item.at(), error.to_string()));
    Ok(match (scalar, item.content()?) {
        (Scalar::Bool, Content::Bool(value)) => Value::Bool(value),
        (Scalar::I32, Content::Integer(value)) => Value::I32(value.try_into().map_err(|_| wrong())?),
        (Scalar::I64, Content::Integer(value)) => Value::I64(value.try_into().map_err(|_| wrong())?),
        (Scalar::U64, Content::Integer(value)) => Value::U64(value.try_into().map_err(|_| wrong())?),
        #[expect(clippy::cast_precision_loss, reason = "the nearest float is wanted")]
        (Scalar::F32, Content::Integer(value)) => Value::F32(value as f32),
        #[expect(clippy::cast_precision_loss, reason = "the nearest float is wanted")]
        (Scalar::F64, Content::Integer(value)) => Value::F64(value as f64),
        (Scalar::F32, Content::Float(value)) => match value.narrow() {
            narrow if value.has(narrow.is_finite()) => Value::F32(narrow),
            _ => return Err(wrong()),
        },
        (Scalar::F64, Content::Float(Float { value, digits })) if value.is_finite() || digits.is_none() => {
            Value::F64(value)
        }
        (Scalar::Decimal { .. }, Content::Integer(value)) => parsed(&value.to_string())?,
        (Scalar::Decimal { .. }, Content::Float(Float { value, digits })) => {
            parsed(&digits.map_or_else(|| Cow::Owned(value.to_string()), Cow::Borrowed))?
        }
        (Scalar::String, Content::Text(text)) => Value::String(text.into_owned()),
        (Scalar::Bool, Content::Text(_)) => return Err(wrong()),
        (_, Content::Text(text)) => parsed(&text)?,
        (Scalar::Bytes, Content::Bytes(bytes)) => Value::Bytes(bytes.to_vec()),
        (Scalar::Record, Content::Bytes(bytes)) => Value::Record(bytes.to_vec()),
        _ => return Err(wrong()),
    })
}

/// That an item is not of a type.
#[cold]
fn unfit<'b, N: Node<'b>>(item: N, mut ty: Type) -> Fault {
    // The parameter of a strict function is not nullable itself.
    ty.nullable = false;
    let shown = item.shown();
    let error = match (ty.list, ty.scalar) {
        (None, Scalar::String) => ValueError::new(&shown, ty, "write text, in JSON in double quotes"),
        (None, Scalar::Document) => ValueError::new(&shown, ty, "a document is an object"),
        _ => value::error(&shown, ty),
    };
    Fault::new(item.at(), error.to_string())
}
