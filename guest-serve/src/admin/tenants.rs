//! Tenants of programs: listed page by page, and forgotten.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::Admin;
use super::answer::{Refusal, respond};
use super::extract::{GuestPath, Options, TenantPath};
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
    options: Options,
) -> Result<Response, Refusal> {
    options.known(&["limit", "after"])?;
    let guest: GuestName = name.parse()?;
    let most = options.limit(TENANTS, MOST_TENANTS)?;
    let page = page(programs(&admin)?, &guest, options.get("after"), most).await?;
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
pub(super) async fn forget(State(admin): State<Admin>, TenantPath(name, key): TenantPath) -> Result<Response, Refusal> {
    let guest: GuestName = name.parse()?;
    match programs(&admin)?.forget(&guest, &key).await? {
        true => Ok(respond(StatusCode::OK, &json!({ "forgotten": key }))),
        false => Err(Refusal::UnknownTenant(guest_host::text::printable_within(&key, 256).into_owned())),
    }
}

pub(super) fn programs(admin: &Admin) -> Result<&Entrance, Refusal> {
    admin.programs.as_ref().ok_or(Refusal::NoRoute)
}
