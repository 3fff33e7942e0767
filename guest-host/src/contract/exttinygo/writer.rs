//! A record that a guest writes field by field: the fields of a key, or those of an intent behind its head.

use guest_abi::cbor::encode::{self, BEGIN_OBJECT, END};
use guest_abi::cbor::scan;
use guest_abi::intent::{self, Operation};
use guest_abi::key::Key;

use crate::failure::{Fault, InvalidData};

/// Fields that a record may have. Putting one compares it with those that are there.
const MOST_FIELDS: usize = 4096;

/// Bytes that a record keeps for the next call, of each of its parts.
pub(super) const KEPT_BYTES: usize = 4096;

/// A key, or an intent: the wire form without the break behind its last field.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// Storage and entity of a key, which its bytes do not have.
    storage: String,
    entity: String,
    bytes: Vec<u8>,
    /// Where each field begins, and a digest of its name.
    fields: Vec<(u32, u32)>,
}

impl Writer {
    /// Begins a key.
    pub(super) fn begin_key(&mut self, storage: &str, entity: &str) {
        self.clear();
        self.storage.push_str(storage);
        self.entity.push_str(entity);
        self.bytes.push(BEGIN_OBJECT);
    }

    /// Begins an intent for a key as it is now.
    pub(super) fn begin_intent(&mut self, operation: Operation, key: &Self) {
        self.clear();
        intent::encode_header(&mut self.bytes, operation);
        key.append_key(&mut self.bytes);
        self.bytes.push(BEGIN_OBJECT);
    }

    /// Appends the key that was written.
    fn append_key(&self, out: &mut Vec<u8>) {
        encode::element(out, self.storage.as_str());
        encode::element(out, self.entity.as_str());
        self.append_to(out);
    }

    fn clear(&mut self) {
        self.storage.clear();
        self.entity.clear();
        self.bytes.clear();
        self.fields.clear();
    }

    /// Gives back memory that only a record out of the ordinary needed.
    #[inline]
    pub(super) fn shrink(&mut self) {
        let fields = KEPT_BYTES / size_of::<(u32, u32)>();
        let kept = [self.storage.capacity(), self.entity.capacity(), self.bytes.capacity()];
        if kept.iter().any(|bytes| *bytes > KEPT_BYTES) || self.fields.capacity() > fields {
            self.clear();
            self.storage.shrink_to(KEPT_BYTES);
            self.entity.shrink_to(KEPT_BYTES);
            self.bytes.shrink_to(KEPT_BYTES);
            self.fields.shrink_to(fields);
        }
    }

    /// Has `put` write the value of the field `name`, in the place of a field with this name if there is one.
    #[inline]
    pub(super) fn put(&mut self, name: &str, put: impl FnOnce(&mut Vec<u8>)) -> Result<(), Fault> {
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
        encode::element(&mut self.bytes, name);
        put(&mut self.bytes);
        Ok(())
    }

    fn name_at(&self, at: u32) -> Option<&str> {
        scan::text(self.bytes.get(at as usize..)?)
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
    #[inline]
    pub(super) fn with_key<R>(&mut self, use_key: impl FnOnce(&Key<'_>) -> R) -> Result<R, Fault> {
        self.bytes.push(END);
        let used = Key::of_parts(&self.storage, &self.entity, &self.bytes).map(|key| use_key(&key));
        self.bytes.pop();
        used.map_err(|error| Fault::InvalidGuestData(InvalidData::Wire { what: "key", error }))
    }

    /// Becomes the key that `other` is now.
    pub(super) fn copy_key(&mut self, other: &Self) {
        self.clear();
        self.storage.push_str(&other.storage);
        self.entity.push_str(&other.entity);
        self.bytes.extend_from_slice(&other.bytes);
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> usize {
        self.storage.len() + self.entity.len() + self.bytes.len()
    }

    /// Appends the whole record.
    pub(super) fn append_to(&self, stream: &mut Vec<u8>) {
        stream.extend_from_slice(&self.bytes);
        stream.push(END);
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.storage.capacity() + self.entity.capacity() + self.bytes.capacity() + self.fields.capacity()
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
    use guest_abi::cbor::Reader;
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
        key.put("Year", |bytes| encode::element(bytes, 1_i64)).unwrap();
        writer.begin_intent(Operation::Update, &key);
        key.put("Year", |bytes| encode::element(bytes, 2_i64)).unwrap();
        for (name, value) in [("first", 1_i64), ("second", 300), ("third", 3), ("second", 4), ("first", 70_000)] {
            writer.put(name, |bytes| encode::element(bytes, value)).unwrap();
        }
        let stream = intent(&writer);
        let intent = Intent::read(&mut Reader::new(&stream)).unwrap();
        assert_eq!((intent.operation, intent.key.storage, intent.key.entity), (Operation::Update, "sys.View", "a.B"));
        assert_eq!(intent.key.object().field("Year").unwrap().unwrap().as_i64(), Ok(1), "the key as it was then");
        let fields: Vec<_> = intent.value.fields().unwrap().map(Result::unwrap).collect();
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_i64().unwrap())).collect();
        assert_eq!(fields, [("third", 3), ("second", 4), ("first", 70_000)]);
        let year = key.with_key(|key| key.object().field("Year").unwrap().unwrap().as_i64().unwrap());
        assert_eq!(year.unwrap(), 2);
        assert!(key.put("more", |bytes| encode::element(bytes, true)).is_ok());
    }

    #[test]
    fn fields_are_limited_and_names_of_one_digest_are_told_apart() {
        let mut writer = Writer::default();
        writer.begin_key("s.t", "");
        for index in 0..MOST_FIELDS {
            let name = format!("a{index:04}zz");
            writer.put(&name, |bytes| encode::element(bytes, true)).unwrap();
        }
        let full = writer.put("more", |_| {});
        assert!(matches!(full, Err(Fault::InvalidGuestData(InvalidData::TooManyFields { limit: MOST_FIELDS }))));
        let fields = writer.with_key(|key| key.fields().count()).unwrap();
        assert_eq!(fields, MOST_FIELDS);
        writer.shrink();
        assert!(writer.kept() <= 2 * KEPT_BYTES);
        let long = "s".repeat(100 * KEPT_BYTES);
        writer.begin_key(&long, &long);
        writer.shrink();
        assert!(writer.kept() <= 4 * KEPT_BYTES, "names are given back as well");
    }
}
