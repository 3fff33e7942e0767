//! The guest that harnesses are tested with: it fails in every way ([`fail`]), leaves state behind in every way
//! ([`leave`]), leaves bytes to be looked for ([`canary`]) and lies to its host in every way (`lie`, on wasm32 only). The
//! table in its README says what each is for.

pub mod canary;
pub mod fail;
pub mod leave;
#[cfg(target_arch = "wasm32")]
pub mod lie;

use guest_sdk::{Context, Result, extension};

/// Does nothing, so that there is a call that can follow the others.
#[extension]
pub fn do_nothing(_cx: &mut Context) -> Result<()> {
    Ok(())
}
