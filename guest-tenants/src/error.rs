//! Why a tenant was not called, or its call failed.

use guest_host::guest_image::ImageError;
use guest_host::{Failure, LoadError, ResumeError, SuspendError};

/// Why a tenant was not called, or its call failed. Whatever it is, the tenant is as before the call. `S` is the error of the
/// store, `F` that of the call.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TenantError<S: std::error::Error + 'static, F: std::error::Error + 'static = Failure> {
    /// A call that failed.
    #[error(transparent)]
    Failed(F),
    /// An instance that could not be made.
    #[error("no instance can be made for the tenant: {0}")]
    Instance(#[source] LoadError),
    /// An image that does not fit the tenant's program, for instance as that was replaced by another version.
    #[error("the tenant cannot be woken: {0}")]
    Resume(#[source] ResumeError),
    /// A program whose instances cannot be suspended.
    #[error("the tenant cannot sleep: {0}")]
    Suspend(#[source] SuspendError),
    /// A store that could not read or write images.
    #[error("the store of sleeping tenants failed: {0}")]
    Store(#[source] S),
}

impl<S: std::error::Error + 'static, F: std::error::Error + 'static> TenantError<S, F> {
    /// Whether the tenant kept memory of another version of its program.
    #[must_use]
    pub const fn is_of_other_version(&self) -> bool {
        matches!(self, Self::Resume(ResumeError::Image(ImageError::OtherModule { .. } | ImageError::OtherSnapshot)))
    }
}
