//! Sorting: the heads of tables, as a mouse and as a keyboard reach them.

use anyhow::Result;
use chromiumoxide::Page;

/// Tables of a page that are tried; the others have the same script.
const TABLES: usize = 3;

/// Marks the button of a table's last head, and tells which faults the heads have.
const PREPARE: &str = include_str!("scripts/heads.js");

/// Whether the column of the marked button is in the order that its head states.
const SORTED: &str = include_str!("scripts/sorted.js");

/// Faults of the sortable tables.
pub(crate) async fn complaints(page: &Page) -> Result<Vec<String>> {
    let count: usize = page.evaluate("document.querySelectorAll('table.sortable').length").await?.into_value()?;
    let mut all = Vec::new();
    for index in 0..count.min(TABLES) {
        let faults: Vec<String> = page.evaluate(format!("({PREPARE})({index})")).await?.into_value()?;
        if !faults.is_empty() {
            all.extend(faults);
            continue;
        }
        let button = page.find_element("[data-check=sort]").await?;
        button.click().await?;
        all.extend(sorted(page, "ascending", "a click").await?);
        button.focus().await?.press_key("Enter").await?;
        all.extend(sorted(page, "descending", "the key Enter").await?);
    }
    Ok(all)
}

async fn sorted(page: &Page, order: &str, by: &str) -> Result<Vec<String>> {
    let faults: Vec<String> = page.evaluate(format!("({SORTED})('{order}')")).await?.into_value()?;
    Ok(faults.into_iter().map(|fault| format!("after {by}: {fault}")).collect())
}
