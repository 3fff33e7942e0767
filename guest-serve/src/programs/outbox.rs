//! What waits to be sent to a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::sync::mpsc;

/// Why the host closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// The program asked for it.
    Asked,
    /// The client reads too slowly.
    TooSlow,
    /// The tenant has as many connections as it may have.
    TooMany,
    /// A call of the program failed.
    Failed,
    /// The server stops, or has another version of the program.
    GoingAway,
}

/// Something that waits to be sent.
#[derive(Debug)]
pub(super) enum Out {
    Bytes(Arc<[u8]>),
    /// What was put there before is sent first.
    Close(Closing),
}

/// The end of a connection's queue into which its program's thread puts what is to be sent. It never waits.
#[derive(Debug)]
pub(super) struct Outbox {
    sender: mpsc::UnboundedSender<Out>,
    waiting: Arc<AtomicUsize>,
    most: usize,
}

/// The other end.
#[derive(Debug)]
pub(super) struct Outgoing {
    receiver: mpsc::UnboundedReceiver<Out>,
    waiting: Arc<AtomicUsize>,
}

/// A queue of at most so many bytes.
pub(super) fn queue(most: usize) -> (Outbox, Outgoing) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    (Outbox { sender, waiting: Arc::clone(&waiting), most }, Outgoing { receiver, waiting })
}

impl Outbox {
    /// Puts bytes there. Says whether there is room for them; there is always room for something where nothing waits.
    pub(super) fn write(&self, bytes: &Arc<[u8]>) -> bool {
        let before = self.waiting.load(Relaxed);
        if before > 0 && before.saturating_add(bytes.len()) > self.most {
            return false;
        }
        self.waiting.fetch_add(bytes.len(), Relaxed);
        // A connection that has ended takes nothing, and its program is told.
        let _ = self.sender.send(Out::Bytes(Arc::clone(bytes)));
        true
    }

    pub(super) fn close(&self, why: Closing) {
        let _ = self.sender.send(Out::Close(why));
    }
}

impl Outgoing {
    /// The next that is to be sent; `None` if there will be nothing.
    pub(super) async fn next(&mut self) -> Option<Out> {
        self.receiver.recv().await
    }

    /// Takes note that bytes were sent.
    pub(super) fn sent(&self, bytes: usize) {
        self.waiting.fetch_sub(bytes, Relaxed);
    }

    /// What is there now, if anything is.
    pub(super) fn try_next(&mut self) -> Option<Out> {
        self.receiver.try_recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_takes_as_many_bytes_as_it_may_and_one_message_in_any_case() {
        let (outbox, mut outgoing) = queue(10);
        let bytes = |length: usize| Arc::from(vec![0; length]);
        assert!(outbox.write(&bytes(20)) && !outbox.write(&bytes(1)));
        assert!(matches!(outgoing.try_next(), Some(Out::Bytes(bytes)) if bytes.len() == 20));
        outgoing.sent(20);
        assert!(outbox.write(&bytes(4)) && outbox.write(&bytes(6)) && !outbox.write(&bytes(1)));
        outbox.close(Closing::TooSlow);
        for _ in 0..2 {
            assert!(matches!(outgoing.try_next(), Some(Out::Bytes(_))));
        }
        assert!(matches!(outgoing.try_next(), Some(Out::Close(Closing::TooSlow))));
        assert!(outgoing.try_next().is_none());
    }
}
