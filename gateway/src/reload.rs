//! Reading the configuration again while the gateway runs.

use crate::app::Gateway;
use crate::config::{Config, Loaded, Sources, differences};
use crate::telemetry::Log;

/// What is needed to read the configuration again.
#[derive(Debug)]
pub struct Reloader {
    sources: Sources,
    log: Log,
    /// What the gateway was started with, and what of it holds now.
    started: Config,
    running: Config,
}

impl Reloader {
    /// Takes what the gateway was started with.
    pub fn new(sources: Sources, log: Log, started: Config) -> Self {
        Self { sources, log, running: started.clone(), started }
    }

    /// Reads the configuration again: what can change without a restart does, the rest is named
    /// in the log. If anything is wrong, everything stays as it was.
    pub fn reload(&mut self, gateway: &Gateway) {
        let read = self.sources.load();
        gateway.reload(read.as_ref().map(|loaded| &loaded.config));
        let Loaded { config, warnings, .. } = match read {
            Ok(loaded) => loaded,
            Err(faults) => {
                for fault in &faults.0 {
                    tracing::warn!(%fault, "the configuration cannot be used");
                }
                tracing::warn!(faults = faults.0.len(), "nothing reloaded");
                return;
            }
        };
        // Before anything is told, so that a louder log tells it.
        self.log.follow(&config.log);
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        let (changed, _) = differences(&self.running, &config);
        let (_, needs_restart) = differences(&self.started, &config);
        if !needs_restart.is_empty() {
            tracing::warn!(keys = needs_restart.join(" "), "these settings need a restart");
        }
        let keys = config.api_keys.len();
        tracing::info!(changed = changed.join(" "), keys, "reloaded");
        self.running = config;
    }
}
