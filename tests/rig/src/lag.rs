//! How late this machine does what is due, so that promises in real time can be judged by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Between two times at which something is due.
const STEP: Duration = Duration::from_millis(5);

/// A thread that wants to run every few milliseconds, and notes how late it does.
#[derive(Debug)]
pub struct Lag {
    worst_us: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
}

impl Lag {
    /// Begins to measure; ends when dropped.
    #[allow(clippy::disallowed_methods, reason = "how long it really sleeps is what is measured")]
    pub fn measure() -> Self {
        let lag = Self { worst_us: Arc::default(), ended: Arc::default() };
        let (worst_us, ended) = (Arc::clone(&lag.worst_us), Arc::clone(&lag.ended));
        thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let due = Instant::now() + STEP;
                thread::sleep(STEP);
                let late = due.elapsed().as_micros() as u64;
                worst_us.fetch_max(late, Ordering::Relaxed);
            }
        });
        lag
    }

    /// The longest that it had to wait for a core.
    pub fn worst(&self) -> Duration {
        Duration::from_micros(self.worst_us.load(Ordering::Relaxed))
    }
}

impl Drop for Lag {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}
