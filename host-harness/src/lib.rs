//! Measures and verifies WebAssembly guests that `guest-host` runs and restores.
//!
//! [`measure`] counts what calls allocate, cross and execute, and times them; [`verify`] makes the same calls on a
//! restored and on a fresh instance and says what differs; [`inspect`] says what a guest is made of; [`replay`] puts
//! recorded allocations through each allocator. A [`report`] holds what they found.
//!
//! ```no_run
//! use guest_host::{Engine, EngineConfig, Guest, MemoryState, PrepareOptions};
//! use host_harness::verify::{VerifyOptions, verify};
//!
//! let engine = Engine::new(&EngineConfig::default())?;
//! let guest = Guest::from_file(&engine, "shop.wasm".as_ref(), PrepareOptions::default())?;
//! let verdict = verify(&guest, &VerifyOptions::default(), &MemoryState::new(), &mut |_calls| ())?;
//! assert!(verdict.passed());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod compare;
pub mod inspect;
mod intent_report;
pub mod measure;
pub mod replay;
pub mod report;
mod state_file;
pub mod verify;

pub use state_file::{StateFileError, load_state_file, parse_state};
