//! How long acks keep away: over all gateways, and at each of them.

use std::sync::Mutex;

use tokio::time::Instant;

use crate::tally::Tally;

/// When a gateway last acked an event as stored.
#[derive(Debug)]
pub(crate) struct Silence {
    acked: Mutex<Vec<Instant>>,
}

impl Silence {
    /// It begins now, at so many gateways.
    pub(crate) fn begin(gateways: usize) -> Self {
        Self { acked: Mutex::new(vec![Instant::now(); gateways]) }
    }

    /// Ends at a gateway; how long it was is counted in the phase that is on.
    pub(crate) fn end(&self, gateway: usize, tally: &Tally) {
        let now = Instant::now();
        let mut acked = self.acked.lock().unwrap();
        let all = acked.iter().max().map_or(now, |last| *last);
        let own = std::mem::replace(&mut acked[gateway], now);
        tally.count(tally.now(), |phase| {
            phase.silence = phase.silence.max(now - all);
            phase.silence_of_one = phase.silence_of_one.max(now - own);
        });
    }
}
