//! Table functions: any number of rows for a call, some thousand in each crossing.

use std::fmt;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Schema, SchemaRef};
use guest_abi::column::SIZE;
use guest_abi::function::{Kind, Signature, TABLE_FAILED};
use guest_host::wasmtime::ValRaw;
use guest_host::{Cause, GuestCallError, PooledInstance};

use super::cells::{Cells, Columnar, data_type};
use super::collect::Collected;
use super::{check, null_at, null_in_row, place};
use crate::error::FunctionError;
use crate::frame::Frame;
use crate::module::{Function, Module};

impl Module {
    /// The table function of this name.
    ///
    /// # Errors
    /// As for [`Module::function`]; [`FunctionError::OtherKind`] if it is no table function.
    pub fn table_function(&self, name: &str) -> Result<TableFunction, FunctionError> {
        let function = self.of_kind(name, Kind::Table)?;
        let field = |field: &guest_abi::function::Field| {
            arrow_schema::Field::new(&field.name, data_type(field.ty), field.ty.nullable)
        };
        let schema = Arc::new(Schema::new(function.signature().results.iter().map(field).collect::<Vec<_>>()));
        Ok(TableFunction { function, schema })
    }
}

/// A function that gives any number of rows for a call. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TableFunction {
    function: Function,
    schema: SchemaRef,
}

impl TableFunction {
    /// The module.
    #[must_use]
    pub fn module(&self) -> &Module {
        self.function.module()
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        self.function.signature()
    }

    /// The columns of its rows.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Begins a call: one array of one row for each parameter. The guest is called as the rows are taken; until all are, or
    /// [`TableRows`] is dropped, the call has an instance of its own, which is restored then.
    ///
    /// # Errors
    /// [`FunctionError`] if the arguments do not fit the parameters. [`FunctionError::Pool`] if [`PoolConfig::max`](guest_host::PoolConfig::max)
    /// calls of table functions are under way: it does not wait, as whoever calls may hold them all.
    ///
    /// ```no_run
    /// use arrow_array::StringArray;
    /// use guest_functions::{ModuleConfig, Runtime};
    ///
    /// let wasm = std::fs::read("functions.wasm")?;
    /// let module = Runtime::new()?.register("texts", &wasm, ModuleConfig::default())?;
    /// let tokens = module.table_function("tokens")?;
    /// let text = StringArray::from(vec!["to be or not to be"]);
    /// for batch in tokens.call(&[std::sync::Arc::new(text)])? {
    ///     println!("{:?}", batch?);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn call(&self, arguments: &[ArrayRef]) -> Result<TableRows, FunctionError> {
        let signature = self.signature();
        let columns: Vec<Columnar<'_>> = arguments.iter().map(|array| Columnar::Array(array)).collect();
        let cells = check(signature, &columns, 1)?;
        let null = null_at(signature, &cells, 0);
        if let Some(at) = null.filter(|_| !signature.strict) {
            return Err(null_in_row(signature, at, 0));
        }
        let state = match null {
            Some(_) => State::Ended,
            None => State::New { arguments: arguments.to_vec() },
        };
        let instance = self.module().sessions().try_take()?.into_owned();
        Ok(TableRows { of: self.clone(), instance, state, most: ROWS })
    }
}

/// Rows of a crossing.
const ROWS: usize = 8192;

/// The rows of a call, as record batches.
///
/// An error ends them.
pub struct TableRows {
    of: TableFunction,
    instance: PooledInstance<'static>,
    state: State,
    /// Rows of a crossing.
    most: usize,
}

enum State {
    /// The guest was not called yet.
    New {
        arguments: Vec<ArrayRef>,
    },
    /// The guest has more rows. The arguments end at this address, behind which the host may write.
    Begun {
        end: usize,
    },
    Ended,
}

impl fmt::Debug for TableRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableRows").field("of", &self.of).field("most", &self.most).finish_non_exhaustive()
    }
}

impl TableRows {
    /// Sets the most rows of a record batch: at least 1, and 8,192 by default.
    #[must_use]
    pub fn with_batch_size(self, most: usize) -> Self {
        Self { most: most.clamp(1, super::MOST_ROWS), ..self }
    }

    /// The columns of the rows.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.of.schema()
    }

    /// The next rows; none are the end.
    fn next_rows(&mut self) -> Result<Option<RecordBatch>, FunctionError> {
        loop {
            match self.cross() {
                Ok((0, _)) => return Ok(None),
                Ok((rows, columns)) => return self.batch(rows, columns).map(Some),
                // Nothing was called yet: the room for the results is what does not fit.
                Err(failure)
                    if matches!(
                        (&failure.cause, &self.state),
                        (Cause::ArgumentsTooLarge { .. }, State::New { .. })
                    ) && self.most > 1 =>
                {
                    self.most /= 2;
                }
                Err(failure) => return Err(self.of.function.entry().named(failure).into()),
            }
        }
    }

    /// One crossing: the number of rows, and their columns.
    fn cross(&mut self) -> Result<(usize, Vec<Collected>), guest_host::Failure> {
        let Self { of, instance, state, most } = self;
        let (entry, signature) = (of.function.entry(), of.signature());
        let (mut cells, mut end) = (Vec::new(), None);
        match state {
            State::New { arguments } => {
                let placed = arguments.iter().zip(&signature.params);
                // They were checked when the call began.
                cells = placed.filter_map(|(array, field)| Cells::of(Columnar::Array(array), field.ty)).collect();
            }
            State::Begun { end: behind } => end = Some(*behind),
            State::Ended => return Ok((0, Vec::new())),
        }
        let called = instance.call_with_once(entry.export, |call| {
            let mut frame = Frame::new(call, entry.placement);
            let columns = match end {
                Some(end) => {
                    frame.skip_to(end);
                    0
                }
                None => place::place_all(&cells, &mut frame, &(0..1))?,
            };
            let behind = frame.next();
            let mut results: Vec<Collected> =
                signature.results.iter().map(|field| Collected::new(field.ty, 0, field.ty.nullable)).collect();
            let (mut rooms, mut places) = (Vec::new(), Vec::new());
            for result in &results {
                let (column, room) = result.room_for(&mut frame, *most)?;
                places.extend_from_slice(&column.to_bytes());
                rooms.push(room);
            }
            let address = frame.bytes(&places)?;
            for slot in [*most as u32, columns, address] {
                frame.push(ValRaw::u32(slot));
            }
            let rows = match frame.call()?.get_i32() {
                TABLE_FAILED => return Err(GuestCallError::invalid("the table function failed without an error")),
                rows => usize::try_from(rows).ok().filter(|rows| rows <= most),
            };
            let rows = rows.ok_or_else(|| {
                GuestCallError::invalid(format!(
                    "the table function has more rows than the {most} that there is room for"
                ))
            })?;
            for (at, (result, room)) in results.iter_mut().zip(rooms).enumerate() {
                result.take(frame.guest(), room.of_rows(rows, address + (at * SIZE) as u32))?;
            }
            Ok((behind, rows, results))
        });
        match called {
            Ok((end, rows, results)) => {
                *state = if rows == 0 { State::Ended } else { State::Begun { end } };
                Ok((rows, results))
            }
            Err(failure) => Err(failure),
        }
    }

    fn batch(&self, rows: usize, columns: Vec<Collected>) -> Result<RecordBatch, FunctionError> {
        let unfit = |reason: String| FunctionError::Results { function: self.of.signature().name.clone(), reason };
        let columns = columns.into_iter().map(Collected::finish).collect::<Result<Vec<_>, _>>().map_err(unfit)?;
        let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema(), columns, &options).map_err(|error| unfit(error.to_string()))
    }
}

impl Iterator for TableRows {
    type Item = Result<RecordBatch, FunctionError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_rows();
        if next.is_err() {
            self.state = State::Ended;
        }
        next.transpose()
    }
}
