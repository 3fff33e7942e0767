//! The routes, and the way of a request through the service.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, FromRequest as _, Path, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use guest_abi::key::Key;
use guest_abi::value::ValueRef;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout, timeout_at};

use crate::answer::{Answer, Refusal, answer, log, respond};
use crate::invoker::Invoker;
use crate::json::{event, to_json};
use crate::metrics::ServiceMetrics;
use crate::state::TenantState;
use crate::store::Store;
use crate::turns::Turns;

/// Everything that requests share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Service {
    /// The guest.
    pub invoker: Invoker,
    /// The records.
    pub store: Store,
    /// The queues of the tenants.
    pub turns: Turns,
    /// Metrics of the service and its guests.
    pub metrics: ServiceMetrics,
    /// Bytes that a request's body may have.
    pub body_limit: usize,
    /// How long a request waits for its turn and for an instance.
    pub wait: Duration,
}

/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Records that one listing has at most.
const MOST_LISTED: usize = 1000;

impl Service {
    /// The routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/health", get(health))
            .route("/metrics", get(metrics))
            .route("/tenants/{tenant}", put(add_tenant))
            .route("/tenants/{tenant}/records", get(list_records).post(invoke_records))
            .route("/tenants/{tenant}/{function}", post(invoke))
            .fallback(async || Refusal::NoRoute)
            .method_not_allowed_fallback(async || Refusal::WrongMethod)
            .layer(DefaultBodyLimit::max(self.body_limit))
            .layer(middleware::from_fn_with_state(self.metrics.clone(), count))
            .with_state(self)
    }

    /// Invokes a function for a tenant, and answers when its intents are durable.
    async fn invoke(&self, tenant: String, function: &str, request: Request) -> Result<Response, Refusal> {
        check_tenant(&tenant)?;
        let function = self.invoker.function(function).map_err(Refusal::Failed)?;
        let event = event(&body(request, self.body_limit).await?)?;

        // The number of requests that wait is bounded, for all tenants and for this one. A request whose client goes away
        // gives its place up.
        let place = self.turns.enter(&tenant)?;
        let until = Instant::now() + self.wait;
        let turn = timeout_at(until, place.turn()).await.map_err(|_| Refusal::WaitedTooLong)?;

        // From here to the commit, no other call of this tenant runs.
        let snapshot = Arc::new(self.store.snapshot()?);
        if !snapshot.has_tenant(&tenant)? {
            return Err(Refusal::UnknownTenant(tenant));
        }
        let state = TenantState::new(&tenant, event, snapshot);
        let called = self.invoker.invoke(function, state, until.saturating_duration_since(Instant::now())).await?;
        let log = log(&called);
        let committed = async {
            let Answer { intents, result, listed } = answer(called)?;
            if !intents.is_empty() {
                self.store.commit(turn, intents).await?;
            }
            Ok((result, listed))
        };
        match committed.await {
            Ok((result, intents)) => {
                Ok(respond(StatusCode::OK, &json!({ "result": result, "intents": intents, "log": log })))
            }
            Err(refusal) => Err(Refusal::AfterCall { refusal: Box::new(refusal), log }),
        }
    }
}

async fn count(State(metrics): State<ServiceMetrics>, request: Request, next: Next) -> Response {
    let running = metrics.begin();
    let response = next.run(request).await;
    drop(running);
    metrics.answered(response.status().as_u16());
    response
}

/// Tells a load balancer whether the store can be written.
async fn health(State(service): State<Service>) -> Response {
    if service.store.can_write() {
        respond(StatusCode::OK, &json!({ "status": "ok" }))
    } else {
        respond(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "the store cannot write" }))
    }
}

async fn metrics(State(service): State<Service>) -> Response {
    let content_type = HeaderValue::from_static(guest_host::Metrics::CONTENT_TYPE);
    ([(header::CONTENT_TYPE, content_type)], service.metrics.text()).into_response()
}

/// Makes a tenant. To make one that exists already changes nothing.
async fn add_tenant(
    State(service): State<Service>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Refusal> {
    let Path(tenant) = path?;
    check_tenant(&tenant)?;
    service.store.add_tenant(tenant.clone()).await?;
    Ok(respond(StatusCode::OK, &json!({ "tenant": tenant })))
}

/// Checks that a tenant can have this name, before it is used for anything.
fn check_tenant(name: &str) -> Result<(), Refusal> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    if begins && name.len() <= 64 && name.bytes().all(allowed) {
        Ok(())
    } else {
        Err(Refusal::InvalidTenant(name.chars().take(64).collect()))
    }
}

/// Invokes the function that the path names.
async fn invoke(
    State(service): State<Service>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Result<Response, Refusal> {
    let Path((tenant, function)) = path?;
    service.invoke(tenant, &function, request).await
}

/// Invokes a function that is named like the listing of records, whose path is the same.
async fn invoke_records(
    State(service): State<Service>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Refusal> {
    let Path(tenant) = path?;
    service.invoke(tenant, "records", request).await
}

/// Reads the body, of at most `limit` bytes.
async fn body(request: Request, limit: usize) -> Result<Bytes, Refusal> {
    match timeout(BODY_TIME, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(Refusal::BodyTooLarge(limit)),
        Ok(Err(rejection)) => Err(Refusal::Body(rejection.status(), rejection.body_text())),
        Err(_) => Err(Refusal::Body(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time".to_owned())),
    }
}

/// Which records to list.
#[derive(Debug, Deserialize)]
struct Listing {
    storage: String,
    #[serde(default)]
    entity: String,
}

/// Lists records of a tenant, the first of them if there are many.
async fn list_records(
    State(service): State<Service>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<Listing>, QueryRejection>,
) -> Result<Response, Refusal> {
    let (Path(tenant), Query(listing)) = (path?, query?);
    check_tenant(&tenant)?;
    let snapshot = service.store.snapshot()?;
    if !snapshot.has_tenant(&tenant)? {
        return Err(Refusal::UnknownTenant(tenant));
    }
    // No field of the key: all records.
    let key = Key::of_parts(&listing.storage, &listing.entity, &[0xA0])
        .map_err(|error| Refusal::InvalidRequest(error.to_string()))?;
    let mut rows = snapshot.list(&tenant, &key, MOST_LISTED + 1)?;
    let more = rows.len() > MOST_LISTED;
    rows.truncate(MOST_LISTED);
    let records: Result<Vec<Value>, Refusal> = rows
        .iter()
        .map(|(key, value)| Ok(json!({ "key": to_json(ValueRef::new(key))?, "value": to_json(ValueRef::new(value))? })))
        .collect();
    Ok(respond(StatusCode::OK, &json!({ "records": records?, "more": more })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tenants_are_checked() {
        for name in ["a", "acme", "a-1", &"a".repeat(64)] {
            assert!(check_tenant(name).is_ok(), "{name}");
        }
        for name in ["", "1a", "-a", "A", "a/b", "a.b", "a b", "ä", "a\0", &"a".repeat(65)] {
            assert!(check_tenant(name).is_err(), "{name}");
        }
    }
}
