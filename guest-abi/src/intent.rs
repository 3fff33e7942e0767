//! Intents on the wire: the writes that a guest asks for, as a sequence of CBOR arrays.

use crate::cbor::encode::{self, BEGIN_OBJECT, Encoded, Sink};
use crate::cbor::{Reader, WireError, major};
use crate::key::Key;
use crate::value::ValueRef;

/// Effect of an intent on its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Write of a new record.
    New,
    /// Change of fields of an existing record.
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
}

/// An intent, borrowed from its wire form: `[operation, storage, entity, key map, value map]`. [`intents`] reads them.
///
/// ```
/// use guest_abi::cbor::encode;
/// use guest_abi::intent::{self, Operation};
///
/// let mut key = Vec::new();
/// encode::element(&mut key, "sys.View");
/// encode::element(&mut key, "shop.Orders");
/// encode::object_of(&mut key, 0);
/// let mut stream = Vec::new();
/// intent::begin(&mut stream, Operation::New, &key);
/// encode::field(&mut stream, "Amount", 400_i64);
/// encode::mark(&mut stream, encode::END);
///
/// let found = intent::intents(&stream).next().unwrap()?;
/// assert_eq!((found.operation, found.key.entity), (Operation::New, "shop.Orders"));
/// # Ok::<(), guest_abi::cbor::WireError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intent<'a> {
    /// Effect on the record.
    pub operation: Operation,
    /// Key of the record.
    pub key: Key<'a>,
    /// Object with the record's fields, or with those that change.
    pub value: ValueRef<'a>,
}

/// Number of elements of an intent's array.
const ELEMENTS: u8 = 5;

/// First byte of an intent: the head of its array.
const INTENT: u8 = major::ARRAY << 5 | ELEMENTS;

/// Appends the start of an intent; its key and its value object follow.
pub fn encode_header<S: Sink>(sink: &mut S, operation: Operation) {
    encode::element(sink, Encoded([INTENT, operation as u8]));
}

/// Appends an intent up to the first field of its value. `key` is the wire form of a key. The fields and
/// [`END`](encode::END) follow.
pub fn begin<S: Sink>(sink: &mut S, operation: Operation, key: &[u8]) {
    encode::intent_start(sink, [INTENT, operation as u8], key, BEGIN_OBJECT);
}

impl<'a> Intent<'a> {
    /// Reads and checks the intent at the reader's position, and moves behind it.
    ///
    /// # Errors
    /// [`WireError`] if there is no valid intent.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        let operation = Self::read_operation(reader)?;
        let key = Key::read(reader)?;
        let value = ValueRef::new(reader.map()?);
        Ok(Self { operation, key, value })
    }

    #[inline]
    fn read_operation(reader: &mut Reader<'a>) -> Result<Operation, WireError> {
        // As `encode_header` writes it.
        let operation = match reader.rest() {
            [INTENT, 0, ..] => Operation::New,
            [INTENT, 1, ..] => Operation::Update,
            _ => return Self::read_unusual_operation(reader),
        };
        reader.pass(2);
        Ok(operation)
    }

    #[cold]
    fn read_unusual_operation(reader: &mut Reader<'a>) -> Result<Operation, WireError> {
        let unsupported = WireError::Unsupported { at: reader.position() };
        let array = reader.head()?;
        if array.major != major::ARRAY || array.argument != usize::from(ELEMENTS) {
            return Err(unsupported);
        }
        let operation = reader.head().map_err(|error| match error {
            WireError::Truncated => error,
            _ => unsupported,
        })?;
        match (operation.major, operation.argument) {
            (major::UNSIGNED, 0) => Ok(Operation::New),
            (major::UNSIGNED, 1) => Ok(Operation::Update),
            _ => Err(unsupported),
        }
    }
}

/// Checks a whole stream of intents and returns their number.
///
/// ```
/// use guest_abi::cbor::WireError;
/// use guest_abi::intent::validate;
///
/// // [0, "sys.View", "e", {}, {}], and the same without its end.
/// let intent = b"\x85\x00\x68sys.View\x61e\xA0\xA0";
/// assert_eq!(validate(intent), Ok(1));
/// assert_eq!(validate(&intent[..10]), Err(WireError::Truncated));
/// ```
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

/// The intents of a stream, in the order in which the guest left them.
#[must_use]
pub fn intents(stream: &[u8]) -> Intents<'_> {
    Intents { reader: Reader::new(stream) }
}

/// Iterator over a stream of intents. It ends after the first that is not valid.
#[derive(Debug, Clone)]
pub struct Intents<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for Intents<'a> {
    type Item = Result<Intent<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_at_end() {
            return None;
        }
        let intent = Intent::read(&mut self.reader);
        if intent.is_err() {
            self.reader.finish();
        }
        Some(intent)
    }
}
