//! What the broker counts of its own work, taken over whenever somebody looks.

use broker_bridge::{Stats, Status};
use prometheus::{IntCounter, IntGauge};

/// The metrics of a gateway's broker.
#[derive(Debug)]
pub(crate) struct BrokerMetrics {
    pub(super) reachable: IntGauge,
    pub(super) log: IntGauge,
    pub(super) published: IntCounter,
    pub(super) unstored: IntCounter,
    pub(super) received: IntCounter,
    pub(super) lost: IntCounter,
    pub(super) holes: IntCounter,
    pub(super) retries: IntCounter,
    pub(super) refused: IntCounter,
    pub(super) overflows: IntCounter,
    pub(super) waiting: IntGauge,
}

impl BrokerMetrics {
    /// Takes over what the broker says of itself.
    pub(crate) fn show(&self, status: Status, stats: Option<&Stats>) {
        self.reachable.set(status.reachable.into());
        self.log.set(status.log.into());
        let Some(stats) = stats else { return };
        let counted = [
            (&self.published, stats.published()),
            (&self.unstored, stats.unstored()),
            (&self.received, stats.received()),
            (&self.lost, stats.lost()),
            (&self.holes, stats.holes()),
            (&self.retries, stats.retries()),
            (&self.refused, stats.busy()),
            (&self.overflows, stats.overflows()),
        ];
        self.waiting.set(i64::try_from(stats.waiting()).unwrap_or(i64::MAX));
        for (counter, count) in counted {
            counter.inc_by(count.saturating_sub(counter.get()));
        }
    }
}
