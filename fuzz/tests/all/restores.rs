//! The target `restores` catches a restore that forgets something.

use fuzz::modules::random_bytes;
use fuzz::restores::{run_with, stores};
use guest_host::Residue;
use guest_host::restore::{ForgottenGlobals, FullCopy, Promise, Restore, RestoreError, Restored, Target};
use guest_host::snapshot::RegionKind;

/// What a [`Forgetful`] restore leaves as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Forgets {
    Nothing,
    Memory,
    SomeStatics,
    Tail,
    Globals,
    LogicalSize,
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
        let (within, tail) = memory.split_at_mut(snapshot.memory().len());
        let saved = snapshot.memory();
        let forgotten = match self.0 {
            Forgets::Memory => 0..within.len(),
            Forgets::SomeStatics => 6_000..6_064,
            _ => 0..0,
        };
        within[..forgotten.start].copy_from_slice(&saved[..forgotten.start]);
        within[forgotten.end..].copy_from_slice(&saved[forgotten.end..]);
        if self.0 != Forgets::Tail {
            tail.fill(0);
        }
        Ok(Restored::default())
    }

    fn forgotten_globals(&self) -> ForgottenGlobals {
        match self.0 {
            Forgets::Globals => ForgottenGlobals::Own,
            Forgets::LogicalSize => ForgottenGlobals::LogicalSize,
            _ => ForgottenGlobals::None,
        }
    }
}

fn first_caught(forgets: Forgets) -> Option<(u64, String)> {
    (0..600).find_map(|seed| {
        let caught = run_with(&random_bytes(seed, 1_500), &|| Box::new(Forgetful(forgets)));
        caught.err().map(|wrong| (seed, wrong))
    })
}

#[test]
fn a_restore_that_forgets_something_is_caught() {
    use Forgets::{Globals, LogicalSize, Memory, SomeStatics, Tail};
    for forgets in [Memory, SomeStatics, Tail, Globals, LogicalSize] {
        assert!(first_caught(forgets).is_some(), "{forgets:?}");
    }
}

#[test]
fn one_that_forgets_nothing_is_not() {
    assert_eq!(first_caught(Forgets::Nothing), None);
}

#[test]
fn its_guests_have_stores_of_which_every_kind_of_mark_is_left_out() {
    let (mut constants, mut repeated, mut frames, mut marked) = (0, 0, 0, 0);
    for stores in (0..200).filter_map(|seed| stores(&random_bytes(seed, 1_500))) {
        constants += stores.constants;
        repeated += stores.repeated;
        frames += stores.frames;
        marked += stores.marked;
    }
    assert!(constants > 20 && repeated > 20 && frames > 20 && marked > 20, "{constants} {repeated} {frames} {marked}");
}
