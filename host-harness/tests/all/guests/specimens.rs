//! Verification catches what is broken on purpose, and says where: allocators that are, and restores that forget.

use guest_build::Allocator;
use guest_host::restore::{ForgottenGlobals, FullCopy, Promise, Restore, RestoreError, Restored, Target};
use guest_host::snapshot::RegionKind;
use guest_host::{Residue, RestoreStrategy};
use host_harness::verify::{Aspect, Difference, Residual, Verdict, VerifyOptions, What, verify, verify_with};

use super::{config, load, state_of};

/// The part that a [`Forgetful`] restore leaves as it is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Forgets {
    Nothing,
    StackPointer,
    LogicalSize,
    Tail,
    Exchange,
}

/// A full copy that promises everything and forgets something.
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
        let exchange = target.regions().exchange();
        let (memory, snapshot) = target.memory();
        let saved = snapshot.memory();
        let (within, tail) = memory.split_at_mut(saved.len());
        if self.0 == Forgets::Exchange {
            within[..exchange.start].copy_from_slice(&saved[..exchange.start]);
            within[exchange.end..].copy_from_slice(&saved[exchange.end..]);
        } else {
            within.copy_from_slice(saved);
        }
        if self.0 != Forgets::Tail {
            tail.fill(0);
        }
        Ok(Restored::default())
    }

    fn forgotten_globals(&self) -> ForgottenGlobals {
        match self.0 {
            Forgets::StackPointer => ForgottenGlobals::StackPointer,
            Forgets::LogicalSize => ForgottenGlobals::LogicalSize,
            _ => ForgottenGlobals::None,
        }
    }
}

fn options(functions: &[&str], strategy: RestoreStrategy, residue: Residue) -> VerifyOptions {
    let mut options = VerifyOptions::default();
    options.config = config(strategy, residue);
    options.functions = Some(functions.iter().map(|name| (*name).to_owned()).collect());
    options.calls = 20;
    options
}

/// Verifies the adversary, restored by a full copy that forgets something.
fn forgetting(forgets: Forgets, functions: &[&str]) -> Verdict {
    let guest = load("adversary", Allocator::BumpReset);
    let options = options(functions, RestoreStrategy::FullCopy, Residue::Scrub);
    verify_with(&guest, Box::new(Forgetful(forgets)), &options, &state_of("adversary")).expect("the guest is admitted")
}

/// Functions that between them touch everything that a restore can forget.
const FUNCTIONS: [&str; 5] =
    ["do_nothing", "leave_stack_pointer", "leave_stack_pointer_seen", "leave_memory_grown", "leave_exchange_address"];

/// The first difference in a memory region, and that its message names both region and address.
fn first_in_memory(verdict: &Verdict) -> (RegionKind, u64) {
    let found = verdict.differences.iter().find_map(|difference| match difference.what {
        What::Memory { region, address, .. } => Some((region, address, difference.to_string())),
        _ => None,
    });
    let (region, address, told) = found.unwrap_or_else(|| panic!("nothing found: {verdict:?}"));
    assert!(told.contains(&format!("the {region} differs")), "{told}");
    assert!(told.contains(&format!("first at address {address:#x}")), "{told}");
    (region, address)
}

/// The first difference in a global, and that its message names it.
fn first_global(verdict: &Verdict) -> String {
    let found = verdict.differences.iter().find_map(|difference| match &difference.what {
        What::Global { name, .. } => Some((name.clone(), difference.to_string())),
        _ => None,
    });
    let (name, told) = found.unwrap_or_else(|| panic!("nothing found: {verdict:?}"));
    assert!(told.contains(&format!("global `{name}`")), "{told}");
    name
}

#[test]
fn a_restore_that_forgets_nothing_passes() {
    let verdict = forgetting(Forgets::Nothing, &FUNCTIONS);
    assert!(verdict.differences.is_empty(), "{:?}", verdict.differences);
    assert_eq!(verdict.calls, 20);
    let [failing] = verdict.never_succeeded.as_slice() else { panic!("one of the functions traps: {verdict:?}") };
    assert_eq!((failing.calls, failing.of_that_cause, verdict.passed()), (verdict.failures, verdict.failures, false));
}

#[test]
fn a_forgotten_stack_pointer_is_caught() {
    let verdict = forgetting(Forgets::StackPointer, &FUNCTIONS);
    assert_eq!(first_global(&verdict), "__stack_pointer");
    let seen = verdict.differences.iter().any(|difference| {
        difference.function == "leave_stack_pointer_seen"
            && matches!(difference.what, What::Outcome { aspect: Aspect::Intents, .. })
    });
    assert!(seen, "the guest sees it too: {:?}", verdict.differences);
}

#[test]
fn a_function_that_returns_does_not_show_a_forgotten_stack_pointer() {
    assert!(forgetting(Forgets::StackPointer, &["do_nothing", "leave_memory_grown"]).passed());
}

#[test]
fn a_forgotten_logical_size_is_caught() {
    let verdict = forgetting(Forgets::LogicalSize, &FUNCTIONS);
    assert_eq!(first_global(&verdict), "__harness_logical_pages");
}

#[test]
fn a_forgotten_tail_is_caught() {
    let guest = load("adversary", Allocator::BumpReset);
    let instance = guest
        .instantiate(&config(RestoreStrategy::FullCopy, Residue::Scrub), state_of("adversary"))
        .expect("the guest is admitted");
    let saved = instance.memory().expect("a new instance is alive").1.memory().len() as u64;
    let verdict = forgetting(Forgets::Tail, &FUNCTIONS);
    let (region, address) = first_in_memory(&verdict);
    assert_eq!(region, RegionKind::Tail);
    // The vector of 3 MiB begins in the memory that there was, so it reaches across the snapshot's end.
    assert_eq!(address, saved);
}

#[test]
fn a_forgotten_exchange_region_is_caught() {
    let verdict = forgetting(Forgets::Exchange, &FUNCTIONS);
    let (region, _) = first_in_memory(&verdict);
    assert_eq!(region, RegionKind::Exchange);
}

fn specimen(name: &str, functions: &[&str], strategy: RestoreStrategy, residue: Residue) -> Verdict {
    let guest = load(name, Allocator::System);
    verify(&guest, &options(functions, strategy, residue), &state_of(name), &mut |_| ()).expect("the guest is admitted")
}

/// The first difference in the intents, and that its message names the region in which to look for the cause, and the
/// first address there.
fn first_in_intents(verdict: &Verdict) -> (&Difference, &Residual) {
    let found = verdict
        .differences
        .iter()
        .find(|difference| matches!(difference.what, What::Outcome { aspect: Aspect::Intents, .. }))
        .unwrap_or_else(|| panic!("nothing found: {verdict:?}"));
    let residual = found.residue.first().unwrap_or_else(|| panic!("no residue: {found}"));
    let told = found.to_string();
    assert!(told.contains(&format!("residue in the {}", residual.region)), "{told}");
    assert!(told.contains(&format!("first at address {:#x}", residual.address)), "{told}");
    (found, residual)
}

#[test]
fn an_allocator_that_keeps_its_pointer_outside_of_what_is_restored_is_caught() {
    let run =
        |functions: &[&str], strategy, residue| specimen("specimen-pointer-outside", functions, strategy, residue);
    let verdict = run(&["address_of_a_box"], RestoreStrategy::BumpReset, Residue::Keep);
    let (difference, residual) = first_in_intents(&verdict);
    assert_eq!((difference.call, difference.function.as_str()), (2, "address_of_a_box"));
    // It keeps two words at address 16, in the dead part of the shadow stack; the lowest byte of the first may be
    // zero, the whole word is not.
    assert_eq!(residual.region, RegionKind::ShadowStack);
    assert!((16..20).contains(&residual.address), "{difference}");

    // Scrubbing cleans the stack no further down than its pointer went.
    let scrubbed = run(&["address_of_a_box"], RestoreStrategy::BumpReset, Residue::Scrub);
    let (region, address) = first_in_memory(&scrubbed);
    assert_eq!(region, RegionKind::ShadowStack);
    assert!((16..20).contains(&address), "{address:#x}");

    // A restore that reaches there cures it, and where nothing is allocated nothing shows.
    assert!(run(&["address_of_a_box"], RestoreStrategy::FullCopy, Residue::Keep).passed());
    assert!(run(&["address_of_a_box"], RestoreStrategy::DirtyCards, Residue::Keep).passed());
    assert!(run(&["do_nothing"], RestoreStrategy::BumpReset, Residue::Keep).passed());
}

#[test]
fn an_allocator_that_trusts_memory_to_be_zero_is_caught() {
    let run = |functions: &[&str], strategy, residue| specimen("specimen-trusts-zero", functions, strategy, residue);
    let verdict = run(&["sum_of_zeros"], RestoreStrategy::BumpReset, Residue::Keep);
    let (difference, _) = first_in_intents(&verdict);
    assert_eq!((difference.call, difference.function.as_str()), (2, "sum_of_zeros"));
    let heap = difference.residue.iter().find(|residual| residual.region == RegionKind::Heap);
    let heap = heap.unwrap_or_else(|| panic!("no residue in the heap: {difference}"));
    assert_eq!((heap.expected, heap.found), (0, 1), "{difference}");

    assert!(run(&["sum_of_zeros"], RestoreStrategy::BumpReset, Residue::Scrub).passed());
    assert!(run(&["sum_of_zeros"], RestoreStrategy::FullCopy, Residue::Keep).passed());
    assert!(run(&["do_nothing"], RestoreStrategy::BumpReset, Residue::Keep).passed());
}

#[test]
fn an_allocator_that_keeps_its_pointer_above_the_high_water_mark_is_caught() {
    let run = |strategy, residue| specimen("specimen-pointer-above", &["address_of_a_box"], strategy, residue);
    // Scrubbing goes by the high-water mark as well, so the comparison of memory finds the pointer where it is kept.
    for (strategy, residue) in [
        (RestoreStrategy::Watermark, Residue::Scrub),
        (RestoreStrategy::Watermark, Residue::Keep),
        (RestoreStrategy::BumpReset, Residue::Scrub),
    ] {
        let verdict = run(strategy, residue);
        let (_, address) = first_in_memory(&verdict);
        assert!((0x3F_FFF0..0x3F_FFF4).contains(&address), "{address:#x}");
    }
    let verdict = run(RestoreStrategy::BumpReset, Residue::Keep);
    let (difference, _) = first_in_intents(&verdict);
    assert!(difference.residue.iter().any(|residual| residual.bytes > 1000), "the box itself: {difference}");
    assert!(run(RestoreStrategy::FullCopy, Residue::Keep).passed());
}

/// A guest may write into the exchange region what it names to the host in the same call, and nothing else.
#[test]
fn a_guest_that_writes_into_the_exchange_region_what_it_does_not_name_is_caught() {
    let guest = load("specimen-writes-unnamed", Allocator::System);
    let run = |functions: &[&str], strategy, residue| {
        let options = options(functions, strategy, residue);
        verify(&guest, &options, &state_of("adversary"), &mut |_| ()).expect("the guest is admitted")
    };
    let function = ["sum_behind_a_value"];
    for (strategy, residue) in [
        (RestoreStrategy::Watermark, Residue::Scrub),
        (RestoreStrategy::Watermark, Residue::Keep),
        (RestoreStrategy::BumpReset, Residue::Scrub),
    ] {
        let verdict = run(&function, strategy, residue);
        assert_eq!(first_in_memory(&verdict).0, RegionKind::Exchange, "{strategy}, {residue}");
    }
    // Where the region may hold residue, what the guest sees of it is what shows.
    let verdict = run(&function, RestoreStrategy::BumpReset, Residue::Keep);
    let (difference, _) = first_in_intents(&verdict);
    assert!(difference.residue.iter().any(|residual| residual.region == RegionKind::Exchange), "{difference}");

    assert!(run(&function, RestoreStrategy::FullCopy, Residue::Scrub).passed());
    assert!(run(&function, RestoreStrategy::DirtyCards, Residue::Scrub).passed());
    assert!(run(&["do_nothing"], RestoreStrategy::BumpReset, Residue::Scrub).passed());
}

#[test]
fn the_allocator_that_the_specimens_break_passes() {
    let guest = load("adversary", Allocator::BumpReset);
    let functions = ["leave_leaked_vec", "leave_dirty_zeroed"];
    let options = options(&functions, RestoreStrategy::BumpReset, Residue::Keep);
    let verdict = verify(&guest, &options, &state_of("adversary"), &mut |_| ()).expect("the guest is admitted");
    assert!(verdict.passed(), "{:?}", verdict.differences);
}
