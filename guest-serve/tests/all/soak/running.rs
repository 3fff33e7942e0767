//! The server that is killed and started again, and the figures.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use crate::guests::Guests;
use crate::process::Server;

/// How long a process lives, at the least and at the most.
const LIVES: [Duration; 2] = [Duration::from_millis(1500), Duration::from_millis(4500)];

/// How long the adversaries attack, and how long they rest.
const PHASE: Duration = Duration::from_millis(700);

/// Answers of one kind that are remembered; later ones take the place of earlier ones.
const SAMPLES: usize = 200_000;

/// The figures of a soak.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) kills: u64,
    /// Numbers in ledgers and in records that were acknowledged.
    pub(super) lines: u64,
    /// Calls of functions that were answered.
    pub(super) requests: u64,
    pub(super) attacks: u64,
    /// Largest resident memory of a process, in bytes, and most open files.
    pub(super) resident: u64,
    pub(super) files: u64,
    /// Times that tenants were woken from memory, and from the disk.
    pub(super) woken: u64,
    pub(super) loaded: u64,
}

/// The soak.
pub(super) struct Running {
    guests: Guests,
    options: Vec<String>,
    server: Mutex<Option<Server>>,
    address: Mutex<SocketAddr>,
    is_over: AtomicBool,
    is_attack: AtomicBool,
    lines: AtomicU64,
    attacks: AtomicU64,
    requests: AtomicU64,
    /// Microseconds of answers: in peace, and under attack.
    times: [Mutex<Vec<u32>>; 2],
    figures: Mutex<Figures>,
}

impl Running {
    pub(super) fn new(guests: Guests, options: &[&str]) -> Self {
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let server = start(&guests, &options);
        let address = Mutex::new(server.address);
        Self {
            guests,
            options,
            server: Mutex::new(Some(server)),
            address,
            is_over: AtomicBool::new(false),
            is_attack: AtomicBool::new(false),
            lines: AtomicU64::new(0),
            attacks: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            times: Default::default(),
            figures: Mutex::default(),
        }
    }

    /// The server's address now.
    pub(super) fn address(&self) -> SocketAddr {
        *self.address.lock().unwrap()
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(SeqCst)
    }

    /// Ends the soak if the thread that has this fails a check.
    pub(super) fn ends_on_failure(&self) -> impl Drop {
        EndsOnFailure(&self.is_over)
    }

    /// Waits for the next attack. Says whether there is one.
    pub(super) fn waits_for_attack(&self) -> bool {
        while !self.is_over() && !self.is_attack.load(SeqCst) {
            thread::sleep(Duration::from_millis(5));
        }
        !self.is_over()
    }

    /// Honest clients send a few hundred requests in a second each, not as many as they can.
    pub(super) fn pause(&self) {
        thread::sleep(Duration::from_millis(3));
    }

    pub(super) fn acknowledged(&self) {
        self.lines.fetch_add(1, SeqCst);
    }

    pub(super) fn attacked(&self) {
        self.attacks.fetch_add(1, SeqCst);
    }

    /// 0 in peace, 1 under attack.
    pub(super) fn phase(&self) -> usize {
        usize::from(self.is_attack.load(SeqCst))
    }

    /// Takes note of an answer that was asked for in a phase. One that another phase began in does not count as either.
    pub(super) fn answered(&self, phase: usize, took: Duration) {
        let number = self.requests.fetch_add(1, SeqCst) as usize;
        if self.phase() != phase {
            return;
        }
        let mut times = self.times[phase].lock().unwrap();
        let took = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        match times.len() < SAMPLES {
            true => times.push(took),
            false => times[number % SAMPLES] = took,
        }
    }

    /// Kills the server and starts it again, until the time is over.
    pub(super) fn kill_again_and_again(&self, longest: Duration) {
        let begun = Instant::now();
        let mut random = 1_u64;
        while begun.elapsed() < longest {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let span = (LIVES[1] - LIVES[0]).as_millis() as u64;
            let life = LIVES[0] + Duration::from_millis((random >> 33) % span);
            let until = Instant::now() + life.min(longest.saturating_sub(begun.elapsed()));
            while Instant::now() < until {
                self.is_attack.store(begun.elapsed().as_millis() / PHASE.as_millis() % 2 == 1, SeqCst);
                thread::sleep(Duration::from_millis(20));
                if self.is_over() {
                    return;
                }
            }
            self.look();
            let killed = self.server.lock().unwrap().take().unwrap();
            killed.process.signal("KILL");
            killed.process.end();
            let server = start(&self.guests, &self.options);
            *self.address.lock().unwrap() = server.address;
            *self.server.lock().unwrap() = Some(server);
            self.figures.lock().unwrap().kills += 1;
        }
        self.is_attack.store(false, SeqCst);
        self.is_over.store(true, SeqCst);
    }

    /// Takes note of what the process uses, and of how often its tenants moved.
    fn look(&self) {
        let server = self.server.lock().unwrap();
        let server = server.as_ref().unwrap();
        let metrics = server.ask("GET", "/metrics");
        let sum = |name: &str| {
            let lines = metrics.text().lines().filter(|line| line.starts_with(name));
            lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum::<u64>()
        };
        let id = server.process.id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next());
        let files = std::fs::read_dir(format!("/proc/{id}/fd")).map_or(0, Iterator::count);
        let mut figures = self.figures.lock().unwrap();
        figures.resident = figures.resident.max(resident.and_then(|kib| kib.parse().ok()).unwrap_or(0) * 1024);
        figures.files = figures.files.max(files as u64);
        figures.woken += sum("serve_tenants_woken_total");
        figures.loaded += sum("serve_tenants_loaded_total");
    }

    /// Stops the server in order, and prints and returns the figures.
    pub(super) fn end(self) -> Figures {
        self.server.into_inner().unwrap().unwrap().stop();
        let mut figures = self.figures.into_inner().unwrap();
        figures.lines = self.lines.into_inner();
        figures.requests = self.requests.into_inner();
        figures.attacks = self.attacks.into_inner();
        println!("{figures:#?}");
        for (name, times) in ["in peace", "under attack"].into_iter().zip(self.times) {
            let mut times = times.into_inner().unwrap();
            times.sort_unstable();
            let at = |per_mille: usize| times.get(times.len().saturating_sub(1) * per_mille / 1000).copied();
            println!("answers {name}, in microseconds: median {:?}, 99% {:?}, most {:?}", at(500), at(990), at(1000));
        }
        figures
    }
}

struct EndsOnFailure<'r>(&'r AtomicBool);

impl Drop for EndsOnFailure<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(true, SeqCst);
        }
    }
}

fn start(guests: &Guests, options: &[String]) -> Server {
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    Server::start(guests.path(), &options)
}
