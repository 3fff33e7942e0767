//! Responses: JSON, and the status of each way in which a request can fail.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use guest_abi::intent::intents;
use guest_abi::storage;
use guest_host::Cause;
use serde_json::{Value, json};

use crate::invoker::{Called, NotCalled};
use crate::json::{EventError, intent_to_json, to_json};
use crate::store::StoreError;
use crate::turns::Busy;

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A path that no route has.
    #[error("there is nothing at this path; the routes begin with /tenants/, /metrics and /health")]
    NoRoute,
    /// A method that the route does not have.
    #[error("this path has no such method; the header Allow lists those that it has")]
    WrongMethod,
    /// A path or a query that cannot be read.
    #[error("{0}")]
    InvalidRequest(String),
    /// A name that no tenant can have.
    #[error("`{0}` is not a tenant's name: use 1 to 64 of the characters a-z, 0-9 and `-`, and begin with a letter")]
    InvalidTenant(String),
    /// A tenant that does not exist.
    #[error("there is no tenant `{0}`; make it by PUT /tenants/{0}")]
    UnknownTenant(String),
    /// A body with more bytes than it may have.
    #[error("the body is larger than {0} bytes")]
    BodyTooLarge(usize),
    /// A body that did not arrive.
    #[error("{1}")]
    Body(StatusCode, String),
    /// A body that is not an event.
    #[error(transparent)]
    Event(#[from] EventError),
    /// Too many requests wait.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The turn or an instance did not come in time.
    #[error("the request waited too long; try again later")]
    WaitedTooLong,
    /// There was no instance for the call.
    #[error(transparent)]
    NotCalled(#[from] NotCalled),
    /// The call failed.
    #[error("{0}")]
    Failed(Cause),
    /// The request failed after the guest's call had ended: the call itself failed, or its commit did.
    #[error("{refusal}")]
    AfterCall {
        /// Why.
        refusal: Box<Refusal>,
        /// The log lines of the call.
        log: Vec<Value>,
    },
    /// The store failed, or could not apply the intents.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record or intent that has no form in JSON.
    #[error("the answer has no form in JSON: {0}")]
    NoJson(#[from] guest_abi::value::ValueError),
}

impl Refusal {
    /// The status, and a word that programs can tell errors apart by.
    fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NoRoute => (StatusCode::NOT_FOUND, "no-route"),
            Self::WrongMethod => (StatusCode::METHOD_NOT_ALLOWED, "wrong-method"),
            Self::InvalidRequest(_) => (StatusCode::BAD_REQUEST, "invalid-request"),
            Self::InvalidTenant(_) => (StatusCode::BAD_REQUEST, "invalid-tenant"),
            Self::UnknownTenant(_) => (StatusCode::NOT_FOUND, "unknown-tenant"),
            Self::BodyTooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "body"),
            Self::Body(status, _) => (*status, "body"),
            Self::Event(_) => (StatusCode::BAD_REQUEST, "invalid-event"),
            Self::Busy(_) | Self::WaitedTooLong | Self::NotCalled(NotCalled::Busy) => {
                (StatusCode::SERVICE_UNAVAILABLE, "busy")
            }
            Self::NotCalled(_) => (StatusCode::INTERNAL_SERVER_ERROR, "no-instance"),
            Self::Failed(cause) => (status_of(cause), cause.kind()),
            Self::AfterCall { refusal, .. } => refusal.status(),
            Self::Store(StoreError::Database(_) | StoreError::Closed | StoreError::Damaged) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "store")
            }
            Self::Store(StoreError::UnsupportedStorage(_)) => (StatusCode::NOT_FOUND, "unsupported-storage"),
            Self::Store(_) => (StatusCode::UNPROCESSABLE_ENTITY, "intents"),
            Self::NoJson(_) => (StatusCode::INTERNAL_SERVER_ERROR, "no-json"),
        }
    }
}

/// The status of a call that failed.
fn status_of(cause: &Cause) -> StatusCode {
    match cause {
        Cause::DeadlineExceeded { .. } => StatusCode::GATEWAY_TIMEOUT,
        Cause::OutOfMemory { .. } => StatusCode::INSUFFICIENT_STORAGE,
        Cause::GuestError { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Cause::MissingExport { .. } => StatusCode::NOT_FOUND,
        // Faults of the guest or of the host: the caller can do nothing about them.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, kind) = self.status();
        let mut answer = json!({ "error": { "kind": kind, "message": self.to_string() } });
        if let Self::AfterCall { refusal, log } = self {
            if let Self::Failed(Cause::GuestError { code, .. }) = *refusal {
                answer["error"]["code"] = code.number().into();
            }
            answer["log"] = log.into();
        }
        let mut response = respond(status, &answer);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<PathRejection> for Refusal {
    fn from(rejection: PathRejection) -> Self {
        Self::InvalidRequest(rejection.body_text())
    }
}

impl From<QueryRejection> for Refusal {
    fn from(rejection: QueryRejection) -> Self {
        Self::InvalidRequest(rejection.body_text())
    }
}

/// A response of this status and JSON.
pub fn respond(status: StatusCode, answer: &Value) -> Response {
    let json = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, json)], format!("{answer}\n")).into_response()
}

/// The log lines of a call.
pub fn log(called: &Called) -> Vec<Value> {
    called.log.iter().map(|(level, line)| json!({ "level": level.to_string(), "line": line })).collect()
}

/// The parts of the answer to a call that succeeded. The service sends it once the intents are durable.
#[derive(Debug)]
pub struct Answer {
    /// All intents in their wire form.
    pub intents: Vec<u8>,
    /// The value that the guest wrote to the storage of results.
    pub result: Value,
    /// The other intents.
    pub listed: Vec<Value>,
}

/// The answer to a call.
///
/// # Errors
/// [`Refusal::Failed`] if the call failed, and [`Refusal::NoJson`].
pub fn answer(called: Called) -> Result<Answer, Refusal> {
    let stream = called.intents.map_err(|failure| Refusal::Failed(failure.cause))?;
    let mut listed = Vec::new();
    let mut result = Value::Null;
    for intent in intents(&stream) {
        let intent = intent.map_err(|error| StoreError::State(error.into()))?;
        if intent.key.storage == storage::RESULT {
            result = to_json(intent.value)?;
        } else {
            listed.push(intent_to_json(&intent)?);
        }
    }
    Ok(Answer { intents: stream, result, listed })
}
