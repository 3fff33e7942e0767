//! The target `exttinygo` comes to every kind of end, and catches a restore that forgets something.

use std::collections::BTreeSet;

use fuzz::exttinygo::{run, run_with};
use fuzz::modules::random_bytes;
use guest_host::Residue;
use guest_host::restore::{ForgottenGlobals, FullCopy, Promise, Restore, RestoreError, Restored, Target};
use guest_host::snapshot::RegionKind;

/// What a [`Forgetful`] restore leaves as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Forgets {
    Nothing,
    Memory,
    Buffer,
    Globals,
}

#[derive(Debug)]
struct Forgetful(Forgets);

impl Restore for Forgetful {
    fn name(&self) -> &str {
        "forgetful"
    }

    fn promise(&self, region: RegionKind, residue: Residue) -> Promise {
        FullCopy.promise(region, residue)
    }

    fn restore(&mut self, target: &mut Target<'_>) -> Result<Restored, RestoreError> {
        let (memory, snapshot) = target.memory();
        let saved = snapshot.memory();
        let (within, tail) = memory.split_at_mut(saved.len());
        let forgotten = match self.0 {
            Forgets::Memory => 0..within.len(),
            // The host alone writes there.
            Forgets::Buffer => snapshot.regions().exchange(),
            _ => 0..0,
        };
        within[..forgotten.start].copy_from_slice(&saved[..forgotten.start]);
        within[forgotten.end..].copy_from_slice(&saved[forgotten.end..]);
        tail.fill(0);
        Ok(Restored::default())
    }

    fn forgotten_globals(&self) -> ForgottenGlobals {
        match self.0 {
            Forgets::Globals => ForgottenGlobals::Own,
            _ => ForgottenGlobals::None,
        }
    }
}

fn first_caught(forgets: Forgets) -> Option<(u64, String)> {
    (0..200).find_map(|seed| {
        let caught = run_with(&random_bytes(seed, 1_000), &|| Box::new(Forgetful(forgets)));
        caught.err().map(|wrong| (seed, wrong))
    })
}

#[test]
fn a_restore_that_forgets_something_is_caught() {
    for forgets in [Forgets::Memory, Forgets::Buffer, Forgets::Globals] {
        assert!(first_caught(forgets).is_some(), "{forgets:?}");
    }
}

#[test]
fn one_that_forgets_nothing_is_not() {
    assert_eq!(first_caught(Forgets::Nothing), None);
}

#[test]
fn its_calls_come_to_every_kind_of_end() {
    let mut ends = BTreeSet::new();
    for seed in 0..300 {
        let told = run(&random_bytes(seed, 1_000)).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
        let (_, list) = told.split_once(": ").unwrap_or_default();
        ends.extend(list.split(", ").map(str::to_owned));
    }
    let every = [
        "success",
        "exit",
        "guest-error",
        "invalid-guest-data",
        "out-of-bounds",
        "out-of-memory",
        "panic",
        "unreachable",
        "not initialised",
    ];
    for end in every {
        assert!(ends.contains(end), "no call ends with {end}: {ends:?}");
    }
}
