//! Requests in a second that leave a record each: with responses that wait for the disk, and with responses that do not.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::thread;

use clap::Parser;
use guest_host::Engine;
use guest_serve::deployment::{Deployment, Loader};
use guest_serve::folder::GuestFolder;
use guest_serve::monitor::Monitor;
use guest_serve::programs::{ProgramOptions, Programs};
use guest_serve::rate::Rate;
use guest_serve::registry::Registry;
use guest_serve::server::threads::{ThreadOptions, Threads};
use tempfile::TempDir;

use crate::counters::{counter_routes, counters};
use crate::load::{Load, Turn};
use crate::{TURN, TURNS, median};

/// Connections at the same time.
const CONNECTIONS: usize = 256;

/// The guests: with responses that wait for the disk, and with responses that do not.
const GUESTS: [(&str, bool); 2] = [("slow", true), ("fast", false)];

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    threads: ThreadOptions,
    #[command(flatten)]
    programs: ProgramOptions,
}

struct Server {
    address: SocketAddr,
    _threads: Threads,
    _programs: Programs,
    _folder: TempDir,
}

impl Server {
    fn start(cores: usize) -> Self {
        let threads = format!("--threads={cores}");
        let Options { threads, programs } = Options::parse_from(["bench", threads.as_str()]);
        // Beside the code, and not where files may be in memory.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let (registry, monitor) = (Registry::default(), Monitor::default());
        let loader = Loader::new(Engine::new(&threads.engine()).expect("an engine"), monitor.clone());
        let wasm = wat::parse_str(counters()).expect("a module");
        for (name, durable) in GUESTS {
            let guest = folder.path().join(name);
            fs::create_dir(&guest).expect("a new folder");
            let routes = counter_routes();
            let config = format!("{routes}[limits]\ncalls_per_second = 1000000\n[records]\ndurable = {durable}\n");
            fs::write(guest.join("guest.toml"), config).expect("a new file");
            fs::write(guest.join(format!("{name}.wasm")), &wasm).expect("a new file");
        }
        let guests = GuestFolder::open(folder.path()).expect("the folder was made");
        for (name, _) in GUESTS {
            let secrets = guests.secrets().expect("there are none");
            let files = guests.read(&name.parse().expect("a name"), &secrets).expect("the files were written");
            let deployment = Deployment::load(&loader, files).expect("the guest is good");
            registry.replace(deployment).expect("its mount is free");
        }
        let rate = Rate::new(CONNECTIONS * 4);
        let programs = Programs::start(folder.path(), &registry, &monitor, rate.clone(), &threads.common(), &programs);
        let programs = programs.expect("the folder is new");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let served = Threads::start_beside(listener, &registry, rate, Some(programs.entrance()), &threads);
        Self { address, _threads: served.expect("threads"), _programs: programs, _folder: folder }
    }
}

/// Prints a table of how many requests are answered.
pub(crate) fn rates(cores: usize) {
    let server = Server::start(cores);
    println!("\n{CONNECTIONS} connections, a record of each request");
    println!("{:<44}{:>12}{:>12}{:>9}", "", "durable/s", "not/s", "ratio");
    let loads = [
        ("of a tenant for each connection", ["/slow/keep/{client}", "/fast/keep/{client}"]),
        ("of one tenant", ["/slow/keep/one", "/fast/keep/one"]),
    ];
    for (name, paths) in loads {
        let measure = |path: &'static str| {
            let load = Load::new(path, "null").with_body("{\"Amount\": 400, \"Article\": \"ink\"}");
            let turn = Turn::begin(server.address, load, cores, CONNECTIONS);
            thread::sleep(TURN);
            turn.end().requests / TURN.as_secs_f64()
        };
        // Instances are made.
        for path in paths {
            measure(path);
        }
        let turns: Vec<[f64; 2]> = (0..TURNS).map(|_| paths.map(measure)).collect();
        let (durable, not) = (turns.iter().map(|turn| turn[0]), turns.iter().map(|turn| turn[1]));
        let ratio = turns.iter().map(|turn| turn[0] / turn[1]);
        println!("{name:<44}{:>12.0}{:>12.0}{:>9.3}", median(durable), median(not), median(ratio));
    }
}
