//! The client: a session whose queries run on a cluster.

use std::sync::Arc;

use async_trait::async_trait;
use ballista::prelude::{SessionConfigExt as _, SessionContextExt as _};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use guest_datafusion::guest_functions::guest_host::{Engine, EngineConfig, EngineError, InstanceAllocation};
use guest_datafusion::guest_functions::{Module, ModuleConfig};
use guest_datafusion::{ModuleResolver, RegisterError, WasmFunctionFactory, WasmModules};

use crate::functions::WasmFunctions;
use crate::store::{ModuleStore, StoreError};

/// A session whose queries, with functions of modules, run on a Ballista cluster. Executors get the modules with the plans.
///
/// Of a module's configuration its declarations cross, and of its instances how they are restored, their memory limit, their
/// deadlines and the size of their exchange region. Calls of constants are computed in the client.
pub struct RemoteSession {
    context: SessionContext,
    modules: WasmModules,
    store: ModuleStore,
}

/// Why a session, or a function of it, cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The engine could not be made.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The scheduler's address is wrong, or the session cannot be made.
    #[error("no session with the scheduler at {url}: {error}; write its address as df://HOST:PORT")]
    Connect {
        /// The address.
        url: String,
        /// Why.
        error: Box<DataFusionError>,
    },
    /// The module cannot be passed on.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The module, or a function of it, cannot be registered.
    #[error(transparent)]
    Register(#[from] RegisterError),
}

impl RemoteSession {
    /// A session with the scheduler at `url`, such as `df://localhost:50050`. `store` says how modules get to the executors. No
    /// connection is made before the first query.
    ///
    /// # Errors
    /// [`SessionError::Connect`] and [`SessionError::Engine`].
    pub async fn connect(url: &str, config: SessionConfig, store: ModuleStore) -> Result<Self, SessionError> {
        let engine = Engine::new(&EngineConfig::default().with_allocation(InstanceAllocation::OnDemand))?;
        let functions = WasmFunctions::new(&engine, store.clone());
        let config = config
            .upgrade_for_ballista()
            .with_ballista_logical_extension_codec(Arc::new(functions.logical_codec()))
            .with_ballista_physical_extension_codec(Arc::new(functions.physical_codec()));
        let state = SessionStateBuilder::new().with_config(config).with_default_features().build();
        let context = SessionContext::remote_with_state(url, state).await;
        let context = context.map_err(|error| SessionError::Connect { url: url.to_owned(), error: Box::new(error) })?;
        let modules = WasmModules::with_engine(&context, &engine);
        Ok(Self { context, modules, store })
    }

    /// The session. Its queries run on the cluster.
    #[must_use]
    pub fn context(&self) -> &SessionContext {
        &self.context
    }

    /// Makes all functions of a module known to the session and, with its queries, to the executors. See
    /// [`WasmModules::register`].
    ///
    /// # Errors
    /// [`SessionError::Store`] and [`SessionError::Register`].
    pub async fn register_module(
        &self,
        name: &str,
        bytes: &[u8],
        config: ModuleConfig,
    ) -> Result<Module, SessionError> {
        // First, so that the session has no function that its queries cannot pass on.
        self.store.put(bytes).await?;
        Ok(self.modules.register(&self.context, name, bytes, config)?)
    }

    /// Lets the session create functions of modules that `resolver` finds, by `CREATE FUNCTION ... LANGUAGE WASM`. See
    /// [`WasmFunctionFactory`].
    ///
    /// # Errors
    /// [`SessionError::Register`].
    pub fn create_functions(
        &self,
        resolver: Arc<dyn ModuleResolver>,
        config: ModuleConfig,
    ) -> Result<(), SessionError> {
        let resolver = StoringResolver { resolver, store: self.store.clone() };
        Ok(WasmFunctionFactory::install(&self.context, Arc::new(resolver), config)?)
    }
}

/// Finds modules by another resolver, and puts them where executors find them.
#[derive(Debug)]
struct StoringResolver {
    resolver: Arc<dyn ModuleResolver>,
    store: ModuleStore,
}

#[async_trait]
impl ModuleResolver for StoringResolver {
    async fn resolve(&self, name: &str) -> Result<Vec<u8>, RegisterError> {
        let bytes = self.resolver.resolve(name).await?;
        match self.store.put(&bytes).await {
            Ok(_) => Ok(bytes),
            Err(error) => Err(RegisterError::Resolve { name: name.to_owned(), reason: error.to_string() }),
        }
    }
}
