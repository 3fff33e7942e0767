//! Calls of table functions: arguments in, an iterator of rows, and columns of the rows that it gives.
#![expect(unsafe_code, reason = "results are written into room that the host has prepared")]

use alloc::boxed::Box;
use core::fmt;

use guest_abi::column::Column;
use guest_abi::function::{Declaration, Type};

use super::address::pointer;
use super::call::{Batch, ColumnWriter, Stop};
use super::output::Return;
#[cfg(target_arch = "wasm32")]
use crate::Error;
use crate::Result;

/// A table function: what its declaration says, and its calls. `#[table_function]` implements it for a hidden type beside the
/// function, whose name is `__guest_table_` and the function's.
pub trait TableFunction {
    /// The declaration, as the section has it.
    const DECLARATION: Declaration<'static>;

    /// Begins a call with the columns at this address. `None` has no rows.
    ///
    /// # Errors
    /// An argument that the function does not take, or the function's own error.
    ///
    /// # Safety
    /// The address and all behind it are as [`guest_abi::function`] says, for this function, and stay until the result is
    /// dropped.
    #[doc(hidden)]
    unsafe fn begin(columns: u32) -> Result<NextCall>;
}

/// A call that has begun; none if it has no rows.
pub type NextCall = Option<Box<dyn TableCall>>;

/// A call of a table function under way.
#[doc(hidden)]
pub trait TableCall {
    /// Writes at most `most` rows into the columns at this address, and returns their number.
    ///
    /// # Errors
    /// That of a row.
    ///
    /// # Safety
    /// The columns are the host's for the results of the function, with room for so many rows, and nothing else uses it.
    unsafe fn next(&mut self, most: u32, results: u32) -> Result<u32>;
}

impl fmt::Debug for dyn TableCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableCall").finish_non_exhaustive()
    }
}

/// A row of a table function: a value for one column, or a tuple for several.
///
/// It is not for implementing: the types that cross are those of the ABI.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the row of a table function",
    note = "a row is a result of a typed function, or a tuple of up to eight of them"
)]
pub trait TableRow: Sized {
    /// The types of the columns.
    const TYPES: &'static [Type];

    /// The columns while they are written.
    #[doc(hidden)]
    type Writers;

    /// Begins columns of at most so many rows, with the memory of those before.
    ///
    /// # Safety
    /// There are as many columns at the address as the row has, the host's for these types, with room for so many rows. Until
    /// the writers are gone, or begin anew, nothing else uses it. The host has taken what was written before.
    #[doc(hidden)]
    unsafe fn begin(writers: &mut Option<Self::Writers>, columns: *const Column, rows: usize);

    /// Writes a row. Rows come in order.
    ///
    /// # Safety
    /// The row is one of the columns'.
    #[doc(hidden)]
    unsafe fn put(self, writers: &mut Self::Writers, row: usize) -> Result<()>;

    /// Ends columns of so many rows.
    ///
    /// # Safety
    /// As for [`TableRow::begin`].
    #[doc(hidden)]
    unsafe fn finish(writers: &mut Self::Writers, columns: *mut Column, rows: usize);
}

impl<R: Return> TableRow for R {
    const TYPES: &'static [Type] = &[R::TYPE];
    type Writers = <(R,) as TableRow>::Writers;

    unsafe fn begin(writers: &mut Option<Self::Writers>, columns: *const Column, rows: usize) {
        // SAFETY: the caller's promise.
        unsafe { <(R,)>::begin(writers, columns, rows) }
    }

    #[inline(always)]
    unsafe fn put(self, writers: &mut Self::Writers, row: usize) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { (self,).put(writers, row) }
    }

    unsafe fn finish(writers: &mut Self::Writers, columns: *mut Column, rows: usize) {
        // SAFETY: the caller's promise.
        unsafe { <(R,)>::finish(writers, columns, rows) }
    }
}

macro_rules! tuples {
    ($(($($name:ident $at:tt),+))+) => {$(
        impl<$($name: Return),+> TableRow for ($($name,)+) {
            const TYPES: &'static [Type] = &[$($name::TYPE),+];
            type Writers = ($(ColumnWriter<$name>,)+);

            unsafe fn begin(writers: &mut Option<Self::Writers>, columns: *const Column, rows: usize) {
                // SAFETY: the caller's promise: as many columns as there are names.
                unsafe {
                    match writers {
                        Some(writers) => {
                            $(writers.$at.begin_again(&*columns.add($at), rows);)+
                        }
                        None => *writers = Some(($(ColumnWriter::begin(&*columns.add($at), rows),)+)),
                    }
                }
            }

            #[inline(always)]
            unsafe fn put(self, writers: &mut Self::Writers, row: usize) -> Result<()> {
                // SAFETY: the caller's promise.
                $(unsafe { writers.$at.put(row, self.$at.into_value()?)? };)+
                Ok(())
            }

            unsafe fn finish(writers: &mut Self::Writers, columns: *mut Column, rows: usize) {
                // SAFETY: the caller's promise: as many columns as there are names.
                unsafe {
                    $(
                        let column = &mut *columns.add($at);
                        writers.$at.finish(column);
                        column.rows = rows as u32;
                    )+
                }
            }
        }
    )+};
}

tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
}

/// The names of columns with the types of a row.
#[must_use]
pub const fn columns<R: TableRow, const N: usize>(names: [&'static str; N]) -> [(&'static str, Type); N] {
    let types = R::TYPES;
    assert!(
        types.len() == N,
        "a table function names each column of its rows: `#[table_function(columns(position, word))]`"
    );
    let mut columns = [("", types[0]); N];
    let mut at = 0;
    while at < N {
        columns[at] = (names[at], types[at]);
        at += 1;
    }
    columns
}

/// The rows that are left of a call, and the columns that they are written into.
struct Call<I, R: TableRow> {
    rows: I,
    writers: Option<R::Writers>,
}

impl<R: TableRow, I: Iterator<Item = Result<R>>> TableCall for Call<I, R> {
    unsafe fn next(&mut self, most: u32, results: u32) -> Result<u32> {
        let (most, columns) = (most as usize, pointer(results).cast::<Column>());
        // SAFETY: the caller's promise.
        unsafe { R::begin(&mut self.writers, columns, most) };
        let Some(writers) = &mut self.writers else { return Ok(0) };
        let mut count = 0;
        while count < most {
            let Some(row) = self.rows.next() else { break };
            // SAFETY: the row is one of those that there is room for.
            unsafe { row?.put(writers, count)? };
            count += 1;
        }
        // SAFETY: the caller's promise.
        unsafe { R::finish(writers, columns, count) };
        Ok(count as u32)
    }
}

/// The call of these rows.
pub fn table_call<R: TableRow + 'static>(rows: impl Iterator<Item = Result<R>> + 'static) -> Box<dyn TableCall> {
    Box::new(Call { rows, writers: None })
}

/// The rows of a call for which the function could not be called.
///
/// # Errors
/// Null for a parameter that takes none, if the function is not strict; an argument that cannot be decoded.
pub fn no_rows<const N: usize>(arguments: &Batch<N>, stop: Stop) -> Result<NextCall> {
    arguments.stopped(stop, 0)
}

/// The one call that is under way in a guest.
#[cfg(target_arch = "wasm32")]
pub(crate) mod current {
    use core::cell::RefCell;

    use guest_abi::ErrorCode;
    use guest_abi::function::TABLE_FAILED;

    use super::{Error, NextCall, Result};

    /// A call, or none.
    #[derive(Debug)]
    pub struct Current(RefCell<NextCall>);

    // SAFETY: a guest has one thread.
    unsafe impl Sync for Current {}

    /// The call under way.
    pub static CURRENT: Current = Current(RefCell::new(None));

    #[cold]
    fn not_begun() -> Error {
        Error::new(ErrorCode::Malformed, "the host asked for more rows of a call that has not begun")
    }

    impl Current {
        /// Begins a call if `columns` says so, and writes its next rows. The error is reported to the host.
        ///
        /// # Safety
        /// The addresses are the host's, as [`guest_abi::function`] says.
        pub unsafe fn next(
            &self,
            begin: unsafe fn(u32) -> Result<NextCall>,
            most: u32,
            columns: u32,
            results: u32,
        ) -> i32 {
            // SAFETY: the caller's promise.
            match unsafe { self.try_next(begin, most, columns, results) } {
                Ok(rows) => rows.cast_signed(),
                Err(error) => {
                    crate::entry::report(error);
                    TABLE_FAILED
                }
            }
        }

        unsafe fn try_next(
            &self,
            begin: unsafe fn(u32) -> Result<NextCall>,
            most: u32,
            columns: u32,
            results: u32,
        ) -> Result<u32, Error> {
            let mut call = self.0.borrow_mut();
            if columns != 0 {
                *call = None;
                // SAFETY: the caller's promise.
                *call = unsafe { begin(columns)? };
                if call.is_none() {
                    return Ok(0);
                }
            }
            match &mut *call {
                // SAFETY: the caller's promise.
                Some(call) => unsafe { call.next(most, results) },
                None => Err(not_begun()),
            }
        }
    }
}

/// Makes a function a table function.
#[doc(hidden)]
#[macro_export]
macro_rules! __guest_sdk_table_function {
    (
        $vis:vis $function:ident as $type:ident, $name:literal, $export:literal,
        $documentation:literal, $volatility:ident, $strict:literal,
        [$(($param:literal, $index:literal, $of:ty))*] -> [$($column:literal)*] $row:ty, $result:ident => $rows:expr
    ) => {
        #[doc(hidden)]
        #[allow(dead_code, non_camel_case_types, reason = "it is found by its function's name")]
        #[derive(Debug)]
        $vis enum $type {}

        impl $crate::function::TableFunction for $type {
            const DECLARATION: $crate::generated::Declaration<'static> = $crate::generated::Declaration::new(
                $crate::generated::FunctionKind::Table,
                $name,
                &[$(($param, <$of as $crate::function::ParamType>::TYPE)),*],
                &$crate::generated::columns::<$row, { <[&str]>::len(&[$($column),*]) }>([$($column),*]),
            )
            .with_documentation($documentation)
            .with_volatility($crate::generated::Volatility::$volatility)
            .with_strict($strict);

            unsafe fn begin(columns: u32) -> $crate::Result<$crate::generated::NextCall> {
                const PARAMS: usize = <[usize]>::len(&[$($index),*]);
                let declaration = &<Self as $crate::function::TableFunction>::DECLARATION;
                // SAFETY: the caller's promise. The rows may borrow from the arguments as long as the call goes on, so their
                // places stay: a call leaves a few words behind.
                let arguments: &'static _ = unsafe {
                    $crate::generated::leak($crate::generated::Batch::<PARAMS>::begin(1, columns, declaration))
                };
                // SAFETY: the types are those of the function; the row is the one that there is.
                let call = || unsafe { Ok($function($(arguments.param::<$of>($index, 0)?),*)) };
                match call() {
                    Ok($result) => Ok(Some($crate::generated::table_call::<$row>($rows))),
                    Err(stop) => $crate::generated::no_rows(arguments, stop),
                }
            }
        }

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            const DECLARATION: $crate::generated::Declaration<'static> =
                <$type as $crate::function::TableFunction>::DECLARATION;

            #[used]
            #[unsafe(link_section = "guest-functions")]
            static ENTRY: [u8; DECLARATION.size()] = DECLARATION.entry();

            #[unsafe(export_name = $export)]
            extern "C" fn table(most: u32, columns: u32, results: u32) -> i32 {
                let begin = <$type as $crate::function::TableFunction>::begin;
                // SAFETY: nobody can name this function; only the host calls it.
                unsafe { $crate::generated::CURRENT.next(begin, most, columns, results) }
            }
        };
    };
}
