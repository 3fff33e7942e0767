//! The life of the process: read the folder, listen, serve, watch, stop.

mod connections;
mod descriptors;
pub mod signals;
pub mod threads;
pub mod watching;

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use guest_host::text::{duration, size};
use guest_host::{CompileCache, Engine};
use tokio::sync::watch;

use crate::admin::{Admin, Connections, Token};
use crate::catalog::{Catalog, Look};
use crate::deployment::{Loader, ModuleBudget};
use crate::error::ServeError;
use crate::folder::GuestFolder;
use crate::monitor::Monitor;
use crate::programs::{ProgramOptions, Programs};
use crate::rate::Rate;
use crate::registry::Registry;
use signals::Signals;
use threads::{ThreadOptions, Threads};
use watching::Watching;

/// Compiled code, in the server's own folder.
const CODE: &str = "code";

/// Copies of modules, in the server's own folder.
const MODULES: &str = "modules";

/// The file that is locked while a server serves the folder.
const LOCK: &str = "lock";

/// The token, in the server's own folder.
pub const TOKEN: &str = "token";

/// The folder that is served, and how.
#[derive(Debug, Clone, clap::Args)]
#[non_exhaustive]
pub struct Options {
    /// The folder of the guests. One that is called `logs` or `forget` is written ./logs or ./forget.
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
    /// Address and port for requests. Port 0 takes a free one; standard output says which.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Address and port of the administration.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    pub admin: SocketAddr,
    /// The file with the token of the administration. It is made if it does not exist [default: FOLDER/.serve/token]
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Bytes of the log that is kept of each guest, and of the events, at least 4KiB.
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = log_size)]
    pub log_size: u64,
    /// How long requests may go on after SIGTERM or Ctrl-C. A second signal ends them at once.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub shutdown_time: Duration,
    /// How requests are served.
    #[command(flatten)]
    pub threads: ThreadOptions,
    /// How programs are run.
    #[command(flatten)]
    pub programs: ProgramOptions,
}

/// Reads the size of a log.
///
/// # Errors
/// The fault, and what to write.
pub fn log_size(text: &str) -> Result<u64, String> {
    match size(text)? {
        0..4096 => Err(format!("`{text}` is too small for a log; give at least 4KiB")),
        size => Ok(size),
    }
}

/// How the server stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// No request was running.
    InOrder,
    /// Requests were running, for this reason.
    Forced(&'static str),
}

/// Serves until a signal stops the process.
///
/// # Errors
/// [`ServeError`] if the folder, the addresses or the token cannot be used, or the system lacks something. Errors of guests
/// keep nothing from being served.
pub fn run(options: &Options) -> Result<Stopped, ServeError> {
    let folder = GuestFolder::open(&options.folder)?;
    // Before anything is written, so that a server that cannot serve leaves nothing.
    let listener = listen(options.listen, "--listen")?;
    let admin = listen(options.admin, "--admin")?;
    let own = folder.own();
    make_private(&own)?;
    let _lock = lock(&own, folder.path())?;
    let token_file = options.token_file.clone().unwrap_or_else(|| own.join(TOKEN));
    let token = Token::of_file(&token_file)?;
    let code = CompileCache::Folder(own.join(CODE));
    let engine = Engine::new(&options.threads.engine().with_compile_cache(code))?;
    let (monitor, writer) = Monitor::start(&own, options.log_size)?;
    let registry = Registry::default();
    let budget = ModuleBudget::default().with_bytes(options.threads.module_memory);
    let loader = Loader::open(engine, monitor.clone(), budget, own.join(MODULES))?.with_slice(options.threads.slice);
    let catalog = Catalog::new(folder, loader, registry.clone(), monitor.clone());
    catalog.look(Look::AtOnce);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| ServeError::System { what: "start the administration", source })?;
    let addresses = [&listener, &admin].map(|listener| listener.local_addr());
    let connections = descriptors::room_for(options.threads.connections);
    let threads = ThreadOptions { connections, ..options.threads.clone() };
    let rate = Rate::new(threads.tenants as usize);
    let programs = Programs::start(&own, &registry, &monitor, rate.clone(), &threads.common(), &options.programs)?;
    let entrance = Some(programs.entrance());
    let threads = Threads::start_beside(listener, &registry, rate, entrance, &threads)?;
    let watching = Watching::start(&catalog)?;
    let [address, admin_address] =
        addresses.map(|address| address.map(|address| address.to_string()).unwrap_or_default());
    let text = format!(
        "serving on http://{address}\nadministration on http://{admin_address}, token in {}\n",
        token_file.display()
    );
    say(text.as_bytes())?;
    let stopped = runtime.block_on(serve(admin, catalog, token, threads, programs, options.shutdown_time));
    watching.stop();
    // A request that was given up may have a thread still.
    runtime.shutdown_background();
    writer.close();
    stopped
}

/// Serves the administration until a signal comes, and stops.
async fn serve(
    listener: TcpListener,
    catalog: Catalog,
    token: Token,
    threads: Threads,
    mut programs: Programs,
    shutdown_time: Duration,
) -> Result<Stopped, ServeError> {
    let system = |what| move |source| ServeError::System { what, source };
    let listener = listener.set_nonblocking(true).and_then(|()| tokio::net::TcpListener::from_std(listener));
    let listener = listener.map_err(system("start the administration"))?;
    let mut signals = Signals::new().map_err(system("wait for signals"))?;
    let (stop, stopping) = watch::channel(false);
    let admin = Admin::new(catalog, token, stopping).with_programs(programs.entrance());
    let connections = Connections::new(admin.router());
    tokio::select! {
        never = connections.take_all(listener) => match never {},
        () = signals.next() => {}
    }
    eprintln!("stopping: no new requests; those that run may end");
    stop.send_replace(true);
    threads.close();
    let waiting = tokio::task::spawn_blocking(move || {
        // Connections of programs are requests that run: those that are WebSockets.
        let begun = Instant::now();
        let hung_up = programs.hang_up(shutdown_time / 2);
        let ended = threads.wait(shutdown_time);
        // Requests that ran may have left records until now. Memory is kept in the rest of the time.
        let longest = (shutdown_time / 4 * 3).saturating_sub(begun.elapsed());
        programs.close(longest) && hung_up && ended
    });
    let end = async {
        let (ended, ()) = tokio::join!(waiting, connections.close());
        ended.unwrap_or(false)
    };
    let late = tokio::time::sleep(shutdown_time);
    let stopped = tokio::select! {
        // Where no request runs, a second signal changes nothing.
        biased;
        ended = end => match ended {
            true => Stopped::InOrder,
            false => Stopped::Forced("requests were still running when the time for stopping was over"),
        },
        () = late => Stopped::Forced("requests were still running when the time for stopping was over"),
        () = signals.next() => Stopped::Forced("requests were still running when a second signal came"),
    };
    if stopped == Stopped::InOrder {
        eprintln!("stopped");
    }
    Ok(stopped)
}

/// Listens on an address, which `option` names.
///
/// # Errors
/// [`ServeError::Listen`].
pub fn listen(address: SocketAddr, option: &'static str) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).map_err(|source| ServeError::Listen { address, option, source })
}

/// Makes a folder for this user alone: it has the token, and code that is run.
///
/// # Errors
/// [`ServeError::Io`].
pub fn make_private(path: &Path) -> Result<(), ServeError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(ServeError::io("make the folder", path))
}

/// Locks a folder that a server may have served, as [`lock`] does.
pub(crate) fn lock_existing(folder: &GuestFolder) -> Result<File, ServeError> {
    let own = folder.own();
    make_private(&own)?;
    lock(&own, folder.path())
}

/// Locks a server's own folder until the file is dropped: two servers would write into each other's logs. `folder` is what the
/// error calls it.
///
/// # Errors
/// [`ServeError::Served`] if another server has it, and [`ServeError::Io`].
pub fn lock(own: &Path, folder: &Path) -> Result<File, ServeError> {
    let path = &own.join(LOCK);
    let file = File::create(path).map_err(ServeError::io("write", path))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(ServeError::Served { folder: folder.to_owned() }),
        // Some file systems have no locks.
        Err(TryLockError::Error(_)) | Ok(()) => Ok(file),
    }
}

/// Writes to standard output at once.
///
/// # Errors
/// [`ServeError::System`] if nobody can read it.
pub fn say(text: &[u8]) -> Result<(), ServeError> {
    let mut stdout = io::stdout();
    let said = stdout.write_all(text).and_then(|()| stdout.flush());
    said.map_err(|source| ServeError::System { what: "write to standard output", source })
}
