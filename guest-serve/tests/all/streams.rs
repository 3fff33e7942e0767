//! Functions that read and write bodies piece by piece.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use guest_abi::function::Declaration;
use guest_functions::{Kind, Scalar, Type};

use crate::client::PATIENCE;
use crate::guests::{entry, section};
use crate::process::Request;
use crate::server::Server;

const NAMES: [&str; 10] = ["pump", "early", "spin", "late", "endless", "trap", "twice", "garbage", "empty", "greedy"];

/// Functions of streams. Each of them traps if its instance is not pristine.
fn guest() -> String {
    const BYTES: Type = Type::of(Scalar::Bytes);
    macro_rules! of_bytes {
        ($($name:literal)*) => { section(&[$(entry!($name, ["request": BYTES], BYTES)),*]) };
    }
    let section = of_bytes!("pump" "early" "spin" "late" "endless" "trap" "twice" "garbage" "empty" "greedy");
    // {"status": 200}, and {"status": 200, "body": "early"}
    let (head, early) = (r"\a1\66status\18\c8", r"\a2\66status\18\c8\64body\45early");
    let function = |name: &str, body: &str| {
        format!(
            r#"(func (export "__guest_function_{name}") (param i32 i32) (result i64) (local $length i32)
                (if (i32.load (i32.const 1024)) (then unreachable))
                (i32.store (i32.const 1024) (i32.const 1))
                {body})"#
        )
    };
    let begin = "(call $write (i32.const 16) (i32.const 10))";
    let give = "(call $write (i32.const 4096) (i32.const 4096))";
    let spin = "(loop $l (br $l)) (i64.const 0)";
    let functions = [
        function(
            "pump",
            &format!(
                "{begin} (loop $next
                    (local.set $length (call $read (i32.const 196608) (i32.const 100000)))
                    (call $write (i32.const 196608) (local.get $length))
                    (br_if $next (local.get $length)))
                (i64.const 0)"
            ),
        ),
        function("early", "(i64.const 0x4000000015)"),
        function("spin", spin),
        function("late", &format!("{begin} {give} {spin}")),
        function("endless", &format!("{begin} (loop $l {give} (br $l)) (i64.const 0)")),
        function("trap", &format!("{begin} {give} unreachable")),
        function("twice", &format!("{begin} {give} (i64.const 0x4000000015)")),
        function("garbage", &format!("{give} (i64.const 0)")),
        function("empty", "(i64.const 0)"),
        function("greedy", "(loop $l (drop (call $read (i32.const 196608) (i32.const 1))) (br $l)) (i64.const 0)"),
    ];
    format!(
        r#"(module
        (import "extension" "stream_read" (func $read (param i32 i32) (result i32)))
        (import "extension" "stream_write" (func $write (param i32 i32)))
        (memory (export "memory") 5)
        (data (i32.const 16) "{head}") (data (i32.const 64) "{early}") (data (i32.const 4096) "given")
        (func (export "__guest_exchange") (param i32) (result i32) (i32.const 65536))
        {} {section})"#,
        functions.concat()
    )
}

/// A server with these functions, each at its name, under these limits.
fn server(limits: &str) -> Server {
    let route = |name: &str| {
        format!("[[routes]]\npath = \"/{name}\"\nfunction = \"{name}\"\nformat = \"http\"\nstream = true\n")
    };
    let routes: String = NAMES.into_iter().map(route).collect();
    let server = Server::start(&["--threads=1"]);
    server.deploy("site", &format!("{routes}[limits]\nmemory = \"512KiB\"\n{limits}"), &guest());
    server
}

/// A request whose body is sent in chunks, and its response as it comes.
struct Stream {
    stream: BufReader<TcpStream>,
}

impl Stream {
    fn begin(server: &Server, path: &str) -> Self {
        let client = server.client().into_reader();
        let mut begun = Self { stream: client };
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        begun.stream.get_mut().write_all(head.as_bytes()).unwrap();
        begun
    }

    /// Sends a chunk; without bytes it ends the body. The other side may not listen any more.
    fn send(&mut self, bytes: &[u8]) -> &mut Self {
        let chunk = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
        let _ = self.stream.get_mut().write_all(&chunk);
        self
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    /// The status, behind which the headers are skipped; and the length of the body, if there is one.
    fn head(&mut self) -> (u16, Option<usize>) {
        let status = self.line().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let mut length = None;
        loop {
            let line = self.line().unwrap().to_ascii_lowercase();
            match line.split_once(": ") {
                Some(("content-length", found)) => length = Some(found.parse().unwrap()),
                Some(_) => {}
                None => return (status, length),
            }
        }
    }

    /// The next chunk; none at the end.
    fn chunk(&mut self) -> io::Result<Vec<u8>> {
        let length = usize::from_str_radix(&self.line()?, 16).unwrap();
        let mut bytes = vec![0; length + 2];
        self.stream.read_exact(&mut bytes)?;
        bytes.truncate(length);
        Ok(bytes)
    }

    /// So many bytes of the body.
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            bytes.extend(self.chunk().unwrap());
        }
        bytes
    }

    /// The status and the body of a response that was not streamed.
    fn whole(&mut self) -> (u16, String) {
        let (status, length) = self.head();
        let mut body = vec![0; length.unwrap()];
        self.stream.read_exact(&mut body).unwrap();
        (status, String::from_utf8(body).unwrap())
    }

    /// That the body is cut off, and what came of it.
    fn cut(&mut self) -> usize {
        let mut count = 0;
        loop {
            match self.chunk() {
                Ok(bytes) if bytes.is_empty() => panic!("it ended properly after {count} bytes"),
                Ok(bytes) => count += bytes.len(),
                Err(_) => return count,
            }
        }
    }
}

/// Waits until the guest's last error has this text.
fn error_of(server: &Server, text: &str) {
    let until = Instant::now() + PATIENCE;
    loop {
        match server.last_error("site") {
            Some(error) if error.contains(text) => return,
            error => assert!(Instant::now() < until, "{text} does not come: {error:?}"),
        }
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn bodies_may_be_larger_than_the_memory_of_the_guest() {
    let server = server("body = \"64MiB\"\nresponse = \"64MiB\"\ndeadline = \"1min\"\ntotal = \"1min\"\n");
    for _ in 0..2 {
        let mut stream = Stream::begin(&server, "/site/pump");
        let mut sender = stream.stream.get_ref().try_clone().unwrap();
        // Each byte says where it stands.
        let piece = |number: usize| (0..40_000).map(|at| (number * 31 + at) as u8).collect::<Vec<u8>>();
        let sent = thread::spawn(move || {
            for number in 0..500 {
                sender.write_all(&[b"9c40\r\n", piece(number).as_slice(), b"\r\n"].concat()).unwrap();
            }
            sender.write_all(b"0\r\n\r\n").unwrap();
        });
        assert_eq!(stream.head(), (200, None));
        let mut received = Vec::new();
        for number in 0..500 {
            while received.len() < 40_000 {
                received.extend(stream.chunk().unwrap());
            }
            let rest = received.split_off(40_000);
            assert!(received == piece(number), "piece {number}");
            received = rest;
        }
        assert!(received.is_empty() && stream.chunk().unwrap().is_empty());
        sent.join().unwrap();
    }
    assert_eq!((server.counts("site").calls(), server.counts("site").failed()), (2, 0));
    assert!(server.counts("site").memory <= 512 << 10);
}

#[test]
fn pieces_go_through_at_once_and_waiting_takes_no_time_of_the_guest() {
    let server = server("deadline = \"5ms\"\ntotal = \"1min\"\n");
    let mut stream = Stream::begin(&server, "/site/pump");
    assert_eq!(stream.head().0, 200, "before the first byte of the body");
    for number in 0..5 {
        // Longer than all the time that the guest has.
        thread::sleep(Duration::from_millis(20));
        let piece = format!("piece {number}");
        assert_eq!(stream.send(piece.as_bytes()).bytes(7), piece.as_bytes());
    }
    assert!(stream.send(b"").chunk().unwrap().is_empty());
}

#[test]
fn a_whole_response_needs_no_stream_and_the_connection_goes_on() {
    let server = server("");
    let mut stream = Stream::begin(&server, "/site/early");
    stream.send(b"nobody reads this").send(b"");
    assert_eq!(stream.whole(), (200, "early".to_owned()));
    // The next request on the same connection.
    let mut client = server.client();
    for _ in 0..3 {
        assert_eq!(client.post("/site/early", "x".repeat(50_000)).text(), "early");
    }
}

#[test]
fn what_fails_before_the_response_has_its_status() {
    let server = server("deadline = \"200ms\"\nbody = \"100B\"\n");
    for (path, status, kind) in [
        ("/site/spin", 504, "deadline-exceeded"),
        // It waits for nobody at the end of the body.
        ("/site/greedy", 504, "deadline-exceeded"),
        ("/site/garbage", 500, "invalid-response"),
        ("/site/empty", 500, "invalid-response"),
    ] {
        for _ in 0..2 {
            let mut stream = Stream::begin(&server, path);
            let (found, body) = stream.send(b"").whole();
            assert!(found == status && body.contains(kind), "{path}: {found} {body}");
        }
    }
    assert_eq!(server.counts("site").failed(), 8);
}

/// A client that gets a status without that word may keep its body, and the guest would wait for it.
#[test]
fn a_client_that_asks_whether_to_go_on_is_told_before_the_response_begins() {
    let server = server("body = \"1MiB\"\n");
    for length in [5, 2000, 200_000].repeat(20) {
        let head = format!(
            "POST /site/pump HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
        );
        let mut client = server.client();
        assert_eq!(client.send_raw(&head).receive().unwrap().status, 100, "{length}");
        client.stream().write_all(&vec![b'x'; length]).unwrap();
        assert!(client.head().starts_with("HTTP/1.1 200"));
    }
    // A body that is too large is not asked for.
    let head = "POST /site/pump HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2000000\r\n\r\n";
    assert_eq!(server.client().send_raw(head).receive().unwrap().status, 413);
}

#[test]
fn what_fails_later_cuts_the_body_off_and_is_recorded() {
    let server = server("deadline = \"200ms\"\nbody = \"100B\"\nresponse = \"40KiB\"\n");
    for (path, error) in [
        ("/site/late", "the deadline of 200ms passed"),
        ("/site/trap", "`unreachable`"),
        ("/site/endless", "the result has 45056 bytes, and a response may have 40960"),
        ("/site/twice", "it returned another one after it had begun this"),
    ] {
        let mut stream = Stream::begin(&server, path);
        assert_eq!(stream.send(b"").head().0, 200, "{path}");
        stream.cut();
        error_of(&server, error);
    }
    // A body that is too large is the client's fault, and no error of the guest.
    let mut stream = Stream::begin(&server, "/site/pump");
    assert_eq!(stream.head().0, 200);
    assert_eq!(stream.send(&[b'x'; 100]).bytes(100), [b'x'; 100]);
    assert_eq!(stream.send(b"x").cut(), 0);
    let until = Instant::now() + PATIENCE;
    while server.counts("site").refused() == 0 {
        assert!(Instant::now() < until);
        thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(server.counts("site").by_status.get(&413), Some(&1));
    // One whose length is known is refused before the call begins.
    let refused = Request::new("POST", "/site/pump").body(&[b'x'; 101]).ask(server.address);
    assert_eq!((refused.status, refused.error().0.as_str()), (413, "body"));
}

#[test]
fn a_call_has_a_time_in_all() {
    let server = server("total = \"100ms\"\n");
    let mut stream = Stream::begin(&server, "/site/pump");
    assert_eq!(stream.head().0, 200);
    // The client sends no more.
    assert_eq!(stream.cut(), 0);
    error_of(&server, "the call took longer than 100ms in all");
    assert_eq!(server.counts("site").instances, 0, "its instance is gone with it");
    let mut next = Stream::begin(&server, "/site/early");
    assert_eq!(next.send(b"").whole().0, 200);
}

#[test]
fn a_tenant_has_so_many_streams_and_a_client_that_vanishes_frees_its_own() {
    let server = server("streams = 2\ntotal = \"1min\"\ncalls_per_second = 1000000\n");
    let open = || {
        let mut stream = Stream::begin(&server, "/site/pump");
        (stream.head(), stream)
    };
    let ((first, _), mut one) = open();
    let ((second, _), two) = open();
    assert_eq!((first, second), (200, 200));
    let mut third = Stream::begin(&server, "/site/pump");
    let (status, body) = third.send(b"").whole();
    assert!(status == 503 && body.contains("as many streams of the tenant are open as may"), "{status} {body}");
    // Without a word.
    drop(two);
    let until = Instant::now() + PATIENCE;
    loop {
        let mut next = Stream::begin(&server, "/site/pump");
        if next.send(b"abc").send(b"").head().0 == 200 {
            assert_eq!(next.bytes(3), b"abc");
            break;
        }
        assert!(Instant::now() < until);
    }
    assert!(one.send(b"").chunk().unwrap().is_empty(), "the other one goes on");
    assert!(server.counts("site").limited >= 1);
}

#[test]
fn a_head_has_no_body_and_streams_end_with_the_server() {
    let server = Server::start(&["--threads=1", "--streams=1"]);
    let route = |name: &str, method: &str| {
        format!(
            "[[routes]]\nmethod = \"{method}\"\npath = \"/{name}\"\nfunction = \"{name}\"\nformat = \"http\"\nstream = true\n"
        )
    };
    let config = route("twice", "GET") + &route("pump", "GET") + &route("spin", "POST");
    server.deploy("site", &format!("{config}[limits]\ndeadline = \"1min\"\ncalls_per_second = 1000000\n"), &guest());
    let mut client = server.client();
    let until = Instant::now() + PATIENCE;
    // The client has the response before the function has ended, and the one place is taken so long.
    let mut wait_for = |status: &str| loop {
        let head = client.send("HEAD", "/site/pump", "", b"").head();
        match head.split(' ').nth(1) {
            Some(found) if found == status => return,
            Some("200" | "503") if Instant::now() < until => {}
            _ => panic!("{head}"),
        }
    };
    wait_for("200");
    wait_for("200");
    // It runs still when the server ends.
    let mut spin = Stream::begin(&server, "/site/spin");
    spin.send(b"");
    wait_for("503");
    server.end("site");
}

#[test]
fn a_call_without_a_stream_reads_none() {
    let server = Server::start(&[]);
    let route = "[[routes]]\npath = \"/pump\"\nfunction = \"pump\"\nformat = \"http\"\n";
    server.deploy("site", route, &guest());
    let response = server.post("/site/pump", "body");
    let (kind, message) = response.error();
    assert_eq!((response.status, kind.as_str()), (500, "invalid-guest-data"));
    assert!(message.contains("the guest reads or writes a stream, and this call has none"), "{message}");
}

#[test]
fn a_route_with_a_stream_must_fit_its_function() {
    let server = server("");
    let refused = |config: &str| {
        server.guests.put("other", config, "(module (func (export \"f\") (result i32) (i32.const 1)))");
        server.load_error("other")
    };
    let route = "[[routes]]\npath = \"/f\"\nfunction = \"f\"\nstream = true\n";
    let error = refused(route);
    assert!(error.contains("other/guest.toml:2:1: `stream = true` is for functions that give responses"), "{error}");
}
