//! CBOR: the items that [the module](super) lists, with definite lengths.

use std::borrow::Cow;
use std::fmt::Write as _;

use guest_abi::cbor::{Head, INDEFINITE, MAX_DEPTH, encode, major};
use guest_abi::document::{DocumentBuf, Item};
use guest_abi::value::{self, ValueError};

use super::Fault;
use super::convert::{Content, Float, Kind, Node};
use crate::value::Value;

const FALSE: u8 = 0xF4;
const TRUE: u8 = 0xF5;
const NULL: u8 = 0xF6;
const UNDEFINED: u8 = 0xF7;
const F16: u8 = 0xF9;
const F32: u8 = 0xFA;
const F64: u8 = 0xFB;

/// Tags of texts that are dates and points in time. They say nothing that the type does not.
const TEXT_TAGS: [usize; 2] = [0, 1004];

/// An item of bytes that were checked.
#[derive(Clone, Copy)]
pub(super) struct Cbor<'b> {
    bytes: &'b [u8],
    at: usize,
}

/// The item that the bytes are.
pub(super) fn root(bytes: &[u8]) -> Result<Cbor<'_>, Fault> {
    match end(bytes, 0, MAX_DEPTH)? {
        end if end == bytes.len() => Ok(Cbor { bytes, at: 0 }.untagged()),
        end => Err(Fault::new(end, "the item has ended; the bytes are of one")),
    }
}

/// Position behind the item at `at`, within which at most `depth` are nested.
fn end(bytes: &[u8], at: usize, depth: u32) -> Result<usize, Fault> {
    let fault = |reason: &str| Fault::new(at, reason);
    let ends = || Fault::new(bytes.len(), "the bytes end within an item");
    let initial = *bytes.get(at).ok_or_else(ends)?;
    if initial & 0x1F == INDEFINITE {
        return Err(fault("lengths must be definite"));
    }
    if initial & 0x1F > 27 {
        return Err(fault("the bytes are not CBOR"));
    }
    let head = Head::read(bytes, at).ok_or_else(ends)?;
    let depth = depth.checked_sub(1).ok_or_else(|| fault("arrays and maps are nested too deep"))?;
    // An item has a byte at least: a count beyond that ends the walk at once.
    match (head.major, initial) {
        (major::UNSIGNED | major::NEGATIVE, _) | (_, FALSE | TRUE | NULL | UNDEFINED | F16 | F32 | F64) => {
            Ok(head.behind)
        }
        (major::BYTES | major::TEXT, _) => {
            let content = bytes.get(head.behind..).and_then(|rest| rest.get(..head.argument)).ok_or_else(ends)?;
            if head.major == major::TEXT && std::str::from_utf8(content).is_err() {
                return Err(fault("the text is not UTF-8"));
            }
            Ok(head.behind + head.argument)
        }
        (major::ARRAY, _) => (0..head.argument).try_fold(head.behind, |next, _| end(bytes, next, depth)),
        (major::MAP, _) => (0..head.argument).try_fold(head.behind, |next, _| {
            if bytes.get(next).is_some_and(|initial| initial >> 5 != major::TEXT) {
                return Err(Fault::new(next, "the names of a map are texts"));
            }
            end(bytes, end(bytes, next, depth)?, depth)
        }),
        (major::TAG, _) if TEXT_TAGS.contains(&head.argument) => end(bytes, head.behind, depth),
        (major::TAG, _) => Err(fault("the tag has no meaning here; leave it out")),
        _ => Err(fault("the simple value is none of false, true and null")),
    }
}

impl<'b> Cbor<'b> {
    /// The item behind tags.
    fn untagged(mut self) -> Self {
        while let Some(Head { major: major::TAG, behind, .. }) = Head::read(self.bytes, self.at) {
            self.at = behind;
        }
        self
    }

    fn initial(self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(NULL)
    }

    fn head(self) -> Head {
        Head::read(self.bytes, self.at).unwrap_or(Head { major: major::SIMPLE, argument: 0, behind: self.at })
    }

    /// The `N` bytes that follow the first byte. The caller asks only if the head says that the item has them.
    fn fixed<const N: usize>(self) -> Option<[u8; N]> {
        self.bytes.get(self.at + 1..)?.first_chunk().copied()
    }

    /// The content of a text or of bytes.
    fn run(self) -> &'b [u8] {
        let Head { argument, behind, .. } = self.head();
        self.bytes.get(behind..).and_then(|rest| rest.get(..argument)).unwrap_or_default()
    }

    fn text(self) -> &'b str {
        std::str::from_utf8(self.run()).unwrap_or_default()
    }

    /// The argument of an integer. A head holds it as an address, which is narrower on some machines.
    fn integer(self) -> i128 {
        let argument = match self.initial() & 0x1F {
            27 => self.fixed().map_or(0, u64::from_be_bytes),
            _ => self.head().argument as u64,
        };
        let argument = i128::from(argument);
        if self.head().major == major::NEGATIVE { -1 - argument } else { argument }
    }

    fn float(self) -> Option<f64> {
        match self.initial() {
            F16 => self.fixed().map(|bytes| half(u16::from_be_bytes(bytes))),
            F32 => self.fixed().map(|bytes| f32::from_be_bytes(bytes).into()),
            F64 => self.fixed().map(f64::from_be_bytes),
            _ => None,
        }
    }

    /// The next `count` items from `at` on.
    fn items(self, count: usize, at: usize) -> impl Iterator<Item = Result<Self, Fault>> {
        let (bytes, mut at) = (self.bytes, at);
        (0..count).map(move |_| {
            let start = at;
            at = end(bytes, start, MAX_DEPTH)?;
            Ok(Self { bytes, at: start }.untagged())
        })
    }
}

/// The number of a float of 16 bits ([RFC 8949, appendix D](https://www.rfc-editor.org/rfc/rfc8949#appendix-D)).
fn half(bits: u16) -> f64 {
    let (exponent, mantissa) = (i32::from(bits >> 10 & 0x1F), f64::from(bits & 0x3FF));
    let size = match exponent {
        0 => mantissa * 2_f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (mantissa + 1024.0) * 2_f64.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -size } else { size }
}

impl<'b> Node<'b> for Cbor<'b> {
    fn at(self) -> usize {
        self.at
    }

    fn kind(self) -> Kind {
        match (self.initial(), self.initial() >> 5) {
            (NULL | UNDEFINED, _) => Kind::Null,
            (_, major::ARRAY) => Kind::List,
            (_, major::MAP) => Kind::Map,
            _ => Kind::Other,
        }
    }

    fn content(self) -> Result<Content<'b, Self>, Fault> {
        let Head { major, argument, behind } = self.head();
        Ok(match major {
            major::UNSIGNED | major::NEGATIVE => Content::Integer(self.integer()),
            major::BYTES => Content::Bytes(self.run()),
            major::TEXT => Content::Text(Cow::Borrowed(self.text())),
            major::ARRAY => Content::List(self.items(argument, behind).collect::<Result<_, _>>()?),
            major::MAP => {
                let mut items = self.items(argument.saturating_mul(2), behind);
                let mut members = Vec::new();
                while let (Some(name), Some(item)) = (items.next(), items.next()) {
                    members.push((Cow::Borrowed(name?.text()), item?));
                }
                Content::Map(members)
            }
            _ => match (self.initial(), self.float()) {
                (_, Some(value)) => Content::Float(Float { value, digits: None }),
                (FALSE, _) => Content::Bool(false),
                (TRUE, _) => Content::Bool(true),
                _ => Content::Null,
            },
        })
    }

    /// By way of JSON, which says which members are the id and the score of a document.
    fn document(self) -> Result<DocumentBuf, Fault> {
        let mut text = String::new();
        to_json(self, &mut text)?;
        DocumentBuf::from_json(&text).map_err(|error| Fault::new(self.at, error.description().to_string()))
    }

    fn shown(self) -> String {
        let mut text = String::new();
        match to_json(self, &mut text) {
            Ok(()) => text,
            Err(_) if self.initial() >> 5 == major::BYTES => "bytes".to_owned(),
            Err(_) => "an item".to_owned(),
        }
    }
}

/// Appends an item of a document as JSON.
fn to_json(item: Cbor<'_>, text: &mut String) -> Result<(), Fault> {
    match item.content()? {
        Content::Null => text.push_str("null"),
        Content::Bool(value) => text.push_str(if value { "true" } else { "false" }),
        // Writing to a string does not fail.
        Content::Integer(value) => drop(write!(text, "{value}")),
        Content::Float(Float { value, .. }) if value.is_finite() => drop(write!(text, "{value:?}")),
        Content::Float(_) => return Err(Fault::new(item.at, "a document has neither NaN nor infinities; write null")),
        Content::Text(of) => text.push_str(&serde_json::Value::from(of).to_string()),
        Content::Bytes(_) => return Err(Fault::new(item.at, "a document has no bytes; write text")),
        Content::List(items) => {
            text.push('[');
            for (at, item) in items.into_iter().enumerate() {
                text.push_str(if at == 0 { "" } else { "," });
                to_json(item, text)?;
            }
            text.push(']');
        }
        Content::Map(members) => {
            text.push('{');
            for (at, (name, item)) in members.into_iter().enumerate() {
                text.push_str(if at == 0 { "" } else { "," });
                text.push_str(&serde_json::Value::from(name).to_string());
                text.push(':');
                to_json(item, text)?;
            }
            text.push('}');
        }
    }
    Ok(())
}

/// Appends a value.
pub(super) fn write(value: &Value, to: &mut Vec<u8>) {
    match value {
        Value::Null => to.push(NULL),
        Value::Bool(value) => encode::element(to, *value),
        Value::I32(value) => encode::element(to, *value),
        Value::I64(value) => encode::element(to, *value),
        Value::U64(value) => encode::unsigned(to, *value),
        Value::F32(value) => encode::element(to, *value),
        Value::F64(value) => encode::element(to, *value),
        Value::String(text) => encode::element(to, text.as_str()),
        Value::Bytes(bytes) | Value::Record(bytes) => encode::element(to, bytes.as_slice()),
        Value::Document(document) => {
            let start = to.len();
            // The bytes of a document are valid.
            if fields(document, to).is_err() {
                to.truncate(start);
                to.push(NULL);
            }
        }
        Value::List(items) => {
            encode::array_of(to, items.len());
            items.iter().for_each(|item| write(item, to));
        }
        other => encode::element(to, other.to_string().as_str()),
    }
}

fn fields(document: &DocumentBuf, to: &mut Vec<u8>) -> Result<(), ValueError> {
    object(document.as_document().fields(), to)
}

fn object(item: Item<'_>, to: &mut Vec<u8>) -> Result<(), ValueError> {
    let members = item.as_object()?;
    encode::object_of(to, usize::try_from(members.left()).unwrap_or(usize::MAX));
    for member in members {
        let (name, item) = member?;
        encode::name(to, name);
        append(item, to)?;
    }
    Ok(())
}

fn append(item: Option<Item<'_>>, to: &mut Vec<u8>) -> Result<(), ValueError> {
    let Some(item) = item else {
        to.push(NULL);
        return Ok(());
    };
    match item.kind()? {
        value::Kind::Bool => encode::element(to, item.as_bool()?),
        value::Kind::Integer => match item.as_i64() {
            Ok(value) => encode::element(to, value),
            Err(_) => encode::unsigned(to, item.as_u64()?),
        },
        value::Kind::Float64 => encode::element(to, item.as_f64()?),
        value::Kind::Text => encode::element(to, item.as_str()?),
        value::Kind::Array => {
            let items = item.as_list()?;
            encode::array_of(to, usize::try_from(items.left()).unwrap_or(usize::MAX));
            for element in items {
                append(element?, to)?;
            }
        }
        _ => object(item, to)?,
    }
    Ok(())
}
