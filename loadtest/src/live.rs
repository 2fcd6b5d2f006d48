//! How far a run is, while it runs: bars and a table of the last second, on a terminal only.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::engine::tally::Second;
use crate::fleet::coordinator::Stage;
use crate::fleet::messages::Progress;
use crate::plan::Plan;

/// What is shown; gone from the terminal when dropped.
pub(crate) struct Live {
    bars: MultiProgress,
    clients: ProgressBar,
    events: ProgressBar,
    lines: [ProgressBar; 3],
}

impl Live {
    /// Nothing has happened yet. If standard error is no terminal, nothing is shown.
    pub(crate) fn new(plan: &Plan) -> Self {
        let bars = MultiProgress::new();
        let bar = |length: u64, name: &'static str| {
            let bar = bars.add(ProgressBar::new(length));
            let style =
                ProgressStyle::with_template("{prefix:>9} {wide_bar} {human_pos}/{human_len}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(name);
            bar
        };
        let line = || {
            let line = bars.add(ProgressBar::new_spinner());
            let style = ProgressStyle::with_template("{prefix:>9} {wide_msg}");
            line.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            line
        };
        let (clients, events) =
            (bar(plan.clients.len() as u64, "clients"), bar(plan.sends(), "events"));
        let lines = [line(), line(), line()];
        for (line, name) in lines.iter().zip(["stage", "gateway", "generator"]) {
            line.set_prefix(name);
        }
        Self { bars, clients, events, lines }
    }

    /// Shows where the run is.
    pub(crate) fn show(&mut self, stage: &Stage) {
        let sum = |of: fn(&Progress) -> u64| stage.workers.iter().map(of).sum::<u64>();
        self.clients.set_length(stage.clients as u64);
        self.clients.set_position(sum(|worker| worker.joined as u64));
        self.events.set_position(sum(|worker| worker.acked));
        let mut last = Second::default();
        stage.workers.iter().for_each(|worker| last.merge(&worker.second));
        let [stage_line, gateway, generator] = &self.lines;
        let elapsed = Duration::from_secs(stage.elapsed.as_secs());
        stage_line.set_message(format!("{} · {elapsed:?}", stage.name));
        let latency = |percent| {
            last.percentile_ms(percent).map_or("-".to_owned(), |ms| format!("{ms:.0} ms"))
        };
        gateway.set_message(format!(
            "{} joins/s · {} sent/s · {} acked/s · {} frames/s · {:.1} MB/s · p50 {} · p99 {}",
            last.joined,
            last.sent,
            last.acked,
            last.frames,
            last.bytes as f64 / 1e6,
            latency(50.0),
            latency(99.0)
        ));
        let lag_ms = stage.workers.iter().map(|worker| worker.lag_ms).fold(0.0, f64::max);
        let (workers, gone) = (stage.workers.len(), sum(|worker| worker.gave_up as u64));
        generator
            .set_message(format!("{workers} workers · lag p99 {lag_ms:.1} ms · {gone} gave up"));
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.bars.clear();
    }
}
