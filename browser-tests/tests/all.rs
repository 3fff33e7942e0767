//! The reports and the book in a browser; and specimens, each of which one check must complain about.

use std::path::{Path, PathBuf};

use browser_tests::{Browser, Check, Complaint, Screenshots, complaints};

/// Pages that are open at a time.
const AT_ONCE: usize = 2;

fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target")
}

fn pages(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder);
    for entry in
        entries.unwrap_or_else(|error| panic!("{}: {error}; `cargo xtask test --only browser`", folder.display()))
    {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(pages(&path));
        } else if path.extension().is_some_and(|extension| extension == "html") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The name of a page in its folder, such as `allocators-leaking`.
fn name(page: &Path, folder: &Path) -> String {
    let path = page.strip_prefix(folder).unwrap().with_extension("");
    path.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("-")
}

/// Faults of pages, as many at once as is good for the machine. `home` is the folder of which they may load files, if any.
async fn all_complaints(pages: &[PathBuf], folder: &Path, home: Option<&Path>, group: &str) -> Vec<String> {
    let screenshots = target().join("screenshots").join(group);
    // Pictures of pages that are no more would mislead.
    let _ = std::fs::remove_dir_all(&screenshots);
    std::fs::create_dir_all(&screenshots).unwrap();
    let browser = Browser::start().await.unwrap();
    let check = async |page: &PathBuf| {
        let shots = Screenshots { folder: screenshots.clone(), name: name(page, folder) };
        let found = complaints(&browser, page, home, Some(&shots)).await;
        let found = found.unwrap_or_else(|error| panic!("{}: {error:#}", page.display()));
        found.into_iter().map(|complaint| format!("{}: {complaint}", name(page, folder))).collect::<Vec<_>>()
    };
    let mut all = Vec::new();
    for some in pages.chunks(AT_ONCE) {
        all.extend(futures::future::join_all(some.iter().map(check)).await.into_iter().flatten());
    }
    browser.end().await.unwrap();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_have_no_fault() {
    let folder = target().join("report-samples");
    let pages = pages(&folder);
    assert!(pages.len() >= 4, "`cargo xtask test --only browser` makes the reports: {pages:?}");
    let found = all_complaints(&pages, &folder, None, "reports").await;
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_book_has_no_fault() {
    let folder = target().join("book");
    // The page for printing opens the dialog of a printer. The page of what was not found names its files from the root of a
    // server, and the list of contents is a part of the other pages.
    let is_read = |page: &PathBuf| !["print", "404", "toc"].contains(&name(page, &folder).as_str());
    let pages: Vec<PathBuf> = pages(&folder).into_iter().filter(is_read).collect();
    assert!(pages.len() >= 10, "{pages:?}");
    let found = all_complaints(&pages, &folder, Some(&folder), "book").await;
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_check_complains_about_its_specimens() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("specimens");
    let browser = Browser::start().await.unwrap();
    let checks = [
        Check::Console,
        Check::Requests,
        Check::Width,
        Check::Contrast,
        Check::Charts,
        Check::Sorting,
        Check::Questions,
    ];
    let mut missed = Vec::new();
    let mut caught = Vec::new();
    for page in pages(&folder) {
        let name = name(&page, &folder);
        let found = complaints(&browser, &page, None, None).await.unwrap();
        let kind = |check: &Check| format!("{check:?}").to_lowercase();
        match checks.iter().find(|check| name.starts_with(&kind(check))) {
            Some(expected) if found.iter().any(|complaint| complaint.check == *expected) => caught.push(*expected),
            Some(_) => missed.push(format!("{name}: no fault of its kind: {found:?}")),
            None if found.is_empty() => {}
            None => missed.push(format!("{name}: {found:?}")),
        }
        // Each specimen breaks one rule only: a check that also complains about the others is useless.
        let others: Vec<&Complaint> =
            found.iter().filter(|complaint| !name.starts_with(&kind(&complaint.check))).collect();
        // The console tells of a request that is refused, and of a number that a drawing cannot have.
        let tells = name.starts_with("requests") || name == "charts-no-number";
        let is_expected = tells && others.iter().all(|other| other.check == Check::Console);
        if !others.is_empty() && !is_expected {
            missed.push(format!("{name}: {others:?}"));
        }
    }
    browser.end().await.unwrap();
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    for check in checks {
        assert!(caught.contains(&check), "no specimen for {check:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_is_dropped_ends() {
    let mut browser = Browser::start().await.unwrap();
    let process = browser.process().unwrap();
    let exists = || Path::new(&format!("/proc/{process}/exe")).exists();
    // Elsewhere there is no such folder.
    let can_tell = exists();
    drop(browser);
    for _ in 0..100 {
        if !exists() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(!can_tell, "process {process} still runs");
}
