//! One line per metric: made and registered at once.

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

fn register<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> anyhow::Result<C> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

pub(super) fn counter(registry: &Registry, name: &str, help: &str) -> anyhow::Result<IntCounter> {
    register(registry, IntCounter::new(name, help)?)
}

pub(super) fn gauge(registry: &Registry, name: &str, help: &str) -> anyhow::Result<IntGauge> {
    register(registry, IntGauge::new(name, help)?)
}

pub(super) fn gauges(
    registry: &Registry,
    name: &str,
    help: &str,
    label: &str,
) -> anyhow::Result<IntGaugeVec> {
    register(registry, IntGaugeVec::new(Opts::new(name, help), &[label])?)
}

/// A counter for each value of a label, all of them 0 at first: whoever looks for the first one
/// sees it only if that is not the beginning of the series.
pub(super) fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    (label, values): (&str, impl IntoIterator<Item = &'static str>),
) -> anyhow::Result<Counters> {
    let counters = register(registry, IntCounterVec::new(Opts::new(name, help), &[label])?)?;
    let by_value = |value| (value, counters.with_label_values(&[value]));
    Ok(Counters(values.into_iter().map(by_value).collect()))
}

/// The counters of a label, found without the lock that guards the set of them.
#[derive(Debug)]
pub(super) struct Counters(Box<[(&'static str, IntCounter)]>);

impl Counters {
    /// The counter of a value, which is one of those that it was made with.
    pub(super) fn of(&self, value: &str) -> &IntCounter {
        let found = self.0.iter().find(|(known, _)| *known == value);
        &found.expect("a label's values are all there from the start").1
    }
}

pub(super) fn histogram(
    registry: &Registry,
    name: &str,
    help: &str,
    buckets: &[f64],
) -> anyhow::Result<Histogram> {
    let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    register(registry, Histogram::with_opts(opts)?)
}
