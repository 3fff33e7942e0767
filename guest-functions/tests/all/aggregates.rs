//! Aggregates: rows taken into states and out of them, with each allocator and policy, and what lies about states.

use std::ops::Range;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array as _, ArrayRef, BinaryArray, Float64Array, Int64Array, StringArray};
use guest_abi::function::{Declaration, Kind, Scalar, Type};
use guest_build::Allocator;
use guest_functions::guest_host::{Cause, InstanceConfig};
use guest_functions::{Columnar, FunctionError, GroupStates, Module, ModuleConfig, Pristine};
use proptest::prelude::*;

use crate::support::{built, entry, load, native};

/// A region that takes few rows, so that batches are divided.
fn module(allocator: Allocator, pristine: Pristine) -> Module {
    let instance = InstanceConfig::default().with_exchange_size(Some(4096));
    let config = ModuleConfig::default().with_instance(instance).with_pristine(pristine);
    load(&built(allocator), config).unwrap()
}

fn floats(numbers: &[Option<f64>]) -> Float64Array {
    numbers.iter().copied().collect()
}

#[derive(Debug, Clone)]
struct Row {
    group: usize,
    number: Option<i64>,
    text: Option<String>,
}

const GROUPS: usize = 5;

fn row() -> impl Strategy<Value = Row> {
    let number = prop::option::weighted(0.8, -1000_i64..1000);
    let text = prop::option::weighted(0.8, "[a-cß]{0,9}");
    (0..GROUPS, number, text).prop_map(|(group, number, text)| Row { group, number, text })
}

/// Rows that are taken in, of which some are taken out again, and whether states are sent to others in between.
fn program() -> impl Strategy<Value = Vec<(Vec<Row>, bool)>> {
    prop::collection::vec((prop::collection::vec(row(), 0..300), any::<bool>()), 1..4)
}

/// The results of one group over these rows.
fn model(rows: &[&Row]) -> (Option<f64>, i64, Option<String>) {
    let numbers: Vec<f64> = rows.iter().filter_map(|row| row.number).map(|number| number as f64).collect();
    let mean = (!numbers.is_empty()).then(|| numbers.iter().sum::<f64>() / numbers.len() as f64);
    let nulls = rows.iter().map(|row| i64::from(row.number.is_none())).sum();
    let text =
        rows.iter().filter_map(|row| row.text.clone()).min_by_key(|text| (usize::MAX - text.len(), text.clone()));
    (mean, nulls, text)
}

/// The three states of one program.
struct States {
    mean: GroupStates,
    nulls: GroupStates,
    longest: GroupStates,
}

impl States {
    fn new(module: &Module) -> Self {
        let of = |name: &str| module.aggregate(name).unwrap().states(GROUPS);
        Self { mean: of("mean"), nulls: of("count_nulls"), longest: of("longest_text") }
    }

    fn accumulate(&mut self, rows: &[Row]) {
        let groups: Vec<usize> = rows.iter().map(|row| row.group).collect();
        let numbers: Int64Array = rows.iter().map(|row| row.number).collect();
        let reals = floats(&rows.iter().map(|row| row.number.map(|number| number as f64)).collect::<Vec<_>>());
        let texts: StringArray = rows.iter().map(|row| row.text.as_deref()).collect();
        let groups = Some(groups.as_slice());
        self.mean.accumulate(&[Columnar::Array(&reals)], rows.len(), groups).unwrap();
        self.nulls.accumulate(&[Columnar::Array(&numbers)], rows.len(), groups).unwrap();
        self.longest.accumulate(&[Columnar::Array(&texts)], rows.len(), groups).unwrap();
    }

    /// The states of these, merged into new ones by another instance.
    fn sent(&self, module: &Module) -> Self {
        let mut sent = Self::new(module);
        let groups: Vec<usize> = (0..GROUPS).collect();
        for (from, to) in
            [(&self.mean, &mut sent.mean), (&self.nulls, &mut sent.nulls), (&self.longest, &mut sent.longest)]
        {
            to.merge(&from.save(0..GROUPS).unwrap(), Some(&groups)).unwrap();
        }
        sent
    }

    fn results(&self, groups: Range<usize>) -> Vec<(Option<f64>, i64, Option<String>)> {
        let mean = self.mean.evaluate(groups.clone()).unwrap();
        let nulls = self.nulls.evaluate(groups.clone()).unwrap();
        let longest = self.longest.evaluate(groups).unwrap();
        let (mean, nulls) = (mean.as_primitive::<Float64Type>(), nulls.as_primitive::<Int64Type>());
        let longest: Vec<Option<String>> =
            longest.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect();
        mean.iter().zip(nulls.values()).zip(longest).map(|((mean, nulls), text)| (mean, *nulls, text)).collect()
    }
}

#[test]
fn states_have_what_their_rows_say_with_each_allocator_and_policy() {
    for allocator in Allocator::ALL {
        for pristine in [Pristine::Batch, Pristine::Row, Pristine::Never] {
            let module = module(allocator, pristine);
            let config = ProptestConfig { cases: 8, ..ProptestConfig::default() };
            proptest!(config, |(program in program())| {
                let mut states = States::new(&module);
                let mut rows: Vec<Row> = Vec::new();
                for (more, is_sent) in program {
                    states.accumulate(&more);
                    rows.extend(more);
                    if is_sent {
                        states = states.sent(&module);
                    }
                }
                let of = |group| model(&rows.iter().filter(|row| row.group == group).collect::<Vec<_>>());
                prop_assert_eq!(states.results(0..GROUPS), (0..GROUPS).map(of).collect::<Vec<_>>());
                prop_assert_eq!(states.results(3..4), [of(3)]);
                // The first groups go, as those of an ordered input do.
                for states in [&mut states.mean, &mut states.nulls, &mut states.longest] {
                    states.remove_first(2);
                    states.resize(4);
                }
                let left: Vec<_> = (2..GROUPS).map(of).chain([model(&[])]).collect();
                prop_assert_eq!(states.results(0..4), left);
            });
        }
    }
}

#[test]
fn a_window_that_slides_takes_out_what_it_leaves() {
    let module = module(Allocator::Leaking, Pristine::Batch);
    let numbers: Vec<f64> = (0..50).map(|number| f64::from(number * number % 17)).collect();
    for (name, share) in [("mean", None), ("percentile", Some(0.5))] {
        let share = share.map(|share: f64| Float64Array::from(vec![share]));
        let mut sliding = module.aggregate(name).unwrap().states(1);
        let columns = |from: &Float64Array| -> Vec<ArrayRef> {
            let from: ArrayRef = std::sync::Arc::new(from.clone());
            std::iter::once(from).chain(share.clone().map(|share| std::sync::Arc::new(share) as ArrayRef)).collect()
        };
        for end in 0..numbers.len() {
            let taken = columns(&Float64Array::from(vec![numbers[end]]));
            let taken: Vec<Columnar<'_>> = taken.iter().map(|array| Columnar::Array(array)).collect();
            sliding.accumulate(&taken, 1, None).unwrap();
            if end >= 8 {
                let left = columns(&Float64Array::from(vec![numbers[end - 8]]));
                let left: Vec<Columnar<'_>> = left.iter().map(|array| Columnar::Array(array)).collect();
                sliding.retract(&left, 1, None).unwrap();
            }
            let window = Float64Array::from(numbers[end.saturating_sub(7)..=end].to_vec());
            let mut whole = vec![Columnar::Array(&window)];
            whole.extend(share.as_ref().map(|share| Columnar::Constant(share)));
            let expected = module.aggregate(name).unwrap().call(&whole, window.len()).unwrap();
            assert_eq!(&sliding.evaluate(0..1).unwrap(), &expected, "{name} up to {end}");
        }
    }
    let error = module.aggregate("longest_text").unwrap().states(1);
    let error = { error }.retract(&[], 0, None).unwrap_err();
    assert!(matches!(&error, FunctionError::NoRetract { function } if function == "longest_text"), "{error}");
}

#[test]
fn the_row_that_failed_is_named_also_in_a_batch_that_is_divided() {
    let module = module(Allocator::BumpReset, Pristine::Batch);
    let percentile = module.aggregate("percentile").unwrap();
    let numbers = Float64Array::from(vec![1.0; 2000]);
    let mut shares = vec![0.5; 2000];
    shares[1500] = 1.5;
    let shares = Float64Array::from(shares);
    let columns = [Columnar::Array(&numbers), Columnar::Array(&shares)];
    match percentile.call(&columns, 2000).unwrap_err() {
        FunctionError::Row { row: 1500, failure } => {
            assert!(matches!(&failure.cause, Cause::GuestError { message, .. } if message.contains("0 to 1")));
            assert_eq!(failure.function, "percentile");
        }
        other => panic!("{other}"),
    }
    let none = percentile.call(&[Columnar::Array(&floats(&[])), Columnar::Array(&floats(&[]))], 0).unwrap();
    assert!(none.is_null(0));
}

#[test]
fn arguments_that_do_not_fit_are_told_before_the_guest_is_called() {
    let module = module(Allocator::Leaking, Pristine::Batch);
    let mut states = module.aggregate("mean").unwrap().states(2);
    let numbers = floats(&[Some(1.0), None]);
    let columns = [Columnar::Array(&numbers)];
    let told = |result: Result<(), FunctionError>| result.unwrap_err().to_string();
    assert_eq!(
        told(states.accumulate(&columns, 2, Some(&[0, 2]))),
        "row 1 of the batch belongs to the group 2, and there are states of 2 groups; resize them before"
    );
    assert_eq!(
        told(states.accumulate(&columns, 2, Some(&[0]))),
        "the batch of `mean` has 2 rows, and 1 of them have a group"
    );
    assert!(told(states.accumulate(&[], 0, None)).contains("takes 1 argument"));
    let wrong = Int64Array::from(vec![1, 2]);
    assert!(told(states.accumulate(&[Columnar::Array(&wrong)], 2, None)).contains("has type f64"));
    assert!(told(states.merge(&numbers, None)).contains("has type bytes"));
    for (state, told_version) in [(&[1_u8, 0][..], "no version"), (&[9, 0, 0, 0], "version 9")] {
        let error = states.merge(&BinaryArray::from(vec![state]), None).unwrap_err();
        assert!(matches!(error, FunctionError::State { row: 0, expected: 1, .. }), "{error}");
        assert!(error.to_string().contains(told_version), "{error}");
    }
    // The version is right, and the rest is none of this aggregate's.
    let error = states.merge(&BinaryArray::from(vec![&[1_u8, 0, 0, 0, 7][..]]), None).unwrap_err();
    assert!(matches!(&error, FunctionError::Row { row: 0, .. }), "{error}");
    assert!(error.to_string().contains("are not a state of this aggregate"), "{error}");
    let mut empty = module.aggregate("mean").unwrap().states(0);
    assert!(matches!(
        empty.accumulate(&columns, 2, None),
        Err(FunctionError::UnknownGroup { group: 0, groups: 0, .. })
    ));
    for (error, told) in [
        (
            module.function("mean").unwrap_err(),
            "`mean` is of the kind `aggregate`, and the call is one of the kind `function`",
        ),
        (module.aggregate("gcd").unwrap_err(), "`gcd` is of the kind `function`"),
        (module.aggregate("mena").unwrap_err(), "`mean`"),
    ] {
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[test]
fn a_state_that_does_not_fit_the_region_is_an_error_and_not_a_loop() {
    let module = module(Allocator::Freelist, Pristine::Batch);
    let mut states = module.aggregate("longest_text").unwrap().states(1);
    let text = StringArray::from(vec!["x".repeat(3000)]);
    states.accumulate(&[Columnar::Array(&text)], 1, None).unwrap();
    let error = states.accumulate(&[Columnar::Array(&text)], 1, None).unwrap_err();
    assert!(
        matches!(&error, FunctionError::Row { row: 0, failure } if matches!(failure.cause, Cause::ArgumentsTooLarge { .. })),
        "{error}"
    );
    assert_eq!(states.evaluate(0..1).unwrap().as_string::<i32>().value(0).len(), 3000);
    assert!((3000..20_000).contains(&states.size()), "{}", states.size());
}

/// An aggregate whose export has this body. Its locals are the seven parameters; the result's column is the seventh.
fn lying(body: &str) -> Module {
    let declaration = entry!(
        Declaration::new(Kind::Aggregate, "lie", &[("of", Type::of(Scalar::I64))], &[("", Type::of(Scalar::I64))])
            .with_state_version(7)
            .with_retracts(true)
    );
    let export =
        format!(r#"(func (export "__guest_aggregate_lie") (param i32 i32 i32 i32 i32 i32 i32) (result i32) {body})"#);
    load(&native(&export, &declaration), ModuleConfig::default()).unwrap()
}

/// Sets the offsets and bytes of the result to addresses, and says that no row failed.
fn result_at(offsets: u32, values: u32) -> String {
    format!(
        "(i32.store offset=12 (local.get 6) (i32.const {offsets})) (i32.store offset=8 (local.get 6) (i32.const {values}))
         (i32.const -1)"
    )
}

#[test]
fn lies_about_states_are_typed_errors() {
    let numbers = Int64Array::from(vec![1, 2, 3]);
    // Offsets 0, 4 at address 16, and the version 7 at 32.
    let good = "(i32.store (i32.const 20) (i32.const 4)) (i32.store (i32.const 32) (i32.const 7))";
    let honest = format!("{good} {}", result_at(16, 32));
    for (body, told) in [
        (
            format!("(i32.store (i32.const 20) (i32.const 4)) {}", result_at(16, 32)),
            "has version 0, and this module reads version 7",
        ),
        (result_at(16, 32), "has no version, and this module reads version 7"),
        (format!("{good} (i32.store (i32.const 16) (i32.const 8)) {}", result_at(16, 32)), "offset"),
        (format!("{good} {}", result_at(16, 0x7fff_ffff)), "outside the guest's memory"),
        (
            format!("{good} (i32.store offset=4 (local.get 6) (i32.const 2)) {}", result_at(16, 32)),
            "2 rows instead of 1",
        ),
        ("(i32.const 1)".to_owned(), "ended at row 1 without an error"),
        ("unreachable".to_owned(), "row 0 of the batch"),
        ("(call $fail (i32.const 1) (i32.const 0) (i32.const 0)) (i32.const 2)".to_owned(), "row 2 of the batch"),
    ] {
        let module = lying(&body);
        let mut states = module.aggregate("lie").unwrap().states(1);
        let error = states.accumulate(&[Columnar::Array(&numbers)], 3, None).unwrap_err().to_string();
        assert!(error.contains(told), "{body}: {error}");
        // The state is as it was.
        assert!(states.save(0..1).unwrap().is_null(0), "{body}");
    }
    let module = lying(&honest);
    let mut states = module.aggregate("lie").unwrap().states(1);
    states.accumulate(&[Columnar::Array(&numbers)], 3, None).unwrap();
    assert_eq!(states.save(0..1).unwrap().value(0), [7, 0, 0, 0]);
}

#[test]
fn an_export_that_is_missing_or_of_another_type_is_told_when_the_module_is_loaded() {
    let declaration = entry!(Declaration::new(
        Kind::Aggregate,
        "lie",
        &[("of", Type::of(Scalar::I64))],
        &[("", Type::of(Scalar::I64))]
    ));
    for (export, told) in [
        (String::new(), "has no export `__guest_aggregate_lie`"),
        (
            "(func (export \"__guest_aggregate_lie\") (result i32) (i32.const -1))".to_owned(),
            "its signature crosses as",
        ),
    ] {
        let error = load(&native(&export, &declaration), ModuleConfig::default()).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}
