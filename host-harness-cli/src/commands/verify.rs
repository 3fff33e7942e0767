//! `verify`.

use anyhow::Result;
use guest_host::{Engine, Guest, LoadError, MemoryState};
use host_harness::measure::{Variant, leaves_residue};
use host_harness::report::{Content, Settings, VerdictReport, VerifyReport};
use host_harness::verify::{AllowFailing, VerifyOptions, verify};

use super::table::{asked, ways};
use crate::arguments::{Common, Verify};
use crate::progress::Progress;
use crate::run::is_of_the_guest;
use crate::source;

pub(crate) fn run(arguments: &Verify, common: &Common) -> Result<Content> {
    let files = source::guests(&arguments.guests)?;
    let state = source::state(arguments.work.state.as_deref())?;
    let engine = Engine::new(&common.engine()?)?;
    let mut verdicts = Vec::new();
    for file in files {
        let named = |error| file.error(error);
        let guest = file.load(&engine, common.prepare())?;
        file.has_functions(&guest)?;
        for function in arguments.work.function.iter().chain(arguments.work.named_failing()) {
            guest.function(function).map_err(LoadError::Function).map_err(named)?;
        }
        let (allocator, variants, not_admitted) = ways(&guest, common, &state).map_err(named)?;
        let check = Check {
            guest: &guest,
            allocator: &allocator,
            functions: &arguments.work.function,
            state: &state,
            calls: arguments.calls,
            seed: arguments.seed,
            allow_failing: arguments.work.allow_failing(),
            common,
        };
        verdicts.extend(check.all(&variants).map_err(named)?);
        // What was asked for by name and cannot be done is a check that failed; what was left to choose is not.
        for refused in not_admitted.iter().filter(|_| !common.strategy.is_empty()) {
            let reasons = refused.reasons.join("; ");
            verdicts.push(VerdictReport::not_verified(
                guest.name(),
                &allocator,
                &refused.strategy,
                None,
                arguments.seed,
                &reasons,
            ));
        }
    }
    let settings = Settings::of(&common.config(), common.prepare().virtual_growth);
    Ok(Content::Verify(VerifyReport::new(settings, verdicts)))
}

/// A guest that is to be verified.
pub(super) struct Check<'a> {
    pub(super) guest: &'a Guest,
    pub(super) allocator: &'a str,
    /// Functions to call; all of the guest's where empty.
    pub(super) functions: &'a [String],
    pub(super) state: &'a MemoryState,
    pub(super) calls: u64,
    pub(super) seed: u64,
    pub(super) allow_failing: AllowFailing,
    pub(super) common: &'a Common,
}

impl Check<'_> {
    /// Verifies every way of restoring among `variants`; the baseline that is not restored is none.
    pub(super) fn all(&self, variants: &[Variant]) -> Result<Vec<VerdictReport>, LoadError> {
        let strategies = asked(self.guest, self.common, self.state)?;
        let asked = |variant: &Variant| {
            variant.strategy.is_some_and(|strategy| strategies.is_empty() || strategies.contains(&strategy))
        };
        variants.iter().copied().filter(asked).map(|variant| self.one(variant)).collect()
    }

    fn one(&self, variant: Variant) -> Result<VerdictReport, LoadError> {
        let mut options = VerifyOptions::default();
        options.config = variant.config(&self.common.config());
        options.functions = (!self.functions.is_empty()).then(|| self.functions.to_vec());
        options.calls = self.calls;
        options.seed = self.seed;
        options.allow_failing = self.allow_failing.clone();
        let progress = Progress::steps(self.calls);
        progress.doing(format!("verifying {}, restored by {}", self.guest.name(), variant.strategy_name()));
        let bar = progress.bar();
        let residue = variant.strategy.filter(|strategy| leaves_residue(*strategy)).map(|_| variant.residue);
        match verify(self.guest, &options, self.state, &mut |calls| bar.set_position(calls)) {
            Ok(verdict) => Ok(VerdictReport::of(self.guest.name(), self.allocator, residue, &verdict)),
            Err(error) if is_of_the_guest(&error) => Ok(VerdictReport::not_verified(
                self.guest.name(),
                self.allocator,
                variant.strategy_name(),
                residue,
                self.seed,
                &error,
            )),
            Err(error) => Err(error),
        }
    }
}
