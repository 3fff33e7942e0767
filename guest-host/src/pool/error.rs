//! Why a pool gave no instance.

use std::time::Duration;

use crate::guest::error::LoadError;
use crate::state::StateError;

/// Why a pool could not be made, or gave no instance.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// A pool without room for a single instance was asked for.
    #[error("a pool of size 0 could never give an instance; give a `max` of at least 1")]
    SizeZero,
    /// More instances are to be kept warm than there may be.
    #[error("{warm} instances cannot be kept warm in a pool of at most {max}; give a larger `max` or a smaller `warm`")]
    WarmAboveMax {
        /// Instances that are to be made ahead.
        warm: usize,
        /// Instances that there may be.
        max: usize,
    },
    /// The engine has memory for fewer instances than the pool may have.
    #[error(
        "a pool of up to {max} instances cannot be had from an engine that has memory for {instances}; give a smaller \
         `max`, or the engine more by `Allocation::Pooling`"
    )]
    AboveEngine {
        /// Instances that the pool may have.
        max: usize,
        /// Instances that the engine has memory for.
        instances: u32,
    },
    /// All instances are lent, and the caller did not want to wait.
    #[error("all {max} instances of the pool are in use; wait for one, or give the pool a larger `max`")]
    Exhausted {
        /// Instances that there may be.
        max: usize,
    },
    /// No instance came back for as long as the caller wanted to wait.
    #[error(
        "all {max} instances of the pool stayed in use for {limit:?}; wait longer, or give the pool a larger `max`"
    )]
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
    #[error("there is no state for a new instance: {0}")]
    State(#[source] StateError),
    /// A new instance could not be made.
    #[error(transparent)]
    Load(#[from] LoadError),
}
