//! Stores as a state sees them: ordered maps of bytes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::error::Error;
use std::ops::Bound;
use std::sync::Arc;

/// An ordered map from bytes to bytes that can be read: a table of a key-value store, or a snapshot of one.
///
/// Keys are ordered byte by byte, as the keys of a `BTreeMap<Vec<u8>, Vec<u8>>` are. For a state that also takes intents,
/// implement [`OrderedMapMut`] besides. [`StoredState`](crate::StoredState) is the state over such a map.
pub trait OrderedMap {
    /// The store's own error.
    type Error: Error + Send + Sync + 'static;

    /// The value of this key.
    ///
    /// # Errors
    /// The store's own. An absent key is not an error.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Self::Error>;

    /// Gives each key from `first` on with its value to `visit`, in ascending order, until `visit` returns `false`.
    ///
    /// # Errors
    /// The store's own.
    fn range(&self, first: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), Self::Error>;
}

/// An ordered map from bytes to bytes that can be written too.
pub trait OrderedMapMut: OrderedMap {
    /// Writes all entries, or none if this fails. An entry with the key of an existing one replaces it.
    ///
    /// # Errors
    /// The store's own.
    fn write(&mut self, entries: BTreeMap<Vec<u8>, Vec<u8>>) -> Result<(), Self::Error>;
}

impl OrderedMap for BTreeMap<Vec<u8>, Vec<u8>> {
    type Error = Infallible;

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.get(key).cloned())
    }

    fn range(&self, first: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), Infallible> {
        let mut entries = BTreeMap::range::<[u8], _>(self, (Bound::Included(first), Bound::Unbounded));
        entries.all(|(key, value)| visit(key, value));
        Ok(())
    }
}

impl OrderedMapMut for BTreeMap<Vec<u8>, Vec<u8>> {
    fn write(&mut self, entries: BTreeMap<Vec<u8>, Vec<u8>>) -> Result<(), Infallible> {
        self.extend(entries);
        Ok(())
    }
}

macro_rules! through {
    ($($pointer:ty),+) => {$(
        impl<M: OrderedMap + ?Sized> OrderedMap for $pointer {
            type Error = M::Error;

            fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, M::Error> {
                (**self).get(key)
            }

            fn range(&self, first: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), M::Error> {
                (**self).range(first, visit)
            }
        }
    )+};
}

through!(&M, &mut M, Arc<M>);

impl<M: OrderedMapMut + ?Sized> OrderedMapMut for &mut M {
    fn write(&mut self, entries: BTreeMap<Vec<u8>, Vec<u8>>) -> Result<(), M::Error> {
        (**self).write(entries)
    }
}
