//! Lists that grow by one item after the other.

use core::marker::PhantomData;

use super::area::Area;
use super::build::Build;
use super::error::BuildError;
use super::types::{Flat, List, Reference};

/// A list that grows in an area.
#[derive(Debug, Clone, Copy)]
pub(super) struct Growing<T> {
    count: usize,
    /// Where the first slot is, if the items have no parts: then their slots need not wait.
    start: usize,
    item: PhantomData<fn() -> T>,
}

impl<T: Flat> Growing<T> {
    pub(super) const fn new() -> Self {
        Self { count: 0, start: 0, item: PhantomData }
    }

    /// Adds an item. After an error the area is as it was before.
    #[inline]
    pub(super) fn push(&mut self, area: &mut Area<'_>, value: &impl Build<T>) -> Result<(), BuildError> {
        let filled = area.filled();
        let pushed = self.try_push(area, value);
        match pushed {
            Ok(()) => self.count += 1,
            Err(_) => area.set_filled(filled),
        }
        pushed
    }

    #[inline]
    fn try_push(&mut self, area: &mut Area<'_>, value: &impl Build<T>) -> Result<(), BuildError> {
        let slot = value.place(area)?;
        if !T::LAYOUT.is_inline {
            return area.wait::<T>(slot);
        }
        let start = area.claim(T::LAYOUT.align, T::LAYOUT.size)?;
        T::put(slot, area.part(start, T::LAYOUT.size));
        if self.count == 0 {
            self.start = start;
        }
        Ok(())
    }

    /// Ends the list.
    pub(super) fn finish(self, area: &mut Area<'_>) -> Reference {
        match self.count {
            0 => Reference::EMPTY,
            count if T::LAYOUT.is_inline => Reference::new(self.start, count),
            count => Reference::new(area.settle::<T>(count), count),
        }
    }
}

/// A list that grows in a buffer, item by item. [`Builder::list`](super::Builder::list) begins one.
///
/// ```
/// use guest_abi::flat::{BuildError, Builder, List, Text, read};
///
/// let mut buffer = [0; 64];
/// let mut words = Builder::new(&mut buffer).list::<Text>()?;
/// // As many words as fit.
/// for word in "a rather long text with too many words".split(' ') {
///     if let Err(BuildError::TooSmall { .. }) = words.push(word) {
///         break;
///     }
/// }
/// let bytes = words.finish();
/// assert_eq!(read::<List<Text>>(bytes)?.iter().collect::<Vec<_>>(), ["a", "rather", "long"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "the value is complete after `finish`"]
pub struct ListBuilder<'a, T: Flat> {
    area: Area<'a>,
    list: Growing<T>,
}

impl<'a, T: Flat> ListBuilder<'a, T> {
    pub(super) const fn new(area: Area<'a>) -> Self {
        Self { area, list: Growing::new() }
    }

    /// Adds an item. After an error the list is as it was before, and you may still finish it.
    ///
    /// # Errors
    /// [`BuildError`] if the item does not fit.
    #[inline]
    pub fn push(&mut self, value: impl Build<T>) -> Result<(), BuildError> {
        self.list.push(&mut self.area, &value)
    }

    /// Adds items up to the first one that does not fit.
    ///
    /// ```
    /// use guest_abi::flat::{Builder, List, Text, read};
    ///
    /// let mut buffer = vec![0; 1 << 20];
    /// let mut list = Builder::new(&mut buffer).list::<Text>()?;
    /// list.extend((0..10_000).map(|number| format!("number {number}")))?;
    /// let bytes = list.finish();
    /// assert_eq!(read::<List<Text>>(bytes)?.get(9_999), Some("number 9999"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`BuildError`] if an item does not fit.
    pub fn extend<V: Build<T>>(&mut self, values: impl IntoIterator<Item = V>) -> Result<(), BuildError> {
        values.into_iter().try_for_each(|value| self.push(value))
    }

    /// Number of items.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.list.count
    }

    /// Whether there are no items.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.list.count == 0
    }

    /// Ends the list, which is the whole value, and returns exactly the bytes of the value.
    #[must_use]
    pub fn finish(self) -> &'a [u8] {
        let Self { mut area, list } = self;
        let slot = list.finish(&mut area);
        area.finish::<List<T>>(slot)
    }

    /// Fills a nested list and ends it.
    pub(super) fn nested(
        area: &mut Area<'_>,
        fill: impl FnOnce(&mut ListBuilder<'_, T>) -> Result<(), BuildError>,
    ) -> Result<Reference, BuildError> {
        let buffer = area.buffer();
        let mut nested = ListBuilder::new(area.nested());
        fill(&mut nested)?;
        let ListBuilder { area: mut inner, list } = nested;
        if inner.buffer() != buffer {
            // The function put a builder of another buffer in place of this one, so there are no items here.
            return Ok(Reference::EMPTY);
        }
        let slot = list.finish(&mut inner);
        let filled = inner.filled();
        area.set_filled(filled);
        Ok(slot)
    }
}
