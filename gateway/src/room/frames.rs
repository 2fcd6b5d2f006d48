//! What a room sends at the end of a slot.

use bytes::Bytes;
use protocol::cursor::Bookmark;
use protocol::select::LeftOut;
use protocol::to_client::{Batch, StateChange};

use crate::client::Form;
use crate::now::Now;
use crate::room::Room;
use crate::room::effect::{Effect, RoomFrame, Variant};
use crate::room::log::Log;
use crate::room::slots::ClosedSlot;

impl Room {
    pub(super) fn close_slots(&mut self, now: Now, out: &mut Vec<Effect>) {
        let is_changed = self.take_settings(now);
        let mut told = false;
        while let Some(closed) = self.log.as_mut().and_then(|log| log.close_due(now.unix_ms)) {
            // The state is told once, to whoever is here.
            let is_news = !told && !self.listeners.is_empty();
            let state = if is_news { self.state_change(now) } else { StateChange::default() };
            told |= self.send_closed(closed, state, out);
        }
        if is_changed {
            self.recut(now);
        }
        if self.state_frame_due_ms(now).is_some_and(|due_ms| due_ms <= now.unix_ms) {
            let state = self.state_change(now);
            if !state.is_empty() {
                out.push(Effect::Frame(self.state_frame(&state)));
            }
        }
    }

    /// Tells the members of a slot that has closed; returns whether there are any.
    pub(super) fn send_closed(
        &mut self,
        (closed, heads): (ClosedSlot, Vec<Bookmark>),
        state: StateChange,
        out: &mut Vec<Effect>,
    ) -> bool {
        let due_ms = closed.ended_ms + self.grace_ms;
        let (sent, left_out, held) = (closed.sent.len(), left_out_of(&closed), closed.held);
        out.push(Effect::Closed { sent, left_out, held, due_ms });
        let anybody = !self.listeners.is_empty();
        if anybody {
            out.push(Effect::Frame(self.frame(&closed, &heads, &state)));
        }
        anybody
    }

    /// When a frame is needed that tells nothing but the state. None is while a slot is open: the
    /// state goes out with it, and until then the members stand at its beginning, not at the head.
    pub(super) fn state_frame_due_ms(&self, now: Now) -> Option<u64> {
        let log = self.log.as_ref().filter(|log| log.is_quiet())?;
        // Settings that no slot has told since they came are told at once.
        let settings = self.settings.is_untold().then_some(now.unix_ms);
        // The one that was noted is the later one only if the clock was set back.
        self.state_due_ms.into_iter().chain(self.state_end_ms(log, now)).chain(settings).min()
    }

    /// Sets the slot's end at which a change of the state is to be told, if there is one and
    /// anybody to tell.
    pub(super) fn note_state(&mut self, now: Now) {
        let Some(log) = self.log.as_ref().filter(|_| !self.listeners.is_empty()) else {
            self.state_due_ms = None;
            self.settings.all_told();
            return;
        };
        // A due that was set stays: the slot that it ends may be open for its grace still.
        self.state_due_ms = self.state_due_ms.into_iter().chain(self.state_end_ms(log, now)).min();
    }

    /// The end of the first slot in which a change of the state may be told.
    fn state_end_ms(&self, log: &Log, now: Now) -> Option<u64> {
        let wait_ms = self.tally.due_ms()?.saturating_sub(now.mono_ms());
        Some(log.slot_end_ms(now.unix_ms + wait_ms.saturating_sub(1)))
    }

    fn state_change(&mut self, now: Now) -> StateChange {
        self.state_due_ms = None;
        let (online, likes) = self.tally.tell(now.mono_ms());
        let settings = self.settings.tell();
        StateChange { online, likes, settings, ..StateChange::default() }
    }

    /// The batch of a slot, and one for each head after its beginning at which somebody joined.
    fn frame(&self, closed: &ClosedSlot, heads: &[Bookmark], state: &StateChange) -> RoomFrame {
        let log = self.log.as_ref().expect("slots are closed by an open log");
        let variants = heads.iter().enumerate().filter_map(|(at, prev)| {
            let (sent, left_out) = closed.after(prev.at.seq);
            let events: Vec<_> = sent.map(|event| event.json.clone()).collect();
            // Who joined behind the slot's last entry has all of it but its paid events, which
            // were told as held, and what changed in the room's state.
            let is_news = prev.at.seq < closed.last || !events.is_empty() || !state.is_empty();
            let last = log.bookmark(closed.last.max(prev.at.seq));
            (is_news || at == 0).then(|| self.variant(*prev, last, &events, &left_out, state))
        });
        self.frame_of("batch", variants.collect())
    }

    /// A frame that tells nothing but what changed in the room's state.
    fn state_frame(&self, state: &StateChange) -> RoomFrame {
        let log = self.log.as_ref().expect("state is told to members, whom an open log has seated");
        let head = log.bookmark(log.head().seq);
        self.frame_of("batch", vec![self.variant(head, head, &[], &LeftOut::default(), state)])
    }

    fn variant(
        &self,
        prev: Bookmark,
        cursor: Bookmark,
        events: &[Bytes],
        left_out: &LeftOut,
        state: &StateChange,
    ) -> Variant {
        let mut payload = Vec::new();
        let change = (!state.is_empty()).then_some(state);
        Batch { room: &self.id, prev, cursor, events, left_out, state: change }
            .render(&mut payload);
        let count = u32::try_from(events.len()).unwrap_or(u32::MAX) + left_out.total();
        Variant { prev, cursor, payload, count, state: state.clone() }
    }

    pub(super) fn frame_of(&self, name: &'static str, variants: Vec<Variant>) -> RoomFrame {
        let deflated = self.listeners.wants(Form::Deflated);
        let plain = self.listeners.wants(Form::Plain);
        let event_stream = self.listeners.wants(Form::EventStream);
        RoomFrame {
            name,
            variants,
            shards: self.listeners.shards().collect(),
            plain,
            deflated,
            event_stream,
        }
    }
}

fn left_out_of(closed: &ClosedSlot) -> LeftOut {
    let mut left_out = LeftOut::default();
    closed.left_out.iter().for_each(|it| left_out.add(it.class));
    left_out
}
