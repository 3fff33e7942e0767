//! A server of the test's own process, on a loopback address, which ends with the test.

use std::fs;
use std::net::{SocketAddr, TcpListener};

use clap::Parser;
use guest_host::Engine;
use guest_serve::deployment::{Deployment, Loader};
use guest_serve::folder::GuestFolder;
use guest_serve::monitor::{Counts, Monitor, Writer};
use guest_serve::registry::Registry;
use guest_serve::server::threads::{ThreadOptions, Threads};

use crate::client::{Client, Response};
use crate::guests::Guests;

/// A server and its guests.
pub(crate) struct Server {
    pub(crate) guests: Guests,
    pub(crate) address: SocketAddr,
    pub(crate) threads: Option<Threads>,
    registry: Registry,
    loader: Loader,
    monitor: Monitor,
    writer: Writer,
}

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    threads: ThreadOptions,
}

impl Server {
    /// A server without guests. There are two threads of either kind if the options say nothing else.
    pub(crate) fn start(options: &[&str]) -> Self {
        // Threads, and clients beside them, may wait long for a processor where others have much to do.
        let own = ["test", "--threads=2", "--slow-threads=2", "--wait=50s", "--head-time=50s"];
        let given = |option: &&str| !options.iter().any(|other| other.split('=').next() == option.split('=').next());
        let words = own.into_iter().filter(given).chain(options.iter().copied());
        let options = Options::try_parse_from(words).unwrap().threads;
        let registry = Registry::default();
        let guests = Guests::new();
        let (monitor, writer) = Monitor::start(guests.path(), 1 << 20).unwrap();
        let loader = Loader::new(Engine::new(&options.engine()).unwrap(), monitor.clone());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let threads = Threads::start(listener, &registry, &options).unwrap();
        Self { guests, address, threads: Some(threads), registry, loader, monitor, writer }
    }

    /// Deploys a guest, in the place of the one of its name.
    pub(crate) fn deploy(&self, name: &str, config: &str, wat: &str) {
        self.guests.put(name, config, wat);
        let folder = GuestFolder::open(self.guests.path()).unwrap();
        let files = folder.read(&name.parse().unwrap(), &folder.secrets().unwrap()).unwrap();
        self.registry.replace(Deployment::load(&self.loader, files).unwrap()).unwrap();
    }

    /// Serves a guest no longer.
    pub(crate) fn remove(&self, name: &str) {
        assert!(self.registry.remove(&name.parse().unwrap()).is_some());
    }

    /// A server with one guest.
    pub(crate) fn with(name: &str, config: &str, wat: &str) -> Self {
        let server = Self::start(&[]);
        server.deploy(name, config, wat);
        server
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// One request on a connection of its own.
    pub(crate) fn post(&self, path: &str, body: &str) -> Response {
        self.client().post(path, body)
    }

    /// What was counted of a guest.
    pub(crate) fn counts(&self, name: &str) -> Counts {
        self.monitor.guest(&name.parse().unwrap()).counts()
    }

    /// The message of the last error of a guest's calls.
    pub(crate) fn last_error(&self, name: &str) -> Option<String> {
        self.monitor.guest(&name.parse().unwrap()).last_error().map(|error| error.message)
    }

    /// Why a guest that was written into the folder cannot be deployed.
    pub(crate) fn load_error(&self, name: &str) -> String {
        let folder = GuestFolder::open(self.guests.path()).unwrap();
        let files = folder.read(&name.parse().unwrap(), &folder.secrets().unwrap());
        files.and_then(|files| Deployment::load(&self.loader, files)).unwrap_err().to_string()
    }

    /// Ends the server, and returns the log of a guest.
    pub(crate) fn end(self, name: &str) -> String {
        drop(self.threads);
        self.writer.close();
        fs::read_to_string(Writer::log(self.guests.path(), &name.parse().unwrap())).unwrap_or_default()
    }
}
