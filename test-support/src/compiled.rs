//! Compiled code that tests share, as most of them compile the same guests: without it, three quarters of their time is the compiler's.

use std::path::PathBuf;

use guest_host::{CompileCache, Engine, EngineConfig};

/// The folder of compiled code in cargo's target folder, which nobody else writes to.
///
/// # Panics
/// Outside of tests that cargo built.
#[must_use]
pub fn folder() -> PathBuf {
    // PROFILE/deps/TEST in the target folder.
    let test = std::env::current_exe().expect("a test has a path");
    test.ancestors().nth(3).expect("a test lies in a target folder").join("tmp/compiled")
}

/// The default configuration of engines, with this folder.
#[must_use]
pub fn engine_config() -> EngineConfig {
    EngineConfig::default().with_compile_cache(CompileCache::Folder(folder()))
}

/// An engine of this configuration.
///
/// # Panics
/// If the machine cannot run it.
#[must_use]
pub fn engine() -> Engine {
    Engine::new(&engine_config()).expect("the machine can run the engine")
}
