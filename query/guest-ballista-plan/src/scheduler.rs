//! A scheduler of Ballista for plans with functions of modules. It has no WebAssembly engine: it keeps functions as they come.

use std::net::SocketAddr;
use std::sync::Arc;

use ballista_core::error::BallistaError;
use ballista_core::utils::default_session_builder;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::{create_scheduler, start_grpc_service_with_listener};
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use tokio::net::TcpListener;

use crate::codec::{WasmLogicalCodec, WasmPhysicalCodec};
use crate::opaque_functions::OpaqueFunctions;
use crate::windows::WindowCheck;

pub use ballista_scheduler;

/// The configuration with codecs that pass functions of modules on, and with sessions that refuse windows whose states the scheduler
/// would have to merge.
#[must_use]
pub fn with_codecs(mut config: SchedulerConfig) -> SchedulerConfig {
    let functions = Arc::new(OpaqueFunctions);
    config.override_logical_codec = Some(Arc::new(WasmLogicalCodec::new(functions.clone())));
    config.override_physical_codec = Some(Arc::new(WasmPhysicalCodec::new(functions)));
    let session = config.override_session_builder.take().unwrap_or_else(|| Arc::new(default_session_builder));
    config.override_session_builder = Some(Arc::new(move |config| session(config).map(WindowCheck::install)));
    config
}

/// Serves clients and executors at [`SchedulerConfig::bind_host`] and [`SchedulerConfig::bind_port`], where 0 is any free port,
/// until `shutdown` is ready. `ready` is called with the address once connections are accepted. The cluster's state is in
/// memory.
///
/// # Errors
/// [`BallistaError`] if the address cannot be bound, or if the scheduler cannot be started.
pub async fn serve(
    config: SchedulerConfig,
    ready: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()>,
) -> Result<(), BallistaError> {
    let mut config = with_codecs(config);
    let listener = TcpListener::bind((config.bind_host.as_str(), config.bind_port)).await?;
    let address = listener.local_addr()?;
    // Executors are told where the scheduler is.
    config.bind_port = address.port();
    config.validate()?;
    let cluster = BallistaCluster::new_from_config(&config).await?;
    let scheduler = create_scheduler::<LogicalPlanNode, PhysicalPlanNode>(cluster, Arc::new(config)).await?;
    ready(address);
    tokio::select! {
        served = start_grpc_service_with_listener(listener, scheduler) => served,
        () = shutdown => Ok(()),
    }
}
