//! Does the load tester say what happened? Between a real gateway and the viewers stands a proxy
//! that drops, doubles and swaps frames, and pauses. It knows exactly what it did; the report
//! must say exactly that.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod proxy;

use base64::Engine as _;
use gateway::app::Gateway;
use gateway::config::Config;
use proxy::{Done, Mischief, Proxy};
use serde_json::Value;
use tokio::process::Command;

/// The tick of the gateway, in ms: slots are far apart, so what is swapped is out of order.
const TICK_MS: u32 = 200;
/// Viewers of a run, without those who speak.
const VIEWERS: u64 = 5;

/// A run of the program and what the proxy did to it.
struct Run {
    code: Option<i32>,
    report: Value,
    text: String,
    done: Done,
}

impl Run {
    fn figure(&self, name: &str) -> f64 {
        let value = &self.report["figures"][name]["value"];
        value.as_f64().unwrap_or_else(|| panic!("no figure {name}: {}", self.text))
    }

    fn count(&self, name: &str) -> u64 {
        self.figure(name) as u64
    }
}

/// Watches a room with chat through the proxy.
async fn watch(mischief: Mischief, more: &[&str]) -> Run {
    let mut config = Config::dev_on_free_ports();
    config.hub.room.tick_ms = TICK_MS;
    // Nothing is left out, also when a busy machine lets many events come at once.
    config.hub.room.budget.chat = 10_000;
    let gateway = Gateway::start(config).unwrap();
    let proxy = Proxy::start(gateway.public_address(), mischief).await;
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("report.json");
    let (url, api) =
        (format!("ws://{}/ws", proxy.address), format!("http://{}", gateway.admin_address()));
    let viewers = VIEWERS.to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_barrage-loadtest"))
        .args(["viewers", "--viewers", &viewers, "--for", "4", "--url", &url, "--api", &api])
        .args(["--chat", "20", "--seed", "7", "--lag-max-ms", "2000", "--json"])
        .arg(&json)
        .args(more)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Run {
        code: output.status.code(),
        report: serde_json::from_slice(&std::fs::read(&json).unwrap_or_default())
            .unwrap_or_default(),
        text: format!("{:?}\n{out}\n{err}", output.status.code()),
        done: proxy.done(),
    }
}

/// The figures that must all be zero but for these.
fn assert_faults(run: &Run, expected: &[(&str, u64)]) {
    for name in [
        "events_lost",
        "events_over_told",
        "events_duplicate",
        "events_out_of_order",
        "chain_breaks",
    ] {
        let expected = expected.iter().find(|(of, _)| *of == name).map_or(0, |(_, count)| *count);
        assert_eq!(run.count(name), expected, "{name} after {:?}\n{}", run.done, run.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_way_closes_every_account() {
    let run = watch(Mischief::default(), &[]).await;
    assert_eq!(run.code, Some(0), "{}", run.text);
    assert_faults(&run, &[]);
    let everybody = run.count("viewers");
    assert!(everybody > VIEWERS, "{}", run.text);
    for name in ["accounts_closed", "accounts_exact", "accounts_certain"] {
        assert_eq!(run.count(name), everybody, "{name}: {}", run.text);
    }
    assert!(run.count("events_published") > 40, "{}", run.text);
    assert_eq!(run.count("events_received"), everybody * run.count("events_published"));
    assert_eq!((&run.report["verdict"], &run.report["valid"]), (&"kept".into(), &true.into()));
    assert_eq!((&run.report["scenario"], &run.report["seed"]), (&"viewers".into(), &7.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_frames_are_lost_events_to_the_last_one() {
    let run = watch(Mischief { drop: 3, ..Mischief::default() }, &[]).await;
    assert_eq!((run.code, run.done.dropped_frames), (Some(1), 3), "{}", run.text);
    let (lost, breaks) = (run.done.dropped_events, run.done.dropped_frames);
    assert_faults(&run, &[("events_lost", lost), ("chain_breaks", breaks)]);
    assert_eq!(run.report["verdict"], "broken");
}

#[tokio::test(flavor = "multi_thread")]
async fn doubled_frames_are_duplicates_to_the_last_one() {
    let run = watch(Mischief { double: 4, ..Mischief::default() }, &[]).await;
    assert_eq!((run.code, run.done.doubled_frames), (Some(1), 4), "{}", run.text);
    let (duplicates, breaks) = (run.done.doubled_events, run.done.doubled_frames);
    assert_faults(&run, &[("events_duplicate", duplicates), ("chain_breaks", breaks)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn swapped_frames_are_disorder_to_the_last_event() {
    let run = watch(Mischief { swap: 3, ..Mischief::default() }, &[]).await;
    assert_eq!((run.code, run.done.swapped_pairs), (Some(1), 3), "{}", run.text);
    let (late, breaks) = (run.done.late_events, 3 * run.done.swapped_pairs);
    assert_faults(&run, &[("events_out_of_order", late), ("chain_breaks", breaks)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_it_at_once_is_still_told_apart() {
    let run = watch(Mischief { drop: 2, double: 2, swap: 2, ..Mischief::default() }, &[]).await;
    let Done { dropped_frames, doubled_frames, swapped_pairs, .. } = run.done;
    assert_eq!((dropped_frames, doubled_frames, swapped_pairs), (2, 2, 2), "{}", run.text);
    let breaks = dropped_frames + doubled_frames + 3 * swapped_pairs;
    assert_faults(
        &run,
        &[
            ("events_lost", run.done.dropped_events),
            ("events_duplicate", run.done.doubled_events),
            ("events_out_of_order", run.done.late_events),
            ("chain_breaks", breaks),
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_of_the_server_counts_for_all_that_was_to_be_sent_in_it() {
    let run = watch(Mischief { pause_ms: 1_000, ..Mischief::default() }, &[]).await;
    assert_eq!(run.code, Some(0), "nothing is lost by waiting: {}", run.text);
    assert_faults(&run, &[]);
    // A publish that the pause held back for 500 ms has an ack that is at least as late; nothing
    // else has, but what was held back a little less and was late on its way.
    let (surely, perhaps) = (run.done.held_half_second, run.done.held_third_of_a_second);
    let late = acks_from(&run, 500_000);
    assert!(surely >= 3, "the pause held nothing back: {:?} {}", run.done, run.text);
    assert!((surely..=perhaps).contains(&late), "{late} after {:?}: {}", run.done, run.text);
}

/// How many acks came this long or longer after their publish was to be sent.
fn acks_from(run: &Run, us: u64) -> u64 {
    let text = run.report["tally"]["ack"].as_str().unwrap();
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    let acks: hdrhistogram::Histogram<u64> = hdrhistogram::serialization::Deserializer::new()
        .deserialize(&mut bytes.as_slice())
        .unwrap();
    acks.iter_recorded()
        .filter(|of| of.value_iterated_to() >= us)
        .map(|of| of.count_at_value())
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generator_that_is_too_slow_says_so() {
    let run = watch(Mischief::default(), &["--lag-max-ms", "0.0001"]).await;
    assert_eq!((run.code, &run.report["valid"]), (Some(3), &false.into()), "{}", run.text);
    assert!(run.text.contains("\nINVALID"), "{}", run.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_frames_are_judged_the_same() {
    let run = watch(Mischief::default(), &["--deflate", "--chat", "30"]).await;
    assert_eq!(run.code, Some(0), "{}", run.text);
    assert!(run.done.compressed_frames > 0, "nothing was compressed: {}", run.text);
    assert_faults(&run, &[]);
}
