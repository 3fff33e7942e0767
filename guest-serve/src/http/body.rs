//! Reading the body of a request.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use axum::body::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::EXPECT;
use hyper::{Request, StatusCode};
use tokio::time::timeout;

use super::refusal::Refusal;

/// Bytes of a body that nobody asked for which are read all the same.
const DRAINED: u64 = 1 << 20;

/// How long reading them takes at most.
const DRAIN_TIME: Duration = Duration::from_millis(500);

/// Reads a body of at most `most` bytes, which takes at most `longest`.
pub(super) async fn read(request: &mut Request<Incoming>, most: usize, longest: Duration) -> Result<Bytes, Refusal> {
    let body = request.body_mut();
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    check_length(body, most)?;
    let mut collect = pin!(Limited::new(body, most).collect());
    // Most bodies came with the head, and need no timer.
    let collected = match poll_once(collect.as_mut()).await {
        Poll::Ready(collected) => collected,
        Poll::Pending => Box::pin(timeout(longest, collect)).await.map_err(|_| Refusal::BodyTooSlow { longest })?,
    };
    match collected {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::BodyTooLarge { most }),
        Err(error) => Err(Refusal::Body(error.to_string())),
    }
}

/// Checks the length of a body that its client says before it sends it.
pub(super) fn check_length(body: &Incoming, most: usize) -> Result<(), Refusal> {
    match body.size_hint().lower() > most as u64 {
        true => Err(Refusal::BodyTooLarge { most }),
        false => Ok(()),
    }
}

/// Polls a future without waiting for it.
async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}

/// Asks a client that waits for it to send the body. Returns what has come already.
pub(super) async fn ask_for(body: &mut Incoming) -> Bytes {
    // An error comes again when the body is read.
    match poll_once(Pin::new(&mut body.frame())).await {
        Poll::Ready(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
        Poll::Ready(_) | Poll::Pending => Bytes::new(),
    }
}

/// Reads what is left of the body of a request that was answered without it, within limits: a connection that is closed
/// while its client still sends is reset, and the client may never see the response.
pub(super) async fn finish(request: &mut Request<Incoming>, status: StatusCode) {
    // A client that waits for the word to go on gets the response instead of it, and a slow one had its time.
    if !request.headers().contains_key(EXPECT) && status != StatusCode::REQUEST_TIMEOUT {
        drain(request.body_mut()).await;
    }
}

/// Reads what is left of a body, within limits.
pub(crate) async fn drain(body: &mut Incoming) {
    let mut left = DRAINED;
    if body.is_end_stream() || body.size_hint().lower() > left {
        return;
    }
    let drained = async {
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
            match left.checked_sub(bytes) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    // A client that sends no more waits for the response.
    let _ = Box::pin(timeout(DRAIN_TIME, drained)).await;
}
