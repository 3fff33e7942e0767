//! The result as Markdown for a comment of a pull request: what came out, what changed since the baseline, and the tables folded.
//!
//! Names and messages come from guests. In a comment they could break a table, mention people or link to anywhere, so they are
//! set as code with their punctuation as character references. Sentences with names in them are text, without a meaning as Markdown.

use std::fmt::Write as _;
use std::io::{self, Write};

use guest_host::text::printable_within;
use host_harness::baseline::{Change, Comparison, Direction};
use host_harness::report::{Body, Report, Section, Table};

use super::Exporter;

/// Bytes of the whole: hosts of repositories refuse comments of more than 65,536 characters.
const LONGEST: usize = 60_000;

/// Characters of a cell.
const CELL: usize = 120;

/// Characters of a sentence.
const SENTENCE: usize = 1_000;

/// Changes that are listed, of those that are worse and of those that are better.
const CHANGES: usize = 40;

/// Writes Markdown.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Markdown;

impl Exporter for Markdown {
    fn write(&self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        let word = if report.passed() { "passed" } else { "FAILED" };
        let mut text = format!("## host-harness {}: {word}\n\n", report.command());
        if let Some(comparison) = &report.baseline {
            baseline(&mut text, comparison);
        }
        let mut left_out = 0;
        // The first section is that of the baseline, which stands above.
        let sections = report.sections();
        let (answers, others): (Vec<_>, Vec<_>) =
            sections.iter().skip(usize::from(report.baseline.is_some())).partition(|section| section.is_answer);
        answers.into_iter().for_each(|section| answer(&mut text, section));
        for section in others {
            let folded = folded(section);
            if text.len() + folded.len() > LONGEST {
                left_out += 1;
            } else {
                text.push_str(&folded);
            }
        }
        if left_out > 0 {
            let _ = writeln!(
                text,
                "{left_out} more table(s) are too long for a comment; the JSON and HTML reports have them.\n"
            );
        }
        let header = &report.header;
        let _ = writeln!(
            text,
            "<sub>{}, host-harness {}, wasmtime {}, {} build, {}</sub>",
            code(&header.date),
            code(&header.harness),
            code(&header.wasmtime),
            code(&header.build),
            code(&header.machine.cpu)
        );
        out.write_all(text.as_bytes())
    }
}

fn baseline(text: &mut String, comparison: &Comparison) {
    let headline = comparison.headline();
    let _ = match comparison.passed() {
        true => writeln!(text, "{headline}.\n"),
        false => writeln!(text, "**{headline}.**\n"),
    };
    if let Some(error) = &comparison.error {
        let _ = writeln!(text, "**{}**\n", code(error));
    }
    let of = |directions: &[Direction]| -> Vec<(&Change, Vec<&str>)> {
        comparison.joined().into_iter().filter(|(change, _)| directions.contains(&change.direction)).collect()
    };
    changes(text, &of(&[Direction::Worse]));
    let others = of(&[Direction::Better, Direction::Neutral]);
    if !others.is_empty() {
        let _ = writeln!(text, "<details><summary>{} better or new</summary>\n", others.len());
        changes(text, &others);
        text.push_str("</details>\n\n");
    }
    for note in &comparison.notes {
        let _ = writeln!(text, "- {}", sentence(note));
    }
    let rules = sentence(&comparison.rules_text());
    let _ = writeln!(text, "\nBaseline of {}; fails on {rules}.\n", code(&comparison.date));
}

/// A table of changes, each with its ways of restoring.
fn changes(text: &mut String, changes: &[(&Change, Vec<&str>)]) {
    if changes.is_empty() {
        return;
    }
    text.push_str("| change | guest | function | restored by | before | now | percent |\n");
    text.push_str("|---|---|---|---|---:|---:|---:|\n");
    for (change, ways) in changes.iter().take(CHANGES) {
        let bold = |cell: String| if change.direction == Direction::Worse { format!("**{cell}**") } else { cell };
        let [before, after] = change.shown();
        let percent = change.percent.map(|percent| format!("{percent:+}%"));
        let optional = |cell: &Option<String>| cell.as_deref().map_or_else(String::new, code);
        let name = if change.fails { format!("{} (fails)", change.figure) } else { change.figure.to_string() };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            bold(name),
            code(&change.guest),
            optional(&change.function),
            code(&ways.join(" / ")),
            code(&before),
            bold(code(&after)),
            percent.map(bold).unwrap_or_default()
        );
    }
    if changes.len() > CHANGES {
        let _ = writeln!(text, "\nand {} more, in the JSON report", changes.len() - CHANGES);
    }
    text.push('\n');
}

/// A section of the report, folded.
fn folded(section: &Section) -> String {
    let title = if section.title.is_empty() { "Details" } else { &section.title };
    let mut text = format!("<details><summary>{}</summary>\n\n", sentence(title));
    body(&mut text, section);
    text.push_str("\n</details>\n\n");
    text
}

/// The answer, which is not folded: it is what the comment is for.
fn answer(text: &mut String, section: &Section) {
    let _ = writeln!(text, "### {}\n", sentence(&section.title));
    body(text, section);
    text.push('\n');
}

fn body(text: &mut String, section: &Section) {
    match &section.body {
        Body::Facts(facts) => {
            for (name, value) in facts {
                let _ = writeln!(text, "- {}: {}", sentence(name), sentence(value));
            }
        }
        Body::Table(cells) => table(text, cells),
        Body::Lines(lines) => {
            for line in lines {
                let _ = writeln!(text, "- {}", sentence(line));
            }
        }
    }
    if !section.remarks.is_empty() {
        text.push('\n');
    }
    for remark in &section.remarks {
        let _ = writeln!(text, "- {}", sentence(remark));
    }
}

fn table(text: &mut String, table: &Table) {
    let row = |text: &mut String, cells: &mut dyn Iterator<Item = String>| {
        text.push('|');
        for cell in cells {
            let _ = write!(text, " {cell} |");
        }
        text.push('\n');
    };
    row(text, &mut table.columns.iter().map(|(heading, _)| code(heading)));
    row(text, &mut table.columns.iter().map(|(_, is_figure)| if *is_figure { "---:" } else { "---" }.to_owned()));
    for cells in &table.rows {
        row(text, &mut cells.iter().map(|cell| code(cell)));
    }
}

/// Text of others as code. Inside of it nothing is a mention; punctuation is written as character references, as Markdown and
/// HTML are read inside of it, too. A word that has none is as it is.
fn code(text: &str) -> String {
    let text = printable_within(text, CELL);
    let plain =
        |char: char| char.is_ascii_alphanumeric() || matches!(char, ' ' | '-' | ',' | '+' | '%' | '(' | ')' | '/');
    // A point between digits is one of a figure; between letters it may be an address.
    let is_figure = |point: usize| {
        let digit = |at: Option<usize>| at.and_then(|at| text.as_bytes().get(at)).is_some_and(u8::is_ascii_digit);
        digit(point.checked_sub(1)) && digit(point.checked_add(1))
    };
    let is_plain = text.char_indices().all(|(at, char)| plain(char) || (char == '.' && is_figure(at)));
    if is_plain && !text.starts_with(['-', '+', ' ']) {
        return text.into_owned();
    }
    format!("<code>{}</code>", references(&text))
}

/// A sentence of the report, with names of others in it. What it has between backticks is code. The rest reads as it is: as
/// Markdown it means nothing, and nobody is mentioned by it.
fn sentence(text: &str) -> String {
    let text = printable_within(text, SENTENCE);
    let parts = text.split('`').enumerate().map(|(at, part)| match at % 2 {
        1 => format!("<code>{}</code>", references(part)),
        // Hosts look for mentions and for numbers of issues in the text that a browser gets. A comment ends both.
        _ => references(part).replace("&#64;", "&#64;<!-- -->").replace("&#35;", "&#35;<!-- -->"),
    });
    parts.collect()
}

/// Text with its punctuation as character references, but for what means nothing inside a line.
fn references(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        if char.is_ascii_punctuation() && !matches!(char, '-' | ',') {
            // Writing to a string does not fail.
            let _ = write!(escaped, "&#{};", u32::from(char));
        } else {
            escaped.push(char);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_guest_is_called_is_read_as_markdown() {
        let bad = "a|b`c`**d**_e_ @team #12 <img src=x> [l](http://x.y) www.x.y\n\\| &amp; ~~f~~ $x$ :tada:";
        let shown = code(bad);
        let inner = shown.strip_prefix("<code>").unwrap().strip_suffix("</code>").unwrap();
        let without_references: String = {
            let mut rest = inner;
            let mut text = String::new();
            while let Some((before, after)) = rest.split_once("&#") {
                let (number, after) = after.split_once(';').unwrap();
                assert!(number.parse::<u32>().is_ok(), "{number}");
                text.push_str(before);
                rest = after;
            }
            text + rest
        };
        assert!(!without_references.contains(|char: char| char.is_control()), "{shown}");
        let left: String =
            without_references.chars().filter(|char| char.is_ascii_punctuation() && !"-,".contains(*char)).collect();
        assert_eq!(left, "", "{shown}");
        assert_eq!(code("bump-reset, keep"), "bump-reset, keep");
        assert_eq!(code("- item"), "<code>- item</code>");
        assert_eq!(code("12,345"), "12,345");
        assert_eq!((code("3.5 us"), code("a.b")), ("3.5 us".to_owned(), "<code>a&#46;b</code>".to_owned()));
        assert!(code(&"n".repeat(9_999)).len() < 300);
    }

    #[test]
    fn a_sentence_is_text_with_code_in_it_and_mentions_nobody() {
        assert_eq!(
            sentence("use `alloc-leaking`, 4% more than @team"),
            "use <code>alloc-leaking</code>, 4&#37; more than &#64;<!-- -->team"
        );
        assert_eq!(sentence("odd ` one *b*"), "odd <code> one &#42;b&#42;</code>");
        let reason = "a reason of many words ".repeat(20);
        assert_eq!(sentence(&reason), reason, "a sentence is longer than a cell");
    }

    #[test]
    fn a_table_has_as_many_cells_as_columns_whatever_stands_in_it() {
        let mut cells = Table::new(&["a"], &["b|c"]);
        cells.row(["x|y\nz".to_owned(), "1".to_owned()]);
        let mut text = String::new();
        table(&mut text, &cells);
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.lines().all(|line| line.matches('|').count() == 3), "{text}");
    }
}
