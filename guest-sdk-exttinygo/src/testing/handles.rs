//! The handles of the thread's running call. Each kind is counted from 0.

use core::cell::RefCell;
use std::rc::Rc;
use std::vec::Vec;

use guest_abi::cbor::encode::END;
use guest_abi::intent::{self, Operation};
use guest_abi::value::ObjectEncoder;

use super::Value;

/// A value, or a part of one that an extension has asked for: all bytes that were read, and where it begins in them.
///
/// The bytes stay where they are until the call ends, so an extension may keep text of them.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) bytes: Rc<[u8]>,
    pub(super) start: usize,
}

impl Part {
    pub(super) fn whole(bytes: &[u8]) -> Self {
        Self { bytes: bytes.into(), start: 0 }
    }

    pub(super) fn value(&self) -> Value<'_> {
        Value::new(&self.bytes[self.start..])
    }
}

/// The wire form of a key or an intent whose object of fields is not ended.
pub(super) type Writer = Vec<u8>;

#[derive(Debug, Default)]
pub(super) struct Handles {
    pub(super) keys: Vec<Writer>,
    pub(super) values: Vec<Part>,
    pub(super) row_keys: Vec<Part>,
    pub(super) intents: Vec<Writer>,
}

std::thread_local! {
    static HANDLES: RefCell<Handles> = RefCell::default();
}

/// Forgets the handles of the call before.
pub(super) fn begin() {
    HANDLES.take();
}

/// The intents of the call, in their order.
pub(super) fn end() -> Vec<u8> {
    let mut stream = Vec::new();
    for intent in HANDLES.take().intents {
        stream.extend(intent);
        stream.push(END);
    }
    stream
}

pub(super) fn with<R>(answer: impl FnOnce(&mut Handles) -> R) -> R {
    HANDLES.with_borrow_mut(answer)
}

/// Adds something and returns its handle.
pub(super) fn add<T>(to: &mut Vec<T>, what: T) -> i64 {
    to.push(what);
    i64::try_from(to.len() - 1).expect("a call has few handles")
}

/// The object behind a handle.
pub(super) fn get<T>(of: &mut [T], handle: i64) -> &mut T {
    let at = usize::try_from(handle).expect("the SDK passes the handles that it was given");
    &mut of[at]
}

impl Handles {
    /// The wire form of a key, with its end.
    pub(super) fn key(&mut self, key: i64) -> Vec<u8> {
        let mut key = get(&mut self.keys, key).clone();
        key.push(END);
        key
    }

    pub(super) fn intent(&mut self, operation: Operation, key: i64) -> i64 {
        let mut intent = Vec::new();
        intent::begin(&mut intent, operation, &self.key(key));
        add(&mut self.intents, intent)
    }

    /// Writes a field of a key or of an intent.
    pub(super) fn writer(&mut self, writer: i64, kind: i32) -> ObjectEncoder<'_, Vec<u8>> {
        let writers = if kind == guest_abi::exttinygo::WRITER_KEY { &mut self.keys } else { &mut self.intents };
        ObjectEncoder::resume(get(writers, writer))
    }
}
