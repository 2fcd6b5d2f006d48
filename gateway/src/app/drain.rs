//! How a gateway leaves: nobody is cut off who can be told to go elsewhere.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::app::{Gateway, Phase};
use crate::health::Stage;
use crate::shard::Control;

/// Between two looks at what is awaited.
const LOOK: Duration = Duration::from_millis(20);
/// In a hurry clients have this long to take their goodbye.
const HURRY: Duration = Duration::from_secs(1);

impl Gateway {
    /// Leaves politely: not ready, a pause for load balancers, no new clients, a goodbye to each
    /// spread over the window, and the end when the last has gone.
    pub async fn drain(self) {
        self.drain_until(std::future::pending()).await;
    }

    /// The same, until it is to hurry: then everybody who is still here is told goodbye at once,
    /// and cut off a second later.
    pub async fn drain_until(mut self, hurry: impl Future<Output = ()>) {
        let mut hurry = pin!(hurry);
        self.health.enter(Stage::Draining);
        self.metrics.ready.set(0);
        let is_hurried = tokio::select! {
            () = self.leave() => false,
            () = &mut hurry => true,
        };
        if is_hurried {
            tracing::info!("hurrying");
            self.phase.send_replace(Phase::Leaving);
            self.tell_shards(|| Control::Hurry).await;
            self.until_gone(HURRY).await;
        }
        self.end().await;
    }

    async fn leave(&mut self) {
        let drain = self.config.drain;
        sleep(drain.delay).await;
        self.phase.send_replace(Phase::Leaving);
        self.tell_shards(|| Control::Drain { window_s: drain.window_s }).await;
        self.until_gone(Duration::from_secs(u64::from(drain.window_s)) + drain.grace).await;
    }

    async fn tell_shards(&self, command: impl Fn() -> Control) {
        for shard in self.shards.iter() {
            shard.control(command()).await;
        }
    }

    /// Waits until every connection has ended, those that are not clients yet included.
    async fn until_gone(&mut self, patience: Duration) {
        if timeout(patience, self.staying.recv()).await.is_err() {
            let left = self.metrics.connections.get();
            tracing::warn!(left, "clients that did not go were cut off");
        }
    }

    async fn end(mut self) {
        self.phase.send_replace(Phase::Ended);
        for thread in std::mem::take(&mut self.threads) {
            while !thread.is_finished() {
                sleep(LOOK).await;
            }
            if thread.join().is_err() {
                tracing::error!("a thread of the gateway failed");
            }
        }
    }
}
