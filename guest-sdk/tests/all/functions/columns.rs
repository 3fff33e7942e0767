//! Columns for tests: rows of a model are placed in any encoding, and the rows of a result are taken from its column.
#![expect(unsafe_code, reason = "columns are raw memory")]

use guest_abi::column::{Column, Encoding, SIZE};
use guest_sdk::generated::{address, pointer};

/// A value of the model: what its type is stands beside it in a [`Kind`].
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Datum {
    Bool(bool),
    /// The little-endian bytes of a number.
    Number(Vec<u8>),
    Bytes(Vec<u8>),
    List(Vec<Option<Datum>>),
}

/// A row of the model: null is `None`.
pub(super) type Row = Option<Datum>;

/// How values of a type lie in a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Bool,
    /// So many bytes.
    Number(usize),
    Bytes,
    /// Items in any encoding.
    List(&'static Kind),
    /// Numbers of so many bytes, which a function takes as a slice.
    Slice(usize),
}

/// Choices that look random: splitmix64, by Vigna.
pub(super) struct Choices(pub(super) u64);

impl Choices {
    /// One of `0..below`.
    fn of(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ mixed >> 31) % below as u64).unwrap()
    }

    fn coin(&mut self) -> bool {
        self.of(2) == 0
    }
}

/// The address of memory that begins at a multiple of 8 with these bytes. It is never given back.
pub(super) fn placed(bytes: &[u8]) -> u32 {
    let words = bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_ne_bytes(word)
    });
    let words = Box::leak(words.collect::<Box<[u64]>>());
    address(words.as_mut_ptr().cast(), bytes.len())
}

pub(super) fn placed_column(column: Column) -> u32 {
    placed(&column.to_bytes())
}

/// The bytes at an address.
pub(super) fn bytes_at(address: u32, length: usize) -> Vec<u8> {
    if length == 0 {
        return Vec::new();
    }
    // SAFETY: the address book has the address; the tests ask for what the column says is there.
    unsafe { std::slice::from_raw_parts(pointer(address), length) }.to_vec()
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap()
}

fn bitmap(first_bit: usize, bits: impl ExactSizeIterator<Item = bool>, noise: u8) -> Vec<u8> {
    let mut bytes = vec![noise; (first_bit + bits.len()).div_ceil(8) + 1];
    for (at, bit) in bits.enumerate().map(|(at, bit)| (first_bit + at, bit)) {
        bytes[at / 8] = bytes[at / 8] & !(1 << (at % 8)) | u8::from(bit) << (at % 8);
    }
    bytes
}

/// The rows as a column, in an encoding of choice.
pub(super) fn column(kind: Kind, rows: &[Row], choices: &mut Choices) -> Column {
    let all_equal = rows.windows(2).all(|pair| pair[0] == pair[1]);
    match choices.of(4) {
        0 if all_equal && !rows.is_empty() => {
            let child = placed_column(column(kind, &rows[..1], choices));
            Column { encoding: Encoding::Constant as u32, rows: count(rows.len()), child, ..Column::default() }
        }
        1 => dictionary(kind, rows, choices),
        2 if kind == Kind::Bytes => views(rows, choices),
        _ => plain(kind, rows, choices),
    }
}

/// The validity bitmap, which may be left out where nothing is null.
fn validity(rows: &[Row], first_bit: usize, choices: &mut Choices) -> u32 {
    if rows.iter().all(Option::is_some) && choices.coin() {
        return 0;
    }
    placed(&bitmap(first_bit, rows.iter().map(Option::is_some), 0x5A))
}

fn dictionary(kind: Kind, rows: &[Row], choices: &mut Choices) -> Column {
    // Null may be that of the column or that of one of the distinct values.
    let null_is_distinct = choices.coin();
    let mut distinct: Vec<Row> = vec![None];
    let mut numbers = Vec::new();
    for row in rows {
        let number = distinct.iter().position(|other| other == row).unwrap_or_else(|| {
            distinct.push(row.clone());
            distinct.len() - 1
        });
        numbers.extend(i32::try_from(number).unwrap().to_le_bytes());
    }
    let first_bit = choices.of(20);
    let validity = if null_is_distinct { 0 } else { validity(rows, first_bit, choices) };
    let child = match (validity, rows.contains(&None)) {
        (0, _) | (_, false) => distinct,
        _ => distinct.into_iter().map(|value| value.or_else(|| Some(any(kind)))).collect(),
    };
    Column {
        encoding: Encoding::Dictionary as u32,
        rows: count(rows.len()),
        values: placed(&numbers),
        validity,
        first_bit: count(first_bit),
        child: placed_column(column(kind, &child, choices)),
        ..Column::default()
    }
}

fn views(rows: &[Row], choices: &mut Choices) -> Column {
    let mut buffers = [Vec::new(), b"in front".to_vec()];
    let mut views = Vec::new();
    for row in rows {
        let Some(Datum::Bytes(bytes)) = row else {
            views.extend([0xFF; 16]);
            continue;
        };
        views.extend(count(bytes.len()).to_le_bytes());
        if bytes.len() <= 12 {
            let mut inline = bytes.clone();
            inline.resize(12, 0);
            views.extend(inline);
        } else {
            let buffer = choices.of(2);
            views.extend_from_slice(&bytes[..4]);
            views.extend(count(buffer).to_le_bytes());
            views.extend(count(buffers[buffer].len()).to_le_bytes());
            buffers[buffer].extend_from_slice(bytes);
        }
    }
    let addresses: Vec<u8> = buffers.iter().flat_map(|buffer| placed(buffer).to_le_bytes()).collect();
    let first_bit = choices.of(20);
    Column {
        encoding: Encoding::Views as u32,
        rows: count(rows.len()),
        values: placed(&views),
        validity: validity(rows, first_bit, choices),
        first_bit: count(first_bit),
        child: placed(&addresses),
        ..Column::default()
    }
}

/// Any value, in the place of null.
fn any(kind: Kind) -> Datum {
    match kind {
        Kind::Bool => Datum::Bool(true),
        Kind::Number(width) => Datum::Number(vec![7; width]),
        Kind::Bytes => Datum::Bytes(b"?".to_vec()),
        Kind::List(_) | Kind::Slice(_) => Datum::List(Vec::new()),
    }
}

/// The rows as a column with a value for each row.
pub(super) fn plain(kind: Kind, rows: &[Row], choices: &mut Choices) -> Column {
    let first_bit = choices.of(20);
    let mut column = Column {
        rows: count(rows.len()),
        validity: validity(rows, first_bit, choices),
        first_bit: count(first_bit),
        ..Column::default()
    };
    let values = rows.iter().map(|row| row.clone().unwrap_or_else(|| any(kind)));
    let mut offsets = vec![0];
    let (mut bytes, mut items) = (Vec::new(), Vec::new());
    match kind {
        Kind::Bool => column.values = placed(&bitmap(first_bit, values.map(|value| value == Datum::Bool(true)), 0xA5)),
        Kind::Number(_) | Kind::Bytes => {
            for value in values {
                let (Datum::Number(value) | Datum::Bytes(value)) = value else { panic!("{value:?}") };
                bytes.extend(value);
                offsets.push(bytes.len());
            }
            column.values = placed(&bytes);
        }
        Kind::List(_) | Kind::Slice(_) => {
            for value in values {
                let Datum::List(value) = value else { panic!("{value:?}") };
                items.extend(value);
                offsets.push(items.len());
            }
            column.child = placed_column(items_of(kind, &items, choices));
        }
    }
    if !matches!(kind, Kind::Bool | Kind::Number(_)) {
        let offsets: Vec<u8> = offsets.iter().flat_map(|offset| count(*offset).to_le_bytes()).collect();
        column.offsets = placed(&offsets);
    }
    column
}

/// The column of a list's items.
pub(super) fn items_of(kind: Kind, items: &[Row], choices: &mut Choices) -> Column {
    match kind {
        Kind::List(kind) => self::column(*kind, items, choices),
        Kind::Slice(width) => plain(Kind::Number(width), items, choices),
        _ => panic!("{kind:?} has no items"),
    }
}

/// A column with room for a result of so many rows, as a host prepares it.
pub(super) fn room(kind: Kind, rows: usize, nullable: bool, first_bit: usize) -> Column {
    let bitmap = || placed(&vec![0; (first_bit + rows).div_ceil(8)]);
    let values = match kind {
        Kind::Bool => bitmap(),
        Kind::Number(width) => placed(&vec![0xEE; rows * width]),
        _ => 0,
    };
    let validity = if nullable { bitmap() } else { 0 };
    Column { rows: count(rows), values, validity, first_bit: count(first_bit), ..Column::default() }
}

/// The rows of a plain column.
pub(super) fn rows_of(kind: Kind, column: Column) -> Vec<Row> {
    assert_eq!(column.encoding, Encoding::Plain as u32);
    let bit = |bitmap: u32, row: usize| {
        let at = column.first_bit as usize + row;
        bytes_at(bitmap, at / 8 + 1)[at / 8] >> (at % 8) & 1 == 1
    };
    let offset = |row: usize| {
        let offset: [u8; 4] = bytes_at(column.offsets + count(row * 4), 4).try_into().unwrap();
        u32::from_le_bytes(offset)
    };
    let range = |row: usize| (offset(row), (offset(row + 1) - offset(row)) as usize);
    let value = |row: usize| match kind {
        Kind::Bool => Datum::Bool(bit(column.values, row)),
        Kind::Number(width) => Datum::Number(bytes_at(column.values + count(row * width), width)),
        Kind::Bytes => {
            let (start, length) = range(row);
            Datum::Bytes(bytes_at(column.values + start, length))
        }
        Kind::List(kind) => {
            let (start, length) = range(row);
            let items = rows_of(*kind, column_at(column.child));
            Datum::List(items[start as usize..][..length].to_vec())
        }
        Kind::Slice(width) => {
            let (start, length) = range(row);
            let items = rows_of(Kind::Number(width), column_at(column.child));
            Datum::List(items[start as usize..][..length].to_vec())
        }
    };
    (0..column.rows as usize)
        .map(|row| (column.validity == 0 || bit(column.validity, row)).then(|| value(row)))
        .collect()
}

pub(super) fn column_at(address: u32) -> Column {
    Column::from_bytes(&bytes_at(address, SIZE).try_into().unwrap())
}
