//! Compiled code on disk: found by the next engine, and compiled anew where it cannot be read.

use std::fs;
use std::path::{Path, PathBuf};

use guest_build::Allocator;
use guest_host::{CompileCache, Engine, EngineConfig, EngineError, Guest, MemoryState, Residue, RestoreStrategy};
use guest_prepare::PrepareOptions;

use super::{config, module};

fn engine(folder: &Path) -> Result<Engine, EngineError> {
    let mut config = EngineConfig::default();
    config.compile_cache = CompileCache::Folder(folder.to_owned());
    Engine::new(&config)
}

/// Loads and runs a guest by an engine of its own; returns how often code was found, and how often not.
fn load(folder: &Path) -> (usize, usize) {
    let engine = engine(folder).expect("the folder can be used");
    let wasm = module("minimal", Allocator::BumpReset);
    let guest = Guest::load(&engine, "minimal", &wasm, PrepareOptions::default()).expect("it is admitted");
    let name = guest.functions().first().expect("it has a function").clone();
    let config = config(RestoreStrategy::FullCopy, Residue::Scrub);
    let mut instance = guest.instantiate(&config, MemoryState::new()).expect("it is admitted");
    // Whether it succeeds depends on the state; that it is the guest which answers does not.
    let _ = instance.invoke_by_name(&name);
    let used = engine.cache_use();
    (used.hits, used.misses)
}

/// The entries in a cache, without what is kept of their use.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("it can be listed") {
            let path = entry.expect("it can be listed").path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_none() => found.push(path),
                false => {}
            }
        }
    }
    found
}

#[test]
fn the_second_load_finds_what_the_first_compiled() {
    let folder = tempfile::tempdir().expect("there is room");
    // Made as deep as it is named.
    let cache = folder.path().join("of/guests");
    assert_eq!(load(&cache), (0, 1));
    assert_eq!(entries(&cache).len(), 1);
    assert_eq!(load(&cache), (1, 0));
}

#[test]
fn an_entry_that_cannot_be_read_is_compiled_anew() {
    let folder = tempfile::tempdir().expect("there is room");
    assert_eq!(load(folder.path()), (0, 1));
    let [entry] = &entries(folder.path())[..] else { panic!("there is one entry") };
    let whole = fs::read(entry).expect("it can be read");
    let flipped_head = whole.iter().enumerate().map(|(at, byte)| if at < 4 { !byte } else { *byte }).collect();
    for damaged in [Vec::new(), whole[..whole.len() / 2].to_vec(), b"something else".to_vec(), flipped_head] {
        fs::write(entry, &damaged).expect("it can be written");
        assert_eq!(load(folder.path()), (0, 1), "{} bytes", damaged.len());
        assert_eq!(load(folder.path()), (1, 0), "it was mended");
    }
}

#[test]
fn a_folder_that_cannot_be_used_is_told() {
    let folder = tempfile::tempdir().expect("there is room");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("there is room");
    let refused = engine(&file).expect_err("it is a file");
    assert!(matches!(&refused, EngineError::CompileCache { folder, .. } if *folder == file), "{refused}");
}

#[test]
fn without_a_cache_nothing_is_counted() {
    let used = super::engine().cache_use();
    assert_eq!((used.hits, used.misses), (0, 0));
}
