//! A chat room: everybody has a name, and what one says all others read.
//!
//! It speaks lines, so that it serves a terminal over TCP and a page over a WebSocket alike.

use guest_sdk::program::{Actions, Connection, Program};

/// The last lines, which a newcomer reads first.
const REMEMBERED: usize = 20;

/// Bytes of a line; what is longer becomes several.
const LONGEST: usize = 256;

/// Lines that a member may say at once. Each goes to everybody, so a message of many lines would take more memory than there is.
const AT_ONCE: usize = 8;

/// A chat room.
#[derive(Debug, Default)]
pub struct Room {
    members: Vec<Member>,
    lines: Vec<String>,
    /// Members that there have ever been.
    guests: u32,
}

#[derive(Debug)]
struct Member {
    connection: Connection,
    name: String,
    /// The beginning of a line.
    begun: Vec<u8>,
}

impl Room {
    /// Sends a line to all, and remembers it.
    fn tell(&mut self, line: String, actions: &mut Actions) {
        let all: Vec<Connection> = self.members.iter().map(|member| member.connection).collect();
        actions.write_all(&all, line.as_bytes());
        if self.lines.len() == REMEMBERED {
            self.lines.remove(0);
        }
        self.lines.push(line);
    }

    fn line(&mut self, at: usize, line: &str, actions: &mut Actions) {
        let (name, connection) = (self.members[at].name.clone(), self.members[at].connection);
        match line.split_once(' ') {
            _ if line.is_empty() => {}
            Some(("/name", new)) if !new.trim().is_empty() => {
                let new: String = new.trim().chars().take(32).collect();
                self.members[at].name.clone_from(&new);
                self.tell(format!("* {name} is {new} now\n"), actions);
            }
            _ if line == "/who" => {
                let names: Vec<&str> = self.members.iter().map(|member| member.name.as_str()).collect();
                actions.write(connection, format!("* {}\n", names.join(", ")).as_bytes());
            }
            _ if line == "/quit" => actions.close(connection),
            _ => self.tell(format!("{name}: {line}\n"), actions),
        }
    }
}

impl Program for Room {
    fn connected(&mut self, connection: Connection, _peer: &str, actions: &mut Actions) {
        self.guests += 1;
        let name = format!("guest {}", self.guests);
        actions.write(connection, self.lines.concat().as_bytes());
        self.members.push(Member { connection, name: name.clone(), begun: Vec::new() });
        self.tell(format!("* {name} comes in\n"), actions);
    }

    fn read(&mut self, connection: Connection, bytes: &[u8], actions: &mut Actions) {
        let mut lines = 0;
        for byte in bytes {
            if lines == AT_ONCE {
                actions.write(connection, b"* the rest was too much at once\n");
                return;
            }
            // A member that is looked for each time: a line may change who there is.
            let Some(at) = self.members.iter().position(|member| member.connection == connection) else { return };
            let begun = &mut self.members[at].begun;
            if *byte != b'\n' && begun.len() < LONGEST {
                begun.push(*byte);
                continue;
            }
            let line = String::from_utf8_lossy(&std::mem::take(begun)).trim().to_owned();
            self.line(at, &line, actions);
            lines += 1;
        }
    }

    fn closed(&mut self, connection: Connection, actions: &mut Actions) {
        if let Some(at) = self.members.iter().position(|member| member.connection == connection) {
            let member = self.members.remove(at);
            self.tell(format!("* {} is gone\n", member.name), actions);
        }
    }
}

guest_sdk::program!(Room);
