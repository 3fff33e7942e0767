//! Where things lie in the workspace.

use std::path::{Path, PathBuf};

/// The folder of the workspace's manifest.
pub(crate) fn root() -> PathBuf {
    // Cargo sets it when it runs this; what was compiled in is for who runs the program by itself.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let here = Path::new(&here);
    here.parent().unwrap_or(here).to_owned()
}

/// Cargo's target folder of the workspace, in which everything that is made goes.
pub(crate) fn target() -> PathBuf {
    root().join("target")
}

/// The query engine's own workspace.
pub(crate) fn query() -> PathBuf {
    root().join("query")
}

/// The workspace of the benchmarks beside other engines.
pub(crate) fn engines() -> PathBuf {
    root().join("benches/engines")
}

/// The workspace of the benchmark of embedded stores.
pub(crate) fn stores() -> PathBuf {
    root().join("benches/stores")
}

/// The manifest of the guests' own workspace.
pub(crate) fn guests_manifest() -> PathBuf {
    root().join("guests/Cargo.toml")
}

/// Where guests are compiled.
pub(crate) fn guests_build() -> PathBuf {
    target().join("guests-build")
}

/// Where built guests are put, as `<guest>-<allocator>.wasm`.
pub(crate) fn guests_out() -> PathBuf {
    target().join("guests")
}

/// Where reports go.
pub(crate) fn report() -> PathBuf {
    target().join("report")
}

/// Where the sample reports of the browser tests go.
pub(crate) fn report_samples() -> PathBuf {
    target().join("report-samples")
}

/// Where benchmarks leave their figures.
pub(crate) fn benches() -> PathBuf {
    target().join("benches")
}

/// Where the book goes.
pub(crate) fn book() -> PathBuf {
    target().join("book")
}

/// Where tools that the tasks need are installed.
pub(crate) fn tools() -> PathBuf {
    target().join("tools")
}
