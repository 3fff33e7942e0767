//! The index of messages: each message of the pages on troubleshooting, with a link to the section that explains it.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

/// The pages, in the order of the book.
const PAGES: [&str; 5] = ["calls", "loading", "verifying", "files", "building"];

/// The heads of columns that contain messages.
const HEADS: [&str; 4] = ["message", "message of the compiler", "note", "reason"];

/// One message.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    /// What it is sorted by: its first letters, without marks and what varies at the beginning.
    key: String,
    /// As the page shows it.
    message: String,
    section: String,
    link: String,
}

/// The index of the pages in `folder`, sorted.
///
/// # Errors
///
/// If a page cannot be read.
pub(super) fn index(folder: &Path) -> Result<String> {
    let mut entries = Vec::new();
    for page in PAGES {
        let path = folder.join(format!("{page}.md"));
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        entries.extend(of_page(page, &text));
    }
    entries.sort();
    entries.dedup();
    let mut text = String::from("| message | section |\n|---|---|\n");
    for Entry { message, section, link, .. } in entries {
        let _ = writeln!(text, "| {message} | [{section}]({link}) |");
    }
    Ok(text)
}

/// The messages of a page.
fn of_page(page: &str, text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut section = String::new();
    let mut column = None;
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ").or_else(|| line.strip_prefix("### ")) {
            heading.clone_into(&mut section);
        }
        let Some(row) = line.strip_prefix("| ") else {
            if !line.starts_with('|') {
                column = None;
            }
            continue;
        };
        let cells: Vec<_> = row.trim_end_matches(" |").split(" | ").map(str::trim).collect();
        let Some(column) = column else {
            // The head of a table: `None` within the table if it has no messages.
            column = Some(cells.iter().position(|cell| HEADS.contains(cell)));
            continue;
        };
        let Some(cell) = column.and_then(|column: usize| cells.get(column)) else { continue };
        entries.extend(messages(cell).into_iter().map(|message| Entry {
            key: key(&message),
            message,
            section: section.clone(),
            link: format!("troubleshooting/{page}.md#{}", crate::tasks::docs::slug(&section)),
        }));
    }
    entries
}

/// The messages of a cell: pieces of code, between one or two backticks.
fn messages(cell: &str) -> Vec<String> {
    let mut messages = Vec::new();
    let mut rest = cell;
    while let Some(start) = rest.find('`') {
        let marks = if rest[start..].starts_with("``") { "``" } else { "`" };
        let begun = &rest[start..];
        let Some(length) = begun[marks.len()..].find(marks) else { break };
        let end = length + 2 * marks.len();
        messages.push(begun[..end].to_owned());
        rest = &begun[end..];
    }
    messages
}

fn key(message: &str) -> String {
    let start = message.find(|character: char| character.is_alphanumeric()).unwrap_or(0);
    message[start..].to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_leads_to_its_section() {
        let page = "# Page\n\n## Read it\n\n| message | fix |\n|---|---|\n| `b: ...`, `` the `A` is ... `` | `no` |\n| others | |\n\n\
                    | name | meaning |\n|---|---|\n| `no` | |\n\n### Why not?\n\n| code | message |\n|--:|---|\n| 1 | `...: c` |\n";
        let mut entries = of_page("loading", page);
        entries.sort();
        let found: Vec<_> = entries.iter().map(|entry| (entry.message.as_str(), entry.link.as_str())).collect();
        assert_eq!(
            found,
            [
                ("`b: ...`", "troubleshooting/loading.md#read-it"),
                ("`...: c`", "troubleshooting/loading.md#why-not"),
                ("`` the `A` is ... ``", "troubleshooting/loading.md#read-it"),
            ]
        );
    }
}
