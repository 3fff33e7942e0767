//! Lists as arguments: views of the items' column.
#![expect(unsafe_code, reason = "columns are raw memory that the host writes")]

use core::fmt;
use core::iter::FusedIterator;
use core::marker::PhantomData;
use core::ops::Range;

use guest_abi::column::Column;

use super::column::locate;
use super::param::{Datum, ParamType};

/// A list as an argument: a view, without a copy. Items are numbers, `bool`, `&str`, `&[u8]`, `Date`, `Timestamp`, `Decimal`,
/// or `Option` of these.
///
/// For numbers that cannot be null, a slice such as `&[i64]` is simpler.
///
/// ```
/// use guest_sdk::{List, function};
///
/// /// The longest of the words.
/// #[function]
/// fn longest<'a>(words: List<'a, &'a str>) -> Option<&'a str> {
///     words.iter().max_by_key(|word| word.len())
/// }
/// ```
pub struct List<'call, T> {
    items: &'call Column,
    start: u32,
    length: u32,
    of: PhantomData<fn() -> T>,
}

impl<'call, T> List<'call, T> {
    /// So many items of a column.
    ///
    /// # Safety
    /// The column is the host's, for items of the type `T`, has the items, and all of it stays until `'call` ends.
    pub(super) const unsafe fn new(items: &'call Column, start: u32, length: u32) -> Self {
        Self { items, start, length, of: PhantomData }
    }

    /// Number of items.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length as usize
    }

    /// Whether it has no items.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }
}

/// An item of a [`List`]: a value that is not null, or an `Option` of one.
///
/// It is not for implementing: the types that cross are those of the ABI.
pub trait ListItem<'call>: ParamType + Sized {
    /// The item in this row.
    ///
    /// # Safety
    /// The column is the host's, for this type, has the row, and all of it stays until `'call` ends.
    #[doc(hidden)]
    unsafe fn item(items: &'call Column, row: usize) -> Self;
}

impl<'call, T: Datum<'call>> ListItem<'call> for T {
    #[inline]
    unsafe fn item(items: &'call Column, row: usize) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Option::item(items, row) }.unwrap_or_else(|| null_item())
    }
}

impl<'call, T: Datum<'call>> ListItem<'call> for Option<T> {
    #[inline]
    unsafe fn item(items: &'call Column, row: usize) -> Self {
        // SAFETY: the caller's promise.
        unsafe { locate(items, row).map(|(column, row)| T::from_row(column, row)) }
    }
}

#[cold]
fn null_item() -> ! {
    panic!("the host passed a list with a null item to a function that takes none: take a list of `Option`")
}

impl<'call, T: ListItem<'call>> List<'call, T> {
    /// The item with this index, if there is one.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<T> {
        // SAFETY: there is such an item.
        (index < self.len()).then(|| unsafe { T::item(self.items, self.start as usize + index) })
    }

    /// The items, in order.
    #[must_use]
    pub const fn iter(&self) -> ListIter<'call, T> {
        ListIter { list: Self { ..*self }, left: 0..self.length as usize }
    }
}

impl<T> Clone for List<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for List<'_, T> {}

impl<'call, T: ListItem<'call> + fmt::Debug> fmt::Debug for List<'call, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'call, T: ListItem<'call>> IntoIterator for List<'call, T> {
    type Item = T;
    type IntoIter = ListIter<'call, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'call, T: ListItem<'call>> IntoIterator for &List<'call, T> {
    type Item = T;
    type IntoIter = ListIter<'call, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The items of a [`List`].
#[derive(Debug, Clone)]
pub struct ListIter<'call, T: ListItem<'call>> {
    list: List<'call, T>,
    left: Range<usize>,
}

impl<'call, T: ListItem<'call>> Iterator for ListIter<'call, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.list.get(self.left.next()?)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.left.size_hint()
    }
}

impl<'call, T: ListItem<'call>> DoubleEndedIterator for ListIter<'call, T> {
    fn next_back(&mut self) -> Option<T> {
        self.list.get(self.left.next_back()?)
    }
}

impl<'call, T: ListItem<'call>> ExactSizeIterator for ListIter<'call, T> {}
impl<'call, T: ListItem<'call>> FusedIterator for ListIter<'call, T> {}
