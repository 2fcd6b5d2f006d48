//! The gateway of a comparison: the release binary, one shard, budgets off, a short tick.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::AUTHORIZATION;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::bare::cores::Cores;

/// The room that everybody is in; a short name, for short frames.
pub(crate) const ROOM: &str = "b";
/// The length of a slot: short, since a turn waits for its end.
const TICK_MS: &str = "5";
/// What one event carries at most, below the 8 KiB that the server API takes.
const EVENT_BYTES_MAX: u32 = 7_000;
/// How exactly a size is met: the digits of cursors come and go.
const TOLERANCE: u32 = 8;
/// A gateway that has not said where it listens by then has failed.
const START: Duration = Duration::from_secs(15);

/// A gateway that is told what to publish.
#[derive(Debug)]
pub(crate) struct Gateway {
    child: Child,
    pub(crate) public: SocketAddr,
    admin: SocketAddr,
    api: Client<HttpConnector, Full<Bytes>>,
    /// Bytes that fill up each event.
    padding: Vec<u32>,
}

impl Gateway {
    /// Starts a gateway on free ports.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) async fn start(binary: &Path, cores: &Cores) -> anyhow::Result<Self> {
        let mut command = Command::new(binary);
        command
            .args(["--dev", "--shards", "1", "--tick", TICK_MS])
            .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .env("BARRAGE_LOG", "info")
            .env("BARRAGE_ROOMS_CHAT_PER_S", "10000")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let child = cores.server(|| command.spawn());
        let mut child = child.with_context(|| format!("cannot start {}", binary.display()))?;
        let log = child.stderr.take().context("the gateway has no log")?;
        let mut lines = BufReader::new(log).lines();
        let started = async {
            while let Some(line) = lines.next_line().await? {
                if let Some(addresses) = addresses(&line) {
                    return Ok(addresses);
                }
            }
            bail!("the gateway has ended")
        };
        let (public, admin) =
            tokio::time::timeout(START, started).await.context("the gateway does not start")??;
        // Nobody would miss its log, but a full pipe would hold it up.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let api = Client::builder(TokioExecutor::new()).build_http();
        Ok(Self { child, public, admin, api, padding: Vec::new() })
    }

    /// Its process id; 0 once it has ended.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// From now on batches are to have about this size.
    pub(crate) fn aim(&mut self, bytes: u32) {
        self.padding = vec![0; bytes.div_ceil(EVENT_BYTES_MAX) as usize];
    }

    /// Says how large a batch has become; returns whether that is what was aimed at.
    pub(crate) fn correct(&mut self, aim: u32, bytes: u32) -> bool {
        if bytes.abs_diff(aim) <= TOLERANCE {
            return true;
        }
        let share = (aim.saturating_sub(bytes)) / self.padding.len() as u32;
        let surplus = bytes.saturating_sub(aim);
        for padding in &mut self.padding {
            *padding = (*padding + share).saturating_sub(surplus);
        }
        // Below the tolerance the rest is one event's.
        let rest = aim.saturating_sub(bytes) % self.padding.len() as u32;
        self.padding[0] += rest;
        false
    }

    /// Publishes the events of one batch.
    ///
    /// # Errors
    /// They are refused.
    pub(crate) async fn publish(&self) -> anyhow::Result<()> {
        let events = self.padding.iter().map(|padding| {
            let padding = "x".repeat(*padding as usize);
            format!(r#"{{"room":"{ROOM}","kind":"x-b","body":{{"p":"{padding}"}}}}"#)
        });
        let body = format!(r#"{{"events":[{}]}}"#, events.collect::<Vec<_>>().join(","));
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://{}/v1/events", self.admin))
            .header(AUTHORIZATION, "Bearer dev")
            .header("content-type", "application/json")
            .body(Full::from(body))?;
        let answer = self.api.request(request).await.context("the gateway does not answer")?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if !status.is_success() || body.windows(7).any(|window| window == b"\"error\"") {
            bail!("the gateway refuses: {status} {}", String::from_utf8_lossy(&body));
        }
        Ok(())
    }
}

/// Where it listens, from the line of the log that says so.
fn addresses(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let of = |name| {
        let (_, rest) = line.split_once(name)?;
        rest.split_whitespace().next()?.parse().ok()
    };
    line.contains("started").then(|| of("public=").zip(of("admin=")))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_stand_in_the_line_that_says_it_has_started() {
        let line = "2026-01-01T00:00:00Z  INFO barrage_gateway: started public=127.0.0.1:1 admin=127.0.0.1:2";
        let (public, admin) = addresses(line).unwrap();
        assert_eq!((public.port(), admin.port()), (1, 2));
        assert!(addresses("INFO listening public=127.0.0.1:1 admin=127.0.0.1:2").is_none());
    }
}
