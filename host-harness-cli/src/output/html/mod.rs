//! The report as one HTML file that needs no other: the answer first, then charts, then the tables.

mod charts;
mod memory;
mod page;
mod table;
#[cfg(test)]
mod tests;

use std::io::{self, Write};

use host_harness::report::Report;

use super::Exporter;

/// Writes HTML.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Html;

impl Exporter for Html {
    fn write(&self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(page::page(report).into_string().as_bytes())?;
        out.write_all(b"\n")
    }
}
