//! Why a call was not made, or left nothing.

use guest_functions::FunctionError;

use crate::lanes::Full;
use crate::records::RecordsError;

/// Why a call of an extension function was not made, or left nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The call failed.
    #[error(transparent)]
    Failed(#[from] FunctionError),
    /// Its intents were not applied.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// No place to wait.
    #[error(transparent)]
    Busy(#[from] Full),
    /// Its turn did not come in time.
    #[error("the call waited too long for its turn; try again later")]
    WaitedTooLong,
    /// The server stops.
    #[error("the server stops")]
    Stopping,
}
