//! Whether a gateway is ready: an event of its own goes through the broker and back, and it knows
//! the settings of rooms.

use std::time::Duration;

use protocol::event::{Body, Draft, Kind};
use protocol::ids::{EventId, RoomId};
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::app::{Node, Phase};
use crate::health::{Health, Stage};

/// Between two canaries.
const EVERY: Duration = Duration::from_secs(1);
/// So many of them may stay away before somebody should look: logs that are made anew take a while.
const PATIENCE: u32 = 5;

impl Node {
    /// Ready means: an event has gone through the broker and come back, and nobody would join a
    /// room whose settings are not known.
    pub(super) async fn prove_ready(
        self,
        canary: RoomId,
        mut seen: watch::Receiver<bool>,
        health: Health,
    ) {
        let body: Box<RawValue> = serde_json::from_str("{}").expect("an empty object is JSON");
        let mut turns = tokio::time::interval(EVERY);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut subscribed = false;
        let mut missing = 0;
        loop {
            turns.tick().await;
            if *self.phases.borrow() == Phase::Ended {
                return;
            }
            let draft = Draft {
                id: EventId::random(rand::random()),
                kind: Kind::System,
                ts_ms: self.clock.now().unix_ms,
                user: None,
                body: Body::Opaque(&body),
                weight: 0,
            };
            // Once: a room that is opened anew again and again tells of no entry in between.
            subscribed = subscribed || self.broker.subscribe(&canary).is_ok();
            let sent = subscribed && self.broker.publish(&canary, draft.render()).is_ok();
            let back = async {
                let seen = seen.wait_for(|seen| *seen).await.is_ok();
                self.known.completed().await;
                seen
            };
            let back = tokio::time::timeout(EVERY, back);
            if sent && back.await == Ok(true) {
                break;
            }
            // A broker that cannot be reached says so itself.
            missing += u32::from(health.broker().reachable);
            if missing == PATIENCE {
                missing = 0;
                tracing::warn!("the broker has not returned the canary, or not told all settings");
            }
        }
        // Deliveries of a room that is not wanted any more are harmless.
        let _ = self.broker.unsubscribe(&canary);
        if health.stage() == Stage::Starting {
            health.enter(Stage::Ready);
            self.metrics.ready.set(1);
            tracing::info!("ready");
        }
    }
}
