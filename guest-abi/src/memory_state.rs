//! A state in memory: what state files are loaded into and what the SDK's native tests run against.
//!
//! Records are kept in a table for each storage and entity, under a canonical key: the key's fields sorted by name,
//! numbers in their shortest form. So the order in which a guest puts its key fields does not matter, and rows are read in the order
//! of those bytes: non-negative integers ascend, texts come by length and then by content.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Bound;
use minicbor::encode::Encoder;

use crate::intent::{self, Operation};
use crate::key::Key;
use crate::quick;
use crate::storage;
use crate::value::{Kind, ObjectWriter, ValueError, ValueRef};
use crate::wire::{WireError, append_text};

/// Why the state refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateError {
    /// The storage is neither well known nor does any record or declaration name it.
    UnsupportedStorage {
        /// The storage that was asked for.
        storage: String,
    },
    /// A key that no record can have.
    InvalidKey {
        /// Its storage.
        storage: String,
        /// What is wrong.
        reason: String,
    },
    /// An intent updates a record that does not exist.
    UpdateOfAbsent {
        /// Storage of the record.
        storage: String,
        /// Entity of the record.
        entity: String,
    },
    /// The intents are not what the contract says.
    Malformed(WireError),
}

impl core::fmt::Display for StateError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::UnsupportedStorage { storage } => write!(
                f,
                "unsupported storage `{storage}`: it is not a well-known one; declare it by a record in the state"
            ),
            Self::InvalidKey { storage, reason } => {
                write!(f, "invalid key for storage `{storage}`: {reason}")
            }
            Self::UpdateOfAbsent { storage, entity } => write!(
                f,
                "an intent updates a record of `{storage}` `{entity}` that does not exist; query it first and use `new_value`"
            ),
            Self::Malformed(error) => write!(f, "malformed intents: {error}"),
        }
    }
}

impl core::error::Error for StateError {}

impl From<WireError> for StateError {
    fn from(error: WireError) -> Self {
        Self::Malformed(error)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    /// The key's fields as a map of definite length.
    key: Vec<u8>,
    /// The value as an object of definite length.
    value: Vec<u8>,
}

/// The records of one entity, by the canonical form of their keys' fields.
type Table = BTreeMap<Vec<u8>, Record>;

/// Records in memory, with the semantics of a host's state.
#[derive(Debug, Clone, Default)]
pub struct MemoryState {
    declared: BTreeSet<String>,
    /// By the canonical form of storage and entity. No table is empty.
    tables: BTreeMap<Vec<u8>, Table>,
    scratch: Vec<u8>,
}

impl PartialEq for MemoryState {
    fn eq(&self, other: &Self) -> bool {
        self.declared == other.declared && self.tables == other.tables
    }
}

impl MemoryState {
    /// A state without records.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a storage known, so that reading it finds nothing instead of failing.
    pub fn declare_storage(&mut self, storage: &str) {
        if !storage::is_well_known(storage) {
            self.declared.insert(storage.to_string());
        }
    }

    /// Writes a record whose key fields and value fields the closures fill.
    ///
    /// ```
    /// use guest_abi::{MemoryState, storage};
    /// let mut state = MemoryState::new();
    /// state.put(storage::VIEW, "shop.Orders", |key| { key.put_i32("Year", 2023); }, |value| { value.put_i64("Amount", 400); })?;
    /// # Ok::<(), guest_abi::StateError>(())
    /// ```
    ///
    /// # Errors
    /// [`StateError`] when the key is not valid.
    pub fn put(
        &mut self,
        storage: &str,
        entity: &str,
        key: impl FnOnce(&mut ObjectWriter<'_, Vec<u8>>),
        value: impl FnOnce(&mut ObjectWriter<'_, Vec<u8>>),
    ) -> Result<(), StateError> {
        let mut key_bytes = Vec::new();
        let _ = Encoder::new(&mut key_bytes).str(storage);
        let _ = Encoder::new(&mut key_bytes).str(entity);
        let mut fields = ObjectWriter::begin(&mut key_bytes);
        key(&mut fields);
        fields.end();
        let mut value_bytes = Vec::new();
        let mut fields = ObjectWriter::begin(&mut value_bytes);
        value(&mut fields);
        fields.end();
        self.insert(&Key::parse(&key_bytes)?, ValueRef::new(&value_bytes))
    }

    /// Writes a record; a record with the same key is replaced. Its storage becomes known.
    ///
    /// # Errors
    /// [`StateError`] when the key or the value is not valid.
    pub fn insert(&mut self, key: &Key<'_>, value: ValueRef<'_>) -> Result<(), StateError> {
        let mut canonical = Vec::new();
        let (start, fields) = canonical_key(key, &mut canonical)?;
        let record = Record { key: key_map(&canonical[start..], fields), value: definite(value)? };
        self.declare_storage(key.storage);
        let fields = canonical.split_off(start);
        self.tables.entry(canonical).or_default().insert(fields, record);
        Ok(())
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tables.values().map(Table::len).sum()
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// The value of the record with this key.
    ///
    /// # Errors
    /// [`StateError::UnsupportedStorage`] or [`StateError::InvalidKey`]; a record that is not there is no error.
    pub fn get(&mut self, key: &Key<'_>) -> Result<Option<&[u8]>, StateError> {
        let mut canonical = core::mem::take(&mut self.scratch);
        canonical.clear();
        let found = canonical_key(key, &mut canonical).map(|(start, _)| {
            let (entity, fields) = canonical.split_at(start);
            self.tables.get(entity)?.get(fields)
        });
        self.scratch = canonical;
        match found? {
            Some(record) => Ok(Some(&record.value)),
            None => {
                // Not through `self`: the record's borrow reaches the end of this match.
                known(&self.declared, key.storage)?;
                Ok(None)
            }
        }
    }

    /// Fails unless the storage may be read.
    ///
    /// # Errors
    /// [`StateError::UnsupportedStorage`].
    pub fn check_storage(&self, storage: &str) -> Result<(), StateError> {
        known(&self.declared, storage)
    }

    /// Writes rows that match a partial key into `out`, as many whole ones as fit: for each its key map and its
    /// value. Starts behind the row whose key map is `after`.
    ///
    /// Returns the bytes written; 0 when there are no more rows; and when not even the first row fits, the bytes
    /// that it needs, which are more than `out` has.
    ///
    /// # Errors
    /// [`StateError::UnsupportedStorage`] or [`StateError::InvalidKey`].
    pub fn read(&mut self, key: &Key<'_>, after: Option<ValueRef<'_>>, out: &mut [u8]) -> Result<usize, StateError> {
        self.check_storage(key.storage)?;
        let mut entity = Vec::new();
        canonical_prefix(key, &mut entity);
        let wanted = canonical_fields(key.object()).map_err(|reason| invalid(key, reason))?;
        let start = match after {
            None => Bound::Unbounded,
            Some(row) => {
                let mut start = Vec::new();
                append_fields(row, &mut start).map_err(|reason| invalid(key, reason))?;
                Bound::Excluded(start)
            }
        };
        let Some(table) = self.tables.get(&entity) else {
            return Ok(0);
        };
        let mut written = 0;
        for record in table.range((start, Bound::Unbounded)).map(|(_, record)| record) {
            if !matches(&record.key, &wanted) {
                continue;
            }
            let size = record.key.len() + record.value.len();
            let Some(room) = out.get_mut(written..written + size) else {
                return Ok(if written == 0 { size } else { written });
            };
            room[..record.key.len()].copy_from_slice(&record.key);
            room[record.key.len()..].copy_from_slice(&record.value);
            written += size;
        }
        Ok(written)
    }

    /// Applies a stream of intents, all or none, and returns how many there were.
    ///
    /// A new intent writes its record, whether or not there was one; an update changes the fields that it names and
    /// leaves the others.
    ///
    /// # Errors
    /// [`StateError`] of the first intent that cannot be applied; nothing has changed then.
    pub fn apply(&mut self, stream: &[u8]) -> Result<usize, StateError> {
        let mut changed: BTreeMap<Vec<u8>, Table> = BTreeMap::new();
        let mut declared = Vec::new();
        let mut count = 0;
        for intent in intent::intents(stream) {
            let intent = intent?;
            count += 1;
            let mut canonical = Vec::new();
            let (start, count_of_fields) = canonical_key(&intent.key, &mut canonical)?;
            let fields = canonical.split_off(start);
            let value = match intent.operation {
                Operation::New => definite(intent.value)?,
                Operation::Update => {
                    let of = |tables: &'_ BTreeMap<Vec<u8>, Table>| tables.get(&canonical)?.get(&fields).cloned();
                    let existing = of(&changed).or_else(|| of(&self.tables));
                    let existing = existing.ok_or_else(|| StateError::UpdateOfAbsent {
                        storage: intent.key.storage.to_string(),
                        entity: intent.key.entity.to_string(),
                    })?;
                    merged(ValueRef::new(&existing.value), intent.value)?
                }
            };
            declared.push(intent.key.storage);
            let key = key_map(&fields, count_of_fields);
            changed.entry(canonical).or_default().insert(fields, Record { key, value });
        }
        for storage in declared {
            self.declare_storage(storage);
        }
        for (entity, records) in changed {
            self.tables.entry(entity).or_default().extend(records);
        }
        Ok(count)
    }
}

fn known(declared: &BTreeSet<String>, storage: &str) -> Result<(), StateError> {
    if storage::is_well_known(storage) || declared.contains(storage) {
        Ok(())
    } else {
        Err(StateError::UnsupportedStorage { storage: storage.to_string() })
    }
}

fn invalid(key: &Key<'_>, reason: String) -> StateError {
    StateError::InvalidKey { storage: key.storage.to_string(), reason }
}

/// Appends the canonical form of the whole key; returns where its fields begin and how many there are.
fn canonical_key(key: &Key<'_>, out: &mut Vec<u8>) -> Result<(usize, u64), StateError> {
    canonical_prefix(key, out);
    let start = out.len();
    let fields = append_fields(key.object(), out).map_err(|reason| invalid(key, reason))?;
    Ok((start, fields))
}

fn canonical_prefix(key: &Key<'_>, out: &mut Vec<u8>) {
    append_text(key.storage, out);
    append_text(key.entity, out);
}

/// Appends the fields of an object sorted by name and returns how many there are.
fn append_fields(object: ValueRef<'_>, out: &mut Vec<u8>) -> Result<u64, String> {
    if let Some((fields, count)) = quick::canonical_fields(object.bytes()) {
        out.extend_from_slice(fields);
        return Ok(count);
    }
    let start = out.len();
    let mut last = None;
    let mut count = 0;
    for field in object.fields().map_err(|error| error.to_string())? {
        let (name, value) = field.map_err(|error| error.to_string())?;
        if last.is_some_and(|last| last >= name) {
            out.truncate(start);
            return append_sorted(object, out);
        }
        append_field(name, value, out)?;
        last = Some(name);
        count += 1;
    }
    Ok(count)
}

#[cold]
fn append_sorted(object: ValueRef<'_>, out: &mut Vec<u8>) -> Result<u64, String> {
    let fields: Result<Vec<_>, ValueError> = object.fields().map_err(|error| error.to_string())?.collect();
    let mut fields = fields.map_err(|error| error.to_string())?;
    fields.sort_by_key(|(name, _)| *name);
    for pair in fields.windows(2) {
        if pair[0].0 == pair[1].0 {
            return Err(alloc::format!("field `{}` is put twice", pair[0].0));
        }
    }
    for (name, value) in &fields {
        append_field(name, *value, out)?;
    }
    Ok(fields.len() as u64)
}

fn append_field(name: &str, value: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    let _ = Encoder::new(&mut *out).str(name);
    append_scalar(value, out).map_err(|error| alloc::format!("field `{name}`: {error}"))
}

/// Appends a key field's value so that equal values have equal bytes: numbers that are integers as such, in their
/// shortest form, other floats with 64 bits.
fn append_scalar(value: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), ValueError> {
    let mut encoder = Encoder::new(&mut *out);
    match value.kind()? {
        Kind::Integer => drop(encoder.i64(value.as_i64()?)),
        Kind::Float32 | Kind::Float64 => {
            let float = value.as_f64()?;
            #[expect(clippy::cast_possible_truncation, reason = "checked by converting back")]
            let integer = float as i64;
            #[expect(clippy::cast_precision_loss, reason = "that is the check")]
            let exact = integer as f64 == float && integer.unsigned_abs() <= 1 << 53;
            if exact { drop(encoder.i64(integer)) } else { drop(encoder.f64(float)) }
        }
        Kind::Text => drop(encoder.str(value.as_str()?)),
        Kind::Bytes => drop(encoder.bytes(value.as_bytes()?)),
        Kind::Bool => drop(encoder.bool(value.as_bool()?)),
        Kind::QName => out.extend_from_slice(value.exact_bytes()?),
        found => {
            return Err(ValueError::WrongType { asked: "a key field", found });
        }
    }
    Ok(())
}

fn canonical_fields(object: ValueRef<'_>) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut wanted = Vec::new();
    for field in object.fields().map_err(|error| error.to_string())? {
        let (name, value) = field.map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        append_scalar(value, &mut bytes).map_err(|error| alloc::format!("field `{name}`: {error}"))?;
        wanted.push((name.to_string(), bytes));
    }
    Ok(wanted)
}

fn matches(key: &[u8], wanted: &[(String, Vec<u8>)]) -> bool {
    let key = ValueRef::new(key);
    wanted.iter().all(|(name, bytes)| {
        let found = key.field(name).ok().flatten();
        found.and_then(|value| value.exact_bytes().ok()) == Some(bytes)
    })
}

fn key_map(fields: &[u8], count: u64) -> Vec<u8> {
    let mut map = Vec::with_capacity(fields.len() + 3);
    let _ = Encoder::new(&mut map).map(count);
    map.extend_from_slice(fields);
    map
}

/// The value with all lengths definite; of a field that was written twice, the last.
fn definite(value: ValueRef<'_>) -> Result<Vec<u8>, WireError> {
    let mut out = Vec::new();
    append_definite(value, &mut out)?;
    Ok(out)
}

fn append_definite(value: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), WireError> {
    let wire = |error| match error {
        ValueError::Malformed(error) => error,
        _ => WireError::Malformed { at: 0 },
    };
    match value.kind().map_err(wire)? {
        Kind::Object => {
            let mut fields = LastOfEach::default();
            for field in value.fields().map_err(wire)? {
                let (name, value) = field.map_err(wire)?;
                fields.set(name, value);
            }
            append_object(&fields.fields, out)
        }
        Kind::Array => {
            let items: Result<Vec<_>, _> = value.items().map_err(wire)?.collect();
            let items = items.map_err(wire)?;
            let _ = Encoder::new(&mut *out).array(items.len() as u64);
            items.into_iter().try_for_each(|item| append_definite(item, out))
        }
        _ => {
            out.extend_from_slice(value.exact_bytes().map_err(wire)?);
            Ok(())
        }
    }
}

fn append_object(fields: &[(&str, ValueRef<'_>)], out: &mut Vec<u8>) -> Result<(), WireError> {
    let _ = Encoder::new(&mut *out).map(fields.len() as u64);
    for (name, value) in fields {
        let _ = Encoder::new(&mut *out).str(name);
        append_definite(*value, out)?;
    }
    Ok(())
}

/// Fields in the order in which each was first written; of one that was written again, the last value.
#[derive(Default)]
struct LastOfEach<'a> {
    fields: Vec<(&'a str, ValueRef<'a>)>,
    /// Where each name stands, once there are so many that looking at all of them for each would be slow.
    places: BTreeMap<&'a str, usize>,
}

impl<'a> LastOfEach<'a> {
    /// Fields up to which a look at all of them is faster than a map of their places.
    const FEW: usize = 16;

    fn set(&mut self, name: &'a str, value: ValueRef<'a>) {
        let place = match self.fields.len() {
            ..=Self::FEW => self.fields.iter().position(|(found, _)| *found == name),
            many => {
                if self.places.is_empty() {
                    self.places = self.fields.iter().enumerate().map(|(at, (name, _))| (*name, at)).collect();
                }
                let place = *self.places.entry(name).or_insert(many);
                (place < many).then_some(place)
            }
        };
        match place {
            Some(place) => self.fields[place].1 = value,
            None => self.fields.push((name, value)),
        }
    }
}

fn merged(existing: ValueRef<'_>, changes: ValueRef<'_>) -> Result<Vec<u8>, WireError> {
    let wire = |_| WireError::Malformed { at: 0 };
    let mut fields = LastOfEach::default();
    for field in existing.fields().map_err(wire)?.chain(changes.fields().map_err(wire)?) {
        let (name, value) = field.map_err(wire)?;
        fields.set(name, value);
    }
    let mut out = Vec::new();
    append_object(&fields.fields, &mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec;

    fn key(storage: &str, entity: &str, fill: impl FnOnce(&mut ObjectWriter<'_, Vec<u8>>)) -> Vec<u8> {
        let mut bytes = Vec::new();
        Encoder::new(&mut bytes).str(storage).unwrap().str(entity).unwrap();
        let mut fields = ObjectWriter::begin(&mut bytes);
        fill(&mut fields);
        fields.end();
        bytes
    }

    fn intent(operation: Operation, key: &[u8], fill: impl FnOnce(&mut ObjectWriter<'_, Vec<u8>>)) -> Vec<u8> {
        let mut bytes = Vec::new();
        intent::encode_header(&mut bytes, operation);
        bytes.extend_from_slice(key);
        let mut fields = ObjectWriter::begin(&mut bytes);
        fill(&mut fields);
        fields.end();
        bytes
    }

    fn field(state: &mut MemoryState, key: &[u8], name: &str) -> Option<i64> {
        let value = state.get(&Key::parse(key).unwrap()).unwrap()?;
        Some(ValueRef::new(value).field(name).unwrap()?.as_i64().unwrap())
    }

    fn views() -> MemoryState {
        let mut state = MemoryState::new();
        for year in [2022, 2023] {
            for month in 1..=12 {
                let fill = |key: &mut ObjectWriter<'_, Vec<u8>>| {
                    key.put_i32("Year", year).put_i32("Month", month);
                };
                state
                    .put(storage::VIEW, "Orders", fill, |value| {
                        value.put_i32("Amount", year + month);
                    })
                    .unwrap();
            }
        }
        state
    }

    #[test]
    fn the_order_and_the_width_of_key_fields_do_not_matter() {
        let mut state = views();
        let sorted = key(storage::VIEW, "Orders", |key| {
            key.put_f64("Month", 3.0).put_i64("Year", 2023);
        });
        assert_eq!(field(&mut state, &sorted, "Amount"), Some(2026));
        let other = key(storage::VIEW, "Orders", |key| {
            key.put_i64("Year", 2023).put_i32("Month", 13);
        });
        assert_eq!(field(&mut state, &other, "Amount"), None);
    }

    #[test]
    fn an_unknown_storage_is_an_error_and_a_missing_record_is_not() {
        let mut state = MemoryState::new();
        let unknown = key("my.Storage", "", |_| ());
        let unsupported = StateError::UnsupportedStorage { storage: "my.Storage".to_string() };
        assert_eq!(state.get(&Key::parse(&unknown).unwrap()), Err(unsupported));
        state.declare_storage("my.Storage");
        assert_eq!(state.get(&Key::parse(&unknown).unwrap()), Ok(None));
        assert_eq!(state.get(&Key::of_storage(storage::EVENT)), Ok(None));
    }

    #[test]
    fn rows_come_in_chunks_of_whole_rows_and_each_once() {
        let mut state = views();
        let partial = key(storage::VIEW, "Orders", |key| {
            key.put_i32("Year", 2022);
        });
        let partial = Key::parse(&partial).unwrap();
        for room in [40, 64, 100, 4096] {
            let mut out = vec![0; room];
            let mut last: Option<Vec<u8>> = None;
            let mut amounts = Vec::new();
            loop {
                let after = last.as_deref().map(ValueRef::new);
                let written = state.read(&partial, after, &mut out).unwrap();
                if written == 0 {
                    break;
                }
                assert!(written <= room);
                let mut rest = &out[..written];
                while !rest.is_empty() {
                    let key = ValueRef::new(rest).exact_bytes().unwrap();
                    let value = ValueRef::new(&rest[key.len()..]).exact_bytes().unwrap();
                    amounts.push(ValueRef::new(value).field("Amount").unwrap().unwrap().as_i32().unwrap());
                    last = Some(key.to_vec());
                    rest = &rest[key.len() + value.len()..];
                }
            }
            assert_eq!(amounts, (2023..=2034).collect::<Vec<_>>(), "room {room}");
        }
        let needed = state.read(&partial, None, &mut [0; 5]).unwrap();
        assert!(needed > 5, "a row that does not fit says what it needs: {needed}");
    }

    #[test]
    fn intents_apply_all_or_none() {
        let mut state = views();
        let before = state.clone();
        let view = key(storage::VIEW, "Orders", |key| {
            key.put_i32("Month", 1).put_i32("Year", 2023);
        });
        let fresh = key("my.Other", "x", |_| ());
        let update = intent(Operation::Update, &view, |value| {
            value.put_i32("Extra", 5);
        });
        let new = intent(Operation::New, &fresh, |value| {
            value.put_i32("A", 1);
        });
        let change = intent(Operation::Update, &fresh, |value| {
            value.put_i32("A", 2).put_i32("A", 3);
        });
        let absent = intent(Operation::Update, &key("my.Nothing", "", |_| ()), |_| ());

        let failing = [update.as_slice(), &new, &absent].concat();
        assert!(matches!(state.apply(&failing), Err(StateError::UpdateOfAbsent { .. })));
        assert_eq!(state, before);
        let cut = [update.as_slice(), &new[..new.len() - 1]].concat();
        assert_eq!(state.apply(&cut), Err(StateError::Malformed(WireError::Truncated)));
        assert_eq!(state, before);

        assert_eq!(state.apply(&[update, new, change].concat()), Ok(3));
        assert_eq!(field(&mut state, &view, "Extra"), Some(5));
        assert_eq!(field(&mut state, &view, "Amount"), Some(2024), "an update leaves other fields");
        assert_eq!(field(&mut state, &fresh, "A"), Some(3), "of a field written twice the last counts");
    }

    #[test]
    fn of_many_fields_the_last_value_of_each_counts_in_the_place_of_the_first() {
        for count in [1, LastOfEach::FEW, LastOfEach::FEW + 1, LastOfEach::FEW + 2, 200] {
            let names: Vec<String> = (0..count).map(|number| alloc::format!("f{number}")).collect();
            let mut state = MemoryState::new();
            let put = |value: &mut ObjectWriter<'_, Vec<u8>>| {
                for round in 0..3 {
                    for (number, name) in (0..).zip(&names) {
                        value.put_i32(name, round * 1000 + number);
                    }
                }
            };
            state.put(storage::VIEW, "", |_| (), put).unwrap();
            let value = state.get(&Key::of_storage(storage::VIEW)).unwrap().unwrap();
            let fields: Result<Vec<_>, _> = ValueRef::new(value).fields().unwrap().collect();
            let fields: Vec<_> = fields.unwrap().iter().map(|(name, value)| (*name, value.as_i32().unwrap())).collect();
            let wanted: Vec<_> = (2000..).zip(&names).map(|(number, name)| (name.as_str(), number)).collect();
            assert_eq!(fields, wanted, "{count}");
        }
    }

    #[test]
    fn a_key_that_no_record_can_have_is_refused() {
        let mut state = MemoryState::new();
        let twice = key(storage::VIEW, "", |key| {
            key.put_i32("A", 1).put_i32("A", 2);
        });
        let refused = state.get(&Key::parse(&twice).unwrap()).unwrap_err().to_string();
        assert!(refused.contains("field `A` is put twice"), "{refused}");
        let nested = key(storage::VIEW, "", |key| key.put_array("A", |_| ()));
        assert!(matches!(Key::parse(&nested), Err(WireError::Unsupported { .. })));
    }
}
