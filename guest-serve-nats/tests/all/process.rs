//! Processes of the program, which end with the test.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::nats::{PATIENCE, SIZES};

/// The program.
const PROGRAM: &str = env!("CARGO_BIN_EXE_host-harness-serve-nats");

/// A process that serves. It is killed when this is dropped, also by a test that panics.
pub(crate) struct Process {
    child: Child,
    /// Its own folder, and its output.
    own: TempDir,
}

impl Process {
    /// Starts it on a folder, and waits until it serves.
    pub(crate) fn start(folder: &Path, url: &str, options: &[&str]) -> Self {
        let mut process = Self::begin(folder, url, options);
        let until = Instant::now() + PATIENCE;
        while !process.read("stdout").contains("serving ") {
            let ended = process.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < until, "it did not start: {}", process.stderr());
            thread::sleep(Duration::from_millis(5));
        }
        process
    }

    /// Starts it on a folder.
    pub(crate) fn begin(folder: &Path, url: &str, options: &[&str]) -> Self {
        let own = tempfile::tempdir().unwrap();
        let file = |name: &str| File::create(own.path().join(name)).unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg(folder).args(["--nats", url, "--own"]).arg(own.path().join("own"));
        command.args(["--program-threads", "1", "--lease", "1500ms"]).args(SIZES).args(options);
        let child = command.stdin(Stdio::null()).stdout(file("stdout")).stderr(file("stderr")).spawn().unwrap();
        Self { child, own }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.own.path().join(name)).unwrap()
    }

    /// Its standard output so far.
    pub(crate) fn stdout(&self) -> String {
        self.read("stdout")
    }

    /// Its standard error so far.
    pub(crate) fn stderr(&self) -> String {
        self.read("stderr")
    }

    /// Waits until its standard error has this text.
    pub(crate) fn wait_for_stderr(&self, text: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.stderr().contains(text) {
            assert!(Instant::now() < until, "{text} does not come: {}", self.stderr());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Its id as a member, once it is one.
    pub(crate) fn member(&self) -> String {
        self.wait_for_stderr("member ");
        let stderr = self.stderr();
        let (_, behind) = stderr.rsplit_once("\nmember ").unwrap();
        behind.split_whitespace().next().unwrap().to_owned()
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait().unwrap() {
                Some(status) => return status,
                None => assert!(Instant::now() < until, "it did not end: {}", self.stderr()),
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends it a signal.
    #[cfg(unix)]
    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops it in order.
    #[cfg(unix)]
    pub(crate) fn stop(&mut self) {
        self.signal("TERM");
        let status = self.wait();
        assert!(status.success(), "{status}: {}", self.stderr());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the program to its end.
pub(crate) fn run(words: &[&str]) -> Output {
    Command::new(PROGRAM).args(words).stdin(Stdio::null()).output().unwrap()
}

/// Sends a process of the test a signal.
#[cfg(unix)]
pub(crate) fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status().unwrap();
    assert!(sent.success());
}
