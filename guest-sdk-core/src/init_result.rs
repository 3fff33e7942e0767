//! Results of initialisation hooks.

use crate::error::Result;

/// A type that an initialisation hook may return.
///
/// ```
/// use guest_sdk_core::{Error, InitResult};
///
/// assert!(().into_result().is_ok());
/// assert!(Err::<(), Error>("no configuration".into()).into_result().is_err());
/// ```
pub trait InitResult {
    /// The error with which the hook failed, if it did.
    ///
    /// # Errors
    /// The hook's own.
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
