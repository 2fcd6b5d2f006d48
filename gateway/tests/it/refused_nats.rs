//! Servers on which a gateway cannot run: the process says why, and ends.

use std::process::{Command, Stdio};

use rig::nats::{Binary, Nats, old_server};
use rig::process::Process;
use rig::wait::until;
use tempfile::TempDir;

/// Starts a gateway on these servers.
pub(crate) fn start(folder: &TempDir, url: &str, environment: &[(&str, &str)]) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barrage-gateway"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("BARRAGE_")) {
        command.env_remove(name);
    }
    command
        .args(["--dev", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
        .args(["--nats", url])
        .envs(environment.iter().copied())
        .env("NO_COLOR", "1")
        .stdin(Stdio::null());
    Process::start("a gateway", &mut command, &folder.path().join("log"))
}

/// The exit code and the log of a gateway on these servers, once it has ended.
async fn ends_on(url: &str, environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let folder = TempDir::new().unwrap();
    let mut process = start(&folder, url, environment);
    let status = process.ended().await;
    (status.code(), process.log())
}

fn errors(log: &str) -> String {
    log.lines().filter(|line| line.contains("ERROR")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_on_a_server_that_is_too_old_says_so_and_ends() {
    let (code, log) = ends_on(&old_server().await, &[]).await;
    assert_eq!(code, Some(1), "{log}");
    let told = errors(&log);
    assert!(told.contains("2.10.26") && told.contains("2.11"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_whose_logs_are_set_up_otherwise_says_what_differs_and_ends() {
    let Some(binary) = Binary::newest() else { return };
    let nats = Nats::single(&binary).await;
    // The first one makes the streams as it wants them.
    let first = crate::nats::gateway(&nats, "first").await;
    let (code, log) = ends_on(&nats.url(), &[("BARRAGE_NATS_STREAM_BYTES", "33554432")]).await;
    assert_eq!(code, Some(1), "{log}");
    let told = errors(&log);
    assert!(told.contains("barrage_h00") && told.contains("max_bytes"), "{log}");
    // Whoever runs already is not disturbed.
    until("readiness", || async { (first.readiness().await.0 == 200).then_some(()) }).await;
    first.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_whose_logs_have_no_room_on_the_servers_says_what_to_do_and_waits() {
    for binary in Binary::all() {
        let nats = Nats::single(&binary).await;
        let folder = TempDir::new().unwrap();
        let environment = [("BARRAGE_NATS_STREAM_BYTES", "1000000000000")];
        let mut process = start(&folder, &nats.url(), &environment);
        let told = until("what to do", || async {
            let log = process.log();
            let line = log.lines().find(|line| line.contains("no room"));
            line.map(str::to_owned)
        })
        .await;
        for part in ["WARN", "nats.stream_bytes", "16 streams", "1000000000000 bytes"] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(!process.has_ended());
    }
}
