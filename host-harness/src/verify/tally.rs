//! Counts of the calls of each function: compared, failed and of what, skipped.

use std::collections::BTreeMap;

use super::draw::Callee;
use super::observe::CauseOfFailure;
use super::{AllowFailing, BrokenRules, Compared, Ended, NeverSucceeded, Skipped, Verdict};

/// The counts of a verification, by function.
#[derive(Default)]
pub(super) struct Tally<'g> {
    /// By the index of the function.
    functions: BTreeMap<usize, OfFunction<'g>>,
}

#[derive(Default)]
struct OfFunction<'g> {
    name: &'g str,
    compared: u64,
    failed: u64,
    /// The first message of each cause by its kind, and how many calls failed of it. Messages may hold figures that differ from
    /// call to call, so the kind alone tells causes apart.
    causes: BTreeMap<&'static str, (String, u64)>,
    skipped: u64,
    skipped_on_restored: u64,
    /// Calls that a limit ended on both sides.
    cut_off: u64,
}

/// The kind of [`Cause::Block`](guest_host::Cause::Block).
const BREACH: &str = "block";

/// A function is not called again after so many calls, all of which limits ended: more of them take long and prove nothing.
const GIVE_UP: u64 = 3;

impl<'g> Tally<'g> {
    pub(super) fn add(&mut self, callee: Callee<'g>, ended: Ended) {
        let counts = self.functions.entry(callee.function.index()).or_default();
        counts.name = callee.name;
        match ended {
            Ended::OneSided { on_restored } => {
                counts.skipped += 1;
                counts.skipped_on_restored += u64::from(on_restored);
            }
            Ended::Compared { result, cut_off, .. } => {
                counts.compared += 1;
                counts.cut_off += u64::from(cut_off);
                if let Err(CauseOfFailure { kind, message }) = result {
                    counts.failed += 1;
                    counts.causes.entry(kind).or_insert((message, 0)).1 += 1;
                }
            }
        }
    }

    /// The first function from `drawn` on, in the order of `functions` and around its end, that is worth another call.
    pub(super) fn first_worth_calling(&self, functions: &[Callee<'g>], drawn: Callee<'g>) -> Option<Callee<'g>> {
        let begin = functions.iter().position(|function| *function == drawn)?;
        let in_turn = functions[begin..].iter().chain(&functions[..begin]).copied();
        in_turn.into_iter().find(|callee| {
            self.of(*callee).is_none_or(|counts| {
                let calls = counts.compared + counts.skipped;
                calls < GIVE_UP || calls > counts.cut_off + counts.skipped
            })
        })
    }

    fn of(&self, callee: Callee<'_>) -> Option<&OfFunction<'g>> {
        self.functions.get(&callee.function.index())
    }

    /// Puts the counts into the verdict on calls of these functions.
    pub(super) fn conclude(&self, verdict: &mut Verdict, functions: &[Callee<'_>], allowed: &AllowFailing) {
        (verdict.calls, verdict.failures) = (self.compared(), self.failures());
        verdict.skipped = self.skipped();
        if verdict.ended_early {
            verdict.not_called = self.not_called(functions);
        }
        verdict.functions = self.functions();
        verdict.never_succeeded = self.never_succeeded(allowed);
        verdict.broken_rules = self.broken_rules();
    }

    /// The functions of which no call was made.
    fn not_called(&self, functions: &[Callee<'_>]) -> Vec<String> {
        functions.iter().filter(|callee| self.of(**callee).is_none()).map(|callee| callee.name.to_owned()).collect()
    }

    fn compared(&self) -> u64 {
        self.functions.values().map(|counts| counts.compared).sum()
    }

    fn failures(&self) -> u64 {
        self.functions.values().map(|counts| counts.failed).sum()
    }

    /// The functions of which calls were compared.
    fn functions(&self) -> Vec<Compared> {
        let compared = self.functions.values().filter(|counts| counts.compared > 0);
        compared
            .map(|counts| Compared { function: counts.name.to_owned(), calls: counts.compared, failed: counts.failed })
            .collect()
    }

    /// The functions of which calls were skipped.
    fn skipped(&self) -> Vec<Skipped> {
        let skipped = self.functions.values().filter(|counts| counts.skipped > 0);
        skipped
            .map(|counts| Skipped {
                function: counts.name.to_owned(),
                calls: counts.skipped,
                on_restored: counts.skipped_on_restored,
                compared: counts.compared,
            })
            .collect()
    }

    /// The functions that succeeded and broke the rules of memory blocks in other calls.
    fn broken_rules(&self) -> Vec<BrokenRules> {
        let some_succeeded = self.functions.values().filter(|counts| counts.failed < counts.compared);
        some_succeeded
            .filter_map(|counts| {
                let (message, broken) = counts.causes.get(BREACH)?;
                Some(BrokenRules {
                    function: counts.name.to_owned(),
                    calls: counts.compared,
                    broken: *broken,
                    message: message.clone(),
                })
            })
            .collect()
    }

    /// The functions of which calls were compared and none succeeded.
    fn never_succeeded(&self, allowed: &AllowFailing) -> Vec<NeverSucceeded> {
        let failing = self.functions.values().filter(|counts| counts.failed > 0 && counts.failed == counts.compared);
        failing
            .filter_map(|counts| {
                let (kind, (message, calls)) = counts.causes.iter().max_by_key(|(_, (_, calls))| *calls)?;
                Some(NeverSucceeded {
                    function: counts.name.to_owned(),
                    calls: counts.compared,
                    cause: (*kind).to_owned(),
                    message: message.clone(),
                    of_that_cause: *calls,
                    allowed: allowed.allows(counts.name),
                    wanted: Vec::new(),
                })
            })
            .collect()
    }
}
