//! The texts of tables: how numbers are written, and where tables are put.

use std::path::Path;

use anyhow::{Context, Result};

use crate::console::Console;

/// Writes a file, and says so.
pub(super) fn put(console: &Console, path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
    console.say(&format!("written: {}", path.display()));
    Ok(())
}

/// `page` with another text between two marks.
pub(super) fn replaced(page: &str, begin: &str, end: &str, text: &str) -> Result<String> {
    let missing = |mark: &str| format!("there is no `{}`", mark.trim_end());
    let (before, rest) = page.split_once(begin).with_context(|| missing(begin))?;
    let (_, after) = rest.split_once(end).with_context(|| missing(end))?;
    Ok(format!("{before}{begin}{text}{end}{after}"))
}

pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub(super) fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        short if short < 999.5 => format!("{short:.0} ns"),
        medium if medium < 999_500.0 => format!("{:.1} us", medium / 1e3),
        long => format!("{:.1} ms", long / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let (begin, end) = ("<!-- table:begin -->\n", "<!-- table:end -->");
        let page = replaced("a\n<!-- table:begin -->\nold\n<!-- table:end -->\nb\n", begin, end, "new\n").unwrap();
        assert_eq!(page, "a\n<!-- table:begin -->\nnew\n<!-- table:end -->\nb\n");
        let error = replaced("a page without marks", begin, end, "new").unwrap_err().to_string();
        assert_eq!(error, "there is no `<!-- table:begin -->`");
    }
}
