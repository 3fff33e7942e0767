//! Reading the body of a request.

use std::time::Duration;

use axum::body::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::Request;
use hyper::body::{Body as _, Incoming};
use tokio::time::timeout;

use super::refusal::Refusal;

/// Reads a body of at most `most` bytes, which takes at most `longest`.
pub(super) async fn read(request: Request<Incoming>, most: usize, longest: Duration) -> Result<Bytes, Refusal> {
    let body = request.into_body();
    // The client says so before it sends them.
    if body.size_hint().lower() > most as u64 {
        return Err(Refusal::BodyTooLarge { most });
    }
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    match timeout(longest, Limited::new(body, most).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::BodyTooLarge { most }),
        Ok(Err(error)) => Err(Refusal::Body(error.to_string())),
        Err(_) => Err(Refusal::BodyTooSlow { longest }),
    }
}
