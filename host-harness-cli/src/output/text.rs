//! The report as text for a terminal. Its tables are Markdown, so that they can be pasted where Markdown is read. What
//! guests and files have named and said passes through [`printable`] here, and nowhere before.

use std::borrow::Cow;
use std::io::{self, Write};

use clap::builder::styling::AnsiColor;
use comfy_table::{CellAlignment, presets};

use guest_host::text::{printable, printable_within};
use host_harness::report::{Body, Report, Section, TO_PASTE, Table};

use super::Exporter;
use super::layout::{Fit, fit, width, wrapped};

/// Characters of a heading or of a cell that are printed: a column is as wide as its widest cell.
const CELL: usize = 300;

/// Writes text.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Text {
    /// The width into which text and tables are fitted; no limit where there is none.
    pub width: Option<usize>,
    /// Whether verdicts have colours.
    pub color: bool,
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
            self.lines("", &format!("{name}: {}", printable(&value)), out)?;
        }
        Ok(())
    }
}

impl Text {
    fn section(&self, section: &Section, out: &mut dyn Write) -> io::Result<()> {
        if !section.title.is_empty() {
            self.lines("", &printable_within(&section.title, CELL), out)?;
            writeln!(out)?;
        }
        match &section.body {
            Body::Facts(facts) => {
                let facts: Vec<_> = facts.iter().map(|(name, value)| (printable(name), printable(value))).collect();
                self.facts(&facts, out)?;
            }
            Body::Table(table) => self.table(table, out)?,
            Body::Lines(lines) => {
                for line in lines {
                    match line.starts_with(TO_PASTE) {
                        true => writeln!(out, "  {}", printable(line))?,
                        false => self.lines("  ", &printable(line), out)?,
                    }
                }
            }
        }
        if !section.remarks.is_empty() {
            writeln!(out)?;
        }
        for remark in &section.remarks {
            self.lines("  ", &printable(remark), out)?;
        }
        Ok(())
    }

    /// A line behind this indentation, wrapped to the width; what follows stands two columns further in.
    fn lines(&self, indentation: &str, line: &str, out: &mut dyn Write) -> io::Result<()> {
        let Some(most) = self.width.filter(|most| indentation.len() + width(line) > *most) else {
            return writeln!(out, "{indentation}{line}");
        };
        for (at, line) in wrapped(line, most.saturating_sub(indentation.len() + 2).max(1)).iter().enumerate() {
            let further = if at == 0 { "" } else { "  " };
            writeln!(out, "{indentation}{further}{line}")?;
        }
        Ok(())
    }

    /// Names and values, the values below one another, or below their names where there is no room beside them.
    fn facts(&self, facts: &[(Cow<'_, str>, Cow<'_, str>)], out: &mut dyn Write) -> io::Result<()> {
        let names = facts.iter().map(|(name, _)| width(name)).max().unwrap_or_default();
        let beside = names + 4;
        for (name, value) in facts {
            let padding = " ".repeat(names - width(name));
            match self.width {
                Some(most) if beside + width(value) > most => {
                    let is_beside = beside * 2 <= most;
                    let indentation = if is_beside { beside } else { 4 };
                    for (at, line) in wrapped(value, most.saturating_sub(indentation).max(1)).iter().enumerate() {
                        match (at, is_beside) {
                            (0, true) => writeln!(out, "  {name}{padding}  {}", self.verdict(line))?,
                            (0, false) => writeln!(out, "  {name}\n    {}", self.verdict(line))?,
                            _ => writeln!(out, "{}{line}", " ".repeat(indentation))?,
                        }
                    }
                }
                _ => writeln!(out, "  {name}{padding}  {}", self.verdict(value))?,
            }
        }
        Ok(())
    }

    fn table(&self, table: &Table, out: &mut dyn Write) -> io::Result<()> {
        let mut shown = table.clone();
        for cell in shown.rows.iter_mut().flatten() {
            *cell = printable_within(cell, CELL).into_owned();
        }
        let columns = match fit(&shown, self.width) {
            Fit::Columns(columns) => columns,
            Fit::Blocks => return self.blocks(&shown, out),
        };
        let mut text = comfy_table::Table::new();
        text.load_style(presets::ASCII_MARKDOWN);
        let cell = |text: &str, most: usize, is_figure: bool| match is_figure {
            true => text.to_owned(),
            false => wrapped(text, most).join("\n"),
        };
        text.set_header(columns.iter().map(|(at, most)| {
            let (heading, is_figure) = &shown.columns[*at];
            cell(heading, *most, *is_figure)
        }));
        for row in &shown.rows {
            text.add_row(columns.iter().map(|(at, most)| cell(&row[*at], *most, shown.columns[*at].1)));
        }
        for (column, (at, _)) in text.column_iter_mut().zip(&columns) {
            if shown.columns[*at].1 {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        for line in text.to_string().lines() {
            writeln!(out, "{}", self.verdicts(line))?;
        }
        let mut left_out: Vec<&str> = Vec::new();
        for (at, (heading, _)) in shown.columns.iter().enumerate() {
            if columns.iter().all(|(kept, _)| *kept != at) && !left_out.contains(&heading.as_str()) {
                left_out.push(heading);
            }
        }
        if !left_out.is_empty() {
            writeln!(out)?;
            self.lines("  ", &format!("not shown at this width: {}", left_out.join(", ")), out)?;
        }
        Ok(())
    }

    /// Each row of a table as lines with the heading before the cell.
    fn blocks(&self, table: &Table, out: &mut dyn Write) -> io::Result<()> {
        for (at, row) in table.rows.iter().enumerate() {
            if at > 0 {
                writeln!(out)?;
            }
            let headings = headings(table);
            let facts: Vec<_> =
                headings.iter().zip(row).map(|(heading, cell)| (Cow::from(heading), Cow::from(cell))).collect();
            self.facts(&facts, out)?;
        }
        Ok(())
    }

    /// The line of a table, with colours for the cells that are verdicts.
    fn verdicts(&self, line: &str) -> String {
        if !self.color {
            return line.to_owned();
        }
        let cells = line.split('|').map(|cell| {
            let word = cell.trim();
            match word.is_empty() {
                true => cell.to_owned(),
                false => cell.replacen(word, &self.verdict(word), 1),
            }
        });
        cells.collect::<Vec<_>>().join("|")
    }

    /// The text in a colour if it is a verdict, or begins with one.
    fn verdict<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let color = match text.split([':', ' ']).next().unwrap_or_default() {
            "passed" | "admitted" => AnsiColor::Green,
            "inconclusive" | "refused" => AnsiColor::Yellow,
            "DIFFERS" | "FAILED" => AnsiColor::Red,
            _ if text == "not verified" => AnsiColor::Yellow,
            _ => return Cow::Borrowed(text),
        };
        if !self.color {
            return Cow::Borrowed(text);
        }
        let style = color.on_default();
        Cow::Owned(format!("{style}{text}{style:#}"))
    }
}

/// The headings of a table, each of which says what it is of where they stand below one another: a percentile names its figure.
fn headings(table: &Table) -> Vec<String> {
    let mut headings: Vec<String> = Vec::new();
    let mut figure = "";
    for (heading, _) in &table.columns {
        match (heading.strip_suffix(" p50"), heading.as_str()) {
            (Some(name), _) => figure = name,
            (None, "p99") if !figure.is_empty() => {
                headings.push(format!("{figure} p99"));
                continue;
            }
            _ => {}
        }
        headings.push(heading.clone());
    }
    headings
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
        let mut out = Vec::new();
        Text::default().table(&table, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("(cut: 100000 characters)") && text.len() < 2_000, "{text}");
    }

    /// A report's parts as they are printed at this width.
    fn printed(width: Option<usize>) -> String {
        let headings = ["call p50", "p99", "both p50", "p99", "x bare call"];
        let mut table = Table::new(&["guest", "restored by"], &headings).word("verdict");
        table.row(
            [
                "shop-bump-reset",
                "bump-reset, keep",
                "1,234.5 us",
                "2,345.6 us",
                "12.3 us",
                "45.6 us",
                "103.2",
                "passed",
            ]
            .map(str::to_owned),
        );
        table.row(
            ["shop-leaking", "watermark / dirty-cards", "98 ns", "1.2 us", "100 ns", "-", "1.1", "DIFFERS"]
                .map(str::to_owned),
        );
        let facts = vec![
            ("contract", "native, version 1".to_owned()),
            (
                "size",
                "12,345,678 bytes, 12,000,000 without custom sections (11,000,000 code, 1,000,000 data)".to_owned(),
            ),
        ];
        let lines = vec![
            "a sentence that is longer than the narrowest of the terminals that there are".to_owned(),
            "    rustflags = [\"-C\", \"link-arg=-zstack-size=65536\"] # stays one line".to_owned(),
        ];
        let sections = [
            Section::facts("Guest shop", facts),
            Section::new("Times of `count_up`", Body::Table(table))
                .remarks(["new: a new instance after each call".to_owned()]),
            Section::new("Advice", Body::Lines(lines)),
        ];
        let mut out = Vec::new();
        for section in &sections {
            Text { width, ..Text::default() }.section(section, &mut out).unwrap();
            writeln!(out).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_fits_the_width_that_it_is_printed_in() {
        for columns in [40, 80, 100, 200] {
            let text = printed(Some(columns));
            insta::assert_snapshot!(format!("width_{columns}"), text);
            let to_paste = |line: &&str| line.trim_start().starts_with("rustflags");
            for line in text.lines().filter(|line| !to_paste(line)) {
                assert!(width(line) <= columns, "{columns}: {line}");
            }
        }
        insta::assert_snapshot!("width_unlimited", printed(None));
    }

    #[test]
    fn verdicts_alone_have_colours() {
        let colored = |color| {
            let mut table = Table::new(&["function", "verdict"], &[]);
            table.row(["passed_on".to_owned(), "passed".to_owned()]);
            let mut out = Vec::new();
            Text { color, ..Text::default() }.table(&table, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert!(!colored(false).contains('\u{1b}'));
        let text = colored(true);
        assert!(text.contains("\u{1b}[32mpassed\u{1b}[0m") && text.contains("| passed_on |"), "{text:?}");
    }
}
