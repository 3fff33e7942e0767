//! Finding the value of a row in a column.
//!
//! Everything here reads memory that the host has filled as [`guest_abi::column`] says. The functions are unsafe for that
//! reason alone: the caller knows that the column is the host's and that its call still runs.
#![expect(unsafe_code, reason = "columns are raw memory that the host writes")]

use core::slice;

use guest_abi::column::{Column, Encoding};

use super::address::pointer;

/// The number of type `T` at an index behind an address.
///
/// # Safety
/// The address has more than `index` numbers, of a type for which all bits are values.
#[inline(always)]
pub(super) unsafe fn number<T: Copy>(values: u32, index: usize) -> T {
    // SAFETY: the caller's promise.
    unsafe { pointer(values).cast::<T>().add(index).read_unaligned() }
}

/// A bit of a bitmap.
///
/// # Safety
/// The bitmap has more than `index` bits.
#[inline(always)]
pub(super) unsafe fn bit(bitmap: u32, index: usize) -> bool {
    // SAFETY: the caller's promise.
    let byte: u8 = unsafe { number(bitmap, index / 8) };
    byte >> (index % 8) & 1 != 0
}

/// The column at an address.
///
/// # Safety
/// There is one, which nobody writes for as long as the caller says.
#[inline(always)]
pub(super) unsafe fn column_at<'call>(address: u32) -> &'call Column {
    // SAFETY: the caller's promise; columns lie at multiples of 8.
    unsafe { &*pointer(address).cast::<Column>() }
}

/// So many values of type `T` behind an address, from the one with the index `start` on. The address of none may be anything.
///
/// # Safety
/// The address has `start + length` values, of a type for which all bits are values, and is aligned for them. Nobody writes
/// them for as long as the caller says.
#[inline(always)]
pub(super) unsafe fn slice_at<'call, T>(values: u32, start: u32, length: u32) -> &'call [T] {
    match length {
        0 => &[],
        // SAFETY: the caller's promise.
        _ => unsafe { slice::from_raw_parts(pointer(values).cast::<T>().add(start as usize), length as usize) },
    }
}

/// Whether a column has a value for every row in its own buffers, and none that is null.
#[inline(always)]
pub(super) const fn is_dense(column: &Column) -> bool {
    column.encoding == Encoding::Plain as u32 && column.validity == 0
}

/// The column of one row that has the value of every row, if the column is a constant without a validity bitmap of its own.
///
/// # Safety
/// The column is the host's, and its call runs.
#[inline(always)]
pub(super) unsafe fn constant(column: &Column) -> Option<&Column> {
    let is_constant = column.encoding == Encoding::Constant as u32 && column.validity == 0;
    // SAFETY: a constant has a child, which lives as long as the column.
    is_constant.then(|| unsafe { column_at(column.child) })
}

/// The column that has the value of a row in its own buffers, and the value's row there: behind dictionaries and constants.
/// `None` if the row is null.
///
/// # Safety
/// The column is the host's, its call runs, and the column has the row.
#[inline]
pub(super) unsafe fn locate(column: &Column, mut row: usize) -> Option<(&Column, usize)> {
    let mut column = column;
    loop {
        // SAFETY: a validity bitmap has a bit for each row behind the first bit.
        if column.validity != 0 && !unsafe { bit(column.validity, column.first_bit as usize + row) } {
            return None;
        }
        match Encoding::from_number(column.encoding) {
            Some(Encoding::Plain | Encoding::Views) => return Some((column, row)),
            Some(Encoding::Constant) => row = 0,
            // SAFETY: a dictionary has a number for each row.
            Some(Encoding::Dictionary) => row = unsafe { number::<u32>(column.values, row) } as usize,
            _ => unknown_encoding(),
        }
        // SAFETY: both encodings have a child, which lives as long as the column.
        column = unsafe { column_at(column.child) };
    }
}

#[cold]
fn unknown_encoding() -> ! {
    panic!(
        "the host passed a column of an encoding that this guest does not know: build the guest with a newer guest-sdk"
    )
}

/// Where the bytes or the items of a row begin and end.
///
/// # Safety
/// The column is plain, of strings, bytes or lists, and has the row.
#[inline(always)]
pub(super) unsafe fn range(column: &Column, row: usize) -> (u32, u32) {
    // SAFETY: there is one offset more than there are rows.
    unsafe { (number(column.offsets, row), number(column.offsets, row + 1)) }
}

/// Longest string that a view has whole.
const INLINE: u32 = 12;

/// The bytes of a row.
///
/// # Safety
/// The column is plain or of views, has bytes, and has the row. The bytes stay until the lifetime ends.
#[inline(always)]
pub(super) unsafe fn bytes<'call>(column: &Column, row: usize) -> &'call [u8] {
    if column.encoding == Encoding::Plain as u32 {
        // SAFETY: the offsets are in order and within the values.
        unsafe {
            let (start, end) = range(column, row);
            return slice_at(column.values, start, end - start);
        }
    }
    // SAFETY: a view is a length and then the bytes, or their beginning, the number of a buffer and an offset in it.
    unsafe {
        let view = pointer(column.values).add(row * 16);
        let word = |at: usize| view.cast::<u32>().add(at).read_unaligned();
        let length = word(0);
        let start = match length {
            0..=INLINE => view.add(4),
            _ => pointer(number(column.child, word(2) as usize)).add(word(3) as usize),
        };
        slice::from_raw_parts(start, length as usize)
    }
}
