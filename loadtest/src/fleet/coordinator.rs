//! The coordinator: starts the workers, leads them through the run and collects what they found.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};

use crate::clock::Clock;
use crate::engine::tally::Tally;
use crate::fleet::messages::{Findings, FromWorker, Progress, ToWorker};
use crate::observe::server::{Sample, Watch};
use crate::plan::Plan;
use crate::truth::judge::Sentence;
use crate::truth::ledger::RoomLedger;

/// Lines of all workers that may wait.
const LINES: usize = 256;
/// From the word to start to the start, so that all workers have heard it.
const NOTICE_US: u64 = 200_000;
/// How long workers may take to understand the plan, and to judge in the end.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two looks at how far the run is.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How a run is led.
#[derive(Debug, Clone)]
pub(crate) struct Lead {
    /// Sockets of one worker, at most.
    pub(crate) sockets_max: usize,
    /// How long the clients may take to come in before the beginning.
    pub(crate) join_for: Duration,
    /// Whether there is no run without all of them.
    pub(crate) all_must_join: bool,
    /// Quiet time between the last join and the beginning.
    pub(crate) settle_for: Duration,
    /// Time after the last thing in the plan in which nothing is heard, before the verdict.
    pub(crate) quiet_for: Duration,
    /// How long that quiet is waited for.
    pub(crate) drain_for: Duration,
    /// The gateway's admin port.
    pub(crate) admin: Option<String>,
    /// The gateway's process.
    pub(crate) pid: Option<u32>,
}

/// What a run was.
#[derive(Debug)]
pub(crate) struct Run {
    /// Figures of all workers.
    pub(crate) tally: Tally,
    /// Verdicts over all viewers, by group.
    pub(crate) sentences: Vec<Sentence>,
    /// What each worker found, its figures and sentences taken out of it.
    pub(crate) workers: Vec<Findings>,
    /// Events acked, by room.
    pub(crate) published: Vec<u64>,
    /// The gateway before the first connection and then once a second.
    pub(crate) samples: Vec<Sample>,
    /// When clients began to come in, in µs since 1970.
    pub(crate) start_us: u64,
    /// When they began to speak, in µs since 1970.
    pub(crate) begin_us: u64,
    /// When the run was over, in µs since 1970.
    pub(crate) end_us: u64,
    /// Whether it had come to rest by then.
    pub(crate) is_quiet: bool,
}

/// Somebody who publishes beside the workers, in a thread of their own.
#[derive(Debug)]
pub(crate) struct Outsider {
    /// Is told the beginning, in µs since 1970.
    pub(crate) begin: SyncSender<u64>,
    /// Tells in the end what was published, by room.
    pub(crate) published: Receiver<Vec<RoomLedger>>,
}

/// Where a run is; told to whoever shows it.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    /// What is going on.
    pub(crate) name: &'static str,
    /// Clients that are to be in.
    pub(crate) clients: usize,
    /// Since the start.
    pub(crate) elapsed: Duration,
    /// What the workers told last.
    pub(crate) workers: Vec<Progress>,
}

struct Worker {
    child: Child,
    input: ChildStdin,
}

struct Fleet {
    workers: Vec<Worker>,
    lines: Receiver<(usize, anyhow::Result<FromWorker>)>,
    progress: Vec<Progress>,
    clock: Clock,
    clients: usize,
    start_us: u64,
}

/// Plays a plan and collects what came of it. `show` is called several times a second.
///
/// # Errors
/// A worker cannot be started or has failed.
pub(crate) fn play(
    plan: Plan,
    lead: &Lead,
    outsider: Option<&Outsider>,
    mut show: impl FnMut(&Stage),
) -> anyhow::Result<Run> {
    let (end_us, early, rooms) = (plan.end_us(), plan.early(), plan.rooms.len());
    let watch = Watch::begin(lead.admin.as_deref(), lead.pid)?;
    let mut fleet = Fleet::start(plan, lead.sockets_max)?;
    fleet.start_us = fleet.clock.now_us() + NOTICE_US;
    fleet.tell(&ToWorker::Start(fleet.start_us))?;

    let deadline = Instant::now() + lead.join_for;
    fleet.until("coming in", &mut show, |fleet| {
        fleet.in_or_gone() >= early || Instant::now() >= deadline
    })?;
    if lead.all_must_join && fleet.joined() < early {
        bail!("not all viewers could join in {:?}", lead.join_for);
    }
    let settled = Instant::now() + lead.settle_for;
    fleet.until("settling", &mut show, |_| Instant::now() >= settled)?;
    let begin_us = fleet.clock.now_us() + NOTICE_US;
    fleet.tell(&ToWorker::Begin(begin_us))?;
    let mut ledgers = vec![RoomLedger::default(); rooms];
    if let Some(outsider) = outsider {
        outsider.begin.send(begin_us).context("the publisher is gone")?;
    }
    let mut waits_for = outsider;
    fleet.until("running", &mut show, |fleet| {
        match waits_for.map(|outsider| outsider.published.try_recv()) {
            Some(Ok(published)) => (ledgers, waits_for) = (published, None),
            Some(Err(TryRecvError::Disconnected)) => return true,
            Some(Err(TryRecvError::Empty)) | None => {}
        }
        waits_for.is_none() && fleet.clock.now_us() >= begin_us + end_us
    })?;
    if waits_for.is_some() {
        bail!("the publisher has failed");
    }
    let deadline = Instant::now() + lead.drain_for;
    let last_us =
        (begin_us + end_us).max(if outsider.is_some() { fleet.clock.now_us() } else { 0 });
    fleet.until("closing accounts", &mut show, |fleet| {
        fleet.is_quiet(last_us, lead.quiet_for) || Instant::now() >= deadline
    })?;

    let is_quiet = fleet.is_quiet(last_us, lead.quiet_for);
    let over_us = fleet.clock.now_us();
    fleet.tell(&ToWorker::Finish)?;
    for part in fleet.collect(|message| match message {
        FromWorker::Published(ledgers) => Some(ledgers),
        FromWorker::Ready | FromWorker::Progress(_) | FromWorker::Done(_) => None,
    })? {
        ledgers.iter_mut().zip(part).for_each(|(all, part)| all.merge(part));
    }
    let published = ledgers.iter().map(RoomLedger::acked).collect();
    let samples = watch.end();
    fleet.tell(&ToWorker::Judge { ledgers, is_quiet })?;
    let workers = fleet.collect(|message| match message {
        FromWorker::Done(findings) => Some(*findings),
        FromWorker::Ready | FromWorker::Progress(_) | FromWorker::Published(_) => None,
    })?;
    let start_us = fleet.start_us;
    fleet.end()?;
    let (mut tally, mut sentences) = (Tally::default(), Vec::new());
    for worker in &workers {
        tally.merge(&worker.tally);
        sentences.resize_with(worker.sentences.len(), Sentence::default);
        sentences.iter_mut().zip(&worker.sentences).for_each(|(all, part)| all.merge(part));
    }
    Ok(Run {
        tally,
        sentences,
        workers,
        published,
        samples,
        start_us,
        begin_us,
        end_us: over_us,
        is_quiet,
    })
}

impl Fleet {
    fn start(plan: Plan, sockets_max: usize) -> anyhow::Result<Self> {
        let clients = plan.clients.len();
        let (send, lines) = sync_channel(LINES);
        let mut fleet = Self {
            workers: Vec::new(),
            lines,
            progress: Vec::new(),
            clock: Clock::new(),
            clients,
            start_us: 0,
        };
        for part in plan.split(sockets_max) {
            fleet.workers.push(Worker::spawn(fleet.workers.len(), send.clone())?);
            fleet.progress.push(Progress::default());
            let worker = fleet.workers.last_mut().context("just pushed")?;
            worker.tell(&ToWorker::Setup(Box::new(part)))?;
        }
        drop(send);
        fleet.collect(|message| matches!(message, FromWorker::Ready).then_some(()))?;
        Ok(fleet)
    }

    fn tell(&mut self, message: &ToWorker) -> anyhow::Result<()> {
        self.workers.iter_mut().try_for_each(|worker| worker.tell(message))
    }

    /// Waits until something is so.
    fn until(
        &mut self,
        name: &'static str,
        show: &mut impl FnMut(&Stage),
        mut is_so: impl FnMut(&Self) -> bool,
    ) -> anyhow::Result<()> {
        while !is_so(self) {
            match self.lines.recv_timeout(LOOK_EVERY) {
                Ok((worker, message)) => self.hear(worker, message?)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => bail!("the workers are gone"),
            }
            let elapsed_us = self.clock.now_us().saturating_sub(self.start_us);
            show(&Stage {
                name,
                clients: self.clients,
                elapsed: Duration::from_micros(elapsed_us),
                workers: self.progress.clone(),
            });
        }
        Ok(())
    }

    fn hear(&mut self, worker: usize, message: FromWorker) -> anyhow::Result<()> {
        match message {
            FromWorker::Progress(progress) => self.progress[worker] = progress,
            FromWorker::Ready | FromWorker::Published(_) | FromWorker::Done(_) => {
                bail!("worker {worker} is out of step")
            }
        }
        Ok(())
    }

    /// Waits for one message of every worker.
    fn collect<T>(&mut self, pick: impl Fn(FromWorker) -> Option<T>) -> anyhow::Result<Vec<T>> {
        let deadline = Instant::now() + PATIENCE;
        let mut picked: Vec<Option<T>> = self.workers.iter().map(|_| None).collect();
        while picked.iter().any(Option::is_none) {
            let left = deadline.saturating_duration_since(Instant::now());
            let (worker, message) =
                self.lines.recv_timeout(left).map_err(|_| anyhow!("a worker does not answer"))?;
            // A worker that has answered may end.
            if picked[worker].is_none() {
                picked[worker] = pick(message?);
            }
        }
        Ok(picked.into_iter().flatten().collect())
    }

    fn joined(&self) -> usize {
        self.progress.iter().map(|worker| worker.joined).sum()
    }

    fn in_or_gone(&self) -> usize {
        self.progress.iter().map(|worker| worker.joined + worker.gave_up).sum()
    }

    /// Whether nothing has been heard for a while and nothing is awaited.
    fn is_quiet(&self, since_us: u64, quiet_for: Duration) -> bool {
        let last_us = self.progress.iter().map(|worker| worker.told_last_us).max().unwrap_or(0);
        let quiet_us = crate::clock::micros(quiet_for);
        let is_waiting = self.progress.iter().any(|worker| worker.is_waiting);
        !is_waiting && self.clock.now_us() >= last_us.max(since_us) + quiet_us
    }

    fn end(self) -> anyhow::Result<()> {
        for mut worker in self.workers {
            drop(worker.input);
            worker.child.wait()?;
        }
        Ok(())
    }
}

impl Worker {
    fn spawn(
        number: usize,
        lines: SyncSender<(usize, anyhow::Result<FromWorker>)>,
    ) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find the own program")?;
        let mut child = Command::new(program)
            .arg("worker")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a worker")?;
        let input = child.stdin.take().context("a worker without input")?;
        let output = child.stdout.take().context("a worker without output")?;
        // Ends with the worker, whose output it reads.
        let _reader = std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let message = line.map_err(anyhow::Error::from);
                let message = message.and_then(|line| Ok(serde_json::from_str(&line)?));
                if lines.send((number, message)).is_err() {
                    return;
                }
            }
            let _ = lines.send((number, Err(anyhow!("worker {number} has ended"))));
        });
        Ok(Self { child, input })
    }

    fn tell(&mut self, message: &ToWorker) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.input.write_all(&line).context("a worker is gone")
    }
}
