//! A shard on which somebody misbehaves while others only want their danmaku.

use std::collections::BTreeMap;

use protocol::close::CloseReason;
use protocol::deflate::Deflater;
use serde_json::json;

use super::client::TestClient;
use super::frames::{FIN, Frame, RSV1, TEXT};
use super::gateway::TestGateway;
use super::raw::RawClient;
use super::until;

/// The room they are in.
pub(crate) const ROOM: &str = "demo";

/// A gateway with one shard, and clients on it who only want their danmaku.
pub(crate) struct Scene {
    pub(crate) gateway: TestGateway,
    pub(crate) plain: TestClient,
    compressing: RawClient,
    pub(crate) said: u64,
    /// How many were closed so far, by reason.
    closed: BTreeMap<&'static str, f64>,
}

impl Scene {
    pub(crate) async fn set() -> Self {
        let gateway = TestGateway::with(|config| config.shards = 1).await;
        let plain = gateway.viewer(ROOM).await;
        let mut compressing = RawClient::compressing(gateway.public).await;
        compressing.join(ROOM).await;
        Self { gateway, plain, compressing, said: 0, closed: BTreeMap::new() }
    }

    /// A client without, or with, compression; in the room or not yet.
    pub(crate) async fn client(&self, compressing: bool, joined: bool) -> RawClient {
        let mut client = if compressing {
            RawClient::compressing(self.gateway.public).await
        } else {
            RawClient::connect(self.gateway.public).await
        };
        if joined {
            client.join(ROOM).await;
        }
        client
    }

    /// Everybody else goes on: they speak, hear each other, and miss nothing.
    pub(crate) async fn goes_on(&mut self) {
        self.said += 1;
        let text = format!("还在 {}", self.said);
        let body = json!({ "text": text });
        let publish = json!({ "type": "publish", "room": ROOM, "body": body });
        let ack = if self.said.is_multiple_of(2) {
            self.plain.ask(publish).await
        } else {
            // Compressed, as browsers send it.
            let id = 1_000_000 + self.said;
            let mut publish = publish;
            publish["id"] = json!(id);
            self.compressing.send(&deflated(&publish.to_string())).await;
            self.compressing.until("the ack", |memory| memory.reply(id).cloned()).await
        };
        assert_eq!(ack["type"], "ack", "{ack}");
        self.plain.reaches(ROOM, self.said).await;
        self.compressing.reaches(ROOM, self.said).await;
        for memory in [&self.plain.memory, &self.compressing.memory] {
            let account = memory.account(ROOM);
            account.assert_closes();
            assert_eq!(account.received.last().unwrap().text(), text);
        }
    }

    /// Fails unless a client is closed for a reason: told by its code and its text, counted once,
    /// and felt by nobody else on the shard.
    pub(crate) async fn closes(&mut self, mut client: RawClient, reason: CloseReason, what: &str) {
        assert_eq!(client.ends().await, Some(reason.code()), "{what}");
        assert_eq!(client.memory.closed.as_ref().unwrap().1, reason.text(), "{what}");
        let count = self.closed.entry(reason.text()).or_default();
        *count += 1.0;
        let label = format!("reason=\"{}\"", reason.text());
        let counted = self.gateway.metric("barrage_closes_total", &label).await;
        assert_eq!(counted, *count, "{what}: {label}");
        self.goes_on().await;
    }

    /// Fails unless what is tried moves a counter by so much, and is felt by nobody else on the
    /// shard; returns what came of it.
    pub(crate) async fn counts<T>(
        &mut self,
        (metric, label): (&str, &str),
        by: f64,
        tried: impl Future<Output = T>,
    ) -> T {
        let came = self.gateway.counts((metric, label), by, tried).await;
        self.goes_on().await;
        came
    }

    /// Waits until nobody else is connected, or counted in the room.
    pub(crate) async fn until_alone(&self) {
        self.gateway.until_metric("barrage_connections", "", |count| count == 2.0).await;
        until("nobody else in the room", || async {
            let info = self.gateway.api.get(&format!("/v1/rooms/{ROOM}")).await.json();
            (info["online"] == 2).then_some(())
        })
        .await;
    }

    pub(crate) async fn end(mut self) {
        self.goes_on().await;
        assert_eq!(self.plain.memory.closed, None);
        self.gateway.end().await;
    }
}

/// A text message as a compressing client sends it.
pub(crate) fn deflated(text: &str) -> Frame {
    Frame::new(FIN | RSV1 | TEXT, Deflater::new().deflate(text.as_bytes()))
}
