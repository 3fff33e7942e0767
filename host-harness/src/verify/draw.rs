//! Which function a verification calls next, and with which block.

use std::time::Instant;

use rand::Rng as _;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::blocks::{Input, Inputs};
use super::tally::Tally;
use super::{Verdict, VerifyOptions};
use crate::functions::select_with_stages;
use guest_host::{Function, Guest, LoadError};

/// A function that is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Callee<'g> {
    pub(super) function: Function,
    pub(super) name: &'g str,
    pub(super) is_stage: bool,
}

/// The sequence of calls: every function once in order, every function twice in a row, then any.
pub(super) struct Draw<'a> {
    options: &'a VerifyOptions,
    pub(super) functions: Vec<Callee<'a>>,
    pub(super) random: ChaCha8Rng,
    pub(super) inputs: Inputs,
    begin: Instant,
    calls: u64,
}

impl<'a> Draw<'a> {
    /// The sequence over the guest's functions, and its stages.
    pub(super) fn new(guest: &'a Guest, options: &'a VerifyOptions) -> Result<Self, LoadError> {
        let functions = callees(guest, options)?;
        let random = ChaCha8Rng::seed_from_u64(options.seed);
        Ok(Self { options, functions, random, inputs: Inputs::default(), begin: Instant::now(), calls: 0 })
    }

    /// The number of the next call, from 0, and its function, unless enough calls were made or enough was found.
    pub(super) fn next(&mut self, tally: &Tally<'a>, verdict: &mut Verdict) -> Option<(u64, Callee<'a>)> {
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

    /// The block that a function is called with, if it takes one.
    pub(super) fn input(&mut self, callee: Callee<'_>) -> Option<Input> {
        if callee.is_stage { self.inputs.draw(&mut self.random) } else { None }
    }

    fn drawn(&mut self, call: u64) -> Callee<'a> {
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
fn callees<'g>(guest: &'g Guest, options: &VerifyOptions) -> Result<Vec<Callee<'g>>, LoadError> {
    let selection = match options.functions.as_deref() {
        // No function is not all of them.
        Some([]) => return Ok(Vec::new()),
        asked => select_with_stages(guest, asked.unwrap_or_default(), &options.config.arguments)?,
    };
    let function = |name: &String| {
        let function = guest.function(name).map_err(LoadError::Function)?;
        Ok(Callee { function, name: guest.function_name(function), is_stage: false })
    };
    let mut callees: Vec<Callee<'g>> = selection.functions.iter().map(function).collect::<Result<_, LoadError>>()?;
    let named = selection.stages.iter().filter_map(|name| guest.stages().find(|(stage, _)| stage == name));
    callees.extend(named.map(|(name, function)| Callee { function, name, is_stage: true }));
    Ok(callees)
}
