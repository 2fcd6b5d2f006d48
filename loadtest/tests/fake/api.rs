//! The fake's server API.

use std::io;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::{Shared, State, Trick};

/// Answers requests until it is dropped.
pub(super) async fn serve(listener: TcpListener, shared: Shared) {
    let mut connections = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let shared = shared.clone();
        connections.spawn(async move {
            let service = service_fn(|request| answer(request, shared.clone()));
            let connection = hyper::server::conn::http1::Builder::new();
            // Ends with an error whenever the fake hangs up on purpose.
            let _ = connection.serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: Shared,
) -> Result<Response<Full<Bytes>>, io::Error> {
    let path = request.uri().path().to_owned();
    let key = request.headers().get("authorization").cloned();
    let body = request.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
    if key.is_none_or(|key| key != "Bearer dev") {
        return Ok(refusal(StatusCode::UNAUTHORIZED, "unauthorized", None));
    }
    let body: Value = serde_json::from_slice(&body).map_err(io::Error::other)?;
    let count = {
        let mut state = shared.state();
        state.requests += 1;
        state.requests
    };
    if shared.trick == Trick::Busy && count <= 3 {
        shared.state().played = true;
        return Ok(refusal(StatusCode::SERVICE_UNAVAILABLE, "busy", Some(20)));
    }
    let answer = publish(&shared, &path, &body, count);
    // The second request, so that the connection has proven to be good before.
    if count == 2 && shared.plays(Trick::HangUp) {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    Ok(answer)
}

fn publish(shared: &Shared, path: &str, body: &Value, count: usize) -> Response<Full<Bytes>> {
    let mut state = shared.state();
    if shared.trick == Trick::Chatter && count.is_multiple_of(2) {
        state.played = true;
        state.publish("chat", None, json!({"text": "me too"}), json!({"id": "someone"}));
    }
    if shared.trick == Trick::Visitor && count.is_multiple_of(2) {
        state.played = true;
        state.publish("gift", None, json!({"name": "fish"}), json!({"id": "patron"}));
    }
    let refuses = shared.trick == Trick::Refuse;
    let answer = match (path, body.get("events").and_then(Value::as_array)) {
        ("/v1/rooms/demo%2F%E7%8C%AB/events", None) => one(&mut state, body, refuses),
        ("/v1/events", Some(events)) => {
            assert!(events.iter().all(|event| event["room"] == "demo/猫"), "{events:?}");
            let results = events.iter().map(|event| one(&mut state, event, refuses));
            json!({"results": results.collect::<Vec<_>>()})
        }
        other => panic!("a request that the API does not have: {other:?}"),
    };
    match answer.get("error") {
        Some(_) => response(StatusCode::BAD_REQUEST, &answer),
        None => response(StatusCode::OK, &answer),
    }
}

fn one(state: &mut State, event: &Value, refuses: bool) -> Value {
    let key = event["key"].as_str().expect("a key");
    let number: usize = key.rsplit('-').next().unwrap().parse().unwrap();
    if refuses && number % 2 == 1 {
        state.played = true;
        return json!({"error": {"code": "blocked_term", "message": "no odd numbers"}});
    }
    assert_eq!(event["kind"], "chat");
    let (body, user) = (event["body"].clone(), event["user"].clone());
    json!({"event": state.publish("chat", Some(key), body, user), "stored": true})
}

fn refusal(status: StatusCode, code: &str, after_ms: Option<u64>) -> Response<Full<Bytes>> {
    let error = json!({"code": code, "message": "not now", "retry_after_ms": after_ms});
    response(status, &json!({ "error": error }))
}

fn response(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::new(body.to_string().into())).unwrap()
}
