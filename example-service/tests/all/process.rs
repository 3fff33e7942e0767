//! The service as a process, which ends with the test.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::client::{Response, request};
use crate::guest::ledger;

/// A folder with the guest and, later, the store.
pub(crate) struct Home {
    folder: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ledger.wasm"), ledger()).unwrap();
        Self { folder }
    }

    pub(crate) fn guest(&self) -> PathBuf {
        self.folder.path().join("ledger.wasm")
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("records.redb")
    }

    /// Starts the service on its store, with these options besides.
    pub(crate) fn start(&self, options: &[&str]) -> Service {
        Service::start(&self.guest(), &self.store(), options)
    }

    /// The command that starts the service.
    pub(crate) fn command(guest: &Path, store: &Path, options: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_example-service"));
        command.args(["--listen", "127.0.0.1:0", "--guest"]).arg(guest).arg("--store").arg(store).args(options);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// A running service. It is killed when this is dropped.
pub(crate) struct Service {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Service {
    fn start(guest: &Path, store: &Path, options: &[&str]) -> Self {
        let mut child = Home::command(guest, store, options).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").and_then(|address| address.parse().ok());
        match address {
            Some(address) => Self { child, address },
            None => {
                let mut error = String::new();
                let _ = child.stderr.take().unwrap().read_to_string(&mut error);
                let _ = child.wait();
                panic!("the service did not start: {line:?}, {error:?}");
            }
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
        let until = Instant::now() + Duration::from_secs(60);
        while !self.get("/metrics").body.lines().any(|line| line == wanted) {
            assert!(Instant::now() < until, "{wanted} did not come");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills the process at once.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Tells the process to stop.
    #[cfg(unix)]
    pub(crate) fn terminate(&self) {
        let killed = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
    }

    /// Waits for the end, and returns how it was and what standard error has.
    #[cfg(unix)]
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let mut error = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
        (self.child.wait().unwrap(), error)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
