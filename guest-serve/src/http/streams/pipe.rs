//! The stream of one call: the body of its request, and its response.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use guest_host::{GuestStream, StreamError, StreamFuture};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Response, StatusCode};
use tokio::sync::mpsc;

use super::Reply;
use super::body::{Part, StreamBody};
use super::budget::Budget;
use crate::config::Limits;
use crate::http::{Refusal, exchange};

/// The stream of one call, as its guest has it.
pub(super) struct Pipe {
    /// It is there until the pipe is dropped.
    body: Option<Incoming>,
    left_over: LeftOver,
    /// Bytes that were received and not read yet.
    received: Bytes,
    /// Bytes of the body that were received.
    count: usize,
    limits: Limits,
    budget: Budget,
    output: Output,
}

/// The body of a request when its call has ended.
#[derive(Clone, Default)]
pub(super) struct LeftOver(Arc<Mutex<Option<Incoming>>>);

impl LeftOver {
    pub(super) fn take(&self) -> Option<Incoming> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        *self.left_over.0.lock().unwrap_or_else(PoisonError::into_inner) = self.body.take();
    }
}

/// The response of one call. The clones are the same.
#[derive(Clone)]
pub(super) struct Output(Arc<Mutex<State>>);

struct State {
    method: Method,
    most: usize,
    /// Where the head is awaited; `None` once it was sent.
    reply: Option<Reply>,
    begun: Option<StatusCode>,
    /// Where the parts of the body go, once it has begun.
    parts: Option<mpsc::Sender<Part>>,
    /// Bytes of the body so far.
    count: usize,
    /// Why the stream went no further.
    refusal: Option<Refusal>,
}

impl Pipe {
    /// Of a body of which some was received already.
    pub(super) fn new(
        received: Bytes,
        body: Incoming,
        limits: Limits,
        budget: Budget,
        output: Output,
        left_over: LeftOver,
    ) -> Self {
        let count = received.len();
        Self { body: Some(body), left_over, received, count, limits, budget, output }
    }

    async fn receive(&mut self, most: usize) -> Result<Vec<u8>, Refusal> {
        loop {
            if self.count > self.limits.body {
                return Err(Refusal::BodyTooLarge { most: self.limits.body });
            }
            if !self.received.is_empty() {
                break;
            }
            let Some(body) = &mut self.body else { return Ok(Vec::new()) };
            let Some(frame) = body.frame().await else { return Ok(Vec::new()) };
            let frame = frame.map_err(|error| Refusal::Body(error.to_string()))?;
            // Trailers are none of the body.
            let Ok(bytes) = frame.into_data() else { continue };
            self.count = self.count.saturating_add(bytes.len());
            self.received = bytes;
        }
        let length = most.min(self.received.len());
        Ok(self.received.split_to(length).to_vec())
    }
}

impl GuestStream for Pipe {
    fn read(&mut self, most: usize) -> StreamFuture<'_, Vec<u8>> {
        Box::pin(async move {
            let received = self.receive(most).await;
            // At the end of the body the guest has waited for nobody.
            if received.as_ref().is_ok_and(|bytes| !bytes.is_empty()) {
                self.budget.renew();
            }
            received.map_err(|refusal| self.output.refused(refusal))
        })
    }

    fn write(&mut self, bytes: Vec<u8>) -> StreamFuture<'_, ()> {
        Box::pin(async move {
            let sent = self.output.send(bytes).await;
            self.budget.renew();
            sent.map_err(|refusal| self.output.refused(refusal))
        })
    }
}

impl Output {
    pub(super) fn new(method: Method, most: usize, reply: Reply) -> Self {
        let (begun, parts, refusal) = (None, None, None);
        Self(Arc::new(Mutex::new(State { method, most, reply: Some(reply), begun, parts, count: 0, refusal })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(&self, refusal: Refusal) -> StreamError {
        let error = StreamError::new(refusal.to_string());
        self.state().refusal = Some(refusal);
        error
    }

    /// Why the stream went no further, if the call failed for that reason.
    pub(super) fn take_refusal(&self) -> Option<Refusal> {
        self.state().refusal.take()
    }

    /// Begins the response with what the guest writes first, and sends what it writes then.
    async fn send(&self, bytes: Vec<u8>) -> Result<(), Refusal> {
        let (parts, bytes) = self.state().prepare(bytes)?;
        match parts {
            Some(parts) if !bytes.is_empty() => parts.send(Part::Bytes(bytes)).await.map_err(|_| Refusal::ClientGone),
            // Nobody asked for the body.
            _ => Ok(()),
        }
    }

    /// The status of the response, or why it failed; and what is left to be sent. `called` is what the function returned.
    pub(super) fn end(&self, called: Result<Vec<u8>, Refusal>) -> (Result<StatusCode, Refusal>, Last) {
        let state = self.state();
        match (state.begun, called) {
            (Some(status), Ok(bytes)) if bytes.is_empty() => (Ok(status), Last::End),
            (Some(_), Ok(_)) => {
                let message = "it returned another one after it had begun this";
                (Err(Refusal::Response(message.to_owned())), Last::Cut)
            }
            (Some(_), Err(refusal)) => (Err(refusal), Last::Cut),
            (None, called) => match called.and_then(|bytes| exchange::read(bytes, &state.method, state.most)) {
                Ok(response) => (Ok(response.status()), Last::Whole(response)),
                Err(refusal) => {
                    let response = refusal.response();
                    (Err(refusal), Last::Whole(response))
                }
            },
        }
    }

    /// Sends what is left to be sent. Nobody may wait for it any more.
    pub(super) async fn send_last(&self, last: Last) {
        let (reply, parts) = {
            let mut state = self.state();
            (state.reply.take(), state.parts.take())
        };
        match (last, reply, parts) {
            (Last::Whole(response), Some(reply), _) => drop(reply.send(response.map(Either::Left))),
            (Last::End, _, Some(parts)) => drop(parts.send(Part::End).await),
            // A body without end is cut off.
            _ => {}
        }
    }
}

/// The rest that must be sent when a call has ended.
pub(super) enum Last {
    /// A response that did not begin before.
    Whole(Response<Full<Bytes>>),
    /// The end of a body.
    End,
    /// Nothing: the body is cut off.
    Cut,
}

impl State {
    /// The bytes of the body that are to be sent now, and where. `None` if nobody asked for the body.
    fn prepare(&mut self, bytes: Vec<u8>) -> Result<(Option<mpsc::Sender<Part>>, Bytes), Refusal> {
        let bytes = Bytes::from(bytes);
        let bytes = match self.begun {
            Some(_) => bytes,
            None => self.begin(&bytes)?,
        };
        self.count = self.count.saturating_add(bytes.len());
        if self.count > self.most {
            return Err(Refusal::ResponseTooLarge { bytes: self.count, most: self.most });
        }
        if let Some(status) = self.begun.filter(|status| exchange::is_without_body(*status) && !bytes.is_empty()) {
            return Err(Refusal::Response(format!("with the status {} it has no body", status.as_u16())));
        }
        Ok((self.parts.clone(), bytes))
    }

    /// Sends the head of a response, and returns what there is of its body.
    fn begin(&mut self, bytes: &Bytes) -> Result<Bytes, Refusal> {
        let found = guest_abi::http::Response::read(bytes).map_err(|error| Refusal::Response(error.to_string()))?;
        let head = exchange::head(&found, exchange::Length::Unknown).map_err(Refusal::Response)?;
        let Some(reply) = self.reply.take() else { return Err(Refusal::Stopping) };
        let (parts, body) = StreamBody::new();
        let has_body = self.method != Method::HEAD && !exchange::is_without_body(head.status());
        self.begun = Some(head.status());
        let body = match has_body {
            true => {
                self.parts = Some(parts);
                Either::Right(body)
            }
            false => Either::Left(Full::default()),
        };
        reply.send(head.map(|()| body)).map_err(|_| Refusal::ClientGone)?;
        Ok(bytes.slice_ref(found.body))
    }
}
