//! Requests in a second, processor time for each, and how long they take beside guests that spin: with functions of guests
//! whose instances are restored, with an instance for each request, and without guests.
//!
//! All run in turns in one process, over 32 connections on the loopback address, each of which sends a request when it has
//! its response. Half of the cores serve, and half are clients. Figures are medians over the turns, and ratios are taken
//! within a turn, so that others on the machine change them little. [`cores`] has the reason why each half has its own cores.
//!
//! ```console
//! $ cargo bench -p guest-serve --bench rate
//! $ cargo bench -p guest-serve --bench rate -- records
//! ```
//!
//! The server without guests, and the one with bare instances of the engine, read and write the same JSON by the same code,
//! and keep no books about rates and calls. With the word `records`, calls that leave records take their place, durable and not.

mod cores;
#[path = "../../tests/all/counters.rs"]
mod counters;
mod load;
mod records;
mod servers;

use std::thread;
use std::time::Duration;

use guest_host::{EngineConfig, InstanceAllocation};

use cores::Half;
use load::{Load, Turn};
use servers::{Folder, Server};

const CONNECTIONS: usize = 32;

const TURNS: usize = 7;

/// How long each turn of each server is.
const TURN: Duration = Duration::from_millis(700);

/// The number in the middle.
fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn main() {
    let cores = Half::size();
    // All threads of the servers are started by this one, those of the slow lane, too.
    Half::Servers.enter();
    if std::env::args().any(|word| word == "records") {
        return records::rates(cores);
    }
    let folder = Folder::new();
    let pooled = || EngineConfig::default().with_allocation(InstanceAllocation::pooling(64));
    let servers = [
        Server::native(&folder, cores, "without guests"),
        Server::new(&folder, cores, "restored instances", 16, None),
        Server::bare(&folder, cores, "a bare instance for each request, pooled", pooled()),
        Server::new(&folder, cores, "an instance for each request, pooled", 0, Some(pooled())),
        Server::new(&folder, cores, "an instance for each request, mapped", 0, None),
    ];
    println!("{cores} threads serve, {CONNECTIONS} connections, medians of {TURNS} turns of {TURN:?}");
    // With the word `neighbours` these alone.
    if !std::env::args().any(|word| word == "neighbours") {
        for load in [Load::new("/guest/gcd", "21"), Load::new("/guest/fill", "18518")] {
            rates(&servers, cores, load);
        }
    }
    neighbours(&servers[1], cores);
}

/// Prints a table of how many requests the servers answer.
fn rates(servers: &[Server], cores: usize, load: Load) {
    let measure = |server: &Server| {
        let turn = Turn::begin(server.address, load, cores, CONNECTIONS);
        thread::sleep(TURN);
        turn.end()
    };
    // Instances are made.
    servers.iter().map(measure).for_each(drop);
    let turns: Vec<Vec<_>> = (0..TURNS).map(|_| servers.iter().map(measure).collect()).collect();
    println!(
        "\n{:<44}{:>12}{:>9}{:>14}{:>9}{:>12}{:>9}",
        load.path, "requests/s", "ratio", "us/request", "ratio", "99%, us", "ratio"
    );
    for (at, server) in servers.iter().enumerate() {
        let requests = turns.iter().map(|turn| turn[at].requests / TURN.as_secs_f64());
        let requests_ratio = turns.iter().map(|turn| turn[at].requests / turn[0].requests);
        let time = turns.iter().map(|turn| turn[at].time / 1000.0);
        let time_ratio = turns.iter().map(|turn| turn[at].time / turn[0].time);
        let long = turns.iter().map(|turn| turn[at].percentile(99));
        let long_ratio = turns.iter().map(|turn| turn[at].percentile(99) / turn[0].percentile(99));
        println!(
            "{:<44}{:>12.0}{:>9.3}{:>14.2}{:>9.3}{:>12.0}{:>9.3}",
            server.name,
            median(requests),
            median(requests_ratio),
            median(time),
            median(time_ratio),
            median(long),
            median(long_ratio),
        );
    }
}

/// Prints how long requests of an honest guest take alone and beside others, and the ratios of their 99th percentiles.
fn neighbours(server: &Server, cores: usize) {
    const HONEST: usize = 4;
    let others: [(&str, Option<Load>); 5] = [
        ("alone", None),
        ("beside 28 requests that spin", Some(Load::new("/spins/spin", "}"))),
        ("beside 28 requests that eat memory", Some(Load::new("/eats/eat", "}"))),
        ("beside 28 requests of most of a slice", Some(Load::new("/busy/busy", ""))),
        ("beside 28 requests like them", Some(Load::new("/guest/gcd", "21"))),
    ];
    let turn = |other: &Option<Load>| {
        let other = other.map(|load| Turn::begin(server.address, load, cores, CONNECTIONS - HONEST));
        // The others are at it.
        thread::sleep(TURN / 4);
        let honest = Turn::begin(server.address, Load::new("/guest/gcd", "21"), cores, HONEST);
        thread::sleep(TURN * 2);
        let honest = honest.end();
        let theirs = other.map_or(0.0, |other| other.end().requests);
        [honest.percentile(50), honest.percentile(99), theirs / (TURN * 9 / 4).as_secs_f64()]
    };
    let turns: Vec<Vec<_>> = (0..TURNS).map(|_| others.iter().map(|(_, other)| turn(other)).collect()).collect();
    println!(
        "\n{:<44}{:>12}{:>12}{:>12}{:>12}",
        "honest requests, microseconds", "median", "99%", "99% ratio", "others/s"
    );
    for (at, (name, _)) in others.iter().enumerate() {
        let of = |figure: usize| median(turns.iter().map(|turn| turn[at][figure]));
        let ratio = median(turns.iter().map(|turn| turn[at][1] / turn[0][1]));
        println!("{name:<44}{:>12.0}{:>12.0}{ratio:>12.2}{:>12.0}", of(0), of(1), of(2));
    }
}
