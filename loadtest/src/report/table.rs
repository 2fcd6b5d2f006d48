//! The report for people at a terminal.

use std::fmt;

use crate::histogram::{Histogram, PERCENTILES};
use crate::report::{Report, Worker};
use crate::truth::judge::Sentence;

/// Viewers whose accounts do not close that are named; the JSON has more.
const CULPRITS_SHOWN: usize = 5;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} (seed {})", self.scenario, self.seed)?;
        if let Some(replayed) = &self.replay {
            replayed.fmt(f)?;
        }
        self.accounts(f)?;
        self.latencies(f)?;
        self.rates(f)?;
        self.generator(f)?;
        self.conclusion(f)
    }
}

impl Report {
    fn accounts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "accounts")?;
        row(f, "published", &format!("{} events acked", self.published))?;
        for group in &self.groups {
            row(f, &group.name, &account(&group.sentence))?;
        }
        let culprits = self.groups.iter().flat_map(|group| &group.sentence.culprits);
        for culprit in culprits.take(CULPRITS_SHOWN) {
            row(f, "", culprit)?;
        }
        Ok(())
    }

    fn latencies(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head: String = PERCENTILES.map(|percent| format!("{:>9}", name(percent))).concat();
        writeln!(f, "latency in ms{:26}{head}    count", "")?;
        let tally = &self.tally;
        for (at, group) in self.groups.iter().enumerate() {
            for (phase, called) in self.phases.iter().enumerate().skip(1) {
                let seen = tally.latency(|p, g| (p, g) == (phase, at));
                percentiles(f, &format!("{} ({called})", group.name), &seen)?;
            }
        }
        percentiles(f, "ack", &tally.ack)?;
        percentiles(f, "ping to pong", &tally.pong)?;
        for (phase, joins) in self.phases.iter().zip(&tally.joins) {
            percentiles(f, &format!("connect + join ({phase})"), &joins.took)?;
        }
        percentiles(f, "own lag", &tally.sweep_lag)?;
        percentiles(f, "own lag in sending", &tally.send_lag)
    }

    fn rates(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |name: &str| self.figures.get(name).map_or(0.0, |figure| figure.value);
        writeln!(f, "per second, over {:.1} s", of("duration_s"))?;
        let sent = format!("{:.1}, acked {:.1}", of("sent_per_s"), of("acked_per_s"));
        row(f, "events sent", &sent)?;
        let received = format!(
            "{:.0} frames, {:.0} events, {:.1} MB",
            of("frames_per_s"),
            of("events_per_s"),
            of("bytes_per_s") / 1e6
        );
        row(f, "received", &received)?;
        for (phase, joins) in self.phases.iter().zip(&self.tally.joins) {
            if let Some(per_s) = joins.per_s() {
                let joins = format!("{per_s:.0} ({} in all)", joins.took.count());
                row(f, &format!("joins ({phase})"), &joins)?;
            }
        }
        if !self.tally.counts.is_empty() {
            writeln!(f, "counted")?;
        }
        for (name, count) in &self.tally.counts {
            row(f, name, count)?;
        }
        let server = self.figures.iter().filter(|(name, _)| name.starts_with("server_"));
        let server: Vec<_> = server.collect();
        if !server.is_empty() {
            writeln!(f, "gateway")?;
        }
        for (name, figure) in server {
            row(f, &name[7..].replace('_', " "), &format!("{:.2} {}", figure.value, figure.unit))?;
        }
        Ok(())
    }

    fn generator(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "generator")?;
        self.workers
            .iter()
            .enumerate()
            .try_for_each(|(at, worker)| row(f, &format!("worker {at}"), &of_worker(worker)))
    }

    fn conclusion(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.findings.is_empty() {
            true => writeln!(f, "KEPT: every account closes")?,
            false => writeln!(f, "BROKEN")?,
        }
        self.findings.iter().try_for_each(|finding| row(f, "", finding))?;
        if !self.valid {
            writeln!(f, "INVALID: the generator was too slow, and these are its figures")?;
        }
        self.invalid.iter().try_for_each(|reason| row(f, "", reason))
    }
}

fn account(sentence: &Sentence) -> String {
    let Sentence { viewers, close, received, left_out, gap, held, .. } = sentence;
    format!(
        "{close} of {viewers} close ({} exact, {} certain): received {received} + left out \
         {left_out} + gaps {gap} + held {held}; published since their joins {}",
        sentence.exact, sentence.certain, sentence.published
    )
}

fn of_worker(worker: &Worker) -> String {
    format!(
        "{} clients, {:.2} cores, {:.0} % waiting for a core, lag p99 {:.1} ms, {} frames of \
         which {} parsed, {:.1} MB",
        worker.clients,
        worker.usage.cores(),
        worker.usage.waited() * 100.0,
        worker.lag_p99_ms,
        worker.frames,
        worker.parsed,
        worker.usage.rss_bytes as f64 / 1e6
    )
}

/// The name of a percentile.
pub(super) fn name(percent: f64) -> String {
    if percent == 100.0 { "max".into() } else { format!("p{percent}") }
}

fn percentiles(f: &mut fmt::Formatter<'_>, name: &str, of: &Histogram) -> fmt::Result {
    if of.count() == 0 {
        return Ok(());
    }
    let values =
        PERCENTILES.map(|percent| format!("{:>9.2}", of.percentile_ms(percent).unwrap_or(0.0)));
    writeln!(f, "  {name:<37}{} {:>8}", values.concat(), of.count())
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, value: &impl fmt::Display) -> fmt::Result {
    writeln!(f, "  {name:<22} {value}")
}
