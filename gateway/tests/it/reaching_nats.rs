//! What a gateway says of its servers when it starts: nothing alarming while it reaches them.

use rig::nats::{Binary, Nats};
use rig::process::Process;
use rig::wait::until;
use tempfile::TempDir;

use crate::refused_nats::start;

/// The log, once it holds this.
async fn log_with(process: &Process, part: &str) -> String {
    let has_it = || async { Some(process.log()).filter(|log| log.contains(part)) };
    until(part, has_it).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_reaches_its_servers_warns_of_nothing() {
    for binary in Binary::all() {
        let nats = Nats::single(&binary).await;
        let folder = TempDir::new().unwrap();
        // So few that no system's limit of open files is worth a word.
        let process = start(&folder, &nats.url(), &[("BARRAGE_LIMITS_CONNECTIONS", "20")]);
        let log = log_with(&process, "canary: ready").await;
        let steps = ["connecting to the broker", "the broker is reached", "canary: ready"];
        let places = steps.map(|step| log.find(step));
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{log}");
        assert!(!log.contains("WARN"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_stay_away_are_warned_of() {
    let folder = TempDir::new().unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let process = start(&folder, &format!("nats://{nobody}"), &[]);
    let log = log_with(&process, "the broker cannot be reached").await;
    let warning = log.lines().find(|line| line.contains("the broker cannot be reached")).unwrap();
    assert!(warning.contains("WARN") && log.contains("connecting to the broker"), "{log}");
}
