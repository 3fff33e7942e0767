//! Building values from borrowed Rust values.

#[cfg(feature = "alloc")]
use alloc::{string::String, vec::Vec};
use core::fmt;
use core::marker::PhantomData;

use super::HEADER;
use super::area::Area;
use super::error::BuildError;
use super::list::{Growing, ListBuilder};
use super::types::{Bytes, Flat, List, Reference, Text};
use super::view::ListView;

/// A Rust value that a flat value of the type `T` is built from.
///
/// | flat type | Rust values |
/// |---|---|
/// | a scalar | the same |
/// | [`Text`] | `str`, and `String` with the feature `alloc` |
/// | [`Bytes`] | slices and arrays of `u8`, and `Vec<u8>` with the feature `alloc` |
/// | [`List`] | slices and arrays, [`items`] of an iterator, [`list`] of a function, a [`ListView`], and `Vec` with the feature `alloc` |
/// | [`Option`] | an `Option` |
/// | a record | a tuple |
///
/// References to these are such values, too. A view is one: so a part of one value may become a part of another.
pub trait Build<T: Flat> {
    /// Writes the parts of the value, and returns its slot.
    #[doc(hidden)]
    fn place(&self, area: &mut Area<'_>) -> Result<T::Slot, BuildError>;
}

/// Builds a value in a buffer.
///
/// The value begins with the first byte of the buffer. A buffer with exactly as many bytes as the value is large enough. In a
/// larger one, the bytes behind the value have no meaning afterwards.
///
/// The header of the value is written last, and a builder removes the header of an earlier value first. So a buffer whose
/// value is not finished holds no value.
///
/// ```
/// use guest_abi::flat::{BuildError, Builder, Text, read};
///
/// let mut buffer = [0; 64];
/// let bytes = Builder::new(&mut buffer).build::<(u32, Text)>((7, "tea"))?;
/// assert_eq!(bytes.len(), 31);
/// assert_eq!(read::<(u32, Text)>(bytes)?, (7, "tea"));
///
/// let failed = Builder::new(&mut buffer[..30]).build::<(u32, Text)>((7, "tea"));
/// assert_eq!(failed, Err(BuildError::TooSmall { needed: 31, room: 30 }));
/// assert!(read::<(u32, Text)>(&buffer).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a value is built by `build` or `list`"]
pub struct Builder<'a> {
    area: Area<'a>,
}

impl<'a> Builder<'a> {
    /// A builder that writes to this buffer.
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self { area: Area::new(buffer) }
    }

    /// Builds a value, and returns exactly its bytes.
    ///
    /// # Errors
    /// [`BuildError`] if the buffer is too small. The error has the number of bytes that the value needs.
    pub fn build<T: Flat>(mut self, value: impl Build<T>) -> Result<&'a [u8], BuildError> {
        match place::<T>(&mut self.area, &value) {
            Ok(slot) => Ok(self.area.finish::<T>(slot)),
            Err(BuildError::TooSmall { needed, room }) => {
                Err(BuildError::TooSmall { needed: measure::<T>(value)?.max(needed), room })
            }
            Err(error) => Err(error),
        }
    }

    /// Begins a value that is a list, whose items you push.
    ///
    /// # Errors
    /// [`BuildError`] if the buffer is too small for an empty list.
    pub fn list<T: Flat>(mut self) -> Result<ListBuilder<'a, T>, BuildError> {
        self.area.claim(1, HEADER + List::<T>::LAYOUT.size)?;
        Ok(ListBuilder::new(self.area))
    }
}

/// Writes a whole value apart from its header and its slot.
fn place<T: Flat>(area: &mut Area<'_>, value: &impl Build<T>) -> Result<T::Slot, BuildError> {
    area.claim(1, HEADER + T::LAYOUT.size)?;
    value.place(area)
}

/// The number of bytes that a value has when it is built.
///
/// ```
/// use guest_abi::flat::{Builder, List, Text, measure};
///
/// let words = ["tea", "jam"];
/// let mut buffer = vec![0; measure::<List<Text>>(&words)?];
/// let bytes = Builder::new(&mut buffer).build::<List<Text>>(&words)?;
/// assert_eq!(bytes.len(), 48);
/// # Ok::<(), guest_abi::flat::BuildError>(())
/// ```
///
/// # Errors
/// [`BuildError::TooLarge`], or the error of a function in the value: see [`list`].
pub fn measure<T: Flat>(value: impl Build<T>) -> Result<usize, BuildError> {
    let mut area = Area::measuring();
    place::<T>(&mut area, &value)?;
    Ok(area.length())
}

impl<T: Flat, V: Build<T> + ?Sized> Build<T> for &V {
    #[inline]
    fn place(&self, area: &mut Area<'_>) -> Result<T::Slot, BuildError> {
        (**self).place(area)
    }
}

impl Build<Text> for str {
    #[inline]
    fn place(&self, area: &mut Area<'_>) -> Result<Reference, BuildError> {
        area.copy(self.as_bytes())
    }
}

#[cfg(feature = "alloc")]
impl Build<Text> for String {
    #[inline]
    fn place(&self, area: &mut Area<'_>) -> Result<Reference, BuildError> {
        area.copy(self.as_bytes())
    }
}

impl Build<Bytes> for [u8] {
    #[inline]
    fn place(&self, area: &mut Area<'_>) -> Result<Reference, BuildError> {
        area.copy(self)
    }
}

impl<const N: usize> Build<Bytes> for [u8; N] {
    #[inline]
    fn place(&self, area: &mut Area<'_>) -> Result<Reference, BuildError> {
        area.copy(self)
    }
}

#[cfg(feature = "alloc")]
impl Build<Bytes> for Vec<u8> {
    #[inline]
    fn place(&self, area: &mut Area<'_>) -> Result<Reference, BuildError> {
        area.copy(self)
    }
}

impl<T: Flat, V: Build<T>> Build<List<T>> for [V] {
    fn place(&self, area: &mut Area<'_>) -> Result<Reference, BuildError> {
        if !T::LAYOUT.is_inline || self.is_empty() {
            return grow(area, self.iter());
        }
        let size = self.len().checked_mul(T::LAYOUT.size).ok_or(BuildError::TooLarge)?;
        let start = area.claim(T::LAYOUT.align, size)?;
        // The items have no parts.
        let mut parts = Area::measuring();
        for (slot, value) in area.part(start, size).chunks_exact_mut(T::LAYOUT.size).zip(self) {
            T::put(value.place(&mut parts)?, slot);
        }
        Ok(Reference::new(start, self.len()))
    }
}

impl<T: Flat, V: Build<T>, const N: usize> Build<List<T>> for [V; N] {
    #[inline]
    fn place(&self, area: &mut Area<'_>) -> Result<Reference, BuildError> {
        self.as_slice().place(area)
    }
}

#[cfg(feature = "alloc")]
impl<T: Flat, V: Build<T>> Build<List<T>> for Vec<V> {
    #[inline]
    fn place(&self, area: &mut Area<'_>) -> Result<Reference, BuildError> {
        self.as_slice().place(area)
    }
}

impl<'a, T: Flat> Build<List<T>> for ListView<'a, T>
where
    T::View<'a>: Build<T>,
{
    fn place(&self, area: &mut Area<'_>) -> Result<Reference, BuildError> {
        grow(area, self.iter())
    }
}

/// Writes a list of the items of an iterator.
fn grow<T: Flat, V: Build<T>>(area: &mut Area<'_>, values: impl Iterator<Item = V>) -> Result<Reference, BuildError> {
    let mut list = Growing::<T>::new();
    for value in values {
        list.push(area, &value)?;
    }
    Ok(list.finish(area))
}

/// The items of an iterator as a list. See [`items`].
#[derive(Debug, Clone, Copy)]
pub struct Items<I> {
    iterator: I,
}

/// The items of an iterator as a list, whose length need not be known.
///
/// The iterator is cloned whenever the list is measured or built.
///
/// ```
/// use guest_abi::flat::{Builder, List, Text, items, read};
///
/// let line = "milk=2 tea=1";
/// let fields = items(line.split(' ').filter_map(|field| field.split_once('=')));
/// let mut buffer = [0; 128];
/// let bytes = Builder::new(&mut buffer).build::<(u8, List<(Text, Text)>)>((7, fields))?;
/// assert_eq!(read::<(u8, List<(Text, Text)>)>(bytes)?.1.get(0), Some(("milk", "2")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn items<I: IntoIterator<IntoIter: Clone>>(values: I) -> Items<I::IntoIter> {
    Items { iterator: values.into_iter() }
}

impl<T: Flat, I: Iterator<Item: Build<T>> + Clone> Build<List<T>> for Items<I> {
    fn place(&self, area: &mut Area<'_>) -> Result<Reference, BuildError> {
        grow(area, self.iterator.clone())
    }
}

/// A list that a function fills. See [`list`].
pub struct Filled<T, F> {
    fill: F,
    item: PhantomData<fn() -> T>,
}

impl<T, F> fmt::Debug for Filled<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filled").finish_non_exhaustive()
    }
}

/// A list inside a value, whose items a function pushes.
///
/// The function is called whenever the list is measured or built. It must return the errors of `push`, or end by itself: up to
/// 4 GiB fit while a list is measured.
///
/// ```
/// use guest_abi::flat::{Builder, List, list, read};
///
/// type Series = (f64, List<u32>);
///
/// let powers = list(|powers| {
///     let mut power = 1;
///     while power < 100 {
///         powers.push(power)?;
///         power *= 3;
///     }
///     Ok(())
/// });
/// let mut buffer = [0; 64];
/// let bytes = Builder::new(&mut buffer).build::<Series>((0.5, powers))?;
/// assert_eq!(read::<Series>(bytes)?.1.iter().collect::<Vec<_>>(), [1, 3, 9, 27, 81]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn list<T: Flat, F>(fill: F) -> Filled<T, F>
where
    F: Fn(&mut ListBuilder<'_, T>) -> Result<(), BuildError>,
{
    Filled { fill, item: PhantomData }
}

impl<T: Flat, F> Build<List<T>> for Filled<T, F>
where
    F: Fn(&mut ListBuilder<'_, T>) -> Result<(), BuildError>,
{
    fn place(&self, area: &mut Area<'_>) -> Result<Reference, BuildError> {
        ListBuilder::nested(area, &self.fill)
    }
}
