//! The options that programs which run a query share.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use datafusion::prelude::SessionConfig;
use guest_datafusion::guest_functions;

use crate::table::Table;
use crate::values::{Deadline, memory_size};

/// The query, its tables and its functions: the options of every program that runs a query.
#[derive(Debug, Args)]
pub struct QueryArguments {
    /// The query.
    #[arg(value_name = "SQL")]
    pub sql: String,
    /// A file to query, and its name in the query, such as t=products.parquet; may be given more than once.
    ///
    /// The extension says what it is: .csv with a line of names, .json, .jsonl or .ndjson with an object on each line, or .parquet.
    #[arg(long = "table", value_name = "NAME=FILE")]
    pub tables: Vec<Table>,
    /// A module whose functions the query calls; may be given more than once. A function takes the place of a built-in one of its
    /// name.
    #[arg(long = "module", value_name = "MODULE.wasm")]
    pub modules: Vec<PathBuf>,
    /// Signature of a function of a module that has none, such as 'distance(a: string, b: string) -> i64'; may be given more
    /// than once.
    ///
    /// Strings, bytes and lists go into memory from the module's export `malloc`, `allocate` or `alloc`.
    #[arg(long = "declare", value_name = "SIGNATURE")]
    pub declarations: Vec<String>,
    /// Format of the results. `json` is an array of objects.
    #[arg(long, value_enum, default_value = "table", value_name = "FORMAT")]
    pub format: Format,
    /// Partitions in which the query is executed. Default: the number of processors of this machine.
    #[arg(long, value_name = "N")]
    pub partitions: Option<NonZeroUsize>,
    /// How often an instance is restored: after each batch, after each row, or never unless it failed.
    #[arg(long, value_enum, default_value = "batch", value_name = "WHEN")]
    pub pristine: Pristine,
    /// Memory limit of an instance, such as 512KiB, 64MiB or 1GiB; at most 4GiB.
    #[arg(long, value_name = "SIZE", default_value = "128MiB", value_parser = memory_size, allow_hyphen_values = true)]
    pub memory_limit: u64,
    /// Time limit of a call, which is one for a batch, such as 100ms, 1s or none.
    #[arg(long, value_name = "TIME", default_value = "1s", allow_hyphen_values = true)]
    pub deadline: Deadline,
    /// Print no progress, and no rate at the end.
    #[arg(short, long)]
    pub quiet: bool,
}

impl QueryArguments {
    /// The configuration of a session, with the partitions that were asked for.
    #[must_use]
    pub fn configure(&self, config: SessionConfig) -> SessionConfig {
        match self.partitions {
            Some(partitions) => config.with_target_partitions(partitions.get()),
            None => config,
        }
    }
}

/// The form of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table of text, when all rows are there.
    Table,
    /// Comma-separated values under a line of names, as they come.
    Csv,
    /// An array of objects, as they come.
    Json,
}

/// When an instance is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Pristine {
    /// After each batch.
    Batch,
    /// After each row.
    Row,
    /// After an error only.
    Never,
}

impl From<Pristine> for guest_functions::Pristine {
    fn from(pristine: Pristine) -> Self {
        match pristine {
            Pristine::Batch => Self::Batch,
            Pristine::Row => Self::Row,
            Pristine::Never => Self::Never,
        }
    }
}
