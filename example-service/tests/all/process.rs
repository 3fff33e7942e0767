//! The service as a process, which ends with the test.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::client::{Response, request};
use crate::guest::ledger;

/// Longer than anything that a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with the guest and, later, the store.
pub(crate) struct Home {
    folder: TempDir,
    /// Processes that were started, so that each writes into files of its own.
    started: AtomicUsize,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ledger.wasm"), ledger()).unwrap();
        Self { folder, started: AtomicUsize::new(0) }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn guest(&self) -> PathBuf {
        self.folder.path().join("ledger.wasm")
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("records.redb")
    }

    /// Starts the service on its store, with these options besides.
    pub(crate) fn start(&self, options: &[&str]) -> Service {
        self.start_guest(&self.guest(), options)
    }

    /// Starts the service with another guest.
    pub(crate) fn start_guest(&self, guest: &Path, options: &[&str]) -> Service {
        Service::new(self.spawn(guest, &self.store(), options))
    }

    /// Starts the program with these files, on a free port if the options say nothing else.
    pub(crate) fn spawn(&self, guest: &Path, store: &Path, options: &[&str]) -> Process {
        self.spawn_by(Command::new(PROGRAM), guest, store, options)
    }

    /// Starts the service on its store, with files of at most this many blocks of 512 bytes, as if the disk were full then.
    #[cfg(unix)]
    pub(crate) fn start_on_small_disk(&self, blocks: u32) -> Service {
        let mut shell = Command::new("sh");
        // A file that would become too large is an error of the write then, and no signal.
        shell.args(["-c", "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\"", &blocks.to_string(), PROGRAM]);
        Service::new(self.spawn_by(shell, &self.guest(), &self.store(), &[]))
    }

    fn spawn_by(&self, mut command: Command, guest: &Path, store: &Path, options: &[&str]) -> Process {
        let number = self.started.fetch_add(1, SeqCst);
        let file = |name: &str| self.folder.path().join(format!("{name}-{number}"));
        let (stdout, stderr) = (file("stdout"), file("stderr"));
        let child = command
            .args(["--listen", "127.0.0.1:0", "--guest"])
            .arg(guest)
            .arg("--store")
            .arg(store)
            .args(options)
            .stdin(Stdio::null())
            .stdout(File::create(&stdout).unwrap())
            .stderr(File::create(&stderr).unwrap())
            .spawn()
            .unwrap();
        Process { child, stdout, stderr }
    }
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_example-service");

/// A process of the program. It is killed when this is dropped, also by a test that panics.
pub(crate) struct Process {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Its standard output so far.
    pub(crate) fn stdout(&self) -> String {
        fs::read_to_string(&self.stdout).unwrap()
    }

    /// Its standard error so far.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap()
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait().unwrap() {
                Some(status) => return status,
                None => assert!(Instant::now() < until, "it did not end: {:?}, {:?}", self.stdout(), self.stderr()),
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Its process id.
    #[cfg(unix)]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it at once.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends it a signal, such as `TERM`.
    #[cfg(unix)]
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running service.
pub(crate) struct Service {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Service {
    /// Waits until the process listens.
    fn new(mut process: Process) -> Self {
        let until = Instant::now() + PATIENCE;
        loop {
            // Read after it ended, if it did: so nothing that it wrote is missed.
            let ended = process.child.try_wait().unwrap();
            let stdout = process.stdout();
            if let Some(address) = stdout.strip_prefix("listening on http://").and_then(|rest| rest.strip_suffix('\n'))
            {
                let address = address.parse().unwrap();
                return Self { process, address };
            }
            assert!(
                ended.is_none() && Instant::now() < until,
                "the service did not start: {stdout:?}, {:?}",
                process.stderr()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        request(self.address, "GET", path, "").unwrap()
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Response {
        request(self.address, "POST", path, body).unwrap()
    }

    pub(crate) fn put(&self, path: &str) -> Response {
        request(self.address, "PUT", path, "").unwrap()
    }

    /// Makes tenants.
    pub(crate) fn with_tenants(self, tenants: &[&str]) -> Self {
        for tenant in tenants {
            assert_eq!(self.put(&format!("/tenants/{tenant}")).status, 200);
        }
        self
    }

    /// Waits until a metric has this value.
    pub(crate) fn wait_for(&self, metric: &str, value: u64) {
        let wanted = format!("{metric} {value}");
        let until = Instant::now() + PATIENCE;
        while !self.get("/metrics").body.lines().any(|line| line == wanted) {
            assert!(Instant::now() < until, "{wanted} did not come");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until nobody listens any more.
    #[cfg(unix)]
    pub(crate) fn wait_until_closed(&self) {
        let until = Instant::now() + PATIENCE;
        while request(self.address, "GET", "/health", "").is_ok() {
            assert!(Instant::now() < until, "it goes on listening");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the end, and returns how it was and what standard error has.
    #[cfg(unix)]
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let status = self.process.wait();
        (status, self.process.stderr())
    }
}
