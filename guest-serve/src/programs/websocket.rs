//! WebSockets of programs. A message is an event; what a program writes is one message.

use std::io;
use std::sync::Arc;

use axum::body::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use http_body_util::Full;
use hyper::body::Incoming as Body;
use hyper::header::{
    CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::Entrance;
use super::connection::{Heard, Incoming, Sink};
use super::outbox::Closing;
use crate::deployment::Deployment;
use crate::registry::Reader;

/// A request that becomes a WebSocket.
#[derive(Debug)]
pub struct Upgrade {
    on_upgrade: OnUpgrade,
    response: Response<Full<Bytes>>,
}

/// Whether a request asks for a WebSocket.
#[must_use]
pub fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

impl Upgrade {
    /// The response to a request for a WebSocket, and what comes after it.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub fn of(request: &mut Request<Body>) -> Result<Self, &'static str> {
        let headers = request.headers();
        if headers.get(SEC_WEBSOCKET_VERSION).map(HeaderValue::as_bytes) != Some(b"13") {
            return Err("the WebSocket's version must be 13");
        }
        let Some(key) = headers.get(SEC_WEBSOCKET_KEY) else {
            return Err("the header Sec-WebSocket-Key is missing");
        };
        let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()));
        let accept = accept.map_err(|_| "the header Sec-WebSocket-Key is wrong")?;
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let own = response.headers_mut();
        own.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        own.insert(UPGRADE, HeaderValue::from_static("websocket"));
        own.insert(SEC_WEBSOCKET_ACCEPT, accept);
        Ok(Self { on_upgrade: hyper::upgrade::on(request), response })
    }

    /// The response, and a future that serves the connection behind it.
    pub fn serve(
        self,
        entrance: Entrance,
        deployment: Arc<Deployment>,
        key: String,
        peer: String,
        reader: Reader,
    ) -> (Response<Full<Bytes>>, impl Future<Output = ()>) {
        let Self { on_upgrade, response } = self;
        let serve = async move {
            // A client that went away before.
            let Ok(upgraded) = on_upgrade.await else { return };
            let most = deployment.config.program.as_ref().map_or(0, |program| program.message);
            let config = WebSocketConfig::default().max_message_size(Some(most)).max_frame_size(Some(most));
            let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
            let (sink, incoming) = socket.split();
            entrance.serve(deployment, &key, peer, reader, incoming, sink).await;
        };
        (response, serve)
    }
}

type Socket = WebSocketStream<TokioIo<Upgraded>>;

impl Incoming for SplitStream<Socket> {
    const PINGS: bool = true;

    async fn next(&mut self) -> Result<Heard, Closing> {
        match StreamExt::next(self).await {
            Some(Ok(Message::Text(text))) => Ok(Heard::Bytes(text.as_bytes().to_vec())),
            Some(Ok(Message::Binary(bytes))) => Ok(Heard::Bytes(bytes.to_vec())),
            Some(Ok(Message::Close(_))) | None => Err(Closing::Asked),
            // A ping or a pong. The library answers a ping when it writes next.
            Some(Ok(_)) => Ok(Heard::Alive),
            Some(Err(Error::Capacity(_))) => Err(Closing::TooLarge),
            Some(Err(Error::Utf8(_))) => Err(Closing::NotText),
            Some(Err(Error::Protocol(_))) => Err(Closing::BrokeRules),
            Some(Err(_)) => Err(Closing::Asked),
        }
    }
}

impl Sink for SplitSink<Socket, Message> {
    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let message = match str::from_utf8(bytes) {
            Ok(text) => Message::text(text),
            Err(_) => Message::binary(bytes.to_vec()),
        };
        SinkExt::send(self, message).await.map_err(io::Error::other)
    }

    async fn ping(&mut self) -> io::Result<()> {
        SinkExt::send(self, Message::Ping(Bytes::new())).await.map_err(io::Error::other)
    }

    async fn close(&mut self, why: Closing) {
        let (code, reason) = match why {
            Closing::Asked => (CloseCode::Normal, ""),
            Closing::TooSlow => (CloseCode::Policy, "too slow"),
            Closing::TooMany => (CloseCode::Again, "too many connections"),
            Closing::TooManyTenants => (CloseCode::Again, "too many tenants"),
            Closing::Forgotten => (CloseCode::Away, "the tenant was removed"),
            Closing::Busy => (CloseCode::Again, "too much to do"),
            Closing::Failed => (CloseCode::Error, "the program failed"),
            Closing::TooLarge => (CloseCode::Size, "the message is too large"),
            Closing::NotText => (CloseCode::Invalid, "the text is not UTF-8"),
            Closing::Silent => (CloseCode::Policy, "no answer"),
            Closing::BrokeRules => (CloseCode::Protocol, ""),
            Closing::GoingAway => (CloseCode::Away, "the server stops, or has another version"),
        };
        let frame = CloseFrame { code, reason: reason.into() };
        // One that the client has closed is answered: that answer waits to be sent.
        if SinkExt::send(self, Message::Close(Some(frame))).await.is_err() {
            let _ = SinkExt::close(self).await;
        }
    }
}
