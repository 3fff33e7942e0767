//! `verify`.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use guest_host::artefact::is_artefact;
use guest_host::{Engine, Guest, InstanceAllocation, LoadError, MemoryState, RestoreStrategy};
use host_harness::functions::select_with_stages;
use host_harness::measure::{Variant, leaves_residue};
use host_harness::report::{Content, Settings, VerdictReport, VerifyReport};
use host_harness::verify::{AllowFailing, NotSuspended, RingOptions, VerifyOptions, verify, verify_suspension};

use super::starving;
use super::table::{asked, ways};
use crate::arguments::{Common, Proof, Verify, skipped};
use crate::progress::Progress;
use crate::run::is_of_the_guest;
use crate::source;

pub(crate) fn run(arguments: &Verify, common: &Common) -> Result<Option<Content>> {
    let ring = arguments.ring();
    let others = common.strategy.iter().find(|strategy| **strategy != RestoreStrategy::DirtyCards);
    if let Some(other) = others.filter(|_| ring.is_some()) {
        bail!("a guest in a ring is restored by dirty-cards, and not by {other}: leave out --ring, or the strategy");
    }
    let files = source::guests(&arguments.guests)?;
    let state = source::state(arguments.work.state.as_deref())?;
    if let Some(file) = files.first().filter(|_| arguments.work.write_state.is_some())
        && starving::check_file(file, &arguments.work, common, &state)?
    {
        return Ok(None);
    }
    let mut config = common.engine()?;
    let mut common = common.clone();
    if ring.is_some() {
        // Pages of a pool are never mapped over.
        config.allocation = InstanceAllocation::OnDemand;
        common.strategy = vec![RestoreStrategy::DirtyCards];
    }
    let common = &common;
    let engine = Engine::new(&config)?;
    let counting = Engine::new(&config.with_fuel(true))?;
    let clock = Clock::start(arguments.proof.time_limit);
    let (mut verdicts, mut notes) = (Vec::new(), Vec::new());
    let mut guests = Vec::new();
    for file in files {
        // The code of an artefact is what is verified, and it does not count.
        let counts = arguments.proof.max_instructions.0.is_some() && !is_artefact(&file.bytes);
        let guest = file.load(if counts { &counting } else { &engine }, common.prepare())?;
        let names = || arguments.work.function.iter().chain(arguments.work.named_failing());
        file.has_functions_or_stages(&guest)?;
        names().try_for_each(|name| file.function_or_stage(&guest, name))?;
        let of_guest = common.config_of(&guest).arguments;
        let found =
            select_with_stages(&guest, &arguments.work.function, &of_guest).map_err(|error| file.error(error))?;
        notes.extend(found.skipped.iter().map(|function| skipped(&guest, function)));
        guests.push((file, guest, !found.stages.is_empty()));
    }
    common.call.check_for(guests.iter().map(|(_, guest, _)| guest))?;
    for (file, guest, has_stages) in &guests {
        let named = |error| file.error(error);
        let (allocator, variants, not_admitted) = ways(guest, common, &state).map_err(named)?;
        if ring.is_some() && !has_stages {
            let reason = "--ring is for guests with stages, and none of this one is called";
            let strategy = RestoreStrategy::DirtyCards.name();
            let seed = arguments.proof.seed;
            verdicts.push(VerdictReport::not_verified(guest.name(), &allocator, strategy, None, seed, &reason));
            continue;
        }
        let check = Check {
            guest,
            allocator: &allocator,
            functions: &arguments.work.function,
            state: &state,
            calls: arguments.calls,
            proof: &arguments.proof,
            clock,
            allow_failing: arguments.work.allow_failing(),
            suspend: arguments.suspend,
            ring,
            common,
        };
        verdicts.extend(check.all(&variants).map_err(named)?);
        // A strategy that the user named and that cannot restore the guest is a failed check; others are not.
        for refused in not_admitted.iter().filter(|_| !common.strategy.is_empty()) {
            let reasons = refused.reasons.join("; ");
            verdicts.push(VerdictReport::not_verified(
                guest.name(),
                &allocator,
                &refused.strategy,
                None,
                arguments.proof.seed,
                &reasons,
            ));
        }
    }
    let mut settings = Settings::of(&common.config(), common.prepare().virtual_growth);
    settings.ring = ring;
    let mut report = VerifyReport::new(settings, verdicts);
    report.notes = notes;
    Ok(Some(Content::Verify(report)))
}

/// A guest that is to be verified.
pub(super) struct Check<'a> {
    pub(super) guest: &'a Guest,
    pub(super) allocator: &'a str,
    /// Functions to call; all of the guest's where empty.
    pub(super) functions: &'a [String],
    pub(super) state: &'a MemoryState,
    pub(super) calls: u64,
    pub(super) proof: &'a Proof,
    pub(super) clock: Clock,
    pub(super) allow_failing: AllowFailing,
    /// Whether suspensions are verified in the place of restores.
    pub(super) suspend: bool,
    /// A ring that the guest joins.
    pub(super) ring: Option<RingOptions>,
    pub(super) common: &'a Common,
}

impl Check<'_> {
    /// Verifies every way of restoring among `variants`; the baseline that is not restored is none.
    pub(super) fn all(&self, variants: &[Variant]) -> Result<Vec<VerdictReport>, LoadError> {
        let strategies = asked(self.guest, self.common, self.state)?;
        let asked = |variant: &Variant| {
            variant.strategy.is_some_and(|strategy| strategies.is_empty() || strategies.contains(&strategy))
        };
        let variants: Vec<Variant> = variants.iter().copied().filter(asked).collect();
        let last = variants.len();
        let verdicts = variants.into_iter().enumerate().map(|(done, variant)| self.one(variant, last - done));
        let verdicts = verdicts.collect::<Result<Vec<_>, _>>()?;
        // Instances of some strategies cannot be suspended. That is no fault of a guest for which nobody named them.
        let left_out = strategies.is_empty() && verdicts.iter().any(|verdict| matches!(verdict, Found::Verdict(_)));
        let verdict = |found| match found {
            Found::Verdict(verdict) => Some(verdict),
            Found::Refused(verdict) => Some(verdict).filter(|_| !left_out),
        };
        Ok(verdicts.into_iter().filter_map(verdict).collect())
    }

    /// Verifies one way. `left` counts the ways that are left, this one included.
    fn one(&self, variant: Variant, left: usize) -> Result<Found, LoadError> {
        let residue = variant.strategy.filter(|strategy| leaves_residue(*strategy)).map(|_| variant.residue);
        let not_verified = |error: &dyn std::fmt::Display| {
            let way = variant.strategy_name();
            let name = self.guest.name();
            let mut verdict = VerdictReport::not_verified(name, self.allocator, way, residue, self.proof.seed, error);
            verdict.suspensions = self.suspend.then_some(0);
            verdict
        };
        let mut options = VerifyOptions::default();
        options.config = variant.config(&self.common.config_of(self.guest));
        options.config.max_instructions = self.proof.max_instructions.0.filter(|_| self.guest.engine().config().fuel);
        options.functions = (!self.functions.is_empty()).then(|| self.functions.to_vec());
        options.calls = self.calls;
        options.seed = self.proof.seed;
        options.ring = self.ring;
        options.allow_failing = self.allow_failing.clone();
        options.time_limit = match self.clock.left() {
            Some(Duration::ZERO) => {
                return Ok(Found::Verdict(not_verified(&"the time limit passed before it was its turn")));
            }
            left => left,
        };
        let progress = Progress::steps(self.calls);
        progress.doing(format!("verifying {}, restored by {}", self.guest.name(), variant.strategy_name()));
        let bar = progress.bar();
        let mut estimate = Estimate { begin: Instant::now(), told: false, left };
        let mut told = |calls| {
            bar.set_position(calls);
            estimate.tell(calls, self.calls, self.proof.time_limit.is_some());
        };
        let verified = match self.suspend {
            false => verify(self.guest, &options, self.state, &mut told),
            true => match verify_suspension(self.guest, &options, self.state, &mut told) {
                Ok(verdict) => Ok(verdict),
                Err(NotSuspended::Load(error)) => Err(error),
                Err(refused) => return Ok(Found::Refused(not_verified(&refused))),
            },
        };
        match verified {
            Ok(verdict) => Ok(Found::Verdict(VerdictReport::of(self.guest.name(), self.allocator, residue, &verdict))),
            Err(error) if is_of_the_guest(&error) => Ok(Found::Verdict(not_verified(&error))),
            Err(error) => Err(error),
        }
    }
}

/// The outcome of one way of restoring.
enum Found {
    Verdict(VerdictReport),
    /// Its instances cannot be suspended.
    Refused(VerdictReport),
}

/// When the time limit of a command passes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    end: Option<Instant>,
}

impl Clock {
    /// A clock that starts now.
    pub(super) fn start(limit: Option<Duration>) -> Self {
        Self { end: limit.and_then(|limit| Instant::now().checked_add(limit)) }
    }

    /// The time that is left; `None` without a limit.
    fn left(&self) -> Option<Duration> {
        self.end.map(|end| end.saturating_duration_since(Instant::now()))
    }
}

/// Says early how long verification will take, if that is long.
struct Estimate {
    begin: Instant,
    told: bool,
    /// Ways that are left, with the one that is being verified.
    left: usize,
}

impl Estimate {
    /// After so long there is something to go by.
    const SOON: Duration = Duration::from_secs(3);

    /// Less is worth no words.
    const LONG: Duration = Duration::from_secs(30);

    fn tell(&mut self, calls: u64, of: u64, limited: bool) {
        let elapsed = self.begin.elapsed();
        if self.told || elapsed < Self::SOON || calls == 0 {
            return;
        }
        self.told = true;
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let whole = elapsed.mul_f64(of as f64 / calls as f64 * self.left as f64);
        if whole > Self::LONG && !limited {
            let minutes = whole.as_secs().div_ceil(60);
            // Nobody may be there to read it.
            let _ = writeln!(
                std::io::stderr(),
                "note: verifying this guest takes about {minutes} min; fewer calls take less, and --time-limit ends it with what is \
                 proved until then"
            );
        }
    }
}
