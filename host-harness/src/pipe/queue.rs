//! A bounded queue between a producer and its only taker. Blocks move through it: nothing keeps the taker from writing them, as a
//! frame of a topic would.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use guest_host::blocks::Block;

use super::config::WhenFull;

/// The figures of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Figures {
    pub delivered: u64,
    pub dropped: u64,
    pub most_queued: u64,
}

/// The reason that a block did not enter a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotSent {
    /// A full queue that refuses.
    Full,
    /// No taker any more.
    Gone,
}

/// The end of the producer. The queue closes when it is dropped: the taker receives all that is in it, and then nothing.
#[derive(Debug)]
pub(super) struct Sender(Arc<Shared>);

/// The end of the taker. When it is dropped, the producer's blocks go nowhere.
#[derive(Debug)]
pub(super) struct Receiver(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    capacity: usize,
    when_full: WhenFull,
    state: Mutex<State>,
    /// The taker waits on it for blocks.
    arrived: Condvar,
    /// The producer waits on it for room.
    room: Condvar,
}

#[derive(Debug, Default)]
struct State {
    blocks: VecDeque<Block>,
    is_closed: bool,
    figures: Figures,
}

/// A queue with room for `capacity` blocks; 0 counts as 1.
pub(super) fn queue(capacity: usize, when_full: WhenFull) -> (Sender, Receiver) {
    let (state, arrived, room) = (Mutex::default(), Condvar::new(), Condvar::new());
    let shared = Arc::new(Shared { capacity: capacity.max(1), when_full, state, arrived, room });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl Sender {
    /// Puts a block into the queue, and waits for room if the queue says so.
    pub(super) fn send(&self, block: Block) -> Result<(), NotSent> {
        let Shared { capacity, when_full, arrived, room, .. } = &*self.0;
        let mut state = self.0.lock();
        while !state.is_closed && state.blocks.len() >= *capacity {
            match when_full {
                WhenFull::Wait => state = room.wait(state).unwrap_or_else(PoisonError::into_inner),
                WhenFull::Refuse => return Err(NotSent::Full),
                WhenFull::DropOldest => {
                    state.blocks.pop_front();
                    state.figures.dropped += 1;
                }
            }
        }
        if state.is_closed {
            return Err(NotSent::Gone);
        }
        state.blocks.push_back(block);
        state.figures.most_queued = state.figures.most_queued.max(state.blocks.len() as u64);
        arrived.notify_one();
        Ok(())
    }
}

impl Receiver {
    /// The next block; `None` if the producer has ended, and all its blocks were received.
    pub(super) fn receive(&self) -> Option<Block> {
        let Shared { arrived, room, .. } = &*self.0;
        let mut state = self.0.lock();
        loop {
            if let Some(block) = state.blocks.pop_front() {
                state.figures.delivered += 1;
                room.notify_one();
                return Some(block);
            }
            if state.is_closed {
                return None;
            }
            state = arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn figures(&self) -> Figures {
        self.0.lock().figures
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.lock().is_closed = true;
        self.arrived.notify_all();
        self.room.notify_all();
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn sizes(receiver: &Receiver) -> Vec<u32> {
        std::iter::from_fn(|| receiver.receive()).map(|block| block.size()).collect()
    }

    #[test]
    fn a_queue_that_waits_delivers_everything_in_order() {
        let (sender, receiver) = queue(2, WhenFull::Wait);
        let received = thread::scope(|scope| {
            let taker = scope.spawn(|| sizes(&receiver));
            for size in 1..=100 {
                sender.send(Block::new(size)).unwrap();
            }
            drop(sender);
            taker.join().unwrap()
        });
        assert_eq!(received, (1..=100).collect::<Vec<_>>());
        let Figures { delivered, dropped, most_queued } = receiver.figures();
        assert_eq!((delivered, dropped), (100, 0));
        assert!((1..=2).contains(&most_queued));
    }

    #[test]
    fn a_full_queue_refuses_or_drops_the_oldest() {
        let (sender, receiver) = queue(2, WhenFull::Refuse);
        let sent = [1, 2, 3].map(|size| sender.send(Block::new(size)));
        assert_eq!(sent, [Ok(()), Ok(()), Err(NotSent::Full)]);
        drop(sender);
        assert_eq!(sizes(&receiver), [1, 2]);

        let (sender, receiver) = queue(2, WhenFull::DropOldest);
        (1..=5).for_each(|size| sender.send(Block::new(size)).unwrap());
        drop(sender);
        assert_eq!(sizes(&receiver), [4, 5]);
        assert_eq!(receiver.figures(), Figures { delivered: 2, dropped: 3, most_queued: 2 });
    }

    #[test]
    fn a_producer_that_waits_goes_on_when_the_taker_ends() {
        let (sender, receiver) = queue(0, WhenFull::Wait);
        sender.send(Block::new(1)).unwrap();
        thread::scope(|scope| {
            let waits = scope.spawn(|| sender.send(Block::new(2)));
            drop(receiver);
            assert_eq!(waits.join().unwrap(), Err(NotSent::Gone));
        });
    }
}
