//! Reading the body of a request.

use std::time::Duration;

use axum::body::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::Request;
use hyper::body::{Body as _, Incoming};
use hyper::header::EXPECT;
use tokio::time::timeout;

use super::refusal::Refusal;

/// Bytes of a body that is too large which are read all the same.
const DRAINED: u64 = 1 << 20;

/// How long reading them takes at most.
const DRAIN_TIME: Duration = Duration::from_millis(500);

/// Reads a body of at most `most` bytes, which takes at most `longest`.
pub(super) async fn read(request: Request<Incoming>, most: usize, longest: Duration) -> Result<Bytes, Refusal> {
    let waits = request.headers().contains_key(EXPECT);
    let mut body = request.into_body();
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let too_large = Refusal::BodyTooLarge { most };
    let all = async {
        // The client says so before it sends them.
        if body.size_hint().lower() > most as u64 {
            if !waits {
                drain(&mut body).await;
            }
            return Err(too_large);
        }
        match Limited::new(&mut body, most).collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => {
                drain(&mut body).await;
                Err(too_large)
            }
            Err(error) => Err(Refusal::Body(error.to_string())),
        }
    };
    timeout(longest, all).await.unwrap_or(Err(Refusal::BodyTooSlow { longest }))
}

/// Reads what is left of a body that is refused, within limits: a connection that is closed while its client still sends
/// is reset, and the client may never see the response.
async fn drain(body: &mut Incoming) {
    let mut left = DRAINED;
    if body.size_hint().lower() > left {
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
    let _ = timeout(DRAIN_TIME, drained).await;
}
