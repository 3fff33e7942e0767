//! Topics with several publishers and subscribers, each on a thread of its own.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use guest_blocks::{Block, Full, PublishError, ReceiveError, Subscriber, Topic};

use crate::topics::PATIENCE;

const PUBLISHERS: u8 = 3;
const TIMES: u32 = 400;

/// The bytes of the frames that a subscriber received, by sequence number. Fails unless they come in order and show each gap.
fn in_order(frames: impl IntoIterator<Item = (u64, u64, Vec<u8>)>) -> Result<BTreeMap<u64, Vec<u8>>, String> {
    let mut seen = BTreeMap::new();
    let mut next = 0;
    for (sequence, dropped, bytes) in frames {
        if sequence != next + dropped {
            return Err(format!("{sequence} after {dropped} dropped frames, and not {}", next + dropped));
        }
        next = sequence + 1;
        seen.insert(sequence, bytes);
    }
    Ok(seen)
}

#[test]
fn frames_out_of_order_are_found() {
    let frames =
        |numbers: &[(u64, u64)]| in_order(numbers.iter().map(|&(sequence, dropped)| (sequence, dropped, vec![])));
    assert!(frames(&[(0, 0), (1, 0), (4, 2)]).is_ok());
    for broken in [&[(1, 0)][..], &[(0, 0), (2, 0)], &[(0, 0), (1, 0), (1, 0)], &[(0, 0), (1, 1)], &[(1, 1), (0, 0)]] {
        assert!(frames(broken).is_err(), "{broken:?}");
    }
}

/// Several publishers, whose blocks are used again, and subscribers of each kind. Each of them is slow in its own way.
#[test]
fn all_subscribers_see_the_same_order_and_the_same_bytes() {
    let topic = Topic::new();
    let subscribers =
        [(1, Full::Wait), (4, Full::Wait), (1, Full::DropOldest), (3, Full::DropOldest), (7, Full::Refuse)]
            .map(|(capacity, full)| topic.subscribe(format!("{full:?} {capacity}"), capacity, full));
    let begin = Barrier::new(usize::from(PUBLISHERS) + subscribers.len());
    let (published, received) = thread::scope(|scope| {
        let publish = |number: u8| {
            let (topic, begin) = (topic.clone(), &begin);
            scope.spawn(move || {
                let mut published = Vec::new();
                let mut blocks = Vec::new();
                begin.wait();
                for time in 0..TIMES {
                    // A block that nobody reads any more, or a new one.
                    let free = blocks.iter().position(|block: &Block| block.write_shared().is_ok());
                    let block = free.map_or_else(|| Block::new(64), |at| blocks.swap_remove(at));
                    let mut writing = block.write_shared().unwrap();
                    let bytes = [[number; 4], time.to_le_bytes()].concat().repeat(8);
                    writing.bytes(|all| all.copy_from_slice(&bytes));
                    writing.publish(64);
                    let sequence = loop {
                        let result = match time % 3 {
                            0 => topic.publish(&block),
                            1 => topic.publish_timeout(&block, PATIENCE),
                            _ => topic.try_publish(&block),
                        };
                        match result {
                            Ok(sequence) => break sequence,
                            Err(PublishError::Full { .. }) => thread::yield_now(),
                            Err(error) => panic!("{error}"),
                        }
                    };
                    published.push((sequence, bytes));
                    blocks.push(block);
                }
                published
            })
        };
        let receive = |(at, subscriber): (usize, Subscriber)| {
            let begin = &begin;
            scope.spawn(move || {
                begin.wait();
                let frames = std::iter::from_fn(|| match subscriber.receive_timeout(PATIENCE) {
                    Ok(frame) => {
                        if frame.sequence() % 5 == at as u64 {
                            thread::yield_now();
                        }
                        Some((frame.sequence(), frame.dropped(), frame.bytes(<[u8]>::to_vec)))
                    }
                    Err(error) => {
                        assert_eq!(error, ReceiveError::Closed);
                        None
                    }
                });
                in_order(frames).unwrap()
            })
        };
        let publishers: Vec<_> = (0..PUBLISHERS).map(publish).collect();
        let receivers: Vec<_> = subscribers.into_iter().enumerate().map(receive).collect();
        let published: Vec<_> = publishers.into_iter().map(|thread| thread.join().unwrap()).collect();
        topic.close();
        (published, receivers.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>())
    });
    // The frames of one publisher are in its order.
    assert!(published.iter().all(|frames| frames.is_sorted_by_key(|(sequence, _)| *sequence)));
    let all: BTreeMap<u64, Vec<u8>> = published.into_iter().flatten().collect();
    let count = u64::from(PUBLISHERS) * u64::from(TIMES);
    assert!(all.keys().copied().eq(0..count));
    for (at, frames) in received.iter().enumerate() {
        match at {
            2 | 3 => assert!(frames.iter().all(|(sequence, bytes)| all[sequence] == *bytes)),
            _ => assert_eq!(*frames, all),
        }
        assert!(frames.contains_key(&(count - 1)), "the last frame is never dropped");
    }
    assert_eq!((topic.metrics().published, topic.metrics().bytes), (count, 64 * count));
}

/// Subscribers come and go while others publish and wait for them.
#[test]
fn subscribers_come_and_go() {
    let topic = Topic::new();
    let steady = topic.subscribe("steady", 2, Full::Wait);
    thread::scope(|scope| {
        let publishers = [0, 1].map(|number| {
            let topic = topic.clone();
            scope.spawn(move || {
                let block = Block::from_bytes([number]).unwrap();
                for _ in 0..TIMES {
                    topic.publish_timeout(&block, PATIENCE).unwrap();
                }
            })
        });
        for full in [Full::Wait, Full::DropOldest] {
            let topic = topic.clone();
            scope.spawn(move || {
                for turn in 0..TIMES {
                    let passing = topic.subscribe("passing", 1, full);
                    for _ in 0..turn % 3 {
                        let _ = passing.receive_timeout(Duration::from_micros(50));
                    }
                }
            });
        }
        let frames = (0..2 * u64::from(TIMES)).map(|_| steady.receive_timeout(PATIENCE).unwrap().sequence());
        assert!(frames.eq(0..2 * u64::from(TIMES)));
        publishers.into_iter().for_each(|thread| thread.join().unwrap());
    });
    assert_eq!(topic.metrics().subscribers.len(), 1);
}
