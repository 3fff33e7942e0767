//! Placing the columns of a batch in the guest's memory: each buffer is copied once, as it is.

use std::ops::Range;

use arrow_array::types::ByteViewType;
use arrow_array::{Array as _, GenericByteViewArray, OffsetSizeTrait};
use arrow_buffer::BooleanBuffer;
use guest_abi::column::{self, Column, Encoding};
use guest_host::{GuestCallError, wasmtime::ValRaw};

use super::cells::{Cells, Values};
use crate::argument::place_bytes;
use crate::frame::Frame;

/// Columns of which the places need no memory from the heap.
const FEW: usize = 8;

/// Places some rows of all columns, and returns the address of their [`Column`]s, which lie one behind the other.
pub(super) fn place_all(
    cells: &[Cells<'_>],
    frame: &mut Frame<'_, '_>,
    rows: &Range<usize>,
) -> Result<u32, GuestCallError> {
    let mut columns = [0_u8; column::SIZE * FEW];
    let mut many = Vec::new();
    let placed = match columns.get_mut(..column::SIZE * cells.len()) {
        Some(few) => few,
        None => {
            many.resize(column::SIZE * cells.len(), 0);
            many.as_mut_slice()
        }
    };
    for (to, cells) in placed.chunks_exact_mut(column::SIZE).zip(cells) {
        to.copy_from_slice(&cells.place(frame, rows.clone())?.to_bytes());
    }
    frame.bytes(placed)
}

/// Bytes that the rows of all columns take, about.
pub(super) fn estimate_all(cells: &[Cells<'_>], rows: &Range<usize>) -> usize {
    cells.iter().fold(0, |sum, cells| sum.saturating_add(estimate(cells, rows)))
}

/// Bytes that the rows of a column take, about; for dividing a batch before it is placed.
fn estimate(cells: &Cells<'_>, rows: &Range<usize>) -> usize {
    let count = rows.len();
    let bytes = match gathered_instead(cells, rows) {
        Some(gathered) => gathered,
        None => shared(cells, rows),
    };
    bytes.saturating_add(count.div_ceil(8)).saturating_add(4 * column::SIZE)
}

/// Bytes of the values of some rows with all that they share with other rows.
fn shared(cells: &Cells<'_>, rows: &Range<usize>) -> usize {
    let count = rows.len();
    match &cells.values {
        Values::Fixed { width, .. } => count.saturating_mul(*width),
        Values::Bool(_) => count.div_ceil(8),
        Values::Text(array) => offsets_span(array.value_offsets(), rows).saturating_add(count * 4),
        Values::Bytes(array) => offsets_span(array.value_offsets(), rows).saturating_add(count * 4),
        Values::LargeText(array) => offsets_span(array.value_offsets(), rows).saturating_add(count * 4),
        Values::LargeBytes(array) => offsets_span(array.value_offsets(), rows).saturating_add(count * 4),
        Values::TextViews(array) => views_span(array).saturating_add(count * 16),
        Values::ByteViews(array) => views_span(array).saturating_add(count * 16),
        Values::List { array, items } => {
            let items_in = offset_range(array.value_offsets(), rows);
            estimate(items, &items_in).saturating_add(count * 4)
        }
        Values::Constant(inner) => estimate(inner, &(0..1)),
        Values::Dictionary { values, .. } => {
            let distinct = len(values);
            estimate(values, &(0..distinct)).saturating_add(count * 4)
        }
    }
}

/// Bytes of the values of some rows one behind the other, where these are far fewer than those of all that they share with other
/// rows: views share buffers, and dictionaries have values that no row uses.
fn gathered_instead(cells: &Cells<'_>, rows: &Range<usize>) -> Option<usize> {
    let inner = match &cells.values {
        Values::Dictionary { values, .. } => match &values.values {
            Values::Bool(_) | Values::List { .. } | Values::Constant(_) | Values::Dictionary { .. } => return None,
            _ => &**values,
        },
        Values::TextViews(_) | Values::ByteViews(_) => cells,
        _ => return None,
    };
    let gathered = match inner.values {
        Values::Fixed { width, .. } => rows.len().saturating_mul(width),
        _ => {
            let length = |row| cells.locate(row).and_then(|(cells, row)| cells.bytes(row)).map_or(0, <[u8]>::len);
            rows.clone().map(length).fold(4 * (rows.len() + 1), usize::saturating_add)
        }
    };
    (shared(cells, rows) / 2 > gathered).then_some(gathered)
}

fn offsets_span<O: OffsetSizeTrait>(offsets: &[O], rows: &Range<usize>) -> usize {
    offset_range(offsets, rows).len()
}

fn views_span<T: ByteViewType + ?Sized>(array: &GenericByteViewArray<T>) -> usize {
    array.data_buffers().iter().map(|buffer| buffer.len() + column::ALIGNMENT).sum()
}

/// The part of the values to which the offsets of some rows lead. Arrow has checked that they are in order.
fn offset_range<O: OffsetSizeTrait>(offsets: &[O], rows: &Range<usize>) -> Range<usize> {
    offsets[rows.start].as_usize()..offsets[rows.end].as_usize()
}

/// Rows of an array.
fn len(cells: &Cells<'_>) -> usize {
    match &cells.values {
        Values::Fixed { bytes, width } => bytes.len() / width,
        Values::Bool(array) => array.len(),
        Values::Text(array) => array.len(),
        Values::LargeText(array) => array.len(),
        Values::TextViews(array) => array.len(),
        Values::Bytes(array) => array.len(),
        Values::LargeBytes(array) => array.len(),
        Values::ByteViews(array) => array.len(),
        Values::List { array, .. } => array.len(),
        Values::Constant(_) => 1,
        Values::Dictionary { keys, .. } => keys.as_slice().len(),
    }
}

impl Cells<'_> {
    /// Places some rows, and returns their column.
    pub(super) fn place(&self, frame: &mut Frame<'_, '_>, rows: Range<usize>) -> Result<Column, GuestCallError> {
        if gathered_instead(self, &rows).is_some() {
            return self.gather(frame, rows);
        }
        let mut placed = Column { rows: rows.len() as u32, ..Column::default() };
        match &self.values {
            Values::Fixed { bytes, width } => {
                placed.values = frame.bytes(&bytes[rows.start * width..rows.end * width])?;
            }
            Values::Bool(array) => return place_bools(frame, array.values(), self, rows),
            Values::Text(array) => place_text(frame, &mut placed, array.value_data(), array.value_offsets(), &rows)?,
            Values::Bytes(array) => place_text(frame, &mut placed, array.value_data(), array.value_offsets(), &rows)?,
            Values::LargeText(array) => {
                place_text(frame, &mut placed, array.value_data(), array.value_offsets(), &rows)?;
            }
            Values::LargeBytes(array) => {
                place_text(frame, &mut placed, array.value_data(), array.value_offsets(), &rows)?;
            }
            Values::TextViews(array) => place_views(frame, &mut placed, array, &rows)?,
            Values::ByteViews(array) => place_views(frame, &mut placed, array, &rows)?,
            Values::List { array, items } => {
                let of = offset_range(array.value_offsets(), &rows);
                let inner = items.place(frame, of)?;
                placed.child = frame.bytes(&inner.to_bytes())?;
                placed.offsets = place_offsets(frame, array.value_offsets(), &rows)?;
            }
            Values::Constant(inner) => {
                placed.encoding = Encoding::Constant as u32;
                let inner = inner.place(frame, 0..1)?;
                placed.child = frame.bytes(&inner.to_bytes())?;
            }
            Values::Dictionary { keys, values } => {
                placed.encoding = Encoding::Dictionary as u32;
                let distinct = values.place(frame, 0..len(values))?;
                placed.child = frame.bytes(&distinct.to_bytes())?;
                let keys = &keys.as_slice()[rows.clone()];
                let (address, room) = frame.room(keys.len() * 4)?;
                for (to, key) in room.chunks_exact_mut(4).zip(keys) {
                    to.copy_from_slice(&key.to_le_bytes());
                }
                placed.values = address;
            }
        }
        if let Some(nulls) = self.nulls.filter(|nulls| nulls.null_count() > 0) {
            let (address, first_bit) = place_bits(frame, nulls.inner(), &rows)?;
            (placed.validity, placed.first_bit) = (address, first_bit);
        }
        Ok(placed)
    }

    /// Places the values of some rows one behind the other, without what they share with other rows.
    fn gather(&self, frame: &mut Frame<'_, '_>, rows: Range<usize>) -> Result<Column, GuestCallError> {
        let mut placed = Column { rows: rows.len() as u32, ..Column::default() };
        let fixed = match &self.values {
            Values::Dictionary { values, .. } => match &values.values {
                Values::Fixed { bytes, width } => Some((*bytes, *width)),
                _ => None,
            },
            _ => None,
        };
        match fixed {
            Some((bytes, width)) => {
                let (address, room) = frame.room(rows.len() * width)?;
                for (to, row) in room.chunks_exact_mut(width).zip(rows.clone()) {
                    match self.locate(row) {
                        Some((_, at)) => to.copy_from_slice(&bytes[at * width..(at + 1) * width]),
                        None => to.fill(0),
                    }
                }
                placed.values = address;
            }
            None => {
                let bytes = |row| self.locate(row).map(|(cells, row)| cells.bytes(row).unwrap_or_default());
                let column = place_bytes(frame, rows.len(), || rows.clone().map(bytes))?;
                (placed.values, placed.offsets) = (column.values, column.offsets);
            }
        }
        if self.may_be_null() {
            let (address, room) = frame.room(rows.len().div_ceil(8).max(1))?;
            room.fill(0);
            for (at, _) in rows.enumerate().filter(|(_, row)| self.locate(*row).is_some()) {
                room[at / 8] |= 1 << (at % 8);
            }
            placed.validity = address;
        }
        Ok(placed)
    }

    /// The slot of a number or truth value in a row, as [`Cells::push`] passes it; `None` for what crosses otherwise.
    #[inline]
    pub(super) fn slot(&self, row: usize) -> Option<ValRaw> {
        match &self.values {
            Values::Fixed { bytes, width: 4 } => {
                Some(ValRaw::u32(u32::from_le_bytes(*bytes.get(row * 4..)?.first_chunk()?)))
            }
            Values::Fixed { bytes, width: 8 } => {
                Some(ValRaw::u64(u64::from_le_bytes(*bytes.get(row * 8..)?.first_chunk()?)))
            }
            Values::Bool(array) => Some(ValRaw::i32(array.value(row).into())),
            _ => None,
        }
    }

    /// Passes the value of a row, which is not null, to a call of one row. `row` is one that [`Cells::locate`] found.
    pub(super) fn push(&self, frame: &mut Frame<'_, '_>, row: usize) -> Result<(), GuestCallError> {
        if let Some(slot) = self.slot(row) {
            frame.push(slot);
            return Ok(());
        }
        match &self.values {
            Values::Fixed { bytes, width } => {
                for half in bytes[row * width..(row + 1) * width].as_chunks().0 {
                    frame.push(ValRaw::u64(u64::from_le_bytes(*half)));
                }
            }
            Values::List { array, items } => {
                let of = offset_range(array.value_offsets(), &(row..row + 1));
                let inner = items.place(frame, of)?;
                frame.push_column(inner)?;
            }
            _ => frame.push_bytes(self.bytes(row).unwrap_or_default())?,
        }
        Ok(())
    }
}

/// Places the part of a bitmap that has these rows, and returns its address and the bit of the first row.
fn place_bits(
    frame: &mut Frame<'_, '_>,
    bits: &BooleanBuffer,
    rows: &Range<usize>,
) -> Result<(u32, u32), GuestCallError> {
    let (start, end) = (bits.offset() + rows.start, bits.offset() + rows.end);
    let address = frame.bytes(&bits.values()[start / 8..end.div_ceil(8)])?;
    Ok((address, (start % 8) as u32))
}

/// Truth values have their values and their validity at the same bits.
fn place_bools(
    frame: &mut Frame<'_, '_>,
    values: &BooleanBuffer,
    cells: &Cells<'_>,
    rows: Range<usize>,
) -> Result<Column, GuestCallError> {
    let mut placed = Column { rows: rows.len() as u32, ..Column::default() };
    (placed.values, placed.first_bit) = place_bits(frame, values, &rows)?;
    let Some(nulls) = cells.nulls.filter(|nulls| nulls.null_count() > 0) else {
        return Ok(placed);
    };
    let nulls = nulls.inner();
    if (nulls.offset() + rows.start) % 8 == placed.first_bit as usize {
        placed.validity = place_bits(frame, nulls, &rows)?.0;
        return Ok(placed);
    }
    let first = placed.first_bit as usize;
    let (address, room) = frame.room((first + rows.len()).div_ceil(8))?;
    room.fill(0);
    for (at, _) in rows.enumerate().filter(|(_, row)| nulls.value(*row)) {
        room[(first + at) / 8] |= 1 << ((first + at) % 8);
    }
    placed.validity = address;
    Ok(placed)
}

fn place_text<O: OffsetSizeTrait>(
    frame: &mut Frame<'_, '_>,
    placed: &mut Column,
    data: &[u8],
    offsets: &[O],
    rows: &Range<usize>,
) -> Result<(), GuestCallError> {
    let part = &data[offset_range(offsets, rows)];
    if i32::try_from(part.len()).is_err() {
        return Err(GuestCallError::arguments_too_large(part.len() as u64, i32::MAX as u64));
    }
    placed.values = frame.bytes(part)?;
    placed.offsets = place_offsets(frame, offsets, rows)?;
    Ok(())
}

/// Places offsets so that the first is 0. The others fit 32 bits then, as what they count was placed.
fn place_offsets<O: OffsetSizeTrait>(
    frame: &mut Frame<'_, '_>,
    offsets: &[O],
    rows: &Range<usize>,
) -> Result<u32, GuestCallError> {
    let offsets = &offsets[rows.start..=rows.end];
    let first = offsets[0].as_usize();
    let (address, room) = frame.room(offsets.len() * 4)?;
    for (to, offset) in room.chunks_exact_mut(4).zip(offsets) {
        to.copy_from_slice(&((offset.as_usize() - first) as u32).to_le_bytes());
    }
    Ok(address)
}

fn place_views<T: ByteViewType + ?Sized>(
    frame: &mut Frame<'_, '_>,
    placed: &mut Column,
    array: &GenericByteViewArray<T>,
    rows: &Range<usize>,
) -> Result<(), GuestCallError> {
    placed.encoding = Encoding::Views as u32;
    let buffers = array.data_buffers();
    let mut addresses = Vec::with_capacity(buffers.len() * 4);
    for buffer in buffers.iter() {
        addresses.extend_from_slice(&frame.bytes(buffer)?.to_le_bytes());
    }
    placed.child = frame.bytes(&addresses)?;
    let views = &array.views()[rows.clone()];
    let (address, room) = frame.room(views.len() * 16)?;
    for (to, view) in room.chunks_exact_mut(16).zip(views) {
        to.copy_from_slice(&view.to_le_bytes());
    }
    placed.values = address;
    Ok(())
}
