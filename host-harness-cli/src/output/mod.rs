//! How a report leaves the process: one file for each format, behind [`Exporter`], and where it goes.

mod file;
mod html;
mod json;
mod junit;
mod layout;
mod markdown;
mod text;

use std::io::{self, Write};

use host_harness::report::Report;

pub(crate) use file::{Destination, hold_writes, print_more};
pub(crate) use html::Html;
pub(crate) use json::Json;
pub(crate) use junit::Junit;
pub(crate) use markdown::Markdown;
pub(crate) use text::Text;

/// A format.
pub(crate) trait Exporter {
    /// Writes the whole report.
    ///
    /// # Errors
    /// The writer's.
    fn write(&self, report: &Report, out: &mut dyn Write) -> io::Result<()>;

    /// The whole report as bytes.
    fn render(&self, report: &Report) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Writing to a vector does not fail, and no report holds what JSON cannot.
        let _ = self.write(report, &mut bytes);
        bytes
    }
}
