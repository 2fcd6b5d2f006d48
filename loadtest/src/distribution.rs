//! A distribution of durations: median, 99th percentile and maximum, exact.

use std::time::Duration;

use serde::Serialize;

/// Durations that were measured; 4 bytes each, so a million of them are 4 MB.
#[derive(Debug, Default, Clone)]
pub(crate) struct Distribution {
    micros: Vec<u32>,
}

/// What is said of a distribution, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Summary {
    /// How many values.
    pub(crate) count: usize,
    /// The median.
    pub(crate) p50_ms: f64,
    /// The 99th percentile.
    pub(crate) p99_ms: f64,
    /// The largest.
    pub(crate) max_ms: f64,
}

impl Distribution {
    /// Adds a value; above 71 minutes it counts as 71 minutes (2^32 µs).
    pub(crate) fn record(&mut self, value: Duration) {
        self.micros.push(u32::try_from(value.as_micros()).unwrap_or(u32::MAX));
    }

    /// The figures; `None` of nothing. Percentiles are nearest-rank.
    pub(crate) fn summary(&self) -> Option<Summary> {
        let mut sorted = self.micros.clone();
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        let at_percent = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100);
            f64::from(sorted[rank.saturating_sub(1)]) / 1000.0
        };
        Some(Summary {
            count: sorted.len(),
            p50_ms: at_percent(50),
            p99_ms: at_percent(99),
            max_ms: f64::from(sorted[last]) / 1000.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank() {
        let mut hundred = Distribution::default();
        for ms in (1..=100).rev() {
            hundred.record(Duration::from_millis(ms));
        }
        let expected = Summary { count: 100, p50_ms: 50.0, p99_ms: 99.0, max_ms: 100.0 };
        assert_eq!(hundred.summary(), Some(expected));
    }

    #[test]
    fn one_value_is_every_percentile_and_none_is_no_summary() {
        assert_eq!(Distribution::default().summary(), None);
        let mut one = Distribution::default();
        one.record(Duration::from_micros(1500));
        let expected = Summary { count: 1, p50_ms: 1.5, p99_ms: 1.5, max_ms: 1.5 };
        assert_eq!(one.summary(), Some(expected));
    }

    #[test]
    fn a_value_past_the_range_is_the_largest() {
        let mut one = Distribution::default();
        one.record(Duration::MAX);
        assert_eq!(one.summary().map(|s| s.max_ms), Some(f64::from(u32::MAX) / 1000.0));
    }
}
