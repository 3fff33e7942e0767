//! Tuples as records, and optional values.

use super::area::Area;
use super::build::Build;
use super::error::{BuildError, ReadError};
use super::layout::Layout;
use super::read::{Source, Walk};
use super::types::Flat;

/// The slot of the type `T` that begins at `start` in a slot.
#[inline]
fn field<T: Flat>(slot: &[u8], start: usize) -> &[u8] {
    slot.get(start..start + T::LAYOUT.size).unwrap_or_default()
}

/// The same, to be written.
#[inline]
fn field_mut<T: Flat>(slot: &mut [u8], start: usize) -> &mut [u8] {
    slot.get_mut(start..start + T::LAYOUT.size).unwrap_or_default()
}

macro_rules! records {
    ($($(($type:ident $built:ident $at:tt))+;)+) => {$(
        impl<$($type: Flat),+> Flat for ($($type,)+) {
            type View<'a> = ($($type::View<'a>,)+);
            type Slot = ($($type::Slot,)+);
            const LAYOUT: Layout = Layout::record(&[$($type::LAYOUT),+]);

            #[inline]
            fn put(slot: Self::Slot, to: &mut [u8]) {
                if const { Self::LAYOUT.has_gaps() } {
                    to.fill(0);
                }
                $($type::put(slot.$at, field_mut::<$type>(to, const { Self::LAYOUT.offsets[$at] }));)+
            }

            fn check(walk: &mut Walk<'_>, at: usize) -> Result<(), ReadError> {
                $($type::check(walk, at + const { Self::LAYOUT.offsets[$at] })?;)+
                if const { Self::LAYOUT.has_gaps() } { walk.gaps(at, &Self::LAYOUT) } else { Ok(()) }
            }

            #[inline]
            fn view<'a>(source: Source<'a>, slot: &'a [u8]) -> Self::View<'a> {
                ($($type::view(source, field::<$type>(slot, const { Self::LAYOUT.offsets[$at] })),)+)
            }
        }

        impl<$($type: Flat, $built: Build<$type>),+> Build<($($type,)+)> for ($($built,)+) {
            #[inline]
            fn place(&self, area: &mut Area<'_>) -> Result<($($type::Slot,)+), BuildError> {
                Ok(($(self.$at.place(area)?,)+))
            }
        }
    )+};
}

records! {
    (A S 0);
    (A S 0) (B T 1);
    (A S 0) (B T 1) (C U 2);
    (A S 0) (B T 1) (C U 2) (D V 3);
    (A S 0) (B T 1) (C U 2) (D V 3) (E W 4);
    (A S 0) (B T 1) (C U 2) (D V 3) (E W 4) (F X 5);
    (A S 0) (B T 1) (C U 2) (D V 3) (E W 4) (F X 5) (G Y 6);
    (A S 0) (B T 1) (C U 2) (D V 3) (E W 4) (F X 5) (G Y 6) (H Z 7);
}

impl<T: Flat> Flat for Option<T> {
    type View<'a> = Option<T::View<'a>>;
    type Slot = Option<T::Slot>;
    const LAYOUT: Layout = Layout::option(T::LAYOUT);

    #[inline]
    fn put(slot: Self::Slot, to: &mut [u8]) {
        to.fill(0);
        if let Some(slot) = slot {
            bool::put(true, to);
            T::put(slot, field_mut::<T>(to, const { Self::LAYOUT.offsets[1] }));
        }
    }

    fn check(walk: &mut Walk<'_>, at: usize) -> Result<(), ReadError> {
        if walk.truth(at)? {
            T::check(walk, at + const { Self::LAYOUT.offsets[1] })?;
            walk.gaps(at, &Self::LAYOUT)
        } else {
            walk.zeros(at + 1, at + Self::LAYOUT.size)
        }
    }

    #[inline]
    fn view<'a>(source: Source<'a>, slot: &'a [u8]) -> Self::View<'a> {
        if bool::view(source, slot) {
            Some(T::view(source, field::<T>(slot, const { Self::LAYOUT.offsets[1] })))
        } else {
            None
        }
    }
}

impl<T: Flat, V: Build<T>> Build<Option<T>> for Option<V> {
    #[inline]
    fn place(&self, area: &mut Area<'_>) -> Result<Option<T::Slot>, BuildError> {
        self.as_ref().map(|value| value.place(area)).transpose()
    }
}
