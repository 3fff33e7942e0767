//! A state over an ordered map of bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;

use guest_abi::cbor::{Head, WireError, encode, major};
use guest_abi::intent::{self, Intent, Operation};
use guest_abi::key::Key;
use guest_abi::storage;
use guest_abi::value::{ObjectEncoder, ValueRef};

use crate::canonical::{Fields, Wanted, append_key, append_prefix};
use crate::merge::{definite, merged};
use crate::record::{self, Page};
use crate::{MemoryStateError, OrderedMap, OrderedMapMut};

/// A state whose records lie in an ordered map of bytes, for instance in a table of a key-value store.
///
/// It answers as [`MemoryState`](crate::MemoryState) does: the same reads, pages, partial matches, intents and errors. Each
/// record is one entry: the [canonical key](record::canonical_key), and behind it the value.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use guest_abi::key::Key;
/// use guest_abi::value::ValueRef;
/// use guest_state::{StoredState, record};
///
/// let mut state = StoredState::new(BTreeMap::new());
/// for month in 1..=3 {
///     state.put("sys.View", "shop.Orders", |key| { key.put_i32("Month", month); }, |value| { value.put_i32("Amount", 100 * month); })?;
/// }
/// let key = record::key("sys.View", "shop.Orders", |key| { key.put_i32("Month", 2); });
/// let value = state.get(&Key::parse(&key)?)?.unwrap();
/// assert_eq!(ValueRef::new(value).field("Amount")?.unwrap().as_i32()?, 200);
/// assert_eq!(state.map().len(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct StoredState<M> {
    map: M,
    /// Begins the key of every entry.
    prefix: Vec<u8>,
    declared: BTreeSet<String>,
    /// The value that was read last.
    value: Vec<u8>,
}

impl<M> StoredState<M> {
    /// The state whose records are all entries of this map.
    pub const fn new(map: M) -> Self {
        Self { map, prefix: Vec::new(), declared: BTreeSet::new(), value: Vec::new() }
    }

    /// The state of one of several owners that share the map. The records of others are not seen.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    ///
    /// use guest_state::StoredState;
    ///
    /// let mut map = BTreeMap::new();
    /// for owner in ["a", "ab"] {
    ///     StoredState::of(owner, &mut map).put("my.Store", "", |_| {}, |value| { value.put_bool("mine", true); })?;
    /// }
    /// assert_eq!(map.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of(owner: &str, map: M) -> Self {
        let mut prefix = Vec::new();
        encode::element(&mut prefix, owner);
        Self { prefix, ..Self::new(map) }
    }

    /// Makes a storage known, so that reading it finds nothing instead of failing. The map does not keep this.
    pub fn declare_storage(&mut self, storage: &str) {
        self.declared.insert(storage.to_owned());
    }

    /// The map.
    pub const fn map(&self) -> &M {
        &self.map
    }

    /// The map, to change it.
    pub const fn map_mut(&mut self) -> &mut M {
        &mut self.map
    }

    /// The map, without the state over it.
    pub fn into_map(self) -> M {
        self.map
    }
}

impl<M: OrderedMap> StoredState<M> {
    /// The value of the record with this key.
    ///
    /// # Errors
    /// [`StoredStateError`]; an absent record is not an error.
    pub fn get(&mut self, key: &Key<'_>) -> Result<Option<&[u8]>, StoredStateError<M::Error>> {
        Ok(self.find(key)?.map(|value| {
            self.value = value;
            self.value.as_slice()
        }))
    }

    /// The value of the record with this key, for readers that share the state.
    ///
    /// # Errors
    /// As for [`StoredState::get`].
    pub fn find(&self, key: &Key<'_>) -> Result<Option<Vec<u8>>, StoredStateError<M::Error>> {
        let mut place = self.prefix.clone();
        append_key(key, &mut place)?;
        let found = self.value_at(&place)?;
        if found.is_none() {
            self.check_storage(key.storage)?;
        }
        Ok(found)
    }

    /// Writes the rows that match a partial key into `out`, as [`MemoryState::read`](crate::MemoryState::read) does.
    ///
    /// # Errors
    /// [`StoredStateError`].
    pub fn read(
        &self,
        key: &Key<'_>,
        after: Option<ValueRef<'_>>,
        out: &mut [u8],
    ) -> Result<usize, StoredStateError<M::Error>> {
        Ok(self.page(key, after, out.len())?.copy_to(out))
    }

    /// The rows that match a partial key, starting behind the row whose key map is `after`: as many whole ones as fit `room`
    /// bytes, or the next one alone if it is larger.
    ///
    /// # Errors
    /// [`StoredStateError`].
    pub fn page(
        &self,
        key: &Key<'_>,
        after: Option<ValueRef<'_>>,
        room: usize,
    ) -> Result<Page, StoredStateError<M::Error>> {
        let mut page = Page::new(room);
        self.rows(key, after, |map, value| page.push(map, value))?;
        Ok(page)
    }

    /// Gives the key map and the value of each row that matches a partial key to `visit`, until `visit` returns `false`. The
    /// first one is the row behind the one whose key map is `after`.
    ///
    /// # Errors
    /// [`StoredStateError`].
    pub fn rows(
        &self,
        key: &Key<'_>,
        after: Option<ValueRef<'_>>,
        mut visit: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoredStateError<M::Error>> {
        self.check_storage(key.storage)?;
        let wanted = Wanted::of(key)?;
        let mut entity = self.prefix.clone();
        append_prefix(key, &mut entity);
        let mut first = entity.clone();
        if let Some(row) = after {
            first.extend(Fields::of_row(key, row)?.bytes);
            // No key lies between another and the same with a zero behind it.
            first.push(0);
        }
        let (mut damaged, mut row_key) = (false, Vec::new());
        let mut visit_entry = |place: &[u8], entry: &[u8]| {
            let Some(fields) = place.strip_prefix(entity.as_slice()) else {
                return false;
            };
            let Some((head, value)) = parts(entry) else {
                damaged = true;
                return false;
            };
            row_key.clear();
            row_key.extend_from_slice(head);
            row_key.extend_from_slice(fields);
            !wanted.matches(&row_key) || visit(&row_key, value)
        };
        self.map.range(&first, &mut visit_entry).map_err(StoredStateError::Map)?;
        if damaged { Err(StoredStateError::Damaged) } else { Ok(()) }
    }

    /// Checks that a storage may be read: it is well known, declared, or has a record.
    ///
    /// # Errors
    /// [`MemoryStateError::UnsupportedStorage`] if it may not.
    pub fn check_storage(&self, storage: &str) -> Result<(), StoredStateError<M::Error>> {
        if storage::is_well_known(storage) || self.declared.contains(storage) {
            return Ok(());
        }
        let mut first = self.prefix.clone();
        encode::element(&mut first, storage);
        let mut found = false;
        let mut visit = |place: &[u8], _: &[u8]| {
            found = place.starts_with(&first);
            false
        };
        self.map.range(&first, &mut visit).map_err(StoredStateError::Map)?;
        if found { Ok(()) } else { Err(MemoryStateError::UnsupportedStorage { storage: storage.to_owned() }.into()) }
    }

    fn value_at(&self, place: &[u8]) -> Result<Option<Vec<u8>>, StoredStateError<M::Error>> {
        let Some(mut entry) = self.map.get(place).map_err(StoredStateError::Map)? else {
            return Ok(None);
        };
        let (head, _) = parts(&entry).ok_or(StoredStateError::Damaged)?;
        let head = head.len();
        entry.drain(..head);
        Ok(Some(entry))
    }
}

impl<M: OrderedMapMut> StoredState<M> {
    /// Writes a record whose key fields and value fields the closures fill.
    ///
    /// # Errors
    /// [`StoredStateError`].
    pub fn put(
        &mut self,
        storage: &str,
        entity: &str,
        key: impl FnOnce(&mut ObjectEncoder<'_, Vec<u8>>),
        value: impl FnOnce(&mut ObjectEncoder<'_, Vec<u8>>),
    ) -> Result<(), StoredStateError<M::Error>> {
        let (key, value) = (record::key(storage, entity, key), record::object(value));
        self.insert(&Key::parse(&key)?, ValueRef::new(&value))
    }

    /// Writes a record; a record with the same key is replaced. Its storage becomes known.
    ///
    /// # Errors
    /// [`StoredStateError`].
    pub fn insert(&mut self, key: &Key<'_>, value: ValueRef<'_>) -> Result<(), StoredStateError<M::Error>> {
        let mut place = self.prefix.clone();
        let (_, count) = append_key(key, &mut place)?;
        self.map.write(BTreeMap::from([(place, entry(count, &definite(value)?))])).map_err(StoredStateError::Map)
    }

    /// Applies a stream of intents, all or none, by one write to the map. Returns their number.
    ///
    /// A new intent writes its record, whether or not there was one. An update changes the fields that it names and
    /// keeps the others.
    ///
    /// # Errors
    /// [`StoredStateError`] of the first intent that cannot be applied. The map is unchanged then.
    pub fn apply(&mut self, stream: &[u8]) -> Result<usize, StoredStateError<M::Error>> {
        self.apply_if(stream, |_| true)
    }

    /// Applies those intents of a stream for which `keep` returns `true`, as [`StoredState::apply`] does: a host that answers
    /// some storages itself keeps their intents out of its store. Returns the number of those applied.
    ///
    /// # Errors
    /// As for [`StoredState::apply`].
    pub fn apply_if(
        &mut self,
        stream: &[u8],
        mut keep: impl FnMut(&Intent<'_>) -> bool,
    ) -> Result<usize, StoredStateError<M::Error>> {
        let mut changed: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        let mut applied = 0;
        for intent in intent::intents(stream) {
            let intent = intent?;
            if !keep(&intent) {
                continue;
            }
            applied += 1;
            let mut place = self.prefix.clone();
            let (_, count) = append_key(&intent.key, &mut place)?;
            let value = match intent.operation {
                Operation::New => definite(intent.value)?,
                Operation::Update => {
                    let existing = match changed.get(&place) {
                        Some(entry) => parts(entry).map(|(_, value)| value.to_vec()),
                        None => self.value_at(&place)?,
                    };
                    let existing = existing.ok_or_else(|| MemoryStateError::UpdateOfAbsent {
                        storage: intent.key.storage.to_owned(),
                        entity: intent.key.entity.to_owned(),
                    })?;
                    merged(ValueRef::new(&existing), intent.value)?
                }
            };
            changed.insert(place, entry(count, &value));
        }
        self.map.write(changed).map_err(StoredStateError::Map)?;
        Ok(applied)
    }
}

/// A record as the map keeps it: the head of the key's map, whose fields are in the entry's key, and the value.
fn entry(fields: usize, value: &[u8]) -> Vec<u8> {
    let mut entry = Vec::with_capacity(value.len() + 1);
    encode::object_of(&mut entry, fields);
    entry.extend_from_slice(value);
    entry
}

/// The head of the key's map, and the value.
fn parts(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let head = Head::read(entry, 0).filter(|head| head.major == major::MAP)?;
    entry.split_at_checked(head.behind)
}

/// Error of a read from or a write to a [`StoredState`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoredStateError<E> {
    /// A request that no state can serve, with the error that a [`MemoryState`](crate::MemoryState) gives for it.
    State(MemoryStateError),
    /// The map failed.
    Map(E),
    /// An entry of the map that is not a record of a state.
    Damaged,
}

impl<E: fmt::Display> fmt::Display for StoredStateError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(error) => error.fmt(f),
            Self::Map(error) => write!(f, "the store failed: {error}"),
            Self::Damaged => {
                f.write_str("the store has an entry that is not a record; keep other data in another table")
            }
        }
    }
}

impl<E: Error + 'static> Error for StoredStateError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Map(error) => Some(error),
            // Their messages are this error's own.
            Self::State(_) | Self::Damaged => None,
        }
    }
}

impl<E> From<MemoryStateError> for StoredStateError<E> {
    fn from(error: MemoryStateError) -> Self {
        Self::State(error)
    }
}

impl<E> From<WireError> for StoredStateError<E> {
    fn from(error: WireError) -> Self {
        Self::State(error.into())
    }
}
