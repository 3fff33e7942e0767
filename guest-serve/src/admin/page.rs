//! The start page: all guests in a table, which a script keeps up to date. Without it the page is as of its loading.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use maud::{DOCTYPE, Markup, html};

use super::Admin;
use crate::catalog::GuestStatus;
use crate::monitor::Monitor;

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
    let content = html! {
        p.faint { (folder) }
        p.error #folder-error role="alert" hidden[error.is_none()] { (error.unwrap_or_default()) }
        table {
            thead {
                tr {
                    th { "guest" } th { "mount" }
                    @for heading in ["version", "tenants", "calls", "failed", "refused", "memory"] {
                        th.number { (heading) }
                    }
                    th { "last error" }
                }
            }
            tbody #guests {
                @for status in &statuses { (row(monitor, status)) }
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

/// The row of a guest. The script makes the same.
fn row(monitor: &Monitor, status: &GuestStatus) -> Markup {
    let deployment = status.deployment.as_deref();
    let guest = status.name.parse().ok().map(|name| monitor.guest(&name));
    let counts = guest.as_ref().map(|guest| guest.counts()).unwrap_or_default();
    let last = guest.and_then(|guest| guest.last_error());
    html! {
        tr.bad[status.error.is_some()] {
            th scope="row" { a href={ "/api/guests/" (status.name) } { (status.name) } }
            td { (deployment.map_or("", |deployment| deployment.config.mount.as_str())) }
            td.number { (deployment.map_or_else(|| "none".to_owned(), |deployment| deployment.version.to_string())) }
            @for count in [counts.tenants, counts.calls(), counts.failed(), counts.refused()] { td.number { (count) } }
            td.number { (size(counts.memory)) }
            td {
                @if let Some(error) = &status.error { div.error { (error) } }
                @if let Some(last) = last { div { (last.time) " " (last.kind) ": " (last.message) } }
            }
        }
    }
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..0x10_0000 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
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
