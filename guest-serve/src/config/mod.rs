//! `guest.toml`: where a guest is mounted, what it serves and what it may use.

mod program;
mod records;
mod route;
mod secrets;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use program::ProgramConfig;
pub use records::RecordsConfig;
pub use route::{Callee, Format, Route, RoutePath, Segment};
pub use secrets::Secrets;
pub(crate) use table::nearest;
use table::{Source, Table};

use crate::error::{Place, ServeError};

/// Name of the file.
pub const FILE: &str = "guest.toml";

/// The configuration of a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GuestConfig {
    /// The module, relative to the guest's folder.
    pub module: PathBuf,
    /// The path below which the guest is served: `/`, or segments without a `/` at the end.
    pub mount: String,
    /// The folder of files that are served below the mount, relative to the guest's folder.
    pub static_folder: Option<PathBuf>,
    /// Names of the secrets that it may read.
    pub secrets: BTreeSet<String>,
    /// The secrets themselves. See [`Secrets::give`].
    pub secret_values: guest_host::Secrets,
    /// Signatures of functions of a module that has none of its own, as
    /// [`ModuleConfig::declarations`](guest_functions::ModuleConfig::declarations) has them.
    pub declarations: Vec<String>,
    /// Its routes, in the order of the file.
    pub routes: Vec<Route>,
    /// Its program, if it is one.
    pub program: Option<ProgramConfig>,
    /// The records of its tenants.
    pub records: RecordsConfig,
    /// Its limits.
    pub limits: Limits,
    /// Where it names its module, or the beginning of the file.
    pub(crate) module_place: Place,
    /// Where it names its folder of files.
    pub(crate) static_place: Place,
    /// Where each of its declarations stands.
    pub(crate) declaration_places: Vec<Place>,
    /// Where it names each of its secrets.
    pub(crate) secret_places: BTreeMap<String, Place>,
}

/// The limits of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of linear memory that an instance may have.
    pub memory: u64,
    /// How long a call may take. With a stream, how long its code may run before it waits for the client again.
    pub deadline: Duration,
    /// How long a call with a stream may take in all.
    pub total: Duration,
    /// Bytes that a request's body may have.
    pub body: usize,
    /// Bytes that a response may have.
    pub response: usize,
    /// Bytes of log lines that a call may leave; the rest is cut off.
    pub log: usize,
    /// Calls of one tenant within a second; as many may come at once.
    pub calls_per_second: u32,
    /// Requests of one tenant that wait at most.
    pub waiting: usize,
    /// Calls of one tenant with streams at the same time.
    pub streams: usize,
    /// Bytes that the files of the folder `static` may have together. They are held in memory.
    pub static_files: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 16 << 20,
            deadline: Duration::from_millis(50),
            total: Duration::from_secs(30),
            body: 64 << 10,
            response: 1 << 20,
            log: 64 << 10,
            calls_per_second: 100,
            waiting: 64,
            streams: 8,
            static_files: 16 << 20,
        }
    }
}

/// The keys of the file, of a table of `routes`, and of `limits`.
const KEYS: [&str; 9] = ["module", "mount", "static", "secrets", "declare", "routes", "program", "records", "limits"];
const LIMITS: [&str; 10] =
    ["memory", "deadline", "total", "body", "response", "log", "calls_per_second", "waiting", "streams", "static"];

impl GuestConfig {
    /// Reads the text of the file at `path` for the guest `name`.
    ///
    /// # Errors
    /// [`ServeError::File`] at the first fault.
    pub fn parse(name: &str, path: &Path, text: &str) -> Result<Self, ServeError> {
        let source = Source::new(path, text);
        let root = source.parse()?;
        let root = Table::new(&source, "guest.toml", root.get_ref(), &KEYS)?;
        let module = root.text("module")?;
        let mount = root.text("mount")?;
        let static_folder = root.text("static")?;
        let mut secret_places = BTreeMap::new();
        for secret in root.texts("secrets")? {
            secrets::check_name(secret.text).map_err(|message| secret.error(message))?;
            if secret_places.insert(secret.text.to_owned(), secret.place()).is_some() {
                return Err(secret.error(format!("`{}` is named twice; name it once", secret.text)));
            }
        }
        let declarations = root.texts("declare")?;
        let routes = root.tables("routes", &route::KEYS)?;
        let routes = routes.iter().map(Route::read).collect::<Result<Vec<_>, _>>()?;
        for (at, route) in routes.iter().enumerate() {
            let is_same = |other: &&Route| other.method == route.method && other.path.is_like(&route.path);
            if let Some(other) = routes[..at].iter().find(is_same) {
                let line = other.place.line;
                let message = format!("the route in line {line} has the same method and path; change one of them");
                return Err(route.place.error(message));
            }
        }
        let config = Self {
            module_place: module.as_ref().map_or_else(|| source.start(), |module| module.place()),
            static_place: static_folder.as_ref().map_or_else(|| source.start(), |folder| folder.place()),
            module: match module {
                Some(module) => inner_path(module.text).map_err(|message| module.error(message))?,
                None => PathBuf::from(format!("{name}.wasm")),
            },
            mount: match mount {
                Some(mount) => {
                    route::check_mount(mount.text).map_err(|message| mount.error(message))?;
                    mount.text.to_owned()
                }
                None => format!("/{name}"),
            },
            static_folder: static_folder
                .map(|folder| inner_path(folder.text).map_err(|message| folder.error(message)))
                .transpose()?,
            secrets: secret_places.keys().cloned().collect(),
            secret_values: guest_host::Secrets::default(),
            secret_places,
            declaration_places: declarations.iter().map(|declaration| declaration.place()).collect(),
            declarations: declarations.iter().map(|declaration| declaration.text.to_owned()).collect(),
            routes,
            program: match root.table("program", &program::KEYS)? {
                Some(table) => Some(ProgramConfig::read(&table)?),
                None => None,
            },
            records: match root.table("records", &records::KEYS)? {
                Some(table) => RecordsConfig::read(&table)?,
                None => RecordsConfig::default(),
            },
            limits: match root.table("limits", &LIMITS)? {
                Some(limits) => Limits::read(&limits)?,
                None => Limits::default(),
            },
        };
        if config.routes.is_empty() && config.static_folder.is_none() && config.program.is_none() {
            return Err(source.start().error(
                "the guest serves nothing; add a table `[[routes]]` with `path` and `function` or `extension`, a table `[program]` with `tcp` or \
                 `websocket`, or `static` with a folder of files",
            ));
        }
        Ok(config)
    }
}

impl Limits {
    fn read(table: &Table<'_, '_, '_>) -> Result<Self, ServeError> {
        let default = Self::default();
        let memory = table.read("memory", guest_host::text::memory_size)?;
        let deadline = table.read("deadline", guest_host::text::duration)?;
        Ok(Self {
            memory: memory.unwrap_or(default.memory),
            deadline: deadline.unwrap_or(default.deadline),
            total: table.read("total", guest_host::text::duration)?.unwrap_or(default.total),
            body: table.read("body", bytes)?.unwrap_or(default.body),
            response: table.read("response", bytes)?.unwrap_or(default.response),
            log: table.read("log", bytes)?.unwrap_or(default.log),
            calls_per_second: table.count("calls_per_second", 1..=1_000_000)?.unwrap_or(default.calls_per_second),
            waiting: table.count("waiting", 0..=100_000)?.map_or(default.waiting, |waiting| waiting as usize),
            streams: table.count("streams", 1..=100_000)?.map_or(default.streams, |streams| streams as usize),
            static_files: table.read("static", guest_host::text::size)?.unwrap_or(default.static_files),
        })
    }
}

/// Reads a size of what is held in memory.
fn bytes(text: &str) -> Result<usize, String> {
    let size = guest_host::text::memory_size(text)?;
    usize::try_from(size).map_err(|_| format!("`{text}` is more than this machine can hold"))
}

/// A path that stays in the guest's folder by its words.
fn inner_path(text: &str) -> Result<PathBuf, String> {
    let is_inner = !text.is_empty()
        && !text.contains(['\\', '\0'])
        && Path::new(text).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    match is_inner {
        true => Ok(PathBuf::from(text)),
        false => Err(format!("`{text}` is not in the guest's folder; write a path below it, without `..`")),
    }
}

#[cfg(test)]
mod tests;
