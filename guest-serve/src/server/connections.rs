//! The connections of one thread: taken, served over HTTP/1.1, and closed.

use std::convert::Infallible;
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_local;
use tokio_io_timeout::TimeoutStream;

use crate::http::{Handler, Peer};
use crate::room::{Place, Room};

/// How long a connection may do nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// For the head of a request, or for beginning one.
    pub(super) head: Duration,
    /// While the client reads nothing of a response.
    pub(super) send: Duration,
}

/// How far the threads should go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Open,
    /// Requests that run end, and no others begin.
    Closing,
    Stopped,
}

/// What the threads have in common.
#[derive(Debug)]
pub(super) struct Shared {
    stage: watch::Sender<Stage>,
    /// For each thread how many connections it has.
    open: Vec<AtomicUsize>,
    /// Where each thread is handed connections that others took.
    hand: Vec<mpsc::UnboundedSender<Handed>>,
    /// The room that they share with connections of programs.
    room: Arc<Room>,
    /// All connections.
    count: Mutex<usize>,
    none_is_open: Condvar,
}

/// The connections of one thread.
pub(super) struct Connections<H> {
    number: usize,
    shared: Arc<Shared>,
    times: Times,
    most: usize,
    handler: Rc<H>,
    http: http1::Builder,
}

/// Bytes that the head of a request may have.
const HEAD: usize = 16 << 10;

/// How often the handler tidies up.
const TIDY: Duration = Duration::from_secs(1);

/// How long the thread waits where the system has no room for another connection.
const NO_ROOM: Duration = Duration::from_millis(100);

impl Shared {
    pub(super) fn new(hand: Vec<mpsc::UnboundedSender<Handed>>, room: Arc<Room>) -> Self {
        Self {
            stage: watch::Sender::new(Stage::Open),
            open: hand.iter().map(|_| AtomicUsize::new(0)).collect(),
            hand,
            room,
            count: Mutex::new(0),
            none_is_open: Condvar::new(),
        }
    }

    pub(super) fn close(&self) {
        self.stage.send_if_modified(|stage| std::mem::replace(stage, (*stage).max(Stage::Closing)) == Stage::Open);
    }

    pub(super) fn stop(&self) {
        self.stage.send_replace(Stage::Stopped);
    }

    /// Waits until no connection is open.
    pub(super) fn wait(&self, longest: Duration) -> bool {
        let until = Instant::now().checked_add(longest);
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        while *count > 0 {
            let left = until.map_or(longest, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return false;
            }
            count = self.none_is_open.wait_timeout(count, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// The thread with the fewest connections; `number` if no other has fewer.
    fn emptiest(&self, number: usize) -> usize {
        let open = |number: usize| self.open[number].load(Relaxed);
        (0..self.open.len()).min_by_key(|other| (open(*other), *other != number)).unwrap_or(number)
    }
}

/// A connection that another thread took.
pub(super) struct Handed {
    stream: std::net::TcpStream,
    open: Open,
}

/// A connection that is open, as long as this exists.
struct Open {
    shared: Arc<Shared>,
    number: usize,
    _place: Place,
}

impl Open {
    fn new(shared: &Arc<Shared>, number: usize) -> Self {
        shared.open[number].fetch_add(1, Relaxed);
        *shared.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Self { shared: Arc::clone(shared), number, _place: shared.room.take() }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.open[self.number].fetch_sub(1, Relaxed);
        let mut count = self.shared.count.lock().unwrap_or_else(PoisonError::into_inner);
        *count -= 1;
        if *count == 0 {
            self.shared.none_is_open.notify_all();
        }
    }
}

impl<H: Handler> Connections<H> {
    pub(super) fn new(number: usize, shared: Arc<Shared>, times: Times, most: usize, handler: Rc<H>) -> Self {
        let mut http = http1::Builder::new();
        // A client that has sent its last request may close its half.
        http.timer(TokioTimer::new()).header_read_timeout(times.head).half_close(true);
        http.max_buf_size(HEAD);
        Self { number, shared, times, most, handler, http }
    }

    /// Takes connections and serves each in a task of its own, until the server is closed and they have ended, or until it
    /// is stopped.
    pub(super) async fn serve(self, listener: std::net::TcpListener, mut handed: mpsc::UnboundedReceiver<Handed>) {
        let mut stage = self.shared.stage.subscribe();
        self.take_all(listener, &mut handed, stage.clone()).await;
        // Whoever hands one over later drops it, and so are those that were on their way.
        handed.close();
        while handed.try_recv().is_ok() {}
        let ended = async {
            while self.shared.open[self.number].load(Relaxed) > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            () = ended => {}
            _ = stage.wait_for(|stage| *stage == Stage::Stopped) => {}
        }
    }

    async fn take_all(
        &self,
        listener: std::net::TcpListener,
        handed: &mut mpsc::UnboundedReceiver<Handed>,
        mut stage: watch::Receiver<Stage>,
    ) {
        let Ok(listener) = TcpListener::from_std(listener) else { return };
        let mut tidy = tokio::time::interval(TIDY);
        tidy.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // One that came when others had just taken the last room.
        let mut waiting = None;
        loop {
            let has_room = self.shared.open[self.number].load(Relaxed) < self.most && self.shared.room.has_some();
            if let Some(accepted) = waiting.take_if(|_| has_room) {
                self.take(accepted).await;
                continue;
            }
            tokio::select! {
                _ = stage.wait_for(|stage| *stage > Stage::Open) => return,
                Some(handed) = handed.recv() => self.take_handed(handed),
                _ = tidy.tick() => self.handler.tidy(),
                accepted = listener.accept(), if has_room => match self.shared.room.has_some() {
                    true => self.take(accepted).await,
                    false => waiting = Some(accepted),
                },
            }
        }
    }

    /// Serves a connection, or hands it to a thread that has fewer.
    async fn take(&self, accepted: io::Result<(TcpStream, std::net::SocketAddr)>) {
        let stream = match accepted {
            Ok((stream, _)) => stream,
            // The client closed it before it was taken.
            Err(error) if is_of_client(&error) => return,
            Err(_) => return tokio::time::sleep(NO_ROOM).await,
        };
        let number = self.shared.emptiest(self.number);
        let open = Open::new(&self.shared, number);
        if number == self.number {
            self.begin(stream, open);
        } else if let Ok(stream) = stream.into_std() {
            // It is dropped where the other thread takes none any more.
            let _ = self.shared.hand[number].send(Handed { stream, open });
        }
    }

    fn take_handed(&self, Handed { stream, open }: Handed) {
        if let Ok(stream) = TcpStream::from_std(stream) {
            self.begin(stream, open);
        }
    }

    fn begin(&self, stream: TcpStream, open: Open) {
        // A response is written at once.
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.times.send));
        let open = Arc::new(open);
        let address = stream.get_ref().peer_addr();
        let peer = address.ok().map(|address| Peer { address, open: Arc::clone(&open) as Arc<dyn Send + Sync> });
        let (handler, mut stage) = (Rc::clone(&self.handler), self.shared.stage.subscribe());
        let service = service_fn(move |mut request: Request<Incoming>| {
            if let Some(peer) = &peer {
                request.extensions_mut().insert(peer.clone());
            }
            Rc::clone(&handler).respond(request).map(Ok::<_, Infallible>)
        });
        let connection = self.http.serve_connection(TokioIo::new(Box::pin(stream)), service).with_upgrades();
        spawn_local(async move {
            let _open = open;
            let mut connection = std::pin::pin!(connection);
            // Errors here are the client's: it closed the connection, took too long, or did not send HTTP.
            tokio::select! {
                _ = connection.as_mut() => return,
                _ = stage.wait_for(|stage| *stage > Stage::Open) => connection.as_mut().graceful_shutdown(),
            }
            let _ = connection.await;
        });
    }
}

/// Whether a connection could not be taken for a reason that lies in itself.
fn is_of_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
