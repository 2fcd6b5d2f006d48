//! The outcome of a replay, complete: what was found in the file, what became of each danmaku,
//! and the verdict over every viewer. JSON for programs; for people see [`table`].

mod table;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::archive::Archive;
use crate::distribution::{Distribution, Summary};
use crate::publisher::{Publisher, Tally};
use crate::replay::Options;
use crate::replay::account::Account;
use crate::replay::ledger::Ledger;
use crate::replay::verdict::{Rule, Sums, Verdict};
use crate::wire::message::LeftOut;

/// The report of a replay.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    scenario: &'static str,
    file: String,
    room: String,
    speed: f64,
    from_s: f64,
    to_s: Option<f64>,
    archive: Found,
    publishing: Publishing,
    viewers: Vec<Viewed>,
    /// What is wrong with the run as a whole.
    findings: Vec<Reason>,
    /// Whether the run as a whole and every viewer's account close.
    closes: bool,
}

/// What was found in the archive.
#[derive(Debug, Serialize)]
struct Found {
    danmaku: u64,
    by_mode: BTreeMap<i64, u64>,
    to_play: u64,
    not_played: BTreeMap<String, u64>,
    other_tags: BTreeMap<String, u64>,
    mended_characters: u64,
    broken_markup: u64,
}

/// What became of what was played.
#[derive(Debug, Serialize)]
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
    /// Acked events per second of `took_s`.
    rate_per_s: f64,
    /// How late events were sent for the first time.
    lag: Option<Summary>,
    /// Whether the server's clock is not ours; then there are no latencies.
    clocks_differ: bool,
}

/// What one viewer saw.
#[derive(Debug, Serialize)]
struct Viewed {
    viewer: usize,
    closes: bool,
    rule: Rule,
    sums: Sums,
    left_out: LeftOut,
    batches: u64,
    gaps: BTreeMap<String, u64>,
    duplicates: u64,
    chain_breaks: u64,
    connection_breaks: u64,
    recoveries: u64,
    restarts: u64,
    /// From acceptance by the server to receipt, own events that came as they happened.
    latency: Option<Summary>,
    findings: Vec<Reason>,
}

/// A finding, for programs and for people.
#[derive(Debug, Clone, Serialize)]
struct Reason {
    name: &'static str,
    text: String,
}

impl Report {
    /// Puts everything together and judges.
    pub(crate) fn new(
        options: &Options,
        archive: &Archive,
        publisher: &Publisher,
        accounts: &[Account],
    ) -> Self {
        let ledger = &publisher.ledger;
        let clocks_differ = publisher.tally.clocks_differ;
        let viewers: Vec<Viewed> = accounts
            .iter()
            .enumerate()
            .map(|(viewer, account)| viewed(viewer, account, ledger, clocks_differ))
            .collect();
        let findings = findings(publisher);
        Self {
            scenario: "replay",
            file: options.file.display().to_string(),
            room: options.room.to_string(),
            speed: options.speed,
            from_s: options.from.as_secs_f64(),
            to_s: options.to.map(|to| to.as_secs_f64()),
            archive: found(archive),
            publishing: publishing(publisher, planned(archive, options.speed)),
            closes: findings.is_empty() && viewers.iter().all(|viewer| viewer.closes),
            viewers,
            findings,
        }
    }

    /// Whether the run as a whole and every viewer's account close.
    pub(crate) fn closes(&self) -> bool {
        self.closes
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

fn publishing(publisher: &Publisher, planned: Duration) -> Publishing {
    let Publisher { ledger, tally, .. } = publisher;
    let took = took(tally).as_secs_f64();
    let acked = ledger.len() as u64;
    Publishing {
        acked,
        not_stored: tally.not_stored,
        refused: tally.refused.clone(),
        unanswered: tally.unanswered,
        repeated_ids: ledger.repeated_ids(),
        retries: tally.retries.clone(),
        requests: tally.requests,
        requests_of_many: tally.requests_of_many,
        planned_s: planned.as_secs_f64(),
        took_s: took,
        rate_per_s: if took > 0.0 { acked as f64 / took } else { 0.0 },
        lag: tally.lag.summary(),
        clocks_differ: tally.clocks_differ,
    }
}

fn took(tally: &Tally) -> Duration {
    let ends = tally.first_sent.zip(tally.last_acked);
    ends.map_or(Duration::ZERO, |(first, last)| last.saturating_duration_since(first))
}

fn viewed(viewer: usize, account: &Account, ledger: &Ledger, clocks_differ: bool) -> Viewed {
    let verdict = Verdict::of(account, ledger);
    let latency = (!clocks_differ).then(|| latency(account, ledger)).flatten();
    Viewed {
        viewer,
        closes: verdict.closes(),
        rule: verdict.rule,
        sums: verdict.sums,
        left_out: account.span().map(|span| span.left_out.clone()).unwrap_or_default(),
        batches: account.batches,
        gaps: account.gaps.clone(),
        duplicates: account.faults.duplicates,
        chain_breaks: account.faults.chain_breaks,
        connection_breaks: account.breaks,
        recoveries: account.recoveries,
        restarts: account.spans().len().saturating_sub(1) as u64,
        latency: latency.and_then(|latency| latency.summary()),
        findings: verdict.findings.iter().map(reason).collect(),
    }
}

/// The latencies of own events; `None` if one of them was received before it was accepted.
fn latency(account: &Account, ledger: &Ledger) -> Option<Distribution> {
    let mut latency = Distribution::default();
    let received = account.spans().iter().flat_map(|span| &span.received);
    let own = received.filter(|received| ledger.find(&received.id).is_some());
    for latency_ms in own.filter_map(|own| own.latency_ms) {
        latency.record(Duration::from_millis(u64::try_from(latency_ms).ok()?));
    }
    Some(latency)
}

fn reason(finding: &crate::replay::verdict::Finding) -> Reason {
    Reason { name: finding.name(), text: finding.to_string() }
}

fn findings(publisher: &Publisher) -> Vec<Reason> {
    let mut findings = Vec::new();
    if publisher.ledger.len() == 0 {
        let text = "nothing was published".into();
        findings.push(Reason { name: "nothing_published", text });
    }
    if publisher.tally.unanswered > 0 {
        let text = format!(
            "of {} events it is not known whether they were published",
            publisher.tally.unanswered
        );
        findings.push(Reason { name: "unanswered", text });
    }
    if publisher.ledger.repeated_ids() > 0 {
        let text =
            format!("{} acks carry the id of another event", publisher.ledger.repeated_ids());
        findings.push(Reason { name: "repeated_ids", text });
    }
    findings
}
