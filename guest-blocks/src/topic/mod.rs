//! Topics: publishers and subscribers over blocks, on the host's side.
//!
//! [`state`] has the rules, without locks; this file and [`subscriber`] add the lock and the waiting. The lock is never held
//! while a block is locked, a frame is dropped or a thread waits.

mod error;
mod frame;
mod metrics;
mod state;
mod subscriber;
mod wait;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::block::{Block, Reading};

pub use error::{PublishError, ReceiveError};
pub use frame::Frame;
pub use metrics::{SubscriberMetrics, TopicMetrics};
pub use state::Full;
pub use subscriber::Subscriber;

use state::{State, Turn};
use wait::{Deadline, wait};

/// A topic: its publishers publish blocks, and each of its subscribers receives every one of them.
///
/// Cheap to clone: each clone is another publisher of the same topic, and the topic closes when the last is dropped. A
/// publication copies no bytes, as all subscribers receive the same block.
///
/// # Order
///
/// All subscribers see the same order. A frame takes its sequence number and its place in all queues in one step. Sequence
/// numbers count published frames from 0: a publication that fails uses none.
///
/// A subscriber receives the frames that are published after its subscription.
///
/// # Full queues
///
/// A publication is all or nothing: all subscribers get the frame, or none. Each subscriber states by [`Full`] how the topic
/// proceeds when the subscriber's queue is full:
///
/// - [`Full::Refuse`]: the publication fails with [`PublishError::Full`]. It does not wait for other subscribers before it fails,
///   but it may have waited for publishers that came first.
/// - [`Full::DropOldest`]: the queue drops its oldest frame, once it is certain that the new frame is published.
/// - [`Full::Wait`]: [`publish`](Self::publish) waits until there is room, the subscriber is dropped or the topic is closed.
///   [`publish_timeout`](Self::publish_timeout) waits no longer than its timeout, and [`try_publish`](Self::try_publish) not at
///   all: both fail with [`PublishError::Full`] then.
///
/// Publishers that wait form a line. The first to come is the first to publish, and nobody overtakes: while others wait,
/// `publish` goes to the end of the line, and `try_publish` fails. So no publisher starves, except by its own timeout. A
/// publisher that waits holds no lock: subscribers receive, come and go meanwhile.
///
/// A thread that publishes to its own subscriber with [`Full::Wait`] can wait for itself. Use `try_publish` there.
///
/// # Example
///
/// ```
/// use guest_blocks::{Block, Full, PublishError, ReceiveError, Topic};
///
/// let topic = Topic::new();
/// let latest = topic.subscribe("latest", 1, Full::DropOldest);
/// let every = topic.subscribe("every", 2, Full::Refuse);
/// for bytes in [b"one", b"two"] {
///     topic.publish(&Block::from_bytes(bytes)?)?;
/// }
///
/// // One subscriber has no room: nobody receives the third.
/// let third = Block::from_bytes(b"three")?;
/// assert_eq!(topic.publish(&third), Err(PublishError::Full { subscribers: vec!["every".to_owned()] }));
///
/// let frame = latest.receive()?;
/// assert_eq!((frame.sequence(), frame.dropped()), (1, 1));
/// assert_eq!(frame.bytes(<[u8]>::to_vec), b"two");
///
/// // A subscriber receives all that it has, and then sees that the topic is closed.
/// topic.close();
/// assert_eq!(every.receive()?.bytes(<[u8]>::to_vec), b"one");
/// assert_eq!(every.receive()?.bytes(<[u8]>::to_vec), b"two");
/// assert_eq!(every.receive().unwrap_err(), ReceiveError::Closed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Topic {
    publishers: Arc<Publishers>,
}

/// All clones of a topic. Subscribers are none of them, so that they see the end of the last publisher.
#[derive(Debug, Default)]
struct Publishers {
    shared: Arc<Shared>,
}

/// The part of a topic that publishers and subscribers have in common.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
}

impl Topic {
    /// A topic without subscribers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a subscriber with a queue of `capacity` frames; 0 counts as 1. The name stands in errors and in metrics, and need not
    /// be unique.
    ///
    /// A subscriber of a closed topic receives nothing but [`ReceiveError::Closed`].
    pub fn subscribe(&self, name: impl Into<String>, capacity: usize, full: Full) -> Subscriber {
        let (name, arrived) = (name.into(), Arc::new(Condvar::new()));
        let number = self.lock().subscribe(name, capacity, full, Arc::clone(&arrived));
        Subscriber::new(Arc::clone(&self.publishers.shared), number, arrived)
    }

    /// Publishes a block, and waits for room in the queues of subscribers with [`Full::Wait`]. Returns the frame's sequence
    /// number.
    ///
    /// The block must have been published with [`Block::write_shared`], or lent by [`Block::from_bytes`]. Nobody can write it
    /// until all subscribers have dropped their frames of it.
    ///
    /// # Errors
    /// - [`PublishError::NothingToRead`], [`PublishError::NotShared`] and [`PublishError::Busy`] if the block cannot be published.
    /// - [`PublishError::Full`] if the queue of a subscriber with [`Full::Refuse`] is full.
    /// - [`PublishError::Closed`] if the topic is closed, also while the call waits.
    pub fn publish(&self, block: &Block) -> Result<u64, PublishError> {
        self.publish_until(block, Deadline::NEVER)
    }

    /// Like [`publish`](Self::publish), and waits no longer than `timeout`.
    ///
    /// # Errors
    /// Those of [`publish`](Self::publish), and [`PublishError::Full`] if there was no room in time.
    pub fn publish_timeout(&self, block: &Block, timeout: Duration) -> Result<u64, PublishError> {
        self.publish_until(block, Deadline::after(timeout))
    }

    /// Like [`publish`](Self::publish), and never waits for room.
    ///
    /// # Errors
    /// Those of [`publish`](Self::publish), and [`PublishError::Full`] if there is no room, or if other publishers wait for some.
    pub fn try_publish(&self, block: &Block) -> Result<u64, PublishError> {
        self.publish_until(block, Deadline::after(Duration::ZERO))
    }

    /// Closes the topic. Publications fail from now on, also those that wait. Subscribers receive the frames that are in their
    /// queues, and then [`ReceiveError::Closed`].
    pub fn close(&self) {
        self.lock().close();
    }

    /// The figures of the topic and of its subscribers, all of the same moment.
    ///
    /// ```
    /// use guest_blocks::{Block, Full, Topic};
    ///
    /// let topic = Topic::new();
    /// let _subscriber = topic.subscribe("screen", 4, Full::Wait);
    /// topic.publish(&Block::from_bytes(b"frame")?)?;
    /// let metrics = topic.metrics();
    /// assert_eq!((metrics.published, metrics.bytes), (1, 5));
    /// assert_eq!((metrics.subscribers[0].name.as_str(), metrics.subscribers[0].queued), ("screen", 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn metrics(&self) -> TopicMetrics {
        self.lock().metrics()
    }

    fn publish_until(&self, block: &Block, deadline: Deadline) -> Result<u64, PublishError> {
        let reading = Arc::new(read_shared(block)?);
        let mut place = None;
        let mut state = self.lock();
        let delivered = loop {
            match state.turn(place.as_ref()) {
                Turn::Now => break Ok(state.deliver(&reading)),
                Turn::Closed => break Err(PublishError::Closed),
                Turn::Later if !deadline.is_over() => {
                    let place = place.get_or_insert_with(|| state.enter_line());
                    state = wait(place, state, deadline);
                }
                Turn::Refused | Turn::Later => break Err(state.refuse()),
            }
        };
        if let Some(place) = place {
            state.leave_line(&place);
        }
        drop(state);
        // Here the frames that were dropped for this one go away, which may run code of the embedder's.
        delivered.map(|(sequence, _dropped)| sequence)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.publishers.shared.lock()
    }
}

impl Drop for Publishers {
    fn drop(&mut self) {
        self.shared.lock().close();
    }
}

impl Shared {
    /// The state is whole even if a thread has panicked with the lock: no step of [`State`] runs code of the embedder's.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a block for all subscribers. Nobody can write it as long as the reading lasts.
fn read_shared(block: &Block) -> Result<Reading, PublishError> {
    // A block of one reader at a time is not read even for a moment: its reader would find it busy.
    if block.unread().is_empty() {
        return Err(PublishError::NothingToRead);
    }
    if !block.is_shared() {
        return Err(PublishError::NotShared);
    }
    let reading = block.read().map_err(|_| PublishError::Busy)?;
    // Another thread may have published it anew since.
    if reading.is_shared() { Ok(reading) } else { Err(PublishError::NotShared) }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_panic_with_the_lock_leaves_a_topic_that_works() {
        let topic = Topic::new();
        let subscriber = topic.subscribe("one", 1, Full::Wait);
        let panicked = thread::scope(|scope| {
            let panics = scope.spawn(|| {
                let _state = topic.lock();
                panic!("on purpose, with the lock of the topic");
            });
            panics.join()
        });
        assert!(panicked.is_err() && topic.publishers.shared.state.is_poisoned());

        let block = Block::from_bytes(b"frame").unwrap();
        assert_eq!(topic.publish(&block), Ok(0));
        assert!(matches!(topic.publish_timeout(&block, Duration::from_millis(1)), Err(PublishError::Full { .. })));
        thread::scope(|scope| {
            let waits = scope.spawn(|| topic.publish_timeout(&block, Duration::from_secs(60)));
            while topic.metrics().waits < 2 {
                thread::yield_now();
            }
            assert_eq!(subscriber.receive().unwrap().sequence(), 0);
            assert_eq!(waits.join().unwrap(), Ok(1));
        });
        assert_eq!(subscriber.receive().unwrap().sequence(), 1);
        drop(topic);
        assert_eq!(subscriber.receive().unwrap_err(), ReceiveError::Closed);
    }
}
