//! What a worker counts and measures; everything can be added up across workers and machines.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::histogram::Histogram;

/// What a worker has counted so far.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Groups of clients.
    pub(crate) groups: usize,
    /// By phase, then group of the viewer: what the viewers of a group saw in a phase.
    pub(crate) seen: Vec<Vec<Seen>>,
    /// From the intended time of an event to its ack.
    pub(crate) ack: Histogram,
    /// From the intended time of a ping to its pong.
    pub(crate) pong: Histogram,
    /// How late events were sent: a fault of the generator.
    pub(crate) send_lag: Histogram,
    /// How long an arriving frame had to wait until the generator looked: its own fault.
    pub(crate) sweep_lag: Histogram,
    /// By phase: the connections that were to be made in it.
    pub(crate) joins: Vec<Joins>,
    /// By second of the run.
    pub(crate) seconds: Vec<Second>,
    /// Everything else, by name.
    pub(crate) counts: BTreeMap<String, u64>,
}

/// What the viewers of a group saw of a phase. An event belongs to the phase of its intended time.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// From the intended time of an event to its receipt.
    pub(crate) latency: Histogram,
    /// Batches received in the phase.
    pub(crate) batches: u64,
}

/// Connections of a phase.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Joins {
    /// From the intended time of a connection to its `joined`.
    pub(crate) took: Histogram,
    /// The first intended time, in µs since 1970.
    pub(crate) first_us: Option<u64>,
    /// The last `joined`, in µs since 1970.
    pub(crate) last_us: Option<u64>,
}

impl Joins {
    /// Adds a connection.
    pub(crate) fn add(&mut self, intended_us: u64, joined_us: u64) {
        self.took.record(joined_us.saturating_sub(intended_us));
        self.first_us = min(self.first_us, Some(intended_us));
        self.last_us = self.last_us.max(Some(joined_us));
    }

    /// Joins per second, from the first intended time to the last `joined`.
    pub(crate) fn per_s(&self) -> Option<f64> {
        let took_us = self.last_us?.saturating_sub(self.first_us?).max(1);
        Some(self.took.count() as f64 * 1e6 / took_us as f64)
    }

    fn merge(&mut self, other: &Self) {
        self.took.merge(&other.took);
        self.first_us = min(self.first_us, other.first_us);
        self.last_us = self.last_us.max(other.last_us);
    }
}

/// One second of a run.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Second {
    /// Joins answered.
    pub(crate) joined: u64,
    /// Events sent.
    pub(crate) sent: u64,
    /// Events acked.
    pub(crate) acked: u64,
    /// Messages received.
    pub(crate) frames: u64,
    /// Bytes received.
    pub(crate) bytes: u64,
    /// Events received.
    pub(crate) events: u64,
    /// Latencies of this second, in buckets of a quarter of a doubling; see [`bucket`].
    pub(crate) latency: BTreeMap<u16, u64>,
}

/// The bucket of a duration: four for each doubling from 1 µs on.
fn bucket(us: u64) -> u16 {
    ((us.max(1) as f64).log2() * 4.0) as u16
}

/// The middle of a bucket, in ms.
fn middle_ms(bucket: u16) -> f64 {
    ((f64::from(bucket) + 0.5) / 4.0).exp2() / 1000.0
}

impl Second {
    /// Adds `count` events that were all this late.
    pub(crate) fn late(&mut self, us: u64) {
        *self.latency.entry(bucket(us)).or_default() += 1;
    }

    /// A percentile of the latencies of this second, in ms, within 9 %.
    pub(crate) fn percentile_ms(&self, percent: f64) -> Option<f64> {
        let rank = self.latency.values().sum::<u64>() as f64 * percent / 100.0;
        let mut passed = 0;
        self.latency.iter().find_map(|(bucket, count)| {
            passed += count;
            (passed as f64 >= rank).then(|| middle_ms(*bucket))
        })
    }

    /// Adds the same second of another worker.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.joined += other.joined;
        self.sent += other.sent;
        self.acked += other.acked;
        self.frames += other.frames;
        self.bytes += other.bytes;
        self.events += other.events;
        for (bucket, count) in &other.latency {
            *self.latency.entry(*bucket).or_default() += count;
        }
    }
}

impl Tally {
    /// Nothing counted, for this many groups and phases.
    pub(crate) fn new(groups: usize, phases: usize) -> Self {
        Self {
            groups,
            seen: vec![vec![Seen::default(); groups]; phases],
            joins: vec![Joins::default(); phases],
            ..Self::default()
        }
    }

    /// Counts something.
    pub(crate) fn count(&mut self, name: impl Into<String>, count: u64) {
        *self.counts.entry(name.into()).or_default() += count;
    }

    /// How often something was counted.
    pub(crate) fn counted(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// The second in which a moment lies.
    pub(crate) fn second(&mut self, since_start_us: u64) -> &mut Second {
        let second = (since_start_us / 1_000_000) as usize;
        if self.seconds.len() <= second {
            self.seconds.resize_with(second + 1, Second::default);
        }
        &mut self.seconds[second]
    }

    /// The latencies of some groups and phases.
    pub(crate) fn latency(&self, of: impl Fn(usize, usize) -> bool) -> Histogram {
        let mut sum = Histogram::default();
        for (phase, groups) in self.seen.iter().enumerate() {
            for (group, seen) in groups.iter().enumerate().filter(|(group, _)| of(phase, *group)) {
                debug_assert!(group < self.groups, "every phase has all groups");
                sum.merge(&seen.latency);
            }
        }
        sum
    }

    /// Adds what another worker has counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.groups = self.groups.max(other.groups);
        self.seen.resize_with(self.seen.len().max(other.seen.len()), Vec::new);
        for phase in &mut self.seen {
            phase.resize_with(self.groups, Seen::default);
        }
        for (mine, others) in self.seen.iter_mut().zip(&other.seen) {
            for (mine, others) in mine.iter_mut().zip(others) {
                mine.latency.merge(&others.latency);
                mine.batches += others.batches;
            }
        }
        self.joins.resize_with(self.joins.len().max(other.joins.len()), Joins::default);
        self.joins.iter_mut().zip(&other.joins).for_each(|(mine, others)| mine.merge(others));
        self.ack.merge(&other.ack);
        self.pong.merge(&other.pong);
        self.send_lag.merge(&other.send_lag);
        self.sweep_lag.merge(&other.sweep_lag);
        self.seconds.resize_with(self.seconds.len().max(other.seconds.len()), Second::default);
        for (mine, others) in self.seconds.iter_mut().zip(&other.seconds) {
            mine.merge(others);
        }
        for (name, count) in &other.counts {
            *self.counts.entry(name.clone()).or_default() += count;
        }
    }
}

fn min(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a.into_iter().chain(b).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_keep_a_duration_within_a_tenth() {
        for us in [1, 7, 100, 12_345, 9_999_999_u64] {
            let ratio = middle_ms(bucket(us)) * 1000.0 / us as f64;
            assert!((0.90..1.20).contains(&ratio) || us < 10, "{us}: {ratio}");
        }
    }

    #[test]
    fn tallies_are_added_up_second_by_second() {
        let (mut one, mut two) = (Tally::new(1, 1), Tally::new(2, 1));
        one.second(500_000).late(1_000);
        two.second(900_000).late(9_000);
        two.second(2_100_000).sent += 3;
        two.count("x", 2);
        two.joins[0].add(1_000_000, 3_000_000);
        two.joins[0].add(1_000_000, 2_000_000);
        one.merge(&two);
        assert_eq!((one.seconds.len(), one.seen[0].len(), one.counted("x")), (3, 2, 2));
        assert_eq!((one.seconds[2].sent, one.joins[0].per_s()), (3, Some(1.0)));
        let p50 = one.seconds[0].percentile_ms(50.0).unwrap();
        let p99 = one.seconds[0].percentile_ms(99.0).unwrap();
        assert!((0.9..1.2).contains(&p50) && (8.0..11.0).contains(&p99), "{p50} {p99}");
    }
}
