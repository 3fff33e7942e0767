//! The arguments of `functions` and `call`.

use std::path::PathBuf;

use clap::Args;

/// A module with functions.
#[derive(Debug, Args)]
pub(crate) struct FunctionModule {
    /// The module: functions of `guest-sdk`, or any module whose exports take and return numbers.
    #[arg(value_name = "GUEST.wasm")]
    pub(crate) guest: PathBuf,
    /// Signature of a function of a module that has none, such as 'distance(a: string, b: string) -> i64'; may be given more
    /// than once.
    ///
    /// Strings, bytes and lists go into memory from the module's export `malloc`, `allocate` or `alloc`.
    #[arg(long, value_name = "SIGNATURE")]
    pub(crate) declare: Vec<String>,
}

/// Arguments of `functions`.
#[derive(Debug, Args)]
pub(crate) struct Functions {
    #[command(flatten)]
    pub(crate) module: FunctionModule,
}

/// Arguments of `call`.
#[derive(Debug, Args)]
pub(crate) struct Call {
    #[command(flatten)]
    pub(crate) module: FunctionModule,
    /// Print at most so many rows of a table function; otherwise all.
    #[arg(long, value_name = "ROWS")]
    pub(crate) limit: Option<u64>,
    /// The function to call.
    #[arg(value_name = "FUNCTION")]
    pub(crate) function: String,
    /// Its arguments, one for each parameter; options go before the function.
    ///
    /// An aggregate takes rows: the arguments of one row behind those of the other. A table function prints a line for each of its
    /// rows, with tabs between the columns.
    ///
    /// Dates are written as 2026-11-29, times as 2026-11-29T10:00:00Z, bytes in hexadecimal, documents as JSON, lists as [1, 2] or
    /// ["a", "b"], and nothing as null.
    #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<String>,
}
