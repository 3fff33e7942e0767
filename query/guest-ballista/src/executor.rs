//! An executor of Ballista that calls functions of modules which come with the plans.

use std::sync::Arc;

use ballista_core::error::BallistaError;
use ballista_executor::execution_engine::DefaultExecutionEngine;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};

use crate::functions::WasmFunctions;
use crate::interrupt::InterruptingEngine;

pub use ballista_executor;

/// The configuration with codecs that read functions of modules, and with an execution engine that ends guests of cancelled
/// tasks.
///
/// Without an execution engine in `config`, results of other executors are fetched by a connection each, whatever
/// [`client_ttl`](ExecutorProcessConfig::client_ttl) says: Ballista's pool of connections is private to its own engine.
#[must_use]
pub fn with_functions(mut config: ExecutorProcessConfig, functions: &WasmFunctions) -> ExecutorProcessConfig {
    config.override_logical_codec = Some(Arc::new(functions.logical_codec()));
    config.override_physical_codec = Some(Arc::new(functions.physical_codec()));
    let inner = config.override_execution_engine.take().unwrap_or_else(|| Arc::new(DefaultExecutionEngine::new()));
    config.override_execution_engine = Some(Arc::new(InterruptingEngine::new(inner)));
    config
}

/// Executes tasks until the process receives SIGTERM or Ctrl-C, or the scheduler stops it.
///
/// # Errors
/// [`BallistaError`] if an address cannot be bound, or if the scheduler cannot be reached.
pub async fn serve(config: ExecutorProcessConfig, functions: &WasmFunctions) -> Result<(), BallistaError> {
    start_executor_process(Arc::new(with_functions(config, functions))).await
}
