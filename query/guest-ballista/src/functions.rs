//! Functions with an engine in plans: what a client writes, and what an executor reads.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::memory_pool::{MemoryPool, UnboundedMemoryPool};
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, Volatility};
use guest_ballista_plan::{
    FunctionCodec, ModuleReference, OpaqueUdf, Parameter, Payload, Planning, Source, WasmLogicalCodec,
    WasmPhysicalCodec, hash, hex,
};
use guest_datafusion::guest_functions::guest_host::guest_abi::names::ABI_VERSION;
use guest_datafusion::guest_functions::guest_host::{Engine, PoolConfig};
use guest_datafusion::guest_functions::{self, Function, Module, data_type};
use guest_datafusion::{WasmAggregateUdf, WasmScalarUdf};

use crate::cache::{Key, ModuleCache};
use crate::error::FunctionCodecError;
use crate::limits::{Most, of_config, to_config};
use crate::store::{ModuleStore, StoreError};

/// Modules that a process keeps compiled.
const CAPACITY: usize = 64;

/// Reads functions of modules from plans, and writes them to plans. Cheap to clone; all clones have the same modules.
///
/// A module is compiled once for its bytes, its limits and its declarations, however many tasks call its functions. Up to 64
/// modules stay compiled, and those that tasks have.
#[derive(Debug, Clone)]
pub struct WasmFunctions {
    store: ModuleStore,
    cache: Arc<ModuleCache>,
    most: Most,
    memory: Arc<dyn MemoryPool>,
}

impl WasmFunctions {
    /// Functions on this engine, of modules whose bytes are in plans or in the store.
    #[must_use]
    pub fn new(engine: &Engine, store: ModuleStore) -> Self {
        let cache = Arc::new(ModuleCache::new(engine, CAPACITY));
        Self { store, cache, most: Most::default(), memory: Arc::new(UnboundedMemoryPool::default()) }
    }

    /// Sets the limits that are granted, whatever a plan asks for.
    #[must_use]
    pub fn with_most(self, most: Most) -> Self {
        Self { most, ..self }
    }

    /// Charges the memory of all instances to this pool. It is unbounded by default.
    #[must_use]
    pub fn with_memory_pool(self, memory: Arc<dyn MemoryPool>) -> Self {
        Self { memory, ..self }
    }

    /// How many modules were compiled for plans that were read.
    #[must_use]
    pub fn compiled(&self) -> u64 {
        self.cache.compiled()
    }

    /// The codec of logical plans with these functions.
    #[must_use]
    pub fn logical_codec(&self) -> WasmLogicalCodec {
        WasmLogicalCodec::new(Arc::new(self.clone()))
    }

    /// The codec of physical plans with these functions.
    #[must_use]
    pub fn physical_codec(&self) -> WasmPhysicalCodec {
        WasmPhysicalCodec::new(Arc::new(self.clone()))
    }

    /// The function of a payload, on instances of its own.
    ///
    /// # Errors
    /// [`FunctionCodecError`].
    pub fn read(&self, payload: &[u8]) -> Result<WasmScalarUdf, FunctionCodecError> {
        let Payload { abi_version, name, function, module, planning } = Payload::decode(payload)?;
        if abi_version != ABI_VERSION {
            return Err(FunctionCodecError::AbiVersion { function: name, found: abi_version, expected: ABI_VERSION });
        }
        let module = self.module(module, &name)?;
        let function = module.function(&function)?;
        let found = planning_of(&function, planning.volatility);
        if found != planning {
            return Err(FunctionCodecError::Signature {
                function: name,
                module: module.name().to_owned(),
                found: function.signature().to_string(),
            });
        }
        let volatility = match planning.volatility {
            guest_functions::Volatility::Immutable => Volatility::Immutable,
            guest_functions::Volatility::Stable => Volatility::Stable,
            _ => Volatility::Volatile,
        };
        let udf = WasmScalarUdf::named(function, name).with_volatility(Some(volatility));
        Ok(udf.with_memory_pool(Arc::clone(&self.memory)).with_own_instances()?)
    }

    fn module(&self, module: ModuleReference, function: &str) -> Result<Module, FunctionCodecError> {
        let ModuleReference { name, hash: expected, source, declarations, limits } = module;
        let key = Key { hash: expected, declarations: declarations.clone(), limits: limits.clone() };
        let bytes = || match source {
            Source::Stored => Ok(self.store.fetch(&expected)?),
            Source::Inline(bytes) if hash(&bytes) == expected => Ok(bytes),
            Source::Inline(bytes) => Err(FunctionCodecError::Hash {
                module: name.clone(),
                expected: hex(&expected),
                found: hex(&hash(&bytes)),
            }),
        };
        // Tasks have instances of their own.
        let pool = PoolConfig::default().with_warm(0);
        let config = || Ok(to_config(&limits, &self.most, function)?.with_declarations(declarations).with_pool(pool));
        self.cache.module(key, &name, bytes, config)
    }

    /// The payload of a function.
    ///
    /// # Errors
    /// [`StoreError::Unregistered`] if the store does not have its module, and [`FunctionCodecError::Payload`].
    pub fn write(&self, udf: &WasmScalarUdf) -> Result<Vec<u8>, FunctionCodecError> {
        use datafusion::logical_expr::ScalarUDFImpl as _;
        let function = udf.function();
        let (name, hash) = (function.module().name().to_owned(), function.module().hash());
        let source = self.store.source(&hash);
        let source = source.ok_or_else(|| StoreError::Unregistered { module: name.clone(), hash: hex(&hash) })?;
        let volatility = match udf.signature().volatility {
            Volatility::Immutable => guest_functions::Volatility::Immutable,
            Volatility::Stable => guest_functions::Volatility::Stable,
            Volatility::Volatile => guest_functions::Volatility::Volatile,
        };
        let config = function.module().config();
        let module = ModuleReference {
            name,
            hash,
            source,
            declarations: config.declarations.clone(),
            limits: of_config(config),
        };
        let payload = Payload {
            abi_version: ABI_VERSION,
            name: udf.sql_name().to_owned(),
            function: function.signature().name.clone(),
            module,
            planning: planning_of(function, volatility),
        };
        Ok(payload.encode()?)
    }
}

/// The types of a function, with the volatility that SQL sees.
fn planning_of(function: &Function, volatility: guest_functions::Volatility) -> Planning {
    let signature = function.signature();
    // A module has no function without a result.
    let result = signature.results[0].ty;
    let params =
        signature.params.iter().map(|param| Parameter { name: param.name.clone(), nullable: param.ty.nullable });
    Planning {
        volatility,
        strict: signature.strict,
        params: params.collect(),
        result: data_type(result),
        nullable: result.nullable,
    }
}

impl FunctionCodec for WasmFunctions {
    /// The function on instances of its own. If it cannot be loaded, one whose calls fail and say why.
    fn decode(&self, payload: &[u8]) -> Result<Arc<ScalarUDF>> {
        match self.read(payload) {
            Ok(udf) => Ok(Arc::new(ScalarUDF::new_from_impl(udf))),
            // Clients see errors of tasks, and not those of reading a plan.
            Err(error) => {
                log::warn!("a function of a plan cannot be loaded: {error}");
                Ok(Arc::new(ScalarUDF::new_from_impl(OpaqueUdf::new(payload)?.with_reason(error.to_string()))))
            }
        }
    }

    fn encode(&self, function: &ScalarUDF) -> Result<Option<Vec<u8>>> {
        match function.inner().downcast_ref::<WasmScalarUdf>() {
            None => Ok(None),
            Some(udf) => Ok(Some(self.write(udf)?)),
        }
    }

    fn is_aggregate(&self, aggregate: &AggregateUDF) -> bool {
        aggregate.inner().downcast_ref::<WasmAggregateUdf>().is_some()
    }
}
