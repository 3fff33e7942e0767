//! A NATS server of the test, on a loopback address, which ends with the test.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser as _;
use guest_serve_nats::connect::{Nats, NatsOptions, StreamOptions, Streams};
use guest_serve_nats::names::Prefix;
use tempfile::TempDir;

/// How long anything may take where others have much to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Sizes of streams that have room on any disk.
pub(crate) const SIZES: [&str; 4] = ["--events-size", "64MiB", "--outputs-size", "64MiB"];

/// The variable that names the program.
const VARIABLE: &str = "NATS_SERVER";

/// The program: the one of the variable, the one that `cargo xtask test` has installed, or the first on the path.
fn program() -> PathBuf {
    if let Some(named) = std::env::var_os(VARIABLE) {
        return named.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/nats/bin");
    let name = format!("nats-server{}", std::env::consts::EXE_SUFFIX);
    let mut folders = [installed].into_iter().chain(std::env::split_paths(&path));
    folders.find_map(|folder| Some(folder.join(&name)).filter(|program| program.is_file())).unwrap_or_else(|| {
        panic!(
            "there is no nats-server: run `cargo xtask test --only tests`, which installs it, or name one in {VARIABLE}"
        )
    })
}

/// A server, and its files.
pub(crate) struct Server {
    child: Option<Child>,
    files: TempDir,
    port: u16,
    /// More of its configuration.
    config: &'static str,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// Starts one with more of a configuration.
    pub(crate) fn start_with(config: &'static str) -> Self {
        // The port has to be the same when it comes back.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { child: None, files: tempfile::tempdir().unwrap(), port, config };
        server.begin();
        server
    }

    /// Starts it on its files.
    pub(crate) fn begin(&mut self) {
        let port = self.port.to_string();
        let mut command = Command::new(program());
        let config = self.files.path().join("config");
        // Without it, the server takes less where little of the disk is free.
        let folder = self.files.path().display();
        let jetstream = format!("jetstream {{ store_dir: \"{folder}\", max_file_store: 2GB }}\n");
        fs::write(&config, jetstream + self.config).unwrap();
        command.args(["-a", "127.0.0.1", "-p", &port, "-c"]).arg(config);
        let log = self.files.path().join("log");
        command.arg("-l").arg(&log).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().unwrap());
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            self.assert_runs(&log);
            assert!(Instant::now() < until, "it does not listen: {:?}", fs::read_to_string(&log));
            thread::sleep(Duration::from_millis(10));
        }
        // Something else may have taken the port meanwhile, and listen there.
        self.assert_runs(&log);
    }

    fn assert_runs(&mut self, log: &Path) {
        let ended = self.child.as_mut().unwrap().try_wait().unwrap();
        assert!(ended.is_none(), "it has ended: {ended:?}, {:?}", fs::read_to_string(log));
    }

    /// Ends it at once, as if the machine had lost it.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Sends it a signal.
    #[cfg(unix)]
    pub(crate) fn signal(&self, name: &str) {
        crate::process::signal(self.child.as_ref().unwrap().id(), name);
    }

    /// Bytes of memory that it takes.
    #[allow(dead_code, reason = "the benchmark asks")]
    pub(crate) fn resident_bytes(&self) -> u64 {
        if !cfg!(target_os = "linux") {
            return 0;
        }
        let status = format!("/proc/{}/status", self.child.as_ref().unwrap().id());
        let status = fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// A connection to it, and the streams.
    pub(crate) async fn connect(&self, partitions: u32) -> (Nats, Streams) {
        self.connect_as("serve".parse().unwrap(), partitions).await
    }

    pub(crate) async fn connect_as(&self, prefix: Prefix, partitions: u32) -> (Nats, Streams) {
        self.connect_with(prefix, partitions, &[]).await
    }

    /// A connection to it, and the streams, which are made with these options.
    pub(crate) async fn connect_with(&self, prefix: Prefix, partitions: u32, more: &[&str]) -> (Nats, Streams) {
        #[derive(clap::Parser)]
        struct Options {
            #[command(flatten)]
            nats: NatsOptions,
            #[command(flatten)]
            streams: StreamOptions,
        }
        let partitions = partitions.to_string();
        let words = ["test", "--nats", &self.url(), "--partitions", &partitions];
        let mut options = Options::parse_from(words.into_iter().chain(SIZES).chain(more.iter().copied()));
        options.nats.prefix = prefix;
        let nats = Nats::connect(&options.nats, "test").await.unwrap();
        let streams = nats.streams(&options.streams).await.unwrap();
        (nats, streams)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
