//! A scheduler and executors as processes on loopback, which end with the test that started them.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::error::Result;
use datafusion::prelude::{CsvReadOptions, SessionConfig, SessionContext};
use guest_ballista::guest_datafusion::guest_functions::ModuleConfig;
use guest_ballista::guest_datafusion::register_module;
use guest_ballista::object_store::local::LocalFileSystem;
use guest_ballista::{ModuleStore, RemoteSession};
use tempfile::TempDir;

/// Longer than anything here takes, so that what hangs fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A guest that `cargo xtask guests` built.
pub(crate) fn built(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../target/guests/{name}.wasm"));
    fs::read(&path)
        .unwrap_or_else(|_| panic!("the guest {} is missing: run `cargo xtask guests` first", path.display()))
}

/// Waits until `is` is. Fails after [`PATIENCE`].
pub(crate) fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < PATIENCE, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A program that runs. It is killed when it is dropped, also by a test that fails.
pub(crate) struct Process {
    child: Child,
    /// The first line that it printed.
    said: String,
    log: Arc<Mutex<String>>,
}

impl Process {
    fn start(mut command: Command) -> Self {
        command.args(["--log", "info"]).stdin(Stdio::null());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut process = Self { child, said: String::new(), log: Arc::default() };
        let (errors, log) = (process.child.stderr.take().unwrap(), Arc::clone(&process.log));
        std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(std::result::Result::ok) {
                let mut log = log.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        BufReader::new(process.child.stdout.take().unwrap()).read_line(&mut process.said).unwrap();
        assert!(!process.said.is_empty(), "{command:?} said nothing:\n{}", process.log());
        process
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Forgets what it logged until now.
    pub(crate) fn clear_log(&self) {
        self.log.lock().unwrap().clear();
    }

    /// The port that it named after `word`.
    fn port(&self, word: &str) -> u16 {
        let (_, rest) = self.said.split_once(&format!("{word} 127.0.0.1:")).unwrap();
        rest.split(|character: char| !character.is_ascii_digit()).next().unwrap().parse().unwrap()
    }

    /// How many modules it has compiled.
    pub(crate) fn compiled(&self) -> usize {
        self.log().matches("compiled the module").count()
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, and waits until it did.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(asked.success());
        let mut status = None;
        wait_until("the end of a process", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}{}", self.said, self.log());
        }
    }
}

/// The executor, as a command.
pub(crate) fn executor() -> Command {
    Command::new(env!("CARGO_BIN_EXE_guest-ballista-executor"))
}

/// The scheduler, as a command. It belongs to another package, whose programs a build of the workspace puts beside ours.
pub(crate) fn scheduler() -> Command {
    let path = Path::new(env!("CARGO_BIN_EXE_guest-ballista-executor"))
        .with_file_name(format!("guest-ballista-scheduler{}", std::env::consts::EXE_SUFFIX));
    assert!(path.is_file(), "{} is missing: test with --workspace, or build guest-ballista-plan", path.display());
    Command::new(path)
}

/// A scheduler, executors and files.
pub(crate) struct Cluster {
    pub(crate) executors: Vec<Process>,
    pub(crate) scheduler: Process,
    folder: TempDir,
    modules: TempDir,
}

impl Cluster {
    /// With so many executors of two tasks each, to which `options` are given.
    pub(crate) fn start(executors: usize, options: &[&str]) -> Self {
        let (folder, modules) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut command = scheduler();
        command.args(["--port", "0", "--executor-timeout", "6"]);
        let scheduler = Process::start(command);
        let mut cluster = Self { executors: Vec::new(), scheduler, folder, modules };
        for _ in 0..executors {
            cluster.start_executor(options);
        }
        cluster
    }

    fn start_executor(&mut self, options: &[&str]) {
        let mut command = executor();
        command.args(["--port", "0", "--grpc-port", "0", "--tasks", "2", "--heartbeat", "1"]);
        command.args(["--scheduler-port", &self.scheduler.port("on").to_string()]);
        command.arg("--modules").arg(self.modules()).args(options);
        let process = Process::start(command);
        // It accepts connections once it is registered.
        wait_until("an executor", || TcpStream::connect(("127.0.0.1", process.port("results at"))).is_ok());
        self.executors.push(process);
    }

    /// The folder of the object store.
    pub(crate) fn modules(&self) -> &Path {
        self.modules.path()
    }

    /// The scheduler's address.
    pub(crate) fn url(&self) -> String {
        format!("df://127.0.0.1:{}", self.scheduler.port("on"))
    }

    /// A session that knows the table `t`. Modules of more bytes than `inline_limit` go to the object store.
    pub(crate) async fn connect(&self, inline_limit: usize) -> RemoteSession {
        let objects = LocalFileSystem::new_with_prefix(self.modules()).unwrap();
        let store = ModuleStore::default().with_object_store(Arc::new(objects)).with_inline_limit(inline_limit);
        let session = RemoteSession::connect(&self.url(), config(), store).await.unwrap();
        self.register_table(session.context()).await;
        session
    }

    /// A session of this process that knows the table `t`.
    pub(crate) async fn single_node(&self) -> SessionContext {
        let context = SessionContext::new_with_config(config());
        self.register_table(&context).await;
        context
    }

    pub(crate) async fn register_table(&self, context: &SessionContext) {
        let table = self.folder.path().join("table");
        if !table.exists() {
            fs::create_dir(&table).unwrap();
            for file in 0..8 {
                let rows: String = (0..250).map(|row| row_of(file * 250 + row)).collect();
                fs::write(table.join(format!("{file}.csv")), format!("id,a,b\n{rows}")).unwrap();
            }
        }
        context.register_csv("t", table.to_str().unwrap(), CsvReadOptions::new()).await.unwrap();
    }
}

fn row_of(id: u32) -> String {
    let text = |seed: u32| {
        let letter =
            |at: u32| char::from(b'a' + u8::try_from(seed.wrapping_mul(2_654_435_761) >> (4 * at) & 3).unwrap());
        (0..3 + seed % 4).map(letter).collect::<String>()
    };
    // Every seventh has no second text.
    let other = if id.is_multiple_of(7) { String::new() } else { text(id + 1) };
    format!("{id},{},{other}\n", text(id))
}

fn config() -> SessionConfig {
    SessionConfig::new().with_target_partitions(4)
}

/// Runs a query, which has to come to an end.
pub(crate) async fn run(context: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>> {
    let query = async { context.sql(sql).await?.collect().await };
    tokio::time::timeout(PATIENCE, query).await.unwrap_or_else(|_| panic!("{sql} did not end"))
}

/// Results as text.
pub(crate) fn text(batches: &[RecordBatch]) -> String {
    pretty_format_batches(batches).unwrap().to_string()
}

/// Compares the results of queries with those of one node, and returns how often each executor compiled.
pub(crate) async fn compare(cluster: &Cluster, inline_limit: usize, queries: &[&str]) -> Vec<usize> {
    let wasm = built("functions-leaking");
    let single = cluster.single_node().await;
    register_module(&single, "functions", &wasm, ModuleConfig::default()).unwrap();
    let remote = cluster.connect(inline_limit).await;
    remote.register_module("functions", &wasm, ModuleConfig::default()).await.unwrap();
    for sql in queries {
        let expected = text(&run(&single, sql).await.unwrap());
        let found = run(remote.context(), sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(text(&found), expected, "{sql}");
        assert!(expected.lines().count() > 4, "{sql} has no rows");
    }
    cluster.executors.iter().map(|executor| executor.compiled()).collect()
}
