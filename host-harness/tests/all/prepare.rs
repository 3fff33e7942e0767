//! Guests whose prepared module meets a limit, or needs much of the preparation.

use guest_host::admission::{NoWriteBarrier, Refusal};
use guest_host::{AdmissionError, CompileError, Guest, InstanceConfig, LoadError, MemoryState, RestoreStrategy};
use guest_prepare::{BarrierOptions, Elisions, PrepareError, PrepareOptions};

use test_support::text_guests;

/// The write barrier is what makes a module larger, so it may be all that does not fit.
#[test]
fn where_only_the_write_barrier_is_too_large_the_guest_is_restored_without() {
    let stores = "(i32.store (local.get 0) (i32.load (local.get 1)))".repeat(500);
    let wasm = text_guests::guest(
        "",
        &format!(
            "(func $stores (param i32 i32) {stores})
             (func (export \"run\") (result i64) (call $stores (i32.const 16) (i32.const 32)) i64.const 0)"
        ),
    );
    let engine = test_support::compiled::engine();
    let size_limit = 2 * wasm.len() as u64;
    let within = |limit| PrepareOptions::default().with_size_limit(limit);
    let load = |limit| Guest::load(&engine, "stores", &wasm, within(limit));
    // Every store is at another address as far as anybody can tell, and adds some bytes.
    let options = within(size_limit).with_barrier(Some(BarrierOptions::default().with_elisions(Elisions::NONE)));
    let guest = Guest::load(&engine, "stores", &wasm, options).unwrap();
    let with = |strategy| {
        let mut config = InstanceConfig::default();
        config.strategy = strategy;
        guest.instantiate(&config, MemoryState::new())
    };
    let mut instance = with(RestoreStrategy::Auto).unwrap();
    assert_eq!(instance.strategy().strategy, RestoreStrategy::FullCopy);
    instance.invoke_by_name("run").unwrap();
    let refused = with(RestoreStrategy::DirtyCards).unwrap_err();
    let LoadError::Admission(AdmissionError::Strategy { reasons, .. }) = &refused else { panic!("{refused}") };
    let [Refusal::NoWriteBarrier { reason: NoWriteBarrier::Prepare(reason) }] = reasons.as_slice() else {
        panic!("{refused}")
    };
    assert!(matches!(reason, PrepareError::TooLarge { limit, .. } if *limit == size_limit), "{refused}");
    assert!(refused.to_string().contains(&format!("the limit is {size_limit} bytes")), "{refused}");

    let refused = load(10).unwrap_err();
    assert!(
        matches!(refused, LoadError::Compile(CompileError::Prepare(PrepareError::TooLarge { limit: 10, .. }))),
        "{refused}"
    );
    load(wasm.len() as u64 * 2).unwrap();
}

/// A guest whose allocator can be reset, with 16 KiB of statics, a function for `code`, and `run`, which writes far below its
/// frame.
fn bump_reset_guest(code: &str) -> Vec<u8> {
    let text = format!(
        r#"(module (@custom "guest-abi" "\01\00\00\00") (memory (export "memory") 2)
            (global $sp (export "__stack_pointer") (mut i32) (i32.const 0x2000))
            (global (export "__data_end") i32 (i32.const 0x6000)) (global (export "__heap_base") i32 (i32.const 0x6000))
            (global (export "__allocator_control_block") i32 (i32.const 0x2000))
            (func (export "__guest_exchange") (param i32) (result i32) i32.const 0x6000)
            ;; magic, version 1 and kind 2, heap base, top, high-water mark, limit, mark, flags
            (data (i32.const 0x2000) "CBLK\01\00\02\00\00\60\00\00\00\70\00\00\00\70\00\00\00\00\02\00\00\70\00\00")
            (func $code (param i32 i32) {code})
            (func (export "run") (result i64) (i32.store (i32.const 0x100) (i32.const 7))
              (i32.store (i32.const 0x3000) (i32.const 7)) i64.const 0))"#
    );
    wat::parse_str(text).unwrap()
}

/// A guest that is loaded within so many bytes, with a barrier that marks every store.
fn load_within(size_limit: u64, wasm: &[u8]) -> Guest {
    let engine = test_support::compiled::engine();
    let barrier = BarrierOptions::default().with_elisions(Elisions::NONE);
    let options = PrepareOptions::default().with_size_limit(size_limit).with_barrier(Some(barrier));
    Guest::load(&engine, "guest", wasm, options).unwrap()
}

#[test]
fn auto_stays_with_a_reset_of_many_statics_where_there_can_be_no_barrier() {
    let wasm = bump_reset_guest(&"(i32.store (local.get 0) (local.get 1))".repeat(500));
    for (size_limit, expected) in [
        (PrepareOptions::SIZE_LIMIT, RestoreStrategy::DirtyCards),
        (wasm.len() as u64 + 1000, RestoreStrategy::BumpReset),
    ] {
        let mut config = InstanceConfig::default();
        (config.residue, config.exchange_size) = (guest_host::Residue::Keep, Some(4096));
        let mut instance = load_within(size_limit, &wasm).instantiate(&config, MemoryState::new()).unwrap();
        assert_eq!(instance.strategy().strategy, expected);
        instance.invoke_by_name("run").unwrap();
        let (memory, snapshot) = instance.memory().unwrap();
        assert_eq!(memory[0x2000..0x6000], snapshot.memory()[0x2000..0x6000]);
    }
}

#[test]
fn where_the_lowest_stack_pointer_cannot_be_kept_the_whole_stack_is_cleaned() {
    let wasm = bump_reset_guest(&"(global.set $sp (local.get 0))".repeat(500));
    for (size_limit, cleaned) in [(PrepareOptions::SIZE_LIMIT, false), (wasm.len() as u64 + 1000, true)] {
        let guest = load_within(size_limit, &wasm);
        guest.to_artefact().unwrap();
        for strategy in [RestoreStrategy::Watermark, RestoreStrategy::BumpReset] {
            let mut config = InstanceConfig::default();
            (config.strategy, config.exchange_size) = (strategy, Some(4096));
            let mut instance = guest.instantiate(&config, MemoryState::new()).unwrap();
            instance.invoke_by_name("run").unwrap();
            assert_eq!(instance.memory().unwrap().0[0x100] == 0, cleaned, "{strategy}");
        }
    }
}

#[test]
fn however_many_globals_there_are_a_call_leaves_them_as_the_snapshot_has_them() {
    for count in [1, 16, 17, 300] {
        let globals: String = (0..count).map(|nth| format!("(global $g{nth} (mut i64) (i64.const {nth}))")).collect();
        let sets: String = (0..count).map(|nth| format!("(global.set $g{nth} (i64.const -1))")).collect();
        let wasm =
            text_guests::guest("", &format!("{globals} (func (export \"run\") (result i64) {sets} i64.const 0)"));
        let mut config = InstanceConfig::default();
        config.strategy = RestoreStrategy::FullCopy;
        let guest = load_within(PrepareOptions::SIZE_LIMIT, &wasm);
        let mut instance = guest.instantiate(&config, MemoryState::new()).unwrap();
        instance.invoke_by_name("run").unwrap();
        let left = instance.globals();
        let values: Vec<i64> = left.iter().map(|(_, now, _)| now.unwrap_i64()).collect();
        assert_eq!(values, (0..count).collect::<Vec<i64>>());
    }
}
