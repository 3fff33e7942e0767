//! Guests in C and in AssemblyScript that have no signatures of their own: each function of each module by its declaration, in single
//! calls and in batches, against what the same function is in Rust.
//!
//! `cargo xtask guests` builds them. If it cannot have the compiler of AssemblyScript it leaves a file with the reason, and the tests
//! leave the module out. A module that is missing without that file fails them.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use arrow_array::ArrayRef;
use guest_functions::guest_host::RestoreStrategy;
use guest_functions::{Caller, Columnar, FunctionError, Module, ModuleConfig, Pristine, Value, array_of, value_at};
use guest_prepare::module_info::ContractKind;
use proptest::prelude::*;

use crate::support::load;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    C,
    AssemblyScript,
}

/// Every module, and whether it keeps a control block.
const MODULES: [(&str, Language, bool); 7] = [
    ("c-functions-leaking", Language::C, true),
    ("c-functions-bump-reset", Language::C, true),
    ("c-functions-freelist", Language::C, true),
    ("c-functions-reactor-libc", Language::C, false),
    ("as-functions-incremental", Language::AssemblyScript, false),
    ("as-functions-minimal", Language::AssemblyScript, false),
    ("as-functions-stub", Language::AssemblyScript, false),
];

/// The functions of each module, as their sources say them.
const DECLARATIONS: [&str; 6] = [
    "gcd(a: i64, b: i64) -> i64",
    "levenshtein(a: string, b: string) -> i64",
    "upper(text: string) -> string",
    "sum(numbers: list(f64)) -> f64",
    "root(number: f64?) -> f64?",
    "latin1(text: string) -> string",
];

/// Bytes of memory that instances may have where a test runs out of it.
const LITTLE: usize = 1 << 20;

struct Built {
    name: &'static str,
    language: Language,
    has_control_block: bool,
    wasm: Vec<u8>,
}

impl Built {
    fn load(&self, set: impl FnOnce(ModuleConfig) -> ModuleConfig) -> Module {
        load(&self.wasm, set(ModuleConfig::default().with_declarations(DECLARATIONS)))
            .unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// A module whose instances may have [`LITTLE`] memory.
    fn with_little_memory(&self) -> Module {
        self.load(|config| {
            let instance = config.instance.clone().with_memory_limit(LITTLE as u64);
            config.with_instance(instance)
        })
    }

    /// The result of a function for these arguments, in Rust. `None` for a text that is not UTF-8.
    fn model(&self, name: &str, arguments: &[Value]) -> Option<Value> {
        Some(match (name, arguments) {
            ("gcd" | "levenshtein" | "upper" | "sum" | "latin1", arguments) if arguments.contains(&Value::Null) => {
                Value::Null
            }
            ("gcd", [Value::I64(a), Value::I64(b)]) => Value::I64(gcd(*a, *b)),
            ("levenshtein", [Value::String(a), Value::String(b)]) => Value::I64(levenshtein(a, b)),
            ("upper", [Value::String(text)]) => Value::String(match self.language {
                Language::C => text.to_ascii_uppercase(),
                Language::AssemblyScript => text.to_uppercase(),
            }),
            ("sum", [Value::List(numbers)]) => {
                let numbers = numbers.iter().map(|number| match number {
                    Value::F64(number) => *number,
                    other => panic!("{other}"),
                });
                Value::F64(numbers.fold(0.0, |sum, number| sum + number))
            }
            ("root", [Value::F64(number)]) if *number >= 0.0 => Value::F64(number.sqrt()),
            ("root", [_]) => Value::Null,
            ("latin1", [Value::String(text)]) => {
                let bytes = text.chars().map(|char| u8::try_from(char).unwrap_or(b'?')).collect();
                Value::String(String::from_utf8(bytes).ok()?)
            }
            other => panic!("{other:?}"),
        })
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.cast_signed()
}

/// By the recursion that defines it, with a table of what is known.
fn levenshtein(a: &str, b: &str) -> i64 {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut table = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            table[i][j] = match (i, j) {
                (0, distance) | (distance, 0) => distance,
                _ => (table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]))
                    .min(table[i - 1][j] + 1)
                    .min(table[i][j - 1] + 1),
            };
        }
    }
    i64::try_from(table[a.len()][b.len()]).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The modules that are there.
fn built() -> impl Iterator<Item = &'static Built> {
    static BUILT: OnceLock<Vec<Built>> = OnceLock::new();
    BUILT.get_or_init(|| MODULES.into_iter().filter_map(read).collect()).iter()
}

fn read((name, language, has_control_block): (&'static str, Language, bool)) -> Option<Built> {
    let folder = root().join("target/guests");
    let module = folder.join(format!("{name}.wasm"));
    match std::fs::read(&module) {
        Ok(wasm) => Some(Built { name, language, has_control_block, wasm }),
        Err(error) => {
            let Ok(reason) = std::fs::read_to_string(folder.join(format!("{name}.left-out"))) else {
                panic!("the guest {} is missing ({error}): run `cargo xtask guests` first", module.display());
            };
            eprintln!("{name} is not tested: {reason}");
            None
        }
    }
}

fn runner(cases: u32) -> proptest::test_runner::TestRunner {
    proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(cases))
}

/// Values that are equal by their bits, but for NaN, of which WebAssembly leaves open which it is.
fn is_same(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::F64(one), Value::F64(other)) => one.to_bits() == other.to_bits() || one.is_nan() && other.is_nan(),
        (found, expected) => found == expected,
    }
}

/// Arguments for a function; all but those that may be null for `root` are null now and then as well.
fn arguments(name: &'static str) -> BoxedStrategy<Vec<Value>> {
    let text = || prop_oneof!["[a-cA-Cßé€😀]{0,12}", "[a-c]{60,80}"].prop_map(Value::String).boxed();
    let number = || prop_oneof![-30_i64..30, any::<i64>(), Just(i64::MIN)].prop_map(Value::I64).boxed();
    let float = || prop_oneof![-9.0..9.0, any::<f64>(), Just(-0.0)].prop_map(Value::F64).boxed();
    let or_null = |value: BoxedStrategy<Value>| prop_oneof![8 => value, 1 => Just(Value::Null)].boxed();
    match name {
        "gcd" => prop::collection::vec(or_null(number()), 2).boxed(),
        "levenshtein" => prop::collection::vec(or_null(text()), 2).boxed(),
        "upper" | "latin1" => prop::collection::vec(or_null(text()), 1).boxed(),
        "sum" => {
            let list = prop::collection::vec(float(), 0..30).prop_map(Value::List).boxed();
            prop::collection::vec(or_null(list), 1).boxed()
        }
        "root" => prop::collection::vec(or_null(float()), 1).boxed(),
        other => panic!("{other}"),
    }
}

const FUNCTIONS: [&str; 6] = ["gcd", "levenshtein", "upper", "sum", "root", "latin1"];

fn calls() -> impl Strategy<Value = Vec<(&'static str, Vec<Value>)>> {
    let call = prop::sample::select(&FUNCTIONS[..])
        .prop_flat_map(|name| arguments(name).prop_map(move |values| (name, values)));
    prop::collection::vec(call, 1..20)
}

/// A function, and rows of arguments for it.
fn batch() -> impl Strategy<Value = (&'static str, Vec<Vec<Value>>)> {
    // A batch ends at its first error, so the function that lies has a test of its own.
    prop::sample::select(&FUNCTIONS[..5])
        .prop_flat_map(|name| (Just(name), prop::collection::vec(arguments(name), 0..40)))
}

fn call(caller: &mut Caller, name: &str, values: &[Value]) -> Result<Value, FunctionError> {
    let function = caller.module().function(name).unwrap();
    caller.call(&function, values)
}

/// The kind of the failure's cause, and all that is said of it.
fn failure(error: FunctionError) -> (&'static str, String) {
    match error {
        FunctionError::Call(failure) => (failure.cause.kind(), failure.to_string()),
        other => panic!("{other}"),
    }
}

fn assert_pristine(caller: &Caller, name: &str) {
    assert!(caller.instance().is_pristine(), "{name}");
    let (memory, snapshot) = caller.instance().memory().expect("it has a memory");
    assert!(memory[..snapshot.memory().len()] == *snapshot.memory(), "{name} left a trace");
}

#[test]
fn each_module_is_a_bare_one_with_the_declared_functions_first() {
    for built in built() {
        let module = built.load(|config| config);
        let info = module.guest().info();
        assert_eq!(info.contract(), ContractKind::Bare, "{}", built.name);
        let has_block = info.exports.iter().any(|export| export.name == guest_abi::names::EXPORT_CONTROL_BLOCK);
        assert_eq!(has_block, built.has_control_block, "{}", built.name);
        let signatures: Vec<String> = module.signatures().map(ToString::to_string).collect();
        let allocator = match built.language {
            Language::C => "malloc(p0: i32) -> i32",
            Language::AssemblyScript => "allocate(p0: i32) -> i32",
        };
        assert_eq!(signatures, [&DECLARATIONS[..], &[allocator]].concat(), "{}", built.name);
    }
}

#[test]
fn typed_calls_give_what_the_functions_are_for() {
    for built in built() {
        let module = built.load(|config| config);
        let of = |name: &str| module.function(name).unwrap();
        for _ in 0..2 {
            assert_eq!(of("gcd").call::<_, i64>((-48_i64, 18_i64)).unwrap(), 6);
            assert_eq!(of("gcd").call::<_, i64>((i64::MIN, 0_i64)).unwrap(), i64::MIN);
            assert_eq!(of("levenshtein").call::<_, i64>(("iPhone 15", "iPhone 14")).unwrap(), 1);
            assert_eq!(of("levenshtein").call::<_, i64>(("größe", "")).unwrap(), 5);
            assert_eq!(of("levenshtein").call::<_, i64>(("a😀", "a€")).unwrap(), 1);
            assert_eq!(of("upper").call::<_, String>(("to be",)).unwrap(), "TO BE");
            assert_eq!(of("upper").call::<_, String>(("",)).unwrap(), "");
            assert_eq!(of("sum").call::<_, f64>((&[1.5, 2.0, -0.25][..],)).unwrap(), 3.25);
            assert_eq!(of("sum").call::<_, f64>((&[][..] as &[f64],)).unwrap(), 0.0);
            assert_eq!(of("root").call::<_, Option<f64>>((Some(2.25),)).unwrap(), Some(1.5));
            assert_eq!(of("root").call::<_, Option<f64>>((Some(-1.0),)).unwrap(), None);
            assert_eq!(of("root").call::<_, Option<f64>>((None::<f64>,)).unwrap(), None);
        }
    }
}

#[test]
fn calls_by_values_give_what_rust_gives_and_leave_nothing() {
    for built in built() {
        let mut strategies = vec![RestoreStrategy::Auto, RestoreStrategy::FullCopy, RestoreStrategy::DirtyCards];
        if built.has_control_block {
            strategies.push(RestoreStrategy::Watermark);
        }
        if built.name == "c-functions-bump-reset" {
            strategies.push(RestoreStrategy::BumpReset);
        }
        for strategy in strategies {
            let module = built.load(|config| {
                let instance = config.instance.clone().with_strategy(strategy);
                config.with_instance(instance)
            });
            let run = runner(12).run(&calls(), |calls| {
                let mut restored = module.caller().unwrap();
                for (name, values) in &calls {
                    let found = call(&mut restored, name, values).map_err(|error| failure(error).0);
                    let fresh = call(&mut module.caller().unwrap(), name, values).map_err(|error| failure(error).0);
                    let expected = built.model(name, values).ok_or("invalid-guest-data");
                    for found in [&found, &fresh] {
                        let is_right = match (found, &expected) {
                            (Ok(found), Ok(expected)) => is_same(found, expected),
                            (found, expected) => found == expected,
                        };
                        prop_assert!(is_right, "{} {:?}: {:?} instead of {:?}", name, values, found, expected);
                    }
                    assert_pristine(&restored, name);
                }
                Ok(())
            });
            run.unwrap_or_else(|error| panic!("{} with {strategy}: {error}", built.name));
        }
    }
}

#[test]
fn batches_go_row_by_row_and_give_what_rust_gives() {
    for built in built() {
        for pristine in [Pristine::Batch, Pristine::Row, Pristine::Never] {
            let module = built.load(|config| config.with_pristine(pristine));
            let caller = RefCell::new(module.caller().unwrap());
            let run = runner(30).run(&batch(), |(name, rows)| {
                let function = module.function(name).unwrap();
                let signature = function.signature();
                let arrays: Vec<ArrayRef> = (signature.params.iter().enumerate())
                    .map(|(at, field)| {
                        let column: Vec<Value> = rows.iter().map(|row| row[at].clone()).collect();
                        array_of(field.ty, &column).expect("they are of the type")
                    })
                    .collect();
                let columns: Vec<Columnar<'_>> = arrays.iter().map(|array| Columnar::Array(array)).collect();
                let found = caller.borrow_mut().call_batch(&function, &columns, rows.len()).unwrap();
                prop_assert_eq!(found.len(), rows.len());
                for (at, row) in rows.iter().enumerate() {
                    let found = value_at(&found, signature.results[0].ty, at).expect("it has the row");
                    let expected = built.model(name, row).expect("these functions do not lie");
                    prop_assert!(is_same(&found, &expected), "{} {:?}: {} for {}", name, row, found, expected);
                }
                if pristine != Pristine::Never {
                    assert_pristine(&caller.borrow(), name);
                }
                Ok(())
            });
            run.unwrap_or_else(|error| panic!("{} {pristine:?}: {error}", built.name));
        }
    }
}

#[test]
fn a_text_that_is_longer_than_memory_is_an_error_and_so_is_one_that_fits_only_once() {
    for built in built() {
        let module = built.with_little_memory();
        let mut caller = module.caller().unwrap();
        // The host cannot place the first. Of the second the guest cannot make another text.
        for length in [2 * LITTLE, LITTLE * 5 / 8] {
            let long = "x".repeat(length);
            let (kind, said) = failure(call(&mut caller, "upper", &[Value::from(long.as_str())]).unwrap_err());
            assert_eq!(kind, "out-of-memory", "{} with {length} bytes: {said}", built.name);
            assert_pristine(&caller, "upper");
            assert_eq!(call(&mut caller, "upper", &[Value::from("ok")]).unwrap(), Value::from("OK"));
        }
    }
}

#[test]
fn a_text_that_is_not_utf8_is_an_error_and_names_its_row_in_a_batch() {
    for built in built() {
        let module = built.load(|config| config);
        let mut caller = module.caller().unwrap();
        let (kind, said) = failure(call(&mut caller, "latin1", &[Value::from("größe")]).unwrap_err());
        assert_eq!(kind, "invalid-guest-data", "{}", built.name);
        assert!(said.contains("`latin1`") && said.contains("the result is not UTF-8 from byte 2 on"), "{said}");
        assert_pristine(&caller, "latin1");

        let latin1 = module.function("latin1").unwrap();
        let texts = array_of(latin1.signature().params[0].ty, &["a", "b", "é", "d"].map(Value::from)).unwrap();
        match caller.call_batch(&latin1, &[Columnar::Array(&texts)], 4).unwrap_err() {
            FunctionError::Row { row, failure } => {
                assert_eq!((row, failure.cause.kind()), (2, "invalid-guest-data"), "{}", built.name);
            }
            other => panic!("{}: {other}", built.name),
        }
        assert_pristine(&caller, "latin1");
    }
}

#[test]
fn an_abort_in_assemblyscript_says_why() {
    for built in built().filter(|built| built.language == Language::AssemblyScript) {
        let module = built.load(|config| config);
        let mut caller = module.caller().unwrap();
        let (kind, said) = failure(call(&mut caller, "allocate", &[Value::I32(i32::MAX)]).unwrap_err());
        assert_eq!(kind, "panic", "{}: {said}", built.name);
        assert!(said.contains("Allocation too large"), "{said}");
        assert_pristine(&caller, "allocate");
    }
}

#[test]
fn the_samples_of_the_book_are_from_the_guests_and_so_are_its_declarations() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let page = read("docs/src/functions.md");
    for (fence, source) in [("```c\n", "guests/c/functions.c"), ("```ts\n", "guests/assemblyscript/functions.ts")] {
        let source = read(source);
        let sample = page.split_once(fence).and_then(|(_, rest)| rest.split_once("\n```")).expect("the book has it").0;
        for part in sample.split("\n\n") {
            assert!(source.contains(part), "this is not in the guest's source:\n{part}");
        }
        for declaration in DECLARATIONS {
            assert!(source.contains(declaration), "the source lacks `{declaration}`");
        }
    }
    for declaration in page.split("--declare \"").skip(1).filter_map(|rest| rest.split_once('"')) {
        assert!(DECLARATIONS.contains(&declaration.0), "no guest is tested with `{}`", declaration.0);
    }
}
