//! What coordinator and workers say to each other: one JSON object per line.

use serde::{Deserialize, Serialize};

use crate::engine::tally::{Second, Tally};
use crate::observe::process::Usage;
use crate::plan::Plan;
use crate::truth::judge::Sentence;
use crate::truth::ledger::RoomLedger;

/// From the coordinator.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToWorker {
    /// The worker's part of the plan.
    Setup(Box<Plan>),
    /// Clients come in from this time on, in µs since 1970.
    Start(u64),
    /// Clients speak and act from this time on, in µs since 1970.
    Begin(u64),
    /// The run is over: say what was published.
    Finish,
    /// Judge the viewers.
    Judge {
        /// What all workers have published, by room.
        ledgers: Vec<RoomLedger>,
        /// Whether the run had come to rest, so that nothing was still on its way.
        is_quiet: bool,
    },
}

/// From a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromWorker {
    /// The plan is understood.
    Ready,
    /// How far it is.
    Progress(Progress),
    /// What its clients have published, by room.
    Published(Vec<RoomLedger>),
    /// What it has measured and found.
    Done(Box<Findings>),
}

/// How far a worker is.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Clients in their rooms.
    pub(crate) joined: usize,
    /// Clients that will not come back.
    pub(crate) gave_up: usize,
    /// Events sent so far.
    pub(crate) sent: u64,
    /// Events acked so far.
    pub(crate) acked: u64,
    /// Whether an answer to a publish is still to come.
    pub(crate) is_waiting: bool,
    /// When something about a room was heard last, in µs since 1970.
    pub(crate) told_last_us: u64,
    /// The last whole second.
    pub(crate) second: Second,
    /// The 99th percentile of its own lag so far, in ms.
    pub(crate) lag_ms: f64,
}

/// What a worker has measured and found.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Findings {
    /// Its figures.
    pub(crate) tally: Tally,
    /// Its viewers, by group.
    pub(crate) sentences: Vec<Sentence>,
    /// What it has used.
    pub(crate) usage: Usage,
    /// Its clients.
    pub(crate) clients: usize,
    /// Messages that it had to parse; all others were known by their bytes.
    pub(crate) parsed: u64,
}
