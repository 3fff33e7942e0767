//! Writes that a map below does not have yet.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::{OrderedMap, OrderedMapMut};

/// An ordered map and what was written since, which the map itself does not get: a transaction in the making. Reads find the
/// written entries in the place of the map's own.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use guest_state::{OrderedMap, Overlay, StoredState};
///
/// let committed = BTreeMap::new();
/// let mut state = StoredState::new(Overlay::new(&committed));
/// state.put("sys.View", "shop.Orders", |_| {}, |value| { value.put_i64("Amount", 400); })?;
/// let written = state.into_map().into_written();
/// assert_eq!((committed.len(), written.len()), (0, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Overlay<M> {
    below: M,
    written: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl<M> Overlay<M> {
    /// The map, with nothing written yet.
    pub const fn new(below: M) -> Self {
        Self { below, written: BTreeMap::new() }
    }

    /// The map below.
    pub const fn below(&self) -> &M {
        &self.below
    }

    /// The entries that were written.
    pub const fn written(&self) -> &BTreeMap<Vec<u8>, Vec<u8>> {
        &self.written
    }

    /// The entries that were written, without the map.
    pub fn into_written(self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.written
    }
}

impl<M: OrderedMap> OrderedMap for Overlay<M> {
    type Error = M::Error;

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, M::Error> {
        match self.written.get(key) {
            Some(value) => Ok(Some(value.clone())),
            None => self.below.get(key),
        }
    }

    fn range(&self, first: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), M::Error> {
        let mut written = self.written.range::<[u8], _>((Bound::Included(first), Bound::Unbounded)).peekable();
        let mut goes_on = true;
        self.below.range(first, &mut |key, value| {
            while goes_on && let Some((before, value)) = written.next_if(|(written, _)| written.as_slice() < key) {
                goes_on = visit(before, value);
            }
            if goes_on {
                let in_its_place = written.next_if(|(written, _)| written.as_slice() == key);
                goes_on = visit(key, in_its_place.map_or(value, |(_, value)| value));
            }
            goes_on
        })?;
        if goes_on {
            written.all(|(key, value)| visit(key, value));
        }
        Ok(())
    }
}

impl<M: OrderedMap> OrderedMapMut for Overlay<M> {
    fn write(&mut self, entries: BTreeMap<Vec<u8>, Vec<u8>>) -> Result<(), M::Error> {
        self.written.extend(entries);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(keys: &str, value: u8) -> BTreeMap<Vec<u8>, Vec<u8>> {
        keys.bytes().map(|key| (vec![key], vec![value])).collect()
    }

    /// At most `most` keys from `first` on, each with the map that has its value.
    fn read(overlay: &Overlay<BTreeMap<Vec<u8>, Vec<u8>>>, first: u8, most: usize) -> String {
        let mut found = String::new();
        let Ok(()) = overlay.range(&[first], &mut |key, value| {
            found.extend([char::from(key[0]), char::from(value[0])]);
            found.len() < 2 * most
        });
        found
    }

    #[test]
    fn a_range_has_the_entries_of_both_in_order_and_each_key_once() {
        let mut overlay = Overlay::new(map("bdf", b'-'));
        assert_eq!(read(&overlay, b'a', 9), "b-d-f-");
        OrderedMapMut::write(&mut overlay, map("adeg", b'+')).unwrap();
        assert_eq!(read(&overlay, b'a', 9), "a+b-d+e+f-g+");
        assert_eq!(read(&overlay, b'd', 9), "d+e+f-g+");
        assert_eq!(read(&overlay, b'g', 9), "g+");
        // It ends where it is told to, whichever of the two the entry is of.
        for most in 1..6 {
            assert_eq!(read(&overlay, b'a', most).len(), 2 * most);
        }
        assert_eq!(read(&Overlay::new(map("", b'-')), b'a', 9), "");
        assert_eq!(
            (overlay.get(b"d").unwrap(), overlay.get(b"f").unwrap()),
            (Some(b"+".to_vec()), Some(b"-".to_vec()))
        );
        assert_eq!((overlay.below().len(), overlay.into_written().len()), (3, 4));
    }
}
