//! Subscribers, which receive the frames of a topic.

use std::sync::{Arc, Condvar};
use std::time::Duration;

use super::Shared;
use super::error::ReceiveError;
use super::frame::Frame;
use super::wait::{Deadline, wait};

/// A subscriber of a [`Topic`](crate::Topic). It receives every frame that is published after its subscription, in the order of
/// their sequence numbers, except those that its queue dropped.
///
/// Dropping it unsubscribes: its queue goes away, and publishers that waited for room in it go on. Several threads may receive
/// from the same subscriber. Each frame goes to one of them.
#[derive(Debug)]
#[must_use = "a subscriber that is dropped receives nothing"]
pub struct Subscriber {
    shared: Arc<Shared>,
    number: u64,
    arrived: Arc<Condvar>,
}

impl Subscriber {
    pub(super) fn new(shared: Arc<Shared>, number: u64, arrived: Arc<Condvar>) -> Self {
        Self { shared, number, arrived }
    }

    /// Receives the next frame, and never waits for one.
    ///
    /// # Errors
    /// [`ReceiveError::Empty`] if the queue is empty, and [`ReceiveError::Closed`] if the topic is closed, too.
    pub fn try_receive(&self) -> Result<Frame, ReceiveError> {
        self.shared.lock().take(self.number)
    }

    /// Receives the next frame, and waits until one arrives.
    ///
    /// # Errors
    /// [`ReceiveError::Closed`] if the queue is empty and the topic is closed.
    pub fn receive(&self) -> Result<Frame, ReceiveError> {
        self.receive_until(Deadline::NEVER)
    }

    /// Receives the next frame, and waits for it no longer than `timeout`.
    ///
    /// # Errors
    /// [`ReceiveError::Empty`] if no frame has arrived in time, and [`ReceiveError::Closed`] if the queue is empty and the
    /// topic is closed.
    pub fn receive_timeout(&self, timeout: Duration) -> Result<Frame, ReceiveError> {
        self.receive_until(Deadline::after(timeout))
    }

    fn receive_until(&self, deadline: Deadline) -> Result<Frame, ReceiveError> {
        let mut state = self.shared.lock();
        loop {
            match state.take(self.number) {
                Err(ReceiveError::Empty) if !deadline.is_over() => state = wait(&self.arrived, state, deadline),
                taken => return taken,
            }
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        // Frames may drop bytes of the embedder's, which happens without the lock.
        let queue = self.shared.lock().unsubscribe(self.number);
        drop(queue);
    }
}
