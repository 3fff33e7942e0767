//! The arguments of commands that programs of their own run.

use std::ffi::OsString;

use clap::Args;

/// Arguments of a command, which the program of its own reads.
#[derive(Debug, Args)]
pub(crate) struct ProgramArguments {
    /// Arguments and options of the program: `--help` behind the command shows them.
    #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<OsString>,
}
