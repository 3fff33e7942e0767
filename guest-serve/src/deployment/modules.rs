//! The modules that are loaded: of all guests, those that were used last.
//!
//! A loaded module takes memory and some of the areas that the system gives a process, of which there are 65,530 on Linux. So one
//! that was not used for longest is dropped, and loaded again when a call needs it: its compiled code is on the disk.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use guest_functions::Module;

use super::RouteFunction;

/// The memory that loaded modules may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModuleBudget {
    /// Bytes of all.
    pub bytes: u64,
    /// How many.
    pub modules: usize,
}

impl Default for ModuleBudget {
    /// 256 MiB and 1,024 modules, each of which takes about ten areas.
    fn default() -> Self {
        Self { bytes: 256 << 20, modules: 1024 }
    }
}

impl ModuleBudget {
    guest_host::guest_prepare::setters! {
        /// Sets [`Self::bytes`].
        with_bytes(bytes: u64);
        /// Sets [`Self::modules`].
        with_modules(modules: usize);
    }
}

/// The functions of a module depend on its SHA-256 and on the declarations.
pub(super) type Key = ([u8; 32], Vec<String>);

/// The module of a deployment while it is loaded. An owner of the `Arc` may call its functions, also when it is not kept any more.
#[derive(Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// The compiled module, with the limits of the configuration.
    pub module: Module,
    /// The functions of the routes, in their order.
    pub functions: Vec<RouteFunction>,
    key: Key,
    /// Loads that there had been when it was last used.
    used: AtomicU64,
    kept: AtomicBool,
    loads: Arc<AtomicU64>,
}

impl Loaded {
    /// Takes note that it is used.
    #[inline]
    pub fn touch(&self) {
        self.used.store(self.loads.load(Relaxed), Relaxed);
    }

    /// Whether it is among the modules that are kept. An instance of one that is not should be dropped.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.kept.load(Relaxed)
    }

    /// Bytes that it takes alone.
    fn bytes(&self) -> u64 {
        self.module.guest().resident_bytes()
    }
}

/// How many modules are loaded, and how often that was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ModuleUse {
    /// Guests whose module is loaded.
    pub loaded: usize,
    /// Bytes of these modules.
    pub bytes: u64,
    /// Times that a module was loaded.
    pub loads: u64,
}

/// The modules that are kept.
#[derive(Debug)]
pub(super) struct Modules {
    budget: ModuleBudget,
    loads: Arc<AtomicU64>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    loaded: Vec<Arc<Loaded>>,
    /// How many of these share the code of a module, and its bytes.
    shared: HashMap<Key, (usize, u64)>,
    bytes: u64,
    /// Modules that stay as long as their deployments do.
    pinned: Vec<Weak<Loaded>>,
}

impl Modules {
    pub(super) fn new(budget: ModuleBudget) -> Self {
        Self { budget, loads: Arc::default(), kept: Mutex::default() }
    }

    /// A module that was loaded just now. It is not kept yet.
    pub(super) fn loaded(&self, key: Key, module: Module, functions: Vec<RouteFunction>) -> Arc<Loaded> {
        let used = AtomicU64::new(self.loads.fetch_add(1, Relaxed) + 1);
        let loads = Arc::clone(&self.loads);
        Arc::new(Loaded { module, functions, key, used, kept: AtomicBool::new(false), loads })
    }

    /// A loaded module of this key, whose code others can share.
    pub(super) fn find(&self, key: &Key) -> Option<Arc<Loaded>> {
        let kept = self.lock();
        let is_it = |loaded: &Arc<Loaded>| loaded.key == *key;
        let pinned = || kept.pinned.iter().filter_map(Weak::upgrade).find(is_it);
        match kept.shared.contains_key(key) {
            true => kept.loaded.iter().find(|loaded| is_it(loaded)).cloned(),
            false => pinned(),
        }
    }

    /// Lets a module stay as long as its owners do.
    pub(super) fn pin(&self, loaded: &Arc<Loaded>) {
        let mut kept = self.lock();
        kept.pinned.retain(|pinned| pinned.strong_count() > 0);
        kept.pinned.push(Arc::downgrade(loaded));
        loaded.kept.store(true, Relaxed);
    }

    /// Keeps a module, and drops those that were not used for longest where there are too many.
    pub(super) fn keep(&self, loaded: &Arc<Loaded>) {
        let mut kept = self.lock();
        if !loaded.kept.swap(true, Relaxed) {
            kept.add(loaded);
        }
        // Dropped without the lock: the system takes its time to unmap code.
        let dropped = kept.trim(self.budget, loaded);
        drop(kept);
        drop(dropped);
    }

    pub(super) fn usage(&self) -> ModuleUse {
        let kept = self.lock();
        ModuleUse { loaded: kept.loaded.len(), bytes: kept.bytes, loads: self.loads.load(Relaxed) }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn add(&mut self, loaded: &Arc<Loaded>) {
        let bytes = loaded.bytes();
        let (count, _) = self.shared.entry(loaded.key.clone()).or_insert((0, bytes));
        if *count == 0 {
            self.bytes += bytes;
        }
        *count += 1;
        self.loaded.push(Arc::clone(loaded));
    }

    fn forget(&mut self, loaded: &Loaded) {
        loaded.kept.store(false, Relaxed);
        if let Some((count, bytes)) = self.shared.get_mut(&loaded.key) {
            *count -= 1;
            if *count == 0 {
                self.bytes -= *bytes;
                self.shared.remove(&loaded.key);
            }
        }
    }

    /// Takes out the modules that are too many, but for `last`: some more than must be, so that this is not done with each load.
    fn trim(&mut self, budget: ModuleBudget, last: &Arc<Loaded>) -> Vec<Arc<Loaded>> {
        if self.bytes <= budget.bytes && self.loaded.len() <= budget.modules {
            return Vec::new();
        }
        let bytes = budget.bytes - budget.bytes / 16;
        let modules = budget.modules - budget.modules / 16;
        // The last one at the beginning, so that it stays.
        self.loaded.sort_by_key(|loaded| {
            std::cmp::Reverse(if Arc::ptr_eq(loaded, last) { u64::MAX } else { loaded.used.load(Relaxed) })
        });
        let mut dropped = Vec::new();
        while self.loaded.len() > 1 && (self.bytes > bytes || self.loaded.len() > modules) {
            let Some(loaded) = self.loaded.pop() else { break };
            self.forget(&loaded);
            dropped.push(loaded);
        }
        dropped
    }
}

#[cfg(test)]
mod tests {
    use guest_functions::ModuleConfig;
    use guest_host::{Engine, EngineConfig, PoolConfig};

    use super::*;

    fn module(engine: &Engine, number: u8) -> (Key, Module) {
        let wasm =
            wat::parse_str(format!(r#"(module (func (export "f") (result i32) (i32.const {number})))"#)).unwrap();
        let config = ModuleConfig::default().with_pool(PoolConfig::default().with_warm(0));
        (([number; 32], Vec::new()), Module::load(engine, "guest", &wasm, config).unwrap())
    }

    #[test]
    fn the_modules_that_were_used_last_are_kept() {
        let engine = Engine::new(&EngineConfig::default()).unwrap();
        let modules = Modules::new(ModuleBudget::default().with_modules(3));
        let load = |number| {
            let (key, module) = module(&engine, number);
            let loaded = modules.loaded(key, module, Vec::new());
            modules.keep(&loaded);
            loaded
        };
        let [one, two, three] = [1, 2, 3].map(load);
        one.touch();
        let four = load(4);
        let is_kept = [&one, &two, &three, &four].map(|loaded| loaded.is_kept());
        assert_eq!(is_kept, [true, false, true, true], "two was not used for longest");
        assert!(modules.find(&two.key).is_none() && modules.find(&one.key).is_some());
        // An owner brings it back.
        modules.keep(&two);
        assert_eq!((two.is_kept(), three.is_kept(), modules.usage().loaded), (true, false, 3));
        assert_eq!(modules.usage().loads, 4);
    }

    #[test]
    fn code_that_guests_share_counts_once_and_one_module_stays_whatever_it_takes() {
        let engine = Engine::new(&EngineConfig::default()).unwrap();
        let (key, module) = module(&engine, 1);
        let bytes = module.guest().resident_bytes();
        assert!(bytes > 0);
        let modules = Modules::new(ModuleBudget::default().with_bytes(bytes));
        let again = module.reconfigured("again", module.config().clone()).unwrap();
        let one = modules.loaded(key.clone(), module, Vec::new());
        let two = modules.loaded(key, again, Vec::new());
        [&one, &two].iter().for_each(|loaded| modules.keep(loaded));
        assert_eq!((modules.usage().loaded, modules.usage().bytes), (2, bytes));
        let small = Modules::new(ModuleBudget::default().with_bytes(1));
        [&one, &two].iter().for_each(|loaded| loaded.kept.store(false, Relaxed));
        small.keep(&one);
        assert_eq!((small.usage().loaded, small.usage().bytes, one.is_kept()), (1, bytes, true));
        small.keep(&two);
        assert_eq!((small.usage().loaded, one.is_kept(), two.is_kept()), (1, false, true));
    }
}
