//! The same extension on both contracts: every function leaves the same, or fails for the same reason.

use std::collections::BTreeMap;

use guest_abi::storage;
use guest_abi::value::{ObjectEncoder, ValueRef};
use guest_build::Allocator;
use guest_host::{Cause, Guest, Instance, LoadError, MemoryState, Residue, RestorePolicy, RestoreStrategy, StartError};
use guest_prepare::PrepareOptions;

use super::{MEMORY, config, engine, instance, named_module, state_of, strategies};

/// The result of a call, in terms that both contracts have.
type Left = Result<(Vec<Intent>, Vec<String>), String>;

/// Operation, storage and entity, the fields of the key, and those of the value.
type Intent = (&'static str, String, String, Fields, Fields);

/// Scalars by their names, as their bytes.
type Fields = BTreeMap<String, Vec<u8>>;

fn fields(object: ValueRef<'_>) -> Fields {
    let mut fields = Fields::new();
    for field in object.fields().expect("the harness has checked it") {
        let (name, value) = field.expect("the harness has checked it");
        let bytes = value.exact_bytes().expect("the harness has checked it");
        assert_eq!(fields.insert(name.to_owned(), bytes.to_vec()), None, "the field {name} is there twice");
    }
    fields
}

fn call(instance: &mut Instance, function: &str, is_native: bool) -> Left {
    match instance.invoke_by_name(function) {
        Ok(outcome) => {
            let intents = outcome.intents().map(|intent| {
                let intent = intent.expect("the harness has checked it");
                let key = intent.key;
                let (storage, entity) = (key.storage.to_owned(), key.entity.to_owned());
                (intent.operation.name(), storage, entity, fields(key.object()), fields(intent.value))
            });
            let intents = intents.collect();
            let lines = if is_native {
                outcome.log().map(|(level, text)| format!("{level}: {text}")).collect()
            } else {
                let output = std::str::from_utf8(outcome.output()).expect("log lines are text");
                output.lines().map(str::to_owned).collect()
            };
            Ok((intents, lines))
        }
        Err(failure) => Err(match failure.cause {
            Cause::GuestError { code, message } => format!("error {}: {message}", code.number()),
            Cause::Panic { message, location: Some(location) } => format!("{message} at {location}"),
            Cause::Panic { message, location: None } => message,
            other => panic!("`{function}` failed in a way of which no extension is the cause: {other}"),
        }),
    }
}

pub(crate) fn exttinygo(guest: &str, allocator: Allocator) -> Guest {
    let name = format!("{guest}-{allocator}-exttinygo");
    Guest::load(engine(), &name, &named_module(&name), PrepareOptions::default()).expect("a built guest is admitted")
}

/// Every function, several times over, on both contracts.
fn both(
    guest: &str,
    allocator: Allocator,
    strategy: RestoreStrategy,
    residue: Residue,
    policy: RestorePolicy,
) -> usize {
    let mut config = config(strategy, residue);
    config.policy = policy;
    let mut native = instance(guest, allocator, &config);
    let other = exttinygo(guest, allocator);
    let mut other = other.instantiate(&config, state_of(guest)).expect("the guest serves the strategy");
    let mut functions = native.guest().functions().to_vec();
    let mut others = other.guest().functions().to_vec();
    functions.sort();
    others.sort();
    assert_eq!(functions, others);
    let mut failed = 0;
    for round in 0..3 {
        for function in &functions {
            let (left, left_there) = (call(&mut native, function, true), call(&mut other, function, false));
            assert_eq!(left_there, left, "{guest}-{allocator}, {strategy}, `{function}` in round {round}");
            failed += usize::from(left.is_err());
        }
    }
    failed
}

#[test]
fn the_sample_guest_leaves_the_same_with_every_allocator_and_strategy() {
    for allocator in Allocator::ALL {
        for strategy in strategies(allocator) {
            let failed = both("shop", allocator, *strategy, Residue::Scrub, RestorePolicy::EveryCall);
            assert_eq!(failed, 0, "its state has all that it needs");
        }
    }
}

#[test]
fn every_kind_of_value_and_every_way_to_fail_is_the_same() {
    for allocator in [Allocator::System, Allocator::Leaking] {
        for policy in [RestorePolicy::EveryCall, RestorePolicy::OnError] {
            let failed = both("conformance", allocator, RestoreStrategy::DirtyCards, Residue::Scrub, policy);
            assert_eq!(failed, 3 * 11, "those whose names say so fail");
        }
    }
}

#[test]
fn a_decimal_of_the_state_file_is_the_nearest_f32_on_both_contracts() {
    let config = config(RestoreStrategy::FullCopy, Residue::Scrub);
    let mut native = instance("conformance", Allocator::Leaking, &config);
    let mut other = exttinygo("conformance", Allocator::Leaking).instantiate(&config, state_of("conformance")).unwrap();
    for (instance, is_native) in [(&mut native, true), (&mut other, false)] {
        let (intents, _) = call(instance, "by_name", is_native).unwrap();
        let [(_, _, _, key, value)] = intents.as_slice() else { panic!("{intents:?}") };
        for fields in [key, value] {
            assert_eq!(fields["Float32"], [&[0xFA][..], &1.1_f32.to_be_bytes()].concat());
        }
    }
}

#[test]
fn a_state_without_records_ends_the_sample_guest_in_the_same_way() {
    let config = config(RestoreStrategy::DirtyCards, Residue::Scrub);
    let mut native = super::load("shop", Allocator::Leaking).instantiate(&config, MemoryState::new()).unwrap();
    let mut other = exttinygo("shop", Allocator::Leaking).instantiate(&config, MemoryState::new()).unwrap();
    for function in ["new_order", "calc_ordered_items", "send_mail"] {
        let left = call(&mut native, function, true);
        assert!(left.is_err(), "{function}");
        assert_eq!(call(&mut other, function, false), left, "{function}");
    }
}

#[test]
fn a_hook_that_fails_is_no_start() {
    let cause = |name: &str| {
        let guest =
            Guest::load(engine(), name, &named_module(name), PrepareOptions::default()).expect("it is admitted");
        match guest.instantiate(&config(RestoreStrategy::FullCopy, Residue::Scrub), MemoryState::new()) {
            Err(LoadError::Start(StartError::Initialise(failure))) => (failure.function, failure.cause),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it has started"),
        }
    };
    let (function, native) = cause("specimen-fails-to-start-system");
    assert!(matches!(native, Cause::GuestError { code, ref message }
        if function == "__guest_init" && code.number() == 1042 && message == "there is nothing to start with"));
    let (function, other) = cause("specimen-fails-to-start-system-exttinygo");
    assert_eq!(function, "_start");
    assert!(
        matches!(other, Cause::Panic { ref message, .. } if message == "error 1042: there is nothing to start with"),
        "{other}"
    );
}

#[test]
fn memory_that_runs_out_is_said_in_the_words_that_hosts_know() {
    let config = config(RestoreStrategy::DirtyCards, Residue::Scrub);
    for allocator in Allocator::ALL {
        let mut state = MemoryState::new();
        let more_than_there_is = |event: &mut ObjectEncoder<'_, Vec<u8>>| {
            event.put_i64("Bytes", 2 * i64::try_from(MEMORY).expect("it is little"));
        };
        state.put(storage::EVENT, "", |_| {}, more_than_there_is).expect("it is a record");
        let mut instance = exttinygo("bench", allocator).instantiate(&config, state).expect("it starts");
        let cause = instance.invoke_by_name("fill_heap").expect_err("it needs more than there is").cause;
        assert!(matches!(cause, Cause::OutOfMemory { .. }), "{allocator}: {cause}");
        let line: &[u8] = match allocator {
            // Rust's default allocator is not the SDK's to speak for.
            Allocator::System => b"",
            _ => b"panic: runtime error: out of memory\n",
        };
        assert_eq!(instance.last_output(), line, "{allocator}");
    }
}

#[test]
fn the_guest_counts_what_its_host_asks_for() {
    let config = config(RestoreStrategy::DirtyCards, Residue::Scrub);
    let mut native = instance("shop", Allocator::Leaking, &config);
    let mut other = exttinygo("shop", Allocator::Leaking).instantiate(&config, state_of("shop")).unwrap();
    for function in ["calc_ordered_items", "send_mail", "new_order", "count_up"] {
        let count = |instance: &mut Instance| {
            let outcome = instance.invoke_by_name(function).expect("the state has all that it needs");
            let counted = outcome.stats().allocations.expect("the allocator counts");
            (counted.source, counted.allocations, counted.reallocations, counted.allocated_bytes, counted.freed_bytes)
        };
        let (left, left_there) = (count(&mut native), count(&mut other));
        assert_eq!(left_there, left, "`{function}`: the SDK takes nothing from the heap on either contract");
    }
}
