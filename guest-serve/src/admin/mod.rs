//! The administration, on a listener of its own: an API, a page and metrics, behind a token.

mod access;
mod answer;
mod api;
mod connections;
mod extract;
mod follow;
mod metrics;
mod page;
mod records;
mod tenants;
mod token;

use axum::Router;
use axum::middleware;
use axum::routing::{delete, get, post, put};
use tokio::sync::watch;

pub use connections::Connections;
pub use token::Token;

use crate::catalog::Catalog;
use crate::programs::Entrance;
use answer::Refusal;

/// Everything that requests share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Admin {
    catalog: Catalog,
    token: Token,
    /// Whether the server stops: responses without end end then.
    stopping: watch::Receiver<bool>,
    /// The way to the programs, and the records of tenants.
    programs: Option<Entrance>,
}

impl Admin {
    /// The administration of these guests, behind this token. Responses without end end when `stopping` is true.
    #[must_use]
    pub fn new(catalog: Catalog, token: Token, stopping: watch::Receiver<bool>) -> Self {
        Self { catalog, token, stopping, programs: None }
    }

    /// The same with the tenants of programs, and the records of tenants.
    #[must_use]
    pub fn with_programs(self, programs: Entrance) -> Self {
        Self { programs: Some(programs), ..self }
    }

    /// The routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/", get(page::start))
            .route("/guests/{name}", get(page::guest))
            .route("/logout", post(access::logout))
            .route("/api/guests", get(api::list))
            .route("/api/guests/{name}", get(api::one).put(api::put_module).delete(api::remove))
            .route("/api/guests/{name}/config", put(api::put_config))
            .route("/api/guests/{name}/logs", get(api::logs))
            .route("/api/guests/{name}/tenants", get(tenants::list))
            .route("/api/guests/{name}/tenants/{key}", delete(tenants::forget))
            .route("/api/guests/{name}/records", get(records::list).delete(records::forget))
            .route("/metrics", get(metrics::text))
            .fallback(async || Refusal::NoRoute)
            .method_not_allowed_fallback(async || Refusal::WrongMethod)
            .layer(middleware::from_fn_with_state(self.clone(), access::check))
            // Those without a token see these.
            .route("/login", post(access::login))
            .route("/style.css", get(page::style))
            .route("/script.js", get(page::script))
            .layer(middleware::map_response(answer::secure))
            .with_state(self)
    }
}
