//! The table of `measure` and `compare`: every guest, function and way of restoring.

use std::path::PathBuf;

use anyhow::Result;
use guest_host::{Guest, LoadError, MemoryState, Residue, RestoreStrategy};
use host_harness::functions::select;
use host_harness::inspect::{Judgement, best_strategy, strategies};
use host_harness::measure::{
    Candidate, Engines, FailedCall, MOST_CANDIDATES, MeasureOptions, Row, Spread, Subject, Variant, allocator_of,
    clock_cost, leaves_residue, measure_together,
};
use host_harness::recommend::Weights;
use host_harness::report::{GuestSummary, MeasureReport, NotAdmitted, Settings};

use crate::arguments::{Common, Extent, skipped};
use crate::progress::Progress;
use crate::run::is_of_the_guest;
use crate::source::GuestFile;

/// The guests and functions to measure.
pub(super) struct Job<'a> {
    pub(super) files: Vec<GuestFile>,
    /// Functions to measure; all of each guest's where empty.
    pub(super) functions: &'a [String],
    pub(super) state: &'a MemoryState,
    pub(super) weights: &'a Weights,
    pub(super) extent: &'a Extent,
    pub(super) common: &'a Common,
}

/// A guest that was measured, and the ways by which it was restored.
pub(super) struct Measured {
    pub(super) path: PathBuf,
    /// As compiled to count instructions.
    pub(super) guest: Guest,
    pub(super) allocator: String,
    pub(super) variants: Vec<Variant>,
}

/// Measures everything. Without rows for a guest that could not be initialised, but with one that says why. `None` where
/// `first` says of the first guest that nothing else is asked for.
pub(super) fn table(
    job: &Job<'_>,
    first: impl Fn(&GuestFile, &Guest) -> Result<bool>,
) -> Result<Option<(MeasureReport, Vec<Measured>)>> {
    let engines = Engines::new(&job.common.engine()?)?;
    let config = job.common.config();
    let settings = Settings::of(&config, job.common.prepare().virtual_growth);
    let mut report = MeasureReport::new(settings, clock_cost());
    if cfg!(debug_assertions) {
        report.notes.push("the harness was built without optimisation, so the times mean little".to_owned());
    }

    let loading = Progress::spinner();
    let mut entrants = Vec::new();
    for (index, file) in job.files.iter().enumerate() {
        loading.doing(format!("compiling {}", file.name));
        let subject = Subject::load(&engines, &file.name, &file.bytes, job.common.prepare())
            .map_err(|error| file.error(error))?;
        file.note(subject.guest());
        if index == 0 && first(file, subject.guest())? {
            return Ok(None);
        }
        file.has_functions(subject.guest())?;
        let functions = functions(job, file, subject.guest(), &mut report)?;
        entrants.extend(entrant(job, file, subject, functions, &mut report)?);
    }
    drop(loading);
    job.common.call.check_for(entrants.iter().map(|entrant| entrant.subject.guest()))?;
    let functions: Vec<&str> =
        entrants.iter().flat_map(|entrant| entrant.functions.iter().map(String::as_str)).collect();
    job.weights.check(&functions)?;
    times(job, &entrants, &mut report)?;
    let measured = entrants.into_iter().map(|entrant| Measured {
        path: entrant.file.path.clone(),
        guest: entrant.subject.counting().clone(),
        allocator: entrant.allocator,
        variants: entrant.variants,
    });
    let measured = measured.collect();
    Ok(Some((report, measured)))
}

/// A guest that can be measured.
struct Entrant<'a> {
    file: &'a GuestFile,
    subject: Subject,
    functions: Vec<String>,
    allocator: String,
    variants: Vec<Variant>,
}

/// A guest with the ways of restoring it, or `None` with rows that say why it could not be initialised.
fn entrant<'a>(
    job: &Job<'a>,
    file: &'a GuestFile,
    subject: Subject,
    functions: Vec<String>,
    report: &mut MeasureReport,
) -> Result<Option<Entrant<'a>>> {
    let guest = subject.guest();
    let (allocator, variants, not_admitted) = match ways(guest, job.common, job.state) {
        Ok(ways) => ways,
        Err(error) if is_of_the_guest(&error) => {
            report.rows.extend(functions.iter().map(|function| failed_row(guest, function, &error)));
            report.guests.push(GuestSummary::of(guest, "unknown".to_owned()));
            return Ok(None);
        }
        Err(error) => return Err(file.error(error).into()),
    };
    // A strategy that the user named and that cannot restore the guest has failed; others are only listed.
    for refused in not_admitted.iter().filter(|_| !job.common.strategy.is_empty()) {
        report.rows.extend(functions.iter().map(|function| refused_row(guest, function, refused, job.common)));
    }
    let mut summary = GuestSummary::of(guest, allocator.clone());
    summary.not_admitted = not_admitted;
    report.guests.push(summary);
    Ok(Some(Entrant { file, subject, functions, allocator, variants }))
}

/// Measures each function of all guests in all ways of restoring, together, as their figures are compared.
fn times(job: &Job<'_>, entrants: &[Entrant<'_>], report: &mut MeasureReport) -> Result<()> {
    let mut options = MeasureOptions::default();
    options.calls = job.extent.calls;
    options.counted_calls = job.extent.counted_calls;
    options.budget = job.extent.budget;
    options.config = job.common.config();
    let mut functions: Vec<&String> = Vec::new();
    for function in entrants.iter().flat_map(|entrant| &entrant.functions) {
        if !functions.contains(&function) {
            functions.push(function);
        }
    }
    let mut bare_calls = Vec::new();
    for function in functions {
        let of_function: Vec<_> = entrants.iter().filter(|entrant| entrant.functions.contains(function)).collect();
        for entrants in of_function.chunks((MOST_CANDIDATES / Variant::MOST).max(1)) {
            bare_calls.extend(function_times(job, function, entrants, &options, report)?);
        }
    }
    report.bare_call = Spread::of(bare_calls);
    let guests: Vec<String> = report.guests.iter().map(|guest| guest.guest.clone()).collect();
    report.rows.sort_by_key(|row| guests.iter().position(|guest| *guest == row.guest));
    Ok(())
}

/// Measures one function of these guests. Returns the samples of the bare call.
fn function_times(
    job: &Job<'_>,
    function: &str,
    entrants: &[&Entrant<'_>],
    options: &MeasureOptions,
    report: &mut MeasureReport,
) -> Result<Vec<f64>> {
    let progress = Progress::steps(0);
    progress.doing(format!("measuring {function}"));
    let (files, candidates): (Vec<&GuestFile>, Vec<Candidate<'_>>) = entrants
        .iter()
        .flat_map(|entrant| {
            let candidate = |variant: &Variant| Candidate { subject: &entrant.subject, function, variant: *variant };
            entrant.variants.iter().map(move |variant| (entrant.file, candidate(variant)))
        })
        .unzip();
    let bar = progress.bar();
    let together = measure_together(&candidates, options, job.state, &mut |done, steps| {
        bar.set_length(steps);
        bar.set_position(done);
    })?;
    for ((row, candidate), file) in together.rows.into_iter().zip(&candidates).zip(files) {
        report.rows.push(match row {
            Ok(row) => row,
            Err(error) if is_of_the_guest(&error) => {
                let mut row = Row::new(candidate.subject.guest(), function, candidate.variant);
                row.failure = Some(FailedCall::load(error));
                row
            }
            Err(error) => return Err(file.error(error).into()),
        });
    }
    report.noise = match (report.noise, together.noise) {
        (Some(known), Some(found)) => Some(known.worse(found)),
        (known, found) => known.or(found),
    };
    Ok(together.bare_call)
}

/// The functions of a guest to measure. Notes say which are skipped.
fn functions(job: &Job<'_>, file: &GuestFile, guest: &Guest, report: &mut MeasureReport) -> Result<Vec<String>> {
    for function in job.functions {
        file.function(guest, function)?;
    }
    let arguments = job.common.config_of(guest).arguments;
    let found = select(guest, job.functions, &arguments).map_err(|error| file.error(error))?;
    report.notes.extend(found.skipped.iter().map(|function| skipped(guest, function)));
    Ok(found.functions)
}

/// The result of [`ways`].
type Ways = (String, Vec<Variant>, Vec<NotAdmitted>);

/// The allocator of a guest, the ways by which it is restored, and the strategies that cannot restore it.
pub(super) fn ways(guest: &Guest, common: &Common, state: &MemoryState) -> Result<Ways, LoadError> {
    let config = common.config_of(guest);
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
        RestoreStrategy::Auto => best_strategy(guest, &common.config_of(guest), state).map(|choice| choice.strategy),
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
