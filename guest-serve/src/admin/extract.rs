//! Parts of requests that handlers take.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;

use super::Admin;
use super::answer::Refusal;
use crate::config::nearest;

/// The name of a guest in a path, which may be none that a guest can have.
#[derive(Debug)]
pub(super) struct GuestPath(pub(super) String);

/// The name of a guest in a path, and the key of a tenant.
#[derive(Debug)]
pub(super) struct TenantPath(pub(super) String, pub(super) String);

/// The options in a query.
#[derive(Debug)]
pub(super) struct Options(HashMap<String, String>);

impl Options {
    /// Checks that there are no others than these: one that is spelt wrong, or that belongs to another request, must not be ignored.
    ///
    /// # Errors
    /// [`Refusal::Request`].
    pub(super) fn known(&self, names: &[&str]) -> Result<(), Refusal> {
        match self.0.keys().find(|name| !names.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => {
                let name = guest_host::text::printable_within(name, 100);
                Err(Refusal::bad(&format!("this request has no option `{name}`: {}", nearest(&name, names))))
            }
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether an option is there and not `false`.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value != "false")
    }

    /// How many entries a listing has: `limit`, from 1 to `most`.
    ///
    /// # Errors
    /// [`Refusal::Request`] if it is no number.
    pub(super) fn limit(&self, default: usize, most: usize) -> Result<usize, Refusal> {
        let limit = self.get("limit").map(|text| text.parse().map_err(|_| Refusal::bad("`limit` must be a number")));
        Ok(limit.transpose()?.unwrap_or(default).clamp(1, most))
    }
}

impl FromRequestParts<Admin> for GuestPath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, admin: &Admin) -> Result<Self, Refusal> {
        let path = Path::from_request_parts(parts, admin).await;
        path.map(|Path(name)| Self(name)).map_err(|error| Refusal::Request(error.status(), error.body_text()))
    }
}

impl FromRequestParts<Admin> for TenantPath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, admin: &Admin) -> Result<Self, Refusal> {
        let path = Path::from_request_parts(parts, admin).await;
        path.map(|Path((name, key))| Self(name, key))
            .map_err(|error| Refusal::Request(error.status(), error.body_text()))
    }
}

impl FromRequestParts<Admin> for Options {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, admin: &Admin) -> Result<Self, Refusal> {
        let query = Query::from_request_parts(parts, admin).await;
        query.map(|Query(options)| Self(options)).map_err(|error| Refusal::Request(error.status(), error.body_text()))
    }
}
