//! What a report says of a replay: what was found in the file, and what became of each danmaku.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::archive::Archive;
use crate::histogram::Histogram;
use crate::publisher::Tally;
use crate::replay::Options;

/// A replay.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Replayed {
    file: String,
    speed: f64,
    from_s: f64,
    to_s: Option<f64>,
    archive: Found,
    publishing: Publishing,
}

/// What was found in the archive.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Found {
    danmaku: u64,
    by_mode: BTreeMap<i64, u64>,
    to_play: u64,
    not_played: BTreeMap<String, u64>,
    other_tags: BTreeMap<String, u64>,
    mended_characters: u64,
    broken_markup: u64,
}

/// What became of what was played, over all rooms.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Publishing {
    acked: u64,
    not_stored: u64,
    refused: BTreeMap<String, u64>,
    unanswered: u64,
    repeated_ids: u64,
    retries: BTreeMap<String, u64>,
    requests: u64,
    requests_of_many: u64,
    /// From the first danmaku to the last by the archive, at this speed.
    planned_s: f64,
    /// From the first request to the last ack.
    took_s: f64,
    /// How late events were sent for the first time.
    lag: Histogram,
    /// Whether the server's clock is not ours.
    clocks_differ: bool,
}

impl Replayed {
    /// Of this replay.
    pub(crate) fn new(options: &Options, archive: &Archive, tally: &Tally) -> Self {
        Self {
            file: options.file.display().to_string(),
            speed: options.speed,
            from_s: options.from.as_secs_f64(),
            to_s: options.to.map(|to| to.as_secs_f64()),
            archive: found(archive),
            publishing: publishing(tally, planned(archive, options.speed)),
        }
    }

    /// How many danmaku were sent, each once however often it was tried.
    pub(crate) fn sent(&self) -> u64 {
        let Publishing { acked, refused, unanswered, .. } = &self.publishing;
        acked + unanswered + refused.values().sum::<u64>()
    }

    /// How many of them were acked.
    pub(crate) fn acked(&self) -> u64 {
        self.publishing.acked
    }

    /// What is wrong with it.
    pub(crate) fn findings(&self) -> Vec<String> {
        let Publishing { acked, unanswered, repeated_ids, .. } = &self.publishing;
        let nothing = (*acked == 0).then(|| "nothing was published".to_owned());
        let doubtful = (*unanswered > 0)
            .then(|| format!("of {unanswered} events it is not known whether they were published"));
        let repeated = (*repeated_ids > 0)
            .then(|| format!("{repeated_ids} acks carry the id of another event"));
        [nothing, doubtful, repeated].into_iter().flatten().collect()
    }
}

fn found(archive: &Archive) -> Found {
    let tally = &archive.tally;
    let not_played = tally.not_played.iter();
    Found {
        danmaku: tally.elements,
        by_mode: tally.by_mode.clone(),
        to_play: archive.danmaku.len() as u64,
        not_played: not_played.map(|(reason, count)| (reason.to_string(), *count)).collect(),
        other_tags: tally.other_tags.clone(),
        mended_characters: tally.mended_characters,
        broken_markup: tally.broken_markup,
    }
}

fn planned(archive: &Archive, speed: f64) -> Duration {
    let times = archive.danmaku.first().zip(archive.danmaku.last());
    times.map_or(Duration::ZERO, |(first, last)| (last.at - first.at).div_f64(speed))
}

fn publishing(tally: &Tally, planned: Duration) -> Publishing {
    let ends = tally.first_sent.zip(tally.last_acked);
    let took = ends.map_or(Duration::ZERO, |(first, last)| last.saturating_duration_since(first));
    Publishing {
        acked: tally.acked,
        not_stored: tally.not_stored,
        refused: tally.refused.clone(),
        unanswered: tally.unanswered,
        repeated_ids: tally.repeated_ids,
        retries: tally.retries.clone(),
        requests: tally.requests,
        requests_of_many: tally.requests_of_many,
        planned_s: planned.as_secs_f64(),
        took_s: took.as_secs_f64(),
        lag: tally.lag.clone(),
        clocks_differ: tally.clocks_differ,
    }
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { archive, publishing, .. } = self;
        writeln!(f, "archive {}", self.file)?;
        let to = self.to_s.map_or("the end".into(), |to| format!("{to} s"));
        row(f, "speed", &format!("{}x, from {} s to {to}", self.speed, self.from_s))?;
        row(f, "danmaku", &archive.danmaku)?;
        row(f, "by mode", &counts(&archive.by_mode))?;
        row(f, "to play", &archive.to_play)?;
        row(f, "not played", &counts(&archive.not_played))?;
        row(f, "other tags", &counts(&archive.other_tags))?;
        let mended = format!(
            "{} characters mended, {} broken places skipped",
            archive.mended_characters, archive.broken_markup
        );
        row(f, "repairs", &mended)?;
        writeln!(f, "publishing")?;
        let acked = format!("{}, of these {} not stored", publishing.acked, publishing.not_stored);
        row(f, "acked", &acked)?;
        row(f, "refused", &counts(&publishing.refused))?;
        row(f, "retries", &counts(&publishing.retries))?;
        let (requests, many) = (publishing.requests, publishing.requests_of_many);
        row(f, "requests", &format!("{requests}, of these {many} with several events"))?;
        let (took, planned) = (publishing.took_s, publishing.planned_s);
        row(f, "duration", &format!("{took:.1} s (planned {planned:.1} s)"))?;
        let lag_ms = publishing.lag.percentile_ms(99.0).unwrap_or(0.0);
        row(f, "lag", &format!("p99 {lag_ms:.1} ms"))
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, value: &impl fmt::Display) -> fmt::Result {
    writeln!(f, "  {name:<22} {value}")
}

fn counts<K: fmt::Display>(counts: &BTreeMap<K, u64>) -> String {
    if counts.is_empty() {
        return "none".into();
    }
    let each: Vec<String> = counts.iter().map(|(name, count)| format!("{name}: {count}")).collect();
    format!("{} ({})", counts.values().sum::<u64>(), each.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_summed_and_named() {
        let reasons = BTreeMap::from([("empty", 2), ("mode 7 (positioned)", 3)]);
        assert_eq!(counts(&reasons), "5 (empty: 2, mode 7 (positioned): 3)");
        assert_eq!(counts(&BTreeMap::<i64, u64>::new()), "none");
    }
}
