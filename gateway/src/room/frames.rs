//! What a room sends at the end of a slot.

use bytes::Bytes;
use protocol::cursor::Bookmark;
use protocol::select::LeftOut;
use protocol::to_client::{Batch, StateChange};

use crate::client::Form;
use crate::now::Now;
use crate::room::Room;
use crate::room::effect::{Effect, RoomFrame, Variant};
use crate::room::slots::ClosedSlot;

impl Room {
    pub(super) fn close_slots(&mut self, now: Now, out: &mut Vec<Effect>) {
        let mut told = false;
        while let Some((closed, heads)) =
            self.log.as_mut().and_then(|log| log.close_due(now.unix_ms))
        {
            let due_ms = closed.ended_ms + self.grace_ms;
            let (sent, left_out) = (closed.sent.len(), left_out_of(&closed));
            out.push(Effect::Closed { sent, left_out, due_ms });
            if self.listeners.is_empty() {
                continue;
            }
            let state = if told { StateChange::default() } else { self.state_change(now) };
            told = true;
            out.push(Effect::Frame(self.frame(&closed, &heads, &state)));
        }
        if self.state_frame_due_ms().is_some_and(|due_ms| due_ms <= now.unix_ms) {
            let state = self.state_change(now);
            if !state.is_empty() {
                out.push(Effect::Frame(self.state_frame(&state)));
            }
        }
    }

    /// When a frame is needed that tells nothing but the state. None is while a slot is open: the
    /// state goes out with it, and until then the members stand at its beginning, not at the head.
    pub(super) fn state_frame_due_ms(&self) -> Option<u64> {
        let is_quiet = self.log.as_ref().is_some_and(|log| log.due_ms().is_none());
        self.state_due_ms.filter(|_| is_quiet)
    }

    /// Sets the slot's end at which a change of the state is to be told, if there is one and
    /// anybody to tell.
    pub(super) fn note_state(&mut self, now: Now) {
        let Some(log) = self.log.as_ref().filter(|_| !self.listeners.is_empty()) else {
            self.state_due_ms = None;
            return;
        };
        let from_ms = self.tally.due_ms().map(|due_ms| due_ms.saturating_sub(1));
        let due_ms = from_ms.map(|from_ms| log.slot_end_ms(from_ms.max(now.unix_ms)));
        // A due that was set stays: the slot that it ends may be open for its grace still.
        self.state_due_ms = self.state_due_ms.into_iter().chain(due_ms).min();
    }

    fn state_change(&mut self, now: Now) -> StateChange {
        self.state_due_ms = None;
        let (online, likes) = self.tally.tell(now.unix_ms);
        StateChange { online, likes, ..StateChange::default() }
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
        self.frame_of(variants.collect())
    }

    /// A frame that tells nothing but what changed in the room's state.
    fn state_frame(&self, state: &StateChange) -> RoomFrame {
        let log = self.log.as_ref().expect("state is told to members, whom an open log has seated");
        let head = log.bookmark(log.head().seq);
        self.frame_of(vec![self.variant(head, head, &[], &LeftOut::default(), state)])
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

    fn frame_of(&self, variants: Vec<Variant>) -> RoomFrame {
        let deflated = self.listeners.wants(Form::Deflated);
        let plain = self.listeners.wants(Form::Plain);
        let event_stream = self.listeners.wants(Form::EventStream);
        RoomFrame {
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
    closed.left_out.iter().for_each(|(_, class)| left_out.add(*class));
    left_out
}
