//! How the server starts and stops.

use std::fs;
use std::net::TcpListener;

use crate::guests::{GCD, GCD_ROUTE, Guests};
use crate::process::{Process, Server};

#[test]
fn what_it_cannot_use_ends_it_with_a_reason() {
    let guests = Guests::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let fails = |options: &[&str]| {
        let (status, error) = Process::start(guests.path(), options).end();
        assert_eq!(status, Some(2), "{error}");
        assert!(error.starts_with("error: ") && error.lines().count() == 1, "{error}");
        error
    };
    for option in ["--listen", "--admin"] {
        let error = fails(&[option, &address]);
        assert!(error.starts_with(&format!("error: cannot listen on {address}: ")), "{error}");
        assert!(error.ends_with(&format!("; choose another address by {option}\n")), "{error}");
    }
    assert!(!guests.path().join(".serve").exists(), "nothing is made if it cannot serve");
    let token = guests.path().join("token");
    fs::write(&token, "short").unwrap();
    let error = fails(&["--token-file", token.to_str().unwrap()]);
    assert!(error.contains(" has no token: write at least 16 characters"), "{error}");

    let server = Server::start(guests.path(), &[]);
    let error = fails(&[]);
    let folder = guests.path().canonicalize().unwrap();
    let expected = format!("error: another server serves {}; stop it, or serve another folder\n", folder.display());
    assert_eq!(error, expected);
    drop(server);

    let (status, error) = Process::start(&guests.path().join("none"), &[]).end();
    assert!(status == Some(2) && error.contains("/none is not a folder; name the folder that contains"), "{error}");
    let (status, error) = Process::with_words(&["--listen", "x"]).end();
    assert!(status == Some(2) && error.contains("--listen"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_signal_stops_it_in_order_and_it_starts_again() {
    use std::os::unix::fs::PermissionsExt as _;

    let guests = Guests::new();
    guests.put("numbers", GCD_ROUTE, GCD);
    let mut tokens = Vec::new();
    for signal in ["TERM", "INT"] {
        let server = Server::start(guests.path(), &[]);
        assert_eq!(server.ask("GET", "/api/guests/numbers").status, 200);
        tokens.push(server.token.clone());
        server.process.signal(signal);
        let (status, error) = server.process.end();
        assert!(status == Some(0) && error.ends_with("stopped\n"), "{error}");
        assert!(error.contains("\"event\":\"deployed\",\"guest\":\"numbers\""), "{error}");
    }
    assert_eq!(tokens[0], tokens[1]);
    let own = guests.path().join(".serve");
    assert_eq!(fs::metadata(&own).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(fs::read_dir(own.join("code")).unwrap().count() > 0, "compiled code is kept");
    let events = fs::read_to_string(own.join("events")).unwrap();
    assert_eq!(events.matches("\"event\":\"deployed\"").count(), 2, "{events}");
}
