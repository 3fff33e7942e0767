//! Calls of aggregates: states in, rows taken in or out, states or results out.
#![expect(unsafe_code, reason = "arguments are addresses of memory that the host writes")]

use alloc::vec::Vec;

use guest_abi::ErrorCode;
use guest_abi::column::Column;
use guest_abi::function::{Declaration, Operation};

use super::address::pointer;
use super::call::{Batch, RowError, Stop, results};
use super::column::{bytes, locate, number};
use super::output::{Return, Rows, Runs};
use super::state::{State, restore_versioned, save_versioned};
use crate::{Error, Result};

/// An aggregate: what its declaration says, and its calls. `#[aggregate]` implements it for a hidden type beside the `impl`, whose
/// name is `__guest_aggregate_` and the aggregate's.
pub trait Aggregate {
    /// The declaration, as the section has it.
    const DECLARATION: Declaration<'static>;

    /// Does what the call asks for.
    ///
    /// # Errors
    /// The first row that failed, or for [`Operation::Evaluate`] the first state.
    ///
    /// # Safety
    /// The addresses and all behind them are as [`guest_abi::function`] says, for this aggregate. Until the call ends, nothing
    /// else writes the arguments or uses the room of the result.
    #[doc(hidden)]
    unsafe fn call(call: Crossing) -> Result<(), RowError>;
}

/// The WebAssembly parameters of a call of an aggregate.
#[derive(Debug, Clone, Copy)]
pub struct Crossing {
    /// The number of the operation.
    pub operation: i32,
    /// Rows of the arguments.
    pub rows: u32,
    /// Address of the arguments' columns.
    pub columns: u32,
    /// Address of the number of each row's state; 0 if all belong to the first.
    pub groups: u32,
    /// Number of states.
    pub count: u32,
    /// Address of the states' column.
    pub states: u32,
    /// Address of the result's column.
    pub result: u32,
}

/// What a method of an aggregate returns that takes rows: nothing, or an error.
#[diagnostic::on_unimplemented(message = "`accumulate`, `retract` and `merge` return nothing or a `Result<()>`")]
pub trait Done {
    /// The error, if there is one.
    ///
    /// # Errors
    /// That of the method.
    fn done(self) -> Result<()>;
}

impl Done for () {
    #[inline(always)]
    fn done(self) -> Result<()> {
        Ok(())
    }
}

impl<E: Into<Error>> Done for Result<(), E> {
    #[inline(always)]
    fn done(self) -> Result<()> {
        self.map_err(Into::into)
    }
}

/// The row of an error that no row is to blame for.
const NO_ROW: usize = i32::MAX as usize;

/// The states of a call.
#[derive(Debug)]
pub struct Groups<S> {
    crossing: Crossing,
    states: Vec<S>,
    version: u32,
}

impl<S: State> Groups<S> {
    /// The states that the host has passed. A group of no rows has a new one.
    ///
    /// # Errors
    /// A state that cannot be read.
    ///
    /// # Safety
    /// As for [`Aggregate::call`].
    #[inline]
    pub unsafe fn begin(
        crossing: Crossing,
        declaration: &Declaration<'_>,
        new: impl Fn() -> S,
    ) -> Result<Self, RowError> {
        let version = declaration.state_version;
        let blame = |row| if crossing.operation == Operation::Evaluate as i32 { row } else { NO_ROW };
        // SAFETY: the caller's promise: as many states as the call has.
        let column: Column = unsafe { *pointer(crossing.states).cast() };
        let state = |row: usize| {
            // SAFETY: likewise.
            let state = unsafe { locate(&column, row).map(|(column, row)| bytes(column, row)) };
            let state = state.map_or_else(|| Ok(new()), |bytes| restore_versioned(version, bytes));
            state.map_err(|error| RowError { row: blame(row), error })
        };
        let states = (0..crossing.count as usize).map(state).collect::<Result<_, _>>()?;
        Ok(Self { crossing, states, version })
    }

    /// Takes every row into its state, or out of it.
    ///
    /// # Errors
    /// The first row that failed, and its error.
    ///
    /// # Safety
    /// The batch is that of the call.
    #[inline(always)]
    pub unsafe fn update<const N: usize>(
        mut self,
        batch: &Batch<N>,
        each: impl Fn(&mut S, usize) -> Result<Result<()>, Stop>,
    ) -> Result<(), RowError> {
        for row in 0..batch.rows() {
            // SAFETY: there is a number for each row.
            let state = unsafe { self.of_row(row)? };
            let done = match each(state, row) {
                Ok(done) => done,
                Err(stop) => batch.stopped(stop, row).map(|_: Option<()>| ()),
            };
            done.map_err(|error| RowError { row, error })?;
        }
        // SAFETY: the caller's promise.
        unsafe { self.save() }
    }

    /// Merges the states in the arguments into the call's.
    ///
    /// # Errors
    /// The first row that failed, and its error.
    ///
    /// # Safety
    /// The call is one of [`Operation::Merge`].
    pub unsafe fn merge(mut self, merge: impl Fn(&mut S, S) -> Result<()>) -> Result<(), RowError> {
        // SAFETY: the caller's promise: a column of states.
        let column: Column = unsafe { *pointer(self.crossing.columns).cast() };
        for row in 0..self.crossing.rows as usize {
            // SAFETY: likewise, with a row for each.
            let Some(other) = (unsafe { locate(&column, row).map(|(column, row)| bytes(column, row)) }) else {
                continue;
            };
            let other = restore_versioned(self.version, other);
            // SAFETY: there is a number for each row.
            let state = unsafe { self.of_row(row)? };
            other.and_then(|other| merge(state, other)).map_err(|error| RowError { row, error })?;
        }
        // SAFETY: the caller's promise.
        unsafe { self.save() }
    }

    /// Makes the result of each state.
    ///
    /// # Errors
    /// The first state that failed, and its error.
    ///
    /// # Safety
    /// The call is one of [`Operation::Evaluate`], and the result has the type of `R`.
    pub unsafe fn evaluate<R: Return>(self, evaluate: impl Fn(&S) -> R) -> Result<(), RowError> {
        let states = &self.states;
        // SAFETY: the caller's promise.
        unsafe { results::<R>(self.crossing.result, states.len(), |row| evaluate(&states[row]).into_value()) }
    }

    /// The state of a row.
    ///
    /// # Safety
    /// The call has the row.
    #[inline(always)]
    unsafe fn of_row(&mut self, row: usize) -> Result<&mut S, RowError> {
        let group = match self.crossing.groups {
            0 => 0,
            // SAFETY: the caller's promise.
            groups => unsafe { number::<u32>(groups, row) as usize },
        };
        self.states.get_mut(group).ok_or_else(|| no_group(row))
    }

    /// Writes the new states.
    ///
    /// # Safety
    /// The result of the call is a column of bytes.
    unsafe fn save(self) -> Result<(), RowError> {
        let result: *mut Column = pointer(self.crossing.result).cast();
        // SAFETY: there is a column for the result, which is this call's to write; so for all of this block.
        unsafe {
            let mut column = *result;
            let mut saved: Runs = Rows::<Vec<u8>>::begin(&column, self.states.len());
            for state in &self.states {
                let put = saved.push_with(|to| save_versioned(self.version, state, to));
                put.map_err(|error| RowError { row: NO_ROW, error })?;
            }
            Rows::<Vec<u8>>::finish(&mut saved, &mut column);
            core::mem::forget(saved);
            *result = column;
        }
        Ok(())
    }
}

#[cold]
fn no_group(row: usize) -> RowError {
    let error = Error::new(ErrorCode::OutOfRange, "the host passed a row of a group that the call has no state of");
    RowError { row, error }
}

/// The error of an operation that the aggregate does not have.
#[cold]
#[must_use]
pub fn no_operation(operation: i32) -> RowError {
    let what = match Operation::from_number(operation) {
        Some(Operation::Retract) => "the aggregate cannot take rows out of its state: it has no `retract`",
        _ => "the host asked for an operation that this guest does not know: build the guest with a newer guest-sdk",
    };
    RowError { row: NO_ROW, error: Error::new(ErrorCode::OutOfRange, what) }
}

/// Makes an `impl` with the methods of an aggregate one.
#[doc(hidden)]
#[macro_export]
macro_rules! __guest_sdk_aggregate {
    (
        $state:ty as $type:ident, $name:literal, $export:literal, $documentation:literal, $volatility:ident, $strict:literal,
        $version:literal, $new:expr, [$(($param:literal, $of:ty))*], $arguments:tt, [$($retract:ident)?] -> $result:ty
    ) => {
        #[doc(hidden)]
        #[allow(dead_code, non_camel_case_types, reason = "it is found by its aggregate's name")]
        #[derive(Debug)]
        pub enum $type {}

        impl $crate::function::Aggregate for $type {
            const DECLARATION: $crate::generated::Declaration<'static> = $crate::generated::Declaration::new(
                $crate::generated::FunctionKind::Aggregate,
                $name,
                &[$(($param, <$of as $crate::function::ParamType>::TYPE)),*],
                &[("", <$result as $crate::function::Return>::TYPE)],
            )
            .with_documentation($documentation)
            .with_volatility($crate::generated::Volatility::$volatility)
            .with_strict($strict)
            .with_state_version($version)
            .with_retracts($crate::generated::is_some::<&str>(&[$(stringify!($retract))?]));

            unsafe fn call(
                crossing: $crate::generated::Crossing,
            ) -> $crate::Result<(), $crate::generated::RowError> {
                #[allow(unused_imports, reason = "its method is of the trait")]
                use $crate::generated::Done as _;
                use $crate::generated::Operation;

                const PARAMS: usize = <[&str]>::len(&[$($param),*]);
                let declaration = &<Self as $crate::function::Aggregate>::DECLARATION;
                // SAFETY: the caller's promise, here and for each block below; the types are those of the aggregate.
                let groups = unsafe { $crate::generated::Groups::<$state>::begin(crossing, declaration, $new) }?;
                let _batch = || unsafe {
                    $crate::generated::Batch::<PARAMS>::begin(crossing.rows, crossing.columns, declaration)
                };
                match Operation::from_number(crossing.operation) {
                    Some(Operation::Accumulate) => {
                        $crate::__guest_sdk_update!(groups, _batch, $state, accumulate, $arguments)
                    }
                    $(Some(Operation::Retract) => {
                        $crate::__guest_sdk_update!(groups, _batch, $state, $retract, $arguments)
                    })?
                    Some(Operation::Merge) => unsafe {
                        groups.merge(|state, other| <$state>::merge(state, other).done())
                    },
                    Some(Operation::Evaluate) => unsafe { groups.evaluate(|state| <$state>::evaluate(state)) },
                    _ => Err($crate::generated::no_operation(crossing.operation)),
                }
            }
        }

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            const DECLARATION: $crate::generated::Declaration<'static> =
                <$type as $crate::function::Aggregate>::DECLARATION;

            #[used]
            #[unsafe(link_section = "guest-functions")]
            static ENTRY: [u8; DECLARATION.size()] = DECLARATION.entry();

            #[unsafe(export_name = $export)]
            extern "C" fn aggregate(
                operation: i32,
                rows: u32,
                columns: u32,
                groups: u32,
                count: u32,
                states: u32,
                result: u32,
            ) -> i32 {
                let crossing =
                    $crate::generated::Crossing { operation, rows, columns, groups, count, states, result };
                // SAFETY: nobody can name this function; only the host calls it.
                $crate::generated::end_batch(unsafe { <$type as $crate::function::Aggregate>::call(crossing) })
            }
        };
    };
}

/// Calls a method of an aggregate for every row of a batch.
#[doc(hidden)]
#[macro_export]
macro_rules! __guest_sdk_update {
    ($groups:ident, $batch:ident, $state:ty, $method:ident, [$($index:literal)*]) => {{
        let batch = $batch();
        match batch.dense() {
            // SAFETY: the caller of the expansion has promised it; rows are the batch's.
            Some(_dense) => unsafe {
                $groups.update(&batch, |state, _row| {
                    Ok(<$state>::$method(state, $(_dense.param($index, _row)?),*).done())
                })
            },
            // SAFETY: likewise.
            None => unsafe {
                $groups.update(&batch, |state, _row| {
                    Ok(<$state>::$method(state, $(batch.param($index, _row)?),*).done())
                })
            },
        }
    }};
}
