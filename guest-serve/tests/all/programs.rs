//! Programs over TCP and WebSockets: a chat room, and a module in text form that fails.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;

use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};

use crate::client::PATIENCE;
use crate::guests::Guests;
use crate::process::{Request, Server};

/// The sample guest.
fn chat() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/guests/chat-freelist.wasm");
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!("the guest {} is missing ({error}): run `cargo xtask guests` first", path.display())
    })
}

/// A port that is free now.
fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A folder with a guest.
fn folder(name: &str, module: &[u8], config: &str) -> Guests {
    let folder = Guests::new();
    put(&folder, name, module, config);
    folder
}

fn put(folder: &Guests, name: &str, module: &[u8], config: &str) {
    folder.write(name, &format!("{name}.wasm"), module);
    folder.write(name, "guest.toml", config);
}

/// A member of the room, who speaks lines.
struct Member {
    stream: TcpStream,
    lines: BufReader<TcpStream>,
}

impl Member {
    fn enter(address: SocketAddr) -> Self {
        let until = std::time::Instant::now() + PATIENCE;
        // The server listens when it has looked at its guests.
        let stream = loop {
            match TcpStream::connect(address) {
                Ok(stream) => break stream,
                Err(error) => assert!(std::time::Instant::now() < until, "{address}: {error}"),
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap());
        Self { stream, lines }
    }

    fn say(&mut self, line: &str) {
        self.stream.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// The next line; empty at the end.
    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

type Socket = WebSocket<TcpStream>;

fn socket(address: SocketAddr, path: &str) -> Socket {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    client(format!("ws://{address}{path}"), stream).unwrap().0
}

fn text(socket: &mut Socket) -> String {
    match socket.read().unwrap() {
        Message::Text(text) => text.trim_end().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn members_of_a_room_read_each_other_over_tcp() {
    let address = free_port();
    let folder = folder("chat", &chat(), &format!("[program]\ntcp = \"{address}\"\n[limits]\nmemory = \"256KiB\"\n"));
    let server = Server::start(folder.path(), &[]);
    let mut ada = Member::enter(address);
    assert_eq!(ada.hear(), "* guest 1 comes in");
    ada.say("/name Ada");
    assert_eq!(ada.hear(), "* guest 1 is Ada now");
    let mut grace = Member::enter(address);
    // What was said before.
    assert_eq!(
        [grace.hear(), grace.hear(), grace.hear()],
        ["* guest 1 comes in", "* guest 1 is Ada now", "* guest 2 comes in"]
    );
    assert_eq!(ada.hear(), "* guest 2 comes in");
    // A line in parts, and two lines at once.
    grace.stream.write_all(b"hel").unwrap();
    grace.stream.write_all(b"lo\nagain\n").unwrap();
    for member in [&mut ada, &mut grace] {
        assert_eq!([member.hear(), member.hear()], ["guest 2: hello", "guest 2: again"]);
    }
    // A client that has sent its last line still gets the answer.
    grace.say("bye");
    grace.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(grace.hear(), "guest 2: bye");
    assert_eq!([ada.hear(), ada.hear()], ["guest 2: bye", "* guest 2 is gone"]);
    // One that the program closes.
    ada.say("/quit");
    assert_eq!(ada.hear(), "");
    server.stop();
}

#[test]
fn a_client_that_has_sent_all_gets_all_answers() {
    let address = free_port();
    // Few lines at once, as the room takes no more.
    let config = format!("[program]\ntcp = \"{address}\"\nmessage = \"1KiB\"\n[limits]\ncalls_per_second = 1000000\n");
    let folder = folder("chat", &chat(), &config);
    let server = Server::start(folder.path(), &[]);
    let mut ada = Member::enter(address);
    let lines: Vec<String> = (0..800).map(|number| format!("{number} {}", "x".repeat(200))).collect();
    for line in &lines {
        ada.say(line);
    }
    ada.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(ada.hear(), "* guest 1 comes in");
    for line in &lines {
        assert_eq!(ada.hear(), format!("guest 1: {line}"));
    }
    assert_eq!(ada.hear(), "");
    server.stop();
}

#[test]
fn each_room_has_a_program_of_its_own_over_websockets() {
    let folder = folder("chat", &chat(), "[program]\nwebsocket = \"/rooms/{tenant}\"\n");
    let server = Server::start(folder.path(), &["--program-instances", "1"]);
    let mut red = socket(server.address, "/chat/rooms/red");
    let mut blue = socket(server.address, "/chat/rooms/blue");
    assert_eq!(text(&mut red), "* guest 1 comes in");
    assert_eq!(text(&mut blue), "* guest 1 comes in", "its own room");
    // All rooms take turns on one instance for each thread.
    let mut others: Vec<Socket> = (0..20).map(|room| socket(server.address, &format!("/chat/rooms/{room}"))).collect();
    for round in 0..3 {
        for other in &mut others {
            other.send(Message::text(format!("round {round}\n"))).unwrap();
        }
    }
    for other in &mut others {
        let heard: Vec<String> = (0..4).map(|_| text(other)).collect();
        assert_eq!(heard, ["* guest 1 comes in", "guest 1: round 0", "guest 1: round 1", "guest 1: round 2"]);
    }
    red.send(Message::text("only here\n")).unwrap();
    assert_eq!(text(&mut red), "guest 1: only here");
    blue.close(None).unwrap();
    assert!(matches!(blue.read(), Ok(Message::Close(_))), "it is answered");
    // A request that is no WebSocket finds nothing there.
    assert_eq!(Request::new("GET", "/chat/rooms/red").ask(server.address).status, 404);
    let wrong =
        Request::new("GET", "/chat/rooms/red").header("Upgrade", "websocket").header("Sec-WebSocket-Version", 12);
    assert_eq!(wrong.ask(server.address).status, 400);
    // When the server stops it says so.
    let process = server.process;
    process.signal("TERM");
    let closed = loop {
        if let Message::Close(frame) = red.read().unwrap() {
            break frame.unwrap();
        }
    };
    assert_eq!(closed.code, CloseCode::Away);
    assert_eq!(process.end().0, Some(0));
}

#[test]
fn a_program_goes_on_when_the_server_starts_again() {
    let address = free_port();
    let config = format!("[program]\ntcp = \"{address}\"\n");
    let folder = folder("chat", &chat(), &config);
    let server = Server::start(folder.path(), &[]);
    let mut ada = Member::enter(address);
    assert_eq!(ada.hear(), "* guest 1 comes in");
    ada.say("remember this");
    assert_eq!(ada.hear(), "guest 1: remember this");
    server.stop();
    // Its connection was closed, and the program was told.
    assert_eq!(ada.hear(), "");

    let server = Server::start(folder.path(), &[]);
    let mut grace = Member::enter(address);
    let heard: Vec<String> = (0..4).map(|_| grace.hear()).collect();
    assert_eq!(heard, ["* guest 1 comes in", "guest 1: remember this", "* guest 1 is gone", "* guest 2 comes in"]);
    grace.say("/who");
    assert_eq!(grace.hear(), "* guest 2");

    // Another version begins anew; connections of the old one are closed.
    let mut other = chat();
    // A custom section makes it another module.
    other.extend([0, 5, 4, b'n', b'e', b'w', b'!']);
    let mut stays = Member::enter(address);
    assert_eq!(grace.hear(), "* guest 3 comes in");
    put(&folder, "chat", &other, &config);
    server.process.wait_for_stderr("\"version\":2");
    let mut mary = Member::enter(address);
    assert_eq!(mary.hear(), "* guest 1 comes in");
    server.process.wait_for_stderr("it kept memory of another version of its program");
    mary.say("fresh");
    assert_eq!(mary.hear(), "guest 1: fresh");
    // The end of the old version's connections is not the new version's affair.
    assert_eq!(grace.hear(), "");
    while !stays.hear().is_empty() {}
    let mut paul = Member::enter(address);
    assert_eq!([paul.hear(), paul.hear(), paul.hear()], ["* guest 1 comes in", "guest 1: fresh", "* guest 2 comes in"]);
    assert_eq!(mary.hear(), "* guest 2 comes in");

    // Other limits close the connections, and keep the memory.
    put(&folder, "chat", &other, &format!("{config}[limits]\nmemory = \"256KiB\"\ncalls_per_second = 7\n"));
    while !mary.hear().is_empty() {}
    let mut rosa = Member::enter(address);
    assert_eq!([rosa.hear(), rosa.hear()], ["* guest 1 comes in", "guest 1: fresh"]);
    server.stop();
}

#[test]
fn limits_of_a_program_disconnect_the_client_that_exceeds_them() {
    let address = free_port();
    let limits = "connections = 2\noutgoing = \"4KiB\"\n[limits]\ncalls_per_second = 1000000\n";
    let folder = folder("chat", &chat(), &format!("[program]\ntcp = \"{address}\"\n{limits}"));
    let server = Server::start(folder.path(), &[]);
    let mut ada = Member::enter(address);
    let _silent = Member::enter(address);
    assert_eq!([ada.hear(), ada.hear()], ["* guest 1 comes in", "* guest 2 comes in"]);
    let mut third = Member::enter(address);
    assert_eq!(third.hear(), "", "there are as many as there may be");
    // One that reads nothing is disconnected some time; the other hears all of it.
    let line = "x".repeat(200);
    for said in 0.. {
        ada.say(&line);
        let heard = ada.hear();
        if heard == "* guest 2 is gone" {
            assert_eq!(ada.hear(), format!("guest 1: {line}"));
            break;
        }
        assert_eq!(heard, format!("guest 1: {line}"), "{said}");
    }
    // Told at most once in ten seconds.
    server.process.wait_for_stderr("it has as many connections as it may have");
    server.stop();
}

#[test]
fn a_guest_that_is_no_program_is_refused_with_the_place() {
    let wasm = wat::parse_str(r#"(module (func (export "read") (result i32) (i32.const 1)))"#).unwrap();
    let folder = folder("odd", &wasm, "mount = \"/odd\"\n\n[program]\nwebsocket = \"/\"\n");
    let server = Server::start(folder.path(), &[]);
    server.process.wait_for_stderr("odd/guest.toml:4:1");
    server.process.wait_for_stderr("guest_sdk::program!");
    server.stop();
}

#[test]
fn a_port_in_use_is_told_and_the_others_are_served() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = folder("chat", &chat(), &format!("[program]\ntcp = \"{address}\"\nwebsocket = \"/ws\"\n"));
    let server = Server::start(folder.path(), &[]);
    server.process.wait_for_stderr("choose another address by `tcp` in guest.toml");
    let mut open = socket(server.address, "/chat/ws");
    assert_eq!(text(&mut open), "* guest 1 comes in");
    // When it is free, it is taken.
    drop(taken);
    let mut ada = Member::enter(address);
    assert_eq!(ada.hear(), "* guest 1 comes in", "it is the same room");
    assert_eq!(text(&mut open), "* guest 2 comes in");
    server.stop();
}

/// The lines that somebody who comes in reads first.
fn remembered(address: SocketAddr, round: u64) -> Vec<String> {
    let mut reader = Member::enter(address);
    reader.say(&format!("/name reader {round}"));
    let mut lines = Vec::new();
    loop {
        let line = reader.hear();
        assert_ne!(line, "", "{lines:?}");
        if line.ends_with(&format!("is reader {round} now")) {
            return lines;
        }
        lines.push(line);
    }
}

#[test]
fn what_was_answered_is_there_after_the_process_was_killed_and_happened_once() {
    let address = free_port();
    let config = format!("[program]\ntcp = \"{address}\"\n[limits]\ncalls_per_second = 1000000\n");
    let folder = folder("chat", &chat(), &config);
    let mut said: u64 = 0;
    for round in 0..12_u64 {
        let server = Server::start(folder.path(), &[]);
        let lines = remembered(address, round);
        // In order, each once, and none missing up to the last that was heard. One more may have come to the disk.
        let numbers: Vec<u64> = lines.iter().filter_map(|line| line.split_once(": line ")?.1.parse().ok()).collect();
        assert!(numbers.is_sorted_by(|one, other| one + 1 == *other), "{lines:?}");
        if round > 0 {
            let last = *numbers.last().unwrap_or(&0);
            assert!(last == said || last == said + 1, "{said}: {lines:?}");
            said = last;
            // The program was told that the connections of the process that was killed are closed.
            assert!(lines.iter().any(|line| line.ends_with("is gone")), "{lines:?}");
        }
        let mut member = Member::enter(address);
        for _ in 0..=round * 5 % 17 {
            member.say(&format!("line {}", said + 1));
            while !member.hear().ends_with(&format!(": line {}", said + 1)) {}
            said += 1;
        }
        // One whose answer nobody waits for.
        member.say(&format!("line {}", said + 1));
        server.process.signal("KILL");
        server.process.end();
    }
    assert!(said > 60);
}
