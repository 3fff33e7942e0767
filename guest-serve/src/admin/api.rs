//! The API: guests as JSON, and changes of them.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, FromRequest as _, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::Admin;
use super::answer::{Refusal, respond};
use super::extract::{GuestPath, Options};
use super::follow::Follow;
use super::tenants;
use crate::catalog::{GuestStatus, Put};
use crate::config::{ProgramConfig, Route};
use crate::deployment::Deployment;
use crate::error::ServeError;
use crate::folder::GuestName;
use crate::monitor::ring::RingReader;
use crate::monitor::{Monitor, Writer, hex};

/// Bytes that a module may have.
const MODULE: usize = 64 << 20;

/// Bytes that a `guest.toml` may have.
const CONFIG: usize = 256 << 10;

/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(60);

pub(super) async fn list(State(admin): State<Admin>) -> Response {
    respond(StatusCode::OK, &guests(&admin))
}

/// All guests.
fn guests(admin: &Admin) -> Value {
    let monitor = admin.catalog.monitor();
    let guests: Vec<Value> = admin.catalog.statuses().iter().map(|status| of_guest(admin, monitor, status)).collect();
    json!({ "guests": guests, "error": admin.catalog.folder_error(), "store_error": monitor.store_error() })
}

pub(super) async fn one(State(admin): State<Admin>, GuestPath(name): GuestPath) -> Result<Response, Refusal> {
    let status = admin.catalog.status(&name).ok_or_else(|| Refusal::unknown_guest(&name))?;
    Ok(respond(StatusCode::OK, &of_guest(&admin, admin.catalog.monitor(), &status)))
}

/// A guest as JSON.
fn of_guest(admin: &Admin, monitor: &Monitor, status: &GuestStatus) -> Value {
    let mut guest = json!({ "name": status.name, "error": status.error, "deployment": null });
    if let Some(deployment) = &status.deployment {
        guest["deployment"] = of_deployment(deployment);
    }
    if let Ok(name) = status.name.parse() {
        let of_guest = monitor.guest(&name);
        let counts = of_guest.counts();
        guest["counts"] = json!({
            "calls": counts.calls(), "failed": counts.failed(), "refused": counts.refused(), "slow": counts.slow, "limited": counts.limited,
            "tenants": counts.tenants, "instances": counts.instances, "memory": counts.memory,
        });
        let is_program = status.deployment.as_ref().is_some_and(|deployment| deployment.config.program.is_some());
        if is_program && let Some(places) = tenants::places(admin, monitor, &name) {
            guest["program"] = tenants::of_places(&places);
        }
        guest["last_error"] = of_guest.last_error().map_or(Value::Null, |error| {
            json!({
                "time": error.time, "tenant": error.tenant, "function": error.function, "kind": error.kind,
                "message": error.message,
            })
        });
    }
    guest
}

fn of_deployment(deployment: &Deployment) -> Value {
    let config = &deployment.config;
    let microseconds = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let route = |route: &Route| {
        json!({
            "method": route.method.as_str(), "path": route.path.to_string(), route.callee.key(): route.function,
            "format": route.format.name(), "stream": route.stream,
        })
    };
    let program = |program: &ProgramConfig| {
        json!({
            "tcp": program.tcp.map(|address| address.to_string()),
            "websocket": program.websocket.as_ref().map(ToString::to_string),
            "message": program.message, "tenants": program.tenants, "connections": program.connections,
            "outgoing": program.outgoing, "durable": program.durable,
        })
    };
    let limits = &config.limits;
    json!({
        "version": deployment.version, "mount": config.mount, "module": hex(&deployment.hash),
        "routes": config.routes.iter().map(route).collect::<Vec<_>>(),
        "program": config.program.as_ref().map(program),
        "files": { "count": deployment.files.len(), "bytes": deployment.files.bytes() },
        "secrets": config.secrets,
        "records": {
            "durable": config.records.durable, "bytes": config.records.bytes, "intents": config.records.intents,
            "idempotency_keys": config.records.idempotency_keys,
        },
        "limits": {
            "memory": limits.memory, "deadline_us": microseconds(limits.deadline), "total_us": microseconds(limits.total),
            "body": limits.body, "response": limits.response, "log": limits.log,
            "calls_per_second": limits.calls_per_second, "waiting": limits.waiting, "streams": limits.streams,
            "static": limits.static_files,
        },
    })
}

pub(super) async fn put_module(
    State(admin): State<Admin>,
    GuestPath(name): GuestPath,
    request: Request,
) -> Result<Response, Refusal> {
    let name: GuestName = name.parse()?;
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some("application/wasm") {
        let message = "send the module as `Content-Type: application/wasm`".to_owned();
        return Err(Refusal::Request(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let module = body(request, MODULE).await?;
    put(move || admin.catalog.put_module(&name, module.to_vec())).await
}

pub(super) async fn put_config(
    State(admin): State<Admin>,
    GuestPath(name): GuestPath,
    request: Request,
) -> Result<Response, Refusal> {
    let name: GuestName = name.parse()?;
    let text = body(request, CONFIG).await?;
    let text = String::from_utf8(text.to_vec()).map_err(|_| Refusal::bad("guest.toml must be UTF-8"))?;
    put(move || admin.catalog.put_config(&name, &text)).await
}

/// Changes a guest, which may compile it.
async fn put(change: impl FnOnce() -> Result<Put, ServeError> + Send + 'static) -> Result<Response, Refusal> {
    match blocking(change).await?? {
        Put::Served(deployment) => {
            let answer = json!({ "guest": deployment.name.as_str(), "deployment": of_deployment(&deployment) });
            Ok(respond(StatusCode::OK, &answer))
        }
        Put::Lacks(file) => Ok(respond(StatusCode::ACCEPTED, &json!({ "deployment": null, "lacks": file }))),
    }
}

/// Removes a guest; with `?memory` also the memory of its program's tenants, and of a guest that was removed before.
pub(super) async fn remove(
    State(admin): State<Admin>,
    GuestPath(name): GuestPath,
    options: Options,
) -> Result<Response, Refusal> {
    options.known(&["memory"])?;
    let forgets = options.flag("memory");
    let guest: GuestName = name.parse()?;
    // Connections of this and of earlier versions may still be on their way.
    let version = admin.catalog.loader().last_version();
    let catalog = admin.catalog.clone();
    let removed = guest.clone();
    let was_there = blocking(move || catalog.remove(&removed)).await??;
    let mut answer = json!({ "removed": name });
    let mut forgotten = 0;
    if forgets {
        forgotten = tenants::programs(&admin)?.forget_all(&guest, version).await?;
        answer["forgotten"] = forgotten.into();
    }
    match was_there || forgotten > 0 {
        true => Ok(respond(StatusCode::OK, &answer)),
        false => Err(Refusal::unknown_guest(&name)),
    }
}

pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Refusal::GivenUp)
}

/// Reads the body, of at most `most` bytes.
async fn body(mut request: Request, most: usize) -> Result<Bytes, Refusal> {
    DefaultBodyLimit::max(most).apply(&mut request);
    let read = tokio::time::timeout(BODY_TIME, Bytes::from_request(request, &())).await;
    let late = |_| Refusal::Request(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time".to_owned());
    read.map_err(late)?.map_err(|rejection| {
        let status = rejection.status();
        let message = match status {
            StatusCode::PAYLOAD_TOO_LARGE => format!("the body is larger than {most} bytes"),
            _ => rejection.body_text(),
        };
        Refusal::Request(status, message)
    })
}

/// The log of a guest, as lines of JSON.
pub(super) async fn logs(
    State(admin): State<Admin>,
    GuestPath(name): GuestPath,
    options: Options,
) -> Result<Response, Refusal> {
    options.known(&["follow"])?;
    let follows = options.flag("follow");
    let guest: GuestName = name.parse()?;
    let path = Writer::log(&admin.catalog.folder().own(), &guest);
    if admin.catalog.status(&name).is_none() && !path.exists() {
        return Err(Refusal::unknown_guest(&name));
    }
    let mut reader = RingReader::new(&path);
    let lines = reader.read().map_err(|source| Refusal::Log { path, source })?;
    let body = match follows {
        true => Body::new(Follow::start(lines, reader, admin.stopping.clone())),
        false => Body::from(lines),
    };
    let kind = HeaderValue::from_static("application/x-ndjson");
    Ok(([(header::CONTENT_TYPE, kind)], body).into_response())
}
