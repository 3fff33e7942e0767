//! Intents on the wire: what a guest wants written, as a sequence of CBOR arrays.

use minicbor::decode::Decoder;
use minicbor::encode::Encoder;

use crate::key::Key;
use crate::value::{Sink, ValueRef};
use crate::wire::{self, WireError};

/// What an intent does to its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Writes a new record.
    New,
    /// Changes fields of an existing record.
    Update,
}

impl Operation {
    /// The word for it in messages and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Update => "update",
        }
    }

    /// That of the intent at `at`, if it begins as [`encode_header`] writes it.
    fn quick(bytes: &[u8], at: usize) -> Option<Self> {
        match bytes.get(at..)?.first_chunk()? {
            [0x85, 0] => Some(Self::New),
            [0x85, 1] => Some(Self::Update),
            _ => None,
        }
    }
}

/// An intent, borrowed from its wire form: `[operation, storage, entity, key map, value map]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intent<'a> {
    /// New or update.
    pub operation: Operation,
    /// Which record.
    pub key: Key<'a>,
    /// An object: the record's fields, or those that change.
    pub value: ValueRef<'a>,
}

/// Number of elements of an intent's array.
const ELEMENTS: u64 = 5;

/// Appends the start of an intent; its key and its value object follow.
pub fn encode_header<S: Sink>(sink: &mut S, operation: Operation) {
    // The sink is infallible, and neither call fails by itself.
    let mut encoder = Encoder::new(sink);
    let _ = encoder.array(ELEMENTS);
    let _ = encoder.u8(operation as u8);
}

impl<'a> Intent<'a> {
    /// Reads and checks the intent that `decoder` stands before, and moves behind it.
    ///
    /// # Errors
    /// [`WireError`] when there is no valid intent.
    pub fn decode(decoder: &mut Decoder<'a>) -> Result<Self, WireError> {
        let at = decoder.position();
        if let Some(operation) = Operation::quick(decoder.input(), at) {
            decoder.set_position(at + 2);
            return Self::decode_rest(decoder, operation);
        }
        let unsupported = |error: minicbor::decode::Error| match error.is_end_of_input() {
            true => WireError::Truncated,
            false => WireError::Unsupported { at },
        };
        if decoder.array().map_err(unsupported)? != Some(ELEMENTS) {
            return Err(WireError::Unsupported { at });
        }
        let operation = match decoder.u8().map_err(unsupported)? {
            0 => Operation::New,
            1 => Operation::Update,
            _ => return Err(WireError::Unsupported { at }),
        };
        Self::decode_rest(decoder, operation)
    }

    fn decode_rest(decoder: &mut Decoder<'a>, operation: Operation) -> Result<Self, WireError> {
        let key = Key::decode(decoder)?;
        let start = decoder.position();
        wire::validate_map(decoder)?;
        let value = ValueRef::new(&decoder.input()[start..decoder.position()]);
        Ok(Self { operation, key, value })
    }
}

/// Checks a whole stream of intents and returns how many there are.
///
/// # Errors
/// [`WireError`] of the first intent that is not valid.
pub fn validate(stream: &[u8]) -> Result<usize, WireError> {
    let mut count = 0;
    for intent in intents(stream) {
        intent?;
        count += 1;
    }
    Ok(count)
}

/// The intents of a stream, in the order in which they were left.
#[must_use]
pub fn intents(stream: &[u8]) -> Intents<'_> {
    Intents { decoder: Decoder::new(stream) }
}

/// Iterator over a stream of intents; ends after the first that is not valid.
#[derive(Debug, Clone)]
pub struct Intents<'a> {
    decoder: Decoder<'a>,
}

impl<'a> Iterator for Intents<'a> {
    type Item = Result<Intent<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        let end = self.decoder.input().len();
        if self.decoder.position() >= end {
            return None;
        }
        let intent = Intent::decode(&mut self.decoder);
        if intent.is_err() {
            self.decoder.set_position(end);
        }
        Some(intent)
    }
}
