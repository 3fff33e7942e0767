//! The commands of the page "A chat room and a function in ten minutes", run as they are written, in their order, with the server that
//! the page starts.
#![cfg(unix)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

use crate::start::{Shell, page};

/// Longer than anything takes that a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A block of the page: its language and its lines.
type Block = (String, Vec<String>);

fn blocks(text: &str) -> Vec<Block> {
    let (mut blocks, mut open) = (Vec::new(), None::<Block>);
    for line in text.lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(language), None) => open = Some((language.to_owned(), Vec::new())),
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some((language, mut lines))) => {
                lines.push(line.to_owned());
                open = Some((language, lines));
            }
            (None, None) => {}
        }
    }
    blocks
}

/// The server, which ends with the test.
struct Server {
    child: Child,
    /// Its address in the place of the page's.
    address: SocketAddr,
}

impl Server {
    /// Starts it by a command of the page, at free ports.
    fn start(shell: &Shell, line: &str) -> Self {
        let harness = Path::new(env!("CARGO_BIN_EXE_host-harness"));
        let program = harness.with_file_name("host-harness-serve");
        assert!(program.is_file(), "build it before: cargo build --workspace --bin host-harness-serve");
        let words = line.split_whitespace().skip(1).chain(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        let out = shell.folder().join("serving");
        let written = || std::fs::File::options().create(true).append(true).open(&out).unwrap();
        let mut command = Command::new(harness);
        command.args(words).current_dir(shell.folder()).stdin(Stdio::null()).stdout(written()).stderr(written());
        let mut server = Self { child: command.spawn().unwrap(), address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let said = wait("the server starts", || {
            let said = std::fs::read_to_string(&out).unwrap();
            said.contains("administration on http://").then_some(said)
        });
        let line = said.lines().find_map(|line| line.strip_prefix("serving on http://"));
        server.address = line.unwrap_or_else(|| panic!("{said}")).parse().unwrap();
        server
    }

    /// Sends the request of a command of `curl`, and returns the body of the response.
    fn curl(&self, line: &str) -> String {
        let (url, body) = match line.strip_prefix("curl ").and_then(|rest| rest.split_once(" -d ")) {
            Some((url, body)) => (url, body.trim_matches('\'')),
            None => panic!("the test cannot send {line}"),
        };
        let path = url.strip_prefix("127.0.0.1:8080").unwrap_or_else(|| panic!("{url}"));
        let mut stream = TcpStream::connect(self.address).unwrap();
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{response}")).1.trim_end().to_owned()
    }

    /// Opens the WebSocket of a script of the page, once there is its guest.
    fn connect(&self, script: &[String]) -> WebSocket<TcpStream> {
        let url = script.iter().find_map(|line| line.split('"').nth(1)).unwrap();
        let path = url.strip_prefix("ws://127.0.0.1:8080").unwrap_or_else(|| panic!("{url}"));
        wait("the guest is deployed", || {
            let stream = TcpStream::connect(self.address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            tungstenite::client(format!("ws://{}{path}", self.address), stream).ok().map(|(socket, _)| socket)
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // `host-harness` passes its place on to the server, so this is the server itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until there is something.
fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        match look() {
            Some(found) => return found,
            None => assert!(Instant::now() < until, "in vain: {what}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn next(socket: &mut WebSocket<TcpStream>) -> String {
    match socket.read().unwrap() {
        Message::Text(text) => text.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_page_leads_to_a_function_and_a_chat_room() {
    let mut shell = Shell::new();
    let mut server = None;
    let (mut answers, mut deployed) = (0, 0);
    for (language, lines) in blocks(&page("docs/src/serve/start.md")) {
        match language.as_str() {
            "sh" => lines.iter().for_each(|line| drop(shell.run(line))),
            "console" => {
                let commands = lines.iter().filter_map(|line| line.strip_prefix("$ "));
                let printed = lines.split(|line| line.starts_with("$ ")).skip(1);
                for (command, expected) in commands.zip(printed) {
                    match &server {
                        None => server = Some(Server::start(&shell, command)),
                        Some(server) => {
                            assert_eq!(server.curl(command), expected.join("\n"), "{command}");
                            answers += 1;
                        }
                    }
                }
            }
            "text" => {
                let server = server.as_ref().unwrap();
                let mut first = server.connect(&lines);
                assert_eq!(next(&mut first), "guest 1 comes in");
                first.send(Message::text("hello")).unwrap();
                assert_eq!(next(&mut first), "guest 1: hello");
                let mut second = server.connect(&lines);
                assert_eq!(next(&mut second), "guest 1 comes in");
                assert_eq!(next(&mut second), "guest 1: hello");
                assert_eq!(next(&mut second), "guest 2 comes in");
                deployed += 1;
            }
            other => panic!("a block of {other}"),
        }
    }
    assert_eq!((answers, deployed), (3, 1));
}
