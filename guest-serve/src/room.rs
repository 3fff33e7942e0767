//! Room for connections of clients: those of requests, and those of programs over TCP. Each takes a descriptor.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Room for a number of connections, which all threads share. A thread that has seen that there is room may take it a moment after
/// others did, so there may be as many more as there are threads.
#[derive(Debug)]
pub(crate) struct Room {
    most: usize,
    taken: AtomicUsize,
}

/// The place of a connection, as long as this exists.
#[derive(Debug)]
pub(crate) struct Place(Arc<Room>);

impl Room {
    /// Room for `most` connections.
    pub(crate) fn new(most: u32) -> Arc<Self> {
        Arc::new(Self { most: most as usize, taken: AtomicUsize::new(0) })
    }

    /// Whether there is room for another one.
    pub(crate) fn has_some(&self) -> bool {
        self.taken.load(Relaxed) < self.most
    }

    /// Takes a place, for a connection that is there already.
    pub(crate) fn take(self: &Arc<Self>) -> Place {
        self.taken.fetch_add(1, Relaxed);
        Place(Arc::clone(self))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_connection_ends() {
        let room = Room::new(2);
        let (one, _other) = (room.take(), room.take());
        assert!(!room.has_some());
        drop(one);
        assert!(room.has_some());
    }
}
