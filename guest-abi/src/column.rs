//! Columns: the values of many rows, in the memory layout of Apache Arrow.
//!
//! A host places columns into the exchange region and passes the address of their [`Column`]s. The values are as the
//! [Arrow columnar format](https://arrow.apache.org/docs/format/Columnar.html) has them, little-endian, with buffers that
//! begin at multiples of 8 bytes. Addresses are those of the guest's memory.
//!
//! | [`Encoding`] | `values` | `offsets` | `child` |
//! |---|---|---|---|
//! | [`Plain`](Encoding::Plain), numbers | the numbers, one behind the other | 0 | 0 |
//! | [`Plain`](Encoding::Plain), truth values | a bitmap that begins at bit `first_bit` | 0 | 0 |
//! | [`Plain`](Encoding::Plain), strings, bytes | the bytes of all rows | `rows + 1` signed 32-bit offsets into them | 0 |
//! | [`Plain`](Encoding::Plain), lists | 0 | `rows + 1` signed 32-bit offsets into the items | the items' column |
//! | [`Constant`](Encoding::Constant) | 0 | 0 | a column of one row, which has the value of every row |
//! | [`Dictionary`](Encoding::Dictionary) | a signed 32-bit number of a row of `child` for each row | 0 | the distinct values |
//! | [`Views`](Encoding::Views), strings, bytes | 16 bytes for each row, as Arrow's view types have them | 0 | as many addresses of data buffers as `values` names, each 4 bytes |
//!
//! `validity` is the address of a bitmap that has a bit of 1 for each row that is not null, from bit `first_bit` on; 0 says
//! that no row is null. The value of a row that is null has no meaning. A constant or a dictionary may have a null both by its
//! own bitmap and by that of its child.
//!
//! # Arguments
//!
//! A guest relies on what the host passes and does not check it again: strings are UTF-8, offsets are in order and within the
//! values, numbers of a dictionary are rows of its child. A list whose items cannot be null has none that is; if its items are
//! numbers or truth values then, their column is [`Encoding::Plain`], and guests may read numbers in place, as a slice.
//!
//! # Results
//!
//! The host passes a column of [`Encoding::Plain`] with the room that it has prepared: for numbers `values` with room for all
//! rows, and for truth values a bitmap of zeros. Where a row may be null it passes `validity` with a bitmap of zeros: if the
//! result's type may be null, or if the [function is strict](crate::function#null) and an argument may be null that its
//! parameter does not take. The guest writes into that room. For strings, bytes and lists the guest sets `values`, `offsets`
//! and `child` to memory of its own, which need not be aligned; of no bytes the address has no meaning. The host checks every
//! address and every offset before it takes anything.

/// How a column holds the values of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u32)]
pub enum Encoding {
    /// A value for each row.
    Plain = 0,
    /// One value for all rows.
    Constant = 1,
    /// Distinct values, and a number of one of them for each row.
    Dictionary = 2,
    /// Strings or bytes of which each row has its beginning or all of it, with an address of the rest.
    Views = 3,
}

impl Encoding {
    /// The encoding of this number.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Plain),
            1 => Some(Self::Constant),
            2 => Some(Self::Dictionary),
            3 => Some(Self::Views),
            _ => None,
        }
    }
}

/// A column as it crosses: eight little-endian words of 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C, align(8))]
pub struct Column {
    /// Number of its [`Encoding`].
    pub encoding: u32,
    /// Rows.
    pub rows: u32,
    /// Address of its values.
    pub values: u32,
    /// Address of its offsets.
    pub offsets: u32,
    /// Address of its validity bitmap; 0 if no row is null.
    pub validity: u32,
    /// The bit of the bitmaps that is that of the first row.
    pub first_bit: u32,
    /// Address of another column, or of data buffers.
    pub child: u32,
    /// Reserved: 0.
    pub reserved: u32,
}

/// Bytes of a [`Column`].
pub const SIZE: usize = size_of::<Column>();

/// Buffers begin at multiples of this many bytes.
pub const ALIGNMENT: usize = 8;

impl Column {
    /// Its bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        for (to, word) in bytes.chunks_exact_mut(4).zip(self.words()) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// The column of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; SIZE]) -> Self {
        let word = |at: usize| {
            bytes.get(at * 4..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u32::from_le_bytes(*word))
        };
        Self {
            encoding: word(0),
            rows: word(1),
            values: word(2),
            offsets: word(3),
            validity: word(4),
            first_bit: word(5),
            child: word(6),
            reserved: word(7),
        }
    }

    const fn words(self) -> [u32; SIZE / 4] {
        let Self { encoding, rows, values, offsets, validity, first_bit, child, reserved } = self;
        [encoding, rows, values, offsets, validity, first_bit, child, reserved]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_crosses_as_eight_words() {
        let column =
            Column { encoding: 1, rows: 2, values: 3, offsets: 4, validity: 5, first_bit: 6, child: 7, reserved: 8 };
        let bytes = column.to_bytes();
        assert_eq!((SIZE, bytes[0], bytes[4], bytes[28]), (32, 1, 2, 8));
        assert_eq!(Column::from_bytes(&bytes), column);
        for number in 0..6 {
            assert_eq!(Encoding::from_number(number).map(|found| found as u32), (number < 4).then_some(number));
        }
    }
}
