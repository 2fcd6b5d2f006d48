//! A gateway in this process, on free ports.

use std::net::SocketAddr;
use std::time::Duration;

use gateway::app::{Fabric, Gateway};
use gateway::config::Config;
use rig::lag::Lag;
use serde_json::Value;

use super::account::Account;
use super::client::{Dial, TestClient};
use super::http::{self, Api};
use super::until;

/// The tick of test gateways, in milliseconds.
pub(crate) const TICK_MS: u32 = 100;

/// A gateway that is ready. Dropping it is its sudden death.
pub(crate) struct TestGateway {
    gateway: Gateway,
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) api: Api,
}

impl TestGateway {
    /// Starts a single node with a short tick and no limit on how often clients may publish.
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// The same, with changes to its configuration.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::on(Fabric::Embedded, change).await
    }

    /// Starts a node of a fabric.
    pub(crate) async fn on(fabric: Fabric, change: impl FnOnce(&mut Config)) -> Self {
        let started = Self::begin(fabric, change);
        started.until_ready().await;
        started
    }

    /// Starts a node of a fabric, ready or not.
    pub(crate) fn begin(fabric: Fabric, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::dev_on_free_ports();
        config.hub.room.tick_ms = TICK_MS;
        config.session.publishes.burst = 10_000;
        config.session.likes.burst = 10_000;
        config.session.commands.burst = 10_000;
        change(&mut config);
        let gateway = Gateway::start_on(config, fabric).expect("a gateway starts on free ports");
        let (public, admin) = (gateway.public_address(), gateway.admin_address());
        Self { gateway, public, admin, api: Api::dev(admin) }
    }

    /// Waits until it is.
    pub(crate) async fn until_ready(&self) {
        until("readiness", || async { (self.readiness().await.0 == 200).then_some(()) }).await;
    }

    /// The status and the body of `/readyz`.
    pub(crate) async fn readiness(&self) -> (u16, Value) {
        let answer = http::request(self.admin, "GET", "/readyz", &[], b"").await;
        (answer.status, answer.json())
    }

    /// A client that was welcomed.
    pub(crate) async fn client(&self) -> TestClient {
        TestClient::connect(self.public).await
    }

    /// A client that was welcomed and is in a room.
    pub(crate) async fn viewer(&self, room: &str) -> TestClient {
        let mut client = self.client().await;
        client.join(room).await;
        client
    }

    /// A client that connects in a way of its own.
    pub(crate) async fn dial(&self, dial: Dial<'_>) -> TestClient {
        TestClient::dial(self.public, dial).await
    }

    /// Waits until an event that was acked is the newest that its room shows. An ack says that the
    /// log has it; the room is told of it a moment later.
    pub(crate) async fn shows(&self, room: &str, event: &Value) {
        let look = || async {
            let newest = self.api.history(room, 1).await;
            (newest["events"][0]["id"] == event["id"]).then_some(())
        };
        until(&format!("{event} in `{room}`"), look).await;
    }

    /// The sum of a metric over all labels that hold the given text.
    pub(crate) async fn metric(&self, name: &str, labels: &str) -> f64 {
        metric(self.admin, name, labels).await
    }

    /// Waits until a metric has a value that pleases.
    pub(crate) async fn until_metric(
        &self,
        name: &str,
        labels: &str,
        pleases: impl Fn(f64) -> bool,
    ) {
        let what = format!("{name} {labels}");
        let pleases = &pleases;
        let look = || async move { pleases(self.metric(name, labels).await).then_some(()) };
        until(&what, look).await;
    }

    /// Fails unless what is tried moves a metric by so much; returns what came of it.
    pub(crate) async fn counts<T>(
        &self,
        (name, labels): (&str, &str),
        by: f64,
        tried: impl Future<Output = T>,
    ) -> T {
        let before = self.metric(name, labels).await;
        let came = tried.await;
        self.until_metric(name, labels, |count| count >= before + by).await;
        assert_eq!(self.metric(name, labels).await - before, by, "{name} {labels}");
        came
    }

    /// Fails if the gateway has counted faults of its own.
    pub(crate) async fn assert_no_faults(&self) {
        assert_eq!(
            self.metric("barrage_unmatched_total", "").await,
            0.0,
            "frames without a variant"
        );
        assert_eq!(self.metric("barrage_closes_total", "internal").await, 0.0, "internal faults");
        let health = http::request(self.admin, "GET", "/healthz", &[], b"").await;
        assert_eq!(health.status, 200, "{}", health.text());
    }

    /// Fails if a client that reads was told a gap, unless this machine held the gateway up: what a
    /// shard could not send for a quarter of a second it tells as one.
    pub(crate) async fn assert_none_missed(&self, account: &Account, lag: &Lag) {
        const HELD_UP: Duration = Duration::from_millis(50);
        let overtaken = self.metric("barrage_overtaken_frames_total", "").await;
        let is_excused = overtaken > 0.0 && lag.worst() > HELD_UP;
        assert!(account.gaps.is_empty() || is_excused, "{:?}, {lag:?}", account.gaps);
    }

    /// Ends the gateway at the end of a test, in which it must not have counted faults.
    pub(crate) async fn end(self) {
        self.assert_no_faults().await;
    }

    /// Takes in the same configuration with changes, as after a reload.
    pub(crate) fn reload(&self, change: impl FnOnce(&mut Config)) {
        let mut config = Config::dev_on_free_ports();
        change(&mut config);
        self.gateway.reload(Ok(&config));
    }

    /// Leaves politely.
    pub(crate) async fn drain(self) {
        self.gateway.drain().await;
    }
}

/// The sum of a metric over all labels that hold the given text.
pub(crate) async fn metric(admin: SocketAddr, name: &str, labels: &str) -> f64 {
    let answer = http::request(admin, "GET", "/metrics", &[], b"").await;
    assert_eq!(answer.status, 200);
    let lines = answer.text().lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let (found, value) = rest.rsplit_once(' ')?;
        let whole_name = found.is_empty() || found.starts_with('{');
        (whole_name && found.contains(labels)).then(|| value.parse::<f64>().unwrap())
    });
    lines.sum()
}
