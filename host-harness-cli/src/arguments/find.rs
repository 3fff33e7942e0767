//! The arguments of `find`.

use std::path::PathBuf;

use clap::Args;

use super::FunctionModule;
use crate::values::count;

/// Arguments of `find`.
#[derive(Debug, Args)]
pub(crate) struct Find {
    #[command(flatten)]
    pub(crate) module: FunctionModule,
    /// Files of JSON Lines, a document a line; `-` is standard input.
    #[arg(value_name = "FILE.jsonl", default_value = "-")]
    pub(crate) files: Vec<PathBuf>,
    /// Keep the documents for which this function is true; may be given more than once, and all must be.
    ///
    /// A call names the function and, behind it, its arguments without the document: 'ships_to("Ulm", 100)'. Text may stand
    /// without quotes where it has no comma and no parenthesis. A null result is not true.
    #[arg(long = "where", value_name = "CALL")]
    pub(crate) filters: Vec<String>,
    /// Print the documents with the highest results of this function, highest first. Equal ones keep their order.
    ///
    /// Documents for which the result is null or not a number are left out.
    #[arg(long, value_name = "CALL")]
    pub(crate) score: Option<String>,
    /// Documents that --score prints.
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = count(1..=1_000_000), allow_hyphen_values = true, requires = "score")]
    pub(crate) top: u64,
    /// Print the results of this function in place of the lines; a document as JSON. A null result is left out.
    #[arg(long, value_name = "CALL")]
    pub(crate) select: Option<String>,
    /// Member of a line that has the document's id. Default: `id`, or `_id`.
    #[arg(long, value_name = "MEMBER")]
    pub(crate) id_member: Option<String>,
    /// Member of a line that has the document's score. Default: `score`, or `_score`.
    #[arg(long, value_name = "MEMBER")]
    pub(crate) score_member: Option<String>,
    /// Leave out lines that are no documents, and say at the end how many. Without it the first one is an error.
    #[arg(long)]
    pub(crate) skip_invalid: bool,
}
