//! The gateway during a run, once a second: its metrics and, when it is on this machine, its
//! process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::Uri;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::observe::process::Usage;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// How long the gateway may take to tell its metrics.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Metrics longer than this are not read, in bytes.
const METRICS_BYTES_MAX: usize = 4 * 1024 * 1024;

/// One look at the gateway.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// When, in µs since 1970.
    pub(crate) at_us: u64,
    /// Its process, if it can be seen.
    pub(crate) process: Option<Usage>,
    /// Its metrics, summed over their labels, if it tells them.
    pub(crate) metrics: BTreeMap<String, f64>,
}

/// Looks at the gateway until it is told to stop.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Sample>>,
}

impl Watch {
    /// Begins to look. `admin` is the gateway's admin port, `pid` its process.
    ///
    /// # Errors
    /// The URL is none, or the system has no runtime for us.
    pub(crate) fn begin(admin: Option<&str>, pid: Option<u32>) -> anyhow::Result<Self> {
        let metrics: Option<Uri> = admin
            .map(|admin| format!("{}/metrics", admin.trim_end_matches('/')).parse())
            .transpose()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let look = move || {
            let client: Client<HttpConnector, Empty<Bytes>> =
                Client::builder(TokioExecutor::new()).build_http();
            let clock = Clock::new();
            let mut samples = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let sample = Sample {
                    at_us: clock.now_us(),
                    process: pid.and_then(|pid| Usage::of(&pid.to_string())),
                    metrics: runtime.block_on(read(&client, metrics.clone())).unwrap_or_default(),
                };
                samples.push(sample);
                std::thread::park_timeout(EVERY);
            }
            samples
        };
        Ok(Self { stop, thread: std::thread::spawn(look) })
    }

    /// Ends with everything that was seen.
    pub(crate) fn end(self) -> Vec<Sample> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        self.thread.join().unwrap_or_default()
    }
}

async fn read(
    client: &Client<HttpConnector, Empty<Bytes>>,
    uri: Option<Uri>,
) -> Option<BTreeMap<String, f64>> {
    let answer = tokio::time::timeout(TIMEOUT, client.get(uri?)).await.ok()?.ok()?;
    let body = Limited::new(answer.into_body(), METRICS_BYTES_MAX).collect();
    let body = tokio::time::timeout(TIMEOUT, body).await.ok()?.ok()?.to_bytes();
    Some(parse(std::str::from_utf8(&body).ok()?))
}

/// Reads the text format of Prometheus; what differs only in labels is added up, except for the
/// buckets of histograms, which are left out.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, value)) = line.rsplit_once(' ') else { continue };
        let name = name.split('{').next().unwrap_or(name);
        if let (false, Ok(value)) = (name.ends_with("_bucket"), value.parse::<f64>()) {
            *sums.entry(name.to_owned()).or_default() += value;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_summed_and_buckets_left_out() {
        let text = "# HELP a b\na{x=\"1 2\"} 3\na{x=\"2\"} 4.5\nb_bucket{le=\"1\"} 9\nc 1e3\nd\n";
        let expected = [("a", 7.5), ("c", 1000.0)].map(|(name, value)| (name.to_owned(), value));
        assert_eq!(parse(text), BTreeMap::from(expected));
    }
}
