//! Random programs of publications and subscriptions against a model of plain queues, on one thread.

use std::collections::VecDeque;

use guest_blocks::{Block, Frame, Full, PublishError, ReceiveError, Subscriber, Topic};
use proptest::prelude::*;

const BLOCKS: usize = 4;

/// An operation. Numbers choose among what there is.
#[derive(Debug, Clone)]
enum Op {
    Subscribe {
        capacity: usize,
        full: Full,
    },
    Unsubscribe {
        which: usize,
    },
    /// Writes a block, if nobody reads it, and publishes it in any case.
    Publish {
        block: usize,
        valid: u32,
        shared: bool,
    },
    Receive {
        which: usize,
        keep: bool,
    },
    /// Drops the frames that were kept.
    Forget,
    Close,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let full = prop_oneof![Just(Full::Refuse), Just(Full::DropOldest), Just(Full::Wait)];
    let valid = prop_oneof![1 => Just(0_u32), 9 => 1..64_u32];
    let op = prop_oneof![
        12 => (0..5_usize, full).prop_map(|(capacity, full)| Op::Subscribe { capacity, full }),
        6 => (0..8_usize).prop_map(|which| Op::Unsubscribe { which }),
        50 => (0..BLOCKS, valid, prop::bool::weighted(0.9))
            .prop_map(|(block, valid, shared)| Op::Publish { block, valid, shared }),
        40 => (0..8_usize, prop::bool::weighted(0.2)).prop_map(|(which, keep)| Op::Receive { which, keep }),
        6 => Just(Op::Forget),
        1 => Just(Op::Close),
    ];
    prop::collection::vec(op, 1..200)
}

/// A frame in the model: its block, its number and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Published {
    block: usize,
    sequence: u64,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Queue {
    name: String,
    capacity: usize,
    full: Full,
    frames: VecDeque<Published>,
    last: u64,
    delivered: u64,
    dropped: u64,
    most_queued: usize,
}

#[derive(Debug, Default)]
struct Model {
    queues: Vec<Queue>,
    kept: Vec<Published>,
    /// The bytes of each block, and whether they are shared.
    blocks: [(Vec<u8>, bool); BLOCKS],
    next: u64,
    bytes: u64,
    refused: u64,
    is_closed: bool,
}

impl Model {
    /// Whether a queue or a subscriber has a frame of the block.
    fn is_read(&self, block: usize) -> bool {
        self.queues.iter().flat_map(|queue| &queue.frames).chain(&self.kept).any(|frame| frame.block == block)
    }

    fn publish(&mut self, block: usize) -> Result<u64, PublishError> {
        let (bytes, shared) = self.blocks[block].clone();
        if bytes.is_empty() {
            return Err(PublishError::NothingToRead);
        }
        if !shared {
            return Err(PublishError::NotShared);
        }
        if self.is_closed {
            return Err(PublishError::Closed);
        }
        let keeps = |queue: &&Queue| queue.full != Full::DropOldest && queue.frames.len() == queue.capacity;
        let subscribers: Vec<String> = self.queues.iter().filter(keeps).map(|queue| queue.name.clone()).collect();
        if !subscribers.is_empty() {
            self.refused += 1;
            return Err(PublishError::Full { subscribers });
        }
        let sequence = self.next;
        self.next += 1;
        self.bytes += bytes.len() as u64;
        for queue in &mut self.queues {
            if queue.frames.len() == queue.capacity {
                queue.frames.pop_front();
                queue.dropped += 1;
            }
            queue.frames.push_back(Published { block, sequence, bytes: bytes.clone() });
            queue.most_queued = queue.most_queued.max(queue.frames.len());
        }
        Ok(sequence)
    }

    /// The next frame of a queue, and the gap before it.
    fn receive(&mut self, which: usize) -> Result<(Published, u64), ReceiveError> {
        let queue = &mut self.queues[which];
        let nothing = if self.is_closed { ReceiveError::Closed } else { ReceiveError::Empty };
        let frame = queue.frames.pop_front().ok_or(nothing)?;
        let gap = frame.sequence - queue.last;
        queue.last = frame.sequence + 1;
        queue.delivered += 1;
        Ok((frame, gap))
    }
}

/// A topic and the model of it.
struct World {
    topic: Topic,
    subscribers: Vec<Subscriber>,
    kept: Vec<Frame>,
    blocks: [Block; BLOCKS],
    /// The byte that the next writer writes.
    byte: u8,
    model: Model,
}

impl World {
    fn new() -> Self {
        let blocks = [(); BLOCKS].map(|()| Block::new(64));
        let (subscribers, kept) = (Vec::new(), Vec::new());
        Self { topic: Topic::new(), subscribers, kept, blocks, byte: 0, model: Model::default() }
    }

    fn step(&mut self, number: usize, op: &Op) -> Result<(), TestCaseError> {
        match op {
            Op::Subscribe { capacity, full } => {
                let name = format!("{number}");
                self.subscribers.push(self.topic.subscribe(name.clone(), *capacity, *full));
                self.model.queues.push(Queue {
                    name,
                    capacity: (*capacity).max(1),
                    full: *full,
                    frames: VecDeque::new(),
                    last: self.model.next,
                    delivered: 0,
                    dropped: 0,
                    most_queued: 0,
                });
            }
            Op::Unsubscribe { which } => {
                if !self.subscribers.is_empty() {
                    let which = which % self.subscribers.len();
                    drop(self.subscribers.remove(which));
                    self.model.queues.remove(which);
                }
            }
            Op::Publish { block, valid, shared } => {
                let writing = self.blocks[*block].write_as(*shared);
                prop_assert_eq!(writing.is_err(), self.model.is_read(*block));
                if let Ok(mut writing) = writing {
                    self.byte = self.byte.wrapping_add(1);
                    writing.bytes(|bytes| bytes.fill(self.byte));
                    writing.publish(*valid);
                    self.model.blocks[*block] = (vec![self.byte; *valid as usize], *shared);
                }
                let expected = self.model.publish(*block);
                // `publish` gives the same as `try_publish` where it need not wait.
                let published = match expected.is_ok() && number.is_multiple_of(2) {
                    true => self.topic.publish(&self.blocks[*block]),
                    false => self.topic.try_publish(&self.blocks[*block]),
                };
                prop_assert_eq!(published, expected);
            }
            Op::Receive { which, keep } => {
                if self.subscribers.is_empty() {
                    return Ok(());
                }
                let which = which % self.subscribers.len();
                let received = self.subscribers[which].try_receive();
                let expected = self.model.receive(which);
                let seen =
                    received.as_ref().map(|frame| (frame.sequence(), frame.bytes(<[u8]>::to_vec), frame.dropped()));
                let expected_seen = expected.as_ref().map(|(frame, gap)| (frame.sequence, frame.bytes.clone(), *gap));
                prop_assert_eq!(seen, expected_seen);
                if *keep {
                    self.kept.extend(received);
                    self.model.kept.extend(expected.map(|(frame, _)| frame));
                }
            }
            Op::Forget => {
                self.kept.clear();
                self.model.kept.clear();
            }
            Op::Close => {
                self.topic.close();
                self.model.is_closed = true;
            }
        }
        self.check()
    }

    /// The metrics, and the frames that were kept, are those of the model.
    fn check(&self) -> Result<(), TestCaseError> {
        let metrics = self.topic.metrics();
        let figures = (metrics.published, metrics.bytes, metrics.refused, metrics.waits);
        prop_assert_eq!(figures, (self.model.next, self.model.bytes, self.model.refused, 0));
        prop_assert_eq!(metrics.subscribers.len(), self.model.queues.len());
        for (queue, model) in metrics.subscribers.iter().zip(&self.model.queues) {
            prop_assert_eq!(&queue.name, &model.name);
            let figures = (queue.delivered, queue.dropped, queue.queued, queue.most_queued);
            prop_assert_eq!(figures, (model.delivered, model.dropped, model.frames.len(), model.most_queued));
        }
        for (frame, model) in self.kept.iter().zip(&self.model.kept) {
            prop_assert_eq!(frame.bytes(<[u8]>::to_vec), model.bytes.clone());
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn subscribers_receive_the_frames_of_the_model(program in ops()) {
        let mut world = World::new();
        for (number, op) in program.iter().enumerate() {
            world.step(number, op)?;
        }
        // Nobody holds a block back.
        world.subscribers.clear();
        world.kept.clear();
        prop_assert!(world.blocks.iter().all(|block| block.write_shared().is_ok()));
    }
}
