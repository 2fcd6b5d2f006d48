//! Durations in µs, as histograms that can be added up across processes and machines.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2Serializer};
use serde::{Deserialize, Serialize};

/// The largest duration that is told from larger ones, in µs: ten minutes.
const MAX_US: u64 = 600_000_000;
/// Decimal digits that are kept of a value.
const DIGITS: u8 = 3;
/// The percentiles that are shown.
pub(crate) const PERCENTILES: [f64; 6] = [50.0, 90.0, 99.0, 99.9, 99.99, 100.0];

/// A histogram of durations in µs.
#[derive(Debug, Clone)]
pub(crate) struct Histogram(hdrhistogram::Histogram<u64>);

impl Default for Histogram {
    fn default() -> Self {
        let empty = hdrhistogram::Histogram::new_with_bounds(1, MAX_US, DIGITS);
        Self(empty.expect("the bounds are valid"))
    }
}

impl Histogram {
    /// Adds a duration.
    pub(crate) fn record(&mut self, us: u64) {
        self.0.saturating_record(us.max(1));
    }

    /// Adds a time for which nothing could be seen: whatever came in it was seen late by what
    /// was left of it, in steps of `interval_us`.
    pub(crate) fn record_stall(&mut self, us: u64, interval_us: u64) {
        let us = us.min(MAX_US);
        let _ = self.0.record_correct(us.max(1), interval_us);
    }

    /// Adds all of another histogram.
    pub(crate) fn merge(&mut self, other: &Self) {
        let _ = self.0.add(&other.0);
    }

    /// How many durations.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// A percentile in ms; `None` of nothing.
    pub(crate) fn percentile_ms(&self, percent: f64) -> Option<f64> {
        let value = || self.0.value_at_quantile(percent / 100.0).min(self.0.max());
        (self.count() > 0).then(|| value() as f64 / 1000.0)
    }
}

impl Serialize for Histogram {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::new();
        let written = V2Serializer::new().serialize(&self.0, &mut bytes);
        written.map_err(|error| serde::ser::Error::custom(format!("{error:?}")))?;
        BASE64.encode(bytes).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Histogram {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64.decode(text).map_err(serde::de::Error::custom)?;
        let read = Deserializer::new().deserialize(&mut bytes.as_slice());
        read.map(Self).map_err(|error| serde::de::Error::custom(format!("{error:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_added_up() {
        let mut one = Histogram::default();
        for ms in 1..=1000 {
            one.record(ms * 1000);
        }
        let text = serde_json::to_string(&one).unwrap();
        let mut two: Histogram = serde_json::from_str(&text).unwrap();
        two.merge(&one);
        assert_eq!(two.count(), 2000);
        let p99 = two.percentile_ms(99.0).unwrap();
        assert!((989.0..992.0).contains(&p99), "{p99}");
        assert_eq!(Histogram::default().percentile_ms(50.0), None);
    }

    #[test]
    fn a_stall_counts_for_all_that_came_in_it() {
        let mut stalls = Histogram::default();
        for _ in 0..950 {
            stalls.record_stall(1_000, 1_000);
        }
        stalls.record_stall(50_000, 1_000);
        let p99 = stalls.percentile_ms(99.0).unwrap();
        assert!((35.0..50.0).contains(&p99), "{p99}");
    }
}
