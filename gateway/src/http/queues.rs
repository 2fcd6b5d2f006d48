//! What waits in the queues of a gateway, looked at when its metrics are read.

use std::sync::Arc;

use broker_bridge::Broker;

use crate::hub::Hubs;
use crate::metrics::Metrics;
use crate::shard::ShardHandle;

/// The queues between connections, hubs, shards and the broker.
#[derive(Clone)]
pub(crate) struct Queues {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) hubs: Hubs,
    pub(crate) shards: Arc<[ShardHandle]>,
}

impl Queues {
    /// Shows how many wait in each kind of queue.
    pub(super) fn show(&self, metrics: &Metrics) {
        let (commands, deliveries) = self.hubs.waiting();
        let shards = self.shards.iter().map(ShardHandle::waiting);
        let (control, rooms) = shards.fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
        metrics.waiting("hub_commands", commands);
        metrics.waiting("hub_deliveries", deliveries);
        metrics.waiting("shard_control", control);
        metrics.waiting("shard_rooms", rooms);
        for (queue, waiting) in self.broker.queues() {
            metrics.waiting(queue.text(), waiting);
        }
    }
}
