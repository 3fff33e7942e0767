//! Candidates: the rows of one guest and way of restoring, with the functions weighed.

use std::cmp::Ordering;

use guest_build::Allocator;

use super::{Alternative, BYTES_PER_INSTRUCTION, EQUAL, Excluded, Pick, Weights, When};
use crate::measure::{Estimate, NO_RESTORE, Row, round};
use crate::report::{GuestSummary, MeasureReport};
use guest_host::RestorePolicy;

/// Bytes of a page of linear memory.
const PAGE: u64 = 64 << 10;

/// Guests that have the same functions, so that one can take the place of another.
pub(super) struct Group<'r> {
    pub(super) functions: Vec<&'r str>,
    guests: Vec<&'r GuestSummary>,
}

/// The groups, in the order of their first guests.
pub(super) fn groups(report: &MeasureReport) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for guest in &report.guests {
        let functions = report.functions_of(&guest.guest);
        let same = |group: &&mut Group<'_>| {
            group.functions.len() == functions.len() && functions.iter().all(|name| group.functions.contains(name))
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.guests.push(guest),
            None => groups.push(Group { functions, guests: vec![guest] }),
        }
    }
    groups
}

impl Group<'_> {
    fn rows<'r>(&self, report: &'r MeasureReport) -> impl Iterator<Item = &'r Row> {
        report.rows.iter().filter(|row| self.guests.iter().any(|guest| guest.guest == row.guest))
    }
}

/// The functions with their shares of the calls. A function that fails wherever it is called is none of them: it tells
/// nothing of how to restore.
pub(super) fn weighed(report: &MeasureReport, group: &Group<'_>, weights: &Weights) -> Vec<(String, f64)> {
    let succeeds = |function: &str| group.rows(report).any(|row| row.function == function && row.failure.is_none());
    let weight = |function: &&str| ((*function).to_owned(), weights.of(function));
    let weighed: Vec<(String, f64)> = group.functions.iter().filter(|name| succeeds(name)).map(weight).collect();
    let total: f64 = weighed.iter().map(|(_, weight)| weight).sum();
    weighed.into_iter().filter(|(_, weight)| *weight > 0.0).map(|(name, weight)| (name, weight / total)).collect()
}

impl Pick {
    /// Whether bytes of earlier calls may stay.
    pub(super) fn leaves_residue(&self) -> bool {
        let restored_always = self.policy == RestorePolicy::EveryCall.to_string();
        self.residue.as_deref() == Some("keep") || !restored_always
    }

    /// Whether verification tried to prove it and could not.
    fn is_unproved(&self) -> bool {
        self.verified == Some(false)
    }

    /// Whether the works of both count as equal, and both are proved or neither is.
    pub(super) fn has_equal_work(&self, other: &Self) -> bool {
        self.is_unproved() == other.is_unproved()
            && match (self.work, other.work) {
                (Some(one), Some(two)) => one <= two * EQUAL && two <= one * EQUAL,
                (None, None) => true,
                _ => false,
            }
    }

    /// The order by work: what is proved before what is not, then the least work.
    pub(super) fn by_work(&self, other: &Self) -> Ordering {
        let work = |pick: &Self| pick.work.unwrap_or(f64::INFINITY);
        self.is_unproved().cmp(&other.is_unproved()).then(work(self).total_cmp(&work(other)))
    }
}

/// A candidate: what reports have of it, and its times by rounds.
pub(super) struct Candidate {
    pub(super) pick: Pick,
    rounds: Vec<f64>,
    /// Its place among all, for ties.
    place: usize,
}

/// The candidates of a group in the order of the rows, and the ways that are none.
pub(super) fn candidates(
    report: &MeasureReport,
    group: &Group<'_>,
    weighed: &[(String, f64)],
) -> (Vec<Candidate>, Vec<Excluded>) {
    let (mut candidates, mut excluded) = (Vec::new(), Vec::new());
    for guest in &group.guests {
        let of_guest: Vec<&Row> =
            report.rows.iter().filter(|row| row.guest == guest.guest && row.strategy != NO_RESTORE).collect();
        let mut ways: Vec<String> = Vec::new();
        for row in &of_guest {
            if !ways.contains(&row.way()) {
                ways.push(row.way());
            }
        }
        for way in ways {
            let rows: Vec<&Row> = of_guest.iter().copied().filter(|row| row.way() == way).collect();
            match Candidate::of(guest, &rows, weighed, candidates.len()) {
                Ok(candidate) => candidates.push(candidate),
                Err(reason) => excluded.push(Excluded { guest: guest.guest.clone(), way, reason }),
            }
        }
    }
    (candidates, excluded)
}

impl Candidate {
    /// The candidate of these rows, which are of one guest and way; the error is why there is none.
    fn of(guest: &GuestSummary, rows: &[&Row], weighed: &[(String, f64)], place: usize) -> Result<Self, String> {
        let mut sums = Sums::default();
        let first = rows.first().ok_or("it was not measured")?;
        for (function, share) in weighed {
            let row = rows.iter().find(|row| row.function == *function);
            sums.add(row.ok_or_else(|| format!("`{function}` was not measured"))?, *share)?;
        }
        if weighed.is_empty() {
            return Err("no function succeeds".to_owned());
        }
        let in_place = !first.is_reinstantiate();
        let restored = in_place.then_some(sums.restored);
        let time = Estimate::of(&sums.rounds).map(|time| time.rounded(1));
        let allocator = Allocator::ALL.into_iter().find(|known| known.name() == guest.allocator);
        let pick = Pick {
            guest: guest.guest.clone(),
            allocator: guest.allocator.clone(),
            feature: allocator.and_then(Allocator::feature).map(str::to_owned),
            strategy: first.strategy.clone(),
            residue: first.residue.clone(),
            policy: first.policy.clone(),
            instructions: sums.instructions,
            restored_bytes: restored,
            work: restored.map(|bytes| sums.instructions + bytes / BYTES_PER_INSTRUCTION),
            time,
            wasm_bytes: guest.wasm_bytes,
            memory_bytes: sums.pages * PAGE,
            verified: sums.verified,
            verified_calls: sums.verified_calls,
        };
        Ok(Self { pick, rounds: sums.rounds, place })
    }

    /// The order by work: what is proved before what is not, then the least work, then the order of the rows.
    pub(super) fn by_work(one: &Self, two: &Self) -> Ordering {
        one.pick.by_work(&two.pick).then_with(|| one.place.cmp(&two.place))
    }

    /// The order of those that have equal work: what leaves no residue first, then the smaller module, then the order of the
    /// rows.
    pub(super) fn in_a_tie(one: &Self, two: &Self) -> Ordering {
        let key = |candidate: &Self| (candidate.pick.leaves_residue(), candidate.pick.wasm_bytes, candidate.place);
        key(one).cmp(&key(two))
    }

    /// How many times as long it takes as another.
    pub(super) fn time_to(&self, other: &Self) -> Option<Estimate> {
        Estimate::of_ratio(&self.rounds, &other.rounds)
    }

    /// It beside the best.
    pub(super) fn beside(&self, best: &Self, when: When) -> Alternative {
        let work_ratio = self.pick.work.zip(best.pick.work).map(|(work, of_best)| round(work / of_best.max(1.0), 4));
        let time_ratio = self.time_to(best).map(|ratio| ratio.rounded(4));
        Alternative { when, pick: self.pick.clone(), work_ratio, time_ratio }
    }
}

/// Weighed sums over functions.
#[derive(Default)]
struct Sums {
    instructions: f64,
    restored: f64,
    rounds: Vec<f64>,
    functions: usize,
    pages: u64,
    verified: Option<bool>,
    verified_calls: u64,
}

impl Sums {
    fn add(&mut self, row: &Row, share: f64) -> Result<(), String> {
        if let Some(failure) = &row.failure {
            return Err(format!("`{}` failed: {}", row.function, failure.message));
        }
        if row.verdict.as_ref().is_some_and(|verdict| verdict.differences > 0) {
            return Err("verification found differences".to_owned());
        }
        let counts = row.counts.as_ref().ok_or_else(|| format!("`{}` was not counted", row.function))?;
        self.instructions += counts.instructions.0 * share;
        self.restored += counts.restored_bytes.map_or(0.0, |bytes| bytes.0) * share;
        self.pages = self.pages.max(counts.pages_after);
        if let Some(verdict) = &row.verdict {
            self.verified = Some(self.verified.unwrap_or(true) && verdict.passed);
            self.verified_calls = verdict.calls;
        }
        let rounds = row.times.as_ref().map(|times| times.rounds.as_slice()).unwrap_or_default();
        if self.functions == 0 {
            self.rounds = rounds.iter().map(|time| time * share).collect();
        } else {
            self.rounds.truncate(rounds.len());
            self.rounds.iter_mut().zip(rounds).for_each(|(sum, time)| *sum += time * share);
        }
        self.functions += 1;
        Ok(())
    }
}
