//! The queues of a topic and the line of its publishers, without locks and without waiting.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::sync::{Arc, Condvar};

use super::error::{PublishError, ReceiveError};
use super::frame::Frame;
use super::metrics::{SubscriberMetrics, TopicMetrics};
use crate::block::Reading;

/// The action of a topic when it publishes and the queue of a subscriber is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Full {
    /// Refuse the publication: no subscriber receives the frame, and the publisher can try again.
    Refuse,
    /// Drop the oldest frame in the queue, and count it.
    DropOldest,
    /// Let the publisher wait until the queue has room.
    Wait,
}

/// The state of a topic. Its lock protects all of it.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The queues by the numbers of their subscribers.
    queues: BTreeMap<u64, Queue>,
    /// The number of the next subscriber.
    next_subscriber: u64,
    /// The sequence number of the next frame, which is also how many were published.
    next_sequence: u64,
    /// Publishers that wait, the first to come in front. Each waits on a condition variable of its own.
    line: VecDeque<Arc<Condvar>>,
    is_closed: bool,
    bytes: u64,
    refused: u64,
    waits: u64,
}

/// The queue of one subscriber. It never has more frames than its capacity.
#[derive(Debug)]
pub(super) struct Queue {
    name: String,
    capacity: usize,
    full: Full,
    frames: VecDeque<Frame>,
    /// Frames that were dropped since the subscriber received one.
    gap: u64,
    delivered: u64,
    dropped: u64,
    most_queued: usize,
    /// The subscriber waits on it for frames.
    arrived: Arc<Condvar>,
}

/// Whether a publisher can publish now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// All queues take a frame.
    Now,
    /// It waits for room, or for publishers that came before it.
    Later,
    /// The queue of a subscriber that refuses is full.
    Refused,
    Closed,
}

impl State {
    /// Adds a subscriber. Returns its number.
    pub(super) fn subscribe(&mut self, name: String, capacity: usize, full: Full, arrived: Arc<Condvar>) -> u64 {
        let number = self.next_subscriber;
        self.next_subscriber += 1;
        let (capacity, frames) = (capacity.max(1), VecDeque::new());
        let queue = Queue { name, capacity, full, frames, gap: 0, delivered: 0, dropped: 0, most_queued: 0, arrived };
        self.queues.insert(number, queue);
        number
    }

    /// Removes a subscriber. The caller drops the queue when it has released the lock.
    pub(super) fn unsubscribe(&mut self, number: u64) -> Option<Queue> {
        let queue = self.queues.remove(&number);
        self.wake_first();
        queue
    }

    /// Whether a publisher can publish now: one with its place in the line, or one that has not waited.
    pub(super) fn turn(&self, place: Option<&Arc<Condvar>>) -> Turn {
        if self.is_closed {
            return Turn::Closed;
        }
        let is_first = match place {
            None => self.line.is_empty(),
            Some(place) => self.line.front().is_some_and(|first| Arc::ptr_eq(first, place)),
        };
        if !is_first {
            return Turn::Later;
        }
        let is_full = |full| self.queues.values().any(|queue| queue.full == full && queue.is_full());
        if is_full(Full::Refuse) {
            Turn::Refused
        } else if is_full(Full::Wait) {
            Turn::Later
        } else {
            Turn::Now
        }
    }

    /// A publisher enters the line. Returns its place.
    pub(super) fn enter_line(&mut self) -> Arc<Condvar> {
        let place = Arc::new(Condvar::new());
        self.line.push_back(Arc::clone(&place));
        self.waits += 1;
        place
    }

    /// A publisher leaves the line, and the next one may be first now.
    pub(super) fn leave_line(&mut self, place: &Arc<Condvar>) {
        self.line.retain(|other| !Arc::ptr_eq(other, place));
        self.wake_first();
    }

    /// Gives a frame its number and its place in all queues. Returns the number, and the frames that were dropped for it: the
    /// caller drops them when it has released the lock.
    pub(super) fn deliver(&mut self, reading: &Arc<Reading>) -> (u64, Vec<Frame>) {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.bytes += u64::from(reading.size());
        let mut dropped = Vec::new();
        for queue in self.queues.values_mut() {
            dropped.extend(queue.push(Frame::new(Arc::clone(reading), sequence)));
        }
        (sequence, dropped)
    }

    /// Counts a publication that found no room.
    pub(super) fn refuse(&mut self) -> PublishError {
        self.refused += 1;
        let keeps = self.queues.values().filter(|queue| queue.full != Full::DropOldest && queue.is_full());
        PublishError::Full { subscribers: keeps.map(|queue| queue.name.clone()).collect() }
    }

    /// Takes the oldest frame of a subscriber.
    pub(super) fn take(&mut self, number: u64) -> Result<Frame, ReceiveError> {
        let nothing = if self.is_closed { ReceiveError::Closed } else { ReceiveError::Empty };
        let queue = self.queues.get_mut(&number).ok_or(nothing)?;
        let was_full = queue.is_full();
        let frame = queue.pop().ok_or(nothing)?;
        if was_full {
            self.wake_first();
        }
        Ok(frame)
    }

    /// Nothing is published any more. Wakes everyone.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
        self.queues.values().map(|queue| &queue.arrived).chain(&self.line).for_each(|waiting| waiting.notify_all());
    }

    pub(super) fn metrics(&self) -> TopicMetrics {
        TopicMetrics {
            published: self.next_sequence,
            bytes: self.bytes,
            refused: self.refused,
            waits: self.waits,
            subscribers: self.queues.values().map(Queue::metrics).collect(),
        }
    }

    fn wake_first(&self) {
        if let Some(first) = self.line.front() {
            first.notify_one();
        }
    }
}

impl Queue {
    fn is_full(&self) -> bool {
        self.frames.len() >= self.capacity
    }

    /// Adds a frame. Returns the oldest one if there was no room.
    fn push(&mut self, frame: Frame) -> Option<Frame> {
        let oldest = if self.is_full() { self.frames.pop_front() } else { None };
        let dropped = u64::from(oldest.is_some());
        self.gap += dropped;
        self.dropped += dropped;
        self.frames.push_back(frame);
        self.most_queued = self.most_queued.max(self.frames.len());
        self.arrived.notify_one();
        oldest
    }

    fn pop(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.delivered += 1;
        Some(frame.after_dropped(mem::take(&mut self.gap)))
    }

    fn metrics(&self) -> SubscriberMetrics {
        SubscriberMetrics {
            name: self.name.clone(),
            delivered: self.delivered,
            dropped: self.dropped,
            queued: self.frames.len(),
            most_queued: self.most_queued,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Block;

    fn reading(bytes: &'static [u8]) -> Arc<Reading> {
        Arc::new(Block::from_bytes(bytes).unwrap().read().unwrap())
    }

    fn subscribe(state: &mut State, name: &str, full: Full) -> u64 {
        state.subscribe(name.to_owned(), 1, full, Arc::default())
    }

    #[test]
    fn a_queue_that_refuses_goes_before_one_that_waits() {
        let mut state = State::default();
        let waits = subscribe(&mut state, "waits", Full::Wait);
        assert_eq!(state.turn(None), Turn::Now);
        state.deliver(&reading(b"0"));
        assert_eq!(state.turn(None), Turn::Later);
        let refuses = subscribe(&mut state, "refuses", Full::Refuse);
        state.take(waits).unwrap();
        state.deliver(&reading(b"1"));
        assert_eq!(state.turn(None), Turn::Refused);
        let both = vec!["waits".to_owned(), "refuses".to_owned()];
        assert_eq!(state.refuse(), PublishError::Full { subscribers: both });
        state.take(refuses).unwrap();
        assert_eq!(state.turn(None), Turn::Later);
        assert!(state.unsubscribe(waits).is_some());
        assert_eq!(state.turn(None), Turn::Now);
        state.close();
        assert_eq!(state.turn(None), Turn::Closed);
    }

    #[test]
    fn the_first_in_the_line_publishes_first() {
        let mut state = State::default();
        let (one, other) = (state.enter_line(), state.enter_line());
        let turns = |state: &State| [Some(&one), Some(&other), None].map(|place| state.turn(place));
        assert_eq!(turns(&state), [Turn::Now, Turn::Later, Turn::Later]);
        assert_eq!(state.refuse(), PublishError::Full { subscribers: Vec::new() });
        state.leave_line(&one);
        assert_eq!(turns(&state)[1..], [Turn::Now, Turn::Later]);
        state.leave_line(&other);
        assert_eq!(state.turn(None), Turn::Now);
        assert_eq!((state.metrics().waits, state.metrics().refused), (2, 1));
    }

    #[test]
    fn a_queue_counts_the_frames_that_it_drops() {
        let mut state = State::default();
        let number = subscribe(&mut state, "latest", Full::DropOldest);
        for sequence in 0..3 {
            let (number, dropped) = state.deliver(&reading(b"bytes"));
            assert_eq!((number, dropped.len()), (sequence, usize::from(sequence > 0)));
        }
        let frame = state.take(number).unwrap();
        assert_eq!((frame.sequence(), frame.dropped()), (2, 2));
        state.deliver(&reading(b"bytes"));
        assert_eq!(state.take(number).unwrap().dropped(), 0);
        assert_eq!(state.take(number).unwrap_err(), ReceiveError::Empty);
        let expected =
            SubscriberMetrics { name: "latest".to_owned(), delivered: 2, dropped: 2, queued: 0, most_queued: 1 };
        assert_eq!(state.metrics().subscribers, [expected]);
        assert_eq!((state.metrics().published, state.metrics().bytes), (4, 20));
    }
}
