//! Everything that the worker measures: each metric once.

use prometheus::{
    Encoder as _, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

/// Seconds of a commit: from a quiet disk to one that is hardly there.
const COMMIT_SECONDS: [f64; 10] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];

/// The worker's metrics.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    /// Entries that are durable in the archive.
    pub(super) entries: IntCounter,
    /// Events that are durable in the archive.
    pub(super) events: IntCounter,
    /// Entries that came again.
    pub(super) repeated: IntCounter,
    /// Entries that cannot be archived.
    pub(super) unusable: IntCounter,
    /// Entries that had left their stream before they could be archived.
    pub(super) gone: IntCounter,
    /// Bytes appended to segments.
    pub(super) bytes: IntCounter,
    /// Commits that the disk took.
    pub(super) commits: IntCounter,
    /// Commits that it did not take.
    pub(super) failed_commits: IntCounter,
    /// How long commits take.
    pub(super) commit_seconds: Histogram,
    /// Bytes that wait for the next commit.
    pub(super) waiting_bytes: IntGauge,
    /// 1 while the disk does not take what is to be written.
    pub(super) disk_failing: IntGauge,
    /// Age of the oldest entry that has arrived and is not durable.
    pub(super) lag_seconds: IntGauge,
    /// Entries that a stream has and that have not arrived.
    pub(super) behind: IntGaugeVec,
    /// Connections to NATS that are up.
    pub(super) connected: IntGauge,
    /// Consumers that were made, at the start or anew.
    pub(super) consumers: IntCounter,
    /// Segments that were made compact, or removed.
    pub(super) swept: IntCounterVec,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let registry = Registry::new();
        let counter = |name: &str, help: &str| {
            let made = IntCounter::new(format!("barrage_bridge_{name}"), help);
            register(&registry, made)
        };
        let gauge = |name: &str, help: &str| {
            register(&registry, IntGauge::new(format!("barrage_bridge_{name}"), help))
        };
        let opts = |name: &str, help: &str| Opts::new(format!("barrage_bridge_{name}"), help);
        let seconds = HistogramOpts::new("barrage_bridge_commit_seconds", "How long commits take")
            .buckets(COMMIT_SECONDS.to_vec());
        let behind = opts("behind_entries", "Entries that a stream has and that have not arrived");
        let swept = opts("swept_segments_total", "Segments that were swept, by what was done");
        Self {
            entries: counter("entries_total", "Entries that were archived"),
            events: counter("events_total", "Events that were archived"),
            repeated: counter("repeated_entries_total", "Entries that came again and were dropped"),
            unusable: counter("unusable_entries_total", "Entries that cannot be archived"),
            gone: counter(
                "gone_entries_total",
                "Entries that had left their stream before they could be archived",
            ),
            bytes: counter("segment_bytes_total", "Bytes appended to segments"),
            commits: counter("commits_total", "Commits that the disk took"),
            failed_commits: counter("failed_commits_total", "Commits that the disk did not take"),
            commit_seconds: register(&registry, Histogram::with_opts(seconds)),
            waiting_bytes: gauge("waiting_bytes", "Bytes that wait for the next commit"),
            disk_failing: gauge("disk_failing", "1 while the disk does not take what is written"),
            lag_seconds: gauge(
                "lag_seconds",
                "Age of the oldest entry that has arrived and is not durable",
            ),
            behind: register(&registry, IntGaugeVec::new(behind, &["stream"])),
            connected: gauge("connected", "Connections to NATS that are up"),
            consumers: counter("consumers_total", "Consumers that were made, first or anew"),
            swept: register(&registry, IntCounterVec::new(swept, &["what"])),
            registry,
        }
    }

    /// All of them in Prometheus' text format.
    pub(super) fn render(&self) -> Vec<u8> {
        let mut text = Vec::new();
        // Fails only for names that registration has refused.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        text
    }
}

fn register<M: prometheus::core::Collector + Clone + 'static>(
    registry: &Registry,
    made: prometheus::Result<M>,
) -> M {
    let metric = made.expect("names and labels are constants");
    registry.register(Box::new(metric.clone())).expect("each name is registered once");
    metric
}
