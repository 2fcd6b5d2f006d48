//! Fan-out: a room's frame goes to its members, some in every turn.

use crate::client::members::Member;
use crate::client::outbox::{HeldBatch, Lane};
use crate::metrics::Metrics;
use crate::now::Now;
use crate::shard::clients::Life;
use crate::shard::flush::Sent;
use crate::shard::rooms::Job;
use crate::shard::task::{Shard, WRITES_PER_TURN};
use crate::shard::{FrameVariant, RoomCommand, ShardFrame};

impl Shard {
    pub(super) fn room(&mut self, command: RoomCommand, now: Now) {
        match command {
            RoomCommand::Answer(answer) => {
                let room = answer.room.clone();
                self.rooms.queue(&room, Job::Seat(answer));
            }
            RoomCommand::Frame(frame) => {
                let overtaken = self.rooms.queue_frame(frame, now.mono);
                self.metrics.overtaken_frames.inc_by(overtaken as u64);
            }
            RoomCommand::Dismiss { room, refusal } => {
                self.rooms.queue(&room, Job::Dismiss(refusal));
            }
            RoomCommand::Refuse { room, joins, refusal } => {
                joins.iter().for_each(|join| self.refuse(&room, join, &refusal, now));
            }
        }
    }

    /// Does one turn of the room whose turn it is.
    pub(super) fn work(&mut self, now: Now) {
        let Some((room, job)) = self.rooms.take_turn() else { return };
        let unfinished = match job {
            Job::Seat(answer) => {
                self.seat(room, &answer, now);
                None
            }
            Job::Flush { frame, since } => {
                let done = self.flush(room, &frame, now);
                (!done).then_some(Job::Flush { frame, since })
            }
            Job::Dismiss(refusal) => {
                let done = self.dismiss(room, &refusal, now);
                (!done).then_some(Job::Dismiss(refusal))
            }
        };
        self.rooms.end_turn(room, unfinished);
    }

    /// Writes a room's frame to some of its members; returns whether all have been served.
    fn flush(&mut self, room: u32, shard_frame: &ShardFrame, now: Now) -> bool {
        let Some(seats) = self.rooms.get(room) else { return true };
        let mut tally = FlushTally::default();
        let mut ends: Vec<(u32, u32, Sent)> = Vec::new();
        for member in seats.members.serve(WRITES_PER_TURN) {
            let Some(client) = self.clients.seated(member.slot) else { continue };
            let Some(variant) = variant_for(member, &shard_frame.variants) else {
                tally.unmatched += u64::from(member.is_behind(shard_frame.variants[0].cursor));
                continue;
            };
            member.goes_to(variant.cursor);
            let form = member.form;
            let Some(frame) = &variant.forms[form as usize] else {
                tally.unmatched += 1;
                continue;
            };
            if matches!(client.life, Life::Closing(_)) {
                continue;
            }
            tally.missed += u64::from(variant.missed);
            let sent = client.send_batch(frame, now.mono, || HeldBatch {
                room: shard_frame.room.clone(),
                prev: variant.prev,
                cursor: variant.cursor,
                form,
                frame: frame.clone(),
                count: variant.count,
                missed: variant.missed,
                state: variant.state.clone(),
            });
            match sent {
                Sent::Whole => {
                    tally.frames += 1;
                    tally.bytes += frame.len() as u64;
                }
                Sent::Queued { dropped } => tally.missed += u64::from(dropped),
                Sent::Stuck | Sent::Broken | Sent::Overflow => {
                    ends.push((member.slot, client.generation, sent));
                }
            }
        }
        let done = seats.members.finish_if_served();
        tally.record(&self.metrics);
        for (slot, generation, sent) in ends {
            self.sent_control(slot, generation, 0, sent, now);
        }
        done
    }
}

/// The variant that goes on where the member's last one ended; `None` if it has all of it.
fn variant_for<'a>(member: &Member, variants: &'a [FrameVariant]) -> Option<&'a FrameVariant> {
    variants.iter().find(|variant| member.stands_at(variant.prev))
}

/// What one turn of a flush did, recorded once per turn instead of once per frame.
#[derive(Debug, Default)]
struct FlushTally {
    frames: u64,
    bytes: u64,
    missed: u64,
    unmatched: u64,
}

impl FlushTally {
    fn record(self, metrics: &Metrics) {
        metrics.sent(Lane::Danmaku, self.frames, self.bytes);
        metrics.gap_events.inc_by(self.missed);
        metrics.unmatched.inc_by(self.unmatched);
    }
}
