//! A record that a guest writes field by field: the fields of a key, or those of an intent behind its head.

use guest_abi::intent::{self, Operation};
use guest_abi::key::Key;
use guest_abi::value::ObjectWriter;
use minicbor::{Decoder, Encoder};

use crate::failure::{Fault, InvalidData};

/// Fields that a record may have. Putting one compares it with those that are there.
const MOST_FIELDS: usize = 4096;

/// Bytes that a record keeps for the next call.
const KEPT_BYTES: usize = 4096;

/// What ends an object.
const BREAK: u8 = 0xFF;

/// The wire form of a key, or of an intent, without the break behind its last field.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    /// Where each field begins, and a digest of its name.
    fields: Vec<(u32, u32)>,
}

impl Writer {
    /// Begins a key.
    pub(super) fn begin_key(&mut self, storage: &str, entity: &str) {
        self.clear();
        let mut encoder = Encoder::new(&mut self.bytes);
        // Writing to a vector cannot fail.
        let _ = encoder.str(storage);
        let _ = encoder.str(entity);
        ObjectWriter::begin(&mut self.bytes);
    }

    /// Begins an intent for a key as it is now.
    pub(super) fn begin_intent(&mut self, operation: Operation, key: &Self) {
        self.clear();
        intent::encode_header(&mut self.bytes, operation);
        key.append_to(&mut self.bytes);
        ObjectWriter::begin(&mut self.bytes);
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.fields.clear();
        if self.bytes.capacity() > KEPT_BYTES {
            self.bytes.shrink_to(KEPT_BYTES);
        }
        if self.fields.capacity() > KEPT_BYTES / size_of::<(u32, u32)>() {
            self.fields.shrink_to(KEPT_BYTES / size_of::<(u32, u32)>());
        }
    }

    /// Has `put` put the field `name`, in the place of one with this name if there is one.
    pub(super) fn put(&mut self, name: &str, put: impl FnOnce(&mut ObjectWriter<'_, Vec<u8>>)) -> Result<(), Fault> {
        let digest = digest(name);
        let same = |&(at, other): &(u32, u32)| other == digest && self.name_at(at) == Some(name);
        if let Some(index) = self.fields.iter().position(same) {
            self.remove(index);
        }
        let at = u32::try_from(self.bytes.len()).ok().filter(|_| self.fields.len() < MOST_FIELDS);
        let Some(at) = at else {
            return Err(Fault::InvalidGuestData(InvalidData::TooManyFields { limit: MOST_FIELDS }));
        };
        self.fields.push((at, digest));
        put(&mut ObjectWriter::resume(&mut self.bytes));
        Ok(())
    }

    fn name_at(&self, at: u32) -> Option<&str> {
        Decoder::new(self.bytes.get(at as usize..)?).str().ok()
    }

    #[cold]
    fn remove(&mut self, index: usize) {
        let start = self.fields[index].0;
        let end = self.fields.get(index + 1).map_or(self.bytes.len(), |next| next.0 as usize);
        self.bytes.drain(start as usize..end);
        self.fields.remove(index);
        let removed = u32::try_from(end).unwrap_or(u32::MAX) - start;
        self.fields[index..].iter_mut().for_each(|field| field.0 -= removed);
    }

    /// Lets `use_key` have the key that was written.
    pub(super) fn with_key<R>(&mut self, use_key: impl FnOnce(&Key<'_>) -> R) -> Result<R, Fault> {
        self.bytes.push(BREAK);
        let used = Key::parse(&self.bytes).map(|key| use_key(&key));
        self.bytes.pop();
        used.map_err(|error| Fault::InvalidGuestData(InvalidData::Wire { what: "key", error }))
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends the whole record.
    pub(super) fn append_to(&self, stream: &mut Vec<u8>) {
        stream.extend_from_slice(&self.bytes);
        stream.push(BREAK);
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.bytes.capacity() + self.fields.capacity()
    }
}

/// Tells most names apart: their length and a few bytes from either end.
fn digest(name: &str) -> u32 {
    let bytes = name.as_bytes();
    let at = |index: usize| bytes.get(index).copied().unwrap_or(0);
    let last = bytes.len().wrapping_sub(1);
    u32::from_le_bytes([at(last), at(last.wrapping_sub(1)), at(0), bytes.len().to_le_bytes()[0]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use guest_abi::intent::Intent;

    fn intent(writer: &Writer) -> Vec<u8> {
        let mut stream = Vec::new();
        writer.append_to(&mut stream);
        stream
    }

    #[test]
    fn a_field_that_is_put_twice_has_the_last_value() {
        let (mut key, mut writer) = (Writer::default(), Writer::default());
        key.begin_key("sys.View", "a.B");
        key.put("Year", |object| {
            object.put_i64("Year", 1);
        })
        .unwrap();
        writer.begin_intent(Operation::Update, &key);
        key.put("Year", |object| {
            object.put_i64("Year", 2);
        })
        .unwrap();
        for (name, value) in [("first", 1), ("second", 300), ("third", 3), ("second", 4), ("first", 70_000)] {
            writer
                .put(name, |object| {
                    object.put_i64(name, value);
                })
                .unwrap();
        }
        let stream = intent(&writer);
        let intent = Intent::decode(&mut Decoder::new(&stream)).unwrap();
        assert_eq!((intent.operation, intent.key.storage, intent.key.entity), (Operation::Update, "sys.View", "a.B"));
        assert_eq!(intent.key.object().field("Year").unwrap().unwrap().as_i64(), Ok(1), "the key as it was then");
        let fields: Vec<_> = intent.value.fields().unwrap().map(Result::unwrap).collect();
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_i64().unwrap())).collect();
        assert_eq!(fields, [("third", 3), ("second", 4), ("first", 70_000)]);
        let year = key.with_key(|key| key.object().field("Year").unwrap().unwrap().as_i64().unwrap());
        assert_eq!(year.unwrap(), 2);
        assert!(
            key.put("more", |object| {
                object.put_bool("more", true);
            })
            .is_ok()
        );
    }

    #[test]
    fn fields_are_limited_and_names_of_one_digest_are_told_apart() {
        let mut writer = Writer::default();
        writer.begin_key("s.t", "");
        for index in 0..MOST_FIELDS {
            let name = format!("a{index:04}zz");
            writer
                .put(&name, |object| {
                    object.put_bool(&name, true);
                })
                .unwrap();
        }
        let full = writer.put("more", |_| {});
        assert!(matches!(full, Err(Fault::InvalidGuestData(InvalidData::TooManyFields { limit: MOST_FIELDS }))));
        let fields = writer.with_key(|key| key.fields().count()).unwrap();
        assert_eq!(fields, MOST_FIELDS);
        writer.begin_key("s.t", "");
        assert!(writer.kept() <= 2 * KEPT_BYTES);
    }
}
