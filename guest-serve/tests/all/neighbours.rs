//! Honest guests beside others, and versions that change under load.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread;

use crate::guests::{GCD, GCD_ROUTE};
use crate::server::Server;

const SPIN: &str = r#"(module (func (export "spin") (result i64) (loop $again (br $again)) (i64.const 0)))"#;
const SPIN_CONFIG: &str = "[[routes]]\npath = \"/{tenant}/spin\"\nfunction = \"spin\"\n[limits]\nwaiting = 4\ndeadline = \"10ms\"\ncalls_per_second = 1000\n";

/// A guest that takes all memory that it may have.
const EAT: &str = r#"(module (memory (export "memory") 1) (func (export "eat") (result i64)
    (loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable))"#;
const EAT_CONFIG: &str =
    "[[routes]]\npath = \"/eat\"\nfunction = \"eat\"\n[limits]\nmemory = \"4MiB\"\ncalls_per_second = 10000\n";

/// The sum of the numbers up to one, one by one.
const COUNT: &str = r#"(module (func (export "count") (param i64) (result i64) (local i64)
    (loop $again
        (local.set 1 (i64.add (local.get 1) (local.get 0)))
        (local.set 0 (i64.sub (local.get 0) (i64.const 1)))
        (br_if $again (i64.ne (local.get 0) (i64.const 0))))
    (local.get 1)))"#;
const COUNT_CONFIG: &str =
    "[[routes]]\npath = \"/count\"\nfunction = \"count\"\n[limits]\ndeadline = \"1min\"\ncalls_per_second = 10000\n";

const FAST_CONFIG: &str = "[limits]\ncalls_per_second = 100000\n";

#[test]
fn an_honest_guest_is_served_beside_one_that_spins_and_one_that_eats_memory() {
    let server = Server::start(&[]);
    server.deploy("honest", &format!("{GCD_ROUTE}{FAST_CONFIG}"), GCD);
    server.deploy("spins", SPIN_CONFIG, SPIN);
    server.deploy("eats", EAT_CONFIG, EAT);
    let done = AtomicBool::new(false);
    let (spun, eaten) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for number in 0..4 {
            let (server, done, spun) = (&server, &done, &spun);
            scope.spawn(move || {
                let mut client = server.client();
                while !done.load(SeqCst) {
                    let status = client.post(&format!("/spins/t{number}/spin"), "").status;
                    assert!([503, 504].contains(&status), "{status}");
                    spun.fetch_add(1, SeqCst);
                }
            });
        }
        scope.spawn(|| {
            let mut client = server.client();
            while !done.load(SeqCst) {
                assert_eq!(client.post("/eats/eat", "").status, 507);
                eaten.fetch_add(1, SeqCst);
            }
        });
        let mut client = server.client();
        let mut calls = 0;
        while calls < 300 || spun.load(SeqCst) < 8 || eaten.load(SeqCst) < 8 {
            assert_eq!(client.post("/honest/gcd", "[48, 18]").result(), "6");
            calls += 1;
        }
        done.store(true, SeqCst);
    });
}

#[test]
fn a_call_that_is_too_slow_for_the_fast_lane_gets_its_time() {
    let server = Server::with("counts", COUNT_CONFIG, COUNT);
    let mut client = server.client();
    let sum = |number: u64| (number * (number + 1) / 2).to_string();
    // Many slices long; then fast ones, which find their way back.
    for number in [20_000_000, 10, 20_000_000, 20, 30, 40, 50, 60, 70] {
        assert_eq!(client.post("/counts/count", number.to_string()).result(), sum(number));
    }
}

#[test]
fn calls_after_one_that_reached_the_limit_of_its_memory_go_to_the_slow_lane() {
    let server = Server::with("eats", EAT_CONFIG, EAT);
    let mut client = server.client();
    for _ in 0..8 {
        assert_eq!(client.post("/eats/eat", "").status, 507);
    }
    let counts = server.counts("eats");
    assert!((7..=8).contains(&counts.slow) && counts.failed() == 8, "{counts:?}");
}

#[test]
fn a_tenant_waits_in_a_queue_of_its_own() {
    let server = Server::start(&["--slow-threads=1"]);
    server.deploy("spins", SPIN_CONFIG, SPIN);
    let mut crowd: Vec<_> = (0..12).map(|_| server.client()).collect();
    for client in &mut crowd {
        client.send("POST", "/spins/crowd/spin", "", "");
    }
    assert_eq!(server.post("/spins/other/spin", "").status, 504, "another tenant has its turn");
    let responses: Vec<_> = crowd.iter_mut().map(|client| client.receive().unwrap()).collect();
    let refused: Vec<_> = responses.iter().filter(|response| response.status == 503).collect();
    assert!(responses.iter().filter(|response| response.status == 504).count() >= 4);
    for response in &refused {
        assert_eq!((response.error().0.as_str(), response.header("retry-after")), ("busy", Some("1")));
    }
}

#[test]
fn a_guest_is_replaced_under_load_and_no_request_fails() {
    let version = |number: u32| {
        format!("(module (memory (export \"memory\") 1) (func (export \"version\") (result i32) (i32.const {number})))")
    };
    let config = format!("[[routes]]\npath = \"/version\"\nfunction = \"version\"\n{FAST_CONFIG}");
    let server = Server::with("changes", &config, &version(0));
    let newest = AtomicU32::new(0);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = server.client();
                    let mut last = 0;
                    while last < 10 {
                        let least = newest.load(SeqCst);
                        let response = client.post("/changes/version", "");
                        assert_eq!(response.status, 200, "{response:?}");
                        last = response.result().parse().unwrap();
                        assert!(last >= least, "version {last} was served, and {least} was deployed before");
                    }
                })
            })
            .collect();
        for number in 1..=10 {
            server.deploy("changes", &config, &version(number));
            newest.store(number, SeqCst);
        }
        clients.into_iter().for_each(|client| client.join().unwrap());
    });
}

#[test]
fn instances_of_guests_that_are_gone_are_dropped() {
    let server = Server::start(&[]);
    server.deploy("counts", COUNT_CONFIG, COUNT);
    server.deploy("numbers", GCD_ROUTE, GCD);
    let mut client = server.client();
    // One on either lane at least.
    assert_eq!(client.post("/counts/count", "20000000").result(), "200000010000000");
    assert_eq!(client.post("/numbers/gcd", "[48, 18]").result(), "6");
    assert!(server.counts("counts").instances >= 2);
    server.remove("counts");
    let until = std::time::Instant::now() + crate::client::PATIENCE;
    while server.counts("counts").instances > 0 {
        assert!(std::time::Instant::now() < until, "{:?}", server.counts("counts"));
        thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(server.counts("numbers").instances, 1);
}

#[test]
fn a_guest_of_many_fast_calls_leaves_time_to_others() {
    let server = Server::start(&["--threads=1"]);
    server.deploy("numbers", &format!("{GCD_ROUTE}{FAST_CONFIG}"), GCD);
    server.deploy("counts", COUNT_CONFIG, COUNT);
    let (mut busy, mut honest) = (server.client(), server.client());
    assert_eq!(honest.post("/numbers/gcd", "[48, 18]").result(), "6");
    // Each of them ends within a slice, or nearly so. All together they would take many windows.
    for _ in 0..200 {
        busy.send("POST", "/counts/count", "", "1000000");
    }
    for _ in 0..200 {
        assert_eq!(busy.receive().unwrap().result(), "500000500000");
        assert_eq!(honest.post("/numbers/gcd", "[48, 18]").result(), "6");
    }
    let (numbers, counts) = (server.counts("numbers"), server.counts("counts"));
    assert_eq!((numbers.calls(), numbers.failed(), counts.calls(), counts.failed()), (201, 0, 200, 0));
    assert!(counts.slow > 0, "{counts:?}");
}
