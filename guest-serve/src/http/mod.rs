//! Requests of clients and the responses to them.

pub(crate) mod body;
mod calls;
mod encodings;
pub(crate) mod exchange;
mod extensions;
mod path;
mod refusal;
mod slow;
pub mod streams;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use axum::body::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};

pub use calls::{CallOptions, Calls};
pub use refusal::{Refusal, record};
pub use slow::SlowLane;
pub use streams::ResponseBody;

/// The client of a connection, as an extension of requests.
#[derive(Clone)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Counts the connection as open as long as it exists. What goes on behind the last request keeps it.
    pub open: Arc<dyn Send + Sync>,
}

/// Responds to requests on one thread.
pub trait Handler: 'static {
    /// The response to a request.
    fn respond(self: Rc<Self>, request: Request<Incoming>) -> impl Future<Output = Response<ResponseBody>> + 'static;

    /// Is called each second or so.
    fn tidy(&self) {}
}

/// A response with a body.
#[must_use]
pub fn response(status: StatusCode, media_type: &'static str, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
