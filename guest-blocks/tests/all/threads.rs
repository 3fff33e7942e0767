//! Guests on threads of their own.

use std::sync::Barrier;
use std::thread;

use guest_blocks::{Block, Refused};

use crate::guest::{Guest, Way};

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
    assert!(block.write(false).is_ok(), "nobody has it any more");
}
