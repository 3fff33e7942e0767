//! How text is laid out in a width: lines are wrapped between words, tables lose columns or become blocks. No word and no number is
//! ever broken.

use host_harness::report::Table;
use unicode_width::UnicodeWidthStr as _;

/// Columns that a table's line has besides those of its cells: for each cell a border and a blank on either side, and the last border.
const fn frame(cells: usize) -> usize {
    3 * cells + 1
}

/// Columns below which a column of words is not narrowed, unless its words are shorter.
const NARROW: usize = 16;

/// The width of a text on a terminal.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// The text in lines of at most `most` columns, broken between words; a longer word has a line of its own.
pub(super) fn wrapped(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// How a table fits a width.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// With these columns, each of them as wide as this.
    Columns(Vec<(usize, usize)>),
    /// Not as a table: each row is a block of lines.
    Blocks,
}

/// Fits a table, whose cells are as they are printed, into a width.
pub(super) fn fit(table: &Table, most: Option<usize>) -> Fit {
    let natural: Vec<usize> = (0..table.columns.len()).map(|at| widest(table, at, width)).collect();
    let Some(most) = most else {
        return Fit::Columns(natural.into_iter().enumerate().collect());
    };
    let least: Vec<usize> = natural.iter().enumerate().map(|(at, natural)| least(table, at, *natural)).collect();
    let mut kept: Vec<usize> = (0..table.columns.len()).collect();
    let mut left_out = table.left_out_first().into_iter();
    loop {
        let needed = frame(kept.len()) + kept.iter().map(|at| least[*at]).sum::<usize>();
        if needed <= most {
            return Fit::Columns(shared(&kept, &least, &natural, most - needed));
        }
        let Some(next) = left_out.next() else { return Fit::Blocks };
        kept.retain(|at| !next.contains(at));
    }
}

/// The columns with their widths: those that are narrower than their texts share what is left.
fn shared(kept: &[usize], least: &[usize], natural: &[usize], mut left: usize) -> Vec<(usize, usize)> {
    let mut columns: Vec<(usize, usize)> = kept.iter().map(|at| (*at, least[*at])).collect();
    while left > 0 {
        let narrowed = columns.iter_mut().filter(|(at, width)| *width < natural[*at]);
        let Some((_, width)) = narrowed.min_by_key(|(_, width)| *width) else { break };
        *width += 1;
        left -= 1;
    }
    columns
}

/// The width that a column needs: all of its figures, and the longest of its words.
fn least(table: &Table, at: usize, natural: usize) -> usize {
    if table.columns[at].1 {
        return natural;
    }
    let longest_word = |text: &str| text.split(' ').map(width).max().unwrap_or_default();
    natural.min(widest(table, at, longest_word).max(NARROW))
}

fn widest(table: &Table, at: usize, measure: impl Fn(&str) -> usize) -> usize {
    let cells = table.rows.iter().filter_map(|row| row.get(at)).map(String::as_str);
    cells.chain([table.columns[at].0.as_str()]).map(measure).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["guest", "restored by"], &["both p50", "p99"]).word("built with");
        table.row(
            ["shop", "scrub / keep / any other way there is", "1,234.5 us", "2 ms", "rustc 1.96.0"].map(str::to_owned),
        );
        table
    }

    #[test]
    fn lines_break_between_words_alone() {
        assert_eq!(wrapped("one two  three", 7), ["one two", " three"]);
        assert_eq!(wrapped("1,234,567 bytes", 4), ["1,234,567", "bytes"]);
        assert_eq!(wrapped("", 4), [""]);
    }

    #[test]
    fn columns_go_in_their_order_then_words_are_wrapped_then_rows_are_blocks() {
        let natural = [(0, 5), (1, 37), (2, 10), (3, 4), (4, 12)];
        assert_eq!(fit(&table(), None), Fit::Columns(natural.to_vec()));
        assert_eq!(fit(&table(), Some(84)), Fit::Columns(natural.to_vec()));
        // The column of words becomes narrower before another is left out.
        assert_eq!(fit(&table(), Some(83)), Fit::Columns(vec![(0, 5), (1, 36), (2, 10), (3, 4), (4, 12)]));
        assert_eq!(fit(&table(), Some(62)), Fit::Columns(vec![(0, 5), (1, 30), (2, 10), (3, 4)]));
        assert_eq!(fit(&table(), Some(41)), Fit::Columns(vec![(0, 5), (1, 16), (2, 10)]));
        assert_eq!(fit(&table(), Some(40)), Fit::Blocks);
    }

    #[test]
    fn a_table_is_never_wider_than_it_may_be() {
        for most in 1..200 {
            if let Fit::Columns(columns) = fit(&table(), Some(most)) {
                let needed = frame(columns.len()) + columns.iter().map(|(_, width)| width).sum::<usize>();
                assert!(needed <= most, "{most}: {columns:?}");
            }
        }
    }
}
