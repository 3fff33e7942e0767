//! The oracle of suspended instances on random guests: an instance that is suspended between calls, written as bytes or as a
//! change, and resumed on another instance, gives the outcomes of one that is never suspended, and its memory and
//! globals are those of the latter.

use std::collections::BTreeSet;

use guest_host::guest_image::Delta;
use guest_host::{Residue, RestorePolicy, RestoreStrategy};
use host_harness::verify::{Sleep, Sleeper};

use crate::restores::{Case, STACK_OVERFLOW, Seen};

/// A fault that a specimen puts into a delta before it is resumed.
pub type Break = fn(&mut Delta);

/// Runs the guest and the calls that the input describes, with suspensions in between.
///
/// # Errors
/// The first difference from the instance that is never suspended.
pub fn run(input: &[u8]) -> Result<String, String> {
    run_with(input, |_| {})
}

/// The same with a delta that is broken before it is resumed.
///
/// # Errors
/// As for [`run`].
pub fn run_with(input: &[u8], broken: Break) -> Result<String, String> {
    let mut case = match Case::read(input) {
        Ok(case) if case.guest.admission().full_copy().is_ok() => case,
        Ok(_) => return Ok("not restored in place".to_owned()),
        Err(none) => return Ok(none),
    };
    case.config.policy = RestorePolicy::Never;
    // Random guests read anything, so everything has to be in the image.
    case.config.residue = Residue::Keep;
    let mut ends = BTreeSet::new();
    for strategy in [RestoreStrategy::FullCopy, RestoreStrategy::DirtyCards] {
        ends.extend(check(&case, strategy, choices(input), broken).map_err(|wrong| format!("{strategy}: {wrong}"))?);
    }
    let ends: Vec<&str> = ends.into_iter().collect();
    Ok(format!("{}: {}", case.told(), ends.join(", ")))
}

/// Where the instance is suspended, and how: numbers that depend on all of the input.
fn choices(input: &[u8]) -> impl Iterator<Item = u64> {
    let seed = input
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    std::iter::successors(Some(seed), |last| {
        Some(last.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    })
    .map(|number| number >> 40)
}

fn check(
    case: &Case,
    strategy: RestoreStrategy,
    mut choices: impl Iterator<Item = u64>,
    broken: Break,
) -> Result<BTreeSet<&'static str>, String> {
    let mut ends = BTreeSet::new();
    let instance = || case.instance(strategy, None);
    let (Some(mut awake), Some(one), Some(other)) = (instance()?, instance()?, instance()?) else {
        return Ok(BTreeSet::from(["not initialised"]));
    };
    let mut sleeper = Sleeper::new([one, other]);
    // Only an instance that goes on from an image is not called once more from the snapshot when it ran out of memory.
    for instance in [&mut awake, sleeper.instance()] {
        let pristine = instance.delta().map_err(|error| error.to_string())?;
        instance.resume(&pristine).map_err(|error| error.to_string())?;
    }
    let functions = case.guest.functions();
    // Twice, so that there is more for a sequence to build on.
    for (number, call) in case.calls.iter().chain(&case.calls).enumerate() {
        let function = functions[call % functions.len()].clone();
        let told = |wrong: String| format!("call {number} of `{function}`: {wrong}");
        if choices.next().is_some_and(|choice| choice % 3 > 0) {
            let how = Sleep::of_bits(choices.next().unwrap_or_default());
            let delta = sleeper.sleep(how, |_, delta| broken(delta)).map_err(told)?;
            let awake = awake.delta().map_err(|error| told(error.to_string()))?;
            if awake != delta {
                return Err(told(differences(&awake, &delta)));
            }
            ends.insert(if delta.cards.is_empty() { "slept without cards" } else { "slept" });
        }
        let sleeping = sleeper.instance();
        let physical = (awake.physical_pages(), sleeping.physical_pages());
        let (expected, found) = (Seen::of(&mut awake, &function), Seen::of(sleeping, &function));
        ends.insert(expected.result.as_ref().map_or_else(|(kind, _)| *kind, |()| "success"));
        // Where the native stack ends depends on the compiled code, and behind the logical end of memory one of the two may have
        // zeros where the other traps. From there on their states differ.
        let by_chance = |seen: &Seen| seen.is(STACK_OVERFLOW) || physical.0 != physical.1 && seen.is("out-of-bounds");
        if by_chance(&expected) || by_chance(&found) {
            ends.insert("left to chance");
            break;
        }
        expected.compare(&found).map_err(told)?;
    }
    Ok(ends)
}

fn differences(awake: &Delta, slept: &Delta) -> String {
    if awake.memory_size != slept.memory_size {
        return format!("{} bytes of memory instead of {}", slept.memory_size, awake.memory_size);
    }
    if awake.globals != slept.globals {
        return format!("globals {:?} instead of {:?}", slept.globals, awake.globals);
    }
    let cards = |delta: &Delta| delta.cards.iter().map(|(at, bytes)| (at, bytes.len())).collect::<Vec<_>>();
    format!("cards {:?} instead of {:?}, or other bytes", cards(slept), cards(awake))
}
