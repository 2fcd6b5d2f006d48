//! Keeps the keys fresh: looks in time, and at once when somebody asks.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::keys::{Looked, Refresher};
use crate::metrics::KeyRefresh;

/// Key files are read again this often.
const FILES_EVERY: Duration = Duration::from_secs(30);
/// Published keys that could not be fetched are fetched again after this long.
const FETCH_AGAIN: Duration = Duration::from_secs(30);

/// Why keys are looked for.
enum Wake {
    /// It is time to read the files, and perhaps to fetch.
    Time,
    /// A token names a key that is not known.
    Wanted,
    /// The configuration was read anew.
    Replaced,
}

impl Refresher {
    /// Runs until it is dropped.
    pub(crate) async fn run(mut self) {
        let mut fetch_at = Instant::now();
        let mut pause_ends = Instant::now();
        loop {
            let shared = &self.keys.0;
            let next = fetch_at.min(Instant::now() + FILES_EVERY);
            let wake = tokio::select! {
                () = shared.replaced.notified() => Wake::Replaced,
                () = async {
                    // Whoever asks within the pause is answered after it.
                    sleep_until(pause_ends).await;
                    shared.wanted.notified().await;
                } => Wake::Wanted,
                () = sleep_until(next.max(pause_ends)) => Wake::Time,
            };
            let config = shared.config.load_full();
            if let Wake::Replaced = wake {
                self.sources.replace(&config);
                // At once, and before anything is waited for: a secret may have been withdrawn.
                self.publish();
            }
            let mut whole = self.read_files();
            if !matches!(wake, Wake::Time) || Instant::now() >= fetch_at {
                let fetched = self.fetch().await;
                let again =
                    if fetched { config.jwks_every } else { config.jwks_every.min(FETCH_AGAIN) };
                fetch_at = Instant::now() + again;
                whole &= fetched;
            }
            self.publish();
            self.tell(whole);
            pause_ends = Instant::now() + config.keys_pause;
        }
    }

    fn read_files(&mut self) -> bool {
        told(self.sources.read_files())
    }

    async fn fetch(&mut self) -> bool {
        told(self.sources.fetch().await)
    }

    fn publish(&self) {
        let shared = &self.keys.0;
        let ring = self.sources.ring();
        shared.metrics.keys.set(i64::try_from(ring.len()).unwrap_or(i64::MAX));
        shared.ring.store(ring.into());
        shared.in_use.store(shared.config.load().has_keys(), Ordering::Release);
    }

    /// Tells those who wait that everybody was asked, and whether everybody answered.
    fn tell(&self, whole: bool) {
        let shared = &self.keys.0;
        let outcome = if whole { KeyRefresh::Whole } else { KeyRefresh::Failed };
        shared.metrics.keys_refreshed(outcome);
        shared.looked.send_modify(|looked| *looked = Looked { count: looked.count + 1, whole });
    }
}

/// Whether it went well; if not, somebody should know.
fn told(outcome: anyhow::Result<()>) -> bool {
    if let Err(error) = &outcome {
        let error = format!("{error:#}");
        tracing::warn!(error, "keys could not be refreshed; the ones at hand stay");
    }
    outcome.is_ok()
}
