//! Tenants of programs: listed page by page, and forgotten.

use std::collections::HashMap;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::Admin;
use super::answer::{Refusal, respond};
use super::api::GuestPath;
use crate::folder::GuestName;
use crate::monitor::Monitor;
use crate::programs::{Entrance, Page, Places};

/// Tenants that a listing has, if nothing else is asked for, and at most.
const TENANTS: usize = 100;
const MOST_TENANTS: usize = 1000;

/// Where the tenants of a guest's program are; nothing where there are no programs, or their file cannot be read.
pub(super) fn places(admin: &Admin, monitor: &Monitor, guest: &GuestName) -> Option<Places> {
    let counts = monitor.guest(guest).meter().counts();
    admin.programs.as_ref().and_then(|programs| programs.places(guest, counts).ok())
}

/// These places as JSON.
pub(super) fn of_places(places: &Places) -> Value {
    json!({
        "awake": places.awake, "asleep": places.asleep, "disk": places.disk,
        "memory_bytes": places.memory_bytes, "disk_bytes": places.disk_bytes,
    })
}

/// Tenants of a guest's program, also of one that was removed: `limit`, and `after` of the listing before.
pub(super) async fn list(
    State(admin): State<Admin>,
    GuestPath(name): GuestPath,
    query: Result<Query<HashMap<String, String>>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(options) = query.map_err(|error| Refusal::Request(error.status(), error.body_text()))?;
    let guest: GuestName = name.parse()?;
    let bad = |message: &str| Refusal::Request(StatusCode::BAD_REQUEST, message.to_owned());
    let most = options.get("limit").map(|text| text.parse().map_err(|_| bad("`limit` must be a number")));
    let most = most.transpose()?.unwrap_or(TENANTS).clamp(1, MOST_TENANTS);
    let page = page(programs(&admin)?, &guest, options.get("after").map(String::as_str), most).await?;
    let tenants: Vec<Value> = page
        .tenants
        .iter()
        .map(|tenant| {
            json!({
                "key": tenant.key, "state": tenant.state, "bytes": tenant.bytes, "changes": tenant.changes,
                "connections": tenant.connections,
            })
        })
        .collect();
    Ok(respond(StatusCode::OK, &json!({ "tenants": tenants, "after": page.after })))
}

/// A page of tenants.
pub(super) async fn page(
    programs: &Entrance,
    guest: &GuestName,
    after: Option<&str>,
    most: usize,
) -> Result<Page, Refusal> {
    Ok(programs.tenants(guest, after, most).await?)
}

/// Forgets a tenant.
pub(super) async fn forget(
    State(admin): State<Admin>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Refusal> {
    let Path((name, key)) = path.map_err(|error| Refusal::Request(error.status(), error.body_text()))?;
    let guest: GuestName = name.parse()?;
    match programs(&admin)?.forget(&guest, &key).await? {
        true => Ok(respond(StatusCode::OK, &json!({ "forgotten": key }))),
        false => Err(Refusal::UnknownTenant(guest_host::text::printable_within(&key, 256).into_owned())),
    }
}

pub(super) fn programs(admin: &Admin) -> Result<&Entrance, Refusal> {
    admin.programs.as_ref().ok_or(Refusal::NoRoute)
}
