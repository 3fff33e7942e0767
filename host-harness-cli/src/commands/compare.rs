//! `compare`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use host_harness::compare::{Built, state_file_beside};
use host_harness::measure::{Row, RowVerdict};
use host_harness::recommend::recommend;
use host_harness::report::{Content, VerdictReport};

use super::building::built;
use super::memory;
use super::starving;
use super::table::{Job, table};
use super::verify::{Check, Clock};
use crate::arguments::{Common, Compare};
use crate::source;

pub(crate) fn run(arguments: &Compare, common: &Common) -> Result<Option<Content>> {
    // What can be wrong with the state is told before anything is built.
    let state_file = state_file(arguments);
    let state = source::state(state_file.as_deref())?;
    let weights = arguments.extent.weights()?;
    let first = |module: &Path| {
        let files = source::guests(&[module.to_owned()])?;
        files.first().map_or(Ok(false), |file| starving::check_file(file, &arguments.work, common, &state))
    };
    let Some((modules, mut notes)) = modules(arguments, first)? else { return Ok(None) };
    match &state_file {
        Some(path) => notes.push(format!("state: {}", path.display())),
        None => notes.push("state: empty; give --state, or put state.json beside the manifest".to_owned()),
    }
    let job = Job {
        files: source::guests(&modules)?,
        functions: &arguments.work.function,
        state: &state,
        weights: &weights,
        extent: &arguments.extent,
        common,
    };
    // The first module was probed as soon as it was built.
    let Some((mut report, measured)) = table(&job, |_, _| Ok(false))? else { return Ok(None) };
    memory::add(&mut report, &measured, common, &state)?;
    report.allow_failing = arguments.work.allow_failing();
    report.notes.extend(notes);
    if arguments.verify_calls > 0 {
        let clock = Clock::start(arguments.proof.time_limit);
        for guest in &measured {
            let check = Check {
                guest: &guest.guest,
                allocator: &guest.allocator,
                functions: &arguments.work.function,
                state: &state,
                calls: arguments.verify_calls,
                proof: &arguments.proof,
                clock,
                suspend: false,
                ring: None,
                allow_failing: arguments.work.allow_failing(),
                common,
            };
            report.verdicts.extend(check.all(&guest.variants).map_err(|error| error.in_file(&guest.path))?);
        }
    }
    for row in &mut report.rows {
        row.verdict = report.verdicts.iter().find(|verdict| is_of(verdict, row)).map(|verdict| RowVerdict {
            passed: verdict.proves(&row.function),
            calls: verdict.calls,
            skipped_calls: verdict.skipped_calls,
            seed: verdict.seed,
            differences: verdict.differences.len() as u64,
        });
    }
    report.recommendations = recommend(&report, &weights)?;
    Ok(Some(Content::Compare(report)))
}

/// The state file that was given, or that the guest crate brings along.
pub(crate) fn state_file(arguments: &Compare) -> Option<PathBuf> {
    arguments.work.state.clone().or_else(|| state_file_beside(&arguments.guest.manifest_path))
}

fn is_of(verdict: &VerdictReport, row: &Row) -> bool {
    verdict.guest == row.guest && verdict.strategy == row.strategy && verdict.residue == row.residue
}

/// Builds the crate with each allocator; returns the modules, and a note for each allocator that it does not offer. `None` where
/// `first` says of the first module that nothing else is asked for.
fn modules(arguments: &Compare, first: impl Fn(&Path) -> Result<bool>) -> Result<Option<(Vec<PathBuf>, Vec<String>)>> {
    let guest = &arguments.guest;
    let (mut modules, mut notes) = (Vec::new(), Vec::new());
    for allocator in guest.allocators() {
        for built in built(&guest.manifest_path, &[*allocator], |build| guest.prepare(build))? {
            match built {
                Built::Module(built) => {
                    if modules.is_empty() && first(&built.module)? {
                        return Ok(None);
                    }
                    modules.push(built.module);
                }
                Built::Skipped(skipped) => notes.push(skipped.to_string()),
            }
        }
    }
    if modules.is_empty() {
        anyhow::bail!("nothing to compare: {}", notes.join("; "));
    }
    Ok(Some((modules, notes)))
}
