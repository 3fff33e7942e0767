//! Which function a verification calls next.

use std::time::Instant;

use rand::Rng as _;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::tally::Tally;
use super::{Verdict, VerifyOptions};
use crate::functions::select;
use guest_host::{Function, Guest, LoadError};

/// The sequence of calls: every function once in order, every function twice in a row, then any.
pub(super) struct Draw<'o> {
    options: &'o VerifyOptions,
    pub(super) functions: Vec<Function>,
    pub(super) random: ChaCha8Rng,
    begin: Instant,
    calls: u64,
}

impl<'o> Draw<'o> {
    pub(super) fn new(guest: &Guest, options: &'o VerifyOptions) -> Result<Self, LoadError> {
        let functions = functions(guest, options)?;
        let random = ChaCha8Rng::seed_from_u64(options.seed);
        Ok(Self { options, functions, random, begin: Instant::now(), calls: 0 })
    }

    /// The number of the next call, from 0, and its function, unless enough calls were made or enough was found.
    pub(super) fn next(&mut self, tally: &Tally<'_>, verdict: &mut Verdict) -> Option<(u64, Function)> {
        let VerifyOptions { calls, max_differences, time_limit, .. } = *self.options;
        if self.calls >= calls || self.functions.is_empty() || verdict.differences.len() >= max_differences {
            return None;
        }
        if time_limit.is_some_and(|limit| self.begin.elapsed() >= limit) {
            verdict.ended_early = true;
            return None;
        }
        let call = self.calls;
        self.calls += 1;
        let drawn = self.drawn(call);
        Some((call, tally.first_worth_calling(&self.functions, drawn)?))
    }

    fn drawn(&mut self, call: u64) -> Function {
        let count = self.functions.len();
        let index = match usize::try_from(call) {
            Ok(call) if call < count => call,
            Ok(call) if call < 3 * count => (call - count) / 2,
            _ => self.random.random_range(0..count),
        };
        self.functions[index]
    }
}

/// The functions that are called.
fn functions(guest: &Guest, options: &VerifyOptions) -> Result<Vec<Function>, LoadError> {
    let names = match options.functions.as_deref() {
        // No function is not all of them.
        Some([]) => return Ok(Vec::new()),
        asked => select(guest, asked.unwrap_or_default(), &options.config.arguments)?.functions,
    };
    let find = |name: &String| guest.function(name).map_err(LoadError::Function);
    names.iter().map(find).collect()
}
