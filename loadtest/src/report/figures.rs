//! The figures of a report, by name: what other programs read.

use std::collections::BTreeMap;

use crate::histogram::Histogram;
use crate::observe::server::Sample;
use crate::report::{Figure, Report};

/// Figures in the making.
struct Figures(BTreeMap<String, Figure>);

impl Figures {
    fn put(&mut self, name: impl Into<String>, value: f64, unit: &str) {
        self.0.insert(name.into(), Figure { value, unit: unit.to_owned() });
    }

    fn put_some(&mut self, name: impl Into<String>, value: Option<f64>, unit: &str) {
        if let Some(value) = value {
            self.put(name, value, unit);
        }
    }

    fn percentiles(&mut self, name: &str, of: &Histogram) {
        for (suffix, percent) in [("p50", 50.0), ("p99", 99.0), ("p999", 99.9), ("max", 100.0)] {
            self.put_some(format!("{name}_{suffix}_ms"), of.percentile_ms(percent), "ms");
        }
    }
}

/// Every figure of a report.
pub(super) fn of(report: &Report) -> BTreeMap<String, Figure> {
    let mut figures = Figures(BTreeMap::new());
    accounts(&mut figures, report);
    latencies(&mut figures, report);
    rates(&mut figures, report);
    generator(&mut figures, report);
    server(&mut figures, report);
    figures.0
}

fn accounts(figures: &mut Figures, report: &Report) {
    let all = report.everybody();
    let counts = [
        ("viewers", all.viewers),
        ("accounts_closed", all.close),
        ("accounts_exact", all.exact),
        ("accounts_certain", all.certain),
        ("events_published", report.published),
        ("events_received", all.received),
        ("events_left_out", all.left_out),
        ("events_in_gaps", all.gap),
        ("events_lost", all.lost),
        ("events_over_told", all.over_told),
        ("events_duplicate", all.duplicates),
        ("events_out_of_order", all.disorder),
        ("events_uncertain", all.uncertain),
        ("chain_breaks", all.chain_breaks),
        ("connection_breaks", all.breaks),
        ("recoveries", all.recoveries),
        ("restarts", all.restarts),
        ("unanswered", report.tally.counted("unanswered")),
    ];
    for (name, count) in counts {
        figures.put(name, count as f64, "");
    }
    let refused = report.tally.counts.iter().filter(|(name, _)| name.starts_with("refused "));
    figures.put("refused", refused.map(|(_, count)| *count).sum::<u64>() as f64, "");
}

fn latencies(figures: &mut Figures, report: &Report) {
    let tally = &report.tally;
    figures.percentiles("latency", &tally.latency(|_, _| true));
    figures.percentiles("ack", &tally.ack);
    figures.percentiles("pong", &tally.pong);
    for (at, group) in report.groups.iter().enumerate() {
        let name = &group.name;
        figures.percentiles(&format!("{name}_latency"), &tally.latency(|_, of| of == at));
        let batches: u64 = tally.seen.iter().skip(1).map(|phase| phase[at].batches).sum();
        figures.put(format!("{name}_batches"), batches as f64, "");
        for (phase, called) in report.phases.iter().enumerate().skip(1) {
            if report.phases.len() > 2 {
                let seen = tally.latency(|p, g| (p, g) == (phase, at));
                figures.percentiles(&format!("{name}_latency_in_{}", word(called)), &seen);
            }
        }
    }
    for (phase, joins) in report.phases.iter().zip(&tally.joins) {
        let name = format!("join_in_{}", word(phase));
        figures.percentiles(&name, &joins.took);
        figures.put_some(format!("{name}_per_s"), joins.per_s(), "1/s");
        if joins.took.count() > 0 {
            figures.put(format!("{name}_count"), joins.took.count() as f64, "");
        }
    }
}

/// A phase's name as a part of a figure's.
fn word(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' }).collect()
}

fn rates(figures: &mut Figures, report: &Report) {
    let from = (report.begin_us.saturating_sub(report.start_us) / 1_000_000) as usize;
    let seconds: Vec<_> = report.tally.seconds.iter().skip(from).collect();
    let length_s = report.end_us.saturating_sub(report.begin_us) as f64 / 1e6;
    let per_s = |count: u64| if length_s > 0.0 { count as f64 / length_s } else { 0.0 };
    figures.put("duration_s", length_s, "s");
    let (sent, acked) = match &report.replay {
        // Its publisher is none of the clients.
        Some(replayed) => (replayed.sent(), replayed.acked()),
        None => (seconds.iter().map(|s| s.sent).sum(), seconds.iter().map(|s| s.acked).sum()),
    };
    figures.put("sent_per_s", per_s(sent), "1/s");
    figures.put("acked_per_s", per_s(acked), "1/s");
    figures.put("frames_per_s", per_s(seconds.iter().map(|s| s.frames).sum()), "1/s");
    figures.put("events_per_s", per_s(seconds.iter().map(|s| s.events).sum()), "1/s");
    let bytes: u64 = seconds.iter().map(|s| s.bytes).sum();
    figures.put("bytes_per_s", per_s(bytes), "B/s");
    let viewers = report.everybody().viewers;
    if viewers > 0 {
        figures.put("bytes_per_viewer_s", per_s(bytes) / viewers as f64, "B/s");
    }
}

fn generator(figures: &mut Figures, report: &Report) {
    figures.percentiles("generator_lag", &report.tally.sweep_lag);
    figures.percentiles("send_lag", &report.tally.send_lag);
    let cores: f64 = report.workers.iter().map(|worker| worker.usage.cores()).sum();
    figures.put("generator_cpu_cores", cores, "cores");
    let waited = report.workers.iter().map(|worker| worker.usage.waited());
    figures.put("generator_waited_for_cpu", waited.fold(0.0, f64::max), "of its time");
    // Of the workers with the most clients: speakers are few and busy.
    let readers = report.workers.iter().max_by_key(|worker| worker.clients);
    if let Some(reader) = readers.filter(|worker| worker.clients > 0) {
        let bytes = reader.usage.anonymous_bytes as f64 / reader.clients as f64;
        figures.put("generator_bytes_per_connection", bytes, "B");
        if reader.frames > 0 {
            let us = reader.usage.cpu_us as f64 / reader.frames as f64;
            figures.put("generator_cpu_per_frame", us, "us");
        }
    }
}

fn server(figures: &mut Figures, report: &Report) {
    let at = |us: u64| report.samples.iter().rfind(|sample| sample.at_us <= us);
    let (first, begin, last) = (report.samples.first(), at(report.begin_us), report.samples.last());
    let (Some(first), Some(begin), Some(last)) = (first, begin, last) else { return };
    let metric = |sample: &Sample, name: &str| sample.metrics.get(name).copied();
    let rise = |name: &str| Some(metric(last, name)? - metric(begin, name)?);
    if let (Some(before), Some(after)) = (begin.process, last.process) {
        let used = after.since(&before);
        figures.put("server_cpu_cores", used.cores(), "cores");
        let frames = rise("barrage_frames_sent_total").filter(|frames| *frames > 0.0);
        let us = frames.map(|frames| used.cpu_us as f64 / frames);
        figures.put_some("server_cpu_per_frame", us, "us");
        figures.put("server_rss_bytes", after.rss_bytes as f64, "B");
    }
    let connections = metric(begin, "barrage_connections").unwrap_or(0.0)
        - metric(first, "barrage_connections").unwrap_or(0.0);
    if let (Some(before), Some(after)) = (first.process, begin.process)
        && connections > 0.0
    {
        let grown = after.anonymous_bytes as f64 - before.anonymous_bytes as f64;
        figures.put("server_bytes_per_connection", grown / connections, "B");
    }
    figures.put_some("server_frames", rise("barrage_frames_sent_total"), "");
    figures.put_some("server_gap_events", rise("barrage_gap_events_total"), "");
    let lag = rise("barrage_slot_lag_seconds_sum").zip(rise("barrage_slot_lag_seconds_count"));
    let lag_ms = lag.filter(|(_, count)| *count > 0.0).map(|(sum, count)| sum / count * 1000.0);
    figures.put_some("server_slot_lag_mean_ms", lag_ms, "ms");
}
