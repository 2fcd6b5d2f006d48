//! What operators ask the worker: metrics, and whether it works.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use super::metrics::Metrics;

pub(super) fn routes(metrics: Arc<Metrics>) -> Router {
    Router::new().route("/metrics", get(render)).route("/healthz", get(health)).with_state(metrics)
}

async fn render(State(metrics): State<Arc<Metrics>>) -> Response {
    const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, TEXT_FORMAT)], metrics.render()).into_response()
}

/// Always well as long as it is answered: neither a full disk nor a lost connection is cured by
/// starting the worker again.
async fn health(State(metrics): State<Arc<Metrics>>) -> Response {
    let disk = metrics.disk_failing.get() == 0;
    let connected = metrics.connected.get() > 0;
    let state = if disk && connected { "ok" } else { "degraded" };
    Json(json!({ "state": state, "connected": connected, "disk": disk })).into_response()
}
