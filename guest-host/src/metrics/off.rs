//! Without the feature `metrics` no call is counted: there is no value of this type.

use std::time::Instant;

use crate::failure::Cause;
use crate::guest::Function;
use crate::host::outcome::Replaced;

/// The counts of one instance, which has none.
#[derive(Debug)]
pub(crate) enum Tally {}

impl Tally {
    pub(crate) fn begin(&mut self, _function: Function) -> Instant {
        match *self {}
    }

    pub(crate) fn end(&mut self, _began: Instant, _retried: bool, _failed: Option<&Cause>) {
        match *self {}
    }

    pub(crate) fn missing(&mut self, _cause: &Cause) {
        match *self {}
    }

    pub(crate) fn restored(&mut self, _bytes: u64) {
        match *self {}
    }

    pub(crate) fn replaced(&mut self, _why: Replaced) {
        match *self {}
    }
}
