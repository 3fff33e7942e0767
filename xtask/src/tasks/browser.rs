//! The reports and the book in a browser: makes the pages, and runs the tests of `browser-tests` over them.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use guest_build::{Allocator, Toolchain};

use super::{docs, guests};
use crate::cargo::{cargo, in_browser_tests};
use crate::console::Console;
use crate::folders;

/// Names under which Chromium and its siblings are installed, as `browser-tests` looks for them.
const PROGRAMS: [&str; 5] =
    ["chromium", "chromium-browser", "chromium-headless-shell", "google-chrome", "google-chrome-stable"];

/// Debian's package.
const PACKAGE: &str = "chromium";

/// The variable that names a browser.
const VARIABLE: &str = "CHROMIUM";

/// The guest of the sample reports, and the allocators of a report of several guests.
const GUEST: &str = "shop";

/// Checks every page; without a browser it warns and does nothing.
pub(super) fn check(console: &Console, toolchain: &Toolchain) -> Result<()> {
    if let Err(reason) = find_or_install(console) {
        console.warn(&format!(
            "the browser tests are left out: {reason}; install Chromium (Debian: `apt-get install {PACKAGE}`), or name it in \
             the variable {VARIABLE}"
        ));
        return Ok(());
    }
    docs::build(console)?;
    samples(console, toolchain)?;
    console.begin("pages in a browser");
    console.run(in_browser_tests(cargo()).args(["test", "--no-fail-fast"]))
}

/// Finds a browser, or installs one where this is root on Debian; the reason why there is none otherwise.
fn find_or_install(console: &Console) -> Result<(), String> {
    let path = env::var_os("PATH").unwrap_or_default();
    if env::var_os(VARIABLE).is_some() || is_on(&path) {
        return Ok(());
    }
    guest_build::install_debian_packages(&[PACKAGE], Some(&console.progress()))
        .map_err(|reason| format!("there is no Chromium on the path, and {reason}"))?;
    if is_on(&path) { Ok(()) } else { Err(format!("the package {PACKAGE} brought no program of that name")) }
}

fn is_on(path: &std::ffi::OsStr) -> bool {
    let has = |folder: PathBuf| PROGRAMS.iter().any(|name| folder.join(name).is_file());
    env::split_paths(path).any(has)
}

/// Writes a report of each kind into target/report-samples/, each small, and the largest one that there may be.
fn samples(console: &Console, toolchain: &Toolchain) -> Result<()> {
    console.begin("sample reports");
    let folder = folders::report_samples();
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    // Selected in the whole workspace, so that nothing is compiled again.
    let mut large = cargo();
    large.args(["test", "--workspace", "--bin", "host-harness", "a_large_report"]).env("REPORT_SAMPLES", &folder);
    console.run(&mut large)?;

    let manifest = folders::root().join("guests").join(GUEST).join("Cargo.toml");
    let state = manifest.with_file_name("state.json");
    let modules = [Allocator::Leaking, Allocator::BumpReset]
        .map(|allocator| guests::build_one(console, toolchain, GUEST, allocator))
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    // Few calls: what counts is the page.
    let few = ["--calls", "50", "--counted-calls", "2", "--budget", "5ms"];
    let report = |name: &str, arguments: &[&str], files: &[&Path]| {
        let mut harness = cargo();
        // At the root that selects the whole workspace, too.
        harness.args(["run", "--quiet", "--bin", "host-harness", "--"]).args(arguments).args(files);
        // The page takes the place of the ordinary output.
        harness.arg("--export-html").arg(folder.join(name).with_extension("html"));
        console.run(&mut harness)
    };
    let both: Vec<&Path> = modules.iter().map(PathBuf::as_path).collect();
    let state = state.to_str().context("a path that is not UTF-8")?;
    let manifest = manifest.to_str().context("a path that is not UTF-8")?;
    let compare = ["compare", "--manifest-path", manifest, "--function", "new_order", "--verify-calls", "5"];
    report("compare", &[&compare[..], &few].concat(), &[])?;
    report("measure", &[&["measure", "--state", state][..], &few].concat(), &both)?;
    report("verify", &["verify", "--state", state, "--calls", "5"], &both)?;
    report("inspect", &["inspect"], &both[..1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_found_by_any_of_its_names() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_on(folder.path().as_os_str()));
        std::fs::write(folder.path().join("google-chrome"), "").unwrap();
        assert!(is_on(folder.path().as_os_str()));
    }

    #[test]
    fn the_tests_look_for_a_browser_under_the_same_names() {
        let source = std::fs::read_to_string(folders::root().join("browser-tests/src/browser.rs")).unwrap();
        for name in PROGRAMS.iter().chain([&VARIABLE]) {
            assert!(source.contains(&format!("\"{name}\"")), "{name}");
        }
    }
}
