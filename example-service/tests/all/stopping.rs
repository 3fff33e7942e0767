//! How the service starts and stops.

use std::fs;
use std::path::Path;

use crate::process::Home;

#[test]
fn what_it_cannot_use_ends_it_with_a_reason() {
    let home = Home::new();
    let fails = |guest: &Path, store: &Path, options: &[&str]| {
        let mut process = home.spawn(guest, store, options);
        let status = process.wait();
        assert!(!status.success() && process.stdout().is_empty(), "{status}: {}", process.stdout());
        process.stderr()
    };
    let (guest, store) = (home.guest(), home.store());
    let text = home.path().join("text");
    fs::write(&text, "neither a guest nor a store").unwrap();

    let missing = home.path().join("missing.wasm");
    let error = fails(&missing, &store, &[]);
    assert!(
        error.starts_with("error: cannot use the guest ") && error.contains("missing.wasm: cannot be read"),
        "{error}"
    );
    assert_eq!(error.matches("os error").count(), 1, "{error}");
    let error = fails(&text, &store, &[]);
    assert!(error.contains("not a WebAssembly file"), "{error}");
    let bare = home.path().join("bare.wasm");
    // The header alone: a module with nothing in it.
    fs::write(&bare, b"\0asm\x01\0\0\0").unwrap();
    let error = fails(&bare, &store, &[]);
    assert!(error.contains("bare is a bare module") && error.contains("`guest-sdk`"), "{error}");
    let error = fails(&guest, &store, &["--memory-limit", "1KiB"]);
    assert!(error.contains("the memory limit of 1024 bytes is below"), "{error}");
    for options in [
        ["--instances", "0"],
        ["--deadline", "0s"],
        ["--head-time", "0s"],
        ["--send-time", "0ms"],
        ["--body-limit", "1GB"],
        ["--listen", "here"],
    ] {
        let error = fails(&guest, &store, &options);
        assert!(error.contains(options[0]), "{error}");
    }
    assert!(!store.exists(), "nothing is made if the guest cannot be used");

    let folder = home.path().join("none");
    let error = fails(&guest, &folder.join("records.redb"), &[]);
    let reason = format!("the folder {} does not exist; make it first\n", folder.display());
    assert!(error.starts_with("error: cannot open the store") && error.ends_with(&reason), "{error}");
    let error = fails(&guest, home.path(), &[]);
    assert!(error.starts_with(&format!("error: cannot open the store {}: ", home.path().display())), "{error}");
    let error = fails(&guest, &text, &[]);
    assert!(error.contains("Not a redb database"), "{error}");
    assert_eq!(fs::read_to_string(&text).unwrap(), "neither a guest nor a store");

    let service = home.start(&[]).with_tenants(&["a"]);
    let error = fails(&guest, &store, &[]);
    assert!(error.contains("it is already open, probably in another process"), "{error}");
    let address = service.address.to_string();
    // An option that is given twice counts as it is given last.
    let other = home.path().join("other.redb");
    let error = fails(&guest, &other, &["--listen", &address]);
    let reason = format!("error: cannot listen on {address}; choose another address by --listen: ");
    assert!(error.starts_with(&reason), "{error}");
    assert!(!other.exists(), "nothing is made if the address cannot be used");
    assert_eq!(service.post("/tenants/a/tally", "").status, 200, "the first goes on");
}

#[cfg(unix)]
mod signals {
    use std::fs;
    use std::io::{ErrorKind, Read as _, Write as _};
    use std::net::{SocketAddr, TcpStream};
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
    use std::thread;
    use std::time::{Duration, Instant};

    use serde_json::json;

    use crate::client::{PATIENCE, receive, request, send};
    use crate::process::Home;

    #[test]
    fn a_signal_lets_running_requests_end_and_refuses_new_ones() {
        let home = Home::new();
        // The request behind the one that spins may wait for longer than that spins.
        let service = home.start(&["--deadline", "2s", "--wait", "20s"]).with_tenants(&["slow", "fast"]);
        let address = service.address;
        let spinning = send(address, "POST", "/tenants/slow/spin", "").unwrap();
        service.wait_for("service_requests_running", 2);
        // It waits behind the other.
        let waiting = send(address, "POST", "/tenants/slow/tally", "").unwrap();
        service.wait_for("service_requests_running", 3);
        let answered = AtomicU64::new(0);
        thread::scope(|scope| {
            for worker in 0..3 {
                let answered = &answered;
                scope.spawn(move || {
                    // Requests that came too late are refused or closed; none is answered by an error.
                    for seq in 0..300 {
                        let event = json!({ "worker": worker, "seq": seq }).to_string();
                        match request(address, "POST", "/tenants/fast/add_pair", &event) {
                            Ok(response) => assert_eq!(response.status, 200, "{}", response.body),
                            Err(_) => break,
                        }
                        answered.fetch_add(1, SeqCst);
                    }
                });
            }
            let until = Instant::now() + Duration::from_secs(60);
            while answered.load(SeqCst) < 5 && Instant::now() < until {
                thread::sleep(Duration::from_millis(1));
            }
            service.process.signal("TERM");
        });
        assert_eq!(receive(spinning).unwrap().status, 504);
        assert_eq!(receive(waiting).unwrap().json()["intents"][0]["value"], json!({ "n": 1 }));
        assert!(request(address, "GET", "/health", "").is_err(), "nobody listens any more");
        let (status, error) = service.wait();
        assert!(status.success() && error.ends_with("stopped\n"), "{status}: {error}");

        let service = home.start(&[]);
        let pairs = service.get("/tenants/fast/records?storage=sys.Record&entity=B").json();
        let kept = pairs["records"].as_array().unwrap().len() as u64;
        let answered = answered.load(SeqCst);
        // Of each worker, one request may be there that was cut off before it was answered.
        assert!(answered >= 5 && (answered..=answered + 3).contains(&kept), "{answered} answered, {kept} kept");
    }

    #[test]
    fn requests_that_go_on_for_too_long_do_not_keep_it_from_stopping() {
        let home = Home::new();
        let service = home.start(&["--deadline", "300s", "--shutdown-time", "50ms"]).with_tenants(&["slow"]);
        let spinning = send(service.address, "POST", "/tenants/slow/spin", "").unwrap();
        service.wait_for("service_requests_running", 2);
        service.process.signal("TERM");
        let (status, error) = service.wait();
        assert_eq!(status.code(), Some(1));
        assert!(error.contains("error: requests were still running 50ms after the signal to stop"), "{error}");
        assert!(receive(spinning).is_err());
        // The file is whole.
        assert_eq!(home.start(&[]).get("/tenants/slow/records?storage=sys.Record").status, 200);
    }

    #[test]
    fn a_second_ctrl_c_ends_it_at_once() {
        let home = Home::new();
        let service = home.start(&["--deadline", "300s", "--shutdown-time", "300s"]).with_tenants(&["slow"]);
        let spinning = send(service.address, "POST", "/tenants/slow/spin", "").unwrap();
        service.wait_for("service_requests_running", 2);
        service.process.signal("INT");
        service.wait_until_closed();
        service.process.signal("INT");
        let (status, error) = service.wait();
        assert_eq!(status.code(), Some(1));
        assert!(error.ends_with("error: requests were still running when a second signal came\n"), "{error}");
        assert!(receive(spinning).is_err(), "it was not answered");
        assert_eq!(home.start(&[]).get("/tenants/slow/records?storage=sys.Record").status, 200);
    }

    #[test]
    fn a_damaged_store_ends_it_with_a_reason() {
        // After a kill redb checks the file and reports what it finds; after a stop in order it believes the file, and panics.
        for in_order in [false, true] {
            let home = Home::new();
            let service = home.start(&[]).with_tenants(&["a"]);
            assert_eq!(service.post("/tenants/a/tally", "").status, 200);
            if in_order {
                service.process.signal("TERM");
                assert!(service.wait().0.success());
            } else {
                drop(service);
            }
            let mut damaged = fs::read(home.store()).unwrap();
            damaged[4096..].fill(0xFF);
            fs::write(home.store(), &damaged).unwrap();
            let mut process = home.spawn(&home.guest(), &home.store(), &[]);
            assert_eq!(process.wait().code(), Some(1), "{}", process.stderr());
            let error = process.stderr();
            assert_eq!(error.contains("panicked at"), in_order, "{error}");
            let last = error.lines().last().unwrap_or_default();
            assert!(
                last.starts_with("error: cannot open the store ") && last.contains("the file is damaged ("),
                "{error}"
            );
            assert!(last.ends_with("); restore it from a backup"), "{error}");
        }
    }

    #[test]
    fn a_second_signal_is_nothing_to_a_service_without_requests() {
        for _ in 0..5 {
            let home = Home::new();
            let service = home.start(&[]);
            service.process.signal("TERM");
            // It may have ended already.
            let _ = std::process::Command::new("kill").args(["-INT", &service.process.id().to_string()]).output();
            let (status, error) = service.wait();
            assert!(status.success() && error.ends_with("stopped\n"), "{status}: {error}");
        }
    }

    #[test]
    fn a_client_that_reads_nothing_is_cut_off() {
        let home = Home::new();
        let service = home.start(&["--send-time", "100ms"]);
        let mut silent = TcpStream::connect(service.address).unwrap();
        silent.set_write_timeout(Some(PATIENCE)).unwrap();
        // Until all buffers are full of answers, the service reads requests.
        let cut_off = loop {
            if let Err(error) = silent.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n") {
                break error;
            }
        };
        assert!(matches!(cut_off.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{cut_off}");
        assert_eq!(service.get("/health").status, 200);
    }

    #[test]
    fn a_store_that_can_write_no_more_ends_the_service() {
        let home = Home::new();
        let service = home.start_on_small_disk(500).with_tenants(&["a"]);
        let event = |number: usize| format!("{{\"n\":{number},\"x\":\"{}\"}}", "x".repeat(500));
        let mut answered = 0;
        let failed = loop {
            let response = service.post("/tenants/a/add_pair", &event(answered));
            match response.status {
                200 => answered += 1,
                _ => break response,
            }
            assert!(answered < 10_000, "the disk is never full");
        };
        assert_eq!((failed.status, failed.kind().as_str()), (500, "store"), "{}", failed.body);
        let (status, error) = service.wait();
        assert_eq!(status.code(), Some(1), "{error}");
        assert!(error.starts_with("the store failed: "), "{error}");
        assert!(error.ends_with("; mend the cause, and start the service again\n"), "{error}");
        // Where there is room again, it goes on.
        let service = home.start(&[]);
        let listed = service.get("/tenants/a/records?storage=sys.Record&entity=A").json();
        assert!(listed["records"].as_array().is_some_and(|records| records.len() >= answered.min(1000)), "{answered}");
        assert_eq!(service.post("/tenants/a/add_pair", &event(answered)).status, 200);
    }

    /// A connection whose client has sent the beginning of a request's head.
    fn half_a_head(address: SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n").unwrap();
        stream
    }

    #[test]
    fn a_connection_that_sends_half_a_head_is_closed() {
        let home = Home::new();
        let service = home.start(&["--head-time", "100ms"]);
        let (mut half, mut silent) = (half_a_head(service.address), TcpStream::connect(service.address).unwrap());
        silent.set_read_timeout(Some(PATIENCE)).unwrap();
        for stream in [&mut half, &mut silent] {
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("the service closes the connection");
            assert!(!answer.contains("200 OK"), "{answer}");
        }
        assert_eq!(service.get("/health").status, 200);
    }

    #[test]
    fn half_a_head_does_not_keep_it_from_stopping() {
        let home = Home::new();
        let service = home.start(&["--head-time", "500ms", "--shutdown-time", "300s"]);
        let half = half_a_head(service.address);
        // Connections are taken in their order.
        assert_eq!(service.get("/health").status, 200);
        service.process.signal("TERM");
        let (status, error) = service.wait();
        assert!(status.success() && error.ends_with("stopped\n"), "{status}: {error}");
        drop(half);
    }

    #[test]
    fn connections_without_a_request_do_not_keep_it_from_stopping() {
        let home = Home::new();
        let service = home.start(&["--shutdown-time", "300s"]).with_tenants(&["a"]);
        let silent = TcpStream::connect(service.address).unwrap();
        service.wait_for("service_requests_running", 1);
        service.process.signal("INT");
        let (status, error) = service.wait();
        assert!(status.success() && error.ends_with("stopped\n"), "{status}: {error}");
        drop(silent);
    }
}
