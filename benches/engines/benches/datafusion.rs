//! Queries of DataFusion that call a function of a module for each row, restored exactly after each batch, beside the same queries
//! with the same function in Rust.

use std::hint::black_box;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch};
use benches::functions::{GUEST, distances, gcds, integers, texts};
use benches::guests;
use benches::ratios::{Ratios, Target};
use benches::turns::{Contender, take_turns};
use guest_datafusion::datafusion::arrow::datatypes::DataType;
use guest_datafusion::datafusion::datasource::MemTable;
use guest_datafusion::datafusion::error::Result as QueryResult;
use guest_datafusion::datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use guest_datafusion::datafusion::prelude::{SessionConfig, SessionContext};
use guest_datafusion::guest_functions::ModuleConfig;
use guest_datafusion::register_module;
use tokio::runtime::Runtime;

/// Rows of the table of integers.
const INTEGERS: usize = 10_000_000;

/// Rows of the table of texts.
const TEXTS: usize = 1_000_000;

/// Rows of a batch, which is DataFusion's own default.
const BATCH: usize = 8192;

/// Partitions of each table: one for each core of the machine that the figures are of.
const PARTITIONS: usize = 2;

/// A table in memory with columns `a` and `b`, from batches that are all the same.
fn table<A: Array + Clone + 'static>(ctx: &SessionContext, name: &str, columns: &[A; 2], rows: usize) -> Result<()> {
    let column = |at: usize| Arc::new(columns[at].clone()) as ArrayRef;
    let batch = RecordBatch::try_from_iter([("a", column(0)), ("b", column(1))])?;
    let of_each = rows / PARTITIONS;
    let partition = || {
        let lengths = (0..of_each).step_by(BATCH).map(|start| BATCH.min(of_each - start));
        lengths.map(|length| batch.slice(0, length)).collect()
    };
    let partitions = (0..PARTITIONS).map(|_| partition()).collect();
    ctx.register_table(name, Arc::new(MemTable::try_new(batch.schema(), partitions)?))?;
    Ok(())
}

/// A function in Rust over two columns.
fn native<A: Array + Clone + 'static>(
    ctx: &SessionContext,
    name: &str,
    ty: DataType,
    of: impl Fn(&[A; 2]) -> Int64Array + Send + Sync + 'static,
) {
    let call = move |arguments: &[ColumnarValue]| -> QueryResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        let column = |at: usize| arrays[at].as_any().downcast_ref::<A>().expect("the planner has checked it").clone();
        Ok(ColumnarValue::Array(Arc::new(of(&[column(0), column(1)]))))
    };
    let types = vec![ty.clone(), ty];
    ctx.register_udf(create_udf(name, types, DataType::Int64, Volatility::Immutable, Arc::new(call)));
}

/// The one integer that a query returns.
fn integer(runtime: &Runtime, ctx: &SessionContext, query: &str) -> Result<i64> {
    let batches = runtime.block_on(async { ctx.sql(query).await?.collect().await })?;
    let column = batches.first().context("the query returns no rows")?.column(0);
    Ok(column.as_primitive::<Int64Type>().value(0))
}

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(PARTITIONS).enable_all().build()?;
    let ctx = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(PARTITIONS));
    let wasm = std::fs::read(guests::path(GUEST))?;
    register_module(&ctx, GUEST, &wasm, ModuleConfig::default())?;
    native(&ctx, "native_gcd", DataType::Int64, gcds);
    native(&ctx, "native_levenshtein", DataType::Utf8, distances);
    table(&ctx, "integers", &integers(BATCH), INTEGERS)?;
    table(&ctx, "texts", &texts(BATCH), TEXTS)?;

    let queries = [
        ("gcd of 10,000,000 rows", "SELECT sum(gcd(a, b)) FROM integers"),
        ("gcd of 10,000,000 rows, in Rust", "SELECT sum(native_gcd(a, b)) FROM integers"),
        ("levenshtein of 1,000,000 rows", "SELECT sum(levenshtein(a, b)) FROM texts"),
        ("levenshtein of 1,000,000 rows, in Rust", "SELECT sum(native_levenshtein(a, b)) FROM texts"),
    ];
    let results = queries.map(|(_, query)| integer(&runtime, &ctx, query));
    let [gcd, native_gcd, distance, native_distance] = results;
    ensure!(gcd? == native_gcd?, "the query with `gcd` and the one in Rust differ");
    ensure!(distance? == native_distance?, "the query with `levenshtein` and the one in Rust differ");

    let (runtime, ctx) = (&runtime, &ctx);
    let mut contenders = queries.map(|(name, query)| {
        Contender::new(name, move || {
            black_box(integer(runtime, ctx, query).expect("it did not fail before"));
        })
    });
    let measured = take_turns(&mut contenders, guests::rounds(21));
    let mut ratios = Ratios::new("datafusion");
    ratios.add(&measured[0], &measured[1], Target::AtMost(2.5));
    ratios.add(&measured[2], &measured[3], Target::AtMost(2.5));
    ratios.note("each batch of 8,192 rows begins on a pristine instance; planning and the sum are in both times");
    ratios.finish()
}
