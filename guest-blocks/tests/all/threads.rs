//! Guests on threads of their own.

use std::sync::Barrier;
use std::thread;

use guest_blocks::{Block, Refused, Violation};
use proptest::prelude::Strategy as _;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::guest::{Guest, Way};
use crate::programs::{GUESTS, World, ops};

/// How often each thread does what it does.
const TIMES: u32 = 5000;

/// Writers fill the whole block with one byte, and readers never see two different ones. Some writers give up in the midst.
#[test]
fn no_reader_sees_half_of_what_was_written() {
    let block = Block::new(3000);
    let begin = Barrier::new(4);
    let seen: Vec<u32> = thread::scope(|scope| {
        let run = |number: u8| {
            let (block, begin) = (block.clone(), &begin);
            scope.spawn(move || {
                let mut guest = Guest::new(Way::ALL[usize::from(number) % 3]);
                begin.wait();
                let (mut seen, writes) = (0, number < 2);
                for turn in 0..TIMES {
                    let id = guest.table.insert(block.clone()).unwrap();
                    match guest.table.attach(&mut guest.memory, id, u32::from(writes) | 2).unwrap() {
                        Err(refused) => assert_eq!(refused, Refused::Busy),
                        Ok(area) => {
                            let address = area.address as usize;
                            let byte = u8::try_from(turn % 250).unwrap() + 1;
                            if writes && turn % 7 == 0 {
                                guest.memory.store(address, &[0xFF; 1500]);
                                guest.restore();
                                continue;
                            }
                            if writes {
                                guest.memory.store(address, &[byte; 3000]);
                            } else {
                                let bytes = &guest.memory.bytes[address..address + 3000];
                                assert!(bytes[0] != 0xFF && bytes.iter().all(|byte| *byte == bytes[0]));
                                seen += 1;
                            }
                            guest.table.detach(&mut guest.memory, id, if writes { 3000 } else { 0 }).unwrap();
                        }
                    }
                    guest.end().unwrap();
                }
                seen
            })
        };
        let threads: Vec<_> = (0..4).map(run).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(seen[..2], [0, 0]);
    assert!(block.write().is_ok(), "nobody has it any more");
}

/// Operations of each thread: a million in all where the compiler optimises.
const OPERATIONS: usize = if cfg!(debug_assertions) { 20_000 } else { 500_000 };

/// Bytes of the frames that both threads have.
const FRAME: usize = 6000;

/// One of the blocks that both threads have is written, read or misused by a guest; or all of it by a guest that keeps no rule.
fn on_shared(guest: &mut Guest, block: &Block, turn: usize) {
    let id = guest.table.insert(block.clone()).unwrap();
    let kind = turn % 5;
    let Ok(area) = guest.table.attach(&mut guest.memory, id, if kind < 2 { 3 } else { 0 }).unwrap() else {
        return guest.restore();
    };
    let address = area.address as usize;
    match kind {
        0 => {
            let byte = u8::try_from(turn % 250).unwrap() + 1;
            guest.memory.store(address, &[byte; FRAME]);
            guest.table.detach(&mut guest.memory, id, FRAME as u32).unwrap();
            guest.end().unwrap();
        }
        // Half a frame, and then it traps.
        1 => {
            guest.memory.store(address, &[0xFF; FRAME / 2]);
            guest.restore();
        }
        2 | 3 => {
            let bytes = &guest.memory.bytes[address..address + FRAME];
            assert!(bytes[0] != 0xFF && bytes[0] != 0 && bytes.iter().all(|byte| *byte == bytes[0]), "a torn frame");
            guest.table.detach(&mut guest.memory, id, 0).unwrap();
            guest.end().unwrap();
        }
        // It writes where it may only read, and goes on with it after it has detached.
        _ => {
            guest.memory.store(address + 1000, &[0xFF; 600]);
            let detached = guest.table.detach(&mut guest.memory, id, 0);
            assert!(matches!(detached, Err(Violation::WroteWhileReading { .. })), "{detached:?}");
            guest.memory.store(address + 2000, &[0xFF; 600]);
            guest.restore();
        }
    }
}

/// Random programs of guests of each thread against the model, in between with blocks that both threads have and with guests that keep
/// no rule.
#[test]
fn two_threads_do_what_the_model_says_and_read_no_torn_frame() {
    let frames = [(); 3].map(|()| Block::mappable(u32::try_from(FRAME).unwrap()));
    thread::scope(|scope| {
        for thread in 0..2 {
            let frames = frames.clone();
            scope.spawn(move || {
                let mut runner = TestRunner::deterministic();
                let mut others = Way::ALL.map(Guest::new);
                let (mut done, mut round) = (0, thread);
                while done < OPERATIONS {
                    let mut world = World::new(Way::ALL[round % 3]);
                    for (guest, op) in ops().new_tree(&mut runner).unwrap().current() {
                        world.step(guest, &op).unwrap();
                        on_shared(&mut others[done % 3], &frames[(done / 3) % 3], done / 7 + round);
                        done += 2;
                    }
                    for guest in 0..GUESTS {
                        world.restore(guest);
                        assert!(world.guests[guest].table.is_empty());
                    }
                    round += 1;
                }
            });
        }
    });
    for frame in frames {
        assert!(frame.write().is_ok(), "nobody has it any more");
    }
}
