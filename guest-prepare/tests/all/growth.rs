//! Virtual growth under an engine: it behaves as `memory.grow` of a fresh instance does, whatever was grown before a
//! restore.

use guest_prepare::PrepareOptions;
use proptest::prelude::*;
use wasmtime::{Instance, Module, Store, StoreLimits, StoreLimitsBuilder, Val};

use crate::{engine, prepared};

const PAGE: usize = 65_536;

/// Export of the logical size, as [`guest_prepare::Prepared::logical_pages_export`] has it.
const LOGICAL_PAGES: &str = "__harness_logical_pages";

fn options(virtual_growth: bool) -> PrepareOptions {
    PrepareOptions::default().with_virtual_growth(virtual_growth)
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

    /// A restore's treatment of the size; these guests write nothing.
    fn put_logical_size_back(&mut self, pages: u32) {
        let global = self.instance.get_global(&mut self.store, LOGICAL_PAGES).unwrap();
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
    let prepared = prepared(&wasm, options(true));
    assert_eq!(prepared.logical_pages_export, Some(LOGICAL_PAGES));
    let prepared = Module::new(&engine, prepared.wasm).unwrap();
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
        let module = Module::new(&engine, prepared(&wasm, options(virtual_growth)).wasm).unwrap();
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
    let module = Module::new(&engine(), prepared(&wasm, options(true)).wasm).unwrap();
    let mut guest = Grower::new(&module, None);
    assert_eq!((guest.size(), guest.physical_pages()), (3, 3));
}
