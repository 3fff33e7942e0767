//! The registry under use by many threads.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use guest_functions::{FunctionError, ModuleConfig, Runtime};

use crate::support::registry;

/// A module whose function returns a number after some work, checks that nobody was before it in this memory.
fn module(number: i32) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(module (memory 1) (global $used (mut i32) (i32.const 0))
            (func (export "number") (param $rounds i32) (result i32)
                (if (i32.or (global.get $used) (i32.load (i32.const 8))) (then (return (i32.const -1))))
                (global.set $used (i32.const 1)) (i32.store (i32.const 8) (i32.const 1))
                (loop $again
                    (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
                    (br_if $again (i32.gt_s (local.get $rounds) (i32.const 0))))
                (i32.const {number})))"#
    ))
    .unwrap()
}

#[test]
fn names_are_found_listed_replaced_and_unloaded() {
    let runtime = Runtime::new().unwrap();
    let config = || ModuleConfig::default().with_version("1").with_description("numbers");
    runtime.register("one", &module(1), config()).unwrap();
    runtime.register("two", &module(2), config()).unwrap();
    let error = runtime.register("one", &module(1), config()).unwrap_err();
    assert!(matches!(&error, FunctionError::ModuleExists { name } if name == "one"), "{error}");
    let names: Vec<String> = runtime.modules().iter().map(|module| module.name().to_owned()).collect();
    assert_eq!(names, ["one", "two"]);
    let listed: Vec<String> = runtime
        .functions()
        .iter()
        .map(|function| format!("{}.{}", function.module().name(), function.signature()))
        .collect();
    assert_eq!(listed, ["one.number(p0: i32) -> i32", "two.number(p0: i32) -> i32"]);
    assert_eq!(runtime.get("two").unwrap().config().description, "numbers");
    let error = runtime.call::<_, i32>("twos", "number", (1,)).unwrap_err().to_string();
    assert_eq!(error, "there is no module `twos`; there is `two`");
    let old = runtime.unload("two").unwrap();
    assert_eq!(old.function("number").unwrap().call::<_, i32>((1,)).unwrap(), 2, "whoever has it may call it");
    assert!(matches!(runtime.replace("two", &module(3), config()), Err(FunctionError::UnknownModule { .. })));
    // A module that cannot be loaded leaves the old one where it is.
    assert!(runtime.replace("one", b"no module", config()).is_err());
    assert_eq!(runtime.call::<_, i32>("one", "number", (1,)).unwrap(), 1);
}

#[test]
fn a_function_of_another_module_is_not_called_on_this_one() {
    let (one, two) = (registry("m", "(module)"), Runtime::new().unwrap());
    let other = two.register("other", &module(1), ModuleConfig::default()).unwrap();
    let mut caller = one.get("m").unwrap().caller().unwrap();
    let error = caller.call::<_, i32>(&other.function("number").unwrap(), (1,)).unwrap_err().to_string();
    assert_eq!(error, "`number` is a function of another module, or of `m` before or after it was replaced");
}

#[test]
fn modules_are_replaced_and_unloaded_under_calls() {
    let runtime = Runtime::new().unwrap();
    runtime.register("m", &module(0), ModuleConfig::default()).unwrap();
    let (done, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    // One resolves the function for every call, and keeps another over the replacement.
                    let Ok(kept) = runtime.get("m").and_then(|module| module.function("number")) else {
                        continue;
                    };
                    for result in [runtime.call::<_, i32>("m", "number", (2_000,)), kept.call((2_000,))] {
                        match result {
                            Ok(number) => assert!((0..20).contains(&number), "{number}"),
                            Err(FunctionError::UnknownModule { .. }) => {}
                            Err(other) => panic!("{other}"),
                        }
                        calls.fetch_add(1, Relaxed);
                    }
                }
            });
        }
        for number in 1..20 {
            let before = calls.load(Relaxed);
            while calls.load(Relaxed) < before + 20 {
                std::thread::yield_now();
            }
            if number % 5 == 0 {
                runtime.unload("m").unwrap();
                runtime.register("m", &module(number), ModuleConfig::default()).unwrap();
            } else {
                runtime.replace("m", &module(number), ModuleConfig::default()).unwrap();
            }
        }
        done.store(true, Relaxed);
    });
    assert_eq!(runtime.call::<_, i32>("m", "number", (1,)).unwrap(), 19);
}

#[test]
fn a_closed_registry_calls_nothing_more() {
    let runtime = registry("m", r#"(module (func (export "f") (result i32) (i32.const 1)))"#);
    let module = runtime.get("m").unwrap();
    let (function, mut caller) = (module.function("f").unwrap(), module.caller().unwrap());
    runtime.close();
    assert!(matches!(runtime.get("m"), Err(FunctionError::Closed)));
    let registered = runtime.register("n", &self::module(1), ModuleConfig::default());
    assert!(matches!(registered, Err(FunctionError::Closed)));
    assert!(matches!(function.call::<_, i32>(()), Err(FunctionError::Pool(_))));
    assert_eq!(caller.call::<_, i32>(&function, ()).unwrap(), 1);
    assert!(runtime.modules().is_empty());
}
