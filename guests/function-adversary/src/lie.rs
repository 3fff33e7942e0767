//! The lies. They declare and export by hand.
//!
//! Addresses and lengths are plain numbers here: nothing in these functions touches the memory that they name.
#![expect(unsafe_code, reason = "exports and sections by hand, and a column at the address that the host passes")]

use guest_abi::column::{Column, Encoding};
use guest_abi::function::{BATCH_DONE, Declaration, Kind, RESULT_NULL, Scalar, Type};
use guest_abi::names::pack;

const NUMBER: Type = Type::of(Scalar::I64);
const TEXT: Type = Type::of(Scalar::String);

/// Where no memory is, unless a host gives a guest all of 4 GiB.
const NOWHERE: u32 = 0xFFFF_0000;

/// The address of values that stay.
fn kept<T>(values: Vec<T>) -> u32 {
    values.leak().as_ptr().addr() as u32
}

/// The address of a text that is none.
fn no_text() -> u32 {
    kept(b"\xFF\xFE\xFD".to_vec())
}

/// The offsets of rows of a byte each, as the first `rows` rows of a column have them.
fn honest_offsets(rows: u32) -> u32 {
    kept((0..=rows).collect::<Vec<_>>())
}

/// Bytes that are a text however they are divided.
fn letters(rows: u32) -> u32 {
    kept(vec![b'x'; rows as usize])
}

/// A column of items of 64 bits, with validity at an address.
fn items(rows: u32, validity: u32) -> u32 {
    let values = kept(vec![7_u64; rows as usize]);
    kept(vec![Column { rows, values, validity, ..Column::default() }])
}

/// The last byte of memory.
fn last_byte() -> u32 {
    (core::arch::wasm32::memory_size::<0>() * 65_536 - 1) as u32
}

macro_rules! entry {
    ($declaration:expr) => {
        const _: () = {
            const DECLARATION: Declaration<'static> = $declaration;

            #[used]
            #[unsafe(link_section = "guest-functions")]
            static ENTRY: [u8; DECLARATION.size()] = DECLARATION.entry();
        };
    };
}

/// Functions of one number. The first body is the result of one row. The second changes the column of the results of some rows, and
/// returns the row that failed, or that none did.
macro_rules! lies {
    ($(
        #[doc = $documentation:literal]
        $name:literal $row_export:literal $batch_export:literal -> $type:expr;
        row: $row:expr;
        batch: |$rows:ident, $result:ident| $batch:block
    )+) => {$(
        const _: () = {
            entry! {
                Declaration::new(Kind::Scalar, $name, &[("number", NUMBER)], &[("", $type)])
                    .with_documentation($documentation.trim_ascii())
            }

            #[unsafe(export_name = $row_export)]
            extern "C" fn row(_number: i64) -> i64 {
                $row
            }

            #[unsafe(export_name = $batch_export)]
            extern "C" fn batch($rows: u32, _columns: u32, result: *mut Column) -> i32 {
                // SAFETY: nobody can name this function; the host calls it with the address of a column that it has placed for
                // this call, aligned and used by nobody else.
                let $result = unsafe { &mut *result };
                $batch
            }
        };
    )+};
}

lies! {
    /// The column of results has a row more than the batch.
    "longer" "__guest_function_longer" "__guest_batch_longer" -> TEXT;
    row: pack(letters(8), u32::MAX);
    batch: |rows, result| {
        (result.rows, result.values, result.offsets) = (rows + 1, letters(rows + 1), honest_offsets(rows + 1));
        BATCH_DONE
    }

    /// The offsets of the results go backwards.
    "backwards" "__guest_function_backwards" "__guest_batch_backwards" -> TEXT;
    row: pack(NOWHERE, 16);
    batch: |rows, result| {
        let offsets = (0..=rows).map(|row| if row == rows { 0 } else { row + 1 }).collect::<Vec<_>>();
        (result.values, result.offsets) = (letters(rows + 1), kept(offsets));
        BATCH_DONE
    }

    /// The results are texts, and their bytes are not.
    "no_text" "__guest_function_no_text" "__guest_batch_no_text" -> TEXT;
    row: pack(no_text(), 3);
    batch: |rows, result| {
        (result.values, result.offsets) = (kept(vec![0xFF_u8; rows as usize]), honest_offsets(rows));
        BATCH_DONE
    }

    /// An offset lies within a character.
    "split" "__guest_function_split" "__guest_batch_split" -> TEXT;
    row: pack(kept("ß".as_bytes().to_vec()), 1);
    batch: |rows, result| {
        let text = "ß".repeat(rows as usize).into_bytes();
        (result.values, result.offsets) = (kept(text), honest_offsets(rows));
        BATCH_DONE
    }

    /// The values of the results are not in memory.
    "nowhere" "__guest_function_nowhere" "__guest_batch_nowhere" -> TEXT;
    row: pack(NOWHERE, 16);
    batch: |rows, result| {
        (result.values, result.offsets) = (NOWHERE, honest_offsets(rows));
        BATCH_DONE
    }

    /// The results have an encoding that results may not have.
    "encoding" "__guest_function_encoding" "__guest_batch_encoding" -> NUMBER.list();
    row: pack(kept(vec![Column { encoding: Encoding::Dictionary as u32, rows: 1, ..Column::default() }]), 0);
    batch: |rows, result| {
        (result.offsets, result.child) = (honest_offsets(rows), items(rows, 0));
        result.encoding = Encoding::Dictionary as u32;
        BATCH_DONE
    }

    /// The bitmap that says which items are null ends before the items do.
    "short_bitmap" "__guest_function_short_bitmap" "__guest_batch_short_bitmap" -> NUMBER.nullable().list();
    row: pack(items(64, last_byte()), 0);
    batch: |rows, result| {
        (result.offsets, result.child) = (honest_offsets(rows), items(rows, last_byte()));
        BATCH_DONE
    }

    /// The items are fewer than the offsets count.
    "fewer_items" "__guest_function_fewer_items" "__guest_batch_fewer_items" -> NUMBER.list();
    row: pack(kept(vec![Column { rows: 1 << 19, values: last_byte() - 7, ..Column::default() }]), 0);
    batch: |rows, result| {
        (result.offsets, result.child) = (honest_offsets(rows), items(rows - 1, 0));
        BATCH_DONE
    }

    /// An item is null, and the type has no nulls.
    "null_item" "__guest_function_null_item" "__guest_batch_null_item" -> NUMBER.list();
    row: pack(items(8, kept(vec![0x7F_u8])), 0);
    batch: |rows, result| {
        let validity = kept(vec![0_u8; rows.div_ceil(8) as usize]);
        (result.offsets, result.child) = (honest_offsets(rows), items(rows, validity));
        BATCH_DONE
    }

    /// The results have more digits than their type.
    "digits" "__guest_function_digits" "__guest_batch_digits" -> Type::of(Scalar::Decimal { precision: 2, scale: 0 });
    row: pack(kept(100_i128.to_le_bytes().to_vec()), 16);
    batch: |rows, result| {
        // SAFETY: the host has placed room for a decimal of 16 bytes for each row, and nobody else uses it.
        let room = unsafe { core::slice::from_raw_parts_mut(result.values as *mut u8, rows as usize * 16) };
        room.as_chunks_mut::<16>().0.iter_mut().for_each(|to| *to = 100_i128.to_le_bytes());
        BATCH_DONE
    }

    /// The results are documents, and their bytes are none.
    "no_document" "__guest_function_no_document" "__guest_batch_no_document" -> Type::of(Scalar::Document);
    row: pack(no_text(), 3);
    batch: |rows, result| {
        (result.values, result.offsets) = (no_text(), kept((0..=rows).map(|row| row.min(3)).collect()));
        BATCH_DONE
    }

    /// The row that failed is behind the batch.
    "behind" "__guest_function_behind" "__guest_batch_behind" -> TEXT;
    row: pack(NOWHERE, 16);
    batch: |rows, _result| { (rows + 7).cast_signed() }

    /// The call ended at a row, and no error was reported.
    "no_error" "__guest_function_no_error" "__guest_batch_no_error" -> TEXT;
    row: RESULT_NULL;
    batch: |_rows, _result| { 5 }
}

entry! {
    Declaration::new(Kind::Scalar, "truth", &[("number", NUMBER)], &[("", Type::of(Scalar::Bool))])
        .with_documentation("The result is a truth value, and neither 0 nor 1.")
}

#[unsafe(export_name = "__guest_function_truth")]
extern "C" fn truth(_number: i64) -> i32 {
    7
}

entry! {
    Declaration::new(Kind::Aggregate, "old_state", &[("number", NUMBER)], &[("", NUMBER)])
        .with_documentation("The states that it saves are of another version than it declares.")
        .with_state_version(7)
}

#[unsafe(export_name = "__guest_aggregate_old_state")]
extern "C" fn old_state(
    _operation: i32,
    _rows: u32,
    _columns: u32,
    _groups: u32,
    count: u32,
    _states: u32,
    result: *mut Column,
) -> i32 {
    // SAFETY: nobody can name this function; the host calls it with the address of a column that it has placed for this call,
    // aligned and used by nobody else.
    let result = unsafe { &mut *result };
    let offsets: Vec<u32> = (0..=count).map(|group| group * 4).collect();
    (result.values, result.offsets) = (kept(vec![6_u32; count as usize]), kept(offsets));
    BATCH_DONE
}
