//! The keys of this moment, for every thread, and the task that keeps them fresh.
//!
//! Who checks a token reads a snapshot and never waits, with one exception: a connection that
//! begins with a token of an unknown key waits until whoever makes the keys was asked once more,
//! so that the first bearer of a new key is let in.

mod authorities;
mod fetch;
mod source;
mod task;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, Semaphore, watch};

use crate::auth::config::AuthConfig;
use crate::auth::{Claims, Keyring, TokenFault};
use crate::metrics::Metrics;
use crate::now::Clock;
use source::Sources;

/// How long a look for new keys may take, beyond the pause before it.
const LOOK_MAX: Duration = Duration::from_secs(6);
/// Connections that wait for new keys at once; others are told to come back, so that forged
/// tokens hold no more than these.
const WAITING_MAX: usize = 256;

/// How the last look for new keys went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Looked {
    /// How many there have been.
    count: u64,
    /// Whether every source answered.
    whole: bool,
}

/// The keys of this moment; a copy for each thread.
#[derive(Clone)]
pub(crate) struct Keys(Arc<Shared>);

struct Shared {
    ring: ArcSwap<Keyring>,
    /// Where keys come from; the task notices when it was replaced.
    config: ArcSwap<AuthConfig>,
    in_use: Arc<AtomicBool>,
    wanted: Notify,
    replaced: Notify,
    looked: watch::Sender<Looked>,
    waiting: Semaphore,
    clock: Clock,
    metrics: Arc<Metrics>,
}

impl Keys {
    /// Reads secrets and key files; what is published elsewhere comes when the task runs.
    ///
    /// # Errors
    /// A key file cannot be read, or holds no key.
    pub(crate) fn open(
        config: &AuthConfig,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<(Self, Refresher)> {
        let mut sources = Sources::new(config);
        sources.read_files()?;
        let ring = sources.ring();
        metrics.keys.set(i64::try_from(ring.len()).unwrap_or(i64::MAX));
        let keys = Self(Arc::new(Shared {
            ring: ArcSwap::from_pointee(ring),
            config: ArcSwap::from_pointee(config.clone()),
            in_use: Arc::new(config.has_keys().into()),
            wanted: Notify::new(),
            replaced: Notify::new(),
            looked: watch::Sender::new(Looked::default()),
            waiting: Semaphore::new(WAITING_MAX),
            clock,
            metrics,
        }));
        Ok((keys.clone(), Refresher { keys, sources }))
    }

    /// The keys of this moment.
    pub(crate) fn ring(&self) -> arc_swap::Guard<Arc<Keyring>> {
        self.0.ring.load()
    }

    /// Whether there are keys, so that tokens are looked at; a reload may change it.
    pub(crate) fn in_use(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0.in_use)
    }

    /// Judges the token that a connection begins with.
    ///
    /// # Errors
    /// [`TokenFault`]; counted.
    pub(crate) async fn verify(&self, token: &str) -> Result<Claims, TokenFault> {
        let first = self.check(token);
        let verdict = match first {
            Err(TokenFault::UnknownKey) if self.is_changing() => self.look_and_check(token).await,
            verdict => verdict,
        };
        verdict.inspect_err(|fault| self.0.metrics.token_fault(*fault))
    }

    /// Judges a token without waiting.
    ///
    /// # Errors
    /// [`TokenFault`]; counted.
    pub(crate) fn verify_now(&self, token: &str) -> Result<Claims, TokenFault> {
        self.check(token).map_err(|fault| self.unproved(fault))
    }

    /// Counts somebody who needs a token and has none.
    pub(crate) fn missing(&self) -> TokenFault {
        self.0.metrics.token_fault(TokenFault::Missing);
        TokenFault::Missing
    }

    /// Counts a token that was not accepted within a session, and returns what to tell its
    /// bearer: there an unknown key is looked for too, and not waited for.
    pub(crate) fn unproved(&self, mut fault: TokenFault) -> TokenFault {
        if fault == TokenFault::UnknownKey && self.is_changing() {
            self.0.wanted.notify_one();
            fault = TokenFault::Unchecked;
        }
        self.0.metrics.token_fault(fault);
        fault
    }

    /// Takes secrets, files and address from a configuration that was read anew. What they hold
    /// counts within moments, so that a secret can be withdrawn.
    pub(crate) fn replace(&self, config: &AuthConfig) {
        self.0.config.store(Arc::new(config.clone()));
        self.0.replaced.notify_one();
    }

    /// Whether there are keys that may change by themselves.
    fn is_changing(&self) -> bool {
        self.0.config.load().has_changing_keys()
    }

    fn check(&self, token: &str) -> Result<Claims, TokenFault> {
        self.ring().verify(token, self.0.clock.now().unix_ms / 1000)
    }

    async fn look_and_check(&self, token: &str) -> Result<Claims, TokenFault> {
        let Ok(_waiting) = self.0.waiting.try_acquire() else {
            return Err(TokenFault::Unchecked);
        };
        let mut looked = self.0.looked.subscribe();
        let before = looked.borrow_and_update().count;
        self.0.wanted.notify_one();
        let next = looked.wait_for(|looked| looked.count > before);
        let whole =
            match tokio::time::timeout(self.0.config.load().keys_pause + LOOK_MAX, next).await {
                Ok(Ok(looked)) => looked.whole,
                Ok(Err(_)) | Err(_) => false,
            };
        match self.check(token) {
            Err(TokenFault::UnknownKey) if !whole => Err(TokenFault::Unchecked),
            verdict => verdict,
        }
    }
}

/// What the task of [`Keys`] is started with.
pub(crate) struct Refresher {
    keys: Keys,
    sources: Sources,
}
