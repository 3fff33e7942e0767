//! After a restore nothing on the host's side may point into the old memory.

use guest_host::{Cause, Instance, InstanceConfig, InvalidData, RestorePolicy, RestoreStrategy};

use super::{Source, guest, load, state};

const STRATEGIES: [RestoreStrategy; 3] =
    [RestoreStrategy::DirtyCards, RestoreStrategy::FullCopy, RestoreStrategy::Reinstantiate];

/// `asks` has the host take further buffers; `allocates` fills what `malloc` gives it, asks for more than the first
/// buffer holds, and says how many of its own bytes are others now; `keeps` keeps a handle, `uses` uses it; `handle`
/// says which handle it was given.
fn guest_of_buffers() -> Vec<u8> {
    guest(|source| {
        let customer = |source: &Source| {
            let key = source.key("sys.Record", "shop.Customer");
            let id = source.text("Id");
            format!(
                "(local.set $key {key}) (call $hostRowWriterPutInt64 (local.get $key) (i32.const 0) {id} (i64.const 7))
                 (local.set $value (call $hostGetValue (local.get $key)))"
            )
        };
        // 6 bytes each time, so that some hundred of them fill the first buffer and several further ones.
        let ask = |source: &Source| {
            let name = source.text("Name");
            format!(
                "(local.set $count (i32.const 600)) (loop $again (drop (call $hostValueAsString (local.get $value) {name}))
                 (local.set $count (i32.sub (local.get $count) (i32.const 1))) (br_if $again (local.get $count)))"
            )
        };
        format!(
            r#"(global $kept (mut i64) (i64.const 0))
               (func (export "asks") (local $key i64) (local $value i64) (local $count i32) {} {})
               (func (export "allocates") (local $key i64) (local $value i64) (local $count i32) (local $mine i32) {}
                 (local.set $mine (call $malloc (i32.const 5000)))
                 (memory.fill (local.get $mine) (i32.const 0xAA) (i32.const 5000))
                 {}
                 (local.set $count (i32.const 5000)) (local.set $key (i64.const 0))
                 (loop $again (local.set $count (i32.sub (local.get $count) (i32.const 1)))
                   (if (i32.ne (i32.load8_u (i32.add (local.get $mine) (local.get $count))) (i32.const 0xAA))
                     (then (local.set $key (i64.add (local.get $key) (i64.const 1)))))
                   (br_if $again (local.get $count)))
                 (call $hostRowWriterPutInt64 {} (i32.const 1) {} (local.get $key)))
               (func (export "keeps") (local $key i64) (local $value i64) {} (global.set $kept (local.get $value)))
               (func (export "keeps_intent") (global.set $kept {}))
               (func (export "uses") (drop (call $hostValueAsInt32 (global.get $kept) {})))
               (func (export "updates") (drop (call $hostUpdateValue {} (global.get $kept))))
               (func (export "puts") (call $hostRowWriterPutInt32 (global.get $kept) (i32.const 1) {} (i32.const 1)))
               (func (export "handle") (local $key i64) (local.set $key {})
                 (call $hostRowWriterPutInt64 {} (i32.const 1) {} (local.get $key)))"#,
            customer(source),
            ask(source),
            customer(source),
            ask(source),
            source.seen(),
            source.text("changed"),
            customer(source),
            source.seen(),
            source.text("Age"),
            source.key("sys.View", "a.B"),
            source.text("x"),
            source.key("sys.View", "a.B"),
            source.seen(),
            source.text("handle"),
        )
    })
}

fn number(instance: &mut Instance, function: &str, field: &str) -> i64 {
    let outcome = instance.invoke_by_name(function).unwrap_or_else(|failure| panic!("{failure}"));
    let intent = outcome.intents().next().unwrap().unwrap();
    intent.value.field(field).unwrap().unwrap().as_i64().unwrap()
}

fn instance(strategy: RestoreStrategy, policy: RestorePolicy) -> Instance {
    let mut config = InstanceConfig::default();
    (config.strategy, config.policy, config.exchange_size) = (strategy, policy, Some(256));
    load(&guest_of_buffers()).instantiate(&config, state()).unwrap()
}

#[test]
fn further_buffers_are_forgotten_with_the_memory_that_they_were_in() {
    for strategy in STRATEGIES {
        let mut instance = instance(strategy, RestorePolicy::EveryCall);
        for _ in 0..3 {
            instance.invoke_by_name("asks").unwrap();
            // Were the buffers of that call still in use, this one's own bytes would be written over: they are where
            // the further buffers were.
            assert_eq!(number(&mut instance, "allocates", "changed"), 0, "{strategy}");
        }
        // Also after a restore that was asked for.
        let mut lazy = self::instance(strategy, RestorePolicy::Never);
        lazy.invoke_by_name("asks").unwrap();
        assert_eq!(number(&mut lazy, "allocates", "changed"), 0, "{strategy}, not restored");
        lazy.restore().unwrap();
        assert_eq!(number(&mut lazy, "allocates", "changed"), 0, "{strategy}, restored");
    }
}

#[test]
fn further_buffers_are_kept_until_a_restore() {
    let mut instance = instance(RestoreStrategy::DirtyCards, RestorePolicy::Never);
    let heap = |instance: &mut Instance| {
        let globals = instance.globals();
        let (_, now, saved) = globals.iter().find(|(name, ..)| name == "heap").unwrap();
        now.unwrap_i32() - saved.unwrap_i32()
    };
    instance.invoke_by_name("asks").unwrap();
    let grown = heap(&mut instance);
    // 600 times 6 bytes, of which 42 times fit the first buffer, and 166 times each further one of 1,000.
    assert_eq!(grown, 4 * 1008);
    for _ in 0..5 {
        instance.invoke_by_name("asks").unwrap();
        assert_eq!(heap(&mut instance), grown);
    }
    instance.restore().unwrap();
    assert_eq!(heap(&mut instance), 0);
}

#[test]
fn a_handle_of_an_earlier_call_is_refused() {
    for (keeps, uses) in [("keeps", "uses"), ("keeps", "updates"), ("keeps_intent", "puts")] {
        for strategy in STRATEGIES {
            let mut instance = instance(strategy, RestorePolicy::OnError);
            instance.invoke_by_name(keeps).unwrap();
            let failure = instance.invoke_by_name(uses).unwrap_err();
            assert!(matches!(failure.cause, Cause::InvalidGuestData(InvalidData::StaleHandle { .. })), "{failure}");
            assert!(instance.is_pristine());
            // What is restored has kept nothing.
            let failure = instance.invoke_by_name(uses).unwrap_err();
            assert!(
                matches!(failure.cause, Cause::InvalidGuestData(InvalidData::StaleHandle { handle: 0, .. })),
                "{failure}"
            );
        }
    }
}

#[test]
fn a_restored_guest_is_given_the_handles_of_a_fresh_one() {
    for strategy in STRATEGIES {
        let mut instance = instance(strategy, RestorePolicy::EveryCall);
        let first = number(&mut instance, "handle", "handle");
        instance.invoke_by_name("asks").unwrap();
        instance.invoke_by_name("uses").unwrap_err();
        assert_eq!(number(&mut instance, "handle", "handle"), first, "{strategy}");
        let mut lazy = self::instance(strategy, RestorePolicy::Never);
        assert_eq!(number(&mut lazy, "handle", "handle"), first);
        assert_ne!(number(&mut lazy, "handle", "handle"), first, "the second call since a restore");
    }
}

#[test]
fn memory_that_a_restore_took_away_is_no_heap_in_use() {
    let wasm =
        guest(|_| r#"(func (export "grows") (drop (memory.grow (i32.const 8)))) (func (export "rests"))"#.to_owned());
    for strategy in STRATEGIES {
        let mut config = InstanceConfig::default();
        (config.strategy, config.policy) = (strategy, RestorePolicy::OnHeapAbove(5 << 16));
        let mut instance = load(&wasm).instantiate(&config, state()).unwrap();
        for _ in 0..2 {
            instance.invoke_by_name("grows").unwrap();
            assert!(instance.is_pristine(), "{strategy}: eight pages are above the bound");
            instance.invoke_by_name("rests").unwrap();
            assert!(!instance.is_pristine(), "{strategy}: restored for memory that the guest does not see");
        }
    }
}
