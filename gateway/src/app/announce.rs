//! What a gateway tells the others of itself.

use std::time::Duration;

use broker_bridge::{Load, NodeState};

use crate::app::Node;
use crate::health::{Health, Stage};

/// How often the load is looked at; that it drains is told at once.
const LOOK: Duration = Duration::from_millis(500);

impl Node {
    /// Tells how much this gateway carries, until it ends.
    pub(super) async fn announce(self, health: Health) {
        let mut stages = health.stages();
        loop {
            let draining = *stages.borrow_and_update() == Stage::Draining;
            let count = |gauge: i64| u32::try_from(gauge).unwrap_or_default();
            self.broker.announce(Load {
                state: if draining { NodeState::Draining } else { NodeState::Ready },
                connections: count(self.metrics.connections.get()),
                rooms: count(self.metrics.rooms.get()),
            });
            // The sender of the stages is in `health`.
            let _ = tokio::time::timeout(LOOK, stages.changed()).await;
        }
    }
}
