//! Clients of programs that vanish without a word, and as many connections as there may be.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::client::PATIENCE;
use crate::counting::{Tenant, folder};
use crate::process::{Request, Server};

#[test]
fn a_client_that_does_not_answer_pings_is_disconnected_and_its_program_is_told() {
    let folder = folder("", "");
    let server = Server::start(folder.path(), &["--keep-alive", "100ms"]);
    let mut silent = Tenant::connect(server.address, "a");
    assert_eq!(silent.ask("x"), 1);
    // It reads nothing from now on, and so answers nothing. One that answers stays.
    let mut answers = Tenant::connect(server.address, "a");
    let mut pings = 0;
    while pings < 4 {
        pings += u32::from(matches!(answers.0.read().unwrap(), Message::Ping(_)));
    }
    while answers.ask("x") < 1000 {}
    assert_eq!(answers.ask("x") / 1000, 1, "the silent one alone is gone");
    assert_eq!(silent.code(), CloseCode::Policy);
    server.stop();
}

/// A connection over TCP, when the server listens.
fn connect(address: SocketAddr) -> TcpStream {
    let until = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                return stream;
            }
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        sleep(Duration::from_millis(10));
    }
}

fn ask(stream: &mut TcpStream) -> u64 {
    let mut number = [0; 8];
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut number).unwrap();
    u64::from_le_bytes(number)
}

#[test]
fn connections_of_programs_and_of_requests_share_the_room() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = folder(&format!("tcp = \"{address}\""), "");
    let server = Server::start(folder.path(), &["--connections", "3", "--threads", "1"]);
    let mut open: Vec<TcpStream> = (0..3).map(|_| connect(address)).collect();
    for (stream, number) in open.iter_mut().zip(1..) {
        assert_eq!(ask(stream), number);
    }
    // Further ones wait, of either kind, and are not refused.
    let mut waits = connect(address);
    waits.write_all(b"x").unwrap();
    let mut request = Request::new("GET", "/none").send(server.address);
    for number in 4..=60 {
        assert_eq!(ask(&mut open[0]), number);
    }
    waits.set_nonblocking(true).unwrap();
    assert_eq!(waits.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
    request.stream().set_nonblocking(true).unwrap();
    assert_eq!(request.receive().unwrap_err().kind(), ErrorKind::WouldBlock);
    waits.set_nonblocking(false).unwrap();
    request.stream().set_nonblocking(false).unwrap();
    drop(open);
    let mut number = [0; 8];
    waits.read_exact(&mut number).unwrap();
    assert!(u64::from_le_bytes(number) > 60);
    assert_eq!(request.receive().unwrap().status, 404);
    server.stop();
}
