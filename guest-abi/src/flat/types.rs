//! The types of flat values: scalars, texts, byte strings and lists.

use core::fmt;
use core::marker::PhantomData;

use super::area::Area;
use super::build::Build;
use super::error::{BuildError, ReadError};
use super::layout::Layout;
use super::read::{Source, Walk};
use super::view::ListView;

/// A type of flat values.
///
/// The implementations of this module are all that there are: scalars, [`Text`], [`Bytes`], [`List`], [`Option`], and
/// tuples of up to 8 types as records.
pub trait Flat: Sized {
    /// A value, read in place.
    type View<'a>: Copy + PartialEq + fmt::Debug;

    /// The content of a slot.
    #[doc(hidden)]
    type Slot: Copy;

    /// The layout of slots.
    #[doc(hidden)]
    const LAYOUT: Layout;

    /// Writes each byte of a slot. Skips writing if `to` is shorter, as it is while measuring.
    #[doc(hidden)]
    fn put(slot: Self::Slot, to: &mut [u8]);

    /// Checks the slot at `at`, which lies within the value, and its parts.
    #[doc(hidden)]
    fn check(walk: &mut Walk<'_>, at: usize) -> Result<(), ReadError>;

    /// The value of a slot that was checked.
    #[doc(hidden)]
    fn view<'a>(source: Source<'a>, slot: &'a [u8]) -> Self::View<'a>;
}

/// A type whose values are numbers or truth values. A list of them lends its [bytes](ListView::as_bytes).
pub trait Scalar: Flat {}

macro_rules! numbers {
    ($($type:ident)+) => {$(
        impl Scalar for $type {}

        impl Flat for $type {
            type View<'a> = $type;
            type Slot = $type;
            const LAYOUT: Layout = Layout::scalar(stringify!($type), size_of::<$type>(), true);

            #[inline]
            fn put(slot: $type, to: &mut [u8]) {
                if let Some(to) = to.first_chunk_mut() {
                    *to = slot.to_le_bytes();
                }
            }

            #[inline]
            fn check(_: &mut Walk<'_>, _: usize) -> Result<(), ReadError> {
                Ok(())
            }

            #[inline]
            fn view<'a>(_: Source<'a>, slot: &'a [u8]) -> $type {
                slot.first_chunk().map_or(Default::default(), |bytes| <$type>::from_le_bytes(*bytes))
            }
        }

        impl Build<$type> for $type {
            #[inline]
            fn place(&self, _: &mut Area<'_>) -> Result<$type, BuildError> {
                Ok(*self)
            }
        }
    )+};
}

numbers! { u8 u16 u32 u64 i8 i16 i32 i64 f32 f64 }

impl Scalar for bool {}

impl Flat for bool {
    type View<'a> = bool;
    type Slot = bool;
    const LAYOUT: Layout = Layout::scalar("bool", 1, false);

    #[inline]
    fn put(slot: bool, to: &mut [u8]) {
        u8::put(u8::from(slot), to);
    }

    #[inline]
    fn check(walk: &mut Walk<'_>, at: usize) -> Result<(), ReadError> {
        walk.truth(at).map(drop)
    }

    #[inline]
    fn view<'a>(_: Source<'a>, slot: &'a [u8]) -> bool {
        slot.first() == Some(&1)
    }
}

impl Build<bool> for bool {
    #[inline]
    fn place(&self, _: &mut Area<'_>) -> Result<bool, BuildError> {
        Ok(*self)
    }
}

/// The slot of a text, a byte string or a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference {
    /// Where the part begins, from the first byte of the value.
    pub(super) offset: u32,
    /// Number of bytes or items.
    pub(super) count: u32,
}

impl Reference {
    /// No part.
    pub(super) const EMPTY: Self = Self { offset: 0, count: 0 };

    /// The slot of a part within a value, which has at most [`MAX_LENGTH`](super::MAX_LENGTH) bytes.
    pub(super) fn new(offset: usize, count: usize) -> Self {
        let word = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self { offset: word(offset), count: word(count) }
    }

    #[inline]
    pub(super) fn put(self, to: &mut [u8]) {
        if let Some((offset, count)) = to.split_first_chunk_mut::<4>() {
            *offset = self.offset.to_le_bytes();
            u32::put(self.count, count);
        }
    }

    #[inline]
    pub(super) fn of(slot: &[u8]) -> Self {
        match slot.split_first_chunk::<4>() {
            Some((offset, rest)) => Self {
                offset: u32::from_le_bytes(*offset),
                count: rest.first_chunk().map_or(0, |count| u32::from_le_bytes(*count)),
            },
            None => Self::EMPTY,
        }
    }
}

/// UTF-8 text. The view is a `&str`.
#[derive(Debug)]
pub enum Text {}

impl Flat for Text {
    type View<'a> = &'a str;
    type Slot = Reference;
    const LAYOUT: Layout = Layout::reference("text", &[]);

    #[inline]
    fn put(slot: Reference, to: &mut [u8]) {
        slot.put(to);
    }

    fn check(walk: &mut Walk<'_>, at: usize) -> Result<(), ReadError> {
        walk.text(at)
    }

    #[inline]
    fn view<'a>(source: Source<'a>, slot: &'a [u8]) -> &'a str {
        core::str::from_utf8(source.part(slot, 1)).unwrap_or_default()
    }
}

/// A byte string. The view is a `&[u8]`.
#[derive(Debug)]
pub enum Bytes {}

impl Flat for Bytes {
    type View<'a> = &'a [u8];
    type Slot = Reference;
    const LAYOUT: Layout = Layout::reference("bytes", &[]);

    #[inline]
    fn put(slot: Reference, to: &mut [u8]) {
        slot.put(to);
    }

    fn check(walk: &mut Walk<'_>, at: usize) -> Result<(), ReadError> {
        walk.list::<u8>(at)
    }

    #[inline]
    fn view<'a>(source: Source<'a>, slot: &'a [u8]) -> &'a [u8] {
        source.part(slot, 1)
    }
}

/// A list of items of one type. The view is a [`ListView`].
#[derive(Debug)]
pub struct List<T> {
    item: PhantomData<fn() -> T>,
}

impl<T: Flat> Flat for List<T> {
    type View<'a> = ListView<'a, T>;
    type Slot = Reference;
    const LAYOUT: Layout = Layout::reference("list", &[T::LAYOUT]);

    #[inline]
    fn put(slot: Reference, to: &mut [u8]) {
        slot.put(to);
    }

    fn check(walk: &mut Walk<'_>, at: usize) -> Result<(), ReadError> {
        walk.list::<T>(at)
    }

    #[inline]
    fn view<'a>(source: Source<'a>, slot: &'a [u8]) -> ListView<'a, T> {
        ListView::new(source, source.part(slot, T::LAYOUT.size))
    }
}
