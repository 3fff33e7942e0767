//! Counts of the calls of each function: compared, failed and of what, skipped.

use std::collections::BTreeMap;

use guest_host::{Function, Guest};

use super::observe::CauseOfFailure;
use super::{AllowFailing, Ended, NeverSucceeded, Skipped};

/// The counts of a verification, by function.
pub(super) struct Tally<'g> {
    guest: &'g Guest,
    /// By the index of the function.
    functions: Vec<OfFunction>,
}

#[derive(Default)]
struct OfFunction {
    compared: u64,
    failed: u64,
    /// The first message of each cause by its kind, and how many calls failed of it. Messages may hold figures that differ from
    /// call to call, so the kind alone tells causes apart.
    causes: BTreeMap<&'static str, (String, u64)>,
    skipped: u64,
    skipped_on_restored: u64,
}

impl<'g> Tally<'g> {
    pub(super) fn new(guest: &'g Guest) -> Self {
        Self { guest, functions: guest.functions().iter().map(|_| OfFunction::default()).collect() }
    }

    pub(super) fn add(&mut self, function: Function, ended: Ended) {
        let counts = &mut self.functions[function.index()];
        match ended {
            Ended::OneSided { on_restored } => {
                counts.skipped += 1;
                counts.skipped_on_restored += u64::from(on_restored);
            }
            Ended::Compared(result) => {
                counts.compared += 1;
                if let Err(CauseOfFailure { kind, message }) = result {
                    counts.failed += 1;
                    counts.causes.entry(kind).or_insert((message, 0)).1 += 1;
                }
            }
        }
    }

    pub(super) fn compared(&self) -> u64 {
        self.functions.iter().map(|counts| counts.compared).sum()
    }

    pub(super) fn failures(&self) -> u64 {
        self.functions.iter().map(|counts| counts.failed).sum()
    }

    /// The functions of which calls were skipped.
    pub(super) fn skipped(&self) -> Vec<Skipped> {
        let skipped = self.named().filter(|(_, counts)| counts.skipped > 0);
        skipped
            .map(|(name, counts)| Skipped {
                function: name.clone(),
                calls: counts.skipped,
                on_restored: counts.skipped_on_restored,
                compared: counts.compared,
            })
            .collect()
    }

    /// The functions of which calls were compared and none succeeded.
    pub(super) fn never_succeeded(&self, allowed: &AllowFailing) -> Vec<NeverSucceeded> {
        let failing = self.named().filter(|(_, counts)| counts.failed > 0 && counts.failed == counts.compared);
        failing
            .filter_map(|(name, counts)| {
                let (kind, (message, calls)) = counts.causes.iter().max_by_key(|(_, (_, calls))| *calls)?;
                Some(NeverSucceeded {
                    function: name.clone(),
                    calls: counts.compared,
                    cause: (*kind).to_owned(),
                    message: message.clone(),
                    of_that_cause: *calls,
                    allowed: allowed.allows(name),
                })
            })
            .collect()
    }

    fn named(&self) -> impl Iterator<Item = (&String, &OfFunction)> {
        self.guest.functions().iter().zip(&self.functions)
    }
}
