//! Secrets: each guest reads its own, the ones that it names, and nothing of them is left anywhere.

use std::fs;

use guest_abi::function::Declaration;
use guest_functions::{Kind, Scalar, Type};
use guest_serve::deployment::{Deployment, Loader};
use guest_serve::folder::GuestFolder;

use crate::guests::{Guests, entry, section};
use crate::process::Server as Process;
use crate::server::Server;

/// `reveal` returns a secret, in the room from address 4096 on, or no text. `found` counts where in all memory the bytes of this one
/// begin, after it has read a secret; `left` does so without. `begin` has code that runs before the snapshot.
fn reader(begin: &str) -> String {
    const NUMBER: Type = Type::of(Scalar::I64);
    const TEXT: Type = Type::of(Scalar::String);
    let section = section(&[
        entry!("reveal", ["name": TEXT], TEXT),
        entry!("found", ["name": TEXT], NUMBER),
        entry!("left", [], NUMBER),
    ]);
    format!(
        r#"(module
        (import "extension" "secret" (func $secret (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 8)
        (data (i32.const 512) "KEY")
        (func (export "__guest_exchange") (param i32) (result i32) (i32.const 65536))
        (func (export "__guest_init") (result i32) {begin} (i32.const 0))
        (func $read (param i32 i32) (result i32) (local $length i32)
            (local.set $length (call $secret (local.get 0) (local.get 1) (i32.const 4096) (i32.const 1024)))
            (if (result i32) (i32.eq (local.get $length) (i32.const -1)) (then (i32.const 0)) (else (local.get $length))))
        (func (export "__guest_function_reveal") (param i32 i32) (result i64)
            (i64.or (i64.const 0x100000000000) (i64.extend_i32_u (call $read (local.get 0) (local.get 1)))))
        (func $count (result i64) (local $at i32) (local $found i64)
            (loop $next
                (if (i64.eq (i64.load (local.get $at)) (i64.const 0x7361772d6f726f7a)) (then
                    (local.set $found (i64.add (local.get $found) (i64.const 1)))))
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (br_if $next (i32.lt_u (local.get $at) (i32.const 524280))))
            (local.get $found))
        (func (export "__guest_function_found") (param i32 i32) (result i64)
            (drop (call $read (local.get 0) (local.get 1))) (call $count))
        (func (export "__guest_function_left") (result i64) (call $count))
        {section})"#
    )
}

const ROUTES: &str = "secrets = [\"KEY\"]\n[[routes]]\npath = \"/reveal\"\nfunction = \"reveal\"\n\
    [[routes]]\npath = \"/found\"\nfunction = \"found\"\n[[routes]]\npath = \"/left\"\nfunction = \"left\"\n\
    [limits]\ndeadline = \"1min\"\n";

/// A value that begins with the bytes for which guests look.
const VALUE: &str = "zoro-was-here";

fn secrets(guests: &Guests, text: &str) {
    fs::write(guests.path().join("secrets.toml"), text).unwrap();
}

#[test]
fn a_guest_reads_the_secrets_that_it_names_and_no_others() {
    let server = Server::start(&[]);
    secrets(&server.guests, "[honest]\nKEY = \"zoro-was-here\"\nSECOND = \"2\"\n[curious]\nKEY = \"\"\nOWN = \"o\"\n");
    server.deploy("honest", ROUTES, &reader(""));
    server.deploy("curious", ROUTES, &reader(""));
    let reveal = |guest: &str, name: &str| server.post(&format!("/{guest}/reveal"), &format!("\"{name}\""));
    assert_eq!(reveal("honest", "KEY").result(), format!("\"{VALUE}\""));
    // The module of the other guest is the same, and so is its compiled code.
    assert_eq!(reveal("curious", "KEY").result(), "\"\"");
    for name in ["OWN", "SECOND", "honest.KEY", "honest/KEY", "[honest] KEY", "KEY ", "", "key", "\\u0000"] {
        assert_eq!(reveal("curious", name).result(), "\"\"", "{name}");
        assert_eq!(reveal("honest", name).result(), "\"\"", "{name}");
    }
    // Longer than its room: it is told the length, and nothing is written.
    secrets(&server.guests, &format!("[honest]\nKEY = \"{}\"\n", "x".repeat(1025)));
    server.deploy("honest", ROUTES, &reader(""));
    assert_eq!(reveal("honest", "KEY").result(), format!("\"{}\"", "\\u0000".repeat(1025)));
}

#[test]
fn nothing_of_a_secret_is_left_in_memory() {
    // One instance, on one thread, for all calls.
    let server = Server::start(&["--threads=1"]);
    secrets(&server.guests, &format!("[honest]\nKEY = \"{VALUE}\"\n"));
    server.deploy("honest", ROUTES, &reader(""));
    let mut client = server.client();
    for _ in 0..10 {
        assert_eq!(client.post("/honest/found", "\"KEY\"").result(), "1", "the search itself");
        assert_eq!(client.post("/honest/reveal", "\"KEY\"").result(), format!("\"{VALUE}\""));
        assert_eq!(client.post("/honest/left", "").result(), "0");
    }
}

#[test]
fn a_secret_cannot_get_into_a_snapshot() {
    let guests = Guests::new();
    secrets(&guests, &format!("[honest]\nKEY = \"{VALUE}\"\n"));
    guests.put("honest", ROUTES, &reader("(drop (call $read (i32.const 512) (i32.const 3)))"));
    let (monitor, _writer) = guest_serve::monitor::Monitor::start(guests.path(), 1 << 20).unwrap();
    let loader = Loader::new(test_support::compiled::engine(), monitor);
    let folder = GuestFolder::open(guests.path()).unwrap();
    let files = folder.read(&"honest".parse().unwrap(), &folder.secrets().unwrap()).unwrap();
    let error = Deployment::load(&loader, files).unwrap_err().to_string();
    let expected = "the secret `KEY` was asked for while the guest is initialised, and the snapshot would keep it; read it in the \
                    calls that need it";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn nobody_else_sees_a_secret() {
    let guests = Guests::new();
    secrets(&guests, &format!("[honest]\nKEY = \"{VALUE}\"\n"));
    guests.put("honest", ROUTES, &reader(""));
    let server = Process::start(guests.path(), &["--threads=1"]);
    server.wait_for("honest", |guest| !guest["deployment"].is_null());
    let mut client = crate::client::Client::new(server.address);
    assert_eq!(client.post("/honest/reveal", "\"KEY\"").result(), format!("\"{VALUE}\""));
    assert_eq!(client.post("/honest/reveal", "[1]").status, 400);
    for path in ["/", "/guests/honest", "/api/guests", "/api/guests/honest", "/api/guests/honest/logs", "/metrics"] {
        let response = server.ask("GET", path);
        assert!(!response.body.is_empty() || path.ends_with("logs"), "{path}");
        assert!(!String::from_utf8_lossy(&response.body).contains("zoro"), "{path}");
    }
    // Of the server's own files none has it; the file of secrets does, so that the search itself finds it.
    let mut found = Vec::new();
    let mut folders = vec![guests.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false if fs::read(&path).unwrap().windows(VALUE.len()).any(|bytes| bytes == VALUE.as_bytes()) => {
                    found.push(path);
                }
                false => {}
            }
        }
    }
    assert_eq!(found, [guests.path().join("secrets.toml")]);
}

/// A program that answers each message with its secret.
fn program() -> String {
    const BYTES: Type = Type::of(Scalar::Bytes);
    let section = section(&[entry!("read", ["connection": Type::of(Scalar::I64), "bytes": BYTES], BYTES)]);
    format!(
        r#"(module
        (import "extension" "secret" (func $secret (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 8)
        (data (i32.const 512) "KEY")
        (func (export "__guest_exchange") (param i32) (result i32) (i32.const 65536))
        (func (export "__guest_function_read") (param i64 i32 i32) (result i64) (local $length i32)
            (i32.store8 (i32.const 4096) (i32.const 1))
            (i32.store (i32.const 4097) (i32.const 1))
            (i64.store (i32.const 4101) (local.get 0))
            (local.set $length (call $secret (i32.const 512) (i32.const 3) (i32.const 4113) (i32.const 1000)))
            (i32.store (i32.const 4109) (local.get $length))
            (i64.or (i64.const 0x100000000000) (i64.extend_i32_u (i32.add (i32.const 17) (local.get $length)))))
        {section})"#
    )
}

#[cfg(unix)]
#[test]
fn a_program_reads_its_secret_and_the_changed_one() {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpListener, TcpStream};

    let address: SocketAddr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let guests = Guests::new();
    secrets(&guests, &format!("[teller]\nKEY = \"{VALUE}\"\n"));
    guests.put("teller", &format!("secrets = [\"KEY\"]\n[program]\ntcp = \"{address}\"\n"), &program());
    let server = Process::start(guests.path(), &["--program-threads=1"]);
    let ask = || {
        let mut client = TcpStream::connect(address).ok()?;
        client.set_read_timeout(Some(crate::client::PATIENCE)).unwrap();
        client.write_all(b"?").ok()?;
        let mut found = [0; 100];
        let length = client.read(&mut found).ok()?;
        Some(String::from_utf8(found[..length].to_vec()).unwrap())
    };
    server.wait_for("teller", |_| ask().as_deref() == Some(VALUE));
    secrets(&guests, "[teller]\nKEY = \"other\"\n");
    server.wait_for("teller", |_| ask().as_deref() == Some("other"));
}
