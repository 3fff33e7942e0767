//! The command line's options.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use guest_datafusion::guest_functions;

use crate::table::Table;
use crate::values::{Deadline, memory_size, size};

/// Run a SQL query over CSV, JSON Lines and Parquet files, with functions of WebAssembly modules.
///
/// A query reads; it creates and writes nothing. EXPLAIN shows its plan, with the hash of each function's module.
#[derive(Debug, Parser)]
#[command(name = "host-harness query", bin_name = "host-harness query", version, max_term_width = 100)]
pub(crate) struct Arguments {
    /// The query.
    #[arg(value_name = "SQL")]
    pub(crate) sql: String,
    /// A file to query, and its name in the query, such as t=products.parquet; may be given more than once.
    ///
    /// The extension says what it is: .csv with a line of names, .json, .jsonl or .ndjson with an object on each line, or .parquet.
    #[arg(long = "table", value_name = "NAME=FILE")]
    pub(crate) tables: Vec<Table>,
    /// A module whose functions the query calls; may be given more than once. A function takes the place of a built-in one of its
    /// name.
    #[arg(long = "module", value_name = "MODULE.wasm")]
    pub(crate) modules: Vec<PathBuf>,
    /// Signature of a function of a module that has none, such as 'distance(a: string, b: string) -> i64'; may be given more
    /// than once.
    ///
    /// Strings, bytes and lists go into memory from the module's export `malloc`, `allocate` or `alloc`.
    #[arg(long = "declare", value_name = "SIGNATURE")]
    pub(crate) declarations: Vec<String>,
    /// Format of the results. `json` is an array of objects.
    #[arg(long, value_enum, default_value = "table", value_name = "FORMAT")]
    pub(crate) format: Format,
    /// Memory that the query may use, its instances included, such as 512MiB. Default: no limit.
    #[arg(long, value_name = "SIZE", value_parser = size, allow_hyphen_values = true)]
    pub(crate) limit_memory: Option<usize>,
    /// Partitions in which the query is executed. Default: the number of processors.
    #[arg(long, value_name = "N")]
    pub(crate) partitions: Option<NonZeroUsize>,
    /// How often an instance is restored: after each batch, after each row, or never unless it failed.
    #[arg(long, value_enum, default_value = "batch", value_name = "WHEN")]
    pub(crate) pristine: Pristine,
    /// Memory limit of an instance, such as 512KiB, 64MiB or 1GiB; at most 4GiB.
    #[arg(long, value_name = "SIZE", default_value = "128MiB", value_parser = memory_size, allow_hyphen_values = true)]
    pub(crate) memory_limit: u64,
    /// Time limit of a call, which is one for a batch, such as 100ms, 1s or none.
    #[arg(long, value_name = "TIME", default_value = "1s", allow_hyphen_values = true)]
    pub(crate) deadline: Deadline,
    /// Keep compiled code in this folder and load it from there; the folder must be as safe as the program itself.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) compile_cache: Option<PathBuf>,
    /// Print no progress, and no rate at the end.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Csv,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Pristine {
    Batch,
    Row,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_options_is_sound() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn options_stand_before_or_behind_the_query() {
        let parse = |words: &str| Arguments::try_parse_from(["query"].into_iter().chain(words.split(' ')));
        let arguments = parse("--table t=a.csv SELECT --table u=b.parquet --pristine row --deadline none").unwrap();
        assert_eq!((arguments.sql.as_str(), arguments.tables.len()), ("SELECT", 2));
        assert_eq!((arguments.pristine, arguments.deadline.0), (Pristine::Row, None));
        for wrong in ["--quiet", "SELECT --table a.csv", "SELECT --partitions 0", "SELECT --limit-memory 5", "a b"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
