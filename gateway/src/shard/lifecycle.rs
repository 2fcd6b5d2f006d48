//! How a client begins and ends: attached, watched by its timer, and closed for a reason.

use bytes::Bytes;
use protocol::close::CloseReason;
use protocol::ids::{Address, UserId};

use crate::client::outbox::Lane;
use crate::metrics::ConnectionEnd;
use crate::now::Now;
use crate::shard::ClientSink;
use crate::shard::clients::{Life, NEVER_S};
use crate::shard::flush::Sent;
use crate::shard::task::Shard;
use crate::shard::watch::Watch;

/// How long a client that was told to go may take to read it.
const CLOSING_S: u32 = 5;
/// Pings of clients that fell silent in the same second are spread over so many seconds.
const PING_SPREAD_S: u32 = 5;

impl Shard {
    pub(super) fn attach(&mut self, sink: ClientSink, user: UserId, now: Now) -> Address {
        let now_s = now.mono_s();
        let address = self.clients.attach(sink, user, now_s);
        let ping_s = now_s + self.silence_s(address.slot);
        self.schedule(address.slot, address.generation, ping_s);
        self.leaving.add((address.slot, address.generation));
        address
    }

    pub(super) fn detach(&mut self, address: Address) {
        let Some(client) = self.clients.detach(address) else { return };
        if !matches!(client.life, Life::Closing(_)) {
            self.metrics.closed(ConnectionEnd::Lost);
        }
        // Wakes the watch on a full socket, which holds the socket open.
        client.sink.abort();
        for seat in &client.seats {
            self.take_seat_away(*seat);
        }
    }

    pub(super) fn close(&mut self, slot: u32, generation: u32, reason: CloseReason, now: Now) {
        let Some(client) = self.clients.at(slot, generation) else { return };
        let close = client.sink.close(reason);
        self.end(slot, generation, reason, &close, now);
    }

    /// Begins the end of a client: a close frame behind what waits on its control lane, then the
    /// socket. Batches are not waited for.
    pub(super) fn end(
        &mut self,
        slot: u32,
        generation: u32,
        reason: CloseReason,
        close: &Bytes,
        now: Now,
    ) {
        let Some(client) = self.clients.at(slot, generation) else { return };
        if matches!(client.life, Life::Closing(_)) {
            return;
        }
        client.life = Life::Closing(now.mono_s() + CLOSING_S);
        // Before it is told: whoever has seen the close finds it counted.
        self.metrics.closed(ConnectionEnd::Closed(reason));
        let was_stuck = !client.outbox.is_empty();
        client.outbox.forget_batches();
        let mut sent = client.send_control(close, now.mono);
        if sent == Sent::Overflow {
            client.outbox.forget_all();
            sent = client.send_control(close, now.mono);
        }
        match sent {
            Sent::Whole => {
                client.sink.finish();
                self.metrics.sent(Lane::Control, 1, close.len() as u64);
            }
            Sent::Stuck if !was_stuck => self.watch(slot, generation),
            Sent::Stuck | Sent::Queued { .. } | Sent::Overflow => {}
            Sent::Broken => client.sink.abort(),
        }
        self.schedule(slot, generation, now.mono_s() + CLOSING_S);
    }

    pub(super) fn abort(&mut self, slot: u32, generation: u32) {
        if let Some(client) = self.clients.at(slot, generation) {
            client.sink.abort();
        }
    }

    /// Asks to be woken when a full socket takes more.
    pub(super) fn watch(&mut self, slot: u32, generation: u32) {
        let Some(client) = self.clients.at(slot, generation) else { return };
        self.metrics.stuck.inc();
        self.watched.push(Watch::new(client.sink.clone(), slot, generation));
        let stuck_at = client.outbox.stuck_since().map(|t| t.as_secs() as u32 + self.rules.stuck_s);
        // The next look may be later than that.
        if let Some(at_s) = stuck_at.filter(|at_s| *at_s < client.look_s) {
            self.schedule(slot, generation, at_s);
        }
    }

    pub(super) fn writable(&mut self, slot: u32, generation: u32, now: Now) {
        let Some(client) = self.clients.at(slot, generation) else { return };
        let (sent, finished) = client.drain(now.mono);
        self.metrics.finished(finished);
        match sent {
            Sent::Whole if matches!(client.life, Life::Closing(_)) => client.sink.finish(),
            Sent::Whole | Sent::Queued { .. } | Sent::Overflow => {}
            Sent::Stuck => {
                let sink = client.sink.clone();
                self.watched.push(Watch::new(sink, slot, generation));
            }
            Sent::Broken => client.sink.abort(),
        }
    }

    /// Looks at the clients whose timers are due.
    pub(super) fn second(&mut self, now: Now) {
        self.pulse.beat(now);
        self.looked_s = now.mono_s();
        for (slot, generation) in self.wheel.due(now.mono_s()) {
            // An earlier look may have been asked for since, or another owner has come.
            let client = self.clients.at(slot, generation);
            if client.is_some_and(|client| client.look_s <= now.mono_s()) {
                self.look(slot, generation, now);
            }
        }
        self.say_goodbyes(now);
    }

    pub(super) fn look(&mut self, slot: u32, generation: u32, now: Now) {
        let silence_s = self.silence_s(slot);
        let Some(client) = self.clients.at(slot, generation) else { return };
        let rules = &self.rules;
        let now_s = now.mono_s();
        let stuck_at = client.outbox.stuck_since().map(|t| t.as_secs() as u32 + rules.stuck_s);
        if matches!(client.life, Life::Pinged(at) if client.sink.heard_s() >= at) {
            client.life = Life::Open;
        }
        let (expires_s, ends_s) = (client.expires_s, client.ends_s(now));
        let is_closing = matches!(client.life, Life::Closing(_));
        if !is_closing && u64::from(expires_s) * 1000 <= now.unix_ms {
            return self.close(slot, generation, CloseReason::TokenExpired, now);
        }
        let next = match (client.life, stuck_at) {
            (Life::Closing(until), _) if until <= now_s => return client.sink.abort(),
            (Life::Closing(until), _) => until,
            (_, Some(at)) if at <= now_s => {
                return self.close(slot, generation, CloseReason::TooSlow, now);
            }
            // Nothing can be sent, so no ping either.
            (_, Some(at)) => at,
            (Life::Pinged(at), None) => {
                let until = at + rules.ping_timeout_s.saturating_sub(rules.ping_interval_s);
                if until <= now_s {
                    return self.close(slot, generation, CloseReason::NoPong, now);
                }
                until
            }
            (Life::Open, None) => {
                let due = client.sent_s + silence_s;
                if due <= now_s {
                    return self.ping(slot, generation, now);
                }
                due
            }
        };
        self.schedule(slot, generation, if is_closing { next } else { next.min(ends_s) });
    }

    /// Asks for the next look at a client; one that was asked for before is not taken.
    fn schedule(&mut self, slot: u32, generation: u32, at_s: u32) {
        let Some(client) = self.clients.at(slot, generation) else { return };
        client.look_s = self.wheel.set(slot, generation, at_s);
    }

    /// Ends the client within a second of the given time, in seconds since 1970.
    pub(super) fn expires(&mut self, address: Address, at_s: u64, now: Now) {
        let Some(client) = self.clients.get(address) else { return };
        client.expires_s = u32::try_from(at_s).unwrap_or(NEVER_S);
        let ends_s = client.ends_s(now);
        // A later end is found at the next look, which comes in any case.
        if ends_s < client.look_s && !matches!(client.life, Life::Closing(_)) {
            self.schedule(address.slot, address.generation, ends_s);
        }
    }

    /// After how many seconds in which it was sent nothing a client is pinged.
    fn silence_s(&self, slot: u32) -> u32 {
        let interval_s = self.rules.ping_interval_s;
        interval_s - slot % PING_SPREAD_S.min(interval_s)
    }

    pub(super) fn ping(&mut self, slot: u32, generation: u32, now: Now) {
        // One that answers is pinged again when it is time, whatever patience it would have had.
        let patience = self.rules.ping_timeout_s.saturating_sub(self.rules.ping_interval_s);
        let next = patience.min(self.silence_s(slot));
        let ends_s = self.clients.at(slot, generation).map_or(u32::MAX, |c| c.ends_s(now));
        self.schedule(slot, generation, ends_s.min(now.mono_s() + next));
        let Some(client) = self.clients.at(slot, generation) else { return };
        client.life = Life::Pinged(now.mono_s());
        let ping = client.sink.ping();
        let sent = client.send_control(&ping, now.mono);
        self.metrics.pings.inc();
        self.sent_control(slot, generation, ping.len(), sent, now);
    }
}
