//! The phases of an instance: whether it exists in the engine, and where its data are while it does not.

use std::fmt;

use wasmtime::Store;

use super::Status;
use super::live::Live;
use super::start::Started;
use crate::contract::Data;
use crate::guest::error::LoadError;
use crate::host::memory_location;

/// Where an instance is between being made and being replaced. The data are in every phase but [`Phase::Lost`], so that
/// the state and what the last call left outlive the instance in the engine.
#[expect(clippy::large_enum_variant, reason = "nearly every instance is live, and each call goes through it")]
pub(super) enum Phase {
    /// It exists in the engine.
    Live {
        /// Its parts.
        live: Live,
        /// How it stands between calls.
        standing: Standing,
    },
    /// It is being made in this store. It stays so where that does not come to its end.
    Starting(Store<Data>),
    /// It could not be made.
    Absent(Box<Data>),
    /// A panic took the data along.
    Lost,
}

/// How a live instance stands between calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is as its snapshot has it.
    Pristine,
    /// It was called since, and may be called again.
    Used,
    /// A call is under way, or did not come to its end.
    Running,
    /// A restore is under way, or did not come to its end.
    Poisoned,
}

impl Phase {
    #[inline]
    pub(super) fn is_ready(&self) -> bool {
        matches!(self, Self::Live { standing: Standing::Pristine | Standing::Used, .. })
    }

    #[inline]
    pub(super) fn is_pristine(&self) -> bool {
        matches!(self, Self::Live { standing: Standing::Pristine, .. })
    }

    pub(super) fn status(&self) -> Status {
        match self {
            Self::Live { standing: Standing::Pristine | Standing::Used, .. } => Status::Ready,
            Self::Live { standing: Standing::Running, .. } => Status::Running,
            _ => Status::Poisoned,
        }
    }

    #[inline]
    pub(super) fn live(&self) -> Option<&Live> {
        match self {
            Self::Live { live, .. } => Some(live),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn live_mut(&mut self) -> Option<&mut Live> {
        match self {
            Self::Live { live, .. } => Some(live),
            _ => None,
        }
    }

    pub(super) fn data(&self) -> Option<&Data> {
        match self {
            Self::Live { live, .. } => Some(live.store.data()),
            Self::Starting(store) => Some(store.data()),
            Self::Absent(data) => Some(data),
            Self::Lost => None,
        }
    }

    pub(super) fn data_mut(&mut self) -> Option<&mut Data> {
        match self {
            Self::Live { live, .. } => Some(live.store.data_mut()),
            Self::Starting(store) => Some(store.data_mut()),
            Self::Absent(data) => Some(data),
            Self::Lost => None,
        }
    }

    /// An instance is made in this store from now on.
    pub(super) fn begin(&mut self, store: Store<Data>) -> &mut Store<Data> {
        *self = Self::Starting(store);
        match self {
            Self::Starting(store) => store,
            _ => unreachable!("the phase was set above"),
        }
    }

    /// Ends the making of the instance: it is live now, or absent with the error. `functions` is the number of the guest's
    /// functions.
    pub(super) fn finish(&mut self, started: Result<Started, LoadError>, functions: usize) -> Result<(), LoadError> {
        let Self::Starting(store) = std::mem::replace(self, Self::Lost) else {
            unreachable!("only an instance that is being made is finished");
        };
        match started {
            Ok(started) => {
                let live = Live::new(store, started, functions);
                *self = Self::Live { live, standing: Standing::Pristine };
                Ok(())
            }
            Err(error) => {
                *self = Self::Absent(Box::new(memory_location::into_data(store)));
                Err(error)
            }
        }
    }

    /// Ends the instance and takes its data.
    pub(super) fn take_data(&mut self) -> Option<Data> {
        match std::mem::replace(self, Self::Lost) {
            Self::Live { live, .. } => Some(memory_location::into_data(live.store)),
            Self::Starting(store) => Some(memory_location::into_data(store)),
            Self::Absent(data) => Some(*data),
            Self::Lost => None,
        }
    }
}

impl fmt::Debug for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Live { live, standing } => {
                f.debug_struct("Live").field("live", live).field("standing", standing).finish()
            }
            Self::Starting(_) => f.write_str("Starting"),
            Self::Absent(_) => f.write_str("Absent"),
            Self::Lost => f.write_str("Lost"),
        }
    }
}
