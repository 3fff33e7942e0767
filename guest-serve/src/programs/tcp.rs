//! TCP connections of programs, at the addresses that their guests name.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, LocalSet, spawn_local};
use tokio::time::sleep;

use super::Entrance;
use super::connection::{Heard, Incoming, Sink};
use super::outbox::Closing;
use crate::deployment::Deployment;
use crate::folder::GuestName;
use crate::monitor::{Event, Monitor};
use crate::registry::Registry;

/// How often it looks for guests that were deployed or removed.
const LOOK: Duration = Duration::from_millis(250);

/// How long it waits where the system has no room for another connection.
const NO_ROOM: Duration = Duration::from_millis(100);

/// The thread that takes TCP connections. Dropping it ends the thread.
#[derive(Debug)]
pub(super) struct Listeners {
    thread: Option<JoinHandle<()>>,
    stop: Option<oneshot::Sender<()>>,
}

impl Listeners {
    pub(super) fn start(
        registry: Registry,
        monitor: Monitor,
        entrance: Entrance,
    ) -> Result<Self, crate::error::ServeError> {
        let system = |source| crate::error::ServeError::System { what: "start the thread of TCP connections", source };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(system)?;
        let (stop, stopped) = oneshot::channel();
        let listen = move || {
            let local = LocalSet::new();
            runtime.block_on(local.run_until(async {
                tokio::select! {
                    () = follow(&registry, &monitor, &entrance) => {}
                    _ = stopped => {}
                }
            }));
        };
        let thread = thread::Builder::new().name("tcp".to_owned()).spawn(listen).map_err(system)?;
        Ok(Self { thread: Some(thread), stop: Some(stop) })
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A fault in it was printed.
            let _ = thread.join();
        }
    }
}

/// A guest that is listened for, or could not be.
struct Listener {
    address: SocketAddr,
    /// The version for which that was told last.
    version: u64,
    task: Option<AbortHandle>,
}

/// Listens for the guests that are served, until it is dropped.
async fn follow(registry: &Registry, monitor: &Monitor, entrance: &Entrance) {
    let mut listeners: BTreeMap<GuestName, Listener> = BTreeMap::new();
    let mut reader = registry.reader();
    loop {
        let table = Arc::clone(reader.table());
        let address_of = |deployment: &Deployment| deployment.config.program.as_ref().and_then(|program| program.tcp);
        listeners.retain(|name, listener| {
            let keeps = table.get(name).and_then(|current| address_of(current)) == Some(listener.address);
            if !keeps && let Some(task) = &listener.task {
                task.abort();
            }
            keeps
        });
        for deployment in table.deployments() {
            let Some(address) = address_of(deployment) else { continue };
            let known = listeners.get(&deployment.name);
            if known.is_some_and(|known| known.task.is_some()) {
                continue;
            }
            let version = deployment.version;
            let told = known.is_some_and(|known| known.version == version);
            let task = match bind(address) {
                Ok(listener) => {
                    let (registry, entrance, name) = (registry.clone(), entrance.clone(), deployment.name.clone());
                    Some(spawn_local(take_all(listener, registry, entrance, name)).abort_handle())
                }
                Err(error) => {
                    // Another process may give it up, so it is tried again; told once.
                    if !told {
                        let error = format!(
                            "cannot listen on {address}: {error}; choose another address by `tcp` in guest.toml"
                        );
                        let serving = Some(version);
                        monitor.event(&Event::Failed { guest: deployment.name.as_str(), error: Some(&error), serving });
                    }
                    None
                }
            };
            listeners.insert(deployment.name.clone(), Listener { address, version, task });
        }
        sleep(LOOK).await;
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Takes connections for a guest.
async fn take_all(listener: TcpListener, registry: Registry, entrance: Entrance, name: GuestName) {
    loop {
        // Those that are not taken wait in the system's queue.
        while !entrance.shared.room.has_some() {
            sleep(NO_ROOM).await;
        }
        let (stream, peer) = match listener.accept().await {
            Ok(taken) => taken,
            Err(_) => {
                sleep(NO_ROOM).await;
                continue;
            }
        };
        let place = entrance.shared.room.take();
        let mut reader = registry.reader();
        let Some(deployment) = reader.table().get(&name).map(Arc::clone) else { continue };
        let entrance = entrance.clone();
        spawn_local(async move {
            let most = deployment.config.program.as_ref().map_or(1, |program| program.message);
            let (incoming, sink) = halves(stream, most, entrance.shared.keep_alive);
            let key = deployment.name.to_string();
            entrance.serve(deployment, &key, peer.to_string(), reader, incoming, sink).await;
            drop(place);
        });
    }
}

/// Times that the system asks a client which does not answer.
const ASKED: u32 = 3;

fn halves(stream: TcpStream, most: usize, keep_alive: Duration) -> (Stream, OwnedWriteHalf) {
    // An answer is sent at once.
    let _ = stream.set_nodelay(true);
    // A system that cannot ask so has ways of its own.
    let asks = TcpKeepalive::new().with_time(keep_alive).with_interval(keep_alive / ASKED);
    #[cfg(unix)]
    let asks = asks.with_retries(ASKED);
    let _ = SockRef::from(&stream).set_tcp_keepalive(&asks);
    let (half, sink) = stream.into_split();
    (Stream { half, most }, sink)
}

/// The bytes that arrive, as many at once as a message may have.
struct Stream {
    half: OwnedReadHalf,
    most: usize,
}

impl Incoming for Stream {
    // The system asks, and a client that does not answer is an error of the stream.
    const PINGS: bool = false;

    async fn next(&mut self) -> Result<Heard, Closing> {
        // Without a buffer while nothing arrives: most connections are idle.
        self.half.readable().await.map_err(|_| Closing::Asked)?;
        let mut bytes = vec![0; self.most];
        match self.half.read(&mut bytes).await {
            Ok(read @ 1..) => {
                bytes.truncate(read);
                Ok(Heard::Bytes(bytes))
            }
            _ => Err(Closing::Asked),
        }
    }
}

impl Sink for OwnedWriteHalf {
    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes).await
    }

    async fn ping(&mut self) -> io::Result<()> {
        Ok(())
    }

    async fn close(&mut self, _why: Closing) {
        // One that the client has closed already needs nothing more.
        let _ = self.shutdown().await;
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_system_asks_whether_a_silent_client_is_there() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let (incoming, _sink) = halves(stream, 1, Duration::from_secs(12));
        let socket = SockRef::from(incoming.half.as_ref());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(12));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(4));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
    }
}
