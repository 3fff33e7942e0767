//! Clients of the program [`counter`].

use std::net::{SocketAddr, TcpStream};

use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};

use crate::client::PATIENCE;
use crate::guests::{Guests, counter};

/// A tenant's connection.
pub(crate) struct Tenant(pub(crate) WebSocket<TcpStream>);

impl Tenant {
    pub(crate) fn connect(address: SocketAddr, key: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(client(format!("ws://{address}/counts/{key}"), stream).unwrap().0)
    }

    pub(crate) fn send(&mut self, message: &str) {
        self.0.send(Message::text(message)).unwrap();
    }

    /// The number that the program answers.
    pub(crate) fn number(&mut self) -> u64 {
        loop {
            match self.0.read().unwrap() {
                Message::Binary(bytes) => return u64::from_le_bytes(bytes.as_ref().try_into().unwrap()),
                Message::Text(text) => return u64::from_le_bytes(text.as_bytes().try_into().unwrap()),
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) fn ask(&mut self, message: &str) -> u64 {
        self.send(message);
        self.number()
    }

    /// The code with which the server closes the connection.
    pub(crate) fn code(&mut self) -> CloseCode {
        loop {
            if let Message::Close(frame) = self.0.read().unwrap() {
                return frame.unwrap().code;
            }
        }
    }
}

/// A folder with the guest `counts`, with these lines of `[program]` and of `[limits]`.
pub(crate) fn folder(program: &str, limits: &str) -> Guests {
    let folder = Guests::new();
    folder.put("counts", &config(program, limits), &counter());
    folder
}

/// Its configuration.
pub(crate) fn config(program: &str, limits: &str) -> String {
    format!("[program]\nwebsocket = \"/{{tenant}}\"\n{program}\n[limits]\ncalls_per_second = 1000000\n{limits}")
}
