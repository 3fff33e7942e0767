//! The engine: compiled code, the instance pool and the one thread that ticks deadlines.

#[cfg(feature = "artefacts")]
pub mod artefact;
#[cfg(not(feature = "artefacts"))]
#[path = "no_artefact.rs"]
pub(crate) mod artefact;
mod error;

#[cfg(feature = "compile")]
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

#[cfg(feature = "compile")]
use wasmtime::{Cache, CacheConfig};
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, Module, PoolingAllocationConfig};

#[cfg(feature = "artefacts")]
use crate::engine::artefact::ArtefactTrust;
pub use error::EngineError;

/// Version of wasmtime that this crate is built with.
pub const WASMTIME_VERSION: &str = wasmtime_environ::VERSION;

/// Tables that a module may have where instances come from a pool. Compilers make one, and one more for references of the
/// host's; a slot that is not used costs addresses alone.
const MOST_TABLES: u32 = 4;

/// The first bytes of every artefact. They are neither text nor a module, and any program that converts line ends changes
/// them.
const ARTEFACT_MAGIC: [u8; 8] = *b"\x89guest\r\n";

/// How an [`Engine`] is made.
///
/// ```
/// use std::time::Duration;
///
/// use guest_host::{Engine, EngineConfig, InstanceAllocation};
///
/// // Memory for 64 instances at a time, and deadlines that are exact to 5 ms.
/// let allocation = InstanceAllocation::pooling(64);
/// let config = EngineConfig::default().with_allocation(allocation).with_tick(Duration::from_millis(5));
/// let engine = Engine::new(&config)?;
/// assert_eq!(engine.config(), &config);
/// # Ok::<(), guest_host::EngineError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct EngineConfig {
    /// Where instances get their memory.
    pub allocation: InstanceAllocation,
    /// How long a tick of the deadline clock takes; a deadline is exact to one tick.
    pub tick: Duration,
    /// Counts executed instructions exactly. It slows the guest down, so measurements of time switch it off.
    pub fuel: bool,
    /// Whether and where compiled code is kept on disk, so that a module is compiled once and not in each process.
    #[cfg(feature = "compile")]
    pub compile_cache: CompileCache,
    /// Whose machine code is taken from artefacts that were [compiled ahead of time](crate::engine::artefact).
    #[cfg(feature = "artefacts")]
    #[cfg_attr(feature = "serde", serde(skip, default = "ArtefactTrust::nobody"))]
    pub artefact_trust: ArtefactTrust,
}

/// Where wasmtime keeps compiled code. An entry is found by what was compiled, how, and by which version.
///
/// An entry that cannot be read is compiled and written anew. Entries have no checksum that finds every change in them,
/// and their code is run: whoever can write to the folder can run code in the process. Keep it as safe as the program
/// itself.
///
/// ```
/// use guest_host::{CompileCache, Engine, EngineConfig};
///
/// let folder = std::env::temp_dir().join("compiled-guests");
/// let engine = Engine::new(&EngineConfig::default().with_compile_cache(CompileCache::Folder(folder)))?;
/// println!("{} modules were found", engine.cache_use().hits);
/// # Ok::<(), guest_host::EngineError>(())
/// ```
#[cfg(feature = "compile")]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum CompileCache {
    /// Nowhere.
    #[default]
    Off,
    /// Where wasmtime's own configuration file says, or else in the user's folder for caches.
    System,
    /// In this folder, which is made if it does not exist.
    Folder(PathBuf),
}

#[cfg(feature = "compile")]
impl CompileCache {
    fn open(&self) -> Result<Option<Cache>, EngineError> {
        let cache = match self {
            Self::Off => return Ok(None),
            Self::System => Cache::from_file(None),
            Self::Folder(folder) => {
                let refused = |error: &dyn std::fmt::Display| EngineError::CompileCache {
                    folder: folder.clone(),
                    message: error.to_string(),
                };
                let absolute = std::path::absolute(folder).map_err(|error| refused(&error))?;
                let mut config = CacheConfig::new();
                config.with_directory(absolute);
                return Cache::new(config).map(Some).map_err(|error| refused(&format!("{error:#}")));
            }
        };
        cache.map(Some).map_err(|error| EngineError::refused(&error))
    }
}

/// How often compiled code was found in the cache.
#[cfg(feature = "compile")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct CacheUse {
    /// Modules whose code was there.
    pub hits: usize,
    /// Modules that were compiled and kept.
    pub misses: usize,
}

/// Where instances get their memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum InstanceAllocation {
    /// Mapped for each instance: for few instances that live long.
    OnDemand,
    /// From a pool that is mapped once: for instances that are made anew often.
    Pooling {
        /// Instances that can exist at the same time.
        instances: u32,
        /// Bytes of a memory, from its beginning, that are put back by writing to them instead of giving the pages back to
        /// the system.
        keep_resident: usize,
    },
}

impl InstanceAllocation {
    /// A pool for so many instances, with the settings that were measured to make new instances cheapest.
    #[must_use]
    pub const fn pooling(instances: u32) -> Self {
        Self::Pooling { instances, keep_resident: 4 << 20 }
    }
}

impl EngineConfig {
    guest_prepare::setters! {
        /// Sets [`Self::allocation`].
        with_allocation(allocation: InstanceAllocation);
        /// Sets [`Self::tick`].
        with_tick(tick: Duration);
        /// Sets [`Self::fuel`].
        with_fuel(fuel: bool);
        /// Sets [`Self::compile_cache`].
        #[cfg(feature = "compile")]
        with_compile_cache(compile_cache: CompileCache);
        /// Sets [`Self::artefact_trust`].
        #[cfg(feature = "artefacts")]
        with_artefact_trust(artefact_trust: ArtefactTrust);
    }
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            allocation: InstanceAllocation::pooling(16),
            tick: Duration::from_millis(1),
            fuel: false,
            #[cfg(feature = "compile")]
            compile_cache: CompileCache::Off,
            #[cfg(feature = "artefacts")]
            artefact_trust: ArtefactTrust::nobody(),
        }
    }
}

/// Compiles guests and ticks their deadlines. Cheap to clone; all clones share code, pool and clock.
#[derive(Debug, Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    wasmtime: wasmtime::Engine,
    config: EngineConfig,
    #[cfg(feature = "compile")]
    cache: Option<Cache>,
    /// Ends the ticker with the last clone.
    _ticker: Ticker,
}

impl Engine {
    /// An engine with this configuration.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when the machine refuses what the configuration asks for.
    pub fn new(config: &EngineConfig) -> Result<Self, EngineError> {
        let mut wasmtime = compiler_config(config.fuel);
        if let InstanceAllocation::Pooling { instances, keep_resident } = config.allocation {
            let mut pool = PoolingAllocationConfig::new();
            // The second memory is the card table of a write barrier.
            let memories = instances.saturating_mul(2);
            let tables = instances.saturating_mul(MOST_TABLES);
            pool.total_core_instances(instances)
                .total_memories(memories)
                .max_memories_per_module(memories)
                .total_tables(tables)
                .max_tables_per_module(MOST_TABLES)
                .table_elements(1 << 16)
                .max_core_instance_size(1 << 20)
                .linear_memory_keep_resident(keep_resident)
                .table_keep_resident(1 << 16)
                .max_unused_warm_slots(instances)
                // Unsound before wasmtime 50.0.1: the scan asks for pages that are present, so a written page that was
                // swapped out is neither zeroed nor given back, and the next instance in the slot reads it. Nothing
                // tells that swap stays off for as long as an engine lives. The setting can come back with an engine
                // for which the test `swap` finds no such page.
                .pagemap_scan(Enabled::No);
            wasmtime.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        }
        #[cfg(feature = "compile")]
        let cache = config.compile_cache.open()?;
        #[cfg(feature = "compile")]
        wasmtime.cache(cache.clone());
        let wasmtime = wasmtime::Engine::new(&wasmtime).map_err(|error| EngineError::refused(&error))?;
        let ticker = Ticker::start(wasmtime.clone(), config.tick).map_err(EngineError::Ticker)?;
        let inner = Inner {
            wasmtime,
            config: config.clone(),
            #[cfg(feature = "compile")]
            cache,
            _ticker: ticker,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The configuration that the engine was made with.
    #[must_use]
    pub fn config(&self) -> &EngineConfig {
        &self.inner.config
    }

    /// How often compiled code was found in the cache; zeros where there is none.
    #[cfg(feature = "compile")]
    #[must_use]
    pub fn cache_use(&self) -> CacheUse {
        let count = |cache: &Cache| CacheUse { hits: cache.cache_hits(), misses: cache.cache_misses() };
        self.inner.cache.as_ref().map(count).unwrap_or_default()
    }

    /// The engine underneath, for embedders who use it beside the harness.
    ///
    /// ```
    /// use guest_host::wasmtime::Module;
    /// use guest_host::{Engine, EngineConfig};
    ///
    /// let engine = Engine::new(&EngineConfig::default())?;
    /// let compiled: Module = Module::new(engine.wasmtime(), b"\0asm\x01\0\0\0").map_err(|error| error.to_string())?;
    /// assert_eq!(compiled.exports().len(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner.wasmtime
    }

    /// Compiles a module.
    #[cfg(feature = "compile")]
    pub(crate) fn compile(&self, wasm: &[u8]) -> Result<Module, String> {
        Module::new(&self.inner.wasmtime, wasm).map_err(|error| format!("{error:#}"))
    }

    /// Compiles a module.
    #[cfg(not(feature = "compile"))]
    #[expect(clippy::unused_self, reason = "an engine with a compiler needs it")]
    pub(crate) fn compile(&self, _wasm: &[u8]) -> Result<Module, String> {
        Err("this program has no compiler: load an artefact that the engine trusts, or build guest-host with the feature \
             `compile`"
            .to_owned())
    }

    /// An engine with the same compiler settings, except that it counts instructions if this one does not, and the other way
    /// round.
    #[cfg(all(feature = "artefacts", feature = "compile"))]
    pub(crate) fn counting_otherwise(&self) -> Result<wasmtime::Engine, EngineError> {
        wasmtime::Engine::new(&compiler_config(!self.inner.config.fuel)).map_err(|error| EngineError::refused(&error))
    }

    /// Ticks until a deadline of this length: at least one more than fit, as the current tick has begun already.
    pub(crate) fn ticks(&self, deadline: Duration) -> u64 {
        let ticks = deadline.as_nanos().div_ceil(self.inner.config.tick.as_nanos().max(1));
        u64::try_from(ticks).unwrap_or(u64::MAX >> 1).min(u64::MAX >> 1) + 1
    }
}

/// The settings on which compiled code depends.
fn compiler_config(fuel: bool) -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.consume_fuel(fuel);
    config
}

/// The thread that increments the engine's epoch; ends when dropped.
#[derive(Debug)]
struct Ticker {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    fn start(engine: wasmtime::Engine, tick: Duration) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new().name("epoch-ticker".into()).spawn(move || {
            while stopped.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
                engine.increment_epoch();
            }
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The thread runs nothing that can panic; there would be nobody to tell either.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_shorter_than_asked() {
        let engine = Engine::new(&EngineConfig::default()).unwrap();
        assert_eq!(engine.ticks(Duration::from_millis(1)), 2);
        assert_eq!(engine.ticks(Duration::from_micros(1001)), 3);
        assert_eq!(engine.ticks(Duration::MAX), (u64::MAX >> 1) + 1);
    }

    #[test]
    fn the_ticker_ends_with_the_last_clone() {
        let engine = Engine::new(&EngineConfig::default()).unwrap();
        let weak = Arc::downgrade(&engine.inner);
        let clone = engine.clone();
        drop(engine);
        assert!(weak.upgrade().is_some());
        drop(clone);
        assert!(weak.upgrade().is_none(), "dropping joins the thread");
    }
}
