//! The whole replay, as a user runs it, against a gateway in miniature that keeps the protocol's
//! promises or breaks one of them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fake;

use std::path::PathBuf;

use fake::{Fake, Trick};
use serde_json::Value;
use tokio::process::Command;

/// A run of the program.
struct Run {
    code: Option<i32>,
    report: Value,
    stdout: String,
    stderr: String,
}

impl Run {
    /// What was found of the viewers.
    fn viewers(&self) -> &Value {
        &self.report["groups"][0]
    }

    /// The kinds of faults that were found.
    fn findings(&self) -> Vec<&str> {
        let kinds = [
            "lost",
            "over_told",
            "duplicates",
            "chain_breaks",
            "disorder",
            "malformed",
            "never_joined",
        ];
        let found = |kind: &&str| self.viewers()[*kind].as_u64() > Some(0);
        let gave_up = self.viewers()["gave_up"].as_object().is_some_and(|why| !why.is_empty());
        kinds.into_iter().filter(found).chain(gave_up.then_some("gave_up")).collect()
    }

    fn text(&self) -> String {
        format!("{:?}\n{}\n{}", self.code, self.stdout, self.stderr)
    }
}

fn sample() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples/sample.xml")
}

async fn barrage(arguments: &[&str]) -> Run {
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("report.json");
    let output = Command::new(env!("CARGO_BIN_EXE_barrage-loadtest"))
        .args(arguments)
        .arg("--json")
        .arg(&json)
        .env_remove("BARRAGE_API_KEY")
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let report = std::fs::read(&json).unwrap_or_default();
    Run {
        code: output.status.code(),
        report: serde_json::from_slice(&report).unwrap_or_default(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Replays the sample at 40 times its speed, in three quarters of a second.
async fn replay(trick: Trick, more: &[&str]) -> Run {
    let fake = Fake::start(trick).await;
    let (url, api) = (format!("ws://{}/ws", fake.ws), format!("http://{}", fake.api));
    let file = sample();
    let mut arguments = vec!["replay", file.to_str().unwrap(), "--url", &url, "--api", &api];
    arguments.extend([
        "--room",
        "demo/猫",
        "--speed",
        "40",
        "--drain-s",
        "20",
        "--lag-max-ms",
        "5000",
    ]);
    arguments.extend(more);
    let run = barrage(&arguments).await;
    assert!(trick == Trick::Honest || fake.has_played(), "{}", run.text());
    run
}

fn assert_closes(run: &Run) {
    assert_eq!((run.code, run.findings()), (Some(0), vec![]), "{}", run.text());
    assert_eq!(run.report["verdict"], "kept");
    assert!(run.stdout.contains("\nKEPT"), "{}", run.text());
}

fn assert_open(run: &Run, findings: &[&str]) {
    assert_eq!((run.code, run.findings()), (Some(1), findings.to_vec()), "{}", run.text());
    assert_eq!(run.report["verdict"], "broken");
    assert!(run.stdout.contains("\nBROKEN\n"), "{}", run.text());
}

#[tokio::test]
async fn an_honest_gateway_closes_for_every_viewer() {
    let run = replay(Trick::Honest, &["--viewers", "3"]).await;
    assert_closes(&run);
    let report = &run.report["replay"];
    assert_eq!(report["archive"]["danmaku"], 60);
    assert_eq!(report["archive"]["not_played"]["mode 7 (positioned)"], 2);
    assert_eq!(report["publishing"]["acked"], 50);
    assert_eq!(report["publishing"]["retries"], serde_json::json!({}));
    assert!(report["publishing"]["requests_of_many"].as_u64() > Some(0), "{}", run.text());
    let viewers = run.viewers();
    assert_eq!((&viewers["viewers"], &viewers["exact"]), (&3.into(), &3.into()));
    let told = ["received", "left_out", "gap"].map(|name| viewers[name].as_u64().unwrap());
    assert_eq!(told.iter().sum::<u64>(), 150, "{}", run.text());
    let figure = |name: &str| run.report["figures"][name]["value"].as_f64().unwrap();
    assert!(figure("latency_p50_ms") > 0.0);
    let acked = figure("acked_per_s") * figure("duration_s");
    assert!((acked - 50.0).abs() < 1e-6, "{acked} of 50: {}", run.text());
    assert_eq!(figure("sent_per_s"), figure("acked_per_s"));
}

#[tokio::test]
async fn a_window_is_played_in_its_own_time() {
    let run = replay(Trick::Honest, &["--from", "5", "--to", "10"]).await;
    assert_closes(&run);
    assert_eq!(run.report["replay"]["publishing"]["acked"], 12, "{}", run.text());
    assert_eq!(run.report["replay"]["archive"]["not_played"]["outside the window"], 38);
    assert!(run.report["replay"]["publishing"]["planned_s"].as_f64() < Some(0.2));
}

#[tokio::test]
async fn a_dropped_event_is_lost() {
    assert_open(&replay(Trick::DropOne, &[]).await, &["lost"]);
}

#[tokio::test]
async fn a_doubled_event_is_a_duplicate() {
    assert_open(&replay(Trick::DoubleOne, &[]).await, &["duplicates"]);
}

#[tokio::test]
async fn swapped_batches_break_the_chain_and_the_order() {
    assert_open(&replay(Trick::SwapTwo, &[]).await, &["chain_breaks", "disorder"]);
}

#[tokio::test]
async fn a_wrong_left_out_is_found_in_both_directions() {
    assert_open(&replay(Trick::LeftOutShort, &["--speed", "200"]).await, &["lost"]);
    assert_open(&replay(Trick::LeftOutLong, &[]).await, &["over_told"]);
}

#[tokio::test]
async fn a_message_that_is_none_is_found_beside_what_it_lost() {
    assert_open(&replay(Trick::Babble, &[]).await, &["lost", "chain_breaks", "malformed"]);
}

#[tokio::test]
async fn a_kicked_viewer_has_given_up() {
    let run = replay(Trick::Kick, &[]).await;
    assert_open(&run, &["gave_up"]);
    assert!(run.stdout.contains("closed with 4505"), "{}", run.text());
}

#[tokio::test]
async fn a_gap_is_part_of_the_account() {
    let run = replay(Trick::GapOnce, &[]).await;
    assert_closes(&run);
    assert!(run.viewers()["gap"].as_u64() > Some(0), "{}", run.text());
}

#[tokio::test]
async fn a_broken_connection_is_recovered_and_closes() {
    let run = replay(Trick::CutAndRecover, &["--drain-s", "20"]).await;
    assert_closes(&run);
    let viewer = run.viewers();
    assert_eq!((&viewer["breaks"], &viewer["recoveries"]), (&1.into(), &1.into()));
}

#[tokio::test]
async fn a_connection_that_cannot_be_recovered_starts_the_account_anew() {
    let run = replay(Trick::CutAndForget, &["--drain-s", "20", "--speed", "15"]).await;
    assert_closes(&run);
    let viewer = run.viewers();
    assert_eq!((&viewer["breaks"], &viewer["restarts"]), (&1.into(), &1.into()));
}

#[tokio::test]
async fn retries_are_safe() {
    for (trick, reason) in [(Trick::Busy, "busy"), (Trick::HangUp, "connection broken")] {
        let run = replay(trick, &[]).await;
        assert_closes(&run);
        assert_eq!(run.report["replay"]["publishing"]["acked"], 50, "{}", run.text());
        let retries = run.report["replay"]["publishing"]["retries"][reason].as_u64();
        assert!(retries > Some(0), "{}", run.text());
    }
}

#[tokio::test]
async fn others_in_the_room_are_told_apart() {
    let run = replay(Trick::Chatter, &[]).await;
    assert_closes(&run);
    assert_eq!(run.viewers()["exact"], 0, "nothing more can be proven: {}", run.text());
    let run = replay(Trick::Visitor, &[]).await;
    assert_closes(&run);
    assert_eq!(run.viewers()["exact"], 0);
    assert!(run.viewers()["foreign"].as_u64() > Some(0));
}

#[tokio::test]
async fn what_the_api_refuses_is_reported_and_is_not_published() {
    let run = replay(Trick::Refuse, &[]).await;
    assert_closes(&run);
    assert_eq!(run.report["replay"]["publishing"]["acked"], 25);
    assert_eq!(run.report["replay"]["publishing"]["refused"]["blocked_term"], 25);
}

#[tokio::test]
async fn a_wrong_key_ends_the_run_at_once() {
    let run = replay(Trick::Honest, &["--api-key", "wrong"]).await;
    assert_eq!(run.code, Some(1), "{}", run.text());
    assert!(run.stderr.contains("refuses everything: unauthorized"), "{}", run.text());
}

#[tokio::test]
async fn without_a_gateway_there_is_nothing_to_measure() {
    let fake = Fake::start(Trick::Honest).await;
    let url = format!("ws://{}/ws", fake.ws);
    drop(fake);
    let run =
        barrage(&["replay", sample().to_str().unwrap(), "--url", &url, "--join-s", "1"]).await;
    assert_eq!(run.code, Some(1), "{}", run.text());
    assert!(run.stderr.contains("not all viewers could join"), "{}", run.text());
}

#[tokio::test]
async fn what_cannot_be_used_is_said_with_exit_code_2() {
    let file = sample();
    let file = file.to_str().unwrap();
    let not_an_archive = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    for (arguments, message) in [
        (&["replay", "no-such-file.xml"][..], "cannot open no-such-file.xml"),
        (&["replay", env!("CARGO_MANIFEST_DIR")], "cannot read"),
        (&["replay", not_an_archive], "holds no danmaku"),
        (&["replay", file, "--from", "40"], "50 outside the window"),
        (&["replay", file, "--from", "9", "--to", "9"], "--to is not after --from"),
        (&["replay", file, "--speed", "0"], "not between 0.01 and 10000"),
        (&["replay", file, "--room", "$canary"], "reserved"),
        (&["replay", file, "--url", "http://127.0.0.1/ws"], "ws://host:port/ws"),
        (&["replay", file, "--api", "localhost"], "http://host:port"),
        (&["replay", file, "--viewers", "0"], "--viewers"),
        (&["dance"], "unrecognized subcommand"),
    ] {
        let run = barrage(arguments).await;
        assert_eq!(run.code, Some(2), "{arguments:?} {}", run.text());
        assert!(run.stderr.contains(message), "{arguments:?} {}", run.text());
    }
}
