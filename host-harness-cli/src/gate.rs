//! The options of a gate in continuous integration: the baseline, its rules, and the outputs that other programs read.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use host_harness::baseline::{Baseline, Rules};
use host_harness::report;

use crate::output::Destination;

/// The comparison with an earlier report.
#[derive(Debug, Args)]
#[command(next_help_heading = "Baseline")]
pub(crate) struct Gate {
    /// Compare with this earlier JSON report of the same command, and exit with status 1 if something got worse.
    ///
    /// Make it with --export-json. Rows are the same if guest, function, strategy, residue and policy are.
    #[arg(long, value_name = "report.json")]
    pub(crate) baseline: Option<PathBuf>,
    /// Rules that make the comparison fail: figures with commas, each with the increase in percent that it may have.
    ///
    /// Figures: allocations, crossings, instructions, bytes (or one of allocated-bytes, restored-bytes, peak-live-bytes),
    /// wasm-size, time, and without a percentage verdict (one that passed does not any more), lost (a row, function or guest is
    /// missing) and failing (calls that succeeded fail). For instance instructions=2%,allocations,verdict. A figure without a
    /// percentage may not increase at all; `none` only tells the changes. A count that the baseline has and the report has not
    /// fails, too. Times are compared only if `time` is named, and only on the same machine and where the difference is clear.
    #[arg(long, value_name = "FIGURE[=N%],...", requires = "baseline", default_value = Rules::DEFAULT)]
    pub(crate) fail_on: Rules,
}

impl Gate {
    /// Reads the baseline before the work, so that an error in it ends the command at once.
    pub(crate) fn load(&self, command: &'static str) -> Result<Option<Baseline>> {
        let Some(path) = &self.baseline else { return Ok(None) };
        let read = || -> Result<Baseline> {
            let text = std::fs::read_to_string(path).map_err(|error| anyhow::anyhow!("cannot be read: {error}"))?;
            Ok(Baseline::new(report::read(&text)?, command, self.fail_on.clone())?)
        };
        // In one line, which a chain of contexts is not.
        read().map(Some).map_err(|error| anyhow::anyhow!("the baseline {}: {error}", path.display()))
    }
}

/// Outputs for those who are not at a terminal.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Outputs {
    /// Also write the result as Markdown for a comment of a pull request; `-` prints it instead of the ordinary output.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) markdown: Option<Destination>,
    /// Also write the checks as JUnit XML, which continuous integration shows; `-` prints it instead of the ordinary output.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) junit: Option<Destination>,
}
