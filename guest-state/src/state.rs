//! The records, and reads from and writes to them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use guest_abi::intent::{self, Operation};
use guest_abi::key::Key;
use guest_abi::storage;
use guest_abi::value::{ObjectEncoder, ValueRef};

use crate::MemoryStateError;
use crate::canonical::{Fields, Wanted, append_key, append_prefix, key_map};
use crate::merge::{definite, merged};
use crate::record;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    /// The key's fields as a map of definite length.
    key: Vec<u8>,
    /// The value as an object of definite length.
    value: Vec<u8>,
}

/// The records of one entity, by the canonical form of their keys' fields.
type Table = BTreeMap<Vec<u8>, Record>;

/// Records in memory, with the semantics of a host's state. See the [crate] for keys, order and intents.
///
/// ```
/// use guest_abi::cbor::encode;
/// use guest_abi::intent::{self, Operation};
/// use guest_abi::key::Key;
/// use guest_state::MemoryState;
///
/// // A guest leaves the intent to make a record, and the host applies it.
/// let mut key = Vec::new();
/// encode::element(&mut key, "sys.View");
/// encode::element(&mut key, "shop.Orders");
/// encode::object_of(&mut key, 0);
/// let mut intents = Vec::new();
/// intent::begin(&mut intents, Operation::New, &key);
/// encode::field(&mut intents, "Amount", 400_i64);
/// encode::mark(&mut intents, encode::END);
///
/// let mut state = MemoryState::new();
/// assert_eq!(state.apply(&intents)?, 1);
/// assert!(state.get(&Key::parse(&key)?)?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    /// use guest_abi::storage;
    /// use guest_state::MemoryState;
    ///
    /// let mut state = MemoryState::new();
    /// state.put(storage::VIEW, "shop.Orders", |key| { key.put_i32("Year", 2023); }, |value| { value.put_i64("Amount", 400); })?;
    /// assert_eq!(state.len(), 1);
    /// # Ok::<(), guest_state::MemoryStateError>(())
    /// ```
    ///
    /// # Errors
    /// [`MemoryStateError`] if the key is not valid.
    pub fn put(
        &mut self,
        storage: &str,
        entity: &str,
        key: impl FnOnce(&mut ObjectEncoder<'_, Vec<u8>>),
        value: impl FnOnce(&mut ObjectEncoder<'_, Vec<u8>>),
    ) -> Result<(), MemoryStateError> {
        let (key, value) = (record::key(storage, entity, key), record::object(value));
        self.insert(&Key::parse(&key)?, ValueRef::new(&value))
    }

    /// Writes a record; a record with the same key is replaced. Its storage becomes known.
    ///
    /// # Errors
    /// [`MemoryStateError`] if the key or the value is not valid.
    pub fn insert(&mut self, key: &Key<'_>, value: ValueRef<'_>) -> Result<(), MemoryStateError> {
        let mut canonical = Vec::new();
        let (start, fields) = append_key(key, &mut canonical)?;
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
    /// [`MemoryStateError::UnsupportedStorage`] or [`MemoryStateError::InvalidKey`]. An absent record is not an error.
    pub fn get(&mut self, key: &Key<'_>) -> Result<Option<&[u8]>, MemoryStateError> {
        let mut canonical = std::mem::take(&mut self.scratch);
        canonical.clear();
        let found = append_key(key, &mut canonical).map(|(start, _)| {
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

    /// Checks that a storage may be read.
    ///
    /// # Errors
    /// [`MemoryStateError::UnsupportedStorage`] if it may not.
    pub fn check_storage(&self, storage: &str) -> Result<(), MemoryStateError> {
        known(&self.declared, storage)
    }

    /// Writes the rows that match a partial key into `out`, as many whole ones as fit: for each its key map and its
    /// value. The first one is the row behind the one whose key map is `after`.
    ///
    /// Returns the number of bytes written, and 0 if there are no more rows. If not even the first row fits, returns the
    /// number of bytes that it needs, which is larger than `out`.
    ///
    /// # Errors
    /// [`MemoryStateError::UnsupportedStorage`] or [`MemoryStateError::InvalidKey`].
    pub fn read(
        &mut self,
        key: &Key<'_>,
        after: Option<ValueRef<'_>>,
        out: &mut [u8],
    ) -> Result<usize, MemoryStateError> {
        self.check_storage(key.storage)?;
        let mut entity = Vec::new();
        append_prefix(key, &mut entity);
        let wanted = Wanted::of(key)?;
        let start = match after {
            None => Bound::Unbounded,
            Some(row) => Bound::Excluded(Fields::of_row(key, row)?.bytes),
        };
        let Some(table) = self.tables.get(&entity) else {
            return Ok(0);
        };
        let mut written = 0;
        for record in table.range((start, Bound::Unbounded)).map(|(_, record)| record) {
            if !wanted.matches(&record.key) {
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

    /// Applies a stream of intents, all or none, and returns their number.
    ///
    /// A new intent writes its record, whether or not there was one. An update changes the fields that it names and
    /// keeps the others.
    ///
    /// # Errors
    /// [`MemoryStateError`] of the first intent that cannot be applied. The state is unchanged then.
    pub fn apply(&mut self, stream: &[u8]) -> Result<usize, MemoryStateError> {
        let mut changed: BTreeMap<Vec<u8>, Table> = BTreeMap::new();
        let mut declared = Vec::new();
        let mut count = 0;
        for intent in intent::intents(stream) {
            let intent = intent?;
            count += 1;
            let mut canonical = Vec::new();
            let (start, count_of_fields) = append_key(&intent.key, &mut canonical)?;
            let fields = canonical.split_off(start);
            let value = match intent.operation {
                Operation::New => definite(intent.value)?,
                Operation::Update => {
                    let of = |tables: &'_ BTreeMap<Vec<u8>, Table>| tables.get(&canonical)?.get(&fields).cloned();
                    let existing = of(&changed).or_else(|| of(&self.tables));
                    let existing = existing.ok_or_else(|| MemoryStateError::UpdateOfAbsent {
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

fn known(declared: &BTreeSet<String>, storage: &str) -> Result<(), MemoryStateError> {
    if storage::is_well_known(storage) || declared.contains(storage) {
        Ok(())
    } else {
        Err(MemoryStateError::UnsupportedStorage { storage: storage.to_string() })
    }
}
