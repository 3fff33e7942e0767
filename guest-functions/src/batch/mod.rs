//! Calls of many rows in one crossing: columns in, a column out, in the memory layout of Arrow.
//!
//! `cells` tells arrays apart, `place` copies them into the guest's memory, `collect` takes the result and checks it. This file
//! divides a batch so that its parts fit the exchange region, and says which row failed.

mod cells;
mod collect;
mod place;

use std::ops::Range;

use arrow_array::ArrayRef;
use guest_abi::column::SIZE;
use guest_abi::function::{BATCH_DONE, Signature, Type};
use guest_host::wasmtime::ValRaw;
use guest_host::{Cause, Failure, GuestCallError, Instance};

use crate::argument::{arity, mismatch};
use crate::error::FunctionError;
use crate::frame::Frame;
use crate::module::{Caller, Entry, Function, Pristine};
use crate::returned::take;
use crate::value::Value;
use cells::Cells;
pub use cells::{Columnar, data_type};
use collect::Collected;

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
    let mut batch = Batch { entry, instance, cells: &cells };
    match pristine {
        Pristine::Row => batch.rows(0..rows, &mut collected)?,
        Pristine::Batch | Pristine::Never => batch.parts(rows, &mut collected)?,
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
}

/// Why a part of a batch has no results.
enum Stopped {
    /// The guest said which of its rows failed.
    Row { row: usize, failure: Box<Failure> },
    /// It did not.
    Unknown(Failure),
    /// The error says it.
    Error(FunctionError),
}

impl Batch<'_> {
    /// Calls all rows, as many at once as fit.
    fn parts(&mut self, rows: usize, collected: &mut Collected) -> Result<(), FunctionError> {
        let region = self.instance.config().exchange_size(self.instance.guest().info().contract()) as usize;
        let mut start = 0;
        let mut most = rows;
        let needs_less =
            |failure: &Failure| is_too_large(failure) || matches!(failure.cause, Cause::OutOfMemory { .. });
        while start < rows {
            let mut end = rows.min(start.saturating_add(most));
            let bytes = self.estimate(&(start..end));
            if bytes > region {
                // Rows are not equally long: what does not fit all the same is halved below.
                let fit = (end - start) as u128 * region as u128 / bytes as u128;
                end = rows.min(start + usize::try_from(fit).unwrap_or(usize::MAX).max(1));
            }
            match self.part(start..end, collected) {
                // The rows that follow may be shorter.
                Ok(()) => (start, most) = (end, (end - start).saturating_mul(2)),
                Err(Stopped::Unknown(failure)) if needs_less(&failure) && end - start > 1 => most = (end - start) / 2,
                Err(stopped) => return Err(self.which(start..end, stopped)),
            }
        }
        Ok(())
    }

    /// Bytes that a part takes in the exchange region, about.
    fn estimate(&self, rows: &Range<usize>) -> usize {
        let result = self.entry.result();
        let width = if result.list.is_some() { 0 } else { result.scalar.width().unwrap_or(1) };
        let result = rows.len().saturating_mul(width).saturating_add(2 * SIZE);
        self.cells.iter().fold(result, |sum, cells| sum.saturating_add(place::estimate(cells, rows)))
    }

    /// One crossing.
    fn part(&mut self, rows: Range<usize>, collected: &mut Collected) -> Result<(), Stopped> {
        let Some(export) = self.entry.batch else {
            // A foreign function takes one row.
            return self.rows(rows, collected).map_err(Stopped::Error);
        };
        let Self { entry, instance, cells } = self;
        let mut failed = None;
        let called = instance.call_with(export, |call| {
            let mut frame = Frame::new(call, entry.placement);
            let mut columns = [0_u8; SIZE * FEW];
            let mut many = Vec::new();
            let placed = match columns.get_mut(..SIZE * cells.len()) {
                Some(few) => few,
                None => {
                    many.resize(SIZE * cells.len(), 0);
                    many.as_mut_slice()
                }
            };
            for (to, cells) in placed.chunks_exact_mut(SIZE).zip(*cells) {
                to.copy_from_slice(&cells.place(&mut frame, rows.clone())?.to_bytes());
            }
            let columns = frame.bytes(placed)?;
            let room = collected.room(&mut frame, rows.len())?;
            for slot in [rows.len() as u32, columns, room.column] {
                frame.push(ValRaw::u32(slot));
            }
            match frame.call_batch(&mut failed)?.get_i32() {
                BATCH_DONE => collected.take(frame.guest(), room),
                row => Err(GuestCallError::invalid(format!("the batch ended at row {row} without an error"))),
            }
        });
        called.map_err(|failure| entry.named(failure)).map_err(|failure| match failed {
            Some(row) if row < rows.len() => Stopped::Row { row: rows.start + row, failure: Box::new(failure) },
            _ => Stopped::Unknown(failure),
        })
    }

    /// The error of a part that stopped. Where the guest trapped, its rows are called again in parts to find the row.
    #[cold]
    fn which(&mut self, mut rows: Range<usize>, stopped: Stopped) -> FunctionError {
        let mut failure = match stopped {
            Stopped::Row { row, failure } => return FunctionError::Row { row, failure },
            Stopped::Error(error) => return error,
            Stopped::Unknown(failure) => failure,
        };
        if !(is_trap(&failure.cause) || is_too_large(&failure) && rows.len() == 1) {
            return failure.into();
        }
        while rows.len() > 1 {
            let half = rows.start..rows.start + rows.len() / 2;
            let mut unseen = Collected::new(self.entry.result(), 0, true);
            match self.part(half.clone(), &mut unseen) {
                Err(Stopped::Row { row, failure }) => return FunctionError::Row { row, failure },
                Err(Stopped::Error(error)) => return error,
                Err(Stopped::Unknown(found)) if is_trap(&found.cause) => (rows, failure) = (half, found),
                Err(Stopped::Unknown(found)) => return found.into(),
                Ok(()) => {
                    rows = half.end..rows.end;
                    // Rows that trap only behind others have no row to name.
                    match self.part(rows.clone(), &mut Collected::new(self.entry.result(), 0, true)) {
                        Err(Stopped::Row { row, failure }) => return FunctionError::Row { row, failure },
                        Err(Stopped::Unknown(found)) if is_trap(&found.cause) => failure = found,
                        _ => return failure.into(),
                    }
                }
            }
        }
        FunctionError::Row { row: rows.start, failure: Box::new(failure) }
    }

    /// Calls each row by itself.
    fn rows(&mut self, mut rows: Range<usize>, collected: &mut Collected) -> Result<(), FunctionError> {
        let Self { entry, instance, cells } = self;
        rows.try_for_each(|row| one(entry, instance, cells, row, collected))
    }
}

/// Columns of which the places need no memory from the heap.
const FEW: usize = 8;

/// The first parameter that takes no null, and has one in this row.
fn null_at(entry: &Entry, cells: &[Cells<'_>], row: usize) -> Option<usize> {
    let mut params = entry.signature.params.iter().zip(cells);
    params.position(|(field, cells)| !field.ty.nullable && cells.locate(row).is_none())
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
    if let Some(at) = null_at(entry, cells, row) {
        if !signature.strict {
            let (function, parameter) = (signature.name.clone(), signature.params[at].name.clone());
            return Err(FunctionError::NullInRow { function, parameter, row });
        }
        let _ = collected.push(&Value::Null);
        return Ok(());
    }
    let result: Type = entry.result();
    let called = instance.call_with(entry.row, |call| {
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
        let value = take::<Value>(frame.guest(), result, slot)?;
        collected.push(&value.unwrap_or(Value::Null))
    });
    called.map_err(|failure| FunctionError::Row { row, failure: Box::new(entry.named(failure)) })
}

fn is_too_large(failure: &Failure) -> bool {
    matches!(failure.cause, Cause::ArgumentsTooLarge { .. })
}

/// Whether the guest ran and did not come to its end, for a reason that lies in a row.
fn is_trap(cause: &Cause) -> bool {
    matches!(
        cause,
        Cause::OutOfMemory { .. }
            | Cause::Panic { .. }
            | Cause::StackOverflow
            | Cause::OutOfBounds { .. }
            | Cause::Unreachable
            | Cause::Exit { .. }
            | Cause::Trap { .. }
    )
}
