//! Lists, read in place.

use core::fmt;
use core::marker::PhantomData;
use core::slice::ChunksExact;

use super::read::Source;
use super::types::{Flat, Scalar};

/// A list, read in place.
///
/// ```
/// use guest_abi::flat::{Builder, List, Text, read};
///
/// let mut buffer = [0; 96];
/// let bytes = Builder::new(&mut buffer).build::<List<Text>>(["tea", "jam", "bread"])?;
/// let words = read::<List<Text>>(bytes)?;
/// assert_eq!((words.len(), words.get(2), words.get(3)), (3, Some("bread"), None));
/// assert_eq!(words.iter().rev().collect::<Vec<_>>(), ["bread", "jam", "tea"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ListView<'a, T> {
    source: Source<'a>,
    /// The slots of the items.
    slots: &'a [u8],
    item: PhantomData<fn() -> T>,
}

impl<'a, T: Flat> ListView<'a, T> {
    /// A list with these slots.
    pub(super) const fn new(source: Source<'a>, slots: &'a [u8]) -> Self {
        Self { source, slots, item: PhantomData }
    }

    /// Number of items.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        self.slots.len() / T::LAYOUT.size
    }

    /// Whether there are no items.
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The item with this index, counted from 0. `None` if the list is shorter.
    #[must_use]
    #[inline]
    pub fn get(&self, index: usize) -> Option<T::View<'a>> {
        let start = index.checked_mul(T::LAYOUT.size)?;
        let slot = self.slots.get(start..start.checked_add(T::LAYOUT.size)?)?;
        Some(T::view(self.source, slot))
    }

    /// The items in order.
    #[must_use]
    #[inline]
    pub fn iter(&self) -> Iter<'a, T> {
        Iter { source: self.source, slots: self.slots.chunks_exact(T::LAYOUT.size), item: PhantomData }
    }
}

impl<'a, T: Scalar> ListView<'a, T> {
    /// The bytes of the items, one item behind the other, little-endian.
    ///
    /// ```
    /// use guest_abi::flat::{Builder, List, read};
    ///
    /// let mut buffer = [0; 32];
    /// let bytes = Builder::new(&mut buffer).build::<List<u16>>([1, 2])?;
    /// assert_eq!(read::<List<u16>>(bytes)?.as_bytes(), [1, 0, 2, 0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    #[inline]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.slots
    }
}

impl<T> Clone for ListView<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for ListView<'_, T> {}

impl<T: Flat> PartialEq for ListView<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().zip(other.iter()).all(|(one, another)| one == another)
    }
}

impl<T: Flat> fmt::Debug for ListView<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a, T: Flat> IntoIterator for ListView<'a, T> {
    type Item = T::View<'a>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// The items of a list, in order. See [`ListView::iter`].
pub struct Iter<'a, T> {
    source: Source<'a>,
    slots: ChunksExact<'a, u8>,
    item: PhantomData<fn() -> T>,
}

impl<'a, T: Flat> Iterator for Iter<'a, T> {
    type Item = T::View<'a>;

    #[inline]
    fn next(&mut self) -> Option<T::View<'a>> {
        self.slots.next().map(|slot| T::view(self.source, slot))
    }

    #[inline]
    fn nth(&mut self, index: usize) -> Option<T::View<'a>> {
        self.slots.nth(index).map(|slot| T::view(self.source, slot))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.slots.size_hint()
    }
}

impl<T: Flat> DoubleEndedIterator for Iter<'_, T> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.slots.next_back().map(|slot| T::view(self.source, slot))
    }
}

impl<T: Flat> ExactSizeIterator for Iter<'_, T> {}

impl<T: Flat> core::iter::FusedIterator for Iter<'_, T> {}

impl<T> Clone for Iter<'_, T> {
    fn clone(&self) -> Self {
        Self { source: self.source, slots: self.slots.clone(), item: PhantomData }
    }
}

impl<T: Flat> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}
