//! Sessions, modules and native functions that the tests share.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use guest_datafusion::datafusion::arrow::array::RecordBatch;
use guest_datafusion::datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use guest_datafusion::datafusion::datasource::MemTable;
use guest_datafusion::datafusion::error::{DataFusionError, Result};
use guest_datafusion::datafusion::execution::memory_pool::{
    GreedyMemoryPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use guest_datafusion::datafusion::execution::runtime_env::RuntimeEnvBuilder;
use guest_datafusion::datafusion::prelude::{SessionConfig, SessionContext};
use guest_datafusion::guest_functions::guest_host::{CompileCache, Engine, EngineConfig, InstanceAllocation};
use guest_datafusion::guest_functions::{FunctionError, ModuleConfig};
use guest_datafusion::{WasmModules, register_module};

/// An engine that compiles each module once for all runs of the tests.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
    let config = EngineConfig::default()
        .with_allocation(InstanceAllocation::OnDemand)
        .with_compile_cache(CompileCache::Folder(folder));
    Engine::new(&config).unwrap()
});

/// A pool that counts the instances that were ever charged to it.
#[derive(Debug)]
pub(crate) struct CountingPool {
    pool: GreedyMemoryPool,
    instances: AtomicUsize,
}

impl CountingPool {
    /// Instances that were ever made.
    pub(crate) fn instances(&self) -> usize {
        self.instances.load(Ordering::SeqCst)
    }

    /// Bytes that are charged.
    pub(crate) fn charged(&self) -> usize {
        self.reserved()
    }

    /// Waits until nothing is charged any more. Fails after a time that no tick is near.
    pub(crate) async fn is_given_back(&self) {
        let began = Instant::now();
        while self.reserved() > 0 {
            assert!(began.elapsed() < Duration::from_secs(30), "{} bytes are still charged", self.reserved());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl fmt::Display for CountingPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pool.fmt(f)
    }
}

impl MemoryPool for CountingPool {
    fn name(&self) -> &str {
        "counting"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        if consumer.name().starts_with("WebAssembly module") {
            self.instances.fetch_add(1, Ordering::SeqCst);
        }
        self.pool.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.pool.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.pool.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.pool.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.pool.try_grow(reservation, additional)
    }

    fn reserved(&self) -> usize {
        self.pool.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.pool.memory_limit()
    }
}

/// A session with so many partitions and bytes of memory.
pub(crate) fn limited(partitions: usize, bytes: usize) -> (SessionContext, Arc<CountingPool>) {
    let pool = Arc::new(CountingPool { pool: GreedyMemoryPool::new(bytes), instances: AtomicUsize::new(0) });
    let memory: Arc<dyn MemoryPool> = Arc::clone(&pool) as _;
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(memory).build_arc().unwrap();
    let config = SessionConfig::new().with_target_partitions(partitions).with_information_schema(true);
    let ctx = SessionContext::new_with_config_rt(config, runtime);
    let _ = WasmModules::with_engine(&ctx, &ENGINE);
    (ctx, pool)
}

pub(crate) fn session(partitions: usize) -> (SessionContext, Arc<CountingPool>) {
    limited(partitions, 1 << 30)
}

/// A session with the functions of the guest `functions`.
pub(crate) fn with_functions(partitions: usize) -> SessionContext {
    let (ctx, _) = session(partitions);
    register_module(&ctx, "functions", &built("functions-leaking"), ModuleConfig::default()).unwrap();
    ctx
}

/// A guest that `cargo xtask guests` built.
pub(crate) fn built(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../target/guests/{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!("the guest {} is missing ({error}): run `cargo xtask guests` first", path.display())
    })
}

/// Registers a module of this text, under the name `text`.
pub(crate) fn register_text(ctx: &SessionContext, text: &str, config: ModuleConfig) {
    register_module(ctx, "text", &wat::parse_str(text).unwrap(), config).unwrap();
}

/// A table with these partitions.
pub(crate) fn table(ctx: &SessionContext, name: &str, partitions: Vec<Vec<RecordBatch>>) {
    let schema = partitions[0][0].schema();
    ctx.register_table(name, Arc::new(MemTable::try_new(schema, partitions).unwrap())).unwrap();
}

/// The rows of a query as texts, cells separated by `|`; a null is `NULL`.
pub(crate) async fn rows(ctx: &SessionContext, sql: &str) -> Result<Vec<String>> {
    Ok(shown(&ctx.sql(sql).await?.collect().await?))
}

pub(crate) fn shown(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
            rows.push(cells.join("|"));
        }
    }
    rows
}

/// The error of a function inside the error of a query.
pub(crate) fn function_error(error: &DataFusionError) -> &FunctionError {
    match error.find_root() {
        DataFusionError::External(error) => error.downcast_ref().unwrap_or_else(|| panic!("{error}")),
        other => panic!("{other:?}"),
    }
}

/// The greatest common divisor.
pub(crate) fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.cast_signed()
}

/// The edit distance, by the whole table.
pub(crate) fn levenshtein(a: &str, b: &str) -> i64 {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
    for row in 0..=a.len() {
        for column in 0..=b.len() {
            table[row][column] = match (row, column) {
                (0, distance) | (distance, 0) => distance,
                _ => (table[row - 1][column - 1] + usize::from(a[row - 1] != b[column - 1]))
                    .min(table[row - 1][column] + 1)
                    .min(table[row][column - 1] + 1),
            };
        }
    }
    i64::try_from(table[a.len()][b.len()]).unwrap()
}
