//! The answer of a measurement: which guest to take, and how to restore it.
//!
//! # How it decides
//!
//! 1. A way of restoring a guest is a candidate if it did all functions and verification found no difference.
//! 2. Candidates are ranked by their *work*, which is exact and the same on every machine: the instructions of a call, and a
//!    quarter of an instruction for each byte that a restore writes ([`BYTES_PER_INSTRUCTION`]). Several functions count by
//!    their [`Weights`]. Those within 1% of the least work count as equal; of them a way that leaves no residue comes first, then
//!    the smaller module.
//! 3. Work does not know everything: a branch may be mispredicted, a new instance takes the system's time. So a candidate whose
//!    time is shorter by more than a tenth takes the first place, if that is [significant](Estimate): if the 95% interval of the
//!    ratio, round by round, lies below nine tenths. On a noisy machine intervals are wide, and work decides.
//!
//! So two runs give the same answer, unless times are what decides and a true ratio lies at the margin itself.

mod candidates;
mod weights;
mod words;

use serde::{Deserialize, Serialize};

use crate::measure::Estimate;
use crate::report::MeasureReport;
use candidates::Candidate;
pub use weights::{Weights, WeightsError};

/// Bytes that a restore writes and that count as one instruction.
///
/// The benchmark `recover` copies between 3 and 9 bytes, by the size of the snapshot, in the time of one instruction of the
/// guest `bench`; this is the lower end, for snapshots that the caches do not hold.
pub const BYTES_PER_INSTRUCTION: f64 = 4.0;

/// Ratio of times below which a candidate takes the first place from one that has less work.
const FASTER: f64 = 0.9;

/// Ratio of works up to which they count as equal.
const EQUAL: f64 = 1.01;

/// The answer for guests that have the same functions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Recommendation {
    /// The functions that were weighed, with their weights.
    pub functions: Vec<WeighedFunction>,
    /// The pick.
    pub best: Pick,
    /// What decided.
    pub decided_by: DecidedBy,
    /// The best of the others, and those that are best by another measure.
    pub alternatives: Vec<Alternative>,
    /// All candidates in order, the pick first.
    pub ranking: Vec<Alternative>,
    /// Ways that are no candidates, and why.
    pub excluded: Vec<Excluded>,
    /// What the reader should know before trusting it.
    pub cautions: Vec<String>,
}

/// A function and its weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WeighedFunction {
    /// The function.
    pub function: String,
    /// Its share of the calls, from 0 to 1.
    pub share: f64,
}

/// A guest and a way of restoring it. Figures are means per call, by the weights of the functions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Pick {
    /// The guest.
    pub guest: String,
    /// Its allocator.
    pub allocator: String,
    /// The cargo feature that picks the allocator; null for Rust's own and for one that is not of this project.
    pub feature: Option<String>,
    /// The strategy.
    pub strategy: String,
    /// `scrub` or `keep`; null where the strategy leaves no residue.
    pub residue: Option<String>,
    /// When it is restored.
    pub policy: String,
    /// Instructions of the call.
    pub instructions: f64,
    /// Bytes that the restore writes; null where none is made in place.
    pub restored_bytes: Option<f64>,
    /// Instructions and restored bytes in one: see [`BYTES_PER_INSTRUCTION`]. Null where a new instance takes the place of a
    /// restore.
    pub work: Option<f64>,
    /// Nanoseconds of call and restore; null where nothing was timed.
    pub time: Option<Estimate>,
    /// Bytes of the module without custom sections.
    pub wasm_bytes: u64,
    /// Bytes of linear memory after the last counted call, of the function that needs most.
    pub memory_bytes: u64,
    /// Whether verification proved it; null if nothing was verified.
    pub verified: Option<bool>,
    /// Calls that verification compared.
    pub verified_calls: u64,
}

/// What decided between the first and the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DecidedBy {
    /// Exact counts: it has the least work.
    Counts,
    /// Times: another one has less work, and this one is faster by more than a tenth with a confidence of 95%.
    Times,
    /// Neither: another one has the same work; residue and size decided.
    Tie,
    /// There is no other.
    Alone,
}

/// A candidate beside the pick.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Alternative {
    /// When to take it.
    pub when: When,
    /// The candidate.
    pub pick: Pick,
    /// Its work, as a multiple of that of the best; null where one of both has none.
    pub work_ratio: Option<f64>,
    /// Its time, as a multiple of that of the best, by rounds; null where it was not timed.
    pub time_ratio: Option<Estimate>,
}

/// When to take an alternative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum When {
    /// In the second place: of another guest, where there is one.
    RunnerUp,
    /// If no byte may stay that an earlier call left.
    NoResidue,
    /// If the size of the module matters most.
    Smallest,
    /// In the place of the ranking.
    Ranked,
}

/// A way that is no candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Excluded {
    /// The guest.
    pub guest: String,
    /// Strategy and residue.
    pub way: String,
    /// Why not.
    pub reason: String,
}

/// The answers of a measurement: one for each group of guests that have the same functions, in the order of the guests. Without
/// one for a group of which nothing can be recommended.
///
/// # Errors
/// [`WeightsError`] when a function is weighed that no guest has, or all that there are weigh nothing.
pub fn recommend(report: &MeasureReport, weights: &Weights) -> Result<Vec<Recommendation>, WeightsError> {
    let groups = candidates::groups(report);
    let functions: Vec<&str> = groups.iter().flat_map(|group| group.functions.iter().copied()).collect();
    weights.check(&functions)?;
    Ok(groups.iter().filter_map(|group| of_group(report, group, weights)).collect())
}

fn of_group(report: &MeasureReport, group: &candidates::Group<'_>, weights: &Weights) -> Option<Recommendation> {
    let weighed = candidates::weighed(report, group, weights);
    let (mut ranked, excluded) = candidates::candidates(report, group, &weighed);
    ranked.sort_by(Candidate::by_work);
    let equal = ranked.iter().take_while(|candidate| candidate.pick.has_equal_work(&ranked[0].pick)).count();
    ranked[..equal].sort_by(Candidate::in_a_tie);
    let mut decided_by = match (ranked.len(), equal) {
        (0 | 1, _) => DecidedBy::Alone,
        (_, 1) => DecidedBy::Counts,
        _ => DecidedBy::Tie,
    };
    let leader = ranked.first()?;
    // Times have the last word where they are clear.
    let faster = ranked.iter().enumerate().skip(1).filter_map(|(at, candidate)| {
        let ratio = candidate.time_to(leader)?;
        (ratio.interval.high < FASTER).then_some((at, ratio.median))
    });
    if let Some((at, _)) = faster.min_by(|(_, one), (_, two)| one.total_cmp(two)) {
        let fastest = ranked.remove(at);
        ranked.insert(0, fastest);
        decided_by = DecidedBy::Times;
    }
    let (best, others) = ranked.split_first()?;
    // Another way of the same guest is hardly a choice: the runner-up is another guest where there is one.
    let runner_up = others.iter().find(|other| other.pick.guest != best.pick.guest).or(others.first());
    let pristine = others.iter().find(|other| best.pick.leaves_residue() && !other.pick.leaves_residue());
    let smallest = others.iter().min_by_key(|other| other.pick.wasm_bytes);
    let smaller = smallest.filter(|other| other.pick.wasm_bytes < best.pick.wasm_bytes);
    let mut alternatives: Vec<Alternative> = Vec::new();
    for (when, other) in [(When::NoResidue, pristine), (When::RunnerUp, runner_up), (When::Smallest, smaller)] {
        if let Some(other) = other.filter(|other| alternatives.iter().all(|known| known.pick != other.pick)) {
            alternatives.push(other.beside(best, when));
        }
    }
    Some(Recommendation {
        cautions: words::cautions(report, &weighed, best),
        functions: weighed.into_iter().map(|(function, share)| WeighedFunction { function, share }).collect(),
        best: best.pick.clone(),
        decided_by,
        alternatives,
        ranking: ranked.iter().map(|candidate| candidate.beside(best, When::Ranked)).collect(),
        excluded,
    })
}

#[cfg(test)]
mod tests;
