//! Events of connections, as programs are told of them.

use std::sync::Arc;

use guest_abi::program::{ActionError, CLOSED, CONNECTED, READ, actions};
use guest_functions::FunctionError;
use guest_host::{Cause, Instance};
use guest_tenants::{RedbStoreError, TenantError};

use crate::deployment::{Deployment, ProgramFunctions};
use crate::lanes::Full;
use crate::monitor::NO_INSTANCE;

/// An event for a program.
#[derive(Debug)]
pub(super) enum Input {
    /// A client has connected.
    Connected {
        /// Its address.
        peer: String,
    },
    /// Bytes have arrived.
    Read(Vec<u8>),
    /// A connection was closed.
    Closed,
}

/// Why an event was undone.
#[derive(Debug, thiserror::Error)]
pub(super) enum EventError {
    #[error(transparent)]
    Call(#[from] FunctionError),
    #[error("the program's result is not a list of actions: {0}")]
    Actions(#[from] ActionError),
    #[error("{0}")]
    Busy(#[from] Full),
    #[error("the call was given up")]
    GivenUp,
}

pub(super) type Error = TenantError<RedbStoreError, EventError>;

impl Input {
    /// The name of the function.
    pub(super) fn function(&self) -> &'static str {
        match self {
            Self::Connected { .. } => CONNECTED,
            Self::Read(_) => READ,
            Self::Closed => CLOSED,
        }
    }

    /// Whether the program wants to know.
    pub(super) fn is_wanted(&self, program: &ProgramFunctions) -> bool {
        match self {
            Self::Connected { .. } => program.connected.is_some(),
            Self::Read(_) => true,
            Self::Closed => program.closed.is_some(),
        }
    }

    /// Calls the program's function, whose result is a list of actions.
    pub(super) fn call(
        &self,
        program: &ProgramFunctions,
        instance: &mut Instance,
        connection: i64,
    ) -> Result<Vec<u8>, FunctionError> {
        match (self, &program.connected, &program.closed) {
            (Self::Connected { peer }, Some(function), _) => function.call_on(instance, (connection, peer.as_str())),
            (Self::Read(bytes), ..) => program.read.call_on(instance, (connection, bytes.as_slice())),
            (Self::Closed, _, Some(function)) => function.call_on(instance, (connection,)),
            // Nobody wants to know.
            _ => Ok(Vec::new()),
        }
    }
}

/// Checks that a result is a list of actions.
pub(super) fn checked(result: Vec<u8>) -> Result<Vec<u8>, EventError> {
    actions(&result).try_for_each(|action| action.map(drop))?;
    Ok(result)
}

/// Whether a call failed as it took longer than the slice, and the guest gives it more time elsewhere.
pub(super) fn is_too_slow(error: &FunctionError, deployment: &Deployment) -> bool {
    let deadline = deployment.config.limits.deadline;
    matches!(error, FunctionError::Call(failure)
        if matches!(failure.cause, Cause::DeadlineExceeded { deadline: slice } if slice < deadline))
}

/// Whether an event should be made again elsewhere: it was too slow, or the guest is too slow to start.
pub(super) fn belongs_elsewhere(error: &Error, deployment: &Arc<Deployment>) -> bool {
    match error {
        TenantError::Failed(EventError::Call(error)) => is_too_slow(error, deployment),
        TenantError::Instance(_) => true,
        _ => false,
    }
}

/// Whether an event failed before its program was called, for no fault of the program: it does not know of the event.
pub(super) const fn was_not_called(error: &Error) -> bool {
    use EventError::{Busy, GivenUp};
    matches!(error, TenantError::Failed(Busy(_) | GivenUp) | TenantError::Store(_) | TenantError::Instance(_))
}

/// Whether the disk failed, and not the image of one tenant.
pub(super) fn is_of_disk(error: &Error) -> bool {
    matches!(error, TenantError::Store(RedbStoreError::Redb(_)))
}

/// The status of an event that was undone, as of a request, and the kind of its error.
pub(super) fn status(error: &Error) -> (u16, &'static str) {
    match error {
        TenantError::Failed(EventError::Call(FunctionError::Call(failure))) => (500, failure.cause.kind()),
        TenantError::Failed(EventError::Call(_)) => (500, "call"),
        TenantError::Failed(EventError::Actions(_)) => (500, "invalid-guest-data"),
        TenantError::Failed(EventError::Busy(_)) => (503, "busy"),
        TenantError::Failed(EventError::GivenUp) => (503, "interrupted"),
        TenantError::Store(_) => (500, "store"),
        _ => (500, NO_INSTANCE),
    }
}
