//! Every type there and back, and that arguments cross as they are.

use std::sync::Arc;

use guest_datafusion::datafusion::arrow::array::{
    ArrayRef, DictionaryArray, Int64Array, LargeStringArray, RecordBatch, StringArray, StringViewArray,
};
use guest_datafusion::datafusion::arrow::datatypes::{DataType, Int32Type};
use guest_datafusion::datafusion::prelude::SessionContext;
use guest_datafusion::guest_functions::ModuleConfig;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::support::{gcd, levenshtein, register_text, rows, session, table, with_functions};

async fn one(ctx: &SessionContext, expression: &str) -> String {
    let rows = rows(ctx, &format!("SELECT {expression}")).await.unwrap_or_else(|error| panic!("{expression}: {error}"));
    assert_eq!(rows.len(), 1, "{expression}");
    rows[0].clone()
}

#[tokio::test]
async fn every_type_goes_there_and_comes_back() {
    let ctx = with_functions(1);
    for (expression, expected) in [
        ("gcd(48, -18)", "6"),
        ("gcd(CAST(48 AS SMALLINT), CAST(18 AS BIGINT UNSIGNED))", "6"),
        ("levenshtein('kitten', 'sitting')", "3"),
        ("upper('größe')", "GRÖSSE"),
        ("text_score('red shoe', 'a SHOE')", "0.5"),
        ("round(distance(52.52, 13.405, 48.8566, 2.3522))", "877.0"),
        ("distance(1, 2, 1, 2)", "0.0"),
        ("nullable(NULL)", "NULL"),
        ("nullable(41)", "42"),
        ("gcd(NULL, 1)", "NULL"),
        ("digits(907)", "[9, 0, 7]"),
        ("split('a,,b', ',')", "[a, , b]"),
        ("numbers_in('1 x')", "[1, NULL]"),
        ("capitals('to Be')", "[false, true]"),
        ("sum_list([1, 2, 39])", "42"),
        ("longest(['a', NULL, 'bc'])", "bc"),
        ("total([1.5, NULL, 2])", "3.5"),
        ("day_after(DATE '2024-02-28')", "2024-02-29"),
        ("later(TIMESTAMP '2024-02-28T23:59:59', 1)", "2024-02-29T00:00:00"),
        ("with_tax(CAST('19.99' AS DECIMAL(18, 2)), 19)", "23.78"),
        ("with_tax(CAST('9.5' AS DECIMAL(3, 1)), 0)", "9.50"),
        ("known(X'00')", "true"),
        ("known(NULL)", "false"),
        ("draws(CAST(0 AS BIGINT UNSIGNED))", "16294208416658607535"),
        // [1.0, 2.0] in CBOR, moved by 1.0 and 2.0.
        ("moved(X'82fb3ff0000000000000fb4000000000000000', 1.0, 2.0)", "82fb4000000000000000fb4010000000000000"),
        (
            "all_types(true, 1, 1, CAST(1 AS BIGINT UNSIGNED), CAST(1.5 AS REAL), 1.5, 'a', X'00', DATE '2024-01-01', \
             TIMESTAMP '2024-01-01T00:00:00', CAST(100 AS DECIMAL(38, -2)), X'82fb3ff0000000000000fb4000000000000000', [CAST(1 AS REAL)], \
             CAST(1.5 AS DECIMAL(5, 1)))",
            "14",
        ),
    ] {
        assert_eq!(one(&ctx, expression).await, expected, "{expression}");
    }
}

#[tokio::test]
async fn exports_of_numbers_of_any_module_are_functions() {
    let (ctx, _) = session(1);
    let text = r#"(module
        (func (export "half") (param f32) (result f32) (f32.mul (local.get 0) (f32.const 0.5)))
        (func (export "next") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
        (func (export "answer") (result i64) (i64.const 42)))"#;
    register_text(&ctx, text, ModuleConfig::default());
    assert_eq!(one(&ctx, "half(CAST(3 AS REAL)), next(41), answer()").await, "1.5|42|42");
    assert_eq!(
        rows(&ctx, "SELECT next(x), answer() FROM (VALUES (1), (NULL)) AS t(x)").await.unwrap(),
        ["2|42", "NULL|42"]
    );
    assert_eq!(one(&ctx, "isnan(half(CAST('NaN' AS REAL)))").await, "true");
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_refused_with_both_types() {
    let ctx = with_functions(1);
    for (expression, parts) in [
        ("gcd('a', 1)", &["the parameter `a` of `gcd` has type i64", "Utf8", "CAST(... AS BIGINT)"][..]),
        ("levenshtein(1, 'a')", &["the parameter `a` of `levenshtein` has type string", "Int64"]),
        ("gcd(1)", &["`gcd` takes 2 arguments, not 1", "gcd(a: i64, b: i64) -> i64"]),
        ("with_tax(CAST(1 AS DECIMAL(20, 4)), 1)", &["decimal(18, 2)", "Decimal128(20, 4)"]),
        ("later(TIMESTAMP '2024-02-28T23:59:59', 3000000000)", &["3000000000", "Int32"]),
    ] {
        let error = rows(&ctx, &format!("SELECT {expression}")).await.unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{expression}: {error}");
    }
}

#[tokio::test]
async fn the_cast_that_an_error_recommends_is_one_of_sql() {
    let ctx = with_functions(1);
    let call = |at: usize, argument: &str| {
        let arguments: Vec<&str> = (0..14).map(|other| if other == at { argument } else { "NULL" }).collect();
        format!("SELECT all_types({})", arguments.join(", "))
    };
    let mut types = Vec::new();
    for at in 0..14 {
        let error = rows(&ctx, &call(at, "INTERVAL '1 day'")).await.unwrap_err().to_string();
        let advice = error.split_once("write ").and_then(|(_, rest)| rest.split_once(" around the argument"));
        let (cast, _) = advice.unwrap_or_else(|| panic!("{error}"));
        let found = rows(&ctx, &call(at, &cast.replace("...", "NULL"))).await;
        assert_eq!(found.unwrap_or_else(|error| panic!("{cast}: {error}")), ["NULL"], "{cast}");
        types.push(cast.to_owned());
    }
    assert!(types.contains(&"CAST(... AS TIMESTAMP(6))".to_owned()), "{types:?}");
}

#[tokio::test]
async fn texts_of_every_layout_are_not_copied_by_the_planner() {
    let ctx = with_functions(1);
    let texts = [Some("kitten"), None, Some("sitting"), Some("a text that is too long for a view")];
    let dictionary: DictionaryArray<Int32Type> = texts.into_iter().collect();
    let columns: [(&str, ArrayRef); 4] = [
        ("plain", Arc::new(StringArray::from(texts.to_vec()))),
        ("long", Arc::new(LargeStringArray::from(texts.to_vec()))),
        ("view", Arc::new(StringViewArray::from(texts.to_vec()))),
        ("keyed", Arc::new(dictionary)),
    ];
    let names = columns.each_ref().map(|(name, _)| *name);
    table(&ctx, "t", vec![vec![RecordBatch::try_from_iter(columns).unwrap()]]);
    let expected: Vec<String> = texts
        .iter()
        .map(|text| text.map_or("NULL".to_owned(), |text| levenshtein(text, "sitting").to_string()))
        .collect();
    for name in names {
        let sql = format!("SELECT levenshtein({name}, 'sitting') FROM t");
        assert_eq!(rows(&ctx, &sql).await.unwrap(), expected, "{name}");
        let plan = rows(&ctx, &format!("EXPLAIN {sql}")).await.unwrap().join("\n");
        assert!(plan.contains(&format!("({name}@")) && !plan.contains("CAST"), "{plan}");
    }
}

#[tokio::test]
async fn the_result_is_null_only_where_it_may_be() {
    let ctx = with_functions(1);
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![4, 6]));
    table(&ctx, "t", vec![vec![RecordBatch::try_from_iter_with_nullable([("n", numbers, false)]).unwrap()]]);
    let frame = ctx.sql("SELECT gcd(n, 10), nullable(n), gcd(n, NULL) FROM t").await.unwrap();
    let fields: Vec<(String, DataType, bool)> = frame
        .schema()
        .fields()
        .iter()
        .map(|field| (field.name().clone(), field.data_type().clone(), field.is_nullable()))
        .collect();
    assert_eq!(
        fields,
        [
            ("gcd(t.n,Int64(10))".to_owned(), DataType::Int64, false),
            ("nullable(t.n)".to_owned(), DataType::Int64, true),
            ("gcd(t.n,NULL)".to_owned(), DataType::Int64, true),
        ]
    );
    let batches = frame.collect().await.unwrap();
    assert_eq!(crate::support::shown(&batches), ["2|5|NULL", "2|7|NULL"]);
}

#[tokio::test]
async fn a_null_for_a_function_that_is_not_strict_names_its_row() {
    let ctx = with_functions(1);
    let error = rows(&ctx, "SELECT checked(x) FROM (VALUES (1), (NULL)) AS t(x)").await.unwrap_err().to_string();
    assert!(error.contains("row 1") && error.contains("`number`"), "{error}");
}

#[tokio::test]
async fn empty_batches_have_empty_results() {
    let ctx = with_functions(2);
    assert!(rows(&ctx, "SELECT gcd(x, 2), upper('a') FROM (VALUES (1)) AS t(x) WHERE x > 1").await.unwrap().is_empty());
}

/// A number, a text and a text that is repeated.
type Row = (Option<i64>, Option<String>, Option<String>);

fn batches() -> impl Strategy<Value = Vec<Vec<Row>>> {
    let text = || prop::option::weighted(0.9, "[a-cß ]{0,14}");
    let number = prop::option::weighted(0.9, prop_oneof![-20_i64..20, any::<i64>()]);
    let keyed =
        prop::option::weighted(0.9, prop::sample::select(vec!["".to_owned(), "ab".to_owned(), "ßßß".to_owned()]));
    prop::collection::vec(prop::collection::vec((number, text(), keyed), 0..40), 1..4)
}

#[test]
fn random_columns_give_what_the_native_functions_give() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let ctx = with_functions(2);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(48));
    let run = runner.run(&batches(), |batches| {
        let mut expected = Vec::new();
        let partitions: Vec<Vec<RecordBatch>> = batches
            .iter()
            .map(|batch| {
                let numbers: Int64Array = batch.iter().map(|row| row.0).collect();
                let texts: StringViewArray = batch.iter().map(|row| row.1.as_deref()).collect();
                let keyed: DictionaryArray<Int32Type> = batch.iter().map(|row| row.2.as_deref()).collect();
                for (number, text, keyed) in batch {
                    let number = number.map_or("NULL".to_owned(), |number| gcd(number, 12).to_string());
                    let distance = text.as_ref().zip(keyed.as_ref()).map(|(text, keyed)| levenshtein(text, keyed));
                    let upper = text.as_ref().map_or("NULL".to_owned(), |text| text.to_uppercase());
                    expected
                        .push(format!("{number}|{}|{upper}", distance.map_or("NULL".to_owned(), |d| d.to_string())));
                }
                let columns: [(&str, ArrayRef); 3] =
                    [("n", Arc::new(numbers)), ("s", Arc::new(texts)), ("k", Arc::new(keyed))];
                let nullable = columns.map(|(name, column)| (name, column, true));
                vec![RecordBatch::try_from_iter_with_nullable(nullable).unwrap()]
            })
            .collect();
        let _ = ctx.deregister_table("random").unwrap();
        table(&ctx, "random", partitions);
        let sql = "SELECT gcd(n, 12), levenshtein(s, k), upper(s) FROM random";
        let mut found = runtime.block_on(rows(&ctx, sql)).unwrap();
        // Partitions end in any order.
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
        Ok(())
    });
    run.unwrap();
}
