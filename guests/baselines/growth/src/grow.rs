//! The function that all guests of this folder have.

use std::hint::black_box;

use guest_sdk::{Context, Result, extension};

/// More than what the pages of a fresh instance have left, so that memory must grow.
const KEPT_BYTES: usize = 100_000;

/// Takes 100,000 bytes, fills them, and keeps them.
#[extension]
fn grow_and_keep(_cx: &mut Context) -> Result<()> {
    black_box(vec![black_box(1_u8); KEPT_BYTES].leak());
    Ok(())
}
