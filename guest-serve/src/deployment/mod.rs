//! Versions of guests: configuration, compiled module and files, which do not change.

mod copies;
mod http;
mod modules;
mod pace;
mod program;
mod route;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use guest_functions::{FunctionError, Module, ModuleConfig};
use guest_host::{CallLimits, Engine, InstanceConfig, PoolConfig, Secrets, WASMTIME_VERSION};
use sha2::{Digest as _, Sha256};

use crate::config::{GuestConfig, Limits};
use crate::error::ServeError;
use crate::files::{self, StaticFiles};
use crate::folder::{GuestFiles, GuestFolder, GuestName};
use crate::monitor::{GuestMonitor, Monitor};
use copies::{Copies, Copy};
use modules::Modules;
pub use modules::{Loaded, ModuleBudget, ModuleUse};
pub use pace::Pace;
pub(crate) use pace::SLICES_TO_START;
pub use program::ProgramFunctions;
pub use route::RouteFunction;

/// A version of a guest. Calls that began with it end with it, also when a newer one took its place.
#[derive(Debug)]
#[non_exhaustive]
pub struct Deployment {
    /// The guest's name.
    pub name: GuestName,
    /// Its configuration.
    pub config: GuestConfig,
    /// The functions for events of connections, if it is a program.
    pub program: Option<ProgramFunctions>,
    /// The lanes of the functions of the routes.
    pub paces: Vec<Pace>,
    /// SHA-256 of the module's bytes.
    pub hash: [u8; 32],
    /// The files that it serves.
    pub files: StaticFiles,
    /// The number of this version: later ones, of whatever guests, have a higher one.
    pub version: u64,
    /// Where its calls are recorded.
    pub monitor: Arc<GuestMonitor>,
    /// Its module, if that is loaded.
    loaded: Mutex<Weak<Loaded>>,
    /// Held while it is loaded.
    loading: Mutex<()>,
    source: Source,
    loader: Arc<Inner>,
    /// The module of a program, which stays loaded: its instances belong to it.
    _pinned: Option<Arc<Loaded>>,
}

/// Where a module is read from when it is loaded again.
#[derive(Debug)]
enum Source {
    Memory(Vec<u8>),
    Disk { own: PathBuf, copy: Copy },
}

/// Makes deployments. A module that several guests have is compiled once. Cheap to clone; the clones are the same.
#[derive(Debug, Clone)]
pub struct Loader {
    inner: Arc<Inner>,
    /// How long an event of a program may hold up those of others.
    slice: Duration,
}

#[derive(Debug)]
struct Inner {
    engine: Engine,
    monitor: Monitor,
    modules: Modules,
    copies: Option<Copies>,
    versions: AtomicU64,
}

impl Loader {
    /// A loader of deployments on an engine. Bytes of modules stay in memory.
    #[must_use]
    pub fn new(engine: Engine, monitor: Monitor) -> Self {
        Self::with(engine, monitor, ModuleBudget::default(), None)
    }

    /// A loader that keeps copies of modules in `folder`, and has as many loaded as `budget` says.
    ///
    /// # Errors
    /// [`ServeError::Io`] if the folder cannot be made.
    pub fn open(engine: Engine, monitor: Monitor, budget: ModuleBudget, folder: PathBuf) -> Result<Self, ServeError> {
        Ok(Self::with(engine, monitor, budget, Some(Copies::open(folder)?)))
    }

    fn with(engine: Engine, monitor: Monitor, budget: ModuleBudget, copies: Option<Copies>) -> Self {
        let (modules, versions) = (Modules::new(budget), AtomicU64::new(0));
        Self { inner: Arc::new(Inner { engine, monitor, modules, copies, versions }), slice: Duration::MAX }
    }

    /// Events of programs that take longer than a slice belong to the slow lane. Without it they have all the time of the guest's
    /// deadline.
    #[must_use]
    pub fn with_slice(self, slice: Duration) -> Self {
        Self { slice, ..self }
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// How many modules are loaded.
    #[must_use]
    pub fn modules(&self) -> ModuleUse {
        self.inner.modules.usage()
    }

    /// The number of the version that was made last, of whatever guest.
    #[must_use]
    pub fn last_version(&self) -> u64 {
        self.inner.versions.load(Ordering::Relaxed)
    }

    /// Removes copies of modules that no deployment has any more.
    pub fn sweep(&self) {
        // What cannot be removed now takes room until the next time.
        self.inner.copies.as_ref().map(Copies::sweep);
    }

    /// Checks that the bytes, which are to be the file at `path`, are a module or an artefact with functions.
    ///
    /// # Errors
    /// [`ServeError::Module`].
    pub fn check(&self, path: &Path, bytes: &[u8]) -> Result<(), ServeError> {
        let settings = module_config(&Limits::default(), &Secrets::default());
        let checked = Module::load(&self.inner.engine, "module", bytes, settings);
        checked.map(drop).map_err(|source| ServeError::Module { path: path.to_owned(), source: Box::new(source) })
    }
}

impl Deployment {
    /// Compiles a guest, and makes and drops an instance of it, so that one that cannot start is refused here. One that was checked
    /// before, with the same configuration, is loaded when it is first called.
    ///
    /// # Errors
    /// [`ServeError::Module`] if the module cannot be loaded or started, and [`ServeError::File`] if it lacks the function of
    /// a route, or if its files cannot be served.
    pub fn load(loader: &Loader, guest: GuestFiles) -> Result<Arc<Self>, ServeError> {
        Self::load_after(loader, guest, None)
    }

    /// As [`Deployment::load`]. Files that are as they were in the version `before` are taken from there.
    ///
    /// # Errors
    /// As for [`Deployment::load`].
    pub fn load_after(loader: &Loader, guest: GuestFiles, before: Option<&Self>) -> Result<Arc<Self>, ServeError> {
        let GuestFiles { name, folder, config, module: bytes } = guest;
        let inner = &loader.inner;
        let hash = guest_functions::hash(&bytes);
        let check = check_of(&hash, &config);
        let copy = inner.copies.as_ref().and_then(|copies| copies.keep(hash, check, &bytes).ok());
        // Nothing that depends on a secret's value is written.
        let is_checked = copy.as_ref().is_some_and(Copy::is_checked) && config.secrets.is_empty();
        let (mut program, mut loaded) = (None, None);
        if config.program.is_some() || !is_checked {
            let found = inner.load(&name, &config, hash, &bytes)?;
            if !is_checked {
                found.module.caller().map_err(|error| unfit(&name, &config, error))?;
            }
            let monitor = inner.monitor.guest(&name);
            let of_program = |program| ProgramFunctions::find(&found.module, program, monitor.meter(), loader.slice);
            program = config.program.as_ref().map(of_program).transpose()?;
            loaded = Some(found);
        }
        let files = match &config.static_folder {
            None => StaticFiles::default(),
            Some(statics) => {
                let listed = files::list(&folder.join(statics), &config.static_place)?;
                let before = before.map(|before| &before.files);
                StaticFiles::read(listed, config.limits.static_files, &config.static_place, before)?
            }
        };
        if let Some(copy) = copy.as_ref().filter(|_| !is_checked) {
            copy.set_checked();
        }
        match &loaded {
            Some(loaded) if program.is_some() => inner.modules.pin(loaded),
            Some(loaded) => inner.modules.keep(loaded),
            None => {}
        }
        let source = match copy {
            Some(copy) => Source::Disk { own: folder.join(&config.module), copy },
            None => Source::Memory(bytes),
        };
        Ok(Arc::new(Self {
            monitor: inner.monitor.guest(&name),
            version: inner.versions.fetch_add(1, Ordering::Relaxed) + 1,
            files,
            paces: config.routes.iter().map(|_| Pace::default()).collect(),
            name,
            config,
            hash,
            loaded: Mutex::new(loaded.as_ref().map_or_else(Weak::new, Arc::downgrade)),
            loading: Mutex::default(),
            source,
            loader: Arc::clone(inner),
            _pinned: loaded.filter(|_| program.is_some()),
            program,
        }))
    }

    /// The module, if it is loaded.
    #[must_use]
    pub fn loaded_now(&self) -> Option<Arc<Loaded>> {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).upgrade()?;
        if !loaded.is_kept() {
            self.loader.modules.keep(&loaded);
        }
        loaded.touch();
        Some(loaded)
    }

    /// The module, which is loaded now if it is not.
    ///
    /// # Errors
    /// [`ServeError`] if it cannot be read any more, or there is no memory for it.
    pub fn loaded(&self) -> Result<Arc<Loaded>, ServeError> {
        // Whoever else needs it waits instead of loading it as well.
        let _loading = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = self.loaded_now() {
            return Ok(loaded);
        }
        let loaded = match &self.source {
            Source::Memory(bytes) => self.loader.load(&self.name, &self.config, self.hash, bytes)?,
            Source::Disk { own, copy } => {
                self.loader.load(&self.name, &self.config, self.hash, &copy.read(own, &self.hash)?)?
            }
        };
        *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&loaded);
        self.loader.modules.keep(&loaded);
        Ok(loaded)
    }

    /// Whether both serve the same: the versions differ in their numbers alone.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.hash == other.hash && self.config == other.config && self.files.is_same(&other.files)
    }

    /// The part of a request's path behind the mount, if it is below it: empty, or with `/` at its beginning.
    #[must_use]
    pub fn rest<'p>(&self, path: &'p str) -> Option<&'p str> {
        match self.config.mount.as_str() {
            "/" => Some(path),
            mount => path.strip_prefix(mount).filter(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    }
}

impl Inner {
    /// Loads the module of a guest, and finds the functions of its routes.
    fn load(
        &self,
        name: &GuestName,
        config: &GuestConfig,
        hash: [u8; 32],
        bytes: &[u8],
    ) -> Result<Arc<Loaded>, ServeError> {
        // The functions of a module are those of its signatures and of its declarations.
        let key = (hash, config.declarations.clone());
        let settings = module_config(&config.limits, &config.secret_values);
        let settings = settings.with_declarations(config.declarations.iter().cloned());
        let module = match self.modules.find(&key) {
            Some(other) => other.module.reconfigured(name.as_str(), settings),
            None => Module::load(&self.engine, name.as_str(), bytes, settings),
        };
        let module = module.map_err(|error| unfit(name, config, error))?;
        let functions = config.routes.iter().map(|route| RouteFunction::find(&module, route));
        let functions = functions.collect::<Result<_, _>>()?;
        Ok(self.modules.loaded(key, module, functions))
    }
}

/// The error of a module, at the place of `guest.toml` that names a function that it does not have.
fn unfit(name: &GuestName, config: &GuestConfig, error: FunctionError) -> ServeError {
    if let FunctionError::Declaration { declaration, .. } = &error {
        let mut declarations = config.declarations.iter().zip(&config.declaration_places);
        if let Some((_, place)) = declarations.find(|(other, _)| *other == declaration) {
            return place.error(error.to_string());
        }
    }
    ServeError::Module { path: GuestFolder::shown(name, &config.module), source: Box::new(error) }
}

/// Identifies what a module is checked with: everything on which it depends whether it can be served.
fn check_of(hash: &[u8; 32], config: &GuestConfig) -> [u8; 32] {
    let GuestConfig { declarations, routes, program, limits, .. } = config;
    let version = env!("CARGO_PKG_VERSION");
    let text = format!("{version} {WASMTIME_VERSION} {declarations:?} {routes:?} {program:?} {limits:?}");
    Sha256::new().chain_update(hash).chain_update(text).finalize().into()
}

/// Bytes of the exchange region for each byte of a body: `1,` is 2 bytes of JSON, and a number of 64 bits.
const EXCHANGE_FOR_BODY: u64 = 4;

/// The least exchange region.
const LEAST_EXCHANGE: u64 = 64 << 10;

/// How a module is loaded under these limits, and with these secrets.
fn module_config(limits: &Limits, secrets: &Secrets) -> ModuleConfig {
    let exchange = (limits.body as u64).saturating_mul(EXCHANGE_FOR_BODY).max(LEAST_EXCHANGE).min(limits.memory / 4);
    let instance = InstanceConfig::default()
        .with_memory_limit(limits.memory)
        .with_deadline(Some(limits.deadline))
        .with_exchange_size(u32::try_from(exchange.max(1)).ok())
        .with_limits(CallLimits::default().with_log_bytes(limits.log))
        .with_secrets(secrets.clone());
    // Each thread has instances of its own.
    ModuleConfig::default().with_instance(instance).with_pool(PoolConfig::default().with_warm(0))
}
