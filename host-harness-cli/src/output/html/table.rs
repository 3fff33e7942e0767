//! Tables: the verdict beside the names, rows that are equal but for one name folded into one.

use maud::{Markup, html};

use host_harness::report::Table;

/// Headings of the column that stands beside the names, so that it can be seen without scrolling.
const VERDICTS: [&str; 2] = ["verdict", "verified"];

/// Letters of a cell that stand in one line.
const LINE: usize = 32;

/// A row: the texts of each cell; several where rows were folded.
type Row<'t> = Vec<Vec<&'t str>>;

/// A table in a box that scrolls by itself.
pub(super) fn table(title: &str, table: &Table) -> Markup {
    let order = order(table);
    let heads: Vec<(&str, bool)> =
        order.iter().map(|at| (table.columns[*at].0.as_str(), table.columns[*at].1)).collect();
    let rows =
        table.rows.iter().map(|row| order.iter().map(|at| vec![row.get(*at).map_or("", String::as_str)]).collect());
    let words: Vec<usize> = (0..heads.len()).filter(|at| !heads[*at].1 && !is_verdict(heads[*at].0)).collect();
    let rows = folded(rows.collect(), &words);
    let label = format!("Table: {}", title.replace('`', ""));
    html! {
        .wide tabindex="0" role="region" aria-label=(label) {
            table.sortable[rows.len() > 1] {
                thead { tr { @for (heading, is_figure) in &heads { th class=[is_figure.then_some("figure")] scope="col" { (heading) } } } }
                tbody { @for row in &rows { tr {
                    @for (cell, (heading, is_figure)) in row.iter().zip(&heads) {
                        td class=[look(heading, *is_figure, cell)] { (texts(cell)) }
                    }
                } } }
            }
        }
    }
}

fn is_verdict(heading: &str) -> bool {
    VERDICTS.contains(&heading)
}

/// The order of the columns: that of the verdict goes behind the first columns of words.
fn order(table: &Table) -> Vec<usize> {
    let mut order: Vec<usize> = (0..table.columns.len()).collect();
    let names = table.columns.iter().take_while(|(heading, is_figure)| !is_figure && !is_verdict(heading)).count();
    if let Some(from) = table.columns.iter().position(|(heading, _)| is_verdict(heading)).filter(|from| *from > names) {
        let verdict = order.remove(from);
        order.insert(names, verdict);
    }
    order
}

/// Folds rows that differ in one of these columns alone, beginning with the last.
fn folded<'t>(mut rows: Vec<Row<'t>>, columns: &[usize]) -> Vec<Row<'t>> {
    for column in columns.iter().rev() {
        let mut kept: Vec<Row<'t>> = Vec::new();
        // Where each row is kept, by its other cells.
        let mut places = std::collections::HashMap::<Row<'t>, usize>::new();
        for mut row in rows {
            let texts = std::mem::take(&mut row[*column]);
            match places.get(&row) {
                Some(place) => kept[*place][*column].extend(texts),
                None => {
                    places.insert(row.clone(), kept.len());
                    row[*column] = texts;
                    kept.push(row);
                }
            }
        }
        rows = kept;
    }
    rows
}

/// The class of a cell.
fn look(heading: &str, is_figure: bool, cell: &[&str]) -> Option<&'static str> {
    match cell {
        // Most cells are figures: theirs is the look of a cell without a class.
        _ if is_figure => None,
        ["passed"] if is_verdict(heading) => Some("word good"),
        ["-" | "inconclusive" | "not verified"] if is_verdict(heading) => Some("word open"),
        _ if is_verdict(heading) => Some("word bad"),
        texts if texts.iter().any(|text| text.chars().count() > LINE) => Some("word long"),
        _ => Some("word"),
    }
}

fn texts(cell: &[&str]) -> Markup {
    match cell {
        [text] => html! { (text) },
        [first, rest @ ..] => html! {
            details {
                summary { (first) " and " (rest.len()) " more" }
                ul { @for text in rest { li { (text) } } }
            }
        },
        [] => html! {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(rows: &[[&str; 4]]) -> Table {
        let mut table = Table::new(&["guest", "restored by"], &["calls"]).word("verdict");
        for row in rows {
            table.row(row.map(str::to_owned));
        }
        table
    }

    #[test]
    fn the_verdict_stands_beside_the_names() {
        let html = table("Times of `f`", &example(&[["g", "full-copy", "1,000", "passed"]])).into_string();
        let at = |text: &str| html.find(text).unwrap_or_else(|| panic!("{text}: {html}"));
        assert!(at(">restored by<") < at(">verdict<") && at(">verdict<") < at(">calls<"));
        assert!(at("full-copy") < at("passed") && at("passed") < at("1,000"));
        assert!(html.contains("class=\"word good\"") && html.contains("aria-label=\"Table: Times of f\""), "{html}");
    }

    #[test]
    fn rows_that_differ_in_one_name_alone_are_folded() {
        let rows = [
            ["a", "full-copy", "9", "passed"],
            ["a", "watermark", "9", "passed"],
            ["a", "bump-reset", "8", "passed"],
            ["b", "full-copy", "9", "passed"],
            ["b", "watermark", "9", "passed"],
        ];
        let html = table("t", &example(&rows)).into_string();
        // One for both guests and both ways, and one for what is different.
        assert_eq!(html.matches("<tr>").count(), 1 + 2, "{html}");
        assert_eq!(html.matches(" and 1 more").count(), 2, "{html}");
        let html = table("t", &example(&[rows[0], ["a", "watermark", "9", "DIFFERS"]])).into_string();
        assert_eq!((html.matches("<tr>").count(), html.matches(" more").count()), (1 + 2, 0), "{html}");
    }

    #[test]
    fn nothing_that_a_guest_says_becomes_markup() {
        let bad = "<img src=x onerror=alert(1)>\"";
        let html = table(bad, &example(&[[bad, "a", "1", bad], ["a", bad, "1", bad]])).into_string();
        assert!(!html.contains("<img") && !html.contains("onerror=alert(1)>\""), "{html}");
    }
}
