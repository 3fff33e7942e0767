//! The server as a process, which ends with the test.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::client::{Client, PATIENCE, Response};

/// The program.
const PROGRAM: &str = env!("CARGO_BIN_EXE_host-harness-serve");

/// A process of the program. It is killed when this is dropped, also by a test that panics.
pub(crate) struct Process {
    child: Child,
    /// Where its output goes.
    output: TempDir,
}

impl Process {
    /// Starts it on a folder, with these options besides. Its ports are free ones.
    pub(crate) fn start(folder: &Path, options: &[&str]) -> Self {
        let free = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        Self::with(Command::new(PROGRAM).arg(folder).args(free).args(options))
    }

    /// The same; a file that cannot grow any more is an error of its writer, and does not end the process.
    #[cfg(target_os = "linux")]
    pub(crate) fn start_with_bounded_files(folder: &Path, options: &[&str]) -> Self {
        let free = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let script = "trap '' XFSZ; exec \"$0\" \"$@\"";
        Self::with(Command::new("sh").args(["-c", script, PROGRAM]).arg(folder).args(free).args(options))
    }

    /// Bounds the bytes of each file that it writes from now on; `None` for no bound.
    #[cfg(target_os = "linux")]
    pub(crate) fn bound_files(&self, bytes: Option<u64>) {
        use rustix::process::{Pid, Resource, Rlimit, prlimit};
        let limit = Rlimit { current: bytes, maximum: None };
        prlimit(Pid::from_raw(self.child.id().cast_signed()), Resource::Fsize, limit).unwrap();
    }

    /// Starts it with these words alone.
    pub(crate) fn with_words(words: &[&str]) -> Self {
        Self::with(Command::new(PROGRAM).args(words))
    }

    fn with(command: &mut Command) -> Self {
        let output = tempfile::tempdir().unwrap();
        let file = |name: &str| File::create(output.path().join(name)).unwrap();
        let child = command.stdin(Stdio::null()).stdout(file("stdout")).stderr(file("stderr")).spawn().unwrap();
        Self { child, output }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.output.path().join(name)).unwrap()
    }

    /// Its number.
    #[cfg(unix)]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard output so far.
    pub(crate) fn stdout(&self) -> String {
        self.read("stdout")
    }

    /// Its standard error so far.
    pub(crate) fn stderr(&self) -> String {
        self.read("stderr")
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

    /// Waits for its end, and returns its status and standard error.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        (self.wait().code(), self.stderr())
    }

    /// Waits until its standard error has this text.
    pub(crate) fn wait_for_stderr(&self, text: &str) {
        self.wait_for_output("stderr", text);
    }

    /// Waits until its standard output has this text.
    pub(crate) fn wait_for_stdout(&self, text: &str) {
        self.wait_for_output("stdout", text);
    }

    fn wait_for_output(&self, name: &str, text: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.read(name).contains(text) {
            assert!(Instant::now() < until, "{text} does not come: {:?}", self.read(name));
            thread::sleep(Duration::from_millis(5));
        }
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

/// A request that is put together.
pub(crate) struct Request<'a> {
    method: &'a str,
    path: &'a str,
    headers: String,
    body: &'a [u8],
}

impl<'a> Request<'a> {
    pub(crate) fn new(method: &'a str, path: &'a str) -> Self {
        Self { method, path, headers: "Connection: close\r\n".to_owned(), body: b"" }
    }

    pub(crate) fn header(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.headers += &format!("{name}: {value}\r\n");
        self
    }

    pub(crate) fn body(self, body: &'a [u8]) -> Self {
        Self { body, ..self }
    }

    /// Sends it on a connection of its own, and reads the response.
    pub(crate) fn ask(&self, address: SocketAddr) -> Response {
        self.send(address).receive().unwrap()
    }

    /// Sends it, without waiting for the response.
    pub(crate) fn send(&self, address: SocketAddr) -> Client {
        let mut client = Client::new(address);
        client.send(self.method, self.path, &self.headers, self.body);
        client
    }
}

/// A server that runs.
pub(crate) struct Server {
    pub(crate) process: Process,
    /// Where clients send requests.
    pub(crate) address: SocketAddr,
    /// Where the administration is.
    pub(crate) admin: SocketAddr,
    pub(crate) token: String,
}

impl Server {
    /// Starts the program on a folder, and waits until it listens.
    pub(crate) fn start(folder: &Path, options: &[&str]) -> Self {
        Self::started(Process::start(folder, options))
    }

    /// Waits until a process listens.
    pub(crate) fn started(mut process: Process) -> Self {
        let until = Instant::now() + PATIENCE;
        loop {
            // Read after it ended, if it did: so nothing that it wrote is missed.
            let ended = process.child.try_wait().unwrap();
            let stdout = process.stdout();
            if let [first, second] = stdout.lines().collect::<Vec<_>>().as_slice()
                && stdout.ends_with('\n')
            {
                let address = first.strip_prefix("serving on http://").unwrap().parse().unwrap();
                let (admin, token) = second.split_once(", token in ").unwrap();
                let admin = admin.strip_prefix("administration on http://").unwrap().parse().unwrap();
                let token = fs::read_to_string(PathBuf::from(token)).unwrap().trim().to_owned();
                return Self { process, address, admin, token };
            }
            assert!(ended.is_none() && Instant::now() < until, "it did not start: {stdout:?}, {:?}", process.stderr());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Stops it in order.
    #[cfg(unix)]
    pub(crate) fn stop(self) {
        self.process.signal("TERM");
        let (status, stderr) = self.process.end();
        assert_eq!(status, Some(0), "{stderr}");
    }

    /// A request to the administration, with the token.
    pub(crate) fn request<'a>(&self, method: &'a str, path: &'a str) -> Request<'a> {
        Request::new(method, path).header("Authorization", format!("Bearer {}", self.token))
    }

    /// Asks the administration.
    pub(crate) fn ask(&self, method: &str, path: &str) -> Response {
        self.request(method, path).ask(self.admin)
    }

    /// Puts a module.
    pub(crate) fn put_module(&self, name: &str, wasm: &[u8]) -> Response {
        let path = format!("/api/guests/{name}");
        self.request("PUT", &path).header("Content-Type", "application/wasm").body(wasm).ask(self.admin)
    }

    /// Puts a configuration.
    pub(crate) fn put_config(&self, name: &str, text: &str) -> Response {
        self.request("PUT", &format!("/api/guests/{name}/config")).body(text.as_bytes()).ask(self.admin)
    }

    /// Waits until a guest is as `holds` says.
    pub(crate) fn wait_for(&self, name: &str, holds: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let guest = self.ask("GET", &format!("/api/guests/{name}")).json();
            if holds(&guest) {
                return guest;
            }
            assert!(Instant::now() < until, "it does not become so: {guest}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until a guest's log has so many lines, and returns it.
    pub(crate) fn wait_for_log(&self, name: &str, lines: usize) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let log = self.ask("GET", &format!("/api/guests/{name}/logs")).text().to_owned();
            if log.lines().count() >= lines {
                return log;
            }
            assert!(Instant::now() < until, "they do not come: {log}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}
