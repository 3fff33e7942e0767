//! The traces of this workspace: each is valid, of a size that a repository can carry, and worth replaying.

use std::path::Path;

use alloc_trace::{Numbering, Trace};

/// Bytes that a trace file may have.
const LARGEST: u64 = 300 << 10;

#[test]
fn the_traces_of_this_workspace_are_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../traces");
    let mut found = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "trace") {
            continue;
        }
        found += 1;
        let text = std::fs::read(&path).unwrap();
        assert!(text.len() as u64 <= LARGEST, "{}: {} bytes", path.display(), text.len());
        let trace =
            Trace::parse(&text, Numbering::FromZero).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(trace.to_string().as_bytes(), text, "{}", path.display());
        assert!(trace.summary().operations > 1_000, "{}", path.display());
    }
    assert_eq!(found, 5, "traces");
}
