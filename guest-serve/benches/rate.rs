//! Requests in a second, and processor time for each: with functions of guests whose instances are restored, with an
//! instance for each request, and without guests.
//!
//! All run in turns in one process, over 32 connections on the loopback address, each of which sends a request when it has
//! its response. Half of the cores serve, and half are clients. Figures are medians over the turns, and ratios are taken
//! within a turn, so that others on the machine change them little.
//!
//! ```console
//! $ cargo bench -p guest-serve --bench rate
//! ```
//!
//! The server without guests reads and writes the same JSON by the same code, and keeps no books about rates and calls.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use axum::body::Bytes;
use clap::Parser;
use guest_functions::wire::{Encoding, arguments, write};
use guest_functions::{Signature, Value};
use guest_host::{Engine, EngineConfig, InstanceAllocation};
use guest_serve::deployment::{Deployment, Loader};
use guest_serve::folder::GuestFolder;
use guest_serve::http::{Handler, response};
use guest_serve::monitor::Monitor;
use guest_serve::registry::Registry;
use guest_serve::server::threads::{ThreadOptions, Threads};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const CONNECTIONS: usize = 32;

const TURNS: usize = 7;

/// How long each turn of each server is.
const TURN: Duration = Duration::from_millis(700);

/// A function of numbers, and one that writes 16 KiB of a memory of 2 MiB.
const GUEST: &str = r#"(module
    (memory (export "memory") 32)
    (data (i32.const 4096) "some bytes that the module begins with")
    (func (export "gcd") (param i64 i64) (result i64) (local i64)
        (loop $again (if (i64.ne (local.get 1) (i64.const 0)) (then
            (local.set 2 (i64.rem_u (local.get 0) (local.get 1)))
            (local.set 0 (local.get 1)) (local.set 1 (local.get 2)) (br $again))))
        (local.get 0))
    (func (export "fill") (param i64 i64) (result i64) (local i32)
        (loop $again
            (i64.store (i32.add (i32.const 65536) (local.get 2)) (i64.add (local.get 0) (i64.extend_i32_u (local.get 2))))
            (local.set 2 (i32.add (local.get 2) (i32.const 8)))
            (br_if $again (i32.lt_u (local.get 2) (i32.const 16384))))
        (i64.add (i64.load (i32.const 65536)) (i64.load (i32.const 81912)))))"#;

const CONFIG: &str = r#"
    [[routes]]
    path = "/gcd"
    function = "gcd"
    [[routes]]
    path = "/fill"
    function = "fill"
    [limits]
    calls_per_second = 1000000
"#;

/// The same functions without a guest.
fn native(path: &str, arguments: &[Value]) -> Value {
    let [Value::I64(mut a), Value::I64(mut b)] = *arguments else { return Value::Null };
    match path {
        "/guest/gcd" => {
            while b != 0 {
                (a, b) = (b, a.cast_unsigned().wrapping_rem(b.cast_unsigned()).cast_signed());
            }
            Value::I64(a)
        }
        _ => {
            let numbers: Vec<i64> = (0..16_384).step_by(8).map(|at| a.wrapping_add(at)).collect();
            let numbers = std::hint::black_box(numbers);
            Value::I64(numbers[0].wrapping_add(numbers[numbers.len() - 1]))
        }
    }
}

/// Answers without a guest.
struct Native {
    signature: Signature,
}

impl Handler for Native {
    async fn respond(self: Rc<Self>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path().to_owned();
        let bytes = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        match arguments(Encoding::Json, &self.signature, &bytes) {
            Ok(arguments) => {
                let mut body = Vec::new();
                write(Encoding::Json, &native(&path, &arguments), &mut body);
                body.push(b'\n');
                response(StatusCode::OK, Encoding::Json.media_type(), body)
            }
            Err(error) => response(StatusCode::BAD_REQUEST, "text/plain", error.to_string().into_bytes()),
        }
    }
}

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    threads: ThreadOptions,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

struct Server {
    name: &'static str,
    address: SocketAddr,
    _threads: Threads,
}

fn serve(folder: &TempDir, cores: usize, name: &'static str, instances: usize, engine: Option<EngineConfig>) -> Server {
    let words = ["rate".to_owned(), format!("--threads={cores}"), format!("--instances={instances}")];
    let options = Options::parse_from(words).threads;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let loader = Loader::new(Engine::new(&engine.unwrap_or(options.engine())).expect("an engine"), Monitor::default());
    let folder = GuestFolder::open(folder.path()).expect("the folder was made");
    let files = folder.read(&"guest".parse().expect("a name"), &folder.secrets().expect("there are none"));
    let deployment = Deployment::load(&loader, files.expect("the files were written")).expect("the guest is good");
    let threads = if name == "without guests" {
        let signature = deployment.functions[0].signature().clone();
        Threads::start_with(listener, &options, move || Native { signature: signature.clone() })
    } else {
        let registry = Registry::default();
        registry.replace(deployment).expect("its mount is free");
        Threads::start(listener, &registry, &options)
    };
    Server { name, address, _threads: threads.expect("threads") }
}

/// What a turn of a server came to.
#[derive(Clone, Copy)]
struct Figures {
    /// Requests that were answered.
    requests: f64,
    /// Nanoseconds of processor time that each took of the threads that serve.
    time: f64,
}

fn measure(server: &Server, cores: usize, path: &'static str) -> Figures {
    let turn = Arc::new(Turn::default());
    let before = served_time();
    let clients: Vec<_> = (0..cores)
        .map(|_| {
            let (address, turn) = (server.address, Arc::clone(&turn));
            thread::spawn(move || clients(address, CONNECTIONS / cores, path, &turn))
        })
        .collect();
    thread::sleep(TURN);
    turn.is_over.store(true, Relaxed);
    clients.into_iter().for_each(|clients| clients.join().expect("the clients were answered"));
    let requests = turn.served.load(Relaxed).max(1) as f64;
    Figures { requests, time: (served_time() - before) as f64 / requests }
}

#[derive(Default)]
struct Turn {
    is_over: AtomicBool,
    served: AtomicU64,
}

fn clients(address: SocketAddr, count: usize, path: &'static str, turn: &Arc<Turn>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let local = tokio::task::LocalSet::new();
    let clients: Vec<_> = (0..count).map(|_| local.spawn_local(client(address, path, Arc::clone(turn)))).collect();
    runtime.block_on(local);
    clients.into_iter().for_each(|client| runtime.block_on(client).expect("it was answered"));
}

async fn client(address: SocketAddr, path: &str, turn: Arc<Turn>) {
    let body = "[1071, 462]";
    let request = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let expected = if path == "/guest/gcd" { "\r\n\r\n21\n" } else { "\r\n\r\n18518\n" };
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    stream.set_nodelay(true).expect("a connection");
    let mut response = [0; 1024];
    while !turn.is_over.load(Relaxed) {
        stream.write_all(request.as_bytes()).await.expect("the server reads");
        let mut length = 0;
        while !response[..length].ends_with(expected.as_bytes()) {
            let read = stream.read(&mut response[length..]).await.expect("the server answers");
            length += read;
            assert!(read > 0, "{}", String::from_utf8_lossy(&response[..length]));
        }
        turn.served.fetch_add(1, Relaxed);
    }
}

/// Nanoseconds that the threads that serve have run, where the system says so.
fn served_time() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let of = |task: fs::DirEntry| {
        let serves = fs::read_to_string(task.path().join("comm")).ok()?.starts_with("requests-");
        let times = fs::read_to_string(task.path().join("schedstat")).ok()?;
        times.split(' ').next()?.parse::<u64>().ok().filter(|_| serves)
    };
    tasks.filter_map(of).sum()
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let guest = folder.path().join("guest");
    fs::create_dir(&guest).expect("a new folder");
    fs::write(guest.join("guest.toml"), CONFIG).expect("a new file");
    fs::write(guest.join("guest.wasm"), wat::parse_str(GUEST).expect("a module")).expect("a new file");
    let cores = thread::available_parallelism().map_or(1, usize::from).div_ceil(2);
    let pooled = EngineConfig::default().with_allocation(InstanceAllocation::pooling(64));
    let servers = [
        serve(&folder, cores, "without guests", 0, None),
        serve(&folder, cores, "restored instances", 16, None),
        serve(&folder, cores, "an instance for each request, from a pool", 0, Some(pooled)),
        serve(&folder, cores, "an instance for each request, mapped", 0, None),
    ];
    println!("{cores} threads serve, {CONNECTIONS} connections, medians of {TURNS} turns of {TURN:?}");
    for path in ["/guest/gcd", "/guest/fill"] {
        // Instances are made, and connections were open.
        for server in &servers {
            measure(server, cores, path);
        }
        let turn = |_| servers.iter().map(|server| measure(server, cores, path)).collect::<Vec<_>>();
        let turns: Vec<Vec<Figures>> = (0..TURNS).map(turn).collect();
        println!("\n{path:<44}{:>12}{:>9}{:>14}{:>9}", "requests/s", "ratio", "us/request", "ratio");
        for (at, server) in servers.iter().enumerate() {
            let requests = turns.iter().map(|turn| turn[at].requests / TURN.as_secs_f64());
            let requests_ratio = turns.iter().map(|turn| turn[at].requests / turn[0].requests);
            let time = turns.iter().map(|turn| turn[at].time / 1000.0);
            let time_ratio = turns.iter().map(|turn| turn[at].time / turn[0].time);
            println!(
                "{:<44}{:>12.0}{:>9.3}{:>14.2}{:>9.3}",
                server.name,
                median(requests),
                median(requests_ratio),
                median(time),
                median(time_ratio),
            );
        }
    }
}
