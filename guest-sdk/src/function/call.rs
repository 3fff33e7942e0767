//! Calls of typed functions: the expansion of the attribute macro uses this, and nothing else does.
#![expect(unsafe_code, reason = "arguments are addresses of memory that the host writes")]

use core::marker::PhantomData;

use guest_abi::ErrorCode;
use guest_abi::column::Column;
#[cfg(target_arch = "wasm32")]
use guest_abi::function::BATCH_DONE;
use guest_abi::function::{Declaration, Type};
use guest_sdk_core::error::null_argument;

use super::address::pointer;
use super::column::{constant, is_dense, locate};
use super::output::{Bits, Output, Return, Rows};
use super::param::Param;
use crate::{Error, Result};

/// A call of one row. Arguments are borrowed from it.
#[derive(Debug)]
pub struct Call(());

impl Call {
    /// Begins a call.
    ///
    /// # Safety
    /// Until it is dropped, the memory that the host has passed is not written.
    #[inline(always)]
    #[must_use]
    pub const unsafe fn begin() -> Self {
        Self(())
    }

    /// The argument that crosses as these parameters.
    ///
    /// # Errors
    /// An argument that cannot be decoded.
    ///
    /// # Safety
    /// They are those that the host has passed for this parameter.
    #[inline(always)]
    pub unsafe fn param<'call, P: Param<'call>>(
        &'call self,
        first: P::First,
        second: P::Second,
        third: P::Third,
    ) -> Result<P> {
        // SAFETY: the caller's promise, and that of whoever began the call.
        unsafe { P::from_slots(first, second, third) }
    }
}

/// The result of an exported call of one row; the error is reported to the host.
#[cfg(target_arch = "wasm32")]
#[inline(always)]
pub fn end<S: Default>(result: Result<S>) -> S {
    result.unwrap_or_else(|error| {
        crate::entry::report(error);
        S::default()
    })
}

/// The result of an exported call of many rows; the error is reported to the host.
#[cfg(target_arch = "wasm32")]
#[inline(always)]
pub fn end_batch(result: Result<(), RowError>) -> i32 {
    match result {
        Ok(()) => BATCH_DONE,
        Err(RowError { row, error }) => {
            crate::entry::report(error);
            (row as u32).cast_signed()
        }
    }
}

/// The error of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// The number of the row.
    pub row: usize,
    /// Its error.
    pub error: Error,
}

/// Why a row has no result from the function.
#[derive(Debug)]
pub enum Stop {
    /// Null for a parameter that takes none.
    Null,
    /// An argument that cannot be decoded.
    Failed(Error),
}

/// A call of many rows of a function with `N` parameters. Arguments are borrowed from it.
#[derive(Debug)]
pub struct Batch<const N: usize> {
    rows: usize,
    columns: [Column; N],
    declaration: &'static Declaration<'static>,
}

impl<const N: usize> Batch<N> {
    /// Begins a call of `rows` rows, with the columns at this address.
    ///
    /// # Safety
    /// The address and all behind it are as [`guest_abi::function`] says, for this function. Until the call ends, nothing
    /// else writes the arguments.
    #[inline(always)]
    #[must_use]
    pub unsafe fn begin(rows: u32, columns: u32, declaration: &'static Declaration<'static>) -> Self {
        let columns = match N {
            0 => [Column::default(); N],
            // SAFETY: the caller's promise: as many columns as there are parameters.
            _ => unsafe { *pointer(columns).cast() },
        };
        Self { rows: rows as usize, columns, declaration }
    }

    /// Number of rows.
    #[inline(always)]
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// The rows, if each column has its values in its own buffers or one value for all rows, and no null.
    #[inline(always)]
    #[must_use]
    pub fn dense(&self) -> Option<Dense<'_, N>> {
        let (mut columns, mut masks) = (self.columns, [usize::MAX; N]);
        for (column, mask) in columns.iter_mut().zip(&mut masks) {
            // SAFETY: whoever began the call has promised that the columns are the host's.
            if let Some(value) = unsafe { constant(column) } {
                (*column, *mask) = (*value, 0);
            }
        }
        columns.iter().all(is_dense).then_some(Dense { columns, masks, call: PhantomData })
    }

    /// The argument of a row, for the parameter with this index.
    ///
    /// # Errors
    /// `Stop` if there is none.
    ///
    /// # Safety
    /// There is such a row; the parameter has the type `P`.
    #[inline(always)]
    pub unsafe fn param<'call, P: Param<'call>>(&'call self, index: usize, row: usize) -> Result<P, Stop> {
        // SAFETY: the caller's promise, and that of whoever began the call.
        unsafe {
            match locate(&self.columns[index], row) {
                Some((column, row)) => P::from_row(column, row).map_err(Stop::Failed),
                None => P::null().ok_or(Stop::Null),
            }
        }
    }

    /// Calls `each` with every row and writes the results into the column at this address.
    ///
    /// # Errors
    /// The first row that failed, and its error.
    ///
    /// # Safety
    /// The column is the host's for the result of this call, has the type of `R`, and nothing else uses its room.
    #[inline(always)]
    pub unsafe fn run<R: Return>(&self, result: u32, each: impl Fn(usize) -> Result<R, Stop>) -> Result<(), RowError> {
        let each = |row| match each(row) {
            Ok(result) => result.into_value(),
            Err(Stop::Null) if self.declaration.strict => Ok(None),
            Err(stop) => self.stopped(stop, row),
        };
        // SAFETY: the caller's promise.
        unsafe { results::<R>(result, self.rows, each) }
    }

    /// The result of a row for which the function could not be called. Null comes first, whatever else is wrong.
    ///
    /// # Errors
    /// That of the row, if the function is not called for a reason other than null or is not strict.
    #[cold]
    pub fn stopped<V>(&self, stop: Stop, row: usize) -> Result<Option<V>> {
        let params = self.declaration.params;
        let is_null = |(column, (_, ty)): &(&Column, &(&str, Type))| {
            // SAFETY: whoever began the call has promised that the columns are the host's and have the row.
            !ty.nullable && unsafe { locate(column, row) }.is_none()
        };
        match (self.columns.iter().zip(params).find(is_null), stop) {
            (Some(_), _) if self.declaration.strict => Ok(None),
            (Some((_, (name, _))), _) => Err(null_argument(name)),
            (None, Stop::Failed(error)) => Err(error),
            (None, Stop::Null) => Ok(None),
        }
    }
}

/// Writes the results of so many rows into the column at this address.
///
/// # Errors
/// The first row that failed, and its error.
///
/// # Safety
/// The column is the host's for so many results of the type `R`, and nothing else uses its room.
#[inline(always)]
pub(super) unsafe fn results<R: Return>(
    result: u32,
    rows: usize,
    each: impl Fn(usize) -> Result<Option<R::Value>>,
) -> Result<(), RowError> {
    let result: *mut Column = pointer(result).cast();
    // SAFETY: there is a column for the result.
    let mut column = unsafe { *result };
    // SAFETY: its room is for all rows, and nothing else uses it.
    let mut values = unsafe { ColumnWriter::<R>::begin(&column, rows) };
    for row in 0..rows {
        // SAFETY: the row is one of the column's.
        let put = each(row).and_then(|value| unsafe { values.put(row, value) });
        if let Err(error) = put {
            return Err(RowError { row, error });
        }
    }
    values.leave(&mut column);
    // SAFETY: the column of the result is this call's to write.
    unsafe { *result = column };
    Ok(())
}

/// A column of results while it is written: values, and a bit for each that is not null.
#[expect(missing_debug_implementations, reason = "it is raw memory")]
pub struct ColumnWriter<R: Return> {
    values: <R::Value as Output>::Rows,
    validity: Option<Bits>,
}

impl<R: Return> ColumnWriter<R> {
    /// Begins a column of at most so many rows.
    ///
    /// # Safety
    /// The column is the host's, for this type; until this is gone, or begins anew, its room is valid for so many rows and
    /// nothing else uses it.
    #[inline(always)]
    pub(super) unsafe fn begin(column: &Column, rows: usize) -> Self {
        // SAFETY: the caller's promise.
        Self { values: unsafe { Rows::begin(column, rows) }, validity: validity(column) }
    }

    /// Begins another column, with the memory of this one.
    ///
    /// # Safety
    /// As for [`Self::begin`]. The host has taken what was written before.
    pub(super) unsafe fn begin_again(&mut self, column: &Column, rows: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.values.begin_again(column, rows) };
        self.validity = validity(column);
    }

    /// Writes the value of a row, or null. Rows come in order.
    ///
    /// # Safety
    /// The row is one of the column's.
    #[inline(always)]
    pub(super) unsafe fn put(&mut self, row: usize, value: Option<R::Value>) -> Result<()> {
        match (value, &self.validity) {
            (Some(value), validity) => {
                if let Some(validity) = validity {
                    // SAFETY: the bitmap has a bit for each row.
                    unsafe { validity.set(row) };
                }
                // SAFETY: the row is one of the column's.
                unsafe { self.values.put(row, value) }
            }
            (None, Some(_)) => {
                self.values.skip();
                Ok(())
            }
            (None, None) => Err(no_room_for_null()),
        }
    }

    /// Sets the buffers of the column that are the guest's own. They stay until this is gone or begins anew.
    #[inline(always)]
    pub(super) fn finish(&mut self, column: &mut Column) {
        self.values.finish(column);
    }

    /// Sets the buffers of the column, and leaves them to the host.
    #[inline(always)]
    fn leave(mut self, column: &mut Column) {
        self.finish(column);
        core::mem::forget(self.values);
    }
}

fn validity(column: &Column) -> Option<Bits> {
    (column.validity != 0).then(|| Bits::new(column.validity, column.first_bit))
}

#[cold]
fn no_room_for_null() -> Error {
    Error::new(ErrorCode::Malformed, "a result is null, but the host has passed no validity bitmap for the results")
}

/// The rows of a batch whose columns have their values in their own buffers, or one value for all rows, and no null.
#[derive(Debug)]
pub struct Dense<'call, const N: usize> {
    // A copy that nothing has the address of: the compiler keeps in registers what a loop needs of it.
    columns: [Column; N],
    // 0 for a column of one value; otherwise all ones.
    masks: [usize; N],
    call: PhantomData<&'call Column>,
}

impl<'call, const N: usize> Dense<'call, N> {
    /// The argument of a row, for the parameter with this index.
    ///
    /// # Errors
    /// `Stop` if there is none.
    ///
    /// # Safety
    /// There is such a row; the parameter has the type `P`.
    #[inline(always)]
    pub unsafe fn param<P: Param<'call>>(&self, index: usize, row: usize) -> Result<P, Stop> {
        // SAFETY: the caller's promise, and that of whoever began the call.
        unsafe { P::from_row(&self.columns[index], row & self.masks[index]) }.map_err(Stop::Failed)
    }
}

/// A typed function: what its declaration says, and its calls of many rows. `#[function]` implements it for a hidden type
/// beside the function, whose name is `__guest_function_` and the function's.
pub trait Function {
    /// The declaration, as the section has it.
    const DECLARATION: Declaration<'static>;

    /// Calls the function for `rows` rows, with the columns at these addresses.
    ///
    /// # Errors
    /// The first row that failed.
    ///
    /// # Safety
    /// The addresses and all behind them are as [`guest_abi::function`] says, for this function. Until the call ends, nothing
    /// else writes the arguments or uses the room of the result.
    #[doc(hidden)]
    unsafe fn batch(rows: u32, columns: u32, result: u32) -> Result<(), RowError>;
}

/// Makes a function a typed one.
#[doc(hidden)]
#[macro_export]
macro_rules! __guest_sdk_function {
    (
        $vis:vis $function:ident as $type:ident, $name:literal, $row:literal, $batch:literal,
        $documentation:literal, $volatility:ident, $strict:literal,
        [$(($param:literal, $index:literal, $of:ty, $first:ident, $second:ident, $third:ident))*] -> $result:ty
    ) => {
        #[doc(hidden)]
        #[allow(dead_code, non_camel_case_types, reason = "it is found by its function's name")]
        #[derive(Debug)]
        $vis enum $type {}

        impl $crate::function::Function for $type {
            const DECLARATION: $crate::generated::Declaration<'static> = $crate::generated::Declaration::new(
                $crate::generated::FunctionKind::Scalar,
                $name,
                &[$(($param, <$of as $crate::function::ParamType>::TYPE)),*],
                &[("", <$result as $crate::function::Return>::TYPE)],
            )
            .with_documentation($documentation)
            .with_volatility($crate::generated::Volatility::$volatility)
            .with_strict($strict);

            unsafe fn batch(rows: u32, columns: u32, result: u32) -> $crate::Result<(), $crate::generated::RowError> {
                const PARAMS: usize = <[usize]>::len(&[$($index),*]);
                // SAFETY: the caller's promise.
                let batch = unsafe {
                    $crate::generated::Batch::<PARAMS>::begin(
                        rows,
                        columns,
                        &<Self as $crate::function::Function>::DECLARATION,
                    )
                };
                match batch.dense() {
                    // SAFETY: the types are those of the function; rows are the batch's.
                    Some(_dense) => unsafe {
                        batch.run(result, |_row| Ok($function($(_dense.param($index, _row)?),*)))
                    },
                    // SAFETY: likewise.
                    None => unsafe { batch.run(result, |_row| Ok($function($(batch.param($index, _row)?),*))) },
                }
            }
        }

        #[allow(
            dead_code,
            clippy::too_many_arguments,
            reason = "natively only tests call it; a value is up to three parameters"
        )]
        impl $type {
            /// Calls the function for one row.
            ///
            /// # Errors
            /// That of the function.
            ///
            /// # Safety
            /// The arguments are as the contract has them, for this function, and stay until it returns.
            $vis unsafe fn row(
                $(
                    $first: <$of as $crate::function::ParamType>::First,
                    $second: <$of as $crate::function::ParamType>::Second,
                    $third: <$of as $crate::function::ParamType>::Third,
                )*
            ) -> $crate::Result<<$result as $crate::function::Return>::Slot> {
                // SAFETY: the caller's promise.
                let _call = unsafe { $crate::generated::Call::begin() };
                // SAFETY: the caller's promise.
                $crate::function::Return::into_slot($function($(unsafe { _call.param($first, $second, $third) }?),*))
            }
        }

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            const DECLARATION: $crate::generated::Declaration<'static> =
                <$type as $crate::function::Function>::DECLARATION;

            #[used]
            #[unsafe(link_section = "guest-functions")]
            static ENTRY: [u8; DECLARATION.size()] = DECLARATION.entry();

            #[unsafe(export_name = $row)]
            #[allow(
                improper_ctypes_definitions,
                clippy::too_many_arguments,
                reason = "a value is up to three parameters, of which those without a size are left out"
            )]
            extern "C" fn row(
                $(
                    $first: <$of as $crate::function::ParamType>::First,
                    $second: <$of as $crate::function::ParamType>::Second,
                    $third: <$of as $crate::function::ParamType>::Third,
                )*
            ) -> <$result as $crate::function::Return>::Slot {
                // SAFETY: nobody can name this function; only the host calls it.
                $crate::generated::end(unsafe { $type::row($($first, $second, $third),*) })
            }

            #[unsafe(export_name = $batch)]
            extern "C" fn batch(rows: u32, columns: u32, result: u32) -> i32 {
                // SAFETY: as above.
                $crate::generated::end_batch(unsafe {
                    <$type as $crate::function::Function>::batch(rows, columns, result)
                })
            }
        };
    };
}
