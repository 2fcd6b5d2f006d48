//! Keeps the archive: takes entries from the consumers, commits, and tells how far all is durable.
//!
//! While the disk does not take a commit nothing more is taken, so that the consumers stand
//! still, their streams keep what is to come, and memory stays bounded.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use protocol::cursor::Cursor;
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Interval, MissedTickBehavior, interval, interval_at, timeout};

use super::metrics::Metrics;
use crate::archive::{Archivist, Committed, Entry, Position, Taken};

/// Bytes that may wait for a commit.
const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Entries that may wait for a commit, fewer than a consumer may leave unacked.
pub(super) const WAITING_ENTRIES_MAX: usize = 10_000;
/// Between tries to write to a disk that does not take it: doubled up to the second.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// An entry of a stream, on its way into the archive.
#[derive(Debug)]
pub(super) enum Job {
    /// To be archived.
    Keep(Arc<str>, Entry),
    /// To be passed by: not of a room, or unreadable.
    Pass(Arc<str>, Cursor, u64),
}

/// How far each stream is durable, by its name.
pub(super) type Durable = BTreeMap<String, Position>;

/// How often things are done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rhythm {
    /// How long an entry waits for a commit at most.
    pub(super) commit_every: Duration,
    /// How long segments are kept; for ever without it.
    pub(super) keep: Option<Duration>,
}

pub(super) struct Keeper {
    /// Away while it works on a thread of its own.
    archivist: Option<Archivist>,
    rhythm: Rhythm,
    jobs: mpsc::Receiver<Job>,
    durable: watch::Sender<Durable>,
    metrics: Arc<Metrics>,
    waiting_entries: usize,
    /// When the oldest entry that waits was stored, in milliseconds since 1970.
    oldest_ms: Option<u64>,
    stop: watch::Receiver<bool>,
}

enum Action {
    Take(Job),
    Commit,
    Sweep,
    Look,
    End,
}

impl Keeper {
    pub(super) fn new(
        archivist: Archivist,
        rhythm: Rhythm,
        jobs: mpsc::Receiver<Job>,
        metrics: Arc<Metrics>,
        stop: watch::Receiver<bool>,
    ) -> (Self, watch::Receiver<Durable>) {
        let (durable, told) = watch::channel(archivist.positions().clone());
        let archivist = Some(archivist);
        let (waiting_entries, oldest_ms) = (0, None);
        let keeper =
            Self { archivist, rhythm, jobs, durable, metrics, waiting_entries, oldest_ms, stop };
        (keeper, told)
    }

    /// Runs until no consumer is left.
    ///
    /// # Errors
    /// The last commit failed; what it held will be delivered again.
    pub(super) async fn run(mut self) -> io::Result<()> {
        let mut commit = interval_at(
            (Instant::now() + self.rhythm.commit_every).into(),
            self.rhythm.commit_every,
        );
        let mut sweep = interval(SWEEP_EVERY);
        let mut look = interval(LOOK_EVERY);
        for interval in [&mut commit, &mut sweep, &mut look] {
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        loop {
            match self.select(&mut commit, &mut sweep, &mut look).await {
                Action::Take(job) => {
                    self.take(job);
                    if self.is_full() {
                        self.commit_at_last().await?;
                        commit.reset();
                    }
                }
                Action::Commit => self.commit_at_last().await?,
                Action::Sweep => self.sweep().await,
                Action::Look => self.look(),
                Action::End => return self.commit().await,
            }
        }
    }

    async fn select(
        &mut self,
        commit: &mut Interval,
        sweep: &mut Interval,
        look: &mut Interval,
    ) -> Action {
        tokio::select! {
            biased;
            _ = look.tick() => Action::Look,
            _ = commit.tick() => Action::Commit,
            _ = sweep.tick() => Action::Sweep,
            job = self.jobs.recv() => job.map_or(Action::End, Action::Take),
        }
    }

    fn archivist(&mut self) -> &mut Archivist {
        self.archivist.as_mut().expect("it is back when its work is done")
    }

    fn take(&mut self, job: Job) {
        let (stored_ms, taken) = match job {
            Job::Keep(stream, entry) => (entry.stored_ms, self.archivist().take(&stream, &entry)),
            Job::Pass(stream, cursor, stored_ms) => {
                self.archivist().pass(&stream, cursor, stored_ms);
                return;
            }
        };
        match taken {
            Taken::Waits => {
                self.waiting_entries += 1;
                self.oldest_ms.get_or_insert(stored_ms);
            }
            Taken::Repeated => self.metrics.repeated.inc(),
            Taken::Unusable => self.metrics.unusable.inc(),
        }
    }

    fn is_full(&mut self) -> bool {
        self.waiting_entries >= WAITING_ENTRIES_MAX
            || self.archivist().waiting_bytes() >= WAITING_BYTES_MAX
    }

    /// Commits, however often it has to be tried, until the worker is told to stop.
    async fn commit_at_last(&mut self) -> io::Result<()> {
        let mut delay = RETRY.0;
        while let Err(error) = self.commit().await {
            if *self.stop.borrow() {
                return Err(error);
            }
            self.metrics.disk_failing.set(1);
            tracing::error!(%error, retry_in = ?delay, "the archive cannot be written, and nothing is acked until it can");
            self.look();
            let stop = self.stop.wait_for(|stop| *stop);
            // Ends early when the worker is to stop; the next try is the last then.
            let _ = timeout(delay, stop).await;
            delay = RETRY.1.min(delay * 2);
        }
        if self.metrics.disk_failing.get() == 1 {
            self.metrics.disk_failing.set(0);
            tracing::info!("the archive can be written again");
        }
        Ok(())
    }

    async fn commit(&mut self) -> io::Result<()> {
        if !self.archivist().is_waiting() {
            return Ok(());
        }
        let began = Instant::now();
        match self.at_work(Archivist::commit).await {
            Ok(committed) => {
                self.committed(committed, began.elapsed());
                Ok(())
            }
            Err(error) => {
                self.metrics.failed_commits.inc();
                Err(error)
            }
        }
    }

    fn committed(&mut self, committed: Committed, took: Duration) {
        let metrics = &self.metrics;
        metrics.entries.inc_by(committed.entries);
        metrics.events.inc_by(committed.events);
        metrics.repeated.inc_by(committed.repeated);
        metrics.bytes.inc_by(committed.bytes);
        metrics.commits.inc();
        metrics.commit_seconds.observe(took.as_secs_f64());
        self.waiting_entries = 0;
        self.oldest_ms = None;
        self.look();
        self.tell_holes();
        let durable = self.archivist().positions().clone();
        self.durable.send_replace(durable);
    }

    fn tell_holes(&mut self) {
        for hole in self.archivist().new_holes() {
            let (stream, entries, after) = (hole.stream, hole.entries, hole.after);
            tracing::error!(
                stream,
                entries,
                after,
                "entries were gone before they could be archived"
            );
            self.metrics.gone.inc_by(entries);
        }
    }

    async fn sweep(&mut self) {
        let keep = self.rhythm.keep;
        let now_ms = now_ms();
        match self.at_work(move |archivist| archivist.sweep(now_ms, keep)).await {
            Ok(swept) => {
                let counts = [
                    ("compacted", swept.compacted),
                    ("removed", swept.removed),
                    ("failed", swept.failed),
                ];
                for (what, count) in counts {
                    self.metrics.swept.with_label_values(&[what]).inc_by(count);
                }
                if swept.failed > 0 {
                    tracing::warn!(rooms = swept.failed, "rooms could not be swept");
                }
            }
            Err(error) => tracing::warn!(%error, "the archive cannot be swept"),
        }
    }

    /// Does something with the archive that may take its time, on a thread of its own.
    async fn at_work<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Archivist) -> T + Send + 'static,
    ) -> T {
        let mut archivist = self.archivist.take().expect("one work at a time");
        let (archivist, done) = spawn_blocking(move || {
            let done = work(&mut archivist);
            (archivist, done)
        })
        .await
        .expect("the archive does not panic");
        self.archivist = Some(archivist);
        done
    }

    fn look(&mut self) {
        let waiting_bytes = self.archivist().waiting_bytes();
        self.metrics.waiting_bytes.set(i64::try_from(waiting_bytes).unwrap_or(i64::MAX));
        let age_ms = self.oldest_ms.map_or(0, |oldest_ms| now_ms().saturating_sub(oldest_ms));
        self.metrics.lag_seconds.set(i64::try_from(age_ms / 1_000).unwrap_or(i64::MAX));
    }
}

/// The time, in milliseconds since 1970.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
