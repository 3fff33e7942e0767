//! The arguments of `query`.

use std::ffi::OsString;

use clap::Args;

/// Arguments of `query`, which the program of its own reads.
#[derive(Debug, Args)]
pub(crate) struct Query {
    /// The query, and options of its own: `host-harness query --help` shows them.
    #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<OsString>,
}
