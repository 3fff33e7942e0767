//! The samples of the book: each one compiles, those with a `main` succeed, and those with tests pass.

#![allow(dead_code, reason = "a sample shows functions that nothing here calls")]

use std::path::Path;
use std::process::{ExitCode, Termination};

include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// Runs a sample's `main` in the folder of the workspace, where the built guests are.
fn succeeds<T: Termination>(main: impl FnOnce() -> T) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::env::set_current_dir(&root).expect("the workspace is there");
    let guest = "target/guests/shop-bump-reset.wasm";
    assert!(Path::new(guest).exists(), "{guest} is missing: run `cargo xtask guests --guest shop`");
    // An image that an earlier run left is of an earlier module, perhaps.
    let _ = std::fs::remove_file("target/room.image");
    assert!(main().report() == ExitCode::SUCCESS, "the sample failed");
}
