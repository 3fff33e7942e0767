//! An initialisation hook that fails, so that no instance must come of it on either contract.

use guest_sdk::{Context, Error, Result, extension};

#[guest_sdk::init]
fn fail() -> Result<()> {
    Err(Error::application(42, "there is nothing to start with"))
}

/// Never runs.
#[extension]
fn do_nothing(_cx: &mut Context) -> Result<()> {
    Ok(())
}
