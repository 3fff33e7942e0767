//! Functions with an engine in plans: what a client writes, and what an executor reads.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::Result;
use datafusion::execution::memory_pool::{MemoryPool, UnboundedMemoryPool};
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, Volatility};
use datafusion::physical_plan::ExecutionPlan;
use guest_ballista_plan::{
    Column, FunctionCodec, FunctionKind, ModuleReference, OpaqueTable, OpaqueTableExec, OpaqueUdf, Parameter, Payload,
    Planning, Source, TableCall, TableScan, WasmLogicalCodec, WasmPhysicalCodec, hash, hex,
};
use guest_datafusion::guest_functions::guest_host::guest_abi::names::ABI_VERSION;
use guest_datafusion::guest_functions::guest_host::{Engine, PoolConfig};
use guest_datafusion::guest_functions::{self, Aggregate, Field, Function, Kind, Module, Signature, data_type};
use guest_datafusion::{ModuleFunction, WasmAggregateUdf, WasmFunction, WasmScalarUdf, WasmTable, WasmTableExec};

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
    pub fn read<F: ModuleFunction>(&self, payload: &[u8]) -> Result<WasmFunction<F>, FunctionCodecError> {
        Ok(self.load(payload)?.with_own_instances()?)
    }

    /// The function of a payload.
    fn load<F: ModuleFunction>(&self, payload: &[u8]) -> Result<WasmFunction<F>, FunctionCodecError> {
        let Payload { abi_version, name, function, module, planning } = Payload::decode_as(F::KIND, payload)?;
        if abi_version != ABI_VERSION {
            return Err(FunctionCodecError::AbiVersion { function: name, found: abi_version, expected: ABI_VERSION });
        }
        let module = self.module(module, &name)?;
        let function = F::find(&module, &function)?;
        let found = planning_of(function.signature(), planning.volatility);
        if let (
            FunctionKind::Aggregate { state_version: planned, .. },
            FunctionKind::Aggregate { state_version: found, .. },
        ) = (planning.kind, found.kind)
            && planned != found
        {
            let module = module.name().to_owned();
            return Err(FunctionCodecError::StateVersion { function: name, module, planned, found });
        }
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
        let function = WasmFunction::named(function, name).with_volatility(Some(volatility));
        Ok(function.with_memory_pool(Arc::clone(&self.memory)))
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
    pub fn write<F: ModuleFunction>(&self, udf: &WasmFunction<F>) -> Result<Vec<u8>, FunctionCodecError> {
        let function = udf.function();
        let (name, hash) = (function.module().name().to_owned(), function.module().hash());
        let source = self.store.source(&hash);
        let source = source.ok_or_else(|| StoreError::Unregistered { module: name.clone(), hash: hex(&hash) })?;
        let volatility = match udf.volatility() {
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
            planning: planning_of(function.signature(), volatility),
        };
        Ok(payload.encode()?)
    }
}

/// The types of a function, with the volatility that SQL sees.
fn planning_of(signature: &Signature, volatility: guest_functions::Volatility) -> Planning {
    let kind = match signature.kind {
        Kind::Aggregate => {
            FunctionKind::Aggregate { state_version: signature.state_version, retracts: signature.retracts }
        }
        Kind::Table => FunctionKind::Table,
        _ => FunctionKind::Scalar,
    };
    let param = |param: &Field| Parameter { name: param.name.clone(), nullable: param.ty.nullable };
    let column = |column: &Field| {
        let name = if kind == FunctionKind::Table { column.name.clone() } else { String::new() };
        Column { name, ty: data_type(column.ty), nullable: column.ty.nullable }
    };
    Planning {
        kind,
        volatility,
        strict: signature.strict,
        params: signature.params.iter().map(param).collect(),
        results: signature.results.iter().map(column).collect(),
    }
}

/// Passes the loaded function to `found`. If it could not be loaded, passes a function to `failing` whose calls fail with the reason:
/// clients see the errors of tasks, and not those of reading a plan.
fn or_failing<F: ModuleFunction, T>(
    loaded: Result<WasmFunction<F>, FunctionCodecError>,
    payload: &[u8],
    found: impl FnOnce(WasmFunction<F>) -> Result<T>,
    failing: impl FnOnce(OpaqueUdf) -> Result<T>,
) -> Result<T> {
    match loaded {
        Ok(function) => found(function),
        Err(error) => {
            log::warn!("a function of a plan cannot be loaded: {error}");
            failing(OpaqueUdf::new(F::KIND, payload)?.with_reason(error.to_string()))
        }
    }
}

/// Functions have instances of their own. Those that cannot be loaded are there, and their calls fail and say why.
impl FunctionCodec for WasmFunctions {
    fn decode_scalar(&self, payload: &[u8]) -> Result<Arc<ScalarUDF>> {
        or_failing::<Function, _>(
            self.read(payload),
            payload,
            |udf| Ok(Arc::new(ScalarUDF::new_from_impl(udf))),
            |udf| Ok(Arc::new(ScalarUDF::new_from_impl(udf))),
        )
    }

    fn encode_scalar(&self, function: &ScalarUDF) -> Result<Option<Vec<u8>>> {
        let udf = function.inner().downcast_ref::<WasmScalarUdf>();
        Ok(udf.map(|udf| self.write(udf)).transpose()?)
    }

    fn decode_aggregate(&self, payload: &[u8]) -> Result<Arc<AggregateUDF>> {
        or_failing::<Aggregate, _>(
            self.read(payload),
            payload,
            |udf| Ok(Arc::new(AggregateUDF::new_from_impl(udf))),
            |udf| Ok(Arc::new(AggregateUDF::new_from_impl(udf))),
        )
    }

    fn encode_aggregate(&self, aggregate: &AggregateUDF) -> Result<Option<Vec<u8>>> {
        let udf = aggregate.inner().downcast_ref::<WasmAggregateUdf>();
        Ok(udf.map(|udf| self.write(udf)).transpose()?)
    }

    fn decode_table(&self, call: TableCall) -> Result<Arc<dyn TableProvider>> {
        let TableCall { function, arguments } = call;
        or_failing(
            self.load(&function),
            &function,
            |function| Ok(Arc::new(WasmTable::new(function, &arguments)?) as Arc<dyn TableProvider>),
            |function| Ok(Arc::new(OpaqueTable::new(function, arguments.clone()))),
        )
    }

    fn encode_table(&self, table: &dyn TableProvider) -> Result<Option<TableCall>> {
        let Some(table) = table.downcast_ref::<WasmTable>() else {
            return Ok(None);
        };
        Ok(Some(TableCall { function: self.write(table.function())?, arguments: table.arguments().to_vec() }))
    }

    fn decode_scan(&self, scan: TableScan, input: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        let TableScan { function, projection, limit } = scan;
        let loaded = self.read(&function);
        match or_failing(loaded, &function, |found| Ok(Ok(found)), |failing| Ok(Err(failing)))? {
            Ok(found) => {
                let node = WasmTableExec::try_new(&found, input, projection, limit)?;
                Ok(Arc::new(node.with_most_rows(self.most.table_rows)))
            }
            Err(failing) => Ok(Arc::new(OpaqueTableExec::try_new(failing, input, projection, limit)?)),
        }
    }

    fn encode_scan(&self, node: &dyn ExecutionPlan) -> Result<Option<TableScan>> {
        let Some(node) = node.downcast_ref::<WasmTableExec>() else {
            return Ok(None);
        };
        let function = self.write(node.function())?;
        Ok(Some(TableScan { function, projection: node.projection().cloned(), limit: node.limit() }))
    }
}
