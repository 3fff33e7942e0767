//! Programs: guests that keep their memory between events of connections, such as a chat room or a game.
//!
//! Write a type that is a [`Program`], and name it in [`program!`](crate::program!). A host such as `host-harness serve` owns the
//! connections, calls the program for each event, and carries out its [`Actions`].
//!
//! ```
//! use guest_sdk::program::{Actions, Connection, Program};
//!
//! /// Sends each message to everybody.
//! #[derive(Default)]
//! struct Room {
//!     members: Vec<Connection>,
//! }
//!
//! impl Program for Room {
//!     fn connected(&mut self, connection: Connection, _peer: &str, actions: &mut Actions) {
//!         self.members.push(connection);
//!         actions.write(connection, b"welcome");
//!     }
//!
//!     fn read(&mut self, _connection: Connection, bytes: &[u8], actions: &mut Actions) {
//!         actions.write_all(&self.members, bytes);
//!     }
//!
//!     fn closed(&mut self, connection: Connection, _actions: &mut Actions) {
//!         self.members.retain(|member| *member != connection);
//!     }
//! }
//!
//! guest_sdk::program!(Room);
//!
//! // In a test the program is a value like any other.
//! let (mut room, mut actions) = (Room::default(), Actions::default());
//! room.connected(Connection::new(1), "10.0.0.1:4000", &mut actions);
//! assert_eq!(actions.writes(), [(vec![Connection::new(1)], b"welcome".to_vec())]);
//! ```

use alloc::vec::Vec;

use guest_abi::program::{self, Action, append};

#[doc(hidden)]
pub use crate::function::Answer;
use crate::once::Once;

/// A connection of a client. No other connection of the program has ever had its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Connection(i64);

impl Connection {
    /// The connection with this number.
    #[must_use]
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }
}

/// A guest that keeps its memory between events.
///
/// A call that panics or traps is undone: the program is as before the event, and none of its actions are carried out.
pub trait Program {
    /// A client has connected; `peer` is its address.
    fn connected(&mut self, connection: Connection, peer: &str, actions: &mut Actions) {
        let _ = (connection, peer, actions);
    }

    /// A client has sent bytes: a message of a WebSocket, or what arrived of a stream of TCP, which need not be a whole line.
    fn read(&mut self, connection: Connection, bytes: &[u8], actions: &mut Actions);

    /// A connection was closed, by either side. Nothing can be written to it any more.
    fn closed(&mut self, connection: Connection, actions: &mut Actions) {
        let _ = (connection, actions);
    }
}

/// What a program wants done when the call has succeeded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Actions {
    bytes: Vec<u8>,
}

impl Actions {
    /// Writes bytes to a connection. One that is closed is left out.
    pub fn write(&mut self, connection: Connection, bytes: &[u8]) {
        append::write(&mut self.bytes, &[connection.0], bytes);
    }

    /// Writes the same bytes to each of these connections.
    pub fn write_all(&mut self, connections: &[Connection], bytes: &[u8]) {
        let numbers: Vec<i64> = connections.iter().map(|connection| connection.0).collect();
        append::write(&mut self.bytes, &numbers, bytes);
    }

    /// Closes a connection, when everything that was written to it before has been sent.
    pub fn close(&mut self, connection: Connection) {
        append::close(&mut self.bytes, &[connection.0]);
    }

    /// The bytes that were written, and to which connections. For tests.
    #[must_use]
    pub fn writes(&self) -> Vec<(Vec<Connection>, Vec<u8>)> {
        let write = |action| match action {
            Ok(Action::Write { to, bytes }) => Some((to.iter().map(Connection).collect(), bytes.to_vec())),
            _ => None,
        };
        program::actions(&self.bytes).filter_map(write).collect()
    }

    /// The connections that were closed. For tests.
    #[must_use]
    pub fn closes(&self) -> Vec<Connection> {
        let mut all = Vec::new();
        for action in program::actions(&self.bytes) {
            if let Ok(Action::Close { connections }) = action {
                all.extend(connections.iter().map(Connection));
            }
        }
        all
    }
}

/// A program in its guest.
#[doc(hidden)]
#[derive(Debug)]
pub struct Stage<P>(Once<P>);

#[doc(hidden)]
impl<P: Program + Default> Stage<P> {
    /// A program that begins with its first event.
    #[expect(clippy::new_without_default, reason = "it is a static")]
    pub const fn new() -> Self {
        Self(Once::new())
    }

    /// Lets the program have an event.
    pub fn event(&self, event: impl FnOnce(&mut P, &mut Actions)) -> Answer {
        let mut actions = Actions::default();
        self.0.with(|program| event(program, &mut actions));
        Answer(actions.bytes)
    }
}

/// Makes a type a program: exports its functions for the events. The type is a [`Program`] and has a default, with which it begins.
/// See [the module](mod@crate::program).
#[macro_export]
macro_rules! program {
    ($program:ty) => {
        const _: () = {
            static PROGRAM: $crate::program::Stage<$program> = $crate::program::Stage::new();

            /// A client has connected.
            #[$crate::function]
            fn connected(connection: i64, peer: &str) -> $crate::program::Answer {
                PROGRAM.event(|program, actions| {
                    $crate::program::Program::connected(
                        program,
                        $crate::program::Connection::new(connection),
                        peer,
                        actions,
                    );
                })
            }

            /// A client has sent bytes.
            #[$crate::function]
            fn read(connection: i64, bytes: &[u8]) -> $crate::program::Answer {
                PROGRAM.event(|program, actions| {
                    $crate::program::Program::read(
                        program,
                        $crate::program::Connection::new(connection),
                        bytes,
                        actions,
                    );
                })
            }

            /// A connection was closed.
            #[$crate::function]
            fn closed(connection: i64) -> $crate::program::Answer {
                PROGRAM.event(|program, actions| {
                    $crate::program::Program::closed(program, $crate::program::Connection::new(connection), actions);
                })
            }
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Echo {
        bytes: usize,
    }

    impl Program for Echo {
        fn read(&mut self, connection: Connection, bytes: &[u8], actions: &mut Actions) {
            self.bytes += bytes.len();
            actions.write(connection, bytes);
            if self.bytes > 5 {
                actions.close(connection);
            }
        }
    }

    #[test]
    fn a_program_keeps_what_it_has_and_answers_with_actions() {
        let stage: Stage<Echo> = Stage::new();
        let connection = Connection::new(7);
        let first = stage.event(|program, actions| program.read(connection, b"four", actions));
        let second = stage.event(|program, actions| program.read(connection, b"more", actions));
        let actions = |answer: Answer| Actions { bytes: answer.0 };
        let (first, second) = (actions(first), actions(second));
        assert_eq!(first.writes(), [(alloc::vec![connection], b"four".to_vec())]);
        assert!(first.closes().is_empty());
        assert_eq!((second.writes().len(), second.closes()), (1, alloc::vec![connection]));
        let none = actions(stage.event(|program, actions| program.connected(connection, "peer", actions)));
        assert_eq!(none, Actions::default());
    }
}
