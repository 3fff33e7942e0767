//! Aggregates: states of groups, which rows are taken into, one crossing for many rows.

use std::ops::Range;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array, ArrayRef, BinaryArray};
use guest_abi::column::{Column, SIZE};
use guest_abi::function::{BATCH_DONE, Field, Kind, Operation, Scalar, Signature, Type};
use guest_host::wasmtime::ValRaw;
use guest_host::{GuestCallError, Instance};

use super::cells::{Cells, Columnar};
use super::collect::{Collected, Room};
use super::divide::{Parts, Stopped, call_in_parts};
use super::states::States;
use super::{MOST_ROWS, check, exchange_size, null_at, null_in_row, place};
use crate::argument::place_bytes;
use crate::error::FunctionError;
use crate::frame::Frame;
use crate::module::{Function, Module, Pristine};

impl Module {
    /// The aggregate of this name.
    ///
    /// # Errors
    /// As for [`Module::function`]; [`FunctionError::OtherKind`] if it is no aggregate.
    pub fn aggregate(&self, name: &str) -> Result<Aggregate, FunctionError> {
        self.of_kind(name, Kind::Aggregate).map(|function| Aggregate { function })
    }
}

/// A function that gives one result for a group of rows. Cheap to clone.
///
/// ```no_run
/// use arrow_array::{Float64Array, cast::AsArray, types::Float64Type};
/// use guest_functions::{Columnar, ModuleConfig, Runtime};
///
/// let wasm = std::fs::read("functions.wasm")?;
/// let module = Runtime::new()?.register("numbers", &wasm, ModuleConfig::default())?;
/// let mean = module.aggregate("mean")?;
/// let numbers = Float64Array::from(vec![Some(1.0), None, Some(4.0)]);
/// let result = mean.call(&[Columnar::Array(&numbers)], 3)?;
/// assert_eq!(result.as_primitive::<Float64Type>().value(0), 2.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Aggregate {
    function: Function,
}

impl Aggregate {
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

    /// The states of `groups` groups without rows.
    #[must_use]
    pub fn states(&self, groups: usize) -> GroupStates {
        let mut states = GroupStates { aggregate: self.clone(), states: States::default(), local: Vec::new() };
        states.resize(groups);
        states
    }

    /// The result of one group that has all these rows, as an array of one row.
    ///
    /// # Errors
    /// As for [`GroupStates::accumulate`].
    pub fn call(&self, columns: &[Columnar<'_>], rows: usize) -> Result<ArrayRef, FunctionError> {
        let mut states = self.states(1);
        states.accumulate(columns, rows, None)?;
        states.evaluate(0..1)
    }
}

/// The states of an aggregate, one for each group of rows.
///
/// The host keeps them as bytes and passes those that a batch needs, so that each crossing begins on a pristine instance, and any
/// instance of the module serves. States can be merged, and sent to another host that has the same module.
///
/// After an error, the rows of the batch before the one that failed may be part of the states or not: drop them.
#[derive(Debug, Clone)]
pub struct GroupStates {
    aggregate: Aggregate,
    states: States,
    /// For each group its number in the crossing that is being made; [`ABSENT`] between crossings.
    local: Vec<u32>,
}

/// The number of a group that is not part of a crossing.
const ABSENT: u32 = u32::MAX;

/// The type of a column of states.
const STATE: Type = Type::of(Scalar::Bytes);

impl GroupStates {
    /// The aggregate.
    #[must_use]
    pub fn aggregate(&self) -> &Aggregate {
        &self.aggregate
    }

    /// Number of groups.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.states.len()
    }

    /// Sets the number of groups. New ones have no rows.
    pub fn resize(&mut self, groups: usize) {
        self.states.resize(groups);
        self.local.resize(groups, ABSENT);
    }

    /// Removes the first groups; those behind them move up.
    pub fn remove_first(&mut self, groups: usize) {
        self.states.remove_first(groups);
        self.local.truncate(self.states.len());
    }

    /// Bytes of the host's memory that the states take.
    #[must_use]
    pub fn size(&self) -> usize {
        self.states.size() + self.local.capacity() * size_of::<u32>()
    }

    /// Takes rows into the states: one column for each parameter, and for each row the number of its group. Without numbers, all rows
    /// belong to the first group. [`Function::call_batch`] says what a column may be.
    ///
    /// A row with a null for a parameter that does not take it is left out, if the aggregate is strict.
    ///
    /// # Errors
    /// [`FunctionError::Row`] names the row that failed. [`FunctionError::UnknownGroup`] and [`FunctionError::Groups`] say that the
    /// groups do not fit; other errors are those of [`Function::call_batch`].
    pub fn accumulate(
        &mut self,
        columns: &[Columnar<'_>],
        rows: usize,
        groups: Option<&[usize]>,
    ) -> Result<(), FunctionError> {
        self.update(Operation::Accumulate, columns, rows, groups)
    }

    /// Takes rows out of the states again, which [`GroupStates::accumulate`] has taken in.
    ///
    /// # Errors
    /// [`FunctionError::NoRetract`] if the aggregate cannot; others as for [`GroupStates::accumulate`].
    pub fn retract(
        &mut self,
        columns: &[Columnar<'_>],
        rows: usize,
        groups: Option<&[usize]>,
    ) -> Result<(), FunctionError> {
        if !self.aggregate.signature().retracts {
            return Err(FunctionError::NoRetract { function: self.aggregate.signature().name.clone() });
        }
        self.update(Operation::Retract, columns, rows, groups)
    }

    /// Merges states, as [`GroupStates::save`] gives them, into the states: a column of bytes of which a row may be null, and for
    /// each row the number of its group.
    ///
    /// # Errors
    /// [`FunctionError::State`] for a state of another version; others as for [`GroupStates::accumulate`].
    pub fn merge(&mut self, states: &dyn Array, groups: Option<&[usize]>) -> Result<(), FunctionError> {
        let mut signature = Signature::new(Kind::Aggregate, self.aggregate.signature().name.clone());
        signature.params = vec![Field::new("state", STATE.nullable())];
        let cells = check(&signature, &[Columnar::Array(states)], states.len())?;
        for row in 0..states.len() {
            if let Some((cells, at)) = cells[0].locate(row) {
                self.check_version(row, cells.bytes(at).unwrap_or_default())?;
            }
        }
        self.run(Operation::Merge, &cells, states.len(), groups)
    }

    /// The results of some groups.
    ///
    /// # Errors
    /// [`FunctionError::Row`] has the number of the group that failed; others as for [`Function::call_batch`].
    ///
    /// # Panics
    /// If there are no such groups.
    pub fn evaluate(&self, groups: Range<usize>) -> Result<ArrayRef, FunctionError> {
        assert!(groups.end <= self.groups(), "there are {} groups", self.groups());
        let entry = self.aggregate.function.entry();
        let result = entry.result();
        let mut collected = Collected::new(result, groups.len(), result.nullable);
        let limit = most_rows(self.aggregate.module().config().pristine);
        let first = groups.start;
        let mut instance = self.aggregate.module().pool().take()?;
        let mut evaluation = Evaluate { of: self, instance: &mut instance, first, collected: &mut collected };
        call_in_parts(&mut evaluation, groups.len(), limit).map_err(|error| match error {
            FunctionError::Row { row, failure } => FunctionError::Row { row: first + row, failure },
            error => error,
        })?;
        let unfit = |reason| FunctionError::Results { function: entry.signature.name.clone(), reason };
        collected.finish().map_err(unfit)
    }

    /// The states of some groups; null for one without rows.
    ///
    /// # Errors
    /// [`FunctionError::Results`] if the states have 2 GiB or more together, which is more than an array has.
    ///
    /// # Panics
    /// If there are no such groups.
    pub fn save(&self, groups: Range<usize>) -> Result<BinaryArray, FunctionError> {
        assert!(groups.end <= self.groups(), "there are {} groups", self.groups());
        let bytes = self.states.bytes_of(groups.clone());
        if i32::try_from(bytes).is_err() {
            let reason = format!("the states of {} groups have {bytes} bytes; save fewer at once", groups.len());
            return Err(FunctionError::Results { function: self.aggregate.signature().name.clone(), reason });
        }
        Ok(groups.map(|group| self.states.get(group)).collect())
    }

    fn update(
        &mut self,
        operation: Operation,
        columns: &[Columnar<'_>],
        rows: usize,
        groups: Option<&[usize]>,
    ) -> Result<(), FunctionError> {
        let signature = self.aggregate.signature();
        let cells = check(signature, columns, rows)?;
        let may_lack = !signature.strict && cells.iter().any(Cells::may_be_null);
        if may_lack && let Some((row, at)) = (0..rows).find_map(|row| Some(row).zip(null_at(signature, &cells, row))) {
            return Err(null_in_row(signature, at, row));
        }
        self.run(operation, &cells, rows, groups)
    }

    fn run(
        &mut self,
        operation: Operation,
        cells: &[Cells<'_>],
        rows: usize,
        groups: Option<&[usize]>,
    ) -> Result<(), FunctionError> {
        if rows > MOST_ROWS {
            return Err(FunctionError::TooManyRows { rows, most: MOST_ROWS });
        }
        let there_are = self.groups();
        let function = &self.aggregate.function;
        match groups {
            Some(of) if of.len() != rows => {
                let function = function.signature().name.clone();
                return Err(FunctionError::Groups { function, rows, found: of.len() });
            }
            Some(of) => {
                if let Some(row) = of.iter().position(|group| *group >= there_are) {
                    return Err(FunctionError::UnknownGroup { row, group: of[row], groups: there_are });
                }
            }
            None if there_are == 0 && rows > 0 => {
                return Err(FunctionError::UnknownGroup { row: 0, group: 0, groups: 0 });
            }
            None => {}
        }
        let limit = most_rows(function.module().config().pristine);
        let mut instance = self.aggregate.module().pool().take()?.into_owned();
        call_in_parts(&mut Update { of: self, instance: &mut instance, operation, cells, groups }, rows, limit)
    }

    /// That the bytes of a state begin with the version that the module reads.
    fn check_version(&self, row: usize, state: &[u8]) -> Result<(), FunctionError> {
        let signature = self.aggregate.signature();
        let (expected, found) =
            (signature.state_version, state.first_chunk().map(|version| u32::from_le_bytes(*version)));
        match found {
            Some(found) if found == expected => Ok(()),
            found => Err(FunctionError::State { function: signature.name.clone(), row, expected, found }),
        }
    }
}

/// Rows of a crossing.
fn most_rows(pristine: Pristine) -> usize {
    if pristine == Pristine::Row { 1 } else { usize::MAX }
}

/// Bytes of the states that the estimate of a crossing counts with.
fn average(states: &States, rows: usize) -> usize {
    match states.len() {
        0 => 0,
        groups => (states.total() as u128 * rows.min(groups) as u128 / groups as u128) as usize,
    }
}

/// A batch whose rows are taken into states, or out of them.
struct Update<'a> {
    of: &'a mut GroupStates,
    instance: &'a mut Instance,
    operation: Operation,
    cells: &'a [Cells<'a>],
    groups: Option<&'a [usize]>,
}

impl Update<'_> {
    /// The groups of some rows, each once, in the order of their first rows. [`GroupStates::local`] has their numbers.
    fn touched(&mut self, rows: Range<usize>) -> Vec<usize> {
        let Some(groups) = self.groups else { return vec![0] };
        let mut touched = Vec::new();
        for group in &groups[rows] {
            let local = &mut self.of.local[*group];
            if *local == ABSENT {
                *local = touched.len() as u32;
                touched.push(*group);
            }
        }
        touched
    }
}

impl Parts for Update<'_> {
    fn region(&self) -> usize {
        exchange_size(self.instance)
    }

    fn estimate(&self, rows: &Range<usize>) -> usize {
        let states = average(&self.of.states, if self.groups.is_some() { rows.len() } else { 1 });
        let numbers = if self.groups.is_some() { rows.len() * 8 } else { 0 };
        place::estimate_all(self.cells, rows).saturating_add(states).saturating_add(numbers).saturating_add(2 * SIZE)
    }

    fn cross(&mut self, rows: Range<usize>, keep: bool) -> Result<(), Stopped> {
        let touched = self.touched(rows.clone());
        let Self { of, instance, operation, cells, groups } = self;
        let (local, states, entry) = (&of.local, &of.states, of.aggregate.function.entry());
        let mut failed = None;
        let called = instance.call_with(entry.export, |call| {
            let mut frame = Frame::new(call, entry.placement);
            let columns = place::place_all(cells, &mut frame, &rows)?;
            let numbers = match groups {
                None => 0,
                Some(groups) => {
                    let (address, room) = frame.room(rows.len() * 4)?;
                    for (to, group) in room.chunks_exact_mut(4).zip(&groups[rows.clone()]) {
                        to.copy_from_slice(&local[*group].to_le_bytes());
                    }
                    address
                }
            };
            let before = place_states(&mut frame, touched.len(), || touched.iter().map(|group| states.get(*group)))?;
            let mut after = Collected::new(STATE, touched.len(), false);
            let room = after.room(&mut frame, touched.len())?;
            cross(
                &mut frame,
                *operation,
                [rows.len() as u32, columns, numbers],
                (&touched, before),
                room,
                &mut failed,
            )?;
            after.take(frame.guest(), room)?;
            Ok(after)
        });
        if groups.is_some() {
            touched.iter().for_each(|group| of.local[*group] = ABSENT);
        }
        let after = called.map_err(|failure| {
            let entry = of.aggregate.function.entry();
            Stopped::new(entry.named(failure), failed, &rows)
        })?;
        if keep {
            of.take(&touched, after).map_err(Stopped::Error)?;
        }
        Ok(())
    }
}

impl GroupStates {
    /// Takes the states that a crossing has made.
    fn take(&mut self, touched: &[usize], after: Collected) -> Result<(), FunctionError> {
        let function = || self.aggregate.signature().name.clone();
        let after = after.finish().map_err(|reason| FunctionError::Results { function: function(), reason })?;
        let after: &BinaryArray = after.as_binary();
        for (group, state) in touched.iter().zip(after) {
            self.check_version(*group, state.unwrap_or_default())?;
        }
        for (group, state) in touched.iter().zip(after) {
            self.states.set(*group, state.unwrap_or_default());
        }
        Ok(())
    }
}

/// States whose results are made.
struct Evaluate<'a> {
    of: &'a GroupStates,
    instance: &'a mut Instance,
    /// The group of the first row.
    first: usize,
    collected: &'a mut Collected,
}

impl Parts for Evaluate<'_> {
    fn region(&self) -> usize {
        exchange_size(self.instance)
    }

    fn estimate(&self, rows: &Range<usize>) -> usize {
        let states = self.of.states.bytes_of(self.first + rows.start..self.first + rows.end);
        let width = self.of.aggregate.function.entry().result().scalar.width().unwrap_or(1);
        // A state has an offset, two bits of validity, and a result.
        states.saturating_add(rows.len().saturating_mul(width + 5)).saturating_add(2 * SIZE)
    }

    fn cross(&mut self, rows: Range<usize>, keep: bool) -> Result<(), Stopped> {
        let Self { of, instance, first, collected } = self;
        let entry = of.aggregate.function.entry();
        let mut unseen = None;
        let collected = if keep { &mut **collected } else { unseen.insert(Collected::new(entry.result(), 0, true)) };
        let groups: Vec<usize> = (*first + rows.start..*first + rows.end).collect();
        let mut failed = None;
        let called = instance.call_with(entry.export, |call| {
            let mut frame = Frame::new(call, entry.placement);
            let states = place_states(&mut frame, groups.len(), || groups.iter().map(|group| of.states.get(*group)))?;
            let room = collected.room(&mut frame, rows.len())?;
            cross(&mut frame, Operation::Evaluate, [0; 3], (&groups, states), room, &mut failed)?;
            collected.take(frame.guest(), room)
        });
        called.map_err(|failure| Stopped::new(entry.named(failure), failed, &rows))
    }
}

/// Places states, and returns the address of their column.
fn place_states<'s, I: Iterator<Item = Option<&'s [u8]>>>(
    frame: &mut Frame<'_, '_>,
    count: usize,
    states: impl Fn() -> I,
) -> Result<u32, GuestCallError> {
    let mut column: Column = place_bytes(frame, count, &states)?;
    if states().any(|state| state.is_none()) {
        let (address, room) = frame.room(count.div_ceil(8))?;
        room.fill(0);
        for (at, _) in states().enumerate().filter(|(_, state)| state.is_some()) {
            room[at / 8] |= 1 << (at % 8);
        }
        column.validity = address;
    }
    frame.bytes(&column.to_bytes())
}

/// Calls the aggregate's export with what was placed.
fn cross(
    frame: &mut Frame<'_, '_>,
    operation: Operation,
    [rows, columns, numbers]: [u32; 3],
    (groups, states): (&[usize], u32),
    room: Room,
    failed: &mut Option<usize>,
) -> Result<(), GuestCallError> {
    frame.push(ValRaw::i32(operation as i32));
    for slot in [rows, columns, numbers, groups.len() as u32, states, room.column] {
        frame.push(ValRaw::u32(slot));
    }
    match frame.call_batch(failed)?.get_i32() {
        BATCH_DONE => Ok(()),
        row => Err(GuestCallError::invalid(format!("the aggregate ended at row {row} without an error"))),
    }
}
