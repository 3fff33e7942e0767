//! The modules of a session, and how their functions get into it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use datafusion::execution::context::RegisterFunction;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{SessionState, SessionStateDefaults};
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, Volatility};
use datafusion::prelude::SessionContext;
use guest_functions::guest_host::{Engine, EngineConfig, InstanceAllocation};
use guest_functions::{FunctionError, Kind, Module, ModuleConfig};

use crate::aggregate::WasmAggregateUdf;
use crate::error::RegisterError;
use crate::plan::WasmQueryPlanner;
use crate::scalar::WasmScalarUdf;
use crate::table::WasmTableFunction;

/// The modules whose functions a session has. Cheap to clone; all clones are the same modules.
///
/// A module is compiled once for all its functions that have the same configuration, and unloaded with the last of them and the last plan that calls one.
#[derive(Clone)]
pub struct WasmModules {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Engine,
    loaded: Mutex<Loaded>,
}

type Loaded = Vec<(Key, Weak<Module>)>;

/// What a module is loaded from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    hash: [u8; 32],
    config: ModuleConfig,
}

/// The module that was loaded from the same, if it is still there.
fn same(loaded: &Loaded, key: &Key) -> Option<Arc<Module>> {
    loaded.iter().find(|(other, _)| other == key).and_then(|(_, module)| module.upgrade())
}

impl fmt::Debug for WasmModules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WasmModules").field("modules", &self.modules()).finish_non_exhaustive()
    }
}

impl WasmModules {
    /// The modules of this session. The first call makes an engine, and puts a [`WasmQueryPlanner`] over the session's
    /// planner. Do that before statements are prepared: the session forgets those.
    ///
    /// # Errors
    /// [`RegisterError::Engine`].
    pub fn of(ctx: &SessionContext) -> Result<Self, RegisterError> {
        // Memory of instances is mapped for each: a session says by its memory pool how many there may be.
        let config = EngineConfig::default().with_allocation(InstanceAllocation::OnDemand);
        match Self::found(&ctx.state()) {
            Some(modules) => Ok(modules),
            None => Ok(Self::install(ctx, &Engine::new(&config)?)),
        }
    }

    /// The modules of this session, on an engine of the embedder's own where the session has none yet. An engine whose instances
    /// come from a pool needs as many as there are threads that execute queries, for each module.
    #[must_use]
    pub fn with_engine(ctx: &SessionContext, engine: &Engine) -> Self {
        Self::found(&ctx.state()).unwrap_or_else(|| Self::install(ctx, engine))
    }

    fn found(state: &SessionState) -> Option<Self> {
        state.config().get_extension::<Self>().map(|modules| Self::clone(&modules))
    }

    fn install(ctx: &SessionContext, engine: &Engine) -> Self {
        let state = ctx.state_ref();
        let mut state = state.write();
        // Another thread may have been sooner.
        if let Some(modules) = Self::found(&state) {
            return modules;
        }
        let modules = Self { shared: Arc::new(Shared { engine: engine.clone(), loaded: Mutex::default() }) };
        state.config_mut().set_extension(Arc::new(modules.clone()));
        let planner = Arc::clone(state.query_planner());
        let session_id = state.session_id().to_owned();
        if !WasmQueryPlanner::is(planner.as_ref()) {
            // The builder's own configuration keeps the catalog, and with it the tables.
            *state = SessionStateBuilder::new_from_existing(state.clone())
                .with_session_id(session_id)
                .with_query_planner(Arc::new(WasmQueryPlanner::new(planner)))
                .build();
        }
        modules
    }

    /// The engine on which modules run.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    /// The modules that are loaded, in no order.
    #[must_use]
    pub fn modules(&self) -> Vec<Module> {
        let modules = self.lock();
        modules.iter().filter_map(|(_, module)| module.upgrade()).map(|module| Module::clone(&module)).collect()
    }

    /// Makes all functions of a module known to a session, its aggregates and table functions too, and returns the module. A function
    /// takes the place of a built-in one of its name.
    ///
    /// # Errors
    /// [`RegisterError::Function`], and [`RegisterError::Exists`] if the session has another function of one of these names; then none
    /// is registered.
    pub fn register(
        &self,
        ctx: &SessionContext,
        name: &str,
        bytes: &[u8],
        config: ModuleConfig,
    ) -> Result<Module, RegisterError> {
        let module = self.load(name, bytes, config)?;
        let state = ctx.state_ref();
        let mut state = state.write();
        let mut signatures = module.signatures();
        if let Some(found) = signatures.find(|found| exists(&state, &found.name, found.kind, false)) {
            return Err(RegisterError::Exists { name: found.name.clone() });
        }
        let names = module.signatures().map(|signature| signature.name.as_str());
        let functions = names.map(|name| self.function(&state, &module, name, name, None));
        for function in functions.collect::<Result<Vec<_>, _>>()? {
            register(&mut state, function);
        }
        Ok(Module::clone(&module))
    }

    /// The function of a module, of whatever kind it is, under a name of the session's, and with another volatility than the module
    /// says if there is one.
    pub(crate) fn function(
        &self,
        state: &SessionState,
        module: &Arc<Module>,
        function: &str,
        name: &str,
        volatility: Option<Volatility>,
    ) -> Result<RegisterFunction, FunctionError> {
        let memory = Arc::clone(&state.runtime_env().memory_pool);
        let lease = Arc::clone(module);
        let kind = module.signatures().find(|signature| signature.name == function).map(|signature| signature.kind);
        Ok(match kind {
            Some(Kind::Aggregate) => {
                let udf = WasmAggregateUdf::named(module.aggregate(function)?, name).with_memory_pool(memory);
                let udf = udf.with_lease(lease).with_volatility(volatility);
                RegisterFunction::Aggregate(Arc::new(AggregateUDF::new_from_impl(udf)))
            }
            Some(Kind::Table) => {
                let table = WasmTableFunction::named(module.table_function(function)?, name).with_lease(lease);
                RegisterFunction::Table(name.to_owned(), Arc::new(table))
            }
            _ => {
                let udf = WasmScalarUdf::named(module.function(function)?, name).with_memory_pool(memory);
                let udf = udf.with_lease(lease).with_volatility(volatility);
                RegisterFunction::Scalar(Arc::new(ScalarUDF::new_from_impl(udf)))
            }
        })
    }

    /// The module of these bytes: one that is loaded, if there is one.
    pub(crate) fn load(
        &self,
        name: &str,
        bytes: &[u8],
        mut config: ModuleConfig,
    ) -> Result<Arc<Module>, FunctionError> {
        // Queries have instances of their own.
        config.pool.warm = 0;
        let key = Key { hash: guest_functions::hash(bytes), config: config.clone() };
        if let Some(module) = same(&self.lock(), &key) {
            return Ok(module);
        }
        let module = Module::load(self.engine(), name, bytes, config)?;
        // A module of which no instance can be made says so now, and not in the first query.
        drop(module.caller()?);
        let mut loaded = self.lock();
        loaded.retain(|(_, module)| module.strong_count() > 0);
        // Another thread may have been sooner.
        if let Some(module) = same(&loaded, &key) {
            return Ok(module);
        }
        let module = Arc::new(module);
        loaded.push((key, Arc::downgrade(&module)));
        Ok(module)
    }

    fn lock(&self) -> MutexGuard<'_, Loaded> {
        self.shared.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the session has a function of this name that a new one of this kind must not replace: any of another kind, as SQL tells kinds apart
/// by the name alone, and one of the same kind unless it is built in or `replace` says so.
pub(crate) fn exists(state: &SessionState, name: &str, kind: Kind, replace: bool) -> bool {
    let is_own = |udf: &Arc<ScalarUDF>| !SessionStateDefaults::default_scalar_functions().contains(udf);
    let is_own_aggregate = |udf: &Arc<AggregateUDF>| !SessionStateDefaults::default_aggregate_functions().contains(udf);
    let stays = |of: Kind, is_there: bool, is_own: bool| is_there && (of != kind || is_own && !replace);
    let (scalar, aggregate) = (state.scalar_functions().get(name), state.aggregate_functions().get(name));
    stays(Kind::Scalar, scalar.is_some(), scalar.is_some_and(is_own))
        || stays(Kind::Aggregate, aggregate.is_some(), aggregate.is_some_and(is_own_aggregate))
        || state.window_functions().contains_key(name)
        || stays(Kind::Table, state.table_functions().contains_key(name), true)
}

fn register(state: &mut SessionState, function: RegisterFunction) {
    use datafusion::execution::FunctionRegistry as _;
    // A session's state takes every function.
    match function {
        RegisterFunction::Scalar(udf) => drop(state.register_udf(udf)),
        RegisterFunction::Aggregate(udf) => drop(state.register_udaf(udf)),
        RegisterFunction::Table(name, table) => state.register_udtf(&name, table),
        // No function of a module is of another kind.
        _ => {}
    }
}

/// Makes all functions of a module known to a session, and returns the module. See [`WasmModules::register`].
///
/// # Errors
/// [`RegisterError`].
pub fn register_module(
    ctx: &SessionContext,
    name: &str,
    bytes: &[u8],
    config: ModuleConfig,
) -> Result<Module, RegisterError> {
    WasmModules::of(ctx)?.register(ctx, name, bytes, config)
}
