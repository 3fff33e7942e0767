//! Versions of guests: configuration, compiled module and files, which do not change.

mod http;
mod pace;
mod program;
mod route;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use guest_functions::{FunctionError, Module, ModuleConfig};
use guest_host::{CallLimits, Engine, InstanceConfig, PoolConfig, Secrets};

use crate::config::{GuestConfig, Limits};
use crate::error::ServeError;
use crate::files::{self, StaticFiles};
use crate::folder::{GuestFiles, GuestFolder, GuestName};
use crate::monitor::{GuestMonitor, Monitor};
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
    /// Its compiled module, with the limits of the configuration.
    pub module: Module,
    /// The functions of the routes, in the order of [`GuestConfig::routes`].
    pub functions: Vec<RouteFunction>,
    /// The functions of routes with streams, in the order of the routes.
    pub streams: Vec<Option<guest_host::Function>>,
    /// The functions for events of connections, if it is a program.
    pub program: Option<ProgramFunctions>,
    /// The lanes of these functions.
    pub paces: Vec<Pace>,
    /// SHA-256 of the module's bytes.
    pub hash: [u8; 32],
    /// The files that it serves.
    pub files: StaticFiles,
    /// The number of this version: later ones, of whatever guests, have a higher one.
    pub version: u64,
    /// Where its calls are recorded.
    pub monitor: Arc<GuestMonitor>,
}

/// Makes deployments. A module that several guests have is compiled once.
#[derive(Debug)]
pub struct Loader {
    engine: Engine,
    monitor: Monitor,
    /// The last deployment of each module.
    compiled: Mutex<HashMap<[u8; 32], Weak<Deployment>>>,
    versions: AtomicU64,
    /// How long an event of a program may hold up those of others.
    slice: Duration,
}

impl Loader {
    /// A loader of deployments on an engine.
    #[must_use]
    pub fn new(engine: Engine, monitor: Monitor) -> Self {
        Self { engine, monitor, compiled: Mutex::default(), versions: AtomicU64::new(0), slice: Duration::MAX }
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
        &self.engine
    }

    /// Checks that the bytes, which are to be the file at `path`, are a module or an artefact with functions.
    ///
    /// # Errors
    /// [`ServeError::Module`].
    pub fn check(&self, path: &Path, bytes: &[u8]) -> Result<(), ServeError> {
        let checked =
            Module::load(&self.engine, "module", bytes, module_config(&Limits::default(), &Secrets::default()));
        checked.map(drop).map_err(|source| ServeError::Module { path: path.to_owned(), source: Box::new(source) })
    }

    /// A deployment that still exists, and whose module has this hash.
    fn compiled(&self, hash: &[u8; 32]) -> Option<Arc<Deployment>> {
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner).get(hash)?.upgrade()
    }

    fn remember(&self, deployment: &Arc<Deployment>) {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        compiled.retain(|_, deployment| deployment.strong_count() > 0);
        compiled.insert(deployment.hash, Arc::downgrade(deployment));
    }
}

impl Deployment {
    /// Compiles a guest, and makes and drops an instance of it, so that one that cannot start is refused here.
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
        let path = GuestFolder::shown(&name, &config.module);
        let unfit_module = |source: FunctionError| ServeError::Module { path: path.clone(), source: Box::new(source) };
        let hash = guest_functions::hash(&bytes);
        let settings = module_config(&config.limits, &config.secret_values);
        let settings = settings.with_declarations(config.declarations.iter().cloned());
        let declared_at = |error: &FunctionError| match error {
            FunctionError::Declaration { declaration, .. } => {
                let mut declarations = config.declarations.iter().zip(&config.declaration_places);
                declarations.find(|(other, _)| *other == declaration).map(|(_, place)| place)
            }
            _ => None,
        };
        let unfit = |error: FunctionError| match declared_at(&error) {
            Some(place) => place.error(error.to_string()),
            None => unfit_module(error),
        };
        // The functions of a module are those of its signatures and of its declarations.
        let same = |other: &Arc<Self>| other.config.declarations == config.declarations;
        let module = match loader.compiled(&hash).filter(same) {
            Some(other) => other.module.reconfigured(name.as_str(), settings),
            None => Module::load(&loader.engine, name.as_str(), &bytes, settings),
        };
        let module = module.map_err(unfit)?;
        module.caller().map_err(unfit)?;
        let functions: Vec<_> =
            config.routes.iter().map(|route| RouteFunction::find(&module, route)).collect::<Result<_, _>>()?;
        let streams = config.routes.iter().map(|route| http::stream(route, &module)).collect::<Result<_, _>>()?;
        let program = match &config.program {
            Some(program) => {
                Some(ProgramFunctions::find(&module, program, loader.monitor.guest(&name).meter(), loader.slice)?)
            }
            None => None,
        };
        let files = match &config.static_folder {
            None => StaticFiles::default(),
            Some(statics) => {
                let listed = files::list(&folder.join(statics), &config.static_place)?;
                let before = before.map(|before| &before.files);
                StaticFiles::read(listed, config.limits.static_files, &config.static_place, before)?
            }
        };
        let deployment = Arc::new(Self {
            monitor: loader.monitor.guest(&name),
            version: loader.versions.fetch_add(1, Ordering::Relaxed) + 1,
            files,
            name,
            config,
            module,
            program,
            paces: functions.iter().map(|_| Pace::default()).collect(),
            functions,
            streams,
            hash,
        });
        loader.remember(&deployment);
        Ok(deployment)
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
