//! Programs: guests that keep their memory between events of connections.

use std::net::SocketAddr;

use super::route::RoutePath;
use super::table::Table;
use crate::error::{Place, ServeError};

/// The keys of the table `program`.
pub(super) const KEYS: [&str; 7] = ["tcp", "websocket", "message", "tenants", "connections", "outgoing", "durable"];

/// Bytes that a message can be allowed to have.
const MOST: usize = 1 << 20;

/// Where the connections of a program come from, and what they may take.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProgramConfig {
    /// Where TCP connections are taken. They all belong to the tenant with the guest's name.
    pub tcp: Option<SocketAddr>,
    /// The path of WebSockets, below the mount. With `{tenant}` in it, each value is a tenant with a program of its own.
    pub websocket: Option<RoutePath>,
    /// Bytes of a message, at most: what a WebSocket takes, and what a program gets at once of a stream. Instances begin with room for
    /// it, so a program whose messages may be of another size begins anew.
    pub message: usize,
    /// Tenants that there are at most: with memory that is kept, or with connections.
    pub tenants: u32,
    /// Connections of one tenant that are open at the same time, at most.
    pub connections: u32,
    /// Bytes that wait to be sent to one connection, at most. A client that reads too slowly is disconnected.
    pub outgoing: usize,
    /// Whether an answer is sent only when the memory of the program is on the disk.
    pub durable: bool,
    /// Where it begins in the file.
    pub(crate) place: Place,
}

impl ProgramConfig {
    pub(super) fn read(table: &Table<'_, '_, '_>) -> Result<Self, ServeError> {
        let address = |text: &str| {
            text.parse().map_err(|_| format!("`{text}` is not an address and a port; write it as \"127.0.0.1:7000\""))
        };
        let tcp = match table.text("tcp")? {
            Some(text) => Some(address(text.text).map_err(|message| text.error(message))?),
            None => None,
        };
        let websocket = match table.text("websocket")? {
            Some(path) => Some(RoutePath::parse(path.text).map_err(|message| path.error(message))?),
            None => None,
        };
        if tcp.is_none() && websocket.is_none() {
            return Err(table
                .place()
                .error("`[program]` lacks connections; add `tcp` with an address, or `websocket` with a path"));
        }
        Ok(Self {
            tcp,
            websocket,
            message: match table.read("message", super::bytes)?.unwrap_or(8 << 10) {
                message @ 1..=MOST => message,
                _ => return Err(table.place().error("`message` must be from 1B to 1MiB")),
            },
            tenants: table.count("tenants", 1..=u32::MAX)?.unwrap_or(10_000),
            connections: table.count("connections", 1..=1_000_000)?.unwrap_or(1000),
            outgoing: table.read("outgoing", super::bytes)?.unwrap_or(256 << 10),
            durable: table.flag("durable")?.unwrap_or(true),
            place: table.place(),
        })
    }
}
