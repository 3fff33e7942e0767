//! Nothing of one call can be read in the next: canaries in every region, looked for by the host in all of physical
//! memory, and by a guest from address 0 to its end.

use std::collections::BTreeSet;

use guest_abi::storage;
use guest_build::Allocator;
use guest_host::restore::{BumpReset, Promise, Restore, Watermark};
use guest_host::snapshot::RegionKind;
use guest_host::{Cause, Guest, Instance, InstanceConfig, MemoryState, Residue, RestorePolicy, RestoreStrategy};
use guest_prepare::PrepareOptions;
use host_harness::verify::{VerifyOptions, verify};

use super::{NEVER_REACHED, SHORT, config, engine, field, instance, state_of, strategies};

/// A word of a canary, as the guest makes it.
const CANARY: [u8; 8] = [0x17; 8];

/// The functions that plant canaries, and what becomes of the call.
const PLANTS: [(&str, &str); 6] = [
    ("canary_plant", "success"),
    ("canary_plant_and_fail", "guest error"),
    ("canary_plant_and_panic", "panic"),
    ("canary_plant_and_trap", "unreachable"),
    ("canary_plant_and_spin", "deadline"),
    ("canary_plant_and_exhaust", "out of memory"),
];

fn kind(cause: &Cause) -> &'static str {
    match cause {
        Cause::GuestError { .. } => "guest error",
        Cause::Panic { .. } => "panic",
        Cause::Unreachable => "unreachable",
        Cause::DeadlineExceeded { .. } => "deadline",
        Cause::OutOfMemory { .. } => "out of memory",
        _ => "something else",
    }
}

/// A state in which everything that the guest reads while it plants is canaries: a value, and rows that come in several
/// chunks.
fn state_of_canaries() -> MemoryState {
    let mut state = state_of("adversary");
    let text = "\x17".repeat(1000);
    let put = state.put(
        storage::RECORD,
        "adversary.Canary",
        |_| (),
        |value| {
            value.put_str("Text", &text);
        },
    );
    put.expect("it is a valid record");
    for row in 0..60 {
        let key = |key: &mut guest_abi::value::ObjectEncoder<'_, Vec<u8>>| {
            key.put_i64("Id", row).put_str("Name", &text[..200]);
        };
        let put = state.put(storage::VIEW, "adversary.Canaries", key, |value| {
            value.put_str("Text", &text);
        });
        put.expect("it is a valid record");
    }
    state
}

/// A state without canaries that tells the guest where memory physically ends.
fn state_to_look(instance: &Instance) -> MemoryState {
    let end = instance.physical_pages() * u64::from(guest_abi::names::PAGE_SIZE);
    let mut state = state_of("adversary");
    let put = state.put(
        storage::COMMAND_CONTEXT,
        "",
        |_| (),
        |value| {
            value.put_i64("MemoryEnd", i64::try_from(end).expect("memory has at most 4 GiB"));
        },
    );
    put.expect("it is a valid record");
    state
}

fn plant(instance: &mut Instance, function: &str) -> &'static str {
    instance.set_state(state_of_canaries());
    match instance.invoke_by_name(function) {
        Ok(_) => "success",
        Err(failure) => kind(&failure.cause),
    }
}

/// The findings of the guest: words of canaries, and where the stack is.
fn look(instance: &mut Instance) -> (i64, i64) {
    instance.set_state(state_to_look(instance));
    let outcome = instance.invoke_by_name("canary_look").expect("it only looks");
    (field(&outcome, "Found"), field(&outcome, "Stack"))
}

/// The findings of the host: regions with words of canaries.
fn regions_with_canaries(instance: &Instance) -> BTreeSet<RegionKind> {
    let (memory, snapshot) = instance.memory().expect("it is alive");
    let words = memory.chunks_exact(8).enumerate().filter(|(_, word)| **word == CANARY);
    words.map(|(index, _)| snapshot.regions().at(8 * index)).collect()
}

/// The regions in which a strategy may leave residue, by its own promise.
fn may_hold_residue(strategy: RestoreStrategy, residue: Residue) -> BTreeSet<RegionKind> {
    let promise = |region| match strategy {
        RestoreStrategy::Watermark => Watermark.promise(region, residue),
        RestoreStrategy::BumpReset => BumpReset.promise(region, residue),
        _ => Promise::Exact,
    };
    RegionKind::ALL.into_iter().filter(|region| promise(*region) == Promise::Residue).collect()
}

fn config_for(strategy: RestoreStrategy, residue: Residue, function: &str) -> InstanceConfig {
    let mut config = config(strategy, residue);
    config.deadline = Some(if function.ends_with("spin") { SHORT } else { NEVER_REACHED });
    config
}

/// Plants canaries in every way, and compares where any are left with the regions that the strategy names.
fn canaries_are_left(allocator: Allocator, strategy: RestoreStrategy, residue: Residue) {
    let fresh = look(&mut instance("adversary", allocator, &config(strategy, residue)));
    assert_eq!(fresh.0, 0, "a fresh instance has no canaries");
    let mut expected = may_hold_residue(strategy, residue);
    // It is a word that no guest but its allocator writes, and half as long as a canary.
    expected.remove(&RegionKind::HighWater);
    for (function, outcome) in PLANTS {
        let told = format!("{allocator}, {strategy}, {residue}, `{function}`");
        let mut instance = instance("adversary", allocator, &config_for(strategy, residue, function));
        assert_eq!(plant(&mut instance, function), outcome, "{told}");
        assert_eq!(regions_with_canaries(&instance), expected, "{told}");
        let globals = instance.globals();
        assert!(!globals.is_empty(), "the shadow-stack pointer, at least");
        for (name, now, saved) in globals {
            assert_eq!(format!("{now:?}"), format!("{saved:?}"), "{told}: global {name}");
        }
        let (found, stack) = look(&mut instance);
        assert_eq!(found > 0, !expected.is_empty(), "{told}: the guest found {found} canaries");
        assert_eq!(stack, fresh.1, "{told}: the stack is where it was");
    }
}

fn no_canary_is_left(allocator: Allocator) {
    for strategy in strategies(allocator) {
        canaries_are_left(allocator, *strategy, Residue::Scrub);
    }
}

#[test]
fn leaking() {
    no_canary_is_left(Allocator::Leaking);
}

#[test]
fn bump_reset() {
    no_canary_is_left(Allocator::BumpReset);
}

#[test]
fn freelist() {
    no_canary_is_left(Allocator::Freelist);
}

#[test]
fn wee() {
    no_canary_is_left(Allocator::Wee);
}

#[test]
fn system() {
    no_canary_is_left(Allocator::System);
}

/// The regions are those that the book names, so that the promises cannot change unnoticed.
#[test]
fn what_may_be_kept_is_what_the_book_says() {
    use RegionKind::{Exchange, Heap, HighWater, ShadowStack, Tail};
    let regions = |strategy| may_hold_residue(strategy, Residue::Keep).into_iter().collect::<Vec<_>>();
    assert_eq!(regions(RestoreStrategy::BumpReset), [ShadowStack, HighWater, Exchange, Heap, Tail]);
    assert_eq!(regions(RestoreStrategy::Watermark), [ShadowStack]);
    assert_eq!(regions(RestoreStrategy::DirtyCards), []);
}

#[test]
fn kept_residue_is_left_in_every_region_that_may_hold_it_and_in_no_other() {
    for strategy in strategies(Allocator::BumpReset) {
        canaries_are_left(Allocator::BumpReset, *strategy, Residue::Keep);
    }
    canaries_are_left(Allocator::Freelist, RestoreStrategy::Watermark, Residue::Keep);
}

/// Without a restore there are canaries everywhere, so those who look can find them.
#[test]
fn without_a_restore_every_region_has_canaries() {
    let mut config = config(RestoreStrategy::FullCopy, Residue::Scrub);
    config.policy = RestorePolicy::Never;
    let mut instance = instance("adversary", Allocator::BumpReset, &config);
    assert_eq!(plant(&mut instance, "canary_plant"), "success");
    use RegionKind::{Exchange, Heap, ShadowStack, Statics, Tail};
    let found: Vec<_> = regions_with_canaries(&instance).into_iter().collect();
    assert_eq!(found, [ShadowStack, Statics, Exchange, Heap, Tail]);
    assert!(look(&mut instance).0 > 0);
}

/// A guest whose globals are of every type, with a control block like that of `alloc-bump-reset`; each call adds to all of
/// them, and `look` traps where one is not as it was.
fn guest_with_globals() -> Guest {
    let types = [("i32", "eq"), ("i64", "eq"), ("f32", "eq"), ("f64", "eq")];
    let (mut globals, mut plant, mut look) = (String::new(), String::new(), String::new());
    for (ty, equal) in types {
        globals.push_str(&format!("(global ${ty} (mut {ty}) ({ty}.const 7))"));
        plant.push_str(&format!("(global.set ${ty} ({ty}.add (global.get ${ty}) ({ty}.const 1)))"));
        look.push_str(&format!("({ty}.{equal} (global.get ${ty}) ({ty}.const 7)) i32.eqz (if (then unreachable))"));
    }
    let text = format!(
        r#"(module (@custom "guest-abi" "\01\00\00\00") (memory (export "memory") 2)
            (global $sp (export "__stack_pointer") (mut i32) (i32.const 8192)) {globals}
            (global $v128 (mut v128) (v128.const i64x2 7 7))
            (global (export "__heap_base") i32 (i32.const 9216)) (global (export "__data_end") i32 (i32.const 9216))
            (global (export "__allocator_control_block") i32 (i32.const 8192))
            (data (i32.const 8192) "CBLK\01\00\02\00\00\24\00\00\00\28\00\00\00\00\00\00\00\00\02\00")
            (func (export "__guest_exchange") (param i32) (result i32) (i32.const 9216))
            (func $plant {plant} (global.set $v128 (v128.const i64x2 1 2)) (global.set $sp (i32.const 4096)))
            (func (export "plant") (result i64) (call $plant) (i64.const 0))
            (func (export "plant_and_trap") (result i64) (call $plant) unreachable)
            (func (export "look") (result i64) {look}
                (if (i32.ne (global.get $sp) (i32.const 8192)) (then unreachable))
                (if (v128.any_true (v128.xor (global.get $v128) (v128.const i64x2 7 7))) (then unreachable))
                (i64.const 0)))"#
    );
    let wasm = wat::parse_str(text).expect("it is a module");
    Guest::load(engine(), "globals", &wasm, PrepareOptions::default()).expect("it is admitted")
}

#[test]
fn globals_of_every_type_are_as_they_were() {
    let guest = guest_with_globals();
    let instance = |strategy, residue, policy| {
        let mut config = config(strategy, residue);
        config.policy = policy;
        config.exchange_size = Some(1024);
        guest.instantiate(&config, MemoryState::new()).expect("the guest serves every strategy")
    };
    for strategy in RestoreStrategy::ALL {
        for residue in super::RESIDUES {
            let mut instance = instance(strategy, residue, RestorePolicy::EveryCall);
            for function in ["plant", "plant_and_trap"] {
                assert_eq!(instance.invoke_by_name(function).is_ok(), function == "plant");
                assert!(instance.invoke_by_name("look").is_ok(), "{strategy}, {residue}, after `{function}`");
            }
        }
    }
    let mut unrestored = instance(RestoreStrategy::FullCopy, Residue::Scrub, RestorePolicy::Never);
    assert!(unrestored.invoke_by_name("plant").is_ok());
    assert!(unrestored.invoke_by_name("look").is_err());
}

/// Bytes that the restore after a call of this function wrote.
fn restored_bytes(strategy: RestoreStrategy, residue: Residue, function: &str) -> u64 {
    let mut instance = instance("adversary", Allocator::BumpReset, &config(strategy, residue));
    // The first call may grow memory.
    let _ = instance.invoke_by_name(function);
    let _ = instance.invoke_by_name(function);
    instance.last_stats().restored_bytes.expect("it is restored in place")
}

#[test]
fn what_is_scrubbed_is_what_was_used() {
    const BELOW_THE_POINTER: u64 = 128;
    let made = instance("adversary", Allocator::BumpReset, &config(RestoreStrategy::BumpReset, Residue::Scrub));
    let regions = made.memory().expect("it is alive").1.regions().clone();
    let (stack, exchange) = (regions.shadow_stack().len() as u64, regions.exchange().len() as u64);
    for strategy in [RestoreStrategy::Watermark, RestoreStrategy::BumpReset] {
        let [scrub, keep] =
            [Residue::Scrub, Residue::Keep].map(|residue| restored_bytes(strategy, residue, "do_nothing"));
        assert_eq!(scrub, keep + BELOW_THE_POINTER, "{strategy}");
        // Sixteen frames of a kilobyte, which the compiler may have twice in each.
        let deep = restored_bytes(strategy, Residue::Scrub, "leave_deep_stack") - scrub;
        assert!((16 << 10..36 << 10).contains(&deep), "{strategy}: {deep}");
        let failed = restored_bytes(strategy, Residue::Scrub, "fail_division");
        assert!(failed >= keep + stack + exchange, "{strategy}: {failed}");
    }
}

#[test]
fn verification_reports_what_was_left_in_each_region() {
    let mut options = VerifyOptions::default();
    options.config = config(RestoreStrategy::BumpReset, Residue::Keep);
    options.functions = Some(vec!["canary_plant".to_owned()]);
    options.calls = 3;
    let guest = super::load("adversary", Allocator::BumpReset);
    let verdict = verify(&guest, &options, &state_of_canaries(), &mut |_| ()).expect("the guest is admitted");
    assert!(verdict.passed(), "{:?}", verdict.differences);
    let left = verdict.regions.iter().map(|found| (found.region, found.promise, found.restores, found.bytes > 0));
    use RegionKind::{ControlBlock, Exchange, Heap, HighWater, ShadowStack, Statics, Tail};
    assert_eq!(
        left.collect::<Vec<_>>(),
        [
            (ShadowStack, Promise::Residue, 3, true),
            (Statics, Promise::Exact, 0, false),
            (ControlBlock, Promise::Exact, 0, false),
            (HighWater, Promise::Residue, 3, true),
            (Exchange, Promise::Residue, 3, true),
            (Heap, Promise::Residue, 3, true),
            (Tail, Promise::Residue, 3, true),
        ]
    );
}

/// Under a lazy policy what several calls used is cleaned at once.
#[test]
fn what_several_calls_used_is_cleaned_by_one_restore() {
    for strategy in [RestoreStrategy::Watermark, RestoreStrategy::BumpReset] {
        let mut config = config(strategy, Residue::Scrub);
        config.policy = RestorePolicy::OnError;
        let mut instance = instance("adversary", Allocator::BumpReset, &config);
        assert_eq!(plant(&mut instance, "canary_plant"), "success");
        for function in ["do_nothing", "leave_static", "leave_exchange_address"] {
            instance.invoke_by_name(function).expect("it succeeds");
        }
        assert!(!regions_with_canaries(&instance).is_empty(), "nothing was restored");
        assert!(instance.restore().expect("it can be restored").is_some(), "in place");
        assert_eq!(regions_with_canaries(&instance), BTreeSet::new(), "{strategy}");
    }
}
