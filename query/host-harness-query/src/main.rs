//! SQL over files with functions of WebAssembly modules: the program behind `host-harness query`.
//!
//! Data goes to standard output, progress and errors to standard error. Exit status: 0 fine, 1 the query failed while it ran,
//! 2 wrong usage, unreadable input or wrong SQL, 130 after Ctrl-C.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool, UnboundedMemoryPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use guest_datafusion::WasmModules;
use guest_datafusion::guest_functions::guest_host::{CompileCache, Engine, EngineConfig, InstanceAllocation};
use host_harness_query::{Error, ModuleFile, Place, QueryArguments, execute, register_tables, run, size};

/// Run a SQL query over CSV, JSON Lines and Parquet files, with functions of WebAssembly modules.
///
/// A query reads; it creates and writes nothing. EXPLAIN shows its plan, with the hash of each function's module. The program
/// guest-ballista-query runs the same queries on a cluster.
#[derive(Debug, Parser)]
#[command(name = "host-harness query", bin_name = "host-harness query", version, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    query: QueryArguments,
    /// Memory that the query may use, its instances included, such as 512MiB. Default: no limit.
    #[arg(long, value_name = "SIZE", value_parser = size, allow_hyphen_values = true)]
    limit_memory: Option<usize>,
    /// Keep compiled code in this folder and load it from there; the folder must be as safe as the program itself.
    #[arg(long, value_name = "FOLDER")]
    compile_cache: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    run(async move { query(&arguments).await })
}

async fn query(arguments: &Arguments) -> Result<(), Error> {
    let ctx = session(arguments).map_err(Error::Input)?;
    register_modules(&ctx, arguments).map_err(Error::Input)?;
    register_tables(&ctx, &arguments.query.tables).await.map_err(Error::Input)?;
    execute(&ctx, &arguments.query, Place::Here).await
}

fn session(arguments: &Arguments) -> anyhow::Result<SessionContext> {
    let memory: Arc<dyn MemoryPool> = match arguments.limit_memory {
        Some(bytes) => Arc::new(GreedyMemoryPool::new(bytes)),
        None => Arc::new(UnboundedMemoryPool::default()),
    };
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(memory).build_arc()?;
    let config = arguments.query.configure(SessionConfig::new().with_information_schema(true));
    Ok(SessionContext::new_with_config_rt(config, runtime))
}

/// Makes the functions of the modules known to the session.
fn register_modules(ctx: &SessionContext, arguments: &Arguments) -> anyhow::Result<()> {
    let files = ModuleFile::read_all(&arguments.query)?;
    let mut engine = EngineConfig::default().with_allocation(InstanceAllocation::OnDemand);
    if let Some(folder) = &arguments.compile_cache {
        engine = engine.with_compile_cache(CompileCache::Folder(folder.clone()));
    }
    let modules = WasmModules::with_engine(ctx, &Engine::new(&engine)?);
    for file in files {
        let registered = modules.register(ctx, &file.name, &file.bytes, file.config.clone());
        registered.map_err(|error| file.error(error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_options_is_sound() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn options_stand_before_or_behind_the_query() {
        let parse = |words: &str| Arguments::try_parse_from(["query"].into_iter().chain(words.split(' ')));
        let arguments = parse("--table t=a.csv SELECT --table u=b.parquet --pristine row --deadline none").unwrap();
        let query = arguments.query;
        assert_eq!((query.sql.as_str(), query.tables.len()), ("SELECT", 2));
        assert_eq!((query.pristine, query.deadline.0), (host_harness_query::Pristine::Row, None));
        for wrong in ["--quiet", "SELECT --table a.csv", "SELECT --partitions 0", "SELECT --limit-memory 5", "a b"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
