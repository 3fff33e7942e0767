//! A connection of a program: bytes that arrive become events, and what the program writes is sent.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::outbox::{Closer, Closing, Out, Outgoing, queue};
use super::worker::Event;
use super::{Entrance, tenant_of};
use crate::deployment::Deployment;
use crate::registry::Reader;

/// The half of a connection from which bytes arrive.
pub(super) trait Incoming {
    /// Whether a client that is silent is asked by a ping whether it is there. The system asks for others.
    const PINGS: bool;

    /// The next message, or what has arrived of a stream; at its end, and where the client broke the rules, why the connection is closed.
    /// It may be dropped before it is ready, and nothing is lost.
    fn next(&mut self) -> impl Future<Output = Result<Heard, Closing>>;
}

/// Something that a client sent.
#[derive(Debug)]
pub(super) enum Heard {
    /// Bytes for the program.
    Bytes(Vec<u8>),
    /// A sign that it is there.
    Alive,
}

/// The half of a connection to which bytes are sent.
pub(super) trait Sink {
    /// Sends bytes.
    fn send(&mut self, bytes: &[u8]) -> impl Future<Output = io::Result<()>>;

    /// Asks whether the client is there.
    fn ping(&mut self) -> impl Future<Output = io::Result<()>>;

    /// Tells the client that there is nothing more.
    fn close(&mut self, why: Closing) -> impl Future<Output = ()>;
}

/// How often a connection looks whether its program was replaced.
const LOOK: std::time::Duration = std::time::Duration::from_secs(1);

impl Entrance {
    /// Serves a connection until it ends. Its client gets everything that was written to it before, if it reads.
    pub(super) async fn serve(
        &self,
        deployment: Arc<Deployment>,
        key: &str,
        peer: String,
        mut reader: Reader,
        mut incoming: impl Incoming,
        mut sink: impl Sink,
    ) {
        let Some(program) = &deployment.config.program else { return };
        let shared = &self.shared;
        let tenant = tenant_of(&deployment.name, key);
        let connection = shared.numbers.next();
        let (outbox, mut outgoing, closer) = queue(program.outgoing);
        shared.open.send_modify(|open| *open += 1);
        let _open = Open(self);
        let mut closing = shared.closing.subscribe();
        // Who connects too often waits, as who writes too often does.
        tokio::select! {
            () = self.admit(&deployment, key) => {}
            _ = closing.wait_for(|closing| *closing) => {
                let _ = timeout(shared.send_time, sink.close(Closing::GoingAway)).await;
                return;
            }
        }
        let (done, was_connected) = oneshot::channel();
        if !self.enter(&deployment, &tenant, connection, Event::Connected { peer, outbox, done }) {
            return sink.close(Closing::GoingAway).await;
        }
        let why = {
            let mut writes = pin!(self.write(&mut outgoing, &mut sink));
            let reads = async {
                let _ = was_connected.await;
                self.read(&deployment, &tenant, key, connection, &mut incoming, &closer).await
            };
            let replaced = async {
                loop {
                    sleep(LOOK).await;
                    if !reader.table().get(&deployment.name).is_some_and(|current| goes_on(&deployment, current)) {
                        break;
                    }
                }
            };
            // What was written to the connection before is sent in any case, if the client reads.
            let last = tokio::select! {
                why = &mut writes => Err(why),
                why = reads => Ok(why),
                () = replaced => Ok(Closing::GoingAway),
                _ = closing.wait_for(|closing| *closing) => Ok(Closing::GoingAway),
            };
            match last {
                Err(why) => why,
                Ok(why) => {
                    closer.close(why);
                    writes.await
                }
            }
        };
        if let Some(why) = why {
            let _ = timeout(shared.send_time, sink.close(why)).await;
        }
        self.enter(&deployment, &tenant, connection, Event::Closed);
    }

    /// Waits until the tenant may have another event.
    async fn admit(&self, deployment: &Deployment, key: &str) {
        let per_second = deployment.config.limits.calls_per_second;
        while let Err(after) = self.shared.rate.admit(&deployment.monitor, key, per_second, Instant::now()) {
            sleep(after).await;
        }
    }

    /// Hands in what arrives, one after the other, until there is nothing more, and returns why the connection is closed.
    async fn read(
        &self,
        deployment: &Arc<Deployment>,
        tenant: &Arc<str>,
        key: &str,
        connection: i64,
        incoming: &mut impl Incoming,
        closer: &Closer,
    ) -> Closing {
        loop {
            let bytes = match self.hear(incoming, closer).await {
                Ok(bytes) => bytes,
                Err(why) => return why,
            };
            // What it sends meanwhile stays with the client.
            self.admit(deployment, key).await;
            let (done, was_read) = oneshot::channel();
            if !self.enter(deployment, tenant, connection, Event::Read { bytes, done }) {
                return Closing::GoingAway;
            }
            // It is dropped, when the program has had the bytes.
            let _ = was_read.await;
        }
    }

    /// The next bytes. A client that is silent is asked whether it is there, and must answer.
    async fn hear<I: Incoming>(&self, incoming: &mut I, closer: &Closer) -> Result<Vec<u8>, Closing> {
        let mut was_asked = false;
        loop {
            match timeout(self.shared.keep_alive, incoming.next()).await {
                Ok(Ok(Heard::Bytes(bytes))) => return Ok(bytes),
                Ok(Ok(Heard::Alive)) => was_asked = false,
                Ok(Err(why)) => return Err(why),
                Err(_) if !I::PINGS => {}
                Err(_) if was_asked => return Err(Closing::Silent),
                Err(_) => {
                    was_asked = true;
                    closer.ping();
                }
            }
        }
    }

    /// Sends what is there, until the connection is to be closed, for the reason that it returns; `None` if it cannot be written.
    async fn write(&self, outgoing: &mut Outgoing, sink: &mut impl Sink) -> Option<Closing> {
        while let Some(out) = outgoing.next().await {
            match out {
                Out::Bytes(bytes) => {
                    let too_slow = outgoing.too_slow();
                    let sent = tokio::select! {
                        sent = timeout(self.shared.send_time, sink.send(&bytes)) => sent,
                        () = too_slow => return Some(Closing::TooSlow),
                    };
                    match sent {
                        Ok(Ok(())) => outgoing.sent(bytes.len()),
                        Ok(Err(_)) => return None,
                        Err(_) => return Some(Closing::TooSlow),
                    }
                }
                Out::Ping => match timeout(self.shared.send_time, sink.ping()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return None,
                    Err(_) => return Some(Closing::TooSlow),
                },
                Out::Close(why) => return Some(why),
            }
        }
        None
    }
}

/// Whether connections of a version go on under another one.
fn goes_on(own: &Deployment, current: &Deployment) -> bool {
    own.hash == current.hash
        && own.config.program == current.config.program
        && own.config.limits == current.config.limits
}

/// Counts a connection as open, as long as it exists.
struct Open<'a>(&'a Entrance);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.shared.open.send_modify(|open| *open -= 1);
    }
}
