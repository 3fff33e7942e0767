//! The report as JSON: its data, under the names of their fields.

use std::io::{self, Write};

use host_harness::report::Report;

use super::Exporter;

/// Writes JSON.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Json;

impl Exporter for Json {
    fn write(&self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, report)?;
        out.write_all(b"\n")
    }
}
