//! Which columns of a table are left out where it would be wider than what it is printed on.

use super::section::Table;

/// Headings of columns that a reader misses least, the least important first. Columns of other headings stay: they say which row it
/// is, or are what the table is for.
const LEAST_FIRST: [&str; 30] = [
    "built with",
    "seed",
    "repeats",
    "reading",
    "found by",
    "statics bytes",
    "reallocs",
    "grows",
    "live at the end",
    "peak blocks",
    "frees",
    "strategy",
    "per call",
    "pages",
    "p99",
    "x cheaper than new",
    "x bare call",
    "skipped",
    "crossings",
    "peak live",
    "bytes",
    "wasm bytes",
    "call p50",
    "restore p50",
    "heap",
    "fragmentation",
    "x best",
    "restored",
    // Where work stands, too, it says more.
    "instructions",
    "time",
];

impl Table {
    /// The columns that may be left out, in the order in which they are: the least important first. Columns of one heading go
    /// together, as one that stays could not be told from those that went.
    #[must_use]
    pub fn left_out_first(&self) -> Vec<Vec<usize>> {
        let with_heading = |heading: &&str| {
            // The first column says which row it is, whatever it is called.
            let columns = self.columns.iter().enumerate().skip(1);
            columns.filter(|(_, (name, _))| name == *heading).map(|(at, _)| at).collect::<Vec<_>>()
        };
        LEAST_FIRST.iter().map(with_heading).filter(|columns| !columns.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_important_goes_first_and_the_first_column_never() {
        let table =
            Table::new(&["bytes", "guest"], &["call p50", "p99", "restore p50", "p99", "bytes"]).word("verdict");
        assert_eq!(table.left_out_first(), [vec![3, 5], vec![6], vec![2], vec![4]]);
    }
}
