//! An initialisation hook that fails, so that no instance must come of it on either contract.

#[cfg(not(feature = "exttinygo"))]
use guest_sdk as sdk;
#[cfg(feature = "exttinygo")]
use guest_sdk_exttinygo as sdk;
use sdk::{Context, Error, Result, extension};

#[sdk::init]
fn fail() -> Result<()> {
    Err(Error::application(42, "there is nothing to start with"))
}

/// Never runs.
#[extension]
fn do_nothing(_cx: &mut Context) -> Result<()> {
    Ok(())
}
