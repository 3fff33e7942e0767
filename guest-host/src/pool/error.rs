//! Why a pool gave no instance.

use std::time::Duration;

use crate::guest::error::LoadError;
use crate::state::StateError;

/// Why a pool could not be made, or gave no instance.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// A pool without room for a single instance was asked for.
    #[error("a pool of size 0 has no instances; set `max` to at least 1")]
    SizeZero,
    /// More instances are to be kept warm than there may be.
    #[error("a pool of at most {max} instances cannot keep {warm} warm; use a larger `max` or a smaller `warm`")]
    WarmAboveMax {
        /// Instances that are to be made ahead.
        warm: usize,
        /// Instances that there may be.
        max: usize,
    },
    /// The engine has memory for fewer instances than the pool may have.
    #[error(
        "the pool may have {max} instances, but its engine has memory for {instances}; use a smaller `max`, or give the \
         engine more with `InstanceAllocation::pooling`"
    )]
    AboveEngine {
        /// Instances that the pool may have.
        max: usize,
        /// Instances that the engine has memory for.
        instances: u32,
    },
    /// All instances are lent, and the caller did not want to wait.
    #[error("all {max} instances of the pool are in use; wait for one, or use a larger `max`")]
    Exhausted {
        /// Instances that there may be.
        max: usize,
    },
    /// No instance came back for as long as the caller wanted to wait.
    #[error("all {max} instances of the pool stayed in use for {limit:?}; wait longer, or use a larger `max`")]
    TimedOut {
        /// Instances that there may be.
        max: usize,
        /// How long the caller wanted to wait.
        limit: Duration,
    },
    /// The pool was closed, before or while the caller waited.
    #[error("the pool is closed")]
    Closed,
    /// The embedder's closure gave no state for a new instance.
    #[error("cannot make the state of a new instance: {0}")]
    State(#[source] StateError),
    /// A new instance could not be made.
    #[error(transparent)]
    Load(#[from] LoadError),
}
