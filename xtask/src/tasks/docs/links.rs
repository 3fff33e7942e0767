//! Links between the Markdown files of the repository: each one leads to a file that exists, and to a heading or an anchor in
//! it. mdbook checks neither.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// One Markdown file: the anchors that it has and the links that it contains.
#[derive(Debug, Default)]
struct Page {
    anchors: BTreeSet<String>,
    /// Each link's target, with the line on which the link stands.
    links: Vec<(usize, String)>,
}

/// The faults of the links in `pages`, one line each: file, line and reason. Paths are shown relative to `root`.
///
/// # Errors
///
/// If a file cannot be read.
fn faults(root: &Path, pages: &[PathBuf]) -> Result<Vec<String>> {
    let mut read: BTreeMap<PathBuf, Page> = BTreeMap::new();
    for path in pages {
        read.insert(plain(path), page(&load(path)?));
    }
    let mut faults = Vec::new();
    for path in pages {
        let links = read.get(&plain(path)).map(|page| page.links.clone()).unwrap_or_default();
        for (line, link) in links {
            if is_external(&link) {
                continue;
            }
            let (file, anchor) = link.split_once('#').map_or((&*link, None), |(file, anchor)| (file, Some(anchor)));
            let target = match file {
                "" => plain(path),
                file => plain(&path.parent().unwrap_or(root).join(file)),
            };
            let mut fault = |reason: &str| {
                let shown = path.strip_prefix(root).unwrap_or(path).display();
                faults.push(format!("{shown}:{line}: `{link}`: {reason}"));
            };
            if !target.exists() {
                fault("there is no such file");
                continue;
            }
            let Some(anchor) = anchor else { continue };
            if target.extension().is_none_or(|extension| extension != "md") {
                fault("an anchor of a file that is not Markdown");
                continue;
            }
            if !read.contains_key(&target) {
                read.insert(target.clone(), page(&load(&target)?));
            }
            if !read[&target].anchors.contains(anchor) {
                fault("there is no such heading or anchor");
            }
        }
    }
    Ok(faults)
}

/// Checks the links of the book's sources and of every README of the workspace.
///
/// # Errors
///
/// Lists the links that lead nowhere, one line each.
pub(super) fn check(root: &Path) -> Result<()> {
    let mut pages = markdown_below(&root.join("docs/src"))?;
    pages.push(root.join("README.md"));
    for folder in [root, &root.join("guests")] {
        for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
            let readme = entry?.path().join("README.md");
            if readme.is_file() {
                pages.push(readme);
            }
        }
    }
    let faults = faults(root, &pages)?;
    if faults.is_empty() {
        return Ok(());
    }
    bail!("{} links lead nowhere:\n{}", faults.len(), faults.join("\n"))
}

/// All Markdown files in `folder` and below, sorted.
///
/// # Errors
///
/// If a folder cannot be read.
pub(super) fn markdown_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(markdown_below(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a link leaves the repository: such links are not followed.
pub(super) fn is_external(link: &str) -> bool {
    ["https://", "http://", "mailto:"].iter().any(|scheme| link.starts_with(scheme))
}

/// A parser with the extensions that mdbook turns on and these pages use.
fn parser(text: &str) -> Parser<'_> {
    Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH)
}

/// Anchors and links of a page's text.
fn page(text: &str) -> Page {
    let mut page = Page::default();
    let mut heading: Option<String> = None;
    for (event, range) in parser(text).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                if let Some(heading) = heading.take() {
                    insert_anchor(&mut page.anchors, &slug(&heading));
                }
            }
            Event::Text(part) | Event::Code(part) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&part);
                }
            }
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                let line = text[..range.start].matches('\n').count() + 1;
                page.links.push((line, dest_url.into_string()));
            }
            Event::Html(html) | Event::InlineHtml(html) => page.anchors.extend(ids(&html)),
            _ => {}
        }
    }
    page
}

/// The second heading of the same text gets `-1`, and so on.
fn insert_anchor(anchors: &mut BTreeSet<String>, slug: &str) {
    let numbered = std::iter::once(slug.to_owned()).chain((1..).map(|number| format!("{slug}-{number}")));
    for anchor in numbered {
        if anchors.insert(anchor) {
            return;
        }
    }
}

/// The anchor that mdbook, and a forge that shows the file, gives a heading.
pub(in super::super) fn slug(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter_map(|character| match character {
        character if character.is_whitespace() => Some('-'),
        character if character.is_alphanumeric() || matches!(character, '-' | '_') => Some(character),
        _ => None,
    });
    kept.collect()
}

/// The `id`s in a piece of HTML.
pub(super) fn ids(html: &str) -> impl Iterator<Item = String> + '_ {
    html.split(" id=\"").skip(1).filter_map(|rest| rest.split_once('"')).map(|(id, _)| id.to_owned())
}

fn load(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// The path without `.` and `..`.
pub(super) fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_anchors() {
        let page =
            page("# One `two`, three?\n\n## Why not?\n\n## Why not?\n\n<a id=\"old\"></a>\n\ntext <b id=\"b\">x</b>\n");
        let anchors: Vec<_> = page.anchors.iter().map(String::as_str).collect();
        assert_eq!(anchors, ["b", "old", "one-two-three", "why-not", "why-not-1"]);
    }

    #[test]
    fn dead_links_are_found_with_their_line() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join("sub")).unwrap();
        let (a, b) = (root.join("a.md"), root.join("sub/b.md"));
        fs::write(
            &a,
            "# A\n\n[fine](sub/b.md#b-1) [self](#a) [out](https://example.com/#x)\n\n[no](c.md)\n`[code](d.md)`\n",
        )
        .unwrap();
        fs::write(&b, "# B 1\n\n| x |\n|---|\n| [no](../a.md#b) ![p](p.svg) |\n\n[fine](./../a.md)\n").unwrap();
        let pages = markdown_below(root).unwrap();
        assert_eq!(pages, [a, b]);
        assert_eq!(
            faults(root, &pages).unwrap(),
            [
                "a.md:5: `c.md`: there is no such file",
                "sub/b.md:5: `../a.md#b`: there is no such heading or anchor",
                "sub/b.md:5: `p.svg`: there is no such file",
            ]
        );
    }
}
