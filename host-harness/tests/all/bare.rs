//! Bare modules: the oracle compares what their functions return, and figures that nobody knows are left out.

use guest_host::restore::{ForgottenGlobals, FullCopy, Promise, Restore, RestoreError, Restored, Target};
use guest_host::snapshot::RegionKind;
use guest_host::{Arguments, Guest, InstanceConfig, LoadError, MemoryState, PrepareOptions, Residue, RestoreStrategy};
use host_harness::functions::{Number, select};
use host_harness::inspect::{inspect, strategies};
use host_harness::measure::{Engines, MeasureOptions, Subject, UNKNOWN_ALLOCATOR, Variant, allocator_of, measure};
use host_harness::verify::{Aspect, Verdict, VerifyOptions, What, verify, verify_with};

/// A module of 41 bytes that exports nothing but `add`.
const ADD: &[u8] = b"\0asm\x01\0\0\0\x01\x07\x01\x60\x02\x7f\x7f\x01\x7f\x03\x02\x01\0\x07\x07\x01\x03add\0\0\x0a\x09\x01\x07\0\x20\0\x20\x01\x6a\x0b";

/// Counts its calls in a global, in memory and in the global of an allocator whose memory is hidden.
const COUNTERS: &str = r#"(module
  (memory 1)
  (global $calls (mut i32) (i32.const 0))
  (global $top (mut i32) (i32.const 1024))
  (func (export "in_global") (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1))) (global.get $calls))
  (func (export "in_memory") (result i64)
    (i64.store (i32.const 8) (i64.add (i64.load (i32.const 8)) (i64.const 1))) (i64.load (i32.const 8)))
  (func (export "in_heap") (param i32) (result i32)
    (global.set $top (i32.add (global.get $top) (local.get 0)))
    (if (i32.gt_u (global.get $top) (i32.mul (memory.size) (i32.const 65536)))
      (then (drop (memory.grow (i32.const 1)))))
    (global.get $top))
  (func (export "nan") (result f64 f32) (f64.div (f64.const 0) (f64.const 0)) (f32.const -0)))"#;

fn load(wasm: &[u8]) -> Guest {
    let engine = test_support::compiled::engine();
    Guest::load(&engine, "bare", wasm, PrepareOptions::default()).expect("the module is admitted")
}

fn counters() -> Guest {
    load(&wat::parse_str(COUNTERS).unwrap())
}

fn options(functions: &[&str]) -> VerifyOptions {
    let config = InstanceConfig::default().with_arguments(Arguments::default().of("in_heap", ["40000"]));
    let functions = functions.iter().map(|name| (*name).to_owned()).collect();
    VerifyOptions::default().with_config(config).with_functions(Some(functions)).with_calls(20)
}

/// A full copy that promises everything, and forgets memory or globals.
#[derive(Debug)]
struct Forgetful {
    memory: bool,
    globals: bool,
}

impl Restore for Forgetful {
    fn name(&self) -> &str {
        "forgetful"
    }

    fn promise(&self, region: RegionKind, residue: Residue) -> Promise {
        FullCopy.promise(region, residue)
    }

    fn restore(&mut self, target: &mut Target<'_>) -> Result<Restored, RestoreError> {
        let (memory, snapshot) = target.memory();
        if !self.memory {
            let saved = snapshot.memory();
            let (within, tail) = memory.split_at_mut(saved.len());
            within.copy_from_slice(saved);
            tail.fill(0);
        }
        Ok(Restored::default())
    }

    fn forgotten_globals(&self) -> ForgottenGlobals {
        if self.globals { ForgottenGlobals::Own } else { ForgottenGlobals::None }
    }
}

fn forgetting(restore: Forgetful, function: &str) -> Verdict {
    verify_with(&counters(), Box::new(restore), &options(&[function]), &MemoryState::new()).unwrap()
}

/// The first difference in what a function returned.
fn returned(verdict: &Verdict) -> Option<(&str, &str)> {
    verdict.differences.iter().find_map(|difference| match &difference.what {
        What::Outcome { aspect: Aspect::ReturnValues, expected, found, .. } => {
            Some((expected.as_str(), found.as_str()))
        }
        _ => None,
    })
}

#[test]
fn every_strategy_that_admits_a_bare_module_restores_it() {
    let guest = counters();
    let mut proved = Vec::new();
    for judgement in strategies(&guest, &InstanceConfig::default(), &MemoryState::new()).unwrap() {
        if judgement.refusals.is_empty() {
            let mut options = options(&["in_global", "in_memory", "in_heap", "nan"]);
            options.config.strategy = judgement.strategy;
            let verdict = verify(&guest, &options, &MemoryState::new(), &mut |_| ()).unwrap();
            assert!(verdict.passed() && verdict.calls == 20, "{:?}: {verdict:?}", judgement.strategy);
            proved.push(judgement.strategy);
        }
    }
    assert_eq!(proved, [RestoreStrategy::Reinstantiate, RestoreStrategy::FullCopy, RestoreStrategy::DirtyCards]);
}

#[test]
fn a_restore_that_forgets_is_seen_in_what_functions_return() {
    let memory = forgetting(Forgetful { memory: true, globals: false }, "in_memory");
    assert_eq!(returned(&memory), Some(("1 (i64)", "2 (i64)")), "{memory:?}");
    for function in ["in_global", "in_heap"] {
        let globals = forgetting(Forgetful { memory: false, globals: true }, function);
        assert!(returned(&globals).is_some(), "{function}: {globals:?}");
    }
    let nothing = forgetting(Forgetful { memory: false, globals: false }, "in_memory");
    assert!(nothing.passed(), "{nothing:?}");
}

#[test]
fn functions_without_their_arguments_are_left_out_of_all_and_refused_by_name() {
    let guest = counters();
    let none = Arguments::default();
    let found = select(&guest, &[], &none).unwrap();
    assert_eq!(found.functions, ["in_global", "in_memory", "nan"]);
    assert_eq!(
        (&*found.skipped[0].function, found.skipped[0].signature.to_string()),
        ("in_heap", "(i32) -> i32".into())
    );
    let refused = select(&guest, &["in_heap".to_owned()], &none).unwrap_err();
    assert!(matches!(refused, LoadError::Config(_)) && refused.to_string().contains("`in_heap`"), "{refused}");
    let refused = select(&load(ADD), &[], &none).unwrap_err().to_string();
    assert!(refused.contains("`add`") && refused.contains("(i32, i32) -> i32"), "no function is left: {refused}");

    let verdict = verify(&guest, &VerifyOptions::default().with_calls(9), &MemoryState::new(), &mut |_| ()).unwrap();
    assert!(verdict.passed() && verdict.calls == 9, "{verdict:?}");
}

#[test]
fn a_module_without_memory_is_measured_and_its_allocations_are_unknown() {
    assert_eq!(ADD.len(), 41);
    let engines = Engines::new(&test_support::compiled::engine_config()).unwrap();
    let subject = Subject::load(&engines, "add", ADD, PrepareOptions::default()).unwrap();
    let mut options = MeasureOptions::default().with_calls(50);
    // Those of other guests' functions do not matter.
    options.config.arguments = Arguments::default().of("add", ["20", "22"]).of("other", ["1"]);
    for variant in [Variant::NO_RESTORE, Variant::REINSTANTIATE] {
        let row = measure(&subject, "add", variant, &options, &MemoryState::new()).unwrap();
        let counts = row.counts.unwrap_or_else(|| panic!("{:?}", row.failure));
        assert_eq!((counts.allocations, counts.allocated_bytes, counts.allocations_from), (None, None, None));
        assert_eq!((counts.pages_after, row.failure), (0, None));
    }
    let (config, state) = (InstanceConfig::default(), MemoryState::new());
    assert_eq!(allocator_of(subject.guest(), &config, &state).unwrap(), UNKNOWN_ALLOCATOR);
}

#[test]
fn twenty_parameters_reach_the_function_and_its_results_come_back() {
    let others: String = (1..20).map(|index| format!("local.get {index} i64.add ")).collect();
    let params = "i64 ".repeat(20);
    let text = format!(
        r#"(module (func (export "sum") (param {params}) (result i64 i64) local.get 0 {others} i64.const -1))"#
    );
    let guest = load(&wat::parse_str(text).unwrap());
    let values = (1..=20).map(|number| number.to_string());
    let config = InstanceConfig::default().with_arguments(Arguments::default().of("sum", values));
    let mut instance = guest.instantiate(&config, MemoryState::new()).unwrap();
    let outcome = instance.invoke_by_name("sum").unwrap();
    let results: Vec<String> =
        outcome.results().iter().filter_map(Number::of).map(|number| number.to_string()).collect();
    assert_eq!(results, ["210 (i64)", "-1 (i64)"]);
}

#[test]
fn an_inspection_says_which_functions_cannot_be_called_and_why() {
    let text = r#"(module
        (func (export "add") (param i32 i32) (result i32) (i32.const 0))
        (func (export "_initialize")) (func (export "vector") (param i32 v128))
        (func (export "reference") (result funcref) (ref.null func)))"#;
    let engine = test_support::compiled::engine();
    let inspected = |text: &str| {
        let wasm = wat::parse_str(text).unwrap();
        inspect(&engine, "bare", &wasm, PrepareOptions::default(), &InstanceConfig::default()).unwrap()
    };
    let found = inspected(text);
    assert_eq!((found.contract.as_deref(), found.allocator.as_deref()), (Some("none (a bare module)"), None));
    assert_eq!((found.functions.as_slice(), found.problems.len()), (&["add".to_owned()][..], 0));
    let reasons: Vec<_> = found.not_callable.iter().map(|other| (&*other.function, &*other.reason)).collect();
    assert!(reasons[0].0 == "_initialize" && reasons[0].1.contains("begins with `_`"), "{reasons:?}");
    assert_eq!(reasons[1], ("vector", "parameter 2 is of type `v128`, which is no number"));
    assert!(reasons[2].0 == "reference" && reasons[2].1.starts_with("result 1 is of type `"), "{reasons:?}");
    let admitted: Vec<_> =
        found.strategies.iter().filter(|strategy| strategy.admitted).map(|strategy| &*strategy.strategy).collect();
    assert_eq!(admitted, ["reinstantiate", "full-copy", "dirty-cards"]);

    let found = inspected(r#"(module (import "env" "abort" (func)) (func (export "f")))"#);
    assert!(found.contract.is_none() && found.problems.concat().contains("`env.abort`"), "{found:?}");
}
