//! The ways in which a request can fail: its status, and a word that programs can tell errors apart by.

use std::time::Duration;

use axum::body::Bytes;
use guest_functions::FunctionError;
use guest_host::Cause;
use http_body_util::Full;
use hyper::header::{ALLOW, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde_json::json;

use crate::error::ServeError;
use crate::lanes::Full as LaneFull;
use crate::monitor::{Ended, GuestMonitor, NO_INSTANCE};
use crate::programs::CallError;
use crate::records::RecordsError;

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A path that no guest has.
    #[error("there is nothing at this path")]
    NoGuest,
    /// A path below a guest's mount that none of its routes has.
    #[error("the guest `{guest}` has nothing at this path")]
    NoRoute {
        /// The guest.
        guest: String,
    },
    /// A method that the route does not have.
    #[error("this path has no such method; it has {allowed}")]
    WrongMethod {
        /// The methods that it has.
        allowed: String,
    },
    /// A key that no tenant can have.
    #[error("{0}")]
    Tenant(String),
    /// A query that is not the arguments.
    #[error("{0}")]
    Query(String),
    /// A body that is not the arguments.
    #[error("{0}")]
    Arguments(String),
    /// No body, where the function has parameters.
    #[error("the request has no body; send the arguments, with the header Content-Length")]
    NoBody,
    /// A body with more bytes than it may have.
    #[error("the body is larger than {most} bytes")]
    BodyTooLarge {
        /// Bytes that it may have.
        most: usize,
    },
    /// A body that did not arrive in time.
    #[error("the body did not arrive within {longest:?}")]
    BodyTooSlow {
        /// How long it may take.
        longest: Duration,
    },
    /// A body that did not arrive.
    #[error("the body did not arrive: {0}")]
    Body(String),
    /// A body in an encoding that is not known.
    #[error("the body has the type `{0}`; send application/json or application/cbor")]
    MediaType(String),
    /// More calls than the tenant's rate.
    #[error("the tenant makes more than {per_second} calls within a second; try again later")]
    Rate {
        /// Calls within a second.
        per_second: u32,
        /// When there is a call again.
        after: Duration,
    },
    /// No place to wait.
    #[error("{0}")]
    Busy(#[from] LaneFull),
    /// The turn did not come in time.
    #[error("the call waited too long for its turn; try again later")]
    WaitedTooLong,
    /// The server stops.
    #[error("the server stops")]
    Stopping,
    /// A tenant of a program beyond those that the guest may have.
    #[error("the guest has as many tenants as it may have; try again later")]
    TooManyTenants,
    /// A request that cannot become a WebSocket.
    #[error("{0}")]
    NoWebSocket(&'static str),
    /// The module was not loaded, and cannot be loaded now.
    #[error("the guest cannot be loaded: {0}")]
    NotLoaded(#[source] Box<ServeError>),
    /// The call failed.
    #[error("{}", failure(.0))]
    Failed(#[from] FunctionError),
    /// A response of a function that HTTP does not have.
    #[error("the function gave no response that can be sent: {0}")]
    Response(String),
    /// An idempotency key that no request can have.
    #[error("send the header Idempotency-Key once, with 1 to 255 visible characters of ASCII")]
    IdempotencyKey,
    /// Records that were not written.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// As many calls with streams are open as may.
    #[error("as many streams of {} are open as may; try again later", if *of_tenant { "the tenant" } else { "all guests" })]
    TooManyStreams {
        /// Whether they are the tenant's own.
        of_tenant: bool,
    },
    /// A call with a stream that took too long in all.
    #[error("the call took longer than {total:?} in all")]
    TotalTime {
        /// How long it may take.
        total: Duration,
    },
    /// A client that closed its connection while the response was sent.
    #[error("the client closed the connection")]
    ClientGone,
    /// A result with more bytes than a response may have.
    #[error("the result has {bytes} bytes, and a response may have {most}")]
    ResponseTooLarge {
        /// Bytes of the result.
        bytes: usize,
        /// Bytes of a response.
        most: usize,
    },
}

/// Records the end of a request for a function by the status of its response, or why it was refused. `ended` has the rest.
pub fn record(monitor: &GuestMonitor, ended: &Ended<'_>, result: Result<u16, &Refusal>) {
    match result {
        Ok(status) => monitor.ended(&Ended { status, ..*ended }),
        Err(refusal) => {
            let ((status, kind), message) = (refusal.status(), refusal.to_string());
            monitor.ended(&Ended { status: status.as_u16(), error: Some((kind, &message)), ..*ended });
            if refusal.is_limit() {
                monitor.limited(ended.tenant, &message);
            }
        }
    }
}

/// The failure of a call without the name of the function, which the path says.
fn failure(error: &FunctionError) -> String {
    match error {
        FunctionError::Call(failure) => match &failure.cause {
            // The remedies are keys of guest.toml.
            Cause::OutOfMemory { requested, in_use, limit } => {
                let requested = if *requested == 0 { "more memory".to_owned() } else { format!("{requested} bytes") };
                format!(
                    "out of memory: the guest requested {requested} with {in_use} bytes in use, and `memory` is {limit} bytes; raise \
                     `memory`, or send less"
                )
            }
            Cause::ArgumentsTooLarge { needed, available } => format!(
                "the arguments need {needed} bytes, and the guest has room for {available}: four times `body`, and at most a quarter of \
                 `memory`; raise these, or send less"
            ),
            cause => cause.to_string(),
        },
        error => error.to_string(),
    }
}

impl Refusal {
    /// The status, and a word for programs.
    #[must_use]
    pub fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NoGuest => (StatusCode::NOT_FOUND, "no-guest"),
            Self::NoRoute { .. } => (StatusCode::NOT_FOUND, "no-route"),
            Self::WrongMethod { .. } => (StatusCode::METHOD_NOT_ALLOWED, "wrong-method"),
            Self::Tenant(_) => (StatusCode::BAD_REQUEST, "invalid-tenant"),
            Self::NoWebSocket(_) => (StatusCode::BAD_REQUEST, "websocket"),
            Self::Query(_) | Self::Arguments(_) => (StatusCode::BAD_REQUEST, "arguments"),
            Self::NoBody => (StatusCode::LENGTH_REQUIRED, "body"),
            Self::BodyTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "body"),
            Self::BodyTooSlow { .. } => (StatusCode::REQUEST_TIMEOUT, "body"),
            Self::Body(_) => (StatusCode::BAD_REQUEST, "body"),
            Self::MediaType(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type"),
            Self::Rate { .. } => (StatusCode::TOO_MANY_REQUESTS, "rate"),
            Self::Busy(LaneFull::Closed) | Self::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
            Self::TooManyTenants => (StatusCode::SERVICE_UNAVAILABLE, "tenants"),
            Self::Busy(_) | Self::WaitedTooLong => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::TooManyStreams { .. } => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::TotalTime { .. } => (StatusCode::GATEWAY_TIMEOUT, "deadline-exceeded"),
            Self::ClientGone => (StatusCode::BAD_REQUEST, "client-gone"),
            Self::Response(_) => (StatusCode::INTERNAL_SERVER_ERROR, "invalid-response"),
            Self::IdempotencyKey => (StatusCode::BAD_REQUEST, "idempotency-key"),
            Self::Records(error) => of_records(error),
            Self::ResponseTooLarge { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "response-too-large"),
            Self::NotLoaded(_) => (StatusCode::INTERNAL_SERVER_ERROR, "no-instance"),
            Self::Failed(error) => of_call(error),
        }
    }

    /// Whether the tenant asked for more than it may have.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        matches!(
            self,
            Self::Rate { .. }
                | Self::Busy(LaneFull::Tenant | LaneFull::Guest)
                | Self::TooManyStreams { of_tenant: true }
        )
    }

    /// The response.
    #[must_use]
    pub fn response(&self) -> Response<Full<Bytes>> {
        let (status, kind) = self.status();
        let mut answer = json!({ "error": { "kind": kind, "message": self.to_string() } });
        if let Self::Failed(FunctionError::Call(failure)) = self
            && let Cause::GuestError { code, .. } = failure.cause
        {
            answer["error"]["code"] = code.number().into();
        }
        let mut response = super::response(status, "application/json", format!("{answer}\n").into_bytes());
        let mut set = |name: HeaderName, value: &str| {
            // Methods and numbers are characters of a header.
            HeaderValue::from_str(value).ok().and_then(|value| response.headers_mut().insert(name, value))
        };
        match self {
            Self::WrongMethod { allowed } => set(ALLOW, allowed),
            Self::Rate { after, .. } => set(RETRY_AFTER, &whole_seconds(*after).to_string()),
            _ if status == StatusCode::SERVICE_UNAVAILABLE => set(RETRY_AFTER, "1"),
            _ => None,
        };
        response
    }
}

/// Seconds after which so much time has passed.
fn whole_seconds(time: Duration) -> u64 {
    (time.as_secs() + u64::from(time.subsec_nanos() > 0)).max(1)
}

fn of_call(error: &FunctionError) -> (StatusCode, &'static str) {
    match error {
        FunctionError::Call(failure) => (of_cause(&failure.cause), failure.cause.kind()),
        FunctionError::Arity { .. } | FunctionError::ArgumentType { .. } | FunctionError::Null { .. } => {
            (StatusCode::BAD_REQUEST, "arguments")
        }
        // Of starting the guest.
        _ => (StatusCode::INTERNAL_SERVER_ERROR, NO_INSTANCE),
    }
}

fn of_records(error: &RecordsError) -> (StatusCode, &'static str) {
    match error {
        RecordsError::Store(_) => (StatusCode::INTERNAL_SERVER_ERROR, "store"),
        RecordsError::Intents(_) => (StatusCode::UNPROCESSABLE_ENTITY, "intents"),
        RecordsError::Full(_) => (StatusCode::INSUFFICIENT_STORAGE, "records-full"),
        RecordsError::Forgotten => (StatusCode::CONFLICT, "removed"),
        RecordsError::OtherRequest => (StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key"),
        RecordsError::ResponseTooLarge { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "response-too-large"),
    }
}

/// Why a call on the thread of its tenant has no response.
impl From<CallError> for Refusal {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Failed(error) => Self::Failed(error),
            CallError::Records(error) => Self::Records(error),
            CallError::Busy(full) => Self::Busy(full),
            CallError::WaitedTooLong => Self::WaitedTooLong,
            CallError::Stopping => Self::Stopping,
        }
    }
}

fn of_cause(cause: &Cause) -> StatusCode {
    match cause {
        Cause::DeadlineExceeded { .. } => StatusCode::GATEWAY_TIMEOUT,
        Cause::OutOfMemory { .. } => StatusCode::INSUFFICIENT_STORAGE,
        Cause::GuestError { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Cause::ArgumentsTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        // Nothing but the end of the server interrupts a call.
        Cause::Interrupted => StatusCode::SERVICE_UNAVAILABLE,
        // Faults of the guest: the client can do nothing about them.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_to_wait_is_long_enough() {
        let after = |milliseconds| {
            let refusal = Refusal::Rate { per_second: 1, after: Duration::from_millis(milliseconds) };
            refusal.response().headers()[RETRY_AFTER].to_str().unwrap().to_owned()
        };
        assert_eq!([after(1), after(1000), after(1001), after(0)], ["1", "1", "2", "1"]);
    }

    #[test]
    fn a_method_that_is_wrong_is_answered_with_those_that_are_right() {
        let response = Refusal::WrongMethod { allowed: "GET, HEAD, POST".to_owned() }.response();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[ALLOW], "GET, HEAD, POST");
    }
}
