//! The guest `function-adversary` lies in every way, with every allocator and policy: each lie is an error that tells it, and the calls
//! that follow are right.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, StringArray};
use guest_build::Allocator;
use guest_functions::{Columnar, FunctionError, Module, ModuleConfig, Pristine, Value};

use crate::support::{built_guest, load};

/// Rows of a batch: more than a bitmap of one byte has bits.
const ROWS: usize = 40;

/// For each function that lies: its name, the beginning of its documentation, the error of one row, and the error of a batch.
const LIES: [[&str; 4]; 14] = [
    ["longer", "The column of results has a row more", "outside the guest's memory", "has 41 rows instead of 40"],
    [
        "backwards",
        "The offsets of the results go backwards",
        "outside the guest's memory",
        "the offset of row 40 is 0, behind an offset of 40",
    ],
    ["no_text", "The results are texts, and", "not UTF-8 from byte 0", "not UTF-8 from byte 0"],
    ["split", "An offset lies within", "not UTF-8 from byte 0", "the offset of row 1 is within a character"],
    ["nowhere", "The values of the results are not", "outside the guest's memory", "outside the guest's memory"],
    ["encoding", "The results have an encoding", "is not a plain one", "is not a plain one"],
    ["short_bitmap", "The bitmap that says", "outside the guest's memory", "outside the guest's memory"],
    ["fewer_items", "The items are fewer", "the list's items: ", "the last offset is 40, and there are 39 items"],
    ["null_item", "An item is null", "an item of the result is null", "an item of the result is null"],
    ["digits", "The results have more digits", "has more digits than its type", "has more than 2 digits"],
    ["no_document", "The results are documents, and", "is not a document", "is not a document"],
    ["behind", "The row that failed is behind", "outside the guest's memory", "ended at row 47 without an error"],
    ["no_error", "The call ended at a row", "the result is null", "ended at row 5 without an error"],
    // It has no export for batches, and is called row by row.
    ["truth", "The result is a truth value", "a truth value is 0 or 1", "a truth value is 0 or 1"],
];

fn module(allocator: Allocator, pristine: Pristine) -> Module {
    load(&built_guest("function-adversary", allocator), ModuleConfig::default().with_pristine(pristine)).unwrap()
}

#[test]
fn every_lie_is_told_and_the_next_call_is_right() {
    let numbers: Int64Array = (0..40).map(Some).collect();
    let more: Int64Array = (1..41).map(Some).collect();
    assert_eq!(numbers.len(), ROWS);
    let columns = [Columnar::Array(&numbers)];
    for allocator in Allocator::ALL {
        for pristine in [Pristine::Batch, Pristine::Row, Pristine::Never] {
            let module = module(allocator, pristine);
            let mut caller = module.caller().unwrap();
            let one_more = module.function("one_more").unwrap();
            for [name, _, of_row, of_batch] in LIES {
                let lie = module.function(name).unwrap();
                let expected = if pristine == Pristine::Row { of_row } else { of_batch };
                let told = |error: FunctionError, expected: &str| {
                    let error = error.to_string();
                    assert!(error.contains(expected), "{name}, {allocator}, {pristine:?}: {error}");
                };
                told(caller.call_batch(&lie, &columns, ROWS).unwrap_err(), expected);
                told(caller.call::<_, Value>(&lie, (7_i64,)).unwrap_err(), of_row);
                // A failure is followed by a restore whatever the policy.
                assert!(caller.instance().is_pristine());
                let right = caller.call_batch(&one_more, &columns, ROWS).unwrap();
                assert_eq!(right.as_primitive::<Int64Type>(), &more);
                assert_eq!(caller.call::<_, i64>(&one_more, (41_i64,)).unwrap(), 42);
            }
            let aggregate = module.aggregate("old_state").unwrap();
            let mut states = aggregate.states(1);
            let error = states.accumulate(&columns, ROWS, None).unwrap_err().to_string();
            assert!(error.contains("has version 6, and this module reads version 7"), "{allocator}: {error}");
        }
    }
}

#[test]
fn each_lie_is_listed_with_what_it_is() {
    let module = module(Allocator::Leaking, Pristine::Batch);
    let told = |name: &str| module.signatures().find(|signature| signature.name == name).unwrap().documentation.clone();
    for [name, documentation, ..] in LIES {
        assert!(told(name).starts_with(documentation), "{name}: {}", told(name));
    }
    // An argument of a wrong type is an error before the guest can lie.
    let texts = StringArray::from(vec!["7"]);
    let error = module.function("longer").unwrap().call_batch(&[Columnar::Array(&texts)], 1).unwrap_err();
    assert!(matches!(error, FunctionError::ArgumentType { .. }), "{error}");
}
