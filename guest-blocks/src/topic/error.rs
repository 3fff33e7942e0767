//! The reasons that a topic publishes nothing, and that a subscriber receives nothing.

/// The reason that a topic did not publish a block. No subscriber receives a frame, and no sequence number is used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// A block that has no published bytes.
    #[error("the block has nothing to read; publish bytes in it first")]
    NothingToRead,
    /// A block with a single reader at a time. The second subscriber would find it busy.
    #[error("the bytes of the block are not shared; write it with `Block::write_shared`")]
    NotShared,
    /// A block that a writer has attached, or of which a part can be written.
    #[error("the block is being written; end its writer and its parts first")]
    Busy,
    /// No room in the queues of some subscribers.
    #[error("{}", no_room(subscribers))]
    Full {
        /// The names of all subscribers whose queues are full and do not drop frames. The list is empty if other publishers
        /// are first, and the room is theirs.
        subscribers: Vec<String>,
    },
    /// A closed topic.
    #[error("the topic is closed")]
    Closed,
}

fn no_room(subscribers: &[String]) -> String {
    match subscribers {
        [] => "other publishers wait for room, and are first; publish again later".to_owned(),
        names => format!("no room in the queues of these subscribers: {}; publish again later", names.join(", ")),
    }
}

/// The reason that a subscriber received no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ReceiveError {
    /// An empty queue. More frames may come.
    #[error("no frame has arrived")]
    Empty,
    /// A closed topic and an empty queue. No more frames will come.
    #[error("the topic is closed, and all its frames were received")]
    Closed,
}
