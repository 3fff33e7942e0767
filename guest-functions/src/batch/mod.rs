//! Calls of many rows in one crossing: columns in, a column out, in the memory layout of Arrow.
//!
//! `cells` tells arrays apart, `place` copies them into the guest's memory, `collect` takes the result and checks it. `divide` divides a
//! batch so that its parts fit the exchange region, and says which row failed. This file calls functions, `aggregate` takes
//! rows into `states`, and `table` takes the rows of a table function.

mod aggregate;
mod cells;
mod collect;
mod divide;
mod place;
mod states;
mod table;
mod values;

use std::ops::Range;

use arrow_array::ArrayRef;
use guest_abi::column::SIZE;
use guest_abi::function::{BATCH_DONE, Signature};
use guest_host::wasmtime::ValRaw;
use guest_host::{Failure, GuestCallError, Instance};

use crate::argument::{arity, mismatch};
use crate::error::FunctionError;
use crate::frame::{Frame, Slots};
use crate::functions::Entry;
use crate::module::{Caller, Function, Pristine};
use crate::value::Value;
pub use aggregate::{Aggregate, GroupStates};
use cells::Cells;
pub use cells::{Columnar, data_type};
use collect::Collected;
use divide::{Parts, Stopped, call_in_parts};
pub use table::{TableFunction, TableRows};
pub use values::{array_of, value_at};

impl Function {
    /// Calls the function for many rows, on an instance of the module's pool. See [`Caller::call_batch`].
    ///
    /// # Errors
    /// As for [`Caller::call_batch`].
    pub fn call_batch(&self, columns: &[Columnar<'_>], rows: usize) -> Result<ArrayRef, FunctionError> {
        let mut instance = self.module().pool().take()?;
        call_batch(self.entry(), &mut instance, columns, rows, self.module().config().pristine)
    }
}

impl Caller {
    /// Calls a function of the module for many rows: one column for each parameter, in the type that [`data_type`] has for it. A
    /// column may also be a dictionary of such values, a `Utf8View` or `BinaryView`, or one of long offsets, and a constant stays one.
    /// The columns are copied once as they are, and the result once.
    ///
    /// A batch that does not fit the exchange region, or for which the guest has not enough memory, is divided.
    /// [`ModuleConfig::pristine`](crate::ModuleConfig::pristine) says what a row may see of others.
    ///
    /// # Errors
    /// [`FunctionError::Row`] names the row that failed, also if it trapped: a function is pure, so the rows of a batch that
    /// trapped are called again in parts, until one row is left. [`FunctionError::Call`] is the failure of a batch where no
    /// row can be named, for instance because the time is up; the other errors are those of [`Caller::call`].
    ///
    /// ```no_run
    /// use arrow_array::{Int64Array, cast::AsArray, types::Int64Type};
    /// use guest_functions::{Columnar, ModuleConfig, Runtime};
    ///
    /// let wasm = std::fs::read("functions.wasm")?;
    /// let module = Runtime::new()?.register("numbers", &wasm, ModuleConfig::default())?;
    /// let gcd = module.function("gcd")?;
    /// let mut caller = module.caller()?;
    ///
    /// let (a, b) = (Int64Array::from(vec![12, 35, 9]), Int64Array::from(vec![6]));
    /// let columns = [Columnar::Array(&a), Columnar::Constant(&b)];
    /// let result = caller.call_batch(&gcd, &columns, 3)?;
    /// assert_eq!(result.as_primitive::<Int64Type>().values(), &[6, 1, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn call_batch(
        &mut self,
        function: &Function,
        columns: &[Columnar<'_>],
        rows: usize,
    ) -> Result<ArrayRef, FunctionError> {
        self.check_module(function)?;
        let pristine = function.module().config().pristine;
        call_batch(function.entry(), &mut self.instance, columns, rows, pristine)
    }
}

fn call_batch(
    entry: &Entry,
    instance: &mut Instance,
    columns: &[Columnar<'_>],
    rows: usize,
    pristine: Pristine,
) -> Result<ArrayRef, FunctionError> {
    let signature = &entry.signature;
    if rows > MOST_ROWS {
        return Err(FunctionError::TooManyRows { rows, most: MOST_ROWS });
    }
    let cells = check(signature, columns, rows)?;
    let takes_no_null = signature.params.iter().map(|field| !field.ty.nullable);
    let may_lack = cells.iter().zip(takes_no_null).any(|(cells, takes_no_null)| takes_no_null && cells.may_be_null());
    let result = entry.result();
    let mut collected = Collected::new(result, rows, result.nullable || signature.strict && may_lack);
    match pristine {
        Pristine::Row => one_by_one(entry, instance, &cells, 0..rows, &mut collected)?,
        Pristine::Batch | Pristine::Never => {
            let mut batch = Batch { entry, instance, cells: &cells, collected: &mut collected };
            call_in_parts(&mut batch, rows, usize::MAX)?;
        }
    }
    let unfit = |reason| FunctionError::Results { function: signature.name.clone(), reason };
    collected.finish().map_err(unfit)
}

/// The arrays as the parameters take them.
fn check<'a>(signature: &Signature, columns: &[Columnar<'a>], rows: usize) -> Result<Vec<Cells<'a>>, FunctionError> {
    if columns.len() != signature.params.len() {
        return Err(arity(signature, columns.len()));
    }
    let cells = |(at, column): (usize, &Columnar<'a>)| {
        let field = &signature.params[at];
        let (array, expected) = match column {
            Columnar::Array(array) => (array, rows),
            Columnar::Constant(array) => (array, 1),
        };
        if array.len() != expected {
            let (function, parameter) = (signature.name.clone(), field.name.clone());
            return Err(FunctionError::Rows { function, parameter, expected, found: array.len() });
        }
        Cells::of(*column, field.ty).ok_or_else(|| mismatch(array.data_type().to_string(), at, signature))
    };
    columns.iter().enumerate().map(cells).collect()
}

/// Most rows of a batch: so many values of 16 bytes have as many bytes as a 32-bit offset of Arrow can count.
const MOST_ROWS: usize = 1 << 27;

/// A batch under way.
struct Batch<'a> {
    entry: &'a Entry,
    instance: &'a mut Instance,
    cells: &'a [Cells<'a>],
    collected: &'a mut Collected,
}

impl Parts for Batch<'_> {
    fn region(&self) -> usize {
        exchange_size(self.instance)
    }

    fn estimate(&self, rows: &Range<usize>) -> usize {
        let result = self.entry.result();
        let width = if result.list.is_some() { 0 } else { result.scalar.width().unwrap_or(1) };
        let result = rows.len().saturating_mul(width).saturating_add(2 * SIZE);
        result.saturating_add(place::estimate_all(self.cells, rows))
    }

    fn cross(&mut self, rows: Range<usize>, keep: bool) -> Result<(), Stopped> {
        let mut unseen = None;
        let collected =
            if keep { &mut *self.collected } else { unseen.insert(Collected::new(self.entry.result(), 0, true)) };
        let Self { entry, instance, cells, .. } = self;
        let Some(export) = entry.batch else {
            // A foreign function takes one row.
            return one_by_one(entry, instance, cells, rows, collected).map_err(Stopped::Error);
        };
        let mut failed = None;
        let called = instance.call_with(export, |call| {
            let mut frame = Frame::new(call, entry.placement);
            let columns = place::place_all(cells, &mut frame, &rows)?;
            let room = collected.room(&mut frame, rows.len())?;
            for slot in [rows.len() as u32, columns, room.column] {
                frame.push(ValRaw::u32(slot));
            }
            match frame.call_batch(&mut failed)?.get_i32() {
                BATCH_DONE => collected.take(frame.guest(), room),
                row => Err(GuestCallError::invalid(format!("the batch ended at row {row} without an error"))),
            }
        });
        called.map_err(|failure| Stopped::new(entry.named(failure), failed, &rows))
    }
}

/// Bytes of the exchange region of an instance.
fn exchange_size(instance: &Instance) -> usize {
    instance.config().exchange_size(instance.guest().info().contract()) as usize
}

/// Calls each row by itself.
fn one_by_one(
    entry: &Entry,
    instance: &mut Instance,
    cells: &[Cells<'_>],
    mut rows: Range<usize>,
    collected: &mut Collected,
) -> Result<(), FunctionError> {
    if entry.shape.is_some() && !cells.iter().any(Cells::may_be_null) {
        let mut slots = Slots::new();
        return rows.try_for_each(|row| one_of_numbers(entry, instance, cells, row, &mut slots, collected));
    }
    rows.try_for_each(|row| one(entry, instance, cells, row, collected))
}

/// Calls one row of a function of plain numbers, of which none is null, and collects its result.
#[inline]
fn one_of_numbers(
    entry: &Entry,
    instance: &mut Instance,
    all: &[Cells<'_>],
    row: usize,
    slots: &mut Slots,
    collected: &mut Collected,
) -> Result<(), FunctionError> {
    slots.clear();
    for cells in all {
        // Most columns have the values themselves.
        match cells.slot(row).or_else(|| cells.locate(row).and_then(|(cells, row)| cells.slot(row))) {
            Some(slot) => slots.push(slot),
            None => return one(entry, instance, all, row, collected),
        }
    }
    let slots = slots.as_mut_slice();
    let called = instance.call_numbers(entry.export, slots);
    called.map_err(|failure| in_row(entry, row, failure))?;
    collected.push_number(slots[0]);
    Ok(())
}

#[cold]
fn in_row(entry: &Entry, row: usize, failure: Failure) -> FunctionError {
    FunctionError::Row { row, failure: Box::new(entry.named(failure)) }
}

/// The first parameter that takes no null, and has one in this row.
fn null_at(signature: &Signature, cells: &[Cells<'_>], row: usize) -> Option<usize> {
    let mut params = signature.params.iter().zip(cells);
    params.position(|(field, cells)| !field.ty.nullable && cells.locate(row).is_none())
}

/// The error of a null in a row, for the parameter with this index, which takes none.
#[cold]
fn null_in_row(signature: &Signature, at: usize, row: usize) -> FunctionError {
    let (function, parameter) = (signature.name.clone(), signature.params[at].name.clone());
    FunctionError::NullInRow { function, parameter, row }
}

/// Calls one row, and collects its result: null for a null that a parameter does not take, if the function is strict.
fn one(
    entry: &Entry,
    instance: &mut Instance,
    cells: &[Cells<'_>],
    row: usize,
    collected: &mut Collected,
) -> Result<(), FunctionError> {
    let signature = &entry.signature;
    if let Some(at) = null_at(signature, cells, row) {
        if !signature.strict {
            return Err(null_in_row(signature, at, row));
        }
        let _ = collected.push(&Value::Null);
        return Ok(());
    }
    let called = instance.call_with(entry.export, |call| {
        let mut frame = Frame::new(call, entry.placement);
        for (field, cells) in signature.params.iter().zip(cells) {
            match cells.locate(row) {
                None => frame.push_null(field.ty),
                Some((cells, row)) => {
                    if field.ty.nullable {
                        frame.push(ValRaw::i32(1));
                    }
                    cells.push(&mut frame, row)?;
                }
            }
        }
        let slot = frame.call()?;
        collected.take_one(frame.guest(), slot)
    });
    called.map_err(|failure| in_row(entry, row, failure))
}
