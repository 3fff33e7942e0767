//! The report as text for a terminal. Its tables are Markdown, so that they can be pasted where Markdown is read.

use std::io::{self, Write};

use comfy_table::{CellAlignment, ContentArrangement, presets};

use super::{Body, Exporter, Report, Section, Table};

/// Writes text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Text {
    /// Whether tables are wrapped to fit the terminal that standard output is.
    pub wrap: bool,
}

impl Exporter for Text {
    fn write(&self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        for section in report.sections() {
            self.section(&section, out)?;
            writeln!(out)?;
        }
        for (name, value) in report.header.facts() {
            writeln!(out, "{name}: {value}")?;
        }
        Ok(())
    }
}

impl Text {
    fn section(&self, section: &Section, out: &mut dyn Write) -> io::Result<()> {
        if !section.title.is_empty() {
            writeln!(out, "{}\n", section.title)?;
        }
        match &section.body {
            Body::Facts(facts) => {
                let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
                for (name, value) in facts {
                    writeln!(out, "  {name:width$}  {value}")?;
                }
            }
            Body::Table(table) => writeln!(out, "{}", self.table(table))?,
            Body::Lines(lines) => {
                for line in lines {
                    writeln!(out, "  {line}")?;
                }
            }
        }
        if !section.remarks.is_empty() {
            writeln!(out)?;
        }
        for remark in &section.remarks {
            writeln!(out, "  {remark}")?;
        }
        Ok(())
    }

    fn table(&self, table: &Table) -> comfy_table::Table {
        let mut text = comfy_table::Table::new();
        text.load_style(presets::ASCII_MARKDOWN);
        if self.wrap {
            text.set_content_arrangement(ContentArrangement::Dynamic);
        }
        text.set_header(table.columns.iter().map(|(heading, _)| heading));
        for row in &table.rows {
            text.add_row(row);
        }
        for (column, (_, is_figure)) in text.column_iter_mut().zip(&table.columns) {
            if *is_figure {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        text
    }
}
