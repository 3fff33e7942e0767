//! What holds for every page of the book, tested on its sources: links lead somewhere, no page is too long to read, each page
//! is in the summary, and all of a page stands in it.

use std::path::PathBuf;

use anyhow::Result;

use super::links;
use crate::folders;

/// The most words that a page may have, samples and tables included, but not what is generated: that is looked up, not read.
const WORDS: usize = 3_000;

/// Pages that their commands or their form keep together, and the most words that each may have.
const LONGER: [(&str, usize); 1] = [("harness.md", 4_500)];

fn sources() -> PathBuf {
    folders::root().join("docs/src")
}

#[test]
fn links_lead_to_files_and_headings_that_exist() -> Result<()> {
    links::check(&folders::root())
}

/// The words of a page outside generated parts.
fn words(text: &str) -> usize {
    let mut generated = false;
    let read = text.lines().filter(|line| {
        let begins = line.starts_with("<!-- ") && line.ends_with(":begin -->");
        let ends = line.starts_with("<!-- ") && line.ends_with(":end -->");
        generated = begins || (generated && !ends);
        !generated
    });
    read.flat_map(str::split_whitespace).filter(|word| word.len() > 1).count()
}

#[test]
fn generated_tables_are_not_counted() {
    assert_eq!(words("some words\n<!-- x:begin -->\n| many | more |\n<!-- x:end -->\nand others\n"), 4 + 3);
}

#[test]
fn pages_are_short_enough_to_read() -> Result<()> {
    for page in links::markdown_below(&sources())? {
        let words = words(&std::fs::read_to_string(&page)?);
        let name = page.strip_prefix(sources())?.to_string_lossy().replace('\\', "/");
        let limit = LONGER.iter().find(|(longer, _)| *longer == name).map_or(WORDS, |(_, limit)| *limit);
        assert!(words <= limit, "docs/src/{name} has {words} words, more than {limit}: split it by topic");
    }
    Ok(())
}

#[test]
fn each_page_is_in_the_summary() -> Result<()> {
    let summary = std::fs::read_to_string(sources().join("SUMMARY.md"))?;
    for page in links::markdown_below(&sources())? {
        let name = page.strip_prefix(sources())?.to_string_lossy().replace('\\', "/");
        assert!(name == "SUMMARY.md" || summary.contains(&format!("({name})")), "SUMMARY.md lacks {name}");
    }
    Ok(())
}

#[test]
fn all_of_a_page_stands_in_it() -> Result<()> {
    for page in links::markdown_below(&sources())? {
        let text = std::fs::read_to_string(&page)?;
        let included = text.lines().position(|line| line.contains("{{#"));
        assert_eq!(included, None, "{}: a page reads as well where mdbook does not build it", page.display());
    }
    Ok(())
}

#[test]
fn the_module_with_a_stage_is_the_one_that_tests_run() -> Result<()> {
    let page = std::fs::read_to_string(sources().join("blocks/interface.md"))?;
    let module = std::fs::read_to_string(folders::root().join("guest-host/examples/increment.wat"))?;
    assert!(page.contains(&format!("```wat\n{module}```\n")), "blocks/interface.md shows another module");
    Ok(())
}
