//! The built book: each of its links leads to a file and an anchor of the book, nothing is loaded from elsewhere, and it can be
//! searched.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::links::{ids, is_external, plain};

/// Names that scripts of the book look for among the global variables. An element with such an `id` is one, and then neither the
/// search nor the copy buttons work on its page.
const TAKEN: [&str; 4] = ["define", "exports", "module", "require"];

/// Checks the book in `folder`.
///
/// # Errors
///
/// Lists all faults, one line each.
pub(super) fn check(folder: &Path) -> Result<()> {
    let mut faults = Vec::new();
    let mut pages = BTreeMap::new();
    for path in html_below(folder)? {
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        pages.insert(plain(&path), text);
    }
    let anchors: BTreeMap<&Path, BTreeSet<String>> =
        pages.iter().map(|(path, text)| (path.as_path(), ids(text).collect())).collect();
    for (path, text) in &pages {
        // The page for addresses that do not exist stands under any of them, so its links begin at the site's root.
        if path.file_name().is_some_and(|name| name == "404.html") {
            continue;
        }
        let shown = path.strip_prefix(folder).unwrap_or(path).display();
        let taken = ids(text).filter(|id| TAKEN.contains(&id.as_str()));
        faults.extend(
            taken.map(|id| format!("{shown}: the anchor `{id}` breaks the book's scripts: rename the heading")),
        );
        for link in attributes(text, "href").chain(attributes(text, "src")) {
            if let Some(reason) = fault(path, &link, &anchors) {
                faults.push(format!("{shown}: `{link}`: {reason}"));
            }
        }
        faults.extend(loaded_from_elsewhere(text).map(|link| format!("{shown}: `{link}`: loaded from elsewhere")));
    }
    let index = fs::read_dir(folder)?.filter_map(Result::ok).any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // A script and not JSON, which a browser would not load from a file.
        name.starts_with("searchindex") && name.ends_with(".js")
    });
    if !index {
        faults.push("there is no index for the search: mdbook was built without the feature `search`".to_owned());
    }
    if faults.is_empty() {
        return Ok(());
    }
    bail!("the book has {} faults:\n{}", faults.len(), faults.join("\n"))
}

/// Why `link` of the page leads nowhere.
fn fault(page: &Path, link: &str, anchors: &BTreeMap<&Path, BTreeSet<String>>) -> Option<&'static str> {
    if is_external(link) || link.starts_with("//") || link.starts_with("data:") || link.starts_with("javascript:") {
        return None;
    }
    let (file, anchor) = link.split_once('#').map_or((link, ""), |(file, anchor)| (file, anchor));
    let target = match file {
        "" => page.to_owned(),
        file => plain(&page.parent()?.join(file)),
    };
    if !target.exists() {
        return Some("there is no such file");
    }
    let known = anchor.is_empty() || anchors.get(target.as_path()).is_some_and(|ids| ids.contains(anchor));
    (!known).then_some("there is no such anchor")
}

/// What a browser would fetch from another place when it opens the page: links are not fetched.
fn loaded_from_elsewhere(html: &str) -> impl Iterator<Item = String> + '_ {
    let linked = html.split("<link ").skip(1).filter_map(|rest| rest.split_once('>'));
    let linked = linked.flat_map(|(tag, _)| attributes(&format!("<{tag}>"), "href").collect::<Vec<_>>());
    attributes(html, "src").chain(linked).filter(|link| is_external(link) || link.starts_with("//"))
}

/// The values of an attribute, wherever a tag has it.
fn attributes<'a>(html: &'a str, name: &str) -> impl Iterator<Item = String> + 'a {
    let name = name.to_owned();
    html.split('<').filter_map(|piece| piece.split_once('>')).flat_map(move |(tag, _)| {
        let begin = format!("{name}=\"");
        let found = tag
            .match_indices(&begin)
            .filter(|(at, _)| *at == 0 || tag[..*at].ends_with(|character: char| character.is_ascii_whitespace()));
        let found = found.filter_map(|(at, begin)| tag[at + begin.len()..].split_once('"'));
        found.map(|(value, _)| value.replace("&amp;", "&")).collect::<Vec<_>>()
    })
}

fn html_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(html_below(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "html") {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A book of two pages, with something wrong in the first.
    fn checked(first: &str) -> Result<()> {
        let folder = tempfile::tempdir()?;
        fs::create_dir(folder.path().join("sub"))?;
        fs::write(folder.path().join("a.html"), first)?;
        fs::write(folder.path().join("sub/b.html"), r#"<h1 id="b">B</h1><a class="x" href="../a.html#a">a</a>"#)?;
        fs::write(folder.path().join("searchindex-1.js"), "")?;
        check(folder.path())
    }

    #[test]
    fn a_book_whose_links_lead_somewhere_passes() {
        checked(
            r##"<h1 id="a">A</h1><a href="sub/b.html#b">b</a> <a href="#a">a</a> <a href="https://example.com">e</a>"##,
        )
        .unwrap();
    }

    #[test]
    fn a_fault_is_found() {
        for (page, fault) in [
            (r#"<h1 id="a"></h1><a href="sub/c.html">"#, "no such file"),
            (r#"<h1 id="a"></h1><a href="sub/b.html#c">"#, "no such anchor"),
            (r#"<h1></h1>"#, "sub/b.html: `../a.html#a`: there is no such anchor"),
            (r#"<h1 id="a"></h1><h2 id="exports"></h2>"#, "`exports` breaks the book's scripts"),
            (r#"<h1 id="a"></h1><img alt="x" src="p.svg">"#, "no such file"),
            (r#"<h1 id="a"></h1><script src="https://example.com/x.js">"#, "loaded from elsewhere"),
            (r#"<h1 id="a"></h1><link rel="stylesheet" href="//example.com/x.css">"#, "loaded from elsewhere"),
        ] {
            let error = checked(page).unwrap_err().to_string();
            assert!(error.contains(fault), "{page}: {error}");
        }
    }
}
