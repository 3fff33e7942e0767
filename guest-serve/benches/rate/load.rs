//! Clients that send a request when they have the response to the last one.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::cores::Half;

/// Requests to a path, and the end of the line that their responses have.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    /// With the number of each client in the place of `{client}`.
    pub(crate) path: &'static str,
    body: &'static str,
    expected: &'static str,
}

impl Load {
    /// With two numbers as the body.
    pub(crate) fn new(path: &'static str, expected: &'static str) -> Self {
        Self { path, body: "[1071, 462]", expected }
    }

    pub(crate) fn with_body(self, body: &'static str) -> Self {
        Self { body, ..self }
    }
}

/// Clients under way.
pub(crate) struct Turn {
    is_over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<u64>>>,
    /// Time that the threads that serve had run.
    before: u64,
}

/// What a turn came to.
pub(crate) struct Figures {
    /// Requests that were answered.
    pub(crate) requests: f64,
    /// Nanoseconds of processor time that each took of the threads that serve.
    pub(crate) time: f64,
    /// Nanoseconds from each request to its response, in order of length.
    times: Vec<u64>,
}

impl Turn {
    /// Starts clients on so many threads, with so many connections in all.
    pub(crate) fn begin(address: SocketAddr, load: Load, threads: usize, connections: usize) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let before = served_time();
        let start = |number: usize| {
            let is_over = Arc::clone(&is_over);
            let count = connections / threads + usize::from(number < connections % threads);
            thread::spawn(move || {
                Half::Clients.enter();
                clients(address, number * connections, count, load, &is_over)
            })
        };
        let clients = (0..threads).map(start).collect();
        Self { is_over, clients, before }
    }

    /// Waits for the last responses.
    pub(crate) fn end(self) -> Figures {
        self.is_over.store(true, Relaxed);
        let mut times: Vec<u64> =
            self.clients.into_iter().flat_map(|clients| clients.join().expect("they were answered")).collect();
        times.sort_unstable();
        let requests = times.len().max(1) as f64;
        Figures { requests, time: (served_time() - self.before) as f64 / requests, times }
    }
}

impl Figures {
    /// A percentile of the requests' times, in microseconds.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        self.times.get(self.times.len().saturating_sub(1) * percent / 100).map_or(0.0, |time| *time as f64 / 1000.0)
    }
}

/// The clients of a thread. Returns how long each request took.
fn clients(address: SocketAddr, first: usize, count: usize, load: Load, is_over: &Arc<AtomicBool>) -> Vec<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let local = LocalSet::new();
    let start = |number| local.spawn_local(client(address, first + number, load, Arc::clone(is_over)));
    let clients: Vec<_> = (0..count).map(start).collect();
    runtime.block_on(local);
    clients.into_iter().flat_map(|client| runtime.block_on(client).expect("it was answered")).collect()
}

async fn client(address: SocketAddr, number: usize, load: Load, is_over: Arc<AtomicBool>) -> Vec<u64> {
    let (body, path) = (load.body, load.path.replace("{client}", &number.to_string()));
    let request = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let expected = format!("{}\n", load.expected);
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    stream.set_nodelay(true).expect("a connection");
    let mut response = [0; 1024];
    let mut times = Vec::new();
    while !is_over.load(Relaxed) {
        let start = Instant::now();
        stream.write_all(request.as_bytes()).await.expect("the server reads");
        let mut length = 0;
        // The head ends with an empty line, and a response with a line of its own.
        while !response[..length].ends_with(expected.as_bytes()) || response[..length].ends_with(b"\r\n") {
            let read = stream.read(&mut response[length..]).await.expect("the server answers");
            length += read;
            assert!(read > 0, "{}", String::from_utf8_lossy(&response[..length]));
        }
        times.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    times
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
