//! One gateway process: it can be hurt, and comes back with its ports.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rig::http;
use rig::port::Port;
use rig::process::Process;
use rig::wait::{LOOK, soon, until};
use serde_json::Value;
use tokio::time::sleep;

/// How long an answer of its admin port may take.
const ANSWER: Duration = Duration::from_secs(2);

/// A gateway, up or down.
#[derive(Debug)]
pub(crate) struct Node {
    name: String,
    arguments: Vec<String>,
    environment: Vec<(&'static str, &'static str)>,
    log: PathBuf,
    ports: [Port; 2],
    process: Option<Process>,
}

impl Node {
    /// A gateway that is not started yet.
    pub(crate) fn new(
        number: usize,
        folder: &Path,
        arguments: Vec<String>,
        environment: Vec<(&'static str, &'static str)>,
    ) -> Self {
        let name = format!("gateway-{number}");
        Self {
            log: folder.join(format!("{name}.log")),
            name,
            arguments,
            environment,
            ports: [Port::reserve(), Port::reserve()],
            process: None,
        }
    }

    pub(crate) fn public(&self) -> SocketAddr {
        self.ports[0].address()
    }

    pub(crate) fn admin(&self) -> SocketAddr {
        self.ports[1].address()
    }

    /// Starts it; does not wait until it is ready.
    pub(crate) fn start(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_barrage-gateway"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("BARRAGE_")) {
            command.env_remove(name);
        }
        command
            .args(["--dev", "--shards", "1"])
            .args(["--listen", &self.public().to_string()])
            .args(["--admin-listen", &self.admin().to_string()])
            .args(&self.arguments)
            .envs(self.environment.iter().copied())
            .env("RUST_BACKTRACE", "0")
            .env("NO_COLOR", "1");
        self.process = Some(Process::start(&self.name, &mut command, &self.log));
    }

    /// The process, which was started.
    pub(crate) fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it was started")
    }

    /// The status and the body of `/readyz`, if it answers.
    pub(crate) async fn readiness(&self) -> Option<(u16, Value)> {
        let answer = http::get(self.admin(), "/readyz", ANSWER).await?;
        Some((answer.status, answer.json().unwrap_or_default()))
    }

    /// Waits until it is ready, and not degraded.
    pub(crate) async fn ready(&mut self) {
        let what = format!("{} is ready", self.name);
        soon(&what, async {
            while self
                .readiness()
                .await
                .is_none_or(|(status, body)| status != 200 || body["degraded"] == true)
            {
                assert!(!self.process().has_ended(), "{} has ended", self.name);
                sleep(LOOK).await;
            }
        })
        .await;
    }

    /// Without NATS it is not ready, says why, and does not give up.
    pub(crate) async fn assert_waits(&mut self) {
        let what = format!("{} says that it cannot reach its servers", self.name);
        let is_told = |log: String| log.lines().any(|l| l.contains("WARN") && l.contains("NATS"));
        until(&what, || async { is_told(self.log()).then_some(()) }).await;
        let (status, body) = self.readiness().await.expect("its admin port answers");
        assert_eq!((status, &body["state"]), (503, &Value::from("starting")), "{body}");
        assert!(!self.process().has_ended(), "{} has ended", self.name);
    }

    /// Everything that it has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// Whether the body of `/readyz` says so.
pub(crate) fn is_degraded(readiness: &Value) -> bool {
    readiness["degraded"] == true
}
