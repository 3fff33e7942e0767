//! Dividing a batch so that its parts fit the exchange region, and finding the row that failed.

use std::ops::Range;

use guest_host::{Cause, Failure};

use crate::error::FunctionError;

/// A batch under way, of which any part is one crossing.
pub(super) trait Parts {
    /// Bytes of the exchange region.
    fn region(&self) -> usize;

    /// Bytes that a part takes there, about.
    fn estimate(&self, rows: &Range<usize>) -> usize;

    /// Calls the guest for a part, and keeps the results if `keep` says so.
    fn cross(&mut self, rows: Range<usize>, keep: bool) -> Result<(), Stopped>;
}

/// Why a part of a batch has no results.
pub(super) enum Stopped {
    /// The guest said which of its rows failed.
    Row { row: usize, failure: Box<Failure> },
    /// It did not.
    Unknown(Failure),
    /// The error says it.
    Error(FunctionError),
}

impl Stopped {
    /// Of a failure of a part: `failed` is the row in the part that the guest named.
    pub(super) fn new(failure: Failure, failed: Option<usize>, rows: &Range<usize>) -> Self {
        match failed {
            Some(row) if row < rows.len() => Self::Row { row: rows.start + row, failure: Box::new(failure) },
            _ => Self::Unknown(failure),
        }
    }
}

/// Calls all rows, as many at once as fit, and at most `limit`.
pub(super) fn call_in_parts(work: &mut impl Parts, rows: usize, limit: usize) -> Result<(), FunctionError> {
    let region = work.region();
    let mut start = 0;
    let mut most = rows.min(limit);
    let needs_less = |failure: &Failure| is_too_large(failure) || matches!(failure.cause, Cause::OutOfMemory { .. });
    while start < rows {
        let mut end = rows.min(start.saturating_add(most));
        let bytes = work.estimate(&(start..end));
        if bytes > region {
            // Rows are not equally long: what does not fit all the same is halved below.
            let fit = (end - start) as u128 * region as u128 / bytes as u128;
            end = rows.min(start + usize::try_from(fit).unwrap_or(usize::MAX).max(1));
        }
        match work.cross(start..end, true) {
            // The rows that follow may be shorter.
            Ok(()) => (start, most) = (end, (end - start).saturating_mul(2).min(limit)),
            Err(Stopped::Unknown(failure)) if needs_less(&failure) && end - start > 1 => most = (end - start) / 2,
            Err(stopped) => return Err(which(work, start..end, stopped)),
        }
    }
    Ok(())
}

/// The error of a part that stopped. Where the guest trapped, its rows are called again in parts to find the row.
#[cold]
fn which(work: &mut impl Parts, mut rows: Range<usize>, stopped: Stopped) -> FunctionError {
    let mut failure = match stopped {
        Stopped::Row { row, failure } => return FunctionError::Row { row, failure },
        Stopped::Error(error) => return error,
        Stopped::Unknown(failure) => failure,
    };
    if !(is_trap(&failure.cause) || is_too_large(&failure) && rows.len() == 1) {
        return failure.into();
    }
    while rows.len() > 1 {
        let half = rows.start..rows.start + rows.len() / 2;
        match work.cross(half.clone(), false) {
            Err(Stopped::Row { row, failure }) => return FunctionError::Row { row, failure },
            Err(Stopped::Error(error)) => return error,
            Err(Stopped::Unknown(found)) if is_trap(&found.cause) => (rows, failure) = (half, found),
            Err(Stopped::Unknown(found)) => return found.into(),
            Ok(()) => {
                rows = half.end..rows.end;
                // Rows that trap only behind others have no row to name.
                match work.cross(rows.clone(), false) {
                    Err(Stopped::Row { row, failure }) => return FunctionError::Row { row, failure },
                    Err(Stopped::Unknown(found)) if is_trap(&found.cause) => failure = found,
                    _ => return failure.into(),
                }
            }
        }
    }
    FunctionError::Row { row: rows.start, failure: Box::new(failure) }
}

fn is_too_large(failure: &Failure) -> bool {
    matches!(failure.cause, Cause::ArgumentsTooLarge { .. })
}

/// Whether the guest ran and did not come to its end, for a reason that lies in a row.
fn is_trap(cause: &Cause) -> bool {
    matches!(
        cause,
        Cause::OutOfMemory { .. }
            | Cause::Panic { .. }
            | Cause::StackOverflow
            | Cause::OutOfBounds { .. }
            | Cause::Unreachable
            | Cause::Exit { .. }
            | Cause::Trap { .. }
    )
}
