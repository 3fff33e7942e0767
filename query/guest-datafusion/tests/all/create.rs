//! `CREATE FUNCTION` and `DROP FUNCTION`.

use std::sync::Arc;

use guest_datafusion::datafusion::prelude::SessionContext;
use guest_datafusion::guest_functions::ModuleConfig;
use guest_datafusion::{FolderResolver, RegisterError, WasmFunctionFactory, WasmModules, register_module};
use tempfile::TempDir;

use crate::support::{built, rows, session};

const FOREIGN: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "malloc") (param i32) (result i32) (i32.const 1024))
    (func (export "bytes") (param i32 i32) (result i32) (local.get 1))
    (func (export "twice") (param i64) (result i64) (i64.shl (local.get 0) (i64.const 1))))"#;

/// A session that creates functions of modules in a folder.
pub(crate) fn factory() -> (SessionContext, WasmModules, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("modules")).unwrap();
    std::fs::write(folder.path().join("modules/functions.wasm"), built("functions-leaking")).unwrap();
    std::fs::write(folder.path().join("modules/foreign.wasm"), wat::parse_str(FOREIGN).unwrap()).unwrap();
    std::fs::write(folder.path().join("secret.wasm"), wat::parse_str(FOREIGN).unwrap()).unwrap();
    let (ctx, _) = session(1);
    let resolver = Arc::new(FolderResolver::new(folder.path().join("modules")));
    WasmFunctionFactory::install(&ctx, resolver, ModuleConfig::default()).unwrap();
    let modules = WasmModules::of(&ctx).unwrap();
    (ctx, modules, folder)
}

async fn run(ctx: &SessionContext, sql: &str) {
    rows(ctx, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn refused(ctx: &SessionContext, sql: &str) -> String {
    match rows(ctx, sql).await {
        Err(error) => error.to_string(),
        Ok(_) => panic!("{sql} was not refused"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_are_created_called_and_dropped() {
    let (ctx, modules, _folder) = factory();
    run(&ctx, "CREATE FUNCTION text_score(q TEXT, t TEXT) RETURNS DOUBLE LANGUAGE WASM AS 'functions.wasm'").await;
    run(
        &ctx,
        "CREATE FUNCTION edits(x VARCHAR, y VARCHAR) RETURNS BIGINT LANGUAGE WASM AS 'functions.wasm#levenshtein'",
    )
    .await;
    // What is left out is the module's.
    run(&ctx, "CREATE FUNCTION gcd() LANGUAGE WASM AS 'functions.wasm'").await;
    assert_eq!(rows(&ctx, "SELECT text_score('a', 'b'), edits('ab', ''), gcd(4, 6)").await.unwrap(), ["0.0|2|2"]);
    assert_eq!(modules.modules().len(), 1, "one module for three functions");

    run(&ctx, "DROP FUNCTION text_score").await;
    run(&ctx, "DROP FUNCTION IF EXISTS text_score").await;
    assert!(refused(&ctx, "DROP FUNCTION text_score").await.contains("not exist"));
    assert!(refused(&ctx, "SELECT text_score('a', 'b')").await.contains("text_score"));
    assert_eq!(modules.modules().len(), 1);
    run(&ctx, "DROP FUNCTION edits").await;
    run(&ctx, "DROP FUNCTION gcd").await;
    assert!(modules.modules().is_empty(), "unloaded with its last function");
}

#[tokio::test]
async fn a_function_is_replaced_only_where_that_is_said() {
    let (ctx, _, _folder) = factory();
    run(&ctx, "CREATE FUNCTION f(n BIGINT) RETURNS BIGINT LANGUAGE WASM AS 'foreign.wasm#twice'").await;
    let again = "FUNCTION f(n BIGINT) RETURNS BIGINT LANGUAGE WASM AS 'functions.wasm#checked'";
    assert!(refused(&ctx, &format!("CREATE {again}")).await.contains("a function `f` exists"));
    assert_eq!(rows(&ctx, "SELECT f(21)").await.unwrap(), ["42"]);
    run(&ctx, &format!("CREATE OR REPLACE {again}")).await;
    assert_eq!(rows(&ctx, "SELECT f(21)").await.unwrap(), ["21"]);
    // A built-in one makes room, unless it is of another kind.
    run(&ctx, "CREATE FUNCTION abs(n BIGINT) RETURNS BIGINT LANGUAGE WASM AS 'foreign.wasm#twice'").await;
    assert_eq!(rows(&ctx, "SELECT abs(-21)").await.unwrap(), ["-42"]);
    let aggregate = "CREATE FUNCTION sum(n BIGINT) RETURNS BIGINT LANGUAGE WASM AS 'foreign.wasm#twice'";
    assert!(refused(&ctx, aggregate).await.contains("a function `sum` exists"));
    let aggregate = aggregate.replace("CREATE", "CREATE OR REPLACE");
    assert!(refused(&ctx, &aggregate).await.contains("of the same kind"));
}

#[tokio::test]
async fn a_module_without_signatures_is_called_as_it_is_declared() {
    let (ctx, modules, _folder) = factory();
    run(&ctx, "CREATE FUNCTION bytes(t TEXT) RETURNS INT LANGUAGE WASM AS 'foreign.wasm'").await;
    run(&ctx, "CREATE FUNCTION twice(n BIGINT) RETURNS BIGINT VOLATILE LANGUAGE WASM AS 'foreign.wasm'").await;
    assert_eq!(rows(&ctx, "SELECT bytes('größe'), twice(21)").await.unwrap(), ["7|42"]);
    assert_eq!(modules.modules().len(), 2, "one with a declaration and one without");
    let error =
        refused(&ctx, "CREATE FUNCTION other(n DATE) RETURNS BIGINT LANGUAGE WASM AS 'foreign.wasm#twice'").await;
    assert!(error.contains("`(i64) -> i64`") && error.contains("`(i32) -> i64`"), "{error}");
    assert!(
        refused(&ctx, "CREATE FUNCTION bytes2() LANGUAGE WASM AS 'foreign.wasm#no'")
            .await
            .contains("does not say the types")
    );
}

#[tokio::test]
async fn a_statement_that_is_wrong_says_what_to_write() {
    let (ctx, modules, _folder) = factory();
    for (sql, parts) in [
        (
            "CREATE FUNCTION gcd(a INT, b INT) RETURNS BIGINT LANGUAGE WASM AS 'functions.wasm'",
            &["`gcd(a: i32, b: i32) -> i64`", "`gcd(a: i64, b: i64) -> i64 immutable`"][..],
        ),
        ("CREATE FUNCTION gcd() RETURNS TEXT LANGUAGE WASM AS 'functions.wasm'", &["-> string`", "-> i64 immutable`"]),
        ("CREATE FUNCTION gcd() STABLE LANGUAGE WASM AS 'functions.wasm'", &["stable`", "immutable`"]),
        ("CREATE FUNCTION text_scor() LANGUAGE WASM AS 'functions.wasm'", &["no function `text_scor`", "`text_score`"]),
        ("CREATE FUNCTION f(a BIGINT) RETURNS BIGINT LANGUAGE PYTHON AS 'f.py'", &["PYTHON", "LANGUAGE WASM"]),
        ("CREATE FUNCTION f(a BIGINT) RETURNS BIGINT RETURN $1", &["not given", "LANGUAGE WASM"]),
        ("CREATE FUNCTION f(a BIGINT) RETURNS BIGINT LANGUAGE WASM AS '#f'", &["names no module"]),
        (
            "CREATE FUNCTION f(a TINYINT) RETURNS BIGINT LANGUAGE WASM AS 'functions.wasm'",
            &["Int8", "the types are BOOLEAN"],
        ),
        (
            "CREATE FUNCTION f(a BIGINT = 1) RETURNS BIGINT LANGUAGE WASM AS 'functions.wasm'",
            &["parameter 1", "default"],
        ),
        ("CREATE FUNCTION f() LANGUAGE WASM AS 'none.wasm'", &["`none.wasm`", "modules lie in"]),
        ("CREATE FUNCTION f() LANGUAGE WASM AS '../secret.wasm#twice'", &["without `..`"]),
        ("CREATE FUNCTION f() LANGUAGE WASM AS '/etc/passwd'", &["a module is named by its path"]),
    ] {
        let error = refused(&ctx, sql).await;
        assert!(parts.iter().all(|part| error.contains(part)), "{sql}: {error}");
    }
    assert!(modules.modules().is_empty(), "what was refused is not kept");
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_does_not_lead_out_of_the_folder() {
    let (ctx, _, folder) = factory();
    std::os::unix::fs::symlink("../secret.wasm", folder.path().join("modules/link.wasm")).unwrap();
    std::os::unix::fs::symlink("functions.wasm", folder.path().join("modules/same.wasm")).unwrap();
    assert!(refused(&ctx, "CREATE FUNCTION twice() LANGUAGE WASM AS 'link.wasm'").await.contains("outside"));
    run(&ctx, "CREATE FUNCTION gcd() LANGUAGE WASM AS 'same.wasm'").await;
}

#[tokio::test]
async fn errors_have_a_type() {
    let (ctx, _, _folder) = factory();
    let error = rows(&ctx, "CREATE FUNCTION f() LANGUAGE WASM AS 'none.wasm'").await.unwrap_err();
    let guest_datafusion::datafusion::error::DataFusionError::External(error) = error.find_root() else {
        panic!("{error:?}");
    };
    assert!(matches!(error.downcast_ref(), Some(RegisterError::Resolve { name, .. }) if name == "none.wasm"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_keeps_its_tables_when_it_gets_modules() {
    let ctx = SessionContext::new();
    run(&ctx, "CREATE TABLE t AS SELECT 21 AS n").await;
    let foreign = wat::parse_str(FOREIGN).unwrap();
    register_module(&ctx, "foreign", &foreign, ModuleConfig::default()).unwrap();
    assert_eq!(rows(&ctx, "SELECT twice(n) FROM t").await.unwrap(), ["42"]);
}
