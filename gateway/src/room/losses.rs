//! How a room goes on when its log could not give everything: entries that cannot be had, and a
//! log that has begun anew. Members are told a `gap`, at once, and what comes next follows it.

use broker_bridge::Entry;
use protocol::cursor::{Bookmark, Cursor, Seq};
use protocol::to_client::{GapReason, ServerMessage, StateChange};

use crate::now::Now;
use crate::room::effect::{Effect, Variant};
use crate::room::log::{Log, Past};
use crate::room::{Fetching, Room};

impl Room {
    /// Entries up to a position cannot be had; so many events were in them.
    ///
    /// What came before them goes out at once, so that the gap can lead over them: who was told of
    /// it and comes back, perhaps to a gateway that has those entries, gets none of them as well.
    /// What is lost at the last entry was in none: live events. Nobody who comes back is owed them.
    pub(super) fn lost(&mut self, upto: Seq, events: u64, now: Now, out: &mut Vec<Effect>) {
        let Some(log) = &self.log else { return };
        if upto > log.head().seq {
            return self.leap(upto, events, GapReason::Lost, now, out);
        }
        let gaps = log.standing().into_iter().map(|at| (at, at)).collect();
        self.tell_gap(gaps, events, GapReason::Lost, out);
    }

    /// Goes on at a later position: whatever is known before it goes out, and a gap follows.
    fn leap(&mut self, to: Seq, events: u64, reason: GapReason, now: Now, out: &mut Vec<Effect>) {
        while let Some(closed) = self.log.as_mut().and_then(|log| log.close_early(now.unix_ms)) {
            self.send_closed(closed, StateChange::default(), out);
        }
        let Some(log) = &mut self.log else { return };
        let from = log.standing();
        log.jump(to);
        let to = log.bookmark(to);
        let gaps = from.into_iter().map(|at| (at, to)).collect();
        self.tell_gap(gaps, events, reason, out);
    }

    /// The broker has opened the room, for the first time or once more.
    pub(super) fn opened(
        &mut self,
        head: Cursor,
        recent: Vec<Entry>,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        let Some(log) = &self.log else {
            self.log = Some(Log::open(head, recent, self.slots(), now.unix_ms));
            return;
        };
        let known = log.head();
        if head.epoch == known.epoch && head.seq >= known.seq {
            self.catch_up(head, recent, now, out);
        } else {
            self.begin_anew(head, recent, now, out);
        }
    }

    /// The log has gone on without this gateway: what the broker has told of it follows, and what
    /// came before that is a gap.
    fn catch_up(&mut self, head: Cursor, recent: Vec<Entry>, now: Now, out: &mut Vec<Effect>) {
        let Some(log) = &self.log else { return };
        let (known, start) = (log.head().seq, recent.first().map_or(head.seq, |entry| entry.prev));
        if start > known {
            self.leap(start, 0, GapReason::Expired, now, out);
        }
        let Some(log) = &mut self.log else { return };
        for entry in recent {
            log.add(entry, now.unix_ms);
        }
    }

    /// The log is another one. What is left of the old one goes out, held events included, and a
    /// gap leads to the beginning of what is known of the new one.
    fn begin_anew(&mut self, head: Cursor, recent: Vec<Entry>, now: Now, out: &mut Vec<Effect>) {
        while let Some(closed) = self.log.as_mut().and_then(|log| log.close_last(now.unix_ms)) {
            self.send_closed(closed, StateChange::default(), out);
        }
        let Some(old) = &self.log else { return };
        let (from, start) = (old.standing(), recent.first().map_or(head.seq, |entry| entry.prev));
        let log = Log::open_behind(head, recent, self.slots(), now.unix_ms);
        let to: Bookmark = head.at(start).into();
        self.log = Some(log);
        self.tell_gap(from.into_iter().map(|at| (at, to)).collect(), 0, GapReason::Expired, out);
        for Fetching { joins, .. } in std::mem::take(&mut self.waiting.fetching) {
            self.answer_alike(joins, now, out, |_, _| Past::Lost);
        }
    }

    fn tell_gap(
        &self,
        gaps: Vec<(Bookmark, Bookmark)>,
        events: u64,
        reason: GapReason,
        out: &mut Vec<Effect>,
    ) {
        if self.listeners.is_empty() {
            return;
        }
        let variants = gaps.into_iter().map(|(from, to)| {
            let gap = ServerMessage::Gap { room: &self.id, from, to, count: events, reason };
            let count = u32::try_from(events).unwrap_or(u32::MAX);
            let (payload, state) = (gap.render(), StateChange::default());
            Variant { prev: from, cursor: to, payload, count, state }
        });
        out.push(Effect::Frame(self.frame_of("gap", variants.collect())));
    }
}
