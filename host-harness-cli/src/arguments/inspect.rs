//! Arguments of `inspect`.

use std::path::PathBuf;

use clap::Args;

use crate::values::budget;

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The guest: a WebAssembly module.
    #[arg(value_name = "GUEST.wasm")]
    pub(crate) guest: PathBuf,
    /// Show where the bytes of the guest's memory go in this budget, such as 256KiB, and whether the guest fits it.
    ///
    /// The guest fits if an instance starts within the budget, and no function that is called on one runs out of memory. Each
    /// function is called once; functions that take arguments are called if --args has them.
    #[arg(long, value_name = "SIZE", value_parser = budget, allow_hyphen_values = true)]
    pub(crate) budget: Option<u64>,
    /// The state that the functions read when they are called for --budget: a JSON array of records.
    #[arg(long, value_name = "FILE", requires = "budget")]
    pub(crate) state: Option<PathBuf>,
}
