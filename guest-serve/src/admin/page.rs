//! The start page: all guests in a table, which a script keeps up to date. Without it the page is as of its loading.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use maud::{DOCTYPE, Markup, html};

use super::Admin;
use super::answer::Refusal;
use super::extract::{GuestPath, Options};
use super::tenants;
use crate::catalog::GuestStatus;
use crate::config::Callee;
use crate::deployment::Deployment;
use crate::monitor::ring::RingReader;
use crate::monitor::{Monitor, Writer, hex, line_for_people};
use crate::programs::{Page, Places};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

pub(super) async fn style() -> Response {
    let kind = HeaderValue::from_static("text/css; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], STYLE).into_response()
}

pub(super) async fn script() -> Response {
    let kind = HeaderValue::from_static("text/javascript; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], SCRIPT).into_response()
}

/// The page of a browser that has not given the token yet.
pub(super) fn login(error: Option<&str>) -> Response {
    let content = html! {
        @if let Some(error) = error { p.error role="alert" { (error) } }
        form method="post" action="/login" {
            label for="token" { "Token" }
            input #token type="password" name="token" required autocomplete="current-password" autofocus;
            button { "Open" }
        }
        p.faint { "The token is in the file that the server names when it starts." }
    };
    (StatusCode::UNAUTHORIZED, html_of(&page("Guests", &content, false))).into_response()
}

/// The page with all guests.
pub(super) async fn start(State(admin): State<Admin>) -> Response {
    let monitor = admin.catalog.monitor();
    let statuses = admin.catalog.statuses();
    let folder = admin.catalog.folder().path().display().to_string();
    let error = admin.catalog.folder_error();
    let store_error = monitor.store_error();
    let content = html! {
        p.faint { (folder) }
        p.error #folder-error role="alert" hidden[error.is_none()] { (error.unwrap_or_default()) }
        p.error #store-error role="alert" hidden[store_error.is_none()] { (store_error.unwrap_or_default()) }
        table {
            thead {
                (headings())
            }
            tbody #guests {
                @for status in &statuses { (row(&admin, monitor, status)) }
            }
        }
        p #none hidden[!statuses.is_empty()] {
            "There is no guest. Make a folder with a module and a guest.toml in the folder above."
        }
        div.faint.links {
            a href="/api/guests" { "JSON" }
            a href="/metrics" { "metrics" }
            form method="post" action="/logout" { button.plain { "log out" } }
        }
    };
    html_of(&page("Guests", &content, true))
}

/// The head of the table of guests.
fn headings() -> Markup {
    html! {
        tr {
            th { "guest" } th { "mount" }
            @for heading in ["version", "tenants", "calls", "failed", "refused", "memory"] { th.number { (heading) } }
            th { "program" }
            th { "last error" }
        }
    }
}

/// The row of a guest. The script makes the same.
fn row(admin: &Admin, monitor: &Monitor, status: &GuestStatus) -> Markup {
    let deployment = status.deployment.as_deref();
    let guest = status.name.parse().ok().map(|name| monitor.guest(&name));
    let counts = guest.as_ref().map(|guest| guest.counts()).unwrap_or_default();
    let last = guest.and_then(|guest| guest.last_error());
    let places = deployment.filter(|deployment| deployment.config.program.is_some());
    let places = places.and_then(|deployment| tenants::places(admin, monitor, &deployment.name));
    html! {
        tr.bad[status.error.is_some()] {
            th scope="row" { a href={ "/guests/" (status.name) } { (status.name) } }
            td { (deployment.map_or("", |deployment| deployment.config.mount.as_str())) }
            td.number { (deployment.map_or_else(|| "none".to_owned(), |deployment| deployment.version.to_string())) }
            @for count in [counts.tenants, counts.calls(), counts.failed(), counts.refused()] { td.number { (count) } }
            td.number { (size(counts.memory)) }
            td { (places.as_ref().map(placed).unwrap_or_default()) }
            td {
                @if let Some(error) = &status.error { div.error { (error) } }
                @if let Some(last) = last { div { (last.time) " " (last.kind) ": " (last.message) } }
            }
        }
    }
}

/// Where the tenants of a program are, for people.
fn placed(places: &Places) -> String {
    let Places { awake, asleep, disk, memory_bytes, disk_bytes } = places;
    format!("{awake} awake, {asleep} asleep in {}, {disk} on disk; file: {}", size(*memory_bytes), size(*disk_bytes))
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..0x10_0000 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

/// The page of one guest: its routes, its limits, its errors and the end of its log.
pub(super) async fn guest(
    State(admin): State<Admin>,
    GuestPath(name): GuestPath,
    options: Result<Options, Refusal>,
) -> Result<Response, Refusal> {
    let status = admin.catalog.status(&name).ok_or_else(|| Refusal::unknown_guest(&name))?;
    let monitor = admin.catalog.monitor();
    let log = name.parse().ok().map(|name| Writer::log(&admin.catalog.folder().own(), &name));
    let lines = log.and_then(|path| RingReader::new(&path).read().ok()).unwrap_or_default();
    let after = options.as_ref().ok().and_then(|options| options.get("after"));
    let program = status.deployment.as_deref().filter(|deployment| deployment.config.program.is_some());
    let tenants = match (program, &admin.programs) {
        (Some(deployment), Some(programs)) => Some(tenants::page(programs, &deployment.name, after, TENANTS).await),
        _ => None,
    };
    let newest = lines.lines().rev().take(LINES).collect::<Vec<_>>();
    let content = html! {
        p { a href="/" { "all guests" } }
        table {
            thead { (headings()) }
            tbody { (row(&admin, monitor, &status)) }
        }
        @if let Some(tenants) = &tenants { (listed(&name, tenants)) }
        @if let Some(deployment) = status.deployment.as_deref() { (served(deployment)) }
        h2 { "Log" }
        @if newest.is_empty() { p { "No call left a line." } } @else {
            pre tabindex="0" { @for line in newest.iter().rev() { (line_for_people(line)) "\n" } }
        }
        p.faint { a href={ "/api/guests/" (name) } { "JSON" } " " a href={ "/api/guests/" (name) "/logs" } { "whole log" } }
    };
    Ok(html_of(&page(&name, &content, false)))
}

/// Tenants on the page of a guest.
const TENANTS: usize = 50;

/// Tenants of a program, or why they cannot be listed.
fn listed(guest: &str, page: &Result<Page, Refusal>) -> Markup {
    html! {
        h2 { "Tenants" }
        @match page {
            Err(error) => { p.error { (error) } }
            Ok(page) if page.tenants.is_empty() => { p { "None." } }
            Ok(page) => {
                table {
                    thead { tr {
                        th { "key" } th { "state" }
                        @for heading in ["bytes", "changes", "connections"] { th.number { (heading) } }
                    } }
                    tbody { @for tenant in &page.tenants { tr {
                        th scope="row" { (guest_host::text::printable_within(&tenant.key, 256)) }
                        td { (tenant.state) }
                        td.number { (tenant.bytes) }
                        td.number { (tenant.changes.map_or_else(|| "damaged".to_owned(), |changes| changes.to_string())) }
                        td.number { (tenant.connections) }
                    } } }
                }
                @if let Some(after) = &page.after {
                    p { a href={ "/guests/" (guest) "?after=" (percent_encoded(after)) } { "further tenants" } }
                }
            }
        }
    }
}

/// A value of a query.
fn percent_encoded(text: &str) -> String {
    let encoded = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encoded).collect()
}

/// Lines of the log on the page of a guest.
const LINES: usize = 100;

/// The parts of a version.
fn served(deployment: &Deployment) -> Markup {
    let Deployment { config, files, .. } = deployment;
    let limits = &config.limits;
    let sizes = [
        ("memory", limits.memory),
        ("body", limits.body as u64),
        ("response", limits.response as u64),
        ("log", limits.log as u64),
        ("static", limits.static_files),
    ];
    html! {
        h2 { "Routes" }
        @if config.routes.is_empty() { p { "None." } } @else {
            table {
                thead { tr { th { "method" } th { "path" } th { "function" } th { "format" } } }
                tbody { @for route in &config.routes {
                    tr {
                        td { (route.method) }
                        td { (config.mount.trim_end_matches('/')) (route.path) }
                        td { (route.function) }
                        td { (route.format.name()) @if route.stream { ", as a stream" } }
                    }
                } }
            }
        }
        @if let Some(program) = &config.program {
            h2 { "Program" }
            table { tbody {
                @if let Some(path) = &program.websocket {
                    tr { th scope="row" { "websocket" } td { (config.mount.trim_end_matches('/')) (path) } }
                }
                @if let Some(address) = program.tcp { tr { th scope="row" { "tcp" } td { (address) } } }
                tr { th scope="row" { "message" } td.number { (size(program.message as u64)) } }
                tr { th scope="row" { "tenants" } td.number { (program.tenants) } }
                tr { th scope="row" { "connections" } td.number { (program.connections) } }
                tr { th scope="row" { "outgoing" } td.number { (size(program.outgoing as u64)) } }
                tr { th scope="row" { "durable" } td { (program.durable) } }
            } }
        }
        @if config.routes.iter().any(|route| route.callee == Callee::Extension) {
            h2 { "Records" }
            table { tbody {
                tr { th scope="row" { "bytes" } td.number { (size(config.records.bytes)) } }
                tr { th scope="row" { "intents" } td.number { (config.records.intents) } }
                tr { th scope="row" { "idempotency_keys" } td.number { (config.records.idempotency_keys) } }
                tr { th scope="row" { "durable" } td { (config.records.durable) } }
            } }
        }
        p { "Files: " (files.len()) ", " (size(files.bytes())) }
        h2 { "Limits" }
        table { tbody {
            @for (name, bytes) in sizes { tr { th scope="row" { (name) } td.number { (size(bytes)) } } }
            tr { th scope="row" { "deadline" } td.number { (format!("{:?}", limits.deadline)) } }
            tr { th scope="row" { "total" } td.number { (format!("{:?}", limits.total)) } }
            tr { th scope="row" { "calls_per_second" } td.number { (limits.calls_per_second) } }
            tr { th scope="row" { "waiting" } td.number { (limits.waiting) } }
            tr { th scope="row" { "streams" } td.number { (limits.streams) } }
        } }
        p.faint { "Module " code { (hex(&deployment.hash)) } }
    }
}

fn page(title: &str, content: &Markup, has_script: bool) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                link rel="stylesheet" href="/style.css";
                @if has_script { script src="/script.js" defer {} }
            }
            body {
                main {
                    h1 { (title) }
                    (content)
                }
            }
        }
    }
}

fn html_of(page: &Markup) -> Response {
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], page.0.clone()).into_response()
}
