//! A chat room. `host-harness serve` has one for each word behind `/rooms/`.

use guest_sdk::program::{Actions, Connection, Program};

/// Lines that a newcomer reads first.
const REMEMBERED: usize = 20;

/// Bytes of a line. A program that keeps all it is sent is full one day, and then fails for everybody.
const LONGEST: usize = 256;

/// A chat room. Its fields are kept between events, and when the server stops.
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
}

impl Room {
    /// Sends a line to all, and remembers it.
    fn tell(&mut self, line: String, actions: &mut Actions) {
        let all: Vec<Connection> = self
            .members
            .iter()
            .map(|member| member.connection)
            .collect();
        actions.write_all(&all, line.as_bytes());
        if self.lines.len() == REMEMBERED {
            self.lines.remove(0);
        }
        self.lines.push(line);
    }
}

impl Program for Room {
    fn connected(&mut self, connection: Connection, _peer: &str, actions: &mut Actions) {
        for line in &self.lines {
            actions.write(connection, line.as_bytes());
        }
        self.guests += 1;
        let name = format!("guest {}", self.guests);
        self.members.push(Member {
            connection,
            name: name.clone(),
        });
        self.tell(format!("{name} comes in"), actions);
    }

    fn read(&mut self, connection: Connection, bytes: &[u8], actions: &mut Actions) {
        let of_sender = |member: &&mut Member| member.connection == connection;
        let Some(member) = self.members.iter_mut().find(of_sender) else {
            return;
        };
        let said = String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST)]);
        let before = member.name.clone();
        match said.trim().strip_prefix("/name ") {
            Some(name) => {
                member.name = name.trim().chars().take(32).collect();
                let now = member.name.clone();
                self.tell(format!("{before} is {now} now"), actions);
            }
            None => self.tell(format!("{before}: {}", said.trim()), actions),
        }
    }

    fn closed(&mut self, connection: Connection, actions: &mut Actions) {
        let of_closed = |member: &Member| member.connection == connection;
        if let Some(at) = self.members.iter().position(of_closed) {
            let member = self.members.remove(at);
            self.tell(format!("{} is gone", member.name), actions);
        }
    }
}

guest_sdk::program!(Room);

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: Connection = Connection::new(1);
    const BEN: Connection = Connection::new(2);

    /// The messages that the room writes after an event, with their receivers.
    fn writes(event: impl FnOnce(&mut Actions)) -> Vec<(Vec<Connection>, String)> {
        let mut actions = Actions::default();
        event(&mut actions);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let writes = actions.writes().into_iter();
        writes.map(|(to, bytes)| (to, text(bytes))).collect()
    }

    #[test]
    fn all_read_what_one_says() {
        let mut room = Room::default();
        writes(|actions| room.connected(ADA, "", actions));
        let seen = writes(|actions| room.connected(BEN, "", actions));
        assert_eq!(seen[0], (vec![BEN], "guest 1 comes in".to_owned()));
        assert_eq!(seen[1], (vec![ADA, BEN], "guest 2 comes in".to_owned()));
        writes(|actions| room.read(ADA, b"/name Ada", actions));
        let said = writes(|actions| room.read(ADA, b"hello\n", actions));
        assert_eq!(said, [(vec![ADA, BEN], "Ada: hello".to_owned())]);
        let gone = writes(|actions| room.closed(ADA, actions));
        assert_eq!(gone, [(vec![BEN], "Ada is gone".to_owned())]);
    }

    #[test]
    fn a_room_remembers_a_few_lines() {
        let mut room = Room::default();
        writes(|actions| room.connected(ADA, "", actions));
        for _ in 0..100 {
            writes(|actions| room.read(ADA, &[b'a'; 1000], actions));
        }
        assert_eq!(room.lines.len(), REMEMBERED);
        assert!(room.lines.iter().all(|line| line.len() <= LONGEST + 64));
    }
}
