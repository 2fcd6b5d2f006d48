//! The scenario `replay`: an archive is played into a room through the server API while viewers
//! watch, and the account of every viewer is closed against what was published.
//!
//! One task owns the schedule and all accounts; viewers and requests are tasks of their own that
//! report to it.

mod account;
pub(crate) mod ledger;
mod options;
mod report;
mod verdict;

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Interval;

pub(crate) use self::options::Options;
use crate::Failure;
use crate::api::Api;
use crate::archive::Archive;
use crate::danmaku::Danmaku;
use crate::now::Now;
use crate::publisher::{Outcome, Publisher, Request};
use crate::replay::account::Account;
use crate::replay::report::Report;
use crate::replay::verdict::Verdict;
use crate::viewer::{Heard, Viewer, What};

/// How long all viewers together may take to be in the room.
const JOIN_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the viewers may take to leave.
const DISMISS_TIMEOUT: Duration = Duration::from_secs(1);
/// Refusals without a single ack after which a run is not worth going on with.
const REFUSED_MAX: u64 = 10;
/// Messages of viewers that may wait for the accounts; a full queue slows the viewers down.
const HEARD_QUEUE: usize = 1024;
/// How often the accounts are looked at after the last publish.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long closed accounts must stay closed, at least: what comes too much comes late.
const SETTLE_MIN: Duration = Duration::from_millis(500);
/// The same in slots.
const SETTLE_SLOTS: u32 = 2;

/// Plays the archive, judges and tells; ends with the exit code.
///
/// # Errors
/// See [`run`].
pub(crate) fn command(options: &Options) -> Result<u8, Failure> {
    let json = writable(options.json.as_deref()).map_err(Failure::Usage)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Run(error.into()))?;
    let report = runtime.block_on(run(options))?;
    tell(&report, json).map(|closes| u8::from(!closes))
}

/// Opens the file for the JSON report before the run, so that a wrong path costs nothing.
fn writable(path: Option<&Path>) -> anyhow::Result<Option<std::fs::File>> {
    let Some(path) = path else { return Ok(None) };
    let file = std::fs::File::create(path);
    Ok(Some(file.with_context(|| format!("cannot write {}", path.display()))?))
}

/// Prints the report; says whether everything closes.
fn tell(report: &Report, json: Option<std::fs::File>) -> Result<bool, Failure> {
    // A reader that has seen enough and closed the pipe is no failure.
    let _ = write!(std::io::stdout(), "{report}");
    if let Some(mut file) = json {
        let written = serde_json::to_writer_pretty(&file, report).map_err(anyhow::Error::from);
        let written = written.and_then(|()| Ok(file.write_all(b"\n")?));
        written.context("cannot write the JSON report").map_err(Failure::Run)?;
    }
    Ok(report.closes())
}

/// Plays the archive and judges.
///
/// # Errors
/// [`Failure::Usage`]: the options or the file cannot be used. [`Failure::Run`]: the gateway
/// cannot be watched or published to at all.
pub(crate) async fn run(options: &Options) -> Result<Report, Failure> {
    options.check().map_err(Failure::Usage)?;
    let archive = options.open_archive().map_err(Failure::Usage)?;
    let api = Api::new(&options.api, &options.api_key, &options.room).map_err(Failure::Usage)?;
    let mut replay = Replay::prepare(options, &archive, api);
    replay.join().await.map_err(Failure::Run)?;
    replay.plan(options);
    replay.play(options.timeout_s).await.map_err(Failure::Run)?;
    let report = Report::new(options, &archive, &replay.publisher, &replay.accounts);
    replay.dismiss().await;
    Ok(report)
}

/// What the replay waits for.
enum Action {
    /// An event is due.
    Publish,
    /// A request is over.
    Answered(Request, Vec<Outcome>),
    /// A viewer heard something.
    Heard(Heard),
    /// Time to look at the accounts.
    Look,
    /// Time to say how far we are.
    Progress,
}

struct Replay<'a> {
    danmaku: &'a [Danmaku],
    api: Api,
    /// Makes the idempotency keys of this run its own.
    run: u64,
    publisher: Publisher,
    in_flight: JoinSet<(Request, Vec<Outcome>)>,
    accounts: Vec<Account>,
    heard: mpsc::Receiver<Heard>,
    viewers: JoinSet<()>,
}

impl<'a> Replay<'a> {
    fn prepare(options: &Options, archive: &'a Archive, api: Api) -> Self {
        let (tell, heard) = mpsc::channel(HEARD_QUEUE);
        let viewers = 0..usize::from(options.viewers);
        let viewer = |number| Viewer::new(number, &options.url, &options.room, tell.clone());
        Self {
            danmaku: &archive.danmaku,
            api,
            run: rand::random(),
            publisher: Publisher::new(std::iter::empty()),
            in_flight: JoinSet::new(),
            accounts: viewers.clone().map(|_| Account::default()).collect(),
            heard,
            viewers: viewers.map(|number| viewer(number).watch()).collect(),
        }
    }

    async fn join(&mut self) -> anyhow::Result<()> {
        let all_in = async {
            while self.accounts.iter().any(|account| !account.has_joined()) {
                let heard = self.heard.recv().await.context("the viewers are gone")?;
                self.hear(heard);
                if let Some(why) = self.accounts.iter().find_map(|account| account.failed.as_ref())
                {
                    bail!("a viewer cannot join: {why}");
                }
            }
            Ok(())
        };
        let in_time = tokio::time::timeout(JOIN_TIMEOUT, all_in).await;
        in_time.unwrap_or_else(|_| Err(anyhow!("not all viewers could join in {JOIN_TIMEOUT:?}")))
    }

    fn plan(&mut self, options: &Options) {
        let start = Instant::now();
        let time = |danmaku: &Danmaku| {
            start + (danmaku.at.saturating_sub(options.from)).div_f64(options.speed)
        };
        self.publisher = Publisher::new(self.danmaku.iter().map(time));
    }

    /// Publishes everything, then waits until the accounts close or cannot close any more.
    async fn play(&mut self, timeout: Duration) -> anyhow::Result<()> {
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut progress = tokio::time::interval(Duration::from_secs(1));
        progress.tick().await;
        let mut settling = None;
        loop {
            match self.select(&mut look, &mut progress).await {
                Action::Publish => self.publish(),
                Action::Answered(request, outcomes) => {
                    self.publisher.answered(request, outcomes, Now::read(), rand::random());
                    self.check_refusals()?;
                }
                Action::Heard(heard) => self.hear(heard),
                Action::Progress => self.tell_progress(),
                Action::Look if self.publisher.is_done() => {
                    let now = Instant::now();
                    let settling = settling.get_or_insert_with(|| Settling::begin(now, timeout));
                    if settling.is_over(self.is_waiting(), self.settle_for(), now) {
                        return Ok(());
                    }
                }
                Action::Look => {}
            }
        }
    }

    async fn select(&mut self, look: &mut Interval, progress: &mut Interval) -> Action {
        let due = self.publisher.wake();
        let due_or_never = async {
            match due {
                Some(time) => tokio::time::sleep_until(time.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due_or_never => Action::Publish,
            Some(answer) = self.in_flight.join_next() => {
                let (request, outcomes) = answer.expect("requests neither panic nor are aborted");
                Action::Answered(request, outcomes)
            }
            Some(heard) = self.heard.recv() => Action::Heard(heard),
            _ = look.tick() => Action::Look,
            _ = progress.tick() => Action::Progress,
        }
    }

    fn publish(&mut self) {
        let Some(request) = self.publisher.next(Now::read()) else { return };
        let keyed = |event: &usize| (&self.danmaku[*event], format!("{:016x}-{event}", self.run));
        let events: Vec<_> = request.events.iter().map(keyed).collect();
        let (api, rendered) = (self.api.clone(), self.api.render(&events));
        self.in_flight.spawn(async move { (request, api.publish(rendered).await) });
    }

    fn hear(&mut self, heard: Heard) {
        let step = self.publisher.ledger.step();
        let account = &mut self.accounts[heard.viewer];
        match heard.what {
            What::Joined(joined) => account.joined(&joined, step),
            What::Batch(batch) => account.batch(&batch, heard.now.unix_ms),
            What::Gap(gap) => account.gap(&gap),
            What::Malformed(what) => account.malformed(what),
            What::Broken => account.breaks += 1,
            What::GaveUp(why) => account.failed = Some(why),
        }
    }

    fn check_refusals(&self) -> anyhow::Result<()> {
        let refused = &self.publisher.tally.refused;
        let nothing_works = self.publisher.ledger.len() == 0
            && (refused.values().sum::<u64>() >= REFUSED_MAX
                || refused.contains_key("unauthorized"));
        if nothing_works {
            let codes: Vec<&str> = refused.keys().map(String::as_str).collect();
            bail!("the server API refuses everything: {}", codes.join(", "));
        }
        Ok(())
    }

    /// Lets the viewers say goodbye; those that cannot are dropped.
    async fn dismiss(self) {
        drop(self.heard);
        let _ = tokio::time::timeout(DISMISS_TIMEOUT, self.viewers.join_all()).await;
    }

    fn is_waiting(&self) -> bool {
        let ledger = &self.publisher.ledger;
        self.accounts.iter().any(|account| Verdict::of(account, ledger).is_waiting())
    }

    fn settle_for(&self) -> Duration {
        let tick_ms = self.accounts.iter().filter_map(|account| account.tick_ms).max();
        (Duration::from_millis(tick_ms.unwrap_or(0)) * SETTLE_SLOTS).max(SETTLE_MIN)
    }

    fn tell_progress(&self) {
        let tally = &self.publisher.tally;
        let retries: u64 = tally.retries.values().sum();
        let told: Vec<u64> = self.accounts.iter().map(Account::told).collect();
        let (least, most) = (told.iter().min().unwrap_or(&0), told.iter().max().unwrap_or(&0));
        let _ = writeln!(
            std::io::stderr(),
            "published {}/{}, retries {retries}, told to viewers {least}..{most}",
            self.publisher.ledger.len(),
            self.danmaku.len(),
        );
    }
}

/// The time between the last publish and the verdict.
struct Settling {
    deadline: Instant,
    /// Since when nothing is missing.
    settled_since: Option<Instant>,
}

impl Settling {
    fn begin(now: Instant, timeout: Duration) -> Self {
        Self { deadline: now + timeout, settled_since: None }
    }

    fn is_over(&mut self, is_waiting: bool, settle_for: Duration, now: Instant) -> bool {
        if is_waiting {
            self.settled_since = None;
        }
        let settled = !is_waiting && now - *self.settled_since.get_or_insert(now) >= settle_for;
        settled || now >= self.deadline
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_closes_must_stay_closed_and_what_does_not_ends_at_the_deadline() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let settle_for = Duration::from_millis(500);
        let mut settling = Settling::begin(start, Duration::from_secs(2));
        assert!(!settling.is_over(true, settle_for, at(0)));
        assert!(!settling.is_over(false, settle_for, at(100)));
        assert!(!settling.is_over(true, settle_for, at(500)));
        assert!(!settling.is_over(false, settle_for, at(600)));
        assert!(!settling.is_over(false, settle_for, at(1_099)));
        assert!(settling.is_over(false, settle_for, at(1_100)));

        let mut settling = Settling::begin(start, Duration::from_secs(2));
        assert!(!settling.is_over(true, settle_for, at(1_999)));
        assert!(settling.is_over(true, settle_for, at(2_000)));
    }
}
