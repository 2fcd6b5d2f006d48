//! Overtaking: a shard that is behind sends the newest frame of a room, and tells in it, once for
//! all members, what they miss of those before.
//!
//! It costs a member one write, as a frame does that nothing is missed before.

use bytes::Bytes;
use protocol::cursor::Bookmark;
use protocol::ids::RoomId;
use protocol::to_client::StateChange;

use crate::client::Form;
use crate::client::missed::{Gap, Untold};
use crate::shard::{FrameVariant, ShardFrame};

/// Frames that are not sent to those who stand at `from`.
#[derive(Debug)]
struct Missed {
    from: Bookmark,
    to: Bookmark,
    count: u32,
    state: StateChange,
}

impl Missed {
    fn of(variant: &FrameVariant) -> Self {
        let FrameVariant { prev, cursor, count, state, .. } = variant;
        Self { from: *prev, to: *cursor, count: *count, state: state.clone() }
    }

    /// Misses the next frame too.
    fn and(&mut self, variant: &FrameVariant) {
        self.to = variant.cursor;
        self.count += variant.count;
        self.state.merge(variant.state.clone());
    }

    /// What is told in place of what is missed.
    fn told(&self, room: &RoomId, form: Form) -> Vec<Bytes> {
        let Self { from, to, count, ref state } = *self;
        let gap = (count > 0 || from != to).then(|| Gap { from, to, count, form }.frame(room));
        let untold = || Untold { at: to, form, state: state.clone() }.frame(room);
        let untold = (!state.is_empty()).then(untold);
        gap.into_iter().chain(untold).collect()
    }
}

/// The newest frame, for those who were sent none of the older ones, and for those who came after
/// some of them.
pub(super) fn overtake(older: &[&ShardFrame], newest: &ShardFrame) -> ShardFrame {
    let mut all: Vec<Missed> = Vec::new();
    for frame in older {
        for missed in &mut all {
            if let Some(next) = variant_at(&frame.variants, missed.to) {
                missed.and(next);
            }
        }
        let known = all.len();
        let is_new = |v: &&FrameVariant| !all[..known].iter().any(|m| is_at(m.from, v.prev));
        let new: Vec<_> = frame.variants.iter().filter(is_new).map(Missed::of).collect();
        all.extend(new);
    }
    let mut variants = newest.variants.to_vec();
    for missed in all {
        let variant = behind(&missed, newest);
        match variants.iter_mut().find(|v| is_at(v.prev, missed.from)) {
            Some(same) => *same = variant,
            None => variants.push(variant),
        }
    }
    ShardFrame { room: newest.room.clone(), variants: variants.into() }
}

/// The newest frame behind what is missed; nothing but that if it has nothing for those members.
fn behind(missed: &Missed, newest: &ShardFrame) -> FrameVariant {
    let next = variant_at(&newest.variants, missed.to);
    let wants =
        |form: Form| newest.variants.first().is_some_and(|v| v.forms[form as usize].is_some());
    let forms = Form::ALL.map(|form| {
        let batch = next.and_then(|next| next.forms[form as usize].clone());
        let frames = missed.told(&newest.room, form).into_iter().chain(batch);
        wants(form).then(|| frames.collect::<Vec<_>>().concat().into())
    });
    let mut state = missed.state.clone();
    state.merge(next.map(|next| next.state.clone()).unwrap_or_default());
    FrameVariant {
        prev: missed.from,
        cursor: next.map_or(missed.to, |next| next.cursor),
        count: missed.count + next.map_or(0, |next| next.count),
        missed: missed.count,
        state,
        forms,
    }
}

/// The variant for those who stand there.
fn variant_at(variants: &[FrameVariant], at: Bookmark) -> Option<&FrameVariant> {
    variants.iter().find(|variant| is_at(variant.prev, at))
}

/// A frame of nothing but held events moves no entry, only what is still to come.
fn is_at(one: Bookmark, other: Bookmark) -> bool {
    (one.at.seq, one.held()) == (other.at.seq, other.held())
}

#[cfg(test)]
mod tests;
