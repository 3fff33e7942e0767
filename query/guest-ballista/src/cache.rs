//! The modules that an executor has compiled.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use guest_ballista_plan::{Limits, hex};
use guest_datafusion::guest_functions::guest_host::Engine;
use guest_datafusion::guest_functions::{Module, ModuleConfig};
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::error::FunctionCodecError;

/// What a compiled module depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) hash: [u8; 32],
    pub(crate) declarations: Vec<String>,
    pub(crate) limits: Limits,
}

/// Modules by what they depend on. Each is compiled once, however many tasks need it at a time. Beyond the capacity, the
/// one that was used least recently is dropped; tasks that have it keep it.
#[derive(Debug)]
pub(crate) struct ModuleCache {
    engine: Engine,
    capacity: usize,
    slots: Mutex<Slots>,
    compiled: AtomicU64,
}

#[derive(Debug, Default)]
struct Slots {
    uses: u64,
    by_key: HashMap<Key, Slot>,
}

#[derive(Debug)]
struct Slot {
    used: u64,
    /// Locked while it is compiled, so that others wait for it.
    module: Arc<Mutex<Option<Module>>>,
}

impl ModuleCache {
    pub(crate) fn new(engine: &Engine, capacity: usize) -> Self {
        Self { engine: engine.clone(), capacity, slots: Mutex::default(), compiled: AtomicU64::new(0) }
    }

    /// How many modules were compiled.
    pub(crate) fn compiled(&self) -> u64 {
        self.compiled.load(Ordering::Relaxed)
    }

    /// The module, compiled from `bytes` if it is not there. The thread's other tasks go on elsewhere meanwhile: they are the
    /// executor's signs of life, too. A module that fails is tried again by whoever needs it next.
    pub(crate) fn module(
        &self,
        key: Key,
        name: &str,
        bytes: impl FnOnce() -> Result<Vec<u8>, FunctionCodecError>,
        config: impl FnOnce() -> Result<ModuleConfig, FunctionCodecError>,
    ) -> Result<Module, FunctionCodecError> {
        blocking(|| self.found_or_compiled(key, name, bytes, config))
    }

    fn found_or_compiled(
        &self,
        key: Key,
        name: &str,
        bytes: impl FnOnce() -> Result<Vec<u8>, FunctionCodecError>,
        config: impl FnOnce() -> Result<ModuleConfig, FunctionCodecError>,
    ) -> Result<Module, FunctionCodecError> {
        let shown = hex(&key.hash);
        let slot = self.slot(key);
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = slot.as_ref() {
            return Ok(module.clone());
        }
        let (config, bytes) = (config()?, bytes()?);
        let started = std::time::Instant::now();
        let module = Module::load(&self.engine, name, &bytes, config)?;
        let count = self.compiled.fetch_add(1, Ordering::Relaxed) + 1;
        log::info!("compiled the module {name}@{shown} in {} ms; {count} so far", started.elapsed().as_millis());
        *slot = Some(module.clone());
        Ok(module)
    }

    fn slot(&self, key: Key) -> Arc<Mutex<Option<Module>>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.uses += 1;
        let used = slots.uses;
        let slot = slots.by_key.entry(key).or_insert_with(|| Slot { used, module: Arc::default() });
        slot.used = used;
        let module = Arc::clone(&slot.module);
        while slots.by_key.len() > self.capacity.max(1) {
            let oldest = slots.by_key.iter().min_by_key(|(_, slot)| slot.used).map(|(key, _)| key.clone());
            match oldest {
                Some(oldest) => slots.by_key.remove(&oldest),
                None => break,
            };
        }
        module
    }
}
/// Runs what may take long on a thread that runs tasks as well.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
