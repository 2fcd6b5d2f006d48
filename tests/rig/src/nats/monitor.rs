//! Asking a nats-server how it is, over its monitoring port.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::http;

/// How long one answer may take; a paused server gives none.
const ANSWER: Duration = Duration::from_secs(2);

/// Asks for a page; the JSON of it if the server says that all is well.
pub(super) async fn ask(monitor: SocketAddr, path: &str) -> Option<Value> {
    let answer = http::get(monitor, path, ANSWER).await?;
    (answer.status == 200).then(|| answer.json())?
}

/// Who leads the JetStream of a cluster in the eyes of a server, and how many peers it counts.
pub(super) fn meta(jsz: &Value) -> Option<(&str, u64)> {
    let meta = &jsz["meta_cluster"];
    let leader = meta["leader"].as_str().filter(|leader| !leader.is_empty())?;
    Some((leader, meta["cluster_size"].as_u64()?))
}

/// Who leads a stream in the eyes of a server.
pub(super) fn stream_leader<'a>(jsz: &'a Value, stream: &str) -> Option<&'a str> {
    let accounts = jsz["account_details"].as_array()?.iter();
    let mut streams = accounts.filter_map(|account| account["stream_detail"].as_array()).flatten();
    let found = streams.find(|found| found["name"] == stream)?;
    found["cluster"]["leader"].as_str().filter(|leader| !leader.is_empty())
}
