//! Every interleaving of a few holders: nobody writes bytes that another one has.
//!
//! Each holder asks the state, as [`Block`](crate::Block) does, under a lock, and touches the bytes without it. `loom` tries all orders,
//! and fails where two touch the bytes at the same time of whom one writes.

use loom::cell::UnsafeCell;
use loom::sync::{Arc, Mutex};
use loom::thread;

use super::{Attachment, State};

/// A block of two halves.
struct Block {
    state: Mutex<State>,
    halves: [UnsafeCell<u64>; 2],
}

// SAFETY: the state decides who touches the bytes, which is what the tests find out: `loom` fails where two do.
#[expect(unsafe_code, reason = "bytes that threads share without a lock")]
unsafe impl Sync for Block {}

impl Block {
    fn new(state: State) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(state), halves: [UnsafeCell::new(0), UnsafeCell::new(0)] })
    }

    fn set(&self, half: usize, value: u64) {
        // SAFETY: as above.
        #[expect(unsafe_code, reason = "as above")]
        self.halves[half].with_mut(|bytes| unsafe { *bytes = value });
    }

    fn get(&self, half: usize) -> u64 {
        // SAFETY: as above.
        #[expect(unsafe_code, reason = "as above")]
        self.halves[half].with(|bytes| unsafe { *bytes })
    }

    /// A guest that writes both halves, and publishes or gives up. Returns whether it was let.
    fn write(&self, value: u64, publishes: bool) -> bool {
        if self.state.lock().unwrap().begin_write(true).is_err() {
            return false;
        }
        self.set(0, value);
        self.set(1, value);
        if publishes {
            self.state.lock().unwrap().publish(2);
        } else {
            self.set(0, 0);
            self.set(1, 0);
            self.state.lock().unwrap().abandon_write();
        }
        true
    }

    /// A guest that reads both halves, if it is let.
    fn read(&self) {
        if self.state.lock().unwrap().begin_read().is_ok() {
            let both = [self.get(0), self.get(1)];
            assert!(both[0] == both[1] && both[0] != 0, "half of something: {both:?}");
            self.state.lock().unwrap().end_read(0);
        }
    }

    /// A guest that writes one half as a part, if it is let.
    fn write_part(&self, half: u32, value: u64) {
        let part = self.state.lock().unwrap().part(half..half + 1, true, Attachment::None);
        if let Ok(number) = part {
            self.set(half as usize, value);
            self.state.lock().unwrap().end_part(number);
        }
    }
}

#[test]
fn two_writers_and_a_reader_never_meet() {
    loom::model(|| {
        let block = Block::new(State::default());
        let writers = [1, 2].map(|value| {
            let block = Arc::clone(&block);
            thread::spawn(move || block.write(value, true))
        });
        block.read();
        let [first, second] = writers.map(|writer| writer.join().unwrap());
        assert!(first || second);
        block.read();
    });
}

#[test]
fn a_writer_that_gives_up_leaves_nothing_to_two_readers() {
    loom::model(|| {
        let block = Block::new(State::default());
        let writer = {
            let block = Arc::clone(&block);
            thread::spawn(move || block.write(1, false))
        };
        let reader = {
            let block = Arc::clone(&block);
            thread::spawn(move || block.read())
        };
        block.read();
        assert!(writer.join().unwrap());
        reader.join().unwrap();
        assert!(block.state.lock().unwrap().begin_read().is_err());
    });
}

#[test]
fn writers_of_parts_meet_neither_each_other_nor_a_reader_nor_a_writer_of_the_whole() {
    loom::model(|| {
        let block = Block::new(State::published(2, true));
        block.set(0, 7);
        block.set(1, 7);
        let part = {
            let block = Arc::clone(&block);
            thread::spawn(move || block.write_part(0, 7))
        };
        let whole = {
            let block = Arc::clone(&block);
            thread::spawn(move || block.write(7, true))
        };
        block.write_part(1, 7);
        block.read();
        part.join().unwrap();
        whole.join().unwrap();
    });
}

/// A state that lets readers in while somebody writes: `loom` must find it.
#[test]
#[should_panic(expected = "Causality violation")]
fn a_reader_that_does_not_ask_is_found() {
    loom::model(|| {
        let block = Block::new(State::published(2, true));
        let writer = {
            let block = Arc::clone(&block);
            thread::spawn(move || block.write(1, true))
        };
        block.get(0);
        writer.join().unwrap();
    });
}
