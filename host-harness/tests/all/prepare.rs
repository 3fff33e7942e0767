//! Prepared modules under the engine: virtual growth behaves as `memory.grow` of a fresh instance does, whatever was
//! grown before a restore.

use guest_host::admission::Refusal;
use guest_host::{EngineConfig, Guest, InstanceConfig, LoadError, MemoryState, RestoreStrategy};
use guest_prepare::module_info::ModuleInfo;
use guest_prepare::{LOGICAL_PAGES_EXPORT, PrepareError, PrepareOptions, Prepared, prepare};
use proptest::prelude::*;
use wasmtime::{
    Config, Engine, Instance, Module, OptLevel, Store, StoreLimits, StoreLimitsBuilder, Val, WasmBacktrace,
};

use test_support::text_guests;

const PAGE: usize = 65_536;

pub(crate) fn engine() -> Engine {
    let mut config = Config::new();
    config.cranelift_opt_level(OptLevel::None);
    Engine::new(&config).unwrap()
}

pub(crate) fn prepared(wasm: &[u8], virtual_growth: bool) -> Prepared {
    let info = ModuleInfo::analyse(wasm).unwrap();
    prepare(wasm, &info, PrepareOptions { virtual_growth, ..PrepareOptions::default() }).unwrap()
}

/// A guest whose memory begins with `minimum` pages, with exports to grow it and to ask for its size.
fn grower(minimum: u32, maximum: Option<u32>) -> Vec<u8> {
    let maximum = maximum.map(|pages| pages.to_string()).unwrap_or_default();
    wat::parse_str(format!(
        r#"(module (memory (export "memory") {minimum} {maximum})
            (global (mut i32) (i32.const 7))
            (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
            (func (export "size") (result i32) memory.size))"#
    ))
    .unwrap()
}

/// An instance of a [`grower`], under a limit on its memory.
struct Grower {
    store: Store<StoreLimits>,
    instance: Instance,
}

impl Grower {
    fn new(module: &Module, limit: Option<u32>) -> Self {
        let limits = limit.into_iter().fold(StoreLimitsBuilder::new(), |limits, pages| {
            limits.memory_size(usize::try_from(pages).unwrap() * PAGE)
        });
        let mut store = Store::new(module.engine(), limits.build());
        store.limiter(|limits| limits);
        let instance = Instance::new(&mut store, module, &[]).unwrap();
        Self { store, instance }
    }

    fn grow(&mut self, delta: u32) -> i32 {
        let grow = self.instance.get_typed_func::<i32, i32>(&mut self.store, "grow").unwrap();
        grow.call(&mut self.store, delta.cast_signed()).unwrap()
    }

    fn size(&mut self) -> i32 {
        self.instance.get_typed_func::<(), i32>(&mut self.store, "size").unwrap().call(&mut self.store, ()).unwrap()
    }

    fn physical_pages(&mut self) -> u64 {
        self.instance.get_memory(&mut self.store, "memory").unwrap().size(&self.store)
    }

    /// What a restore does about the size; these guests write nothing.
    fn put_logical_size_back(&mut self, pages: u32) {
        let global = self.instance.get_global(&mut self.store, LOGICAL_PAGES_EXPORT).unwrap();
        global.set(&mut self.store, Val::I32(pages.cast_signed())).unwrap();
    }
}

#[derive(Debug, Clone, Copy)]
enum Operation {
    Grow(u32),
    Size,
    Restore,
}

fn operation() -> impl Strategy<Value = Operation> {
    let delta = prop_oneof![
        6 => 0_u32..12,
        1 => 65_500_u32..65_540,
        1 => prop_oneof![Just(u32::MAX), Just(1 << 31), Just(65_536), u32::MAX - 20..=u32::MAX],
    ];
    prop_oneof![5 => delta.prop_map(Operation::Grow), 2 => Just(Operation::Size), 2 => Just(Operation::Restore)]
}

/// Runs a program on a prepared instance that is restored, and on unprepared instances that are made anew instead.
/// Says where they differ.
fn compare(
    minimum: u32,
    maximum: Option<u32>,
    limit: Option<u32>,
    program: &[Operation],
    restore: impl Fn(&mut Grower),
) -> Result<(), String> {
    let engine = engine();
    let wasm = grower(minimum, maximum);
    let plain = Module::new(&engine, &wasm).unwrap();
    let prepared = Module::new(&engine, prepared(&wasm, true).wasm).unwrap();
    let (mut fresh, mut restored) = (Grower::new(&plain, limit), Grower::new(&prepared, limit));
    let mut most = u64::from(minimum);
    for (step, operation) in program.iter().enumerate() {
        let (expected, found) = match operation {
            Operation::Grow(delta) => (fresh.grow(*delta), restored.grow(*delta)),
            Operation::Size => (fresh.size(), restored.size()),
            Operation::Restore => {
                restore(&mut restored);
                fresh = Grower::new(&plain, limit);
                (fresh.size(), restored.size())
            }
        };
        if expected != found {
            return Err(format!("step {step}, {operation:?}: fresh {expected}, restored {found}"));
        }
        most = most.max(fresh.physical_pages());
        if restored.physical_pages() != most {
            return Err(format!("step {step}: {} pages exist, {most} were needed", restored.physical_pages()));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn virtual_growth_is_growth_of_a_fresh_instance(
        minimum in 0_u32..5,
        room in prop_oneof![2 => Just(None), 3 => (0_u32..30).prop_map(Some), 1 => Just(Some(65_531))],
        limit in prop_oneof![1 => Just(None), 2 => (5_u32..25).prop_map(Some)],
        program in proptest::collection::vec(operation(), 1..24),
    ) {
        let maximum = room.map(|room| minimum + room);
        let outcome = compare(minimum, maximum, limit, &program, |guest| guest.put_logical_size_back(minimum));
        prop_assert_eq!(outcome, Ok(()));
    }
}

#[test]
fn a_restore_that_forgets_the_logical_size_is_caught() {
    let program = [Operation::Grow(2), Operation::Restore, Operation::Size];
    assert_eq!(compare(1, None, None, &program, |guest| guest.put_logical_size_back(1)), Ok(()));
    let difference = compare(1, None, None, &program, |_| {}).unwrap_err();
    assert_eq!(difference, "step 1, Restore: fresh 1, restored 3");
}

#[test]
fn the_last_page_of_four_gibibytes_can_be_grown_again() {
    let program = [
        Operation::Grow(65_535),
        Operation::Size,
        Operation::Grow(1),
        Operation::Restore,
        Operation::Grow(65_536),
        Operation::Grow(65_535),
        Operation::Grow(0),
    ];
    assert_eq!(compare(1, None, None, &program, |guest| guest.put_logical_size_back(1)), Ok(()));
}

#[test]
fn physical_pages_stay_flat_and_creep_without_virtual_growth() {
    let engine = engine();
    let wasm = grower(2, None);
    let pages_after = |virtual_growth: bool, rounds: u32| {
        let module = Module::new(&engine, prepared(&wasm, virtual_growth).wasm).unwrap();
        let mut guest = Grower::new(&module, Some(5_000));
        for round in 0..rounds {
            assert!(guest.grow(3) >= 0, "round {round}");
            if virtual_growth {
                assert_eq!(guest.size(), 5);
                guest.put_logical_size_back(2);
            }
        }
        guest.physical_pages()
    };
    assert_eq!(pages_after(true, 10), 5);
    assert_eq!(pages_after(true, 1_000), 5);
    assert_eq!(pages_after(false, 1_000), 3_002, "what the step is for");
}

#[test]
fn a_start_function_may_grow() {
    let wasm = wat::parse_str(
        r#"(module (memory (export "memory") 1) (func $start (drop (memory.grow (i32.const 2)))) (start $start)
            (func (export "size") (result i32) memory.size))"#,
    )
    .unwrap();
    let module = Module::new(&engine(), prepared(&wasm, true).wasm).unwrap();
    let mut guest = Grower::new(&module, None);
    assert_eq!((guest.size(), guest.physical_pages()), (3, 3));
}

#[test]
fn globals_that_the_module_keeps_to_itself_can_be_put_back() {
    let wasm = wat::parse_str(
        r#"(module (global $kept (mut i64) (i64.const 40)) (global $v (mut v128) (v128.const i64x2 1 2))
            (func (export "next") (result i64)
                (global.set $kept (i64.add (global.get $kept) (i64.const 1))) (global.get $kept)))"#,
    )
    .unwrap();
    let prepared = prepared(&wasm, true);
    let module = Module::new(&engine(), &prepared.wasm).unwrap();
    let mut store = Store::new(module.engine(), ());
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let next = instance.get_typed_func::<(), i64>(&mut store, "next").unwrap();
    assert_eq!(next.call(&mut store, ()).unwrap(), 41);
    assert_eq!(prepared.globals.len(), 2);
    let kept = instance.get_global(&mut store, &prepared.globals[0].export_name).unwrap();
    assert!(matches!(kept.get(&mut store), Val::I64(41)));
    kept.set(&mut store, Val::I64(40)).unwrap();
    assert_eq!(next.call(&mut store, ()).unwrap(), 41);
}

/// Offsets of the frames of a trap, innermost first.
fn trap_offsets(wasm: &[u8], function: &str) -> Vec<u64> {
    let mut store = Store::new(&engine(), ());
    let module = Module::new(store.engine(), wasm).unwrap();
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let function = instance.get_typed_func::<(), ()>(&mut store, function).unwrap();
    let error = function.call(&mut store, ()).unwrap_err();
    let backtrace = error.downcast_ref::<WasmBacktrace>().unwrap();
    backtrace.frames().iter().map(|frame| frame.module_offset().unwrap() as u64).collect()
}

#[test]
fn offsets_of_a_trap_lead_back_to_the_original_module() {
    let wasm = wat::parse_str(
        r#"(module (memory 1)
            (func $inner (drop (memory.grow (memory.size))) (drop (i32.load (i32.const -1))))
            (func (export "outer") (drop (memory.size)) (drop (memory.size)) call $inner))"#,
    )
    .unwrap();
    let prepared = prepared(&wasm, true);
    let original = trap_offsets(&wasm, "outer");
    let moved = trap_offsets(&prepared.wasm, "outer");
    assert_eq!(original.len(), 2);
    assert_ne!(moved, original);
    let translated: Vec<u64> = moved.iter().map(|offset| prepared.offsets.original(*offset).unwrap()).collect();
    assert_eq!(translated, original);
}

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
    let engine = guest_host::Engine::new(&EngineConfig::default()).unwrap();
    let size_limit = 2 * wasm.len() as u64;
    let load =
        |size_limit| Guest::load(&engine, "stores", &wasm, PrepareOptions { size_limit, ..PrepareOptions::default() });
    // Every store is at another address as far as anybody can tell, and adds some bytes.
    let barrier = Some(guest_prepare::BarrierOptions { elisions: guest_prepare::Elisions::NONE, ..Default::default() });
    let options = PrepareOptions { size_limit, barrier, ..PrepareOptions::default() };
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
    let LoadError::Strategy { reasons, .. } = &refused else { panic!("{refused}") };
    assert!(matches!(reasons.as_slice(), [Refusal::NoWriteBarrier { .. }]), "{refused}");
    assert!(refused.to_string().contains(&format!("the limit is {size_limit} bytes")), "{refused}");

    let refused = load(10).unwrap_err();
    assert!(matches!(refused, LoadError::Prepare(PrepareError::TooLarge { limit: 10, .. })), "{refused}");
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
    let engine = guest_host::Engine::new(&EngineConfig::default()).unwrap();
    let elisions = guest_prepare::Elisions::NONE;
    let barrier = Some(guest_prepare::BarrierOptions { elisions, ..Default::default() });
    Guest::load(&engine, "guest", wasm, PrepareOptions { size_limit, barrier, ..PrepareOptions::default() }).unwrap()
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
