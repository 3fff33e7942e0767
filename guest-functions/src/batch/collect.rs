//! The result of a batch: taken from the guest's memory with every address and offset checked, and gathered into one array.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, ListArray, PrimitiveArray, StringArray,
};
use arrow_buffer::{BooleanBufferBuilder, MutableBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field};
use guest_abi::column::{self, Column, Encoding};
use guest_abi::function::{Scalar, Type};
use guest_host::wasmtime::ValRaw;
use guest_host::{GuestCall, GuestCallError};

use super::cells::data_type;
use crate::document::check_documents;
use crate::frame::Frame;
use crate::memory::at;
use crate::returned::sealed::Returned as _;
use crate::returned::{is_null, packed, text};
use crate::value::{Decimal, Value};

/// The room that the host prepares for the results of some rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Address of the result's column.
    pub(super) column: u32,
    values: u32,
    validity: u32,
    rows: usize,
}

impl Room {
    /// The same for fewer results, with the column at this address.
    pub(super) fn of_rows(self, rows: usize, column: u32) -> Self {
        Self { column, rows: rows.min(self.rows), ..self }
    }
}

/// The results gathered so far.
pub(super) struct Collected {
    ty: Type,
    values: Gathered,
    /// A bit for each row, once one may be null.
    validity: Option<BooleanBufferBuilder>,
    rows: usize,
}

enum Gathered {
    Fixed { bytes: MutableBuffer, width: usize },
    Bits(BooleanBufferBuilder),
    Bytes { offsets: Vec<i32>, bytes: MutableBuffer },
    List { offsets: Vec<i32>, items: Box<Collected> },
}

impl Gathered {
    fn new(ty: Type, rows: usize) -> Self {
        let offsets = || {
            let mut offsets = Vec::with_capacity(rows + 1);
            offsets.push(0);
            offsets
        };
        match (ty.list, ty.scalar.width()) {
            (Some(of), _) => {
                let item = Type::of(ty.scalar);
                let item = if of.nullable { item.nullable() } else { item };
                Self::List { offsets: offsets(), items: Box::new(Collected::new(item, 0, of.nullable)) }
            }
            (None, Some(width)) => Self::Fixed { bytes: MutableBuffer::with_capacity(rows * width), width },
            (None, None) if ty.scalar == Scalar::Bool => Self::Bits(BooleanBufferBuilder::new(rows)),
            (None, None) => Self::Bytes { offsets: offsets(), bytes: MutableBuffer::new(0) },
        }
    }
}

fn invalid(what: impl Into<String>) -> GuestCallError {
    GuestCallError::invalid(what)
}

fn column_at(memory: &[u8], what: &str, address: u32) -> Result<Column, GuestCallError> {
    let bytes = at(memory, what, address as usize, column::SIZE)?;
    Ok(bytes.first_chunk().map(Column::from_bytes).unwrap_or_default())
}

impl Collected {
    /// Nothing yet, with memory for `rows` results of this type.
    pub(super) fn new(ty: Type, rows: usize, may_be_null: bool) -> Self {
        let validity = may_be_null.then(|| BooleanBufferBuilder::new(rows));
        Self { ty, values: Gathered::new(ty, rows), validity, rows: 0 }
    }

    /// Prepares room for `rows` results, and places its column.
    pub(super) fn room(&self, frame: &mut Frame<'_, '_>, rows: usize) -> Result<Room, GuestCallError> {
        let (placed, room) = self.room_for(frame, rows)?;
        Ok(Room { column: frame.bytes(&placed.to_bytes())?, ..room })
    }

    /// Prepares room for `rows` results, whose column the caller places.
    pub(super) fn room_for(&self, frame: &mut Frame<'_, '_>, rows: usize) -> Result<(Column, Room), GuestCallError> {
        let values = match &self.values {
            Gathered::Fixed { width, .. } => frame.room(rows.saturating_mul(*width))?.0,
            Gathered::Bits(_) => zeros(frame, rows.div_ceil(8))?,
            Gathered::Bytes { .. } | Gathered::List { .. } => 0,
        };
        let validity = if self.validity.is_some() { zeros(frame, rows.div_ceil(8).max(1))? } else { 0 };
        let placed = Column { rows: rows as u32, values, validity, ..Column::default() };
        Ok((placed, Room { column: 0, values, validity, rows }))
    }

    /// Takes the results out of the room, or out of where the guest put them. If that fails, the batch has no result.
    pub(super) fn take(&mut self, call: &mut GuestCall<'_>, room: Room) -> Result<(), GuestCallError> {
        let memory = call.memory();
        match &mut self.values {
            Gathered::Fixed { bytes, width } => {
                bytes.extend_from_slice(at(memory, "the results", room.values as usize, room.rows * *width)?);
            }
            Gathered::Bits(bits) => {
                append_bits(
                    bits,
                    at(memory, "the results", room.values as usize, room.rows.div_ceil(8))?,
                    0,
                    room.rows,
                );
            }
            Gathered::Bytes { .. } | Gathered::List { .. } => {
                let found = column_at(memory, "the result's column", room.column)?;
                if found.rows as usize != room.rows {
                    let rows = room.rows;
                    return Err(invalid(format!("the result's column has {} rows instead of {rows}", found.rows)));
                }
                self.values_of(memory, &found, 0..room.rows)?;
            }
        }
        if let Some(validity) = &mut self.validity {
            let bitmap = at(memory, "the results' validity", room.validity as usize, room.rows.div_ceil(8))?;
            append_bits(validity, bitmap, 0, room.rows);
        }
        self.rows += room.rows;
        Ok(())
    }

    /// Appends the values of some rows of a column that the guest has made.
    fn values_of(&mut self, memory: &[u8], found: &Column, rows: Range<usize>) -> Result<(), GuestCallError> {
        if Encoding::from_number(found.encoding) != Some(Encoding::Plain) {
            return Err(invalid("the result's column is not a plain one"));
        }
        if rows.is_empty() {
            return Ok(());
        }
        let (address, count) = (found.values as usize, rows.len());
        match &mut self.values {
            Gathered::Fixed { bytes, width } => {
                let from = address.saturating_add(rows.start.saturating_mul(*width));
                let part = at(memory, "the items", from, count.saturating_mul(*width))?;
                offset(bytes.len() + part.len())?;
                bytes.extend_from_slice(part);
            }
            Gathered::Bits(bits) => {
                let first = found.first_bit as usize + rows.start;
                append_bits(bits, bits_at(memory, "the items", found.values, first, count)?, first % 8, count);
            }
            Gathered::Bytes { offsets, bytes } => {
                let taken = offsets_at(memory, found.offsets, &rows)?;
                let (start, end) = (taken.first(), taken.last());
                let part =
                    at(memory, "the result's bytes", address.saturating_add(start as usize), (end - start) as usize)?;
                if self.ty.scalar == Scalar::String {
                    let text = std::str::from_utf8(part).map_err(|error| {
                        invalid(format!("the result is not UTF-8 from byte {} on", error.valid_up_to()))
                    })?;
                    let is_within = |row: &usize| !text.is_char_boundary((taken.at(*row) - start) as usize);
                    if let Some(row) = (0..count).find(is_within) {
                        return Err(invalid(format!("the offset of row {row} is within a character")));
                    }
                }
                taken.append(offsets, bytes.len())?;
                bytes.extend_from_slice(part);
            }
            Gathered::List { offsets, items } => {
                let taken = offsets_at(memory, found.offsets, &rows)?;
                let child = column_at(memory, "the items' column", found.child)?;
                let (start, end) = (taken.first(), taken.last());
                if end > child.rows {
                    return Err(invalid(format!("the last offset is {end}, and there are {} items", child.rows)));
                }
                taken.append(offsets, items.rows)?;
                items.items_of(memory, &child, start as usize..end as usize)?;
            }
        }
        Ok(())
    }

    /// Appends some rows of an items' column.
    fn items_of(&mut self, memory: &[u8], found: &Column, rows: Range<usize>) -> Result<(), GuestCallError> {
        let count = rows.len();
        // A bit of memory may be an item, so what an item takes on the host is bounded by the guest's memory.
        if count > memory.len() {
            return Err(invalid(format!("the result has {count} items, more than the guest's memory has bytes")));
        }
        let first = found.first_bit as usize + rows.start;
        let bitmap = match found.validity {
            0 => None,
            address => Some(bits_at(memory, "the items' validity", address, first, count)?),
        };
        self.values_of(memory, found, rows)?;
        let first = first % 8;
        match (&mut self.validity, bitmap) {
            (Some(validity), Some(bitmap)) => append_bits(validity, bitmap, first, count),
            (Some(validity), None) => validity.append_n(count, true),
            (None, Some(bitmap)) if (0..count).any(|row| bitmap[(first + row) / 8] >> ((first + row) % 8) & 1 == 0) => {
                return Err(invalid("an item of the result is null, and its type has no nulls"));
            }
            (None, _) => {}
        }
        self.rows += count;
        Ok(())
    }

    /// Appends the result of one row of a function that returns plain numbers.
    #[inline]
    pub(super) fn push_number(&mut self, slot: ValRaw) {
        match &mut self.values {
            Gathered::Fixed { bytes, width: 4 } => bytes.push(slot.get_u32().to_le()),
            Gathered::Fixed { bytes, .. } => bytes.push(slot.get_u64().to_le()),
            _ => {}
        }
        self.pushed(true);
    }

    /// Takes the result of one row out of the slot of a call, with all checks of a single call.
    #[inline]
    pub(super) fn take_one(&mut self, call: &mut GuestCall<'_>, slot: ValRaw) -> Result<(), GuestCallError> {
        if is_null(self.ty, slot)? {
            return self.push(&Value::Null);
        }
        match &mut self.values {
            Gathered::Bytes { offsets, bytes } if self.ty.scalar != Scalar::Document => {
                let found = packed(call, slot)?;
                if self.ty.scalar == Scalar::String {
                    text(found)?;
                }
                bytes.extend_from_slice(found);
                offsets.push(offset(bytes.len())?);
            }
            _ => return self.push(&Value::take(call, self.ty, slot)?),
        }
        self.pushed(true);
        Ok(())
    }

    /// Counts a row of which the value is there.
    #[inline]
    fn pushed(&mut self, is_valid: bool) {
        if let Some(validity) = &mut self.validity {
            validity.append(is_valid);
        }
        self.rows += 1;
    }

    /// Appends the result of one row.
    pub(super) fn push(&mut self, value: &Value) -> Result<(), GuestCallError> {
        match &mut self.values {
            Gathered::Fixed { bytes, width } => bytes.extend_from_slice(&value.little_endian()[..*width]),
            Gathered::Bits(bits) => bits.append(matches!(value, Value::Bool(true))),
            Gathered::Bytes { offsets, bytes } => {
                bytes.extend_from_slice(value.as_bytes().unwrap_or_default());
                offsets.push(offset(bytes.len())?);
            }
            Gathered::List { offsets, items } => {
                if let Value::List(values) = value {
                    values.iter().try_for_each(|item| items.push(item))?;
                }
                offsets.push(offset(items.rows)?);
            }
        }
        self.pushed(!matches!(value, Value::Null));
        Ok(())
    }

    /// The array of all rows, or why the results are none of their type.
    pub(super) fn finish(self) -> Result<ArrayRef, String> {
        let nulls = self.validity.map(|mut validity| NullBuffer::new(validity.finish()));
        let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
        Ok(match self.values {
            Gathered::Fixed { bytes, .. } => match self.ty.scalar {
                Scalar::I32 => numbers::<Int32Type>(bytes, nulls),
                Scalar::U64 => numbers::<UInt64Type>(bytes, nulls),
                Scalar::F32 => numbers::<Float32Type>(bytes, nulls),
                Scalar::F64 => numbers::<Float64Type>(bytes, nulls),
                Scalar::Date => numbers::<Date32Type>(bytes, nulls),
                Scalar::Timestamp => numbers::<TimestampMicrosecondType>(bytes, nulls),
                Scalar::Decimal { precision, scale } => {
                    let values = ScalarBuffer::from(bytes);
                    let array = PrimitiveArray::<Decimal128Type>::new(values, nulls);
                    let array = array.with_precision_and_scale(precision, scale).map_err(|error| error.to_string())?;
                    let has_more = |units: i128| !Decimal { units, scale }.has_at_most(precision);
                    if let Some(row) = (0..array.len()).find(|row| array.is_valid(*row) && has_more(array.value(*row)))
                    {
                        return Err(format!("row {row} has more than {precision} digits"));
                    }
                    Arc::new(array)
                }
                _ => numbers::<Int64Type>(bytes, nulls),
            },
            Gathered::Bits(mut bits) => Arc::new(BooleanArray::new(bits.finish(), nulls)),
            Gathered::Bytes { offsets, bytes } => {
                let offsets = OffsetBuffer::new(offsets.into());
                match self.ty.scalar {
                    Scalar::String => {
                        let array = StringArray::try_new(offsets, bytes.into(), nulls);
                        Arc::new(array.map_err(|error| error.to_string())?)
                    }
                    _ => {
                        let array = BinaryArray::try_new(offsets, bytes.into(), nulls);
                        let array = array.map_err(|error| error.to_string())?;
                        if self.ty.scalar == Scalar::Document {
                            check_documents(&array)?;
                        }
                        Arc::new(array)
                    }
                }
            }
            Gathered::List { offsets, items } => {
                let DataType::List(field) = data_type(self.ty) else {
                    return Err("the result is no list".to_owned());
                };
                let (offsets, items) = (OffsetBuffer::new(offsets.into()), items.finish()?);
                let field = Arc::new(Field::new(field.name(), items.data_type().clone(), field.is_nullable()));
                Arc::new(ListArray::try_new(field, offsets, items, nulls).map_err(|error| error.to_string())?)
            }
        })
    }
}

fn numbers<T: ArrowPrimitiveType>(bytes: MutableBuffer, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(bytes), nulls))
}

/// Zeros in the guest's memory.
fn zeros(frame: &mut Frame<'_, '_>, length: usize) -> Result<u32, GuestCallError> {
    let (address, room) = frame.room(length)?;
    room.fill(0);
    Ok(address)
}

fn append_bits(to: &mut BooleanBufferBuilder, bitmap: &[u8], first: usize, rows: usize) {
    to.append_packed_range(first..first + rows, bitmap);
}

fn offset(length: usize) -> Result<i32, GuestCallError> {
    i32::try_from(length).map_err(|_| invalid("the results of the batch have more than 2 GiB; give it fewer rows"))
}

/// Offsets in the guest's memory, which were checked to be in order and not negative.
struct Offsets<'m>(&'m [u8]);

fn offsets_at<'m>(memory: &'m [u8], address: u32, rows: &Range<usize>) -> Result<Offsets<'m>, GuestCallError> {
    let from = (address as usize).saturating_add(rows.start.saturating_mul(4));
    let offsets = Offsets(at(memory, "the result's offsets", from, (rows.len() + 1).saturating_mul(4))?);
    let mut before = 0;
    for row in 0..=rows.len() {
        let found = offsets.at(row).cast_signed();
        if found < before {
            return Err(invalid(format!("the offset of row {row} is {found}, behind an offset of {before}")));
        }
        before = found;
    }
    Ok(offsets)
}

/// The bytes of a bitmap that have these bits.
fn bits_at<'m>(
    memory: &'m [u8],
    what: &str,
    address: u32,
    first: usize,
    count: usize,
) -> Result<&'m [u8], GuestCallError> {
    let end = (first + count).div_ceil(8);
    at(memory, what, (address as usize).saturating_add(first / 8), end - first / 8)
}

impl Offsets<'_> {
    fn at(&self, row: usize) -> u32 {
        self.0.get(row * 4..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }

    fn first(&self) -> u32 {
        self.at(0)
    }

    fn last(&self) -> u32 {
        self.at(self.0.len() / 4 - 1)
    }

    /// Appends the offsets behind the first one, which is `base` there.
    fn append(&self, to: &mut Vec<i32>, base: usize) -> Result<(), GuestCallError> {
        let start = self.first();
        // The last is the largest.
        offset(base + (self.last() - start) as usize)?;
        let base = offset(base)?;
        to.extend((1..self.0.len() / 4).map(|row| base + (self.at(row) - start).cast_signed()));
        Ok(())
    }
}
