//! What waits to be sent to a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use tokio::sync::{Notify, mpsc};

/// Why the host closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// The program asked for it.
    Asked,
    /// The client reads too slowly.
    TooSlow,
    /// The tenant has as many connections as it may have.
    TooMany,
    /// The guest has as many tenants as it may have.
    TooManyTenants,
    /// The tenant was forgotten.
    Forgotten,
    /// A call of the program failed.
    Failed,
    /// As many events of the program wait for the slow lane as may.
    Busy,
    /// The server stops, or has another version of the program.
    GoingAway,
    /// The client sent a message with more bytes than it may have.
    TooLarge,
    /// The client sent text that is not UTF-8.
    NotText,
    /// The client broke the rules otherwise.
    BrokeRules,
    /// The client does not answer.
    Silent,
}

/// Something that waits to be sent.
#[derive(Debug)]
pub(super) enum Out {
    Bytes(Arc<[u8]>),
    /// A question whether the client is still there.
    Ping,
    /// What was put there before is sent first.
    Close(Closing),
}

/// The end of a connection's queue into which its program's thread puts what is to be sent. It never waits.
#[derive(Debug)]
pub(super) struct Outbox {
    sender: mpsc::UnboundedSender<Out>,
    shared: Arc<Shared>,
    most: usize,
}

/// The other end.
#[derive(Debug)]
pub(super) struct Outgoing {
    receiver: mpsc::UnboundedReceiver<Out>,
    shared: Arc<Shared>,
}

/// Closes a connection from its own side.
#[derive(Debug)]
pub(super) struct Closer {
    sender: mpsc::UnboundedSender<Out>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Bytes that wait.
    waiting: AtomicUsize,
    /// Whether it takes nothing more.
    closed: AtomicBool,
    /// Is told when the client reads too slowly.
    too_slow: Notify,
}

/// Bytes that an entry of the queue takes beside its own.
const ENTRY: usize = 64;

/// A queue of at most so many bytes.
pub(super) fn queue(most: usize) -> (Outbox, Outgoing, Closer) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared::default());
    let closer = Closer { sender: sender.clone(), shared: Arc::clone(&shared) };
    (Outbox { sender, shared: Arc::clone(&shared), most }, Outgoing { receiver, shared }, closer)
}

impl Outbox {
    /// Puts bytes there; there is always room for something where nothing waits. Says whether this was too much, so that the connection
    /// ends at once. From then on, and after it was closed, it takes nothing.
    pub(super) fn write(&self, bytes: &Arc<[u8]>) -> bool {
        if self.shared.closed.load(Relaxed) {
            return false;
        }
        let before = self.shared.waiting.fetch_add(bytes.len() + ENTRY, Relaxed);
        if before > 0 && before.saturating_add(bytes.len() + ENTRY) > self.most {
            self.shared.closed.store(true, Relaxed);
            self.shared.too_slow.notify_one();
            return true;
        }
        // A connection that has ended takes nothing, and its program is told.
        let _ = self.sender.send(Out::Bytes(Arc::clone(bytes)));
        false
    }

    /// Closes the connection, when what was put there before has been sent.
    pub(super) fn close(&self, why: Closing) {
        if !self.shared.closed.swap(true, Relaxed) {
            let _ = self.sender.send(Out::Close(why));
        }
    }
}

impl Closer {
    /// Asks whether the client is still there.
    pub(super) fn ping(&self) {
        // One that has ended is told so elsewhere.
        let _ = self.sender.send(Out::Ping);
    }

    /// As [`Outbox::close`].
    pub(super) fn close(&self, why: Closing) {
        self.shared.closed.store(true, Relaxed);
        // The queue ends here; what its program's thread puts there meanwhile is not sent.
        let _ = self.sender.send(Out::Close(why));
    }
}

impl Outgoing {
    /// The next that is to be sent; `None` if there will be nothing.
    pub(super) async fn next(&mut self) -> Option<Out> {
        tokio::select! {
            biased;
            () = self.shared.too_slow.notified() => Some(Out::Close(Closing::TooSlow)),
            out = self.receiver.recv() => out,
        }
    }

    /// Waits until the client is too slow.
    pub(super) fn too_slow(&self) -> impl Future<Output = ()> + use<> {
        let shared = Arc::clone(&self.shared);
        async move { shared.too_slow.notified().await }
    }

    /// Takes note that bytes were sent.
    pub(super) fn sent(&self, bytes: usize) {
        self.shared.waiting.fetch_sub(bytes + ENTRY, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(length: usize) -> Arc<[u8]> {
        Arc::from(vec![0; length])
    }

    #[tokio::test]
    async fn a_queue_takes_as_many_bytes_as_it_may_and_one_message_in_any_case() {
        let (outbox, mut outgoing, _) = queue(200);
        assert!(!outbox.write(&bytes(2000)));
        assert!(matches!(outgoing.next().await, Some(Out::Bytes(bytes)) if bytes.len() == 2000));
        outgoing.sent(2000);
        assert!(!outbox.write(&bytes(4)) && !outbox.write(&bytes(6)));
        assert!(outbox.write(&bytes(70)), "with what an entry takes");
        // It ends at once, and says so once.
        assert!(!outbox.write(&bytes(1)));
        outbox.close(Closing::Asked);
        assert!(matches!(outgoing.next().await, Some(Out::Close(Closing::TooSlow))));
    }

    #[tokio::test]
    async fn what_was_put_there_before_comes_before_the_end() {
        let (outbox, mut outgoing, closer) = queue(200);
        assert!(!outbox.write(&bytes(1)));
        closer.close(Closing::GoingAway);
        assert!(!outbox.write(&bytes(1)));
        assert!(matches!(outgoing.next().await, Some(Out::Bytes(_))));
        assert!(matches!(outgoing.next().await, Some(Out::Close(Closing::GoingAway))));
    }
}
