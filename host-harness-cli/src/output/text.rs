//! The report as text for a terminal. Its tables are Markdown, so that they can be pasted where Markdown is read. What
//! guests and files have named and said passes through [`printable`] here, and nowhere before.

use std::io::{self, Write};

use comfy_table::{CellAlignment, ContentArrangement, presets};

use guest_host::text::{printable, printable_within};
use host_harness::report::{Body, Report, Section, Table};

use super::Exporter;

/// Characters of a heading or of a cell that are printed: a column is as wide as its widest cell.
const CELL: usize = 300;

/// Writes text.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Text {
    /// Whether tables are wrapped to fit the terminal that standard output is.
    pub wrap: bool,
    /// Whether the details are printed, too.
    pub details: bool,
}

impl Exporter for Text {
    fn write(&self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        let sections = report.sections();
        let (shown, hidden): (Vec<_>, Vec<_>) = sections.iter().partition(|section| self.details || !section.is_detail);
        for section in shown {
            self.section(section, out)?;
            writeln!(out)?;
        }
        if !hidden.is_empty() {
            writeln!(out, "{} more tables: --details prints them, --export-html FILE draws them", hidden.len())?;
            return Ok(());
        }
        for (name, value) in report.header.facts() {
            writeln!(out, "{name}: {}", printable(&value))?;
        }
        Ok(())
    }
}

impl Text {
    fn section(&self, section: &Section, out: &mut dyn Write) -> io::Result<()> {
        if !section.title.is_empty() {
            writeln!(out, "{}\n", printable_within(&section.title, CELL))?;
        }
        match &section.body {
            Body::Facts(facts) => {
                let facts: Vec<_> = facts.iter().map(|(name, value)| (printable(name), printable(value))).collect();
                let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
                for (name, value) in facts {
                    writeln!(out, "  {name:width$}  {value}")?;
                }
            }
            Body::Table(table) => writeln!(out, "{}", self.table(table))?,
            Body::Lines(lines) => {
                for line in lines {
                    writeln!(out, "  {}", printable(line))?;
                }
            }
        }
        if !section.remarks.is_empty() {
            writeln!(out)?;
        }
        for remark in &section.remarks {
            writeln!(out, "  {}", printable(remark))?;
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
            text.add_row(row.iter().map(|cell| printable_within(cell, CELL)));
        }
        for (column, (_, is_figure)) in text.column_iter_mut().zip(&table.columns) {
            if *is_figure {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_guest_says_reaches_the_terminal_as_it_is() {
        let bad = "x\u{1b}]0;y\u{7}\nz".to_owned();
        let mut table = Table::new(&["name"], &[]);
        table.row([bad.clone()]);
        let bodies =
            [Body::Facts(vec![("fact".to_owned(), bad.clone())]), Body::Table(table), Body::Lines(vec![bad.clone()])];
        for body in bodies {
            let section = Section::new(bad.clone(), body).remarks([bad.clone()]);
            let mut out = Vec::new();
            Text::default().section(&section, &mut out).unwrap();
            let text = String::from_utf8(out).unwrap();
            assert!(!text.contains(|char: char| char.is_control() && char != '\n'), "{text:?}");
            assert_eq!(text.matches("x\\u001b]0;y\\u0007\\nz").count(), 3, "{text}");
        }
    }

    #[test]
    fn a_long_name_does_not_make_a_column_as_wide() {
        let mut table = Table::new(&["name"], &[]);
        table.row(["n".repeat(100_000)]);
        let text = Text::default().table(&table).to_string();
        assert!(text.contains("(cut: 100000 characters)") && text.len() < 2_000, "{text}");
    }
}
