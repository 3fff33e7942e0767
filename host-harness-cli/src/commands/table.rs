//! The table of `measure` and `compare`: every guest, function and way of restoring.

use std::path::PathBuf;

use anyhow::Result;
use guest_host::{Guest, LoadError, MemoryState, Residue, RestoreStrategy};
use host_harness::inspect::{Judgement, best_strategy, strategies};
use host_harness::measure::{
    Engines, FailedCall, MeasureOptions, Row, Subject, Variant, allocator_of, bare_call, clock_cost, leaves_residue,
    measure, relate,
};
use host_harness::report::{GuestSummary, MeasureReport, NotAdmitted, Settings};

use crate::arguments::{Common, Extent};
use crate::progress::Progress;
use crate::run::is_of_the_guest;
use crate::source::GuestFile;

/// The guests and functions to measure.
pub(super) struct Job<'a> {
    pub(super) files: Vec<GuestFile>,
    /// Functions to measure; all of each guest's where empty.
    pub(super) functions: &'a [String],
    pub(super) state: &'a MemoryState,
    pub(super) extent: &'a Extent,
    pub(super) common: &'a Common,
}

/// A guest that was measured, and the ways by which it was restored.
pub(super) struct Measured {
    pub(super) path: PathBuf,
    pub(super) guest: Guest,
    pub(super) allocator: String,
    pub(super) variants: Vec<Variant>,
}

/// Measures everything. Without rows for a guest that could not be initialised, but with one that says why.
pub(super) fn table(job: &Job<'_>) -> Result<(MeasureReport, Vec<Measured>)> {
    let engines = Engines::new(&job.common.engine()?)?;
    let config = job.common.config();
    let settings = Settings::of(&config, job.common.prepare().virtual_growth);
    let bare = bare_call(&engines.timing, job.extent.calls)?;
    let mut report = MeasureReport::new(settings, bare, clock_cost());
    if cfg!(debug_assertions) {
        report.notes.push("the harness was built without optimisation, so the times mean little".to_owned());
    }

    let loading = Progress::spinner();
    let mut subjects = Vec::new();
    for file in &job.files {
        loading.doing(format!("compiling {}", file.name));
        let subject = Subject::load(&engines, &file.name, &file.bytes, job.common.prepare())
            .map_err(|error| file.error(error))?;
        file.note(subject.guest());
        file.has_functions(subject.guest())?;
        let functions = functions(&subject, job.functions).map_err(|error| file.error(error))?;
        subjects.push((file, subject, functions));
    }
    drop(loading);

    let mut options = MeasureOptions::default();
    options.calls = job.extent.calls;
    options.counted_calls = job.extent.counted_calls;
    options.budget = job.extent.budget;
    options.config = config;
    let mut measured = Vec::new();
    let progress = Progress::steps(subjects.iter().map(|(_, _, functions)| functions.len() as u64).sum());
    for (file, subject, functions) in &subjects {
        let guest = subject.guest();
        let (allocator, variants, not_admitted) = match ways(guest, job.common, job.state) {
            Ok(ways) => ways,
            Err(error) if is_of_the_guest(&error) => {
                report.rows.extend(functions.iter().map(|function| failed_row(guest, function, &error)));
                report.guests.push(GuestSummary::of(guest, "unknown".to_owned()));
                continue;
            }
            Err(error) => return Err(file.error(error).into()),
        };
        // What was asked for by name and cannot be done has failed; what was left to choose is only told.
        for refused in not_admitted.iter().filter(|_| !job.common.strategy.is_empty()) {
            report.rows.extend(functions.iter().map(|function| refused_row(guest, function, refused, job.common)));
        }
        let mut summary = GuestSummary::of(guest, allocator.clone());
        summary.not_admitted = not_admitted;
        report.guests.push(summary);
        for function in functions {
            for variant in &variants {
                progress.doing(format!("{} {function}, restored by {}", guest.name(), variant.strategy_name()));
                let row = row(subject, function, *variant, &options, job.state);
                report.rows.push(row.map_err(|error| file.error(error))?);
            }
            progress.step();
        }
        measured.push(Measured { path: file.path.clone(), guest: guest.clone(), allocator, variants });
    }
    relate(&mut report.rows, bare);
    Ok((report, measured))
}

fn functions(subject: &Subject, asked: &[String]) -> Result<Vec<String>, LoadError> {
    let guest = subject.guest();
    if asked.is_empty() {
        return Ok(guest.functions().to_vec());
    }
    for function in asked {
        guest.function(function).map_err(LoadError::Function)?;
    }
    Ok(asked.to_vec())
}

/// The result of [`ways`].
type Ways = (String, Vec<Variant>, Vec<NotAdmitted>);

/// The allocator of a guest, the ways by which it is restored, and the strategies that cannot restore it.
pub(super) fn ways(guest: &Guest, common: &Common, state: &MemoryState) -> Result<Ways, LoadError> {
    let config = common.config();
    let allocator = allocator_of(guest, &config, state)?;
    let mut variants = vec![Variant::NO_RESTORE, Variant::REINSTANTIATE];
    let mut not_admitted = Vec::new();
    let asked = asked(guest, common, state)?;
    for Judgement { strategy, refusals } in strategies(guest, &config, state)? {
        if !asked.is_empty() && !asked.contains(&strategy) {
            continue;
        }
        if !refusals.is_empty() {
            let reasons = refusals.iter().map(ToString::to_string).collect();
            not_admitted.push(NotAdmitted { strategy: strategy.name().to_owned(), reasons });
        } else if strategy != RestoreStrategy::Reinstantiate {
            let variant = |residue| Variant { strategy: Some(strategy), policy: common.restore, residue };
            variants.extend(residues(strategy, common).into_iter().map(variant));
        }
    }
    Ok((allocator, variants, not_admitted))
}

/// The strategies that were asked for, with what `auto` picks for the guest in its place; none where all are meant.
pub(super) fn asked(guest: &Guest, common: &Common, state: &MemoryState) -> Result<Vec<RestoreStrategy>, LoadError> {
    let picked = |strategy: &RestoreStrategy| match strategy {
        RestoreStrategy::Auto => best_strategy(guest, &common.config(), state).map(|choice| choice.strategy),
        strategy => Ok(*strategy),
    };
    common.strategy.iter().map(picked).collect()
}

/// The residues that are worth a row: the one that was asked for, or all that make a difference.
fn residues(strategy: RestoreStrategy, common: &Common) -> Vec<Residue> {
    match common.residue {
        Some(residue) => vec![residue],
        None if leaves_residue(strategy) => vec![Residue::Scrub, Residue::Keep],
        None => vec![Residue::Scrub],
    }
}

/// One row; what keeps the guest from being instantiated this way is a row as well.
fn row(
    subject: &Subject,
    function: &str,
    variant: Variant,
    options: &MeasureOptions,
    state: &MemoryState,
) -> Result<Row, LoadError> {
    match measure(subject, function, variant, options, state) {
        Err(error) if is_of_the_guest(&error) => {
            let mut row = Row::new(subject.guest(), function, variant);
            row.failure = Some(FailedCall::load(error));
            Ok(row)
        }
        result => result,
    }
}

fn failed_row(guest: &Guest, function: &str, error: &LoadError) -> Row {
    let mut row = Row::new(guest, function, Variant::NO_RESTORE);
    row.failure = Some(FailedCall::load(error));
    row
}

fn refused_row(guest: &Guest, function: &str, refused: &NotAdmitted, common: &Common) -> Row {
    let strategy = refused.strategy.parse().ok();
    let variant = Variant { strategy, policy: common.restore, residue: common.residue.unwrap_or_default() };
    let mut row = Row::new(guest, function, variant);
    let message = refused.reasons.join("; ");
    row.failure = Some(FailedCall::by_host("not-restorable", message, 0));
    row
}
