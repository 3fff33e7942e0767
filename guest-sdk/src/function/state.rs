//! States of aggregates: how they become bytes between crossings.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use guest_abi::ErrorCode;

use super::{Date, Decimal, Timestamp};
use crate::{Error, Result};

/// A value that an aggregate keeps between batches.
///
/// The host keeps the state as bytes and passes it back, so that every batch can begin on a pristine instance. `derive(State)`
/// saves the fields of a struct in their order: numbers little-endian, a length as 4 bytes before the items.
///
/// A state that is saved and restored must be equal to what it was. It should not grow with the rows, as every batch saves it:
/// keep a sketch instead of all values.
///
/// ```
/// use guest_sdk::State;
///
/// #[derive(Debug, Default, PartialEq, State)]
/// struct Mean {
///     count: u64,
///     sum: f64,
/// }
///
/// let mut bytes = Vec::new();
/// Mean { count: 2, sum: 3.0 }.save(&mut bytes);
/// assert_eq!(bytes.len(), 16);
/// assert_eq!(Mean::restore(&mut bytes.as_slice())?, Mean { count: 2, sum: 3.0 });
/// # Ok::<(), guest_sdk::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be saved in the state of an aggregate",
    note = "derive `State` for it: `#[derive(State)]`; numbers, `bool`, `String`, `Vec`, `Option`, arrays, tuples, maps and sets \
            have it"
)]
pub trait State: Sized {
    /// Appends the bytes of the state.
    fn save(&self, to: &mut Vec<u8>);

    /// Takes the state from the front of the bytes.
    ///
    /// # Errors
    /// [`ErrorCode::Malformed`] if they do not begin with a state of this type.
    fn restore(from: &mut &[u8]) -> Result<Self>;
}

#[cold]
fn malformed() -> Error {
    Error::new(ErrorCode::Malformed, "the bytes of an aggregate's state are not a state of this aggregate")
}

/// The next `N` bytes.
fn take<const N: usize>(from: &mut &[u8]) -> Result<[u8; N]> {
    let (bytes, rest) = from.split_first_chunk::<N>().ok_or_else(malformed)?;
    *from = rest;
    Ok(*bytes)
}

macro_rules! numbers {
    ($($type:ty)+) => {$(
        impl State for $type {
            #[inline]
            fn save(&self, to: &mut Vec<u8>) {
                to.extend_from_slice(&self.to_le_bytes());
            }

            #[inline]
            fn restore(from: &mut &[u8]) -> Result<Self> {
                take(from).map(Self::from_le_bytes)
            }
        }
    )+};
}

numbers! { u8 i8 u16 i16 u32 i32 u64 i64 u128 i128 f32 f64 }

macro_rules! wrapped {
    ($($type:ident)+) => {$(
        impl State for $type {
            #[inline]
            fn save(&self, to: &mut Vec<u8>) {
                self.0.save(to);
            }

            #[inline]
            fn restore(from: &mut &[u8]) -> Result<Self> {
                State::restore(from).map(Self)
            }
        }
    )+};
}

wrapped! { Date Timestamp }

impl<const PRECISION: u8, const SCALE: i8> State for Decimal<PRECISION, SCALE> {
    fn save(&self, to: &mut Vec<u8>) {
        self.0.save(to);
    }

    fn restore(from: &mut &[u8]) -> Result<Self> {
        State::restore(from).map(Self)
    }
}

impl State for bool {
    fn save(&self, to: &mut Vec<u8>) {
        to.push((*self).into());
    }

    fn restore(from: &mut &[u8]) -> Result<Self> {
        match take(from)? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(malformed()),
        }
    }
}

/// The length of what follows. A guest has less than 4 GiB of memory.
fn save_length(length: usize, to: &mut Vec<u8>) {
    (length as u32).save(to);
}

fn restore_length(from: &mut &[u8]) -> Result<usize> {
    u32::restore(from).map(|length| length as usize)
}

impl State for String {
    fn save(&self, to: &mut Vec<u8>) {
        save_length(self.len(), to);
        to.extend_from_slice(self.as_bytes());
    }

    fn restore(from: &mut &[u8]) -> Result<Self> {
        let length = restore_length(from)?;
        let (bytes, rest) = from.split_at_checked(length).ok_or_else(malformed)?;
        *from = rest;
        str::from_utf8(bytes).map(Self::from).map_err(|_| malformed())
    }
}

impl<T: State> State for Option<T> {
    fn save(&self, to: &mut Vec<u8>) {
        self.is_some().save(to);
        if let Some(value) = self {
            value.save(to);
        }
    }

    fn restore(from: &mut &[u8]) -> Result<Self> {
        bool::restore(from)?.then(|| T::restore(from)).transpose()
    }
}

impl<T: State, const N: usize> State for [T; N] {
    fn save(&self, to: &mut Vec<u8>) {
        for item in self {
            item.save(to);
        }
    }

    fn restore(from: &mut &[u8]) -> Result<Self> {
        let mut items = Vec::with_capacity(N);
        for _ in 0..N {
            items.push(T::restore(from)?);
        }
        items.try_into().map_err(|_| malformed())
    }
}

/// Restores the items of a collection. Memory grows with the bytes that are there, not with the length that they state.
fn restore_items<T: State, C: FromIterator<T>>(from: &mut &[u8]) -> Result<C> {
    (0..restore_length(from)?).map(|_| T::restore(from)).collect()
}

macro_rules! collections {
    ($($collection:ident<$($item:ident),+> where $item_type:ty, $bound:path, $saved:ident => $save:expr;)+) => {$(
        impl<$($item: State + $bound),+> State for $collection<$($item),+> {
            fn save(&self, to: &mut Vec<u8>) {
                save_length(self.len(), to);
                for $saved in self {
                    #[allow(clippy::redundant_closure_call, reason = "the expression names the item of the loop")]
                    ($save)(to);
                }
            }

            fn restore(from: &mut &[u8]) -> Result<Self> {
                restore_items::<$item_type, Self>(from)
            }
        }
    )+};
}

collections! {
    Vec<T> where T, Sized, item => |to: &mut Vec<u8>| item.save(to);
    BTreeSet<T> where T, Ord, item => |to: &mut Vec<u8>| item.save(to);
    BTreeMap<K, V> where (K, V), Ord, entry => |to: &mut Vec<u8>| { entry.0.save(to); entry.1.save(to) };
}

macro_rules! tuples {
    ($(($($name:ident $at:tt),*))+) => {$(
        impl<$($name: State),*> State for ($($name,)*) {
            #[allow(unused_variables, reason = "the empty tuple saves nothing")]
            fn save(&self, to: &mut Vec<u8>) {
                $(self.$at.save(to);)*
            }

            #[allow(unused_variables, reason = "the empty tuple takes nothing")]
            fn restore(from: &mut &[u8]) -> Result<Self> {
                Ok(($($name::restore(from)?,)*))
            }
        }
    )+};
}

tuples! {
    ()
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
}

/// The bytes of a state with its version before them.
pub(super) fn save_versioned<S: State>(version: u32, state: &S, to: &mut Vec<u8>) {
    version.save(to);
    state.save(to);
}

/// The state of these bytes, all of them.
pub(super) fn restore_versioned<S: State>(version: u32, mut bytes: &[u8]) -> Result<S> {
    let found = u32::restore(&mut bytes)?;
    if found != version {
        return Err(Error::new(
            ErrorCode::Malformed,
            alloc::format!("the state of an aggregate has version {found}, and this guest reads version {version}"),
        ));
    }
    let state = S::restore(&mut bytes)?;
    if bytes.is_empty() { Ok(state) } else { Err(malformed()) }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;
    use alloc::vec;
    use core::fmt::Debug;

    use super::*;

    fn there_and_back<S: State + PartialEq + Debug>(state: S) {
        let mut bytes = Vec::new();
        save_versioned(7, &state, &mut bytes);
        assert_eq!(restore_versioned::<S>(7, &bytes).as_ref(), Ok(&state));
        for cut in 0..bytes.len() {
            assert!(restore_versioned::<S>(7, &bytes[..cut]).is_err(), "{state:?} cut at {cut}");
        }
        bytes.push(0);
        assert!(restore_versioned::<S>(7, &bytes).is_err(), "{state:?} with a byte more");
    }

    #[test]
    fn every_state_is_restored_as_it_was_saved_and_no_other_bytes_are() {
        there_and_back((-1_i8, u16::MAX, i128::MIN, f64::MAX));
        there_and_back((Date(-1), Timestamp(5), Decimal::<9, 2>(7), true));
        there_and_back(String::from("añ"));
        there_and_back(vec![Some(1_u64), None]);
        there_and_back([1.5_f32, -0.0]);
        there_and_back(BTreeMap::from([(1_u8, String::from("a")), (2, String::new())]));
        there_and_back(BTreeSet::from([3_i64, -3]));
        there_and_back(((), (4_u32,), (5_u8, 6_i16), (1_u8, 2_u8, 3_u8)));
    }

    #[test]
    fn lies_are_errors_and_take_no_memory() {
        assert!(restore_versioned::<Vec<u64>>(0, &[0, 0, 0, 0, 255, 255, 255, 255]).is_err());
        assert!(restore_versioned::<String>(0, &[0, 0, 0, 0, 1, 0, 0, 0, 255]).is_err());
        assert!(restore_versioned::<bool>(0, &[0, 0, 0, 0, 2]).is_err());
        let error = restore_versioned::<u8>(2, &[1, 0, 0, 0, 9]).unwrap_err();
        assert!(error.to_string().contains("has version 1, and this guest reads version 2"), "{error}");
    }
}
