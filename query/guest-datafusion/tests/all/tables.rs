//! Table functions through SQL.

use guest_datafusion::guest_functions::{FunctionError, ModuleConfig};
use guest_datafusion::register_module;

use crate::support::{built, function_error, limited, register_text, rows, session, with_functions};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_selected_joined_and_limited() {
    let ctx = with_functions(2);
    let words = "SELECT * FROM tokens('To be, or not')";
    assert_eq!(rows(&ctx, words).await.unwrap(), ["0|to", "3|be", "7|or", "10|not"]);
    assert_eq!(rows(&ctx, "SELECT word FROM tokens('to be') WHERE position > 0").await.unwrap(), ["be"]);
    assert_eq!(
        rows(&ctx, "SELECT count(*), sum(number) FROM series(0, 100000, NULL)").await.unwrap(),
        ["100000|4999950000"]
    );
    assert_eq!(rows(&ctx, "SELECT count(*) FROM series(1, 5, 1) a, series(1, 4, 1) b").await.unwrap(), ["12"]);
    // Rows without an end, of which the limit takes some.
    let few = "SELECT number FROM series(0, 9223372036854775807, 1) LIMIT 3";
    assert_eq!(rows(&ctx, few).await.unwrap(), ["0", "1", "2"]);
    let few = "SELECT gcd(number, 6) FROM series(1, 9223372036854775807, 1) WHERE number > 10000 LIMIT 2";
    assert_eq!(rows(&ctx, few).await.unwrap(), ["1", "6"]);
    assert_eq!(rows(&ctx, "SELECT * FROM tokens(CAST(NULL AS TEXT))").await.unwrap(), Vec::<String>::new());
    assert_eq!(rows(&ctx, "SELECT name, value FROM settings('a=1\nb=')").await.unwrap(), ["a|1.0", "b|NULL"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explain_shows_the_hash_and_instances_are_given_back() {
    let (ctx, pool) = session(2);
    let module = register_module(&ctx, "functions", &built("functions-leaking"), ModuleConfig::default()).unwrap();
    let hash: String = module.hash()[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    let plan = rows(&ctx, "EXPLAIN SELECT * FROM tokens('a') LIMIT 7").await.unwrap().join("\n");
    assert!(plan.contains(&format!("WasmTableExec: tokens@{hash}, limit=7")), "{plan}");
    assert_eq!(pool.instances(), 0, "planning makes none");
    rows(&ctx, "SELECT * FROM tokens('a b')").await.unwrap();
    assert_eq!(pool.instances(), 1);
    pool.is_given_back().await;
    drop(ctx.sql("SELECT * FROM series(0, 9223372036854775807, 1)").await.unwrap().execute_stream().await.unwrap());
    pool.is_given_back().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_are_typed_and_other_queries_go_on() {
    let ctx = with_functions(1);
    let error = rows(&ctx, "SELECT * FROM series(1, 2, 0)").await.unwrap_err();
    assert!(function_error(&error).to_string().contains("the step of a series is not 0"), "{error}");
    let error = rows(&ctx, "SELECT * FROM settings('a=1\nb=x')").await.unwrap_err();
    assert!(function_error(&error).to_string().contains("`x` is no number"), "{error}");
    let error = rows(&ctx, "SELECT * FROM series(NULL, 2, 1)").await.unwrap_err();
    assert!(matches!(function_error(&error), FunctionError::NullInRow { .. }), "{error}");
    for (sql, told) in [
        ("SELECT * FROM tokens(1)", "the parameter `text` of `tokens` has type string"),
        ("SELECT * FROM tokens()", "`tokens` takes 1 arguments, not 0"),
        ("SELECT t.* FROM (VALUES ('a')) v(x), tokens(v.x) t", "v.x"),
    ] {
        let error = rows(&ctx, sql).await.unwrap_err().to_string();
        assert!(error.contains(told), "{sql}: {error}");
    }
    assert_eq!(rows(&ctx, "SELECT count(*) FROM tokens('a b')").await.unwrap(), ["2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_finds_no_memory_says_so() {
    let (ctx, pool) = limited(1, 100_000);
    // The engine of the tests makes no instance when a module is registered with so little memory.
    register_text(&ctx, "(module (func (export \"one\") (result i32) (i32.const 1)))", ModuleConfig::default());
    register_module(&ctx, "functions", &built("functions-leaking"), ModuleConfig::default()).unwrap();
    let error = rows(&ctx, "SELECT * FROM tokens('a')").await.unwrap_err().to_string();
    assert!(error.contains("no memory for the WebAssembly function `tokens`"), "{error}");
    pool.is_given_back().await;
}

#[tokio::test]
async fn a_table_function_is_created_and_dropped_by_sql() {
    let (ctx, _, _folder) = crate::create::factory();
    rows(&ctx, "CREATE FUNCTION words() LANGUAGE WASM AS 'functions.wasm#tokens'").await.unwrap();
    assert_eq!(rows(&ctx, "SELECT word FROM words('a b')").await.unwrap(), ["a", "b"]);
    rows(&ctx, "DROP FUNCTION words").await.unwrap();
    assert!(rows(&ctx, "SELECT word FROM words('a b')").await.is_err());
    let error = rows(&ctx, "CREATE FUNCTION words(t TEXT) RETURNS TEXT LANGUAGE WASM AS 'functions.wasm#tokens'");
    let error = error.await.unwrap_err().to_string();
    assert!(error.contains("tokens(text: string) -> table(position: i64, word: string)"), "{error}");
}
