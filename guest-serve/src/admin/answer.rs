//! Responses of the administration.

use std::path::PathBuf;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::error::ServeError;
use crate::programs::{CallError, ManageError};

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("there is nothing at this path; the paths are /, /metrics, and those below /api/guests")]
    NoRoute,
    #[error("this path has no such method; the header Allow lists those that it has")]
    WrongMethod,
    #[error("give the token: `Authorization: Bearer TOKEN`")]
    NoToken,
    #[error("this is not the token; it is in the file that the server names when it starts")]
    WrongToken,
    #[error("a page of another site sent this request; send it from the server's own page, or with the token")]
    OtherSite,
    #[error("there is no guest `{0}`")]
    UnknownGuest(String),
    #[error("there is no tenant `{0}`")]
    UnknownTenant(String),
    #[error(transparent)]
    Programs(#[from] ManageError),
    #[error("{1}")]
    Request(StatusCode, String),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("the work was given up; try again")]
    GivenUp,
    #[error(transparent)]
    Records(CallError),
    #[error("cannot read {}: {source}", path.display())]
    Log { path: PathBuf, source: std::io::Error },
}

impl Refusal {
    /// A request that asks for something that it cannot ask for.
    pub(super) fn bad(message: &str) -> Self {
        Self::Request(StatusCode::BAD_REQUEST, message.to_owned())
    }

    pub(super) fn unknown_guest(name: &str) -> Self {
        Self::UnknownGuest(guest_host::text::printable_within(name, 64).into_owned())
    }

    /// The status, and a word that programs can tell errors apart by.
    fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NoRoute => (StatusCode::NOT_FOUND, "no-route"),
            Self::WrongMethod => (StatusCode::METHOD_NOT_ALLOWED, "wrong-method"),
            Self::NoToken | Self::WrongToken => (StatusCode::UNAUTHORIZED, "no-token"),
            Self::OtherSite => (StatusCode::FORBIDDEN, "other-site"),
            Self::UnknownGuest(_) => (StatusCode::NOT_FOUND, "unknown-guest"),
            Self::UnknownTenant(_) => (StatusCode::NOT_FOUND, "unknown-tenant"),
            Self::Programs(ManageError::Busy | ManageError::Stopping) => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::Request(status, _) => (*status, "invalid-request"),
            Self::Serve(ServeError::Name(_)) => (StatusCode::BAD_REQUEST, "invalid-name"),
            Self::Serve(ServeError::Mount { .. }) => (StatusCode::CONFLICT, "mount"),
            Self::Serve(ServeError::File { .. } | ServeError::Module { .. } | ServeError::NoModule { .. }) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid-guest")
            }
            Self::Records(CallError::Stopping) => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
            Self::Records(_) => (StatusCode::INTERNAL_SERVER_ERROR, "store"),
            Self::Serve(_) | Self::Programs(ManageError::Store(_)) | Self::GivenUp | Self::Log { .. } => {
                (StatusCode::INTERNAL_SERVER_ERROR, "server")
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, kind) = self.status();
        let mut response = respond(status, &json!({ "error": { "kind": kind, "message": self.to_string() } }));
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// A response of this status and JSON.
pub(super) fn respond(status: StatusCode, answer: &Value) -> Response {
    let json = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, json)], format!("{answer}\n")).into_response()
}

/// The content security policy: the page has its own style and script, and sends requests to this server alone.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; \
    frame-ancestors 'none'; base-uri 'none'";

/// Gives every response the headers that keep browsers from using it otherwise.
pub(super) async fn secure(mut response: Response) -> Response {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
