//! What a run says, and whether every promise was kept.

use std::time::Duration;

use protocol::ids::EventId;

use crate::crowd::ROOMS;
use crate::fault::Promise;
use crate::plan::Plan;
use crate::tally::{Phase, Tally};
use crate::viewer::Viewer;
use crate::witness::Truth;
use rig::account::log::Log;
use rig::account::verdict::{Evidence, Finding, Sums, judge};

/// Broken promises that are shown one by one.
const SHOWN_MAX: usize = 30;

/// Says what is about to happen.
pub(crate) fn begin(plan: &Plan) {
    println!(
        "\n=== {}: {} viewers, {} events/s, repeat with --seed {}",
        plan.name, plan.viewers, plan.rate, plan.seed
    );
}

/// Promises that were broken.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The names of the phases so far.
    phases: Vec<String>,
    broken: Vec<String>,
}

impl Outcome {
    /// Notes a broken promise.
    pub(crate) fn breaks(&mut self, promise: String) {
        println!("!! {promise}");
        self.broken.push(promise);
    }

    /// Shows what was counted in a phase, and holds it against what was promised.
    pub(crate) fn phase(
        &mut self,
        name: &str,
        phase: &Phase,
        promise: Option<Promise>,
        took: Duration,
    ) {
        self.phases.push(name.to_owned());
        let Phase { offered, stored, live, unanswered, told_lost, .. } = phase;
        let refused: u64 = phase.refused.values().sum();
        println!(
            "{name:24} {:5.1} s · returns {} complete, {} too late, {} not · away {} · {offered} offered: {stored} stored, {live} live, {refused} refused {:?}, {unanswered} unanswered · told lost {told_lost} · without acks {:.1} s, one gateway {:.1} s · ends {:?}",
            took.as_secs_f64(),
            phase.recovered,
            phase.too_late,
            phase.not_recovered,
            away(phase),
            phase.refused,
            phase.silence.as_secs_f64(),
            phase.silence_of_one.as_secs_f64(),
            phase.ends,
        );
        if phase.not_recovered > 0 {
            self.breaks(format!(
                "{name}: {} returns were soon, and not complete",
                phase.not_recovered
            ));
        }
        let Some(promise) = promise else { return };
        if phase.returns() == 0 {
            self.breaks(format!("{name}: nobody has come back, so nothing was tried"));
        }
        let least = promise.recovered_permille_min;
        if phase.recovered_permille() < least {
            self.breaks(format!(
                "{name}: {} ‰ of the returns were complete, {least} ‰ were promised",
                phase.recovered_permille()
            ));
        }
    }

    /// Notes clients that are not where they should be.
    pub(crate) fn behind(&mut self, when: &str, behind: usize) {
        if behind > 0 {
            self.breaks(format!("{when}: {behind} clients have not come to the head of the log"));
        }
    }

    /// Judges everything that clients were told.
    pub(crate) fn judge(&mut self, viewers: &[Viewer], truth: Truth, tally: &Tally) {
        let Truth { logs, mut live } = truth;
        let heard = live.len();
        live.extend(tally.live());
        let stored_too = live.iter().filter(|id| logs.iter().any(|log| log.place(**id).is_some()));
        println!(
            "{:24} {heard} seen live, {} with those acked so, {} of them in a log too",
            "",
            live.len(),
            stored_too.count()
        );
        let evidence = Evidence { live, uncertain: tally.uncertain() };
        for (at, log) in logs.iter().enumerate() {
            let (mut all, mut gaps, mut stretches, mut repeats) = (Sums::default(), 0, 0, 0);
            for viewer in viewers {
                let account = &viewer.accounts[at];
                let (sums, findings) = judge(account, log, &evidence);
                all += sums;
                gaps += account.gaps;
                stretches += account.stretches.len();
                repeats += account.repeats.len();
                self.findings(viewer.number, at, &findings);
            }
            println!(
                "{:24} log {} · {} accounts in {stretches} stretches: owed {} = received {} + told missing {} (besides: {} live received, {} before their places, {} told beyond the log, {} live ones untold, {repeats} again; gaps: {gaps})",
                format!("room `{}`", ROOMS[at]),
                log.len(),
                viewers.len(),
                all.owed,
                all.received,
                all.told_missing,
                all.live,
                all.early,
                all.beyond,
                all.between,
            );
        }
        self.judge_acks(&logs, &tally.acked());
    }

    /// Whatever was acked as stored is in a log.
    fn judge_acks(&mut self, logs: &[Log; 2], acked: &[(EventId, usize)]) {
        let is_lost = |id: &EventId| logs.iter().all(|log| log.place(*id).is_none());
        let lost: Vec<_> = acked.iter().filter(|(id, _)| is_lost(id)).collect();
        println!("{:24} {} acked as stored, {} not in a log", "", acked.len(), lost.len());
        for (id, phase) in lost {
            let name = self.phases.get(*phase).map_or("", String::as_str);
            self.breaks(format!("{name}: event {id} was acked as stored and is in no log"));
        }
    }

    fn findings(&mut self, viewer: usize, room: usize, findings: &[Finding]) {
        for finding in findings {
            self.breaks(format!("client {viewer} in `{}`: {finding:?}", ROOMS[room]));
        }
    }

    /// The end: whether every promise was kept.
    pub(crate) fn end(&self, plan: &Plan, took: Duration) -> bool {
        let kept = self.broken.is_empty();
        let word = if kept { "every promise kept" } else { "PROMISES BROKEN" };
        println!("=== {}: {word}, {:.0} s", plan.name, took.as_secs_f64());
        for broken in self.broken.iter().take(SHOWN_MAX) {
            println!("!! {broken}");
        }
        kept
    }
}

/// How long returns took.
fn away(phase: &Phase) -> String {
    let Some(quantiles) = phase.away_quantiles() else { return "-".to_owned() };
    let quantiles = quantiles.map(|away| format!("{:.2}", away.as_secs_f64()));
    format!("{} s (p50/p95/max)", quantiles.join("/"))
}
