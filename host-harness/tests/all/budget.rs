//! A guest's memory beside a budget: guests that fit, and a guest for each reason why one does not.

use guest_host::{InstanceConfig, MemoryState};
use guest_prepare::PrepareOptions;
use host_harness::advice::{Advice, AdviceKind};
use host_harness::budget::{Budget, PartKind};
use host_harness::inspect::inspect_within;
use host_harness::report::{Content, Report};
use test_support::text_guests;

const BUDGET: u64 = 256 << 10;

/// A guest with a stack of `stack` bytes below statics of `data` and `zeros` bytes, in a memory of `pages`. Its exchange region lies
/// behind them. `push` writes 1,000 bytes below the top of the stack, and `more` grows memory by a page or aborts.
fn text(pages: u32, stack: u32, data: u32, zeros: u32) -> String {
    let (heap, written) = (stack + data + zeros, stack - 1_000);
    let bytes = "x".repeat(data as usize);
    format!(
        r#"(module
          (@producers (language "Rust" "") (processed-by "rustc" "1.96.0"))
          (memory (export "memory") {pages})
          (global $__stack_pointer (mut i32) (i32.const {stack}))
          (global (export "__data_end") i32 (i32.const {heap}))
          (global (export "__heap_base") i32 (i32.const {heap}))
          (@custom "guest-abi" "\01\00\00\00")
          (data $.rodata (i32.const {stack}) "{bytes}")
          (func (export "__guest_exchange") (param $size i32) (result i32) (local $end i32)
            (local.set $end (i32.add (i32.const {heap}) (local.get $size)))
            (if (i32.gt_u (local.get $end) (i32.mul (memory.size) (i32.const 65536)))
              (then (if (i32.eq (i32.const -1) (memory.grow (i32.const 1))) (then (return (i32.const 0))))))
            i32.const {heap})
          (func (export "push") (result i64) (i32.store (i32.const {written}) (i32.const -1)) i64.const 0)
          (func (export "more") (result i64)
            (if (i32.eq (i32.const -1) (memory.grow (i32.const 1))) (then unreachable))
            i64.const 0))"#
    )
}

fn found(wasm: &[u8], budget: u64) -> (Budget, Vec<Advice>, bool) {
    let engine = test_support::compiled::engine();
    let (options, config) = (PrepareOptions::default(), InstanceConfig::default());
    let found = inspect_within(&engine, "guest", wasm, options, &config, budget, &MemoryState::new()).unwrap();
    let (budget, advice) = (found.budget.clone().unwrap(), found.advice.clone());
    (budget, advice, Report::new(Content::Inspect(Box::new(found))).passed())
}

fn of(text: &str) -> (Budget, Vec<Advice>, bool) {
    found(&wat::parse_str(text).unwrap(), BUDGET)
}

fn kinds(advice: &[Advice]) -> Vec<AdviceKind> {
    advice.iter().map(|advice| advice.kind).collect()
}

fn sum(budget: &Budget) -> u64 {
    budget.parts.iter().map(|part| part.bytes).sum()
}

#[test]
fn a_guest_that_fits_has_each_byte_in_one_part() {
    let (budget, _, passed) = of(&text(1, 32_768, 100, 200));
    assert!(passed && budget.fits);
    assert_eq!((budget.missing, budget.needed, budget.declared), (Some(0), Some(131_072), 65_536));
    assert_eq!(sum(&budget), BUDGET);
    let bytes = |kind| budget.bytes(kind);
    assert_eq!(bytes(PartKind::ShadowStack), 32_768);
    assert_eq!((bytes(PartKind::Data), bytes(PartKind::ZeroInitialised)), (100, 200));
    assert_eq!(bytes(PartKind::ExchangeRegion), 65_536);
    // Without a control block nobody knows how much of its heap is in use.
    assert_eq!((bytes(PartKind::Heap), bytes(PartKind::Growth)), (131_072 - 32_768 - 300 - 65_536, 131_072));
    assert_eq!(budget.stack_used, Some(1_000));
    let calls: Vec<_> = budget.calls.iter().map(|call| (call.function.as_str(), call.stack, call.memory)).collect();
    assert_eq!(calls, [("push", Some(1_000), 131_072), ("more", Some(0), 196_608)]);
    let segment = &budget.segments[0];
    assert_eq!((segment.name.as_deref(), segment.address, segment.bytes), (Some(".rodata"), Some(32_768), 100));
}

#[test]
fn the_rest_of_a_budget_that_is_no_whole_page_is_a_part() {
    let (budget, ..) = found(&wat::parse_str(text(1, 32_768, 100, 200)).unwrap(), 200_000);
    assert!(budget.fits);
    assert_eq!((sum(&budget), budget.bytes(PartKind::LessThanAPage)), (200_000, 200_000 - 196_608));
}

#[test]
fn a_stack_of_the_linkers_default_does_not_fit() {
    let (budget, advice, passed) = of(&text(17, 1 << 20, 100, 0));
    assert!(!passed && !budget.fits);
    // With the usual exchange region it would be a page more.
    let needed = 17 << 16;
    assert_eq!((budget.needed, budget.missing), (Some(needed), Some(needed - BUDGET)));
    assert_eq!((budget.bytes(PartKind::ShadowStack), sum(&budget)), (1 << 20, needed));
    // The advice by figures of calls is in the place of that by the module.
    assert_eq!(kinds(&advice)[0], AdviceKind::ShadowStack);
    assert_eq!(kinds(&advice).iter().filter(|kind| **kind == AdviceKind::ShadowStack).count(), 1);
    assert!(advice[0].lines[1].contains("link-arg=-zstack-size=16384"), "{:?}", advice[0]);
    assert!(advice[0].sentence.contains("wrote at most 1,000 of them"), "{}", advice[0].sentence);
}

#[test]
fn the_argument_is_that_of_the_compiler() {
    let clang = text(17, 1 << 20, 100, 0).replace(
        r#"(language "Rust" "") (processed-by "rustc" "1.96.0")"#,
        r#"(language "C11" "") (processed-by "clang" "22")"#,
    );
    let (_, advice, _) = of(&clang);
    assert_eq!(advice[0].lines, ["-Wl,-z,stack-size=16384"]);
}

#[test]
fn statics_that_are_too_large_are_named() {
    let (budget, advice, passed) = of(&text(6, 32_768, 250_000, 50_000));
    assert!(!passed);
    assert_eq!((budget.bytes(PartKind::Data), budget.bytes(PartKind::ZeroInitialised)), (250_000, 50_000));
    assert_eq!(budget.missing, Some((6 << 16) - BUDGET));
    assert_eq!(kinds(&advice)[0], AdviceKind::Statics);
    let sentence = &advice[0].sentence;
    assert!(sentence.contains("300,000 bytes") && sentence.contains("`.rodata` of 250,000 bytes"), "{sentence}");
    assert!(advice[0].lines[1].contains("--no-merge-data-segments"), "{:?}", advice[0]);
}

#[test]
fn a_declared_minimum_that_is_not_needed_is_named() {
    let (budget, advice, passed) = of(&text(8, 32_768, 100, 0));
    assert!(!passed);
    assert_eq!((budget.declared, budget.missing), (8 << 16, Some(4 << 16)));
    assert_eq!(kinds(&advice)[0], AdviceKind::DeclaredMemory);
    assert!(advice[0].lines[1].contains("--initial-memory=65536"), "{:?}", advice[0]);
}

#[test]
fn a_guest_without_a_layout_is_divided_as_far_as_it_tells() {
    let wasm = wat::parse_str(
        r#"(module (memory (export "memory") 2)
          (@custom "guest-abi" "\01\00\00\00")
          (data (i32.const 16) "hello")
          (func (export "__guest_exchange") (param i32) (result i32) i32.const 65536)
          (func (export "f") (result i64) i64.const 0))"#,
    )
    .unwrap();
    let (budget, _, passed) = found(&wasm, BUDGET);
    assert!(passed);
    assert_eq!((sum(&budget), budget.stack_used), (BUDGET, None));
    assert_eq!(budget.bytes(PartKind::Data), 5);
    assert_eq!(budget.bytes(PartKind::ExchangeRegion), 65_536);
    assert_eq!(budget.bytes(PartKind::Undivided), 65_536 - 5);
    assert_eq!(budget.bytes(PartKind::Growth), BUDGET - 131_072);
}

#[test]
fn a_call_that_runs_out_of_memory_does_not_fit_and_tells_how_much_is_enough() {
    let wasm = wat::parse_str(text(1, 32_768, 100, 200)).unwrap();
    let (budget, _, passed) = found(&wasm, 131_072);
    assert!(!passed);
    assert_eq!((budget.needed, budget.missing), (Some(131_072), Some(65_536)));
    let more = &budget.calls[1];
    assert_eq!(
        (more.out_of_memory, more.needed, more.failure.as_deref()),
        (true, Some(196_608), Some("out-of-memory"))
    );
    // The exchange region has to be smaller: nobody asked for its usual size.
    let (budget, ..) = found(&wasm, 65_536);
    assert_eq!((budget.needed, budget.bytes(PartKind::ExchangeRegion)), (Some(65_536), 16_384));
}

#[test]
fn a_control_block_says_how_much_heap_is_in_use() {
    let (budget, ..) = found(&text_guests::counted(), BUDGET);
    assert!(budget.fits);
    assert_eq!((budget.bytes(PartKind::ControlBlock), sum(&budget)), (96, BUDGET));
    assert!(budget.bytes(PartKind::FreeHeap) > 0 && budget.bytes(PartKind::Heap) == 0);
    assert!(budget.calls.iter().all(|call| call.heap.is_some()), "{:?}", budget.calls);
}

#[test]
fn no_memory_that_is_enough_is_said_as_such() {
    let text = r#"(module (memory (export "memory") 1) (@custom "guest-abi" "\01\00\00\00")
        (func (export "__guest_exchange") (param i32) (result i32) i32.const 0)
        (func (export "f") (result i64) i64.const 0))"#;
    let (budget, _, passed) = of(text);
    assert!(!passed && !budget.fits);
    assert_eq!((budget.needed, budget.missing), (None, None));
}

#[test]
fn a_module_without_memory_needs_none() {
    let (budget, _, passed) = of(r#"(module (func (export "one") (result i32) (i32.const 1)))"#);
    assert!(passed && budget.fits);
    assert_eq!((budget.needed, sum(&budget)), (Some(0), BUDGET));
}
