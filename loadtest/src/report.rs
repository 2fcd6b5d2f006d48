//! The outcome of a run, complete: for programs as JSON, for people as a table and as a page.
//! Reports of several machines are added up to one.

mod figures;
mod html;
mod merge;
mod plot;
mod table;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::engine::tally::Tally;
use crate::fleet::coordinator::Run;
use crate::observe::process::Usage;
use crate::observe::server::Sample;
use crate::replay::Replayed;
use crate::truth::judge::Sentence;

pub(crate) use self::merge::merge;

/// The report of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Which scenario.
    pub(crate) scenario: String,
    /// What the run can be repeated with.
    pub(crate) seed: u64,
    /// The arguments, as they were given.
    pub(crate) command: String,
    /// Whether the generator was fast enough for the figures to be those of the gateway.
    pub(crate) valid: bool,
    /// `kept` if the gateway kept every promise, else `broken`.
    pub(crate) verdict: String,
    /// Why the figures are not to be trusted.
    pub(crate) invalid: Vec<String>,
    /// Which promises were broken.
    pub(crate) findings: Vec<String>,
    /// What was measured, by name.
    pub(crate) figures: BTreeMap<String, Figure>,
    /// The viewers, by group.
    pub(crate) groups: Vec<Group>,
    /// Names of the phases; the first is that of the arrivals.
    pub(crate) phases: Vec<String>,
    /// Events acked, by room.
    pub(crate) published: u64,
    /// All counts and histograms.
    pub(crate) tally: Tally,
    /// The generator's processes.
    pub(crate) workers: Vec<Worker>,
    /// The gateway, once a second.
    pub(crate) samples: Vec<Sample>,
    /// When clients began to come in, in µs since 1970.
    pub(crate) start_us: u64,
    /// When they began to speak, in µs since 1970.
    pub(crate) begin_us: u64,
    /// When it was over, in µs since 1970.
    pub(crate) end_us: u64,
    /// Whether everything had come when the run was over; if not, accounts are judged up to
    /// what had.
    pub(crate) is_quiet: bool,
    /// The generator's lag above which a report is invalid, in ms.
    pub(crate) lag_max_ms: f64,
    /// Of a replay: the archive and what became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) replay: Option<Replayed>,
    /// How many machines' reports this is.
    pub(crate) hosts: u32,
}

/// A measured value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// How much.
    pub(crate) value: f64,
    /// Of what; empty for a count.
    pub(crate) unit: String,
}

/// A group of viewers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Group {
    /// Its name.
    pub(crate) name: String,
    /// The verdict over its viewers.
    #[serde(flatten)]
    pub(crate) sentence: Sentence,
}

/// A process of the generator.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Worker {
    /// Its clients.
    pub(crate) clients: usize,
    /// What it has used.
    pub(crate) usage: Usage,
    /// How long an arriving frame waited for it (99th percentile), in ms.
    pub(crate) lag_p99_ms: f64,
    /// Messages that it received.
    pub(crate) frames: u64,
    /// Of these, parsed; the others were known by their bytes.
    pub(crate) parsed: u64,
}

/// What a report is about, beside the run itself.
#[derive(Debug, Clone)]
pub(crate) struct About {
    /// Which scenario.
    pub(crate) scenario: &'static str,
    /// What was drawn from.
    pub(crate) seed: u64,
    /// Names of the groups.
    pub(crate) groups: Vec<String>,
    /// Names of the phases after the beginning.
    pub(crate) phases: Vec<String>,
    /// The generator's lag above which the report is invalid, in ms.
    pub(crate) lag_max_ms: f64,
}

impl Report {
    /// Puts a run into a report.
    pub(crate) fn new(about: About, run: Run) -> Self {
        let groups = about.groups.into_iter().zip(run.sentences);
        let workers = run.workers.into_iter().map(|found| Worker {
            clients: found.clients,
            usage: found.usage,
            lag_p99_ms: found.tally.sweep_lag.percentile_ms(99.0).unwrap_or(0.0),
            frames: found.tally.seconds.iter().map(|second| second.frames).sum(),
            parsed: found.parsed,
        });
        let coming_in = "coming in".to_owned();
        let report = Self {
            scenario: about.scenario.to_owned(),
            seed: about.seed,
            command: std::env::args().skip(1).collect::<Vec<_>>().join(" "),
            valid: true,
            verdict: String::new(),
            invalid: Vec::new(),
            findings: Vec::new(),
            figures: BTreeMap::new(),
            groups: groups.map(|(name, sentence)| Group { name, sentence }).collect(),
            phases: [coming_in].into_iter().chain(about.phases).collect(),
            published: run.published.iter().sum(),
            tally: run.tally,
            workers: workers.collect(),
            samples: run.samples,
            start_us: run.start_us,
            begin_us: run.begin_us,
            end_us: run.end_us,
            is_quiet: run.is_quiet,
            lag_max_ms: about.lag_max_ms,
            replay: None,
            hosts: 1,
        };
        report.judged()
    }

    /// The same with what is to be said of a replay.
    pub(crate) fn with_replay(mut self, replayed: Replayed) -> Self {
        self.replay = Some(replayed);
        self.judged()
    }

    /// Reads a report that was written as JSON.
    ///
    /// # Errors
    /// The file cannot be read, or is none.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let name = path.display();
        let text = std::fs::read(path).with_context(|| format!("cannot read {name}"))?;
        serde_json::from_slice(&text).with_context(|| format!("{name} is no report of a run"))
    }

    /// All viewers.
    pub(crate) fn everybody(&self) -> Sentence {
        let mut all = Sentence::default();
        self.groups.iter().for_each(|group| all.merge(&group.sentence));
        all
    }

    /// Draws the conclusions anew.
    fn judged(mut self) -> Self {
        self.findings = findings(&self);
        self.invalid = invalid(&self);
        self.valid = self.invalid.is_empty();
        self.verdict = if self.findings.is_empty() { "kept" } else { "broken" }.to_owned();
        self.figures = figures::of(&self);
        self
    }

    /// 0 if everything was kept and measured well, 1 if a promise was broken, 3 if nothing was
    /// broken but the generator was too slow.
    pub(crate) fn exit_code(&self) -> u8 {
        match (self.findings.is_empty(), self.valid) {
            (false, _) => 1,
            (true, false) => 3,
            (true, true) => 0,
        }
    }

    /// The page.
    pub(crate) fn html(&self) -> String {
        html::page(self)
    }
}

/// What the gateway has not kept.
fn findings(report: &Report) -> Vec<String> {
    let all = report.everybody();
    let gave_up =
        all.gave_up.iter().map(|(why, count)| (*count, format!("viewers are away: {why}")));
    let tally = &report.tally;
    let restless = u64::from(!report.is_quiet);
    let counts = [
        (restless, "run did not come to rest: messages still came long after the last event"),
        (all.lost, "events were lost: neither received nor told"),
        (all.over_told, "events were told as missing that are not"),
        (all.duplicates, "events came twice"),
        (all.disorder, "events came out of order"),
        (all.chain_breaks, "messages do not begin where the one before them ended"),
        (all.malformed, "messages are not what the protocol says"),
        (all.never_joined, "viewers were never in their room"),
        (tally.counted("unanswered"), "publishes were never answered"),
        (tally.counted("unsent"), "events could not be sent: their speakers were away"),
    ];
    let counts = counts.map(|(count, text)| (count, text.to_owned()));
    let all = counts.into_iter().chain(gave_up).filter(|(count, _)| *count > 0);
    let mut findings: Vec<String> = all.map(|(count, text)| format!("{count} {text}")).collect();
    findings.extend(report.replay.iter().flat_map(Replayed::findings));
    findings
}

/// Cores of which a worker, which has one thread, may use most.
const BUSY_CORES: f64 = 0.95;

/// Why the figures would be those of the generator.
fn invalid(report: &Report) -> Vec<String> {
    let mut reasons = Vec::new();
    let max_ms = report.lag_max_ms;
    for (at, worker) in report.workers.iter().enumerate() {
        if worker.lag_p99_ms > max_ms {
            let lag_ms = worker.lag_p99_ms;
            reasons.push(format!(
                "worker {at} saw frames up to {lag_ms:.0} ms late (99th percentile; {max_ms:.0} allowed)"
            ));
        }
        let cores = worker.usage.cores();
        if cores > BUSY_CORES {
            reasons.push(format!("worker {at} used all of its core ({cores:.2})"));
        }
    }
    let send_ms = report.tally.send_lag.percentile_ms(99.0).unwrap_or(0.0);
    if send_ms > max_ms {
        reasons.push(format!(
            "events were sent up to {send_ms:.0} ms late (99th percentile; {max_ms:.0} allowed)"
        ));
    }
    reasons
}
