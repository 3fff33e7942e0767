//! wasmtime without the harness: a typed call, and a new instance for each call.

use guest_abi::names::{DEFAULT_EXCHANGE_SIZE, EXPORT_EXCHANGE};
use wasmtime::{
    Config, Enabled, Engine, Error, Extern, Func, Instance, InstanceAllocationStrategy, InstancePre, Linker, Module,
    ModuleExport, PoolingAllocationConfig, Result, Store, TypedFunc,
};

/// Ticks that never pass.
const NO_DEADLINE: u64 = 1 << 40;

/// A typed call of an empty function. Its deadline is armed, once and for all.
pub struct BareCall {
    store: Store<()>,
    function: TypedFunc<(), i64>,
}

impl BareCall {
    /// An instance of the empty function on `engine`, which is to be the one that the harness uses.
    ///
    /// # Errors
    /// The engine refuses it.
    pub fn new(engine: &Engine) -> Result<Self> {
        let wasm =
            wat::parse_str(r#"(module (func (export "empty") (result i64) i64.const 0))"#).map_err(Error::new)?;
        let module = Module::new(engine, wasm)?;
        let mut store = Store::new(engine, ());
        store.set_epoch_deadline(NO_DEADLINE);
        let instance = Linker::new(engine).instantiate(&mut store, &module)?;
        let function = instance.get_typed_func(&mut store, "empty")?;
        Ok(Self { store, function })
    }

    /// Calls it.
    ///
    /// # Errors
    /// None that an empty function could give.
    pub fn call(&mut self) -> Result<i64> {
        self.function.call(&mut self.store, ())
    }
}

/// A new instance for each call, without anything that a real host would add: no initialisation, no state, no limits.
pub struct Reinstantiation {
    /// The pool's settings in words.
    pub name: String,
    engine: Engine,
    pre: InstancePre<()>,
    function: ModuleExport,
    exchange: ModuleExport,
}

impl Reinstantiation {
    /// `function` of the guest `wasm`, once for each of the pool's settings that might be the best ones.
    ///
    /// # Errors
    /// An engine refuses its settings or the guest.
    pub fn candidates(wasm: &[u8], function: &str) -> Result<Vec<Self>> {
        let mut all = Vec::new();
        for (keep_resident, kept) in [(0, "0"), (128 << 10, "128 KiB"), (4 << 20, "4 MiB")] {
            let mut pool = PoolingAllocationConfig::new();
            pool.total_core_instances(4).total_memories(4).total_tables(4);
            // Without the page-map scan, as in `Engine`: with it an instance may read what an earlier one left.
            pool.linear_memory_keep_resident(keep_resident)
                .table_keep_resident(keep_resident)
                .pagemap_scan(Enabled::No);
            all.push(Self::new(format!("pool, keep {kept}"), pool, wasm, function)?);
        }
        Ok(all)
    }

    fn new(name: String, pool: PoolingAllocationConfig, wasm: &[u8], function: &str) -> Result<Self> {
        let mut config = Config::new();
        config.epoch_interruption(true);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config)?;
        let module = Module::new(&engine, wasm)?;
        let export = |name| module.get_export_index(name).ok_or_else(|| Error::msg("the guest lacks an export"));
        let (function, exchange) = (export(function)?, export(EXPORT_EXCHANGE)?);
        let mut linker = Linker::new(&engine);
        linker.define_unknown_imports_as_traps(&module)?;
        let pre = linker.instantiate_pre(&module)?;
        Ok(Self { name, engine, pre, function, exchange })
    }

    /// Instantiates, calls, and drops.
    ///
    /// # Errors
    /// Instantiating or the guest failed.
    pub fn call(&self) -> Result<i64> {
        let (mut store, instance) = self.instantiate()?;
        Self::function(&mut store, instance, &self.function)?.typed::<(), i64>(&store)?.call(&mut store, ())
    }

    /// The same with the exchange region allocated before the call, without which the guest could read nothing.
    ///
    /// # Errors
    /// Instantiating or the guest failed.
    pub fn initialise_and_call(&self) -> Result<i64> {
        let (mut store, instance) = self.instantiate()?;
        let exchange = Self::function(&mut store, instance, &self.exchange)?;
        exchange.typed::<i32, i32>(&store)?.call(&mut store, DEFAULT_EXCHANGE_SIZE.cast_signed())?;
        Self::function(&mut store, instance, &self.function)?.typed::<(), i64>(&store)?.call(&mut store, ())
    }

    fn instantiate(&self) -> Result<(Store<()>, Instance)> {
        let mut store = Store::new(&self.engine, ());
        store.set_epoch_deadline(NO_DEADLINE);
        let instance = self.pre.instantiate(&mut store)?;
        Ok((store, instance))
    }

    fn function(store: &mut Store<()>, instance: Instance, export: &ModuleExport) -> Result<Func> {
        let found = instance.get_module_export(store, export).and_then(Extern::into_func);
        found.ok_or_else(|| Error::msg("the export is no function"))
    }
}
