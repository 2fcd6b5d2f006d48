//! The admin side: metrics, health, readiness, and the server API.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use broker_bridge::Stats;
use serde_json::json;

use crate::health::{Health, Stage};
use crate::http::api::{self, Api, Route};
use crate::http::openapi;
use crate::http::queues::Queues;
use crate::metrics::Metrics;
use crate::now::Clock;

/// What the admin side shows.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Health,
    pub(crate) clock: Clock,
    /// What the broker counts of its own work.
    pub(crate) stats: Option<Arc<Stats>>,
    pub(crate) queues: Queues,
}

/// Every route of the admin port that asks for no key, as the OpenAPI document has them.
pub(crate) fn table() -> Vec<Route<Admin>> {
    vec![
        ("get", "/metrics", get(metrics)),
        ("get", "/healthz", get(healthz)),
        ("get", "/readyz", get(readyz)),
        ("get", "/openapi.json", get(openapi::document)),
    ]
}

/// Every route of the admin port.
pub(crate) fn routes(admin: Admin, api: Api) -> Router {
    let add = |router: Router<Admin>, (_, path, to): Route<Admin>| router.route(path, to);
    table()
        .into_iter()
        .fold(Router::new(), add)
        .with_state(admin)
        .merge(api::routes(api))
        .fallback(not_found)
}

async fn metrics(State(admin): State<Admin>) -> Response {
    const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";
    admin.queues.show(&admin.metrics);
    admin.metrics.broker.show(admin.health.broker(), admin.stats.as_deref());
    ([(header::CONTENT_TYPE, TEXT_FORMAT)], admin.metrics.render()).into_response()
}

/// Whether the loops turn: if not, only a restart helps.
async fn healthz(State(admin): State<Admin>) -> Response {
    let stuck = admin.health.stuck_loops(admin.clock.now());
    let status = if stuck == 0 { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
    (status, Json(json!({ "stuck_loops": stuck }))).into_response()
}

/// Whether clients may come.
async fn readyz(State(admin): State<Admin>) -> Response {
    let (status, state) = match admin.health.stage() {
        Stage::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
        Stage::Ready => (StatusCode::OK, "ready"),
        Stage::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
    };
    (status, Json(json!({ "state": state, "degraded": admin.health.broker().is_degraded() })))
        .into_response()
}

async fn not_found() -> Response {
    let error = json!({ "error": { "code": "not_found", "message": "there is nothing here" } });
    (StatusCode::NOT_FOUND, Json(error)).into_response()
}
