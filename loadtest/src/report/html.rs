//! The report as one page that needs nothing else: no network, no script.

use std::fmt::Write as _;

use crate::histogram::Histogram;
use crate::observe::server::Sample;
use crate::report::Report;
use crate::report::plot::{Line, Plot, escape, whole};
use crate::report::table::name;

/// Percentiles along the horizontal axis of the latency curves: each step halves what is above.
const CURVE: [f64; 11] = [0.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99];
/// Figures at the top of the page, if there are such.
const CARDS: [(&str, &str); 8] = [
    ("viewers", "viewers"),
    ("accounts_closed", "accounts close"),
    ("latency_p50_ms", "latency p50"),
    ("latency_p99_ms", "latency p99"),
    ("ack_p99_ms", "ack p99"),
    ("sent_per_s", "events sent"),
    ("frames_per_s", "frames received"),
    ("server_cpu_cores", "gateway CPU"),
];

/// The page.
pub(super) fn page(report: &Report) -> String {
    let (scenario, seed) = (escape(&report.scenario), report.seed);
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><title>Barrage: {scenario}</title><style>\
         {STYLE}</style></head><body><main><h1>{scenario}</h1><p class=\"dim\"><code>\
         barrage-loadtest {}</code><br>seed {seed}, {} of {}</p>",
        escape(&report.command),
        count(report.workers.len(), "worker process", "worker processes"),
        count(report.hosts as usize, "machine", "machines"),
    );
    html += &conclusion(report);
    html += &cards(report);
    for plot in plots(report) {
        html += &plot.figure();
    }
    html += &figures(report);
    let _ = write!(html, "<h2>In full</h2><pre>{}</pre>", escape(&report.to_string()));
    html + "</main></body></html>\n"
}

fn count(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn conclusion(report: &Report) -> String {
    let mut html = match report.findings.is_empty() {
        true => "<p class=\"kept\">Kept: the account of every viewer closes.</p>".to_owned(),
        false => format!("<div class=\"broken\">Broken{}</div>", list(&report.findings)),
    };
    if !report.valid {
        let _ = write!(
            html,
            "<div class=\"invalid\">Invalid: the generator was too slow, and these are its own \
             figures{}</div>",
            list(&report.invalid)
        );
    }
    html
}

fn list(lines: &[String]) -> String {
    let items = lines.iter().map(|line| format!("<li>{}</li>", escape(line)));
    format!("<ul>{}</ul>", items.collect::<String>())
}

fn cards(report: &Report) -> String {
    let mut html = String::from("<div class=\"cards\">");
    for (name, called) in CARDS {
        if let Some(figure) = report.figures.get(name) {
            let (value, unit) = (whole(figure.value), escape(&figure.unit));
            let _ = write!(html, "<div><b>{value} <small>{unit}</small></b>{called}</div>");
        }
    }
    html + "</div>"
}

fn figures(report: &Report) -> String {
    let rows = report.figures.iter().map(|(name, figure)| {
        let (value, unit) = (whole(figure.value), escape(&figure.unit));
        format!("<tr><td>{}</td><td class=\"n\">{value}</td><td>{unit}</td></tr>", escape(name))
    });
    format!("<h2>Figures</h2><table>{}</table>", rows.collect::<String>())
}

fn plots(report: &Report) -> Vec<Plot> {
    vec![
        curves(report),
        over_time(
            report,
            "latency, by second of receipt",
            "ms · s since the start",
            true,
            &[
                ("p50", &|report, at| report.tally.seconds[at].percentile_ms(50.0)),
                ("p99", &|report, at| report.tally.seconds[at].percentile_ms(99.0)),
            ],
        ),
        over_time(
            report,
            "events published",
            "per second · s since the start",
            false,
            &[
                ("sent", &|report, at| Some(report.tally.seconds[at].sent as f64)),
                ("acked", &|report, at| Some(report.tally.seconds[at].acked as f64)),
            ],
        ),
        over_time(
            report,
            "received",
            "per second · s since the start",
            false,
            &[
                ("frames", &|report, at| Some(report.tally.seconds[at].frames as f64)),
                ("events", &|report, at| Some(report.tally.seconds[at].events as f64)),
            ],
        ),
        over_time(
            report,
            "joins",
            "per second · s since the start",
            false,
            &[("joined", &|report, at| Some(report.tally.seconds[at].joined as f64))],
        ),
        server(report, "gateway CPU", "cores · s since the start", |before, after| {
            Some(after.process?.since(&before.process?).cores())
        }),
        server(report, "gateway memory", "MB · s since the start", |_, after| {
            Some(after.process?.rss_bytes as f64 / 1e6)
        }),
        server(
            report,
            "frames written, by the gateway's metrics",
            "per second · s since the start",
            |before, after| {
                let frames =
                    |sample: &Sample| sample.metrics.get("barrage_frames_sent_total").copied();
                let seconds = (after.at_us - before.at_us) as f64 / 1e6;
                Some((frames(after)? - frames(before)?) / seconds)
            },
        ),
    ]
}

/// Latency by percentile, as it is usual for HDR histograms.
fn curves(report: &Report) -> Plot {
    let place = |percent: f64| -(1.0 - percent / 100.0).log10();
    let line = |name: &str, of: &Histogram| Line {
        name: name.to_owned(),
        points: CURVE
            .iter()
            .filter_map(|percent| Some((place(*percent), of.percentile_ms(*percent)?)))
            .collect(),
    };
    let tally = &report.tally;
    let groups = report.groups.iter().enumerate();
    let mut lines: Vec<Line> =
        groups.map(|(at, group)| line(&group.name, &tally.latency(|_, of| of == at))).collect();
    lines.push(line("ack", &tally.ack));
    lines.push(line("pong", &tally.pong));
    lines.push(line("own lag", &tally.sweep_lag));
    let marks = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99];
    Plot {
        title: "latency by percentile".into(),
        unit: "ms",
        lines,
        marks: marks.iter().map(|percent| (place(*percent), name(*percent))).collect(),
        logarithmic: true,
    }
}

/// A line's name, and its value in a second of the run.
type OfSecond<'a> = (&'a str, &'a dyn Fn(&Report, usize) -> Option<f64>);

fn over_time(
    report: &Report,
    title: &str,
    unit: &'static str,
    logarithmic: bool,
    lines: &[OfSecond<'_>],
) -> Plot {
    let line = |(name, value): &OfSecond<'_>| Line {
        name: (*name).to_owned(),
        points: (0..report.tally.seconds.len())
            .filter_map(|at| Some((at as f64, value(report, at)?)))
            .collect(),
    };
    let lines = lines.iter().map(line).collect();
    Plot { title: title.to_owned(), unit, lines, marks: Vec::new(), logarithmic }
}

fn server(
    report: &Report,
    title: &str,
    unit: &'static str,
    value: impl Fn(&Sample, &Sample) -> Option<f64>,
) -> Plot {
    let since_s = |sample: &Sample| (sample.at_us as f64 - report.start_us as f64) / 1e6;
    let pairs = report.samples.windows(2);
    let points =
        pairs.filter_map(|pair| Some((since_s(&pair[1]).max(0.0), value(&pair[0], &pair[1])?)));
    let lines = vec![Line { name: "gateway".into(), points: points.collect() }];
    Plot { title: title.to_owned(), unit, lines, ..Plot::default() }
}

const STYLE: &str = "\
:root{color-scheme:light dark;--back:#fff;--text:#1c2330;--dim:#667085;--line:#e4e7ec;--box:#f7f8fa;\
--c0:#2563eb;--c1:#d9480f;--c2:#0f8a5f;--c3:#9333ea;--c4:#b58900;--c5:#64748b}\
@media(prefers-color-scheme:dark){:root{--back:#11151c;--text:#e6e9ef;--dim:#98a2b3;--line:#2a313d;\
--box:#1a202a;--c0:#7aa2ff;--c1:#ff9f6b;--c2:#4fd1a1;--c3:#c79bff;--c4:#e6c35c;--c5:#9aa8bd}}\
body{margin:0;background:var(--back);color:var(--text);font:15px/1.5 system-ui,sans-serif}\
main{max-width:860px;margin:0 auto;padding:24px 16px 64px}h1{margin:0}h2{margin-top:40px}\
.dim{color:var(--dim)}code,pre{font:12.5px/1.5 ui-monospace,monospace}pre{overflow:auto;padding:12px;\
background:var(--box);border-radius:8px}.kept,.broken,.invalid{padding:10px 14px;border-radius:8px;\
border-left:4px solid var(--c2);background:var(--box)}.broken{border-color:var(--c1)}\
.invalid{border-color:var(--c4);margin-top:8px}ul{margin:4px 0}.cards{display:grid;gap:10px;\
grid-template-columns:repeat(auto-fill,minmax(150px,1fr));margin:20px 0}.cards div{padding:10px 14px;\
background:var(--box);border-radius:8px;color:var(--dim)}.cards b{display:block;font-size:22px;\
color:var(--text)}small{font-size:13px;font-weight:400}figure{margin:28px 0}figcaption{font-weight:600}\
svg{width:100%;height:auto}svg text{fill:var(--dim);font:11px system-ui,sans-serif}\
svg path{stroke:var(--line);fill:none}.end{text-anchor:end}.middle{text-anchor:middle}\
polyline{fill:none;stroke-width:1.8;stroke-linejoin:round}.key{font-weight:400;margin-left:12px}\
polyline.c0{stroke:var(--c0)}polyline.c1{stroke:var(--c1)}polyline.c2{stroke:var(--c2)}\
polyline.c3{stroke:var(--c3)}polyline.c4{stroke:var(--c4)}polyline.c5{stroke:var(--c5)}\
.key.c0{color:var(--c0)}.key.c1{color:var(--c1)}.key.c2{color:var(--c2)}.key.c3{color:var(--c3)}\
.key.c4{color:var(--c4)}.key.c5{color:var(--c5)}\
table{border-collapse:collapse}td{padding:2px 14px 2px 0;border-bottom:1px solid var(--line)}\
.n{text-align:right;font-variant-numeric:tabular-nums}";
