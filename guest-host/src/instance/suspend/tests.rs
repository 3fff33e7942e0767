//! Suspending and resuming modules that are written for it. `fuzz` compares random guests with and without suspensions.

use std::sync::Arc;

use guest_image::CARD;

use super::*;
use crate::{
    Cause, Engine, EngineConfig, InstanceConfig, MemoryState, PrepareOptions, Residue, RestorePolicy, RestoreStrategy,
};

/// A program: it counts in a global, keeps bytes in memory, grows, and fails.
const PROGRAM: &str = r#"(module
    (memory (export "memory") 1 4)
    (global $count (mut i64) (i64.const 0))
    (global $vector (mut v128) (v128.const i64x2 0 0))
    (global $half (mut f32) (f32.const 0.5))
    (func (export "count") (result i64)
        (global.set $count (i64.add (global.get $count) (i64.const 1)))
        (global.set $vector (i64x2.splat (global.get $count)))
        (global.set $half (f32.mul (global.get $half) (f32.const -1)))
        (global.get $count))
    (func (export "keep") (param $at i32) (param $byte i32) (i32.store8 (local.get $at) (local.get $byte)))
    (func (export "kept") (param $at i32) (result i32) (i32.load8_u (local.get $at)))
    (func (export "grow") (result i32) (memory.grow (i32.const 1)))
    (func (export "pages") (result i32) (memory.size))
    (func (export "fail") (global.set $count (i64.const 99)) (i32.store8 (i32.const 5) (i32.const 5)) (unreachable)))"#;

fn guest(text: &str) -> Guest {
    let engine = Engine::new(&EngineConfig::default()).unwrap();
    Guest::load(&engine, "test", &wat::parse_str(text).unwrap(), PrepareOptions::default()).unwrap()
}

fn config(strategy: RestoreStrategy) -> InstanceConfig {
    InstanceConfig::default().with_strategy(strategy).with_policy(RestorePolicy::OnError)
}

fn instance(guest: &Guest, config: &InstanceConfig) -> Instance {
    guest.instantiate(config, MemoryState::new()).unwrap()
}

/// Calls a function with arguments of 32 bits, and returns the bits of its result.
fn call(instance: &mut Instance, name: &str, arguments: &[u32]) -> Result<u64, Cause> {
    let function = instance.guest().export(name).unwrap();
    let mut slots: Vec<_> = arguments.iter().map(|value| wasmtime::ValRaw::u32(*value)).collect();
    slots.resize(arguments.len().max(1), wasmtime::ValRaw::u64(0));
    let called = instance.call_with(function, |call| {
        call.call(&mut slots)?;
        Ok(slots[0].get_u64())
    });
    called.map_err(|failure| failure.cause)
}

const IN_PLACE: [RestoreStrategy; 2] = [RestoreStrategy::FullCopy, RestoreStrategy::DirtyCards];

#[test]
fn an_instance_goes_on_where_another_stopped() {
    let guest = guest(PROGRAM);
    for strategy in IN_PLACE {
        let mut one = instance(&guest, &config(strategy));
        let mut other = instance(&guest, &config(strategy));
        let pristine = one.suspend().unwrap();
        assert_eq!(pristine, Delta::pristine(one.identity().unwrap(), 1 << 16));

        assert_eq!(call(&mut one, "count", &[]).unwrap(), 1);
        call(&mut one, "keep", &[1000, 7]).unwrap();
        call(&mut one, "keep", &[60_000, 8]).unwrap();
        assert_eq!(call(&mut one, "grow", &[]).unwrap(), 1);
        call(&mut one, "keep", &[70_000, 9]).unwrap();
        let asleep = one.suspend().unwrap();
        assert!(one.is_pristine());
        assert_eq!((asleep.memory_size, asleep.cards.len(), asleep.globals.len()), (2 << 16, 3, 3));
        assert_eq!(one.delta().unwrap(), pristine, "nothing of it is left");

        other.resume(&asleep).unwrap();
        assert_eq!(call(&mut other, "pages", &[]).unwrap(), 2);
        assert_eq!(call(&mut other, "count", &[]).unwrap(), 2);
        for (at, byte) in [(1000, 7), (60_000, 8), (70_000, 9), (70_001, 0)] {
            assert_eq!(call(&mut other, "kept", &[at]).unwrap() & 0xff, byte, "{at}");
        }
        // The first instance resumes an older state, as if the other had not gone on.
        one.resume(&asleep).unwrap();
        assert_eq!(one.delta().unwrap(), asleep);
        one.resume(&pristine).unwrap();
        assert_eq!(call(&mut one, "count", &[]).unwrap(), 1);
        assert_eq!(call(&mut one, "pages", &[]).unwrap(), 1);
    }
}

#[test]
fn images_of_one_strategy_are_those_of_another() {
    let guest = guest(PROGRAM);
    let mut deltas = IN_PLACE.map(|strategy| {
        let mut instance = instance(&guest, &config(strategy));
        call(&mut instance, "keep", &[1000, 7]).unwrap();
        instance.suspend().unwrap()
    });
    assert_eq!(deltas[0], deltas[1]);
    let [full, cards] = &mut deltas;
    instance(&guest, &config(RestoreStrategy::DirtyCards)).resume(full).unwrap();
    instance(&guest, &config(RestoreStrategy::FullCopy)).resume(cards).unwrap();
}

#[test]
fn a_call_that_fails_can_be_undone() {
    let guest = guest(PROGRAM);
    let mut instance = instance(&guest, &config(RestoreStrategy::DirtyCards));
    call(&mut instance, "count", &[]).unwrap();
    let before = instance.delta().unwrap();
    assert!(matches!(call(&mut instance, "fail", &[]), Err(Cause::Unreachable)));
    assert!(instance.is_pristine(), "it is restored to the snapshot, and not to the image");
    instance.resume(&before).unwrap();
    assert_eq!(instance.delta().unwrap(), before);
    assert_eq!(call(&mut instance, "count", &[]).unwrap(), 2);
}

#[test]
fn one_call_can_be_made_from_an_image() {
    let guest = guest(PROGRAM);
    let mut instance = instance(&guest, &config(RestoreStrategy::DirtyCards).with_policy(RestorePolicy::EveryCall));
    let mut image = instance.delta().unwrap();
    image.globals.push((0, GlobalValue::I64(41)));
    for _ in 0..2 {
        instance.resume(&image).unwrap();
        assert_eq!(call(&mut instance, "count", &[]).unwrap(), 42);
        assert!(instance.is_pristine());
        assert_eq!(call(&mut instance, "count", &[]).unwrap(), 1);
    }
}

#[test]
fn what_ran_out_of_memory_is_not_tried_again_from_the_snapshot() {
    let guest = guest(
        r#"(module (memory (export "memory") 1)
            (global $runs (mut i32) (i32.const 0))
            (func (export "run") (result i32)
                (global.set $runs (i32.add (global.get $runs) (i32.const 1)))
                (if (i32.eq (memory.grow (i32.const 5)) (i32.const -1)) (then unreachable))
                (global.get $runs)))"#,
    );
    let config = config(RestoreStrategy::FullCopy).with_memory_limit(2 << 16);
    for resumes in [false, true] {
        let mut instance = instance(&guest, &config);
        if resumes {
            let pristine = instance.delta().unwrap();
            instance.resume(&pristine).unwrap();
        }
        let function = guest.export("run").unwrap();
        let failure = instance.call_with(function, |call| call.call(&mut [wasmtime::ValRaw::i32(0)])).unwrap_err();
        assert!(matches!(failure.cause, Cause::OutOfMemory { .. }), "{failure}");
        assert_eq!(failure.retried, !resumes);
    }
}

#[test]
fn an_image_of_another_instance_is_refused_and_changes_nothing() {
    let guest = guest(PROGRAM);
    let mut subject = instance(&guest, &config(RestoreStrategy::DirtyCards));
    let pristine = subject.delta().unwrap();
    let mut refused = |change: &dyn Fn(&mut Delta)| {
        let mut image = pristine.clone();
        change(&mut image);
        let error = subject.resume(&image).unwrap_err();
        assert_eq!(subject.delta().unwrap(), pristine, "{error}");
        error.to_string()
    };
    let other = |module: u8, snapshot: u8| Arc::new(Identity { module: [module; 32], snapshot: [snapshot; 32] });
    let own = guest.hash();
    assert!(refused(&|image| image.identity = other(1, 1)).contains("of the module 0101010101010101, and not of"));
    let began_otherwise = Arc::new(Identity { module: own, snapshot: [1; 32] });
    assert!(refused(&|image| image.identity = began_otherwise.clone()).contains("began otherwise"));
    assert!(refused(&|image| image.memory_size = 0).contains("smaller than that of the snapshot"));
    assert!(refused(&|image| image.memory_size = 5000).contains("whole pages"));
    assert!(refused(&|image| image.memory_size = 1 << 32).contains("the instance may have 134217728"));
    assert!(refused(&|image| image.memory_size = 5 << 16).contains("the image has a memory of 327680 bytes"));
    assert!(refused(&|image| image.cards.push(256, &[1; CARD])).contains("behind the end"));
    let global = |number, value| move |image: &mut Delta| image.globals = vec![(number, value)];
    let missing = "a global that the module does not have";
    assert!(refused(&global(0, GlobalValue::I32(1))).contains(missing), "of another type");
    // The one behind the guest's own is the logical size.
    assert!(refused(&global(3, GlobalValue::I32(1))).contains(missing));
    assert!(refused(&global(9, GlobalValue::I32(1))).contains(missing));
}

#[test]
fn an_image_that_is_larger_than_the_limit_is_refused() {
    let guest = guest(PROGRAM);
    let mut one = instance(&guest, &config(RestoreStrategy::DirtyCards));
    call(&mut one, "grow", &[]).unwrap();
    let image = one.suspend().unwrap();
    let small = config(RestoreStrategy::DirtyCards).with_memory_limit(1 << 16);
    let mut other = instance(&guest, &small);
    let error = other.resume(&image).unwrap_err();
    assert!(matches!(error, ResumeError::MemoryLimit { needed: 131_072, limit: 65_536 }), "{error}");
    assert!(other.is_pristine());
}

#[test]
fn a_rebased_image_is_resumed_where_instances_begin_otherwise() {
    // Its first bytes are those of its arguments.
    let text = |start: &str| {
        format!(
            r#"(module (memory (export "memory") 1) (data (i32.const 16) "{start}")
                (func (export "keep") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
                (func (export "kept") (param i32) (result i32) (i32.load8_u (local.get 0))))"#
        )
    };
    let guest = guest(&text("a"));
    let mut one = instance(&guest, &config(RestoreStrategy::DirtyCards));
    call(&mut one, "keep", &[300, 3]).unwrap();
    let base = one.base().unwrap();
    let image = one.suspend().unwrap();
    // As a host would have it that prepares the module otherwise.
    let mut memory = base.memory.clone();
    memory[5000] = 50;
    let old = Base::new(guest.hash(), base.contract.clone(), memory, base.globals.clone());
    let mut from_old = image.clone();
    from_old.identity = old.identity.clone();
    assert!(one.resume(&from_old).is_err());
    one.resume(&from_old.rebase(&old, &base).unwrap()).unwrap();
    assert_eq!(call(&mut one, "kept", &[300]).unwrap() & 0xff, 3);
    assert_eq!(call(&mut one, "kept", &[5000]).unwrap() & 0xff, 50);
}

#[test]
fn instances_that_have_no_snapshot_or_keep_residue_are_not_suspended() {
    let plain = guest(PROGRAM);
    let mut replaced = instance(&plain, &config(RestoreStrategy::Reinstantiate));
    assert_eq!(replaced.suspend().unwrap_err(), SuspendError::NotInPlace);
    let keeps = config(RestoreStrategy::FullCopy).with_residue(Residue::Keep);
    assert!(instance(&plain, &keeps).suspend().is_ok(), "it puts each byte back all the same");
}
