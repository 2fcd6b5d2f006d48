//! Every scenario, as a user runs it, against a real gateway.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use gateway::app::Gateway;
use gateway::config::Config;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_barrage-loadtest");

/// A gateway with short ticks, and a place for reports.
struct Bench {
    gateway: Gateway,
    /// How the load tester is called.
    program: Vec<&'static str>,
    directory: TempDir,
}

/// What came of a run.
struct Run {
    code: Option<i32>,
    report: Value,
    json: PathBuf,
    html: String,
    text: String,
}

impl Bench {
    fn start() -> Self {
        let mut config = Config::dev_on_free_ports();
        config.hub.room.tick_ms = 100;
        let gateway = Gateway::start(config).unwrap();
        Self { gateway, program: vec![PROGRAM], directory: tempfile::tempdir().unwrap() }
    }

    /// Runs a scenario on this gateway.
    async fn run(&self, scenario: &str, options: &[&str]) -> Run {
        let url = format!("ws://{}/ws", self.gateway.public_address());
        let api = format!("http://{}", self.gateway.admin_address());
        let pid = std::process::id().to_string();
        let common =
            [scenario, "--url", &url, "--api", &api, "--pid", &pid, "--lag-max-ms", "5000"];
        run_by(&self.program, self.directory.path(), &[&common, options].concat()).await
    }
}

async fn run(directory: &Path, arguments: &[&str]) -> Run {
    run_by(&[PROGRAM], directory, arguments).await
}

async fn run_by(program: &[&str], directory: &Path, arguments: &[&str]) -> Run {
    let name = format!("{:x}", rand::random::<u64>());
    let (json, html) = (directory.join(&name), directory.join(name + ".html"));
    let output = Command::new(program[0])
        .args(&program[1..])
        .args(arguments)
        .arg("--json")
        .arg(&json)
        .arg("--html")
        .arg(&html)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let report = std::fs::read(&json).unwrap_or_default();
    Run {
        code: output.status.code(),
        report: serde_json::from_slice(&report).unwrap_or_default(),
        json,
        html: std::fs::read_to_string(html).unwrap_or_default(),
        text: format!("{out}\n{err}"),
    }
}

impl Run {
    fn figure(&self, name: &str) -> f64 {
        let value = &self.report["figures"][name]["value"];
        value.as_f64().unwrap_or_else(|| panic!("no figure {name}: {}", self.text))
    }

    fn count(&self, name: &str) -> u64 {
        self.figure(name) as u64
    }

    fn group(&self, name: &str) -> &Value {
        let groups = self.report["groups"].as_array().unwrap();
        groups.iter().find(|group| group["name"] == name).unwrap()
    }

    fn assert_kept(&self) {
        assert_eq!(self.code, Some(0), "{}", self.text);
        assert_eq!(self.count("accounts_closed"), self.count("viewers"), "{}", self.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_brings_everybody_back_with_or_without_what_was_missed() {
    let options = ["--viewers", "60", "--rooms", "3", "--chat", "10", "--every", "1.5"];
    let run = Bench::start().run("storm", &options).await;
    run.assert_kept();
    assert_eq!((run.count("recoveries"), run.count("restarts")), (60, 60), "{}", run.text);
    for phase in ["coming_in", "wave_1_resume", "wave_2_fresh"] {
        let joined = run.count(&format!("join_in_{phase}_count"));
        assert!(joined >= 60, "{phase}: {}", run.text);
        assert!(run.figure(&format!("join_in_{phase}_per_s")) > 10.0, "{}", run.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_process_may_have_few_files_there_are_more_of_them() {
    let few = "ulimit -n 130 && exec \"$0\" \"$@\"";
    let bench = Bench { program: vec!["sh", "-c", few, PROGRAM], ..Bench::start() };
    let run = bench.run("viewers", &["--viewers", "150", "--chat", "5", "--for", "2"]).await;
    run.assert_kept();
    assert!(run.count("viewers") >= 150, "{}", run.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_lose_and_are_told_and_healthy_ones_do_not() {
    let options = ["--healthy", "10", "--stopped", "5", "--trickling", "5", "--trickle", "2000"];
    let more = ["--bytes", "200", "--chat", "60", "--for", "6"];
    let run = Bench::start().run("slow", &[&options[..], &more].concat()).await;
    run.assert_kept();
    assert_eq!(run.group("healthy")["gap"], 0, "{}", run.text);
    assert!(run.group("stopped")["gap"].as_u64() > Some(0), "{}", run.text);
    let late = |group: &str| run.figure(&format!("{group}_latency_in_slow_p99_ms"));
    assert!(late("stopped") > late("healthy"), "{}", run.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_show_comes_and_goes() {
    let run = Bench::start()
        .run("show", &["--viewers", "60", "--chat", "6", "--gifts", "3", "--for", "8"])
        .await;
    run.assert_kept();
    assert_eq!(run.group("crowd")["viewers"], 60);
    assert_eq!(run.group("raiders")["viewers"], 30);
    assert!(run.report["tally"]["counts"]["refused bad_request"].is_null(), "{}", run.text);
    assert!(run.count("join_in_raid_count") >= 30, "{}", run.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_over_several_processes_closes_and_silent_rooms_get_nothing() {
    let groups = ["--group", "loud:1:40,+10x1,-10x1:30x2,10x1", "--group", "silent:4:5:0"];
    let more = ["--sockets-per-worker", "25", "--heartbeat", "1", "--settle-s", "7"];
    let run = Bench::start().run("viewers", &[&groups[..], &more].concat()).await;
    run.assert_kept();
    let workers = run.report["workers"].as_array().unwrap().len();
    assert!(workers >= 4, "{workers} {}", run.text);
    assert_eq!(run.count("silent_batches"), 0, "{}", run.text);
    assert_eq!(run.group("loud")["viewers"], 50);
    assert!(run.count("loud_batches") > 0 && run.figure("pong_p50_ms") > 0.0, "{}", run.text);
    assert!(run.figure("server_rss_bytes") > 1e6, "the process was seen: {}", run.text);
    assert!(run.html.contains("<svg") && run.html.contains("gateway memory"), "{}", run.html);
    for outside in ["http://", "https://", "<script", "@import"] {
        let said = run.html.matches(outside).count()
            - run.report["command"].as_str().unwrap().matches(outside).count();
        assert_eq!(said, 0, "{outside} in the page");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_makes_the_same_run_again() {
    let bench = Bench::start();
    let options = ["--viewers", "5", "--chat", "10", "--for", "2", "--seed", "99"];
    let (first, again) =
        (bench.run("viewers", &options).await, bench.run("viewers", &options).await);
    first.assert_kept();
    again.assert_kept();
    assert_eq!(first.count("events_published"), again.count("events_published"));
    assert_eq!(first.report["seed"], 99);
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_of_several_machines_are_one() {
    let bench = Bench::start();
    let options = ["--viewers", "5", "--chat", "10", "--for", "2"];
    let (one, two) = tokio::join!(bench.run("viewers", &options), bench.run("viewers", &options));
    one.assert_kept();
    two.assert_kept();
    let files = [&one.json, &two.json].map(|path| path.to_str().unwrap());
    let sum = run(bench.directory.path(), &[&["merge"], &files[..]].concat()).await;
    sum.assert_kept();
    for name in ["viewers", "events_published", "events_received", "accounts_exact"] {
        assert_eq!(sum.count(name), one.count(name) + two.count(name), "{name}: {}", sum.text);
    }
    let max = one.figure("latency_max_ms").max(two.figure("latency_max_ms"));
    assert_eq!(sum.figure("latency_max_ms"), max);
    assert_eq!((&sum.report["hosts"], &sum.report["verdict"]), (&2.into(), &"kept".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_is_replayed_into_many_rooms_at_once() {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/sample.xml");
    let options = [sample, "--speed", "20", "--room", "cat", "--rooms", "3", "--viewers", "2"];
    let run = Bench::start().run("replay", &options).await;
    run.assert_kept();
    assert_eq!((run.count("viewers"), run.count("events_published")), (6, 150), "{}", run.text);
    assert_eq!(run.count("accounts_certain"), 6, "{}", run.text);
    assert!(run.figure("latency_p50_ms") > 0.0, "{}", run.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_does_not_come_to_rest_is_broken_and_calls_nothing_lost() {
    let options = ["--viewers", "5", "--chat", "20", "--for", "2", "--drain-s", "0"];
    let run = Bench::start().run("viewers", &options).await;
    assert_eq!(run.code, Some(1), "{}", run.text);
    assert!(run.text.contains("did not come to rest"), "{}", run.text);
    assert_eq!(run.count("events_lost"), 0, "{}", run.text);
}

#[tokio::test]
async fn a_gateway_that_is_not_there_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let url = "ws://127.0.0.1:1/ws";
    let options = ["viewers", "--viewers", "2", "--chat", "0", "--for", "1", "--join-s", "1"];
    let run =
        run(directory.path(), &[&options[..], &["--url", url, "--api", "none"]].concat()).await;
    assert_eq!(run.code, Some(1), "{}", run.text);
    assert_eq!(run.report["verdict"], "broken");
    assert!(run.text.contains("2 viewers were never in their room"), "{}", run.text);
}
