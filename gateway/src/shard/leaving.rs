//! Leaving: every client is told goodbye, in a second of its own, and before it what it has asked
//! for.

use protocol::close::CloseReason;

use crate::now::Now;
use crate::shard::clients::Life;
use crate::shard::speech::Goodbye;
use crate::shard::task::Shard;

/// A drained client comes back within this time, in milliseconds, each at its own moment.
const RECONNECT_SPREAD_MS: u64 = 500;
/// How long after the window those stay who are still owed an answer, in seconds. Together with
/// the time that a close takes it is less than the grace.
const ANSWERS_S: usize = 2;

/// Whether clients are told to go elsewhere.
#[derive(Debug)]
pub(super) enum Leaving {
    No,
    /// Who (a slot and its generation) is told goodbye in which of the next seconds, the last
    /// first.
    Goodbyes(Vec<Vec<(u32, u32)>>),
}

impl Leaving {
    /// Draws a second of what is left of the window for a client that got through the door as it
    /// closed; there may be thousands of them.
    pub(super) fn add(&mut self, latecomer: (u32, u32)) {
        let Self::Goodbyes(seconds) = self else { return };
        let window = seconds.len().saturating_sub(ANSWERS_S);
        if window > 0 {
            seconds[ANSWERS_S + rand::random_range(0..window)].push(latecomer);
        } else {
            self.postpone(latecomer);
        }
    }

    /// Puts a client into the next second.
    fn postpone(&mut self, client: (u32, u32)) {
        let Self::Goodbyes(seconds) = self else { return };
        match seconds.last_mut() {
            Some(next) => next.push(client),
            None => seconds.push(vec![client]),
        }
    }
}

impl Shard {
    /// Draws for every client the second in which it is told goodbye.
    pub(super) fn drain(&mut self, window_s: u32) {
        let window = window_s as usize + 1;
        self.leaving = Leaving::Goodbyes(vec![Vec::new(); ANSWERS_S + window]);
        for (slot, client) in self.clients.iter_mut() {
            self.leaving.add((slot, client.generation));
        }
    }

    /// Says goodbye to every client now, and to those who still come in their next second.
    pub(super) fn hurry(&mut self, now: Now) {
        self.leaving = Leaving::Goodbyes(Vec::new());
        let all: Vec<_> = self.clients.iter_mut().map(|(slot, c)| (slot, c.generation)).collect();
        for (slot, generation) in all {
            self.say_goodbye(slot, generation, now);
        }
    }

    /// Says goodbye to those whose second has come. Whoever is owed an answer has until the last.
    pub(super) fn say_goodbyes(&mut self, now: Now) {
        let Leaving::Goodbyes(seconds) = &mut self.leaving else { return };
        let due = seconds.pop().unwrap_or_default();
        let is_last = seconds.is_empty();
        for (slot, generation) in due {
            let Some(client) = self.clients.at(slot, generation) else { continue };
            if client.is_owed() && !is_last {
                self.leaving.postpone((slot, generation));
            } else {
                self.say_goodbye(slot, generation, now);
            }
        }
    }

    fn say_goodbye(&mut self, slot: u32, generation: u32, now: Now) {
        let Some(client) = self.clients.at(slot, generation) else { return };
        if matches!(client.life, Life::Closing(_)) {
            return;
        }
        let after_ms = rand::random_range(0..RECONNECT_SPREAD_MS);
        let goodbye = match client.sink.goodbye(CloseReason::Draining, after_ms) {
            Goodbye::BeforeClose(goodbye) => goodbye,
            Goodbye::Last(goodbye) => {
                return self.end(slot, generation, CloseReason::Draining, &goodbye, now);
            }
        };
        let sent = client.send_control(&goodbye, now.mono);
        self.sent_control(slot, generation, goodbye.len(), sent, now);
        self.close(slot, generation, CloseReason::Draining, now);
    }
}
