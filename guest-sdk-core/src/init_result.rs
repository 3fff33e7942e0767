//! What an initialisation hook returns.

use crate::error::Result;

/// What an initialisation hook may return.
pub trait InitResult {
    /// Whether it failed, and why.
    fn into_result(self) -> Result<()>;
}

impl InitResult for () {
    fn into_result(self) -> Result<()> {
        Ok(())
    }
}

impl InitResult for Result<()> {
    fn into_result(self) -> Result<()> {
        self
    }
}
