//! Who says what when: streams of events, dealt out among speakers.
//!
//! Events come as a Poisson process: at times of their own, whatever became of those before. A
//! gateway takes five publishes per five seconds from one user, so a stream needs many speakers.

use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::plan::{EventKind, Send};

/// Events per second that one speaker is given: below the one per second that a gateway takes.
pub(crate) const SPEAKER_RATE: f64 = 0.75;

/// A stream of events into one room.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stream {
    /// Its first possible moment, in µs after the beginning.
    pub(crate) from_us: u64,
    /// The moment at which it has ended.
    pub(crate) to_us: u64,
    /// Events per second at its first moment.
    pub(crate) rate_from: f64,
    /// Events per second at its last moment; it changes evenly.
    pub(crate) rate_to: f64,
    /// The kind of its events.
    pub(crate) kind: EventKind,
    /// About how long their texts are, in bytes.
    pub(crate) bytes: u16,
}

impl Stream {
    /// A stream of chat at an even rate.
    pub(crate) fn steady(from_us: u64, to_us: u64, rate: f64, bytes: u16) -> Self {
        Self { from_us, to_us, rate_from: rate, rate_to: rate, kind: EventKind::Chat, bytes }
    }

    /// The highest rate.
    fn rate_max(&self) -> f64 {
        self.rate_from.max(self.rate_to)
    }

    /// The moments of its events, in order.
    fn moments(&self, random: &mut StdRng) -> Vec<u64> {
        let (length, rate_max) = ((self.to_us - self.from_us) as f64 / 1e6, self.rate_max());
        let mut moments = Vec::new();
        let mut at = 0.0;
        if rate_max <= 0.0 {
            return moments;
        }
        loop {
            // Draws at the highest rate, thinned to the rate of the moment.
            at -= (1.0 - random.random::<f64>()).ln() / rate_max;
            if at >= length {
                break;
            }
            let rate = self.rate_from + (self.rate_to - self.rate_from) * at / length;
            if random.random::<f64>() * rate_max < rate {
                moments.push(self.from_us + (at * 1e6) as u64);
            }
        }
        moments
    }
}

/// How many speakers a room needs for these streams.
pub(crate) fn speakers(streams: &[Stream]) -> usize {
    let rate_at = |us: u64| -> f64 {
        let on = streams.iter().filter(|stream| (stream.from_us..stream.to_us).contains(&us));
        on.map(Stream::rate_max).sum()
    };
    let rate_max = streams.iter().map(|stream| rate_at(stream.from_us)).fold(0.0, f64::max);
    (rate_max / SPEAKER_RATE).ceil() as usize
}

/// Draws the events of a room and deals them out. `next_number` counts events over all rooms;
/// what comes back is the sends of each of [`speakers`].
pub(crate) fn deal(
    streams: &[Stream],
    random: &mut StdRng,
    next_number: &mut u32,
) -> Vec<Vec<Send>> {
    let mut all: Vec<(u64, &Stream)> = Vec::new();
    for stream in streams {
        all.extend(stream.moments(random).into_iter().map(|moment| (moment, stream)));
    }
    all.sort_by_key(|(moment, _)| *moment);
    let count = speakers(streams);
    let mut dealt = vec![Vec::new(); count];
    for (nth, (at_us, stream)) in all.into_iter().enumerate() {
        let send = Send { at_us, number: *next_number, kind: stream.kind, bytes: stream.bytes };
        dealt[nth % count].push(send);
        *next_number += 1;
    }
    dealt
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    #[test]
    fn a_seed_makes_the_same_events_again_at_about_the_rate() {
        let streams = [Stream::steady(0, 60_000_000, 50.0, 30)];
        let deal = |seed| deal(&streams, &mut StdRng::seed_from_u64(seed), &mut 0);
        let dealt = deal(1);
        assert_eq!(dealt, deal(1));
        assert_ne!(dealt, deal(2));
        assert_eq!(dealt.len(), 67);
        let count: usize = dealt.iter().map(Vec::len).sum();
        assert!((2_700..3_300).contains(&count), "{count}");
    }

    #[test]
    fn no_speaker_says_more_than_a_gateway_takes() {
        let streams = [Stream::steady(0, 60_000_000, 20.0, 30)];
        for seed in 0..20 {
            for sends in deal(&streams, &mut StdRng::seed_from_u64(seed), &mut 0) {
                assert!(sends.windows(6).all(|six| six[5].at_us - six[0].at_us > 4_000_000));
                assert!(sends.is_sorted_by_key(|send| (send.at_us, send.number)));
            }
        }
    }

    #[test]
    fn a_ramp_rises() {
        let ramp = Stream { rate_to: 100.0, ..Stream::steady(0, 20_000_000, 0.0, 30) };
        let moments = ramp.moments(&mut StdRng::seed_from_u64(1));
        let early = moments.iter().filter(|at| **at < 10_000_000).count();
        assert!((800..1_200).contains(&moments.len()) && early * 2 < moments.len(), "{early}");
    }
}
