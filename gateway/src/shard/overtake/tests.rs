//! Whoever is overtaken ends where those end who were sent everything, and with the same account.

use proptest::prelude::*;
use protocol::cursor::{Cursor, Epoch, Owed};
use protocol::frame;

use super::*;

fn at(seq: u64) -> Bookmark {
    Cursor { epoch: Epoch::random([7; 8]), seq }.into()
}

/// The same with so many paid events still to come.
fn owing(seq: u64, count: u32) -> Bookmark {
    Bookmark { owed: (count > 0).then_some(Owed { oldest: 1, count }), ..at(seq) }
}

/// What happens in one slot: how many entries, which of their places somebody joins at, whether
/// the likes are told, how many events go out that were held.
type Slot = (u64, Vec<u64>, Option<u64>, u32);

/// The frames of slots that follow each other, as a room makes them, and who stands where.
fn frames(slots: &[Slot]) -> (Vec<ShardFrame>, Vec<(usize, Bookmark)>) {
    let mut frames = Vec::new();
    let mut held: u32 = slots.iter().map(|slot| slot.3).sum();
    let mut begin = 1;
    let mut members = vec![(0, owing(begin, held))];
    for (n, (entries, joins, likes, paced)) in slots.iter().enumerate() {
        let end = begin + entries;
        let mut prevs = vec![begin];
        for join in joins.iter().map(|join| begin + join % (entries + 1)) {
            // Whoever joins during a slot is served from its frame on.
            members.push((n, owing(join, held)));
            if !prevs.contains(&join) {
                prevs.push(join);
            }
        }
        let state = StateChange { likes: *likes, ..StateChange::default() };
        let is_told = *paced > 0 || !state.is_empty();
        let variants = prevs.iter().filter(|prev| **prev < end || is_told || **prev == begin);
        let variants = variants.map(|prev| FrameVariant {
            prev: owing(*prev, held),
            cursor: owing(end, held - paced),
            count: (end - prev) as u32 + paced,
            missed: 0,
            state: state.clone(),
            forms: [Some(frame::text(format!("{prev}-{end}").as_bytes())), None, None],
        });
        let room = RoomId::parse("demo").unwrap();
        frames.push(ShardFrame { room, variants: variants.collect() });
        begin = end;
        held -= paced;
    }
    (frames, members)
}

/// Serves a member; returns where it stands then, how many events it was told of, and the likes.
fn serve(from: Bookmark, frames: &[ShardFrame]) -> (Bookmark, u64, Option<u64>) {
    let mut told = (from, 0, None);
    for frame in frames {
        if let Some(variant) = frame.variants.iter().find(|v| v.prev == told.0) {
            told.0 = variant.cursor;
            told.1 += u64::from(variant.count);
            told.2 = variant.state.likes.or(told.2);
        }
    }
    told
}

proptest! {
    #[test]
    fn the_account_closes_for_everybody_whoever_is_overtaken(
        slots in prop::collection::vec(
            (0u64..4, prop::collection::vec(0u64..4, 0..3), prop::option::of(1u64..9), 0u32..3),
            2..7
        ),
        first in 0usize..6, count in 1usize..6
    ) {
        let (frames, members) = frames(&slots);
        let last = frames.len() - 1;
        let first = first.min(last - 1);
        let newest = (first + count).min(last);
        let older: Vec<_> = frames[first..newest].iter().collect();
        let overtaken = overtake(&older, &frames[newest]);
        let mut sent = frames[..first].to_vec();
        sent.push(overtaken);
        sent.extend_from_slice(&frames[newest + 1..]);
        for (slot, from) in members {
            // Those who join while frames wait are seated before the newest one.
            let served = if slot <= first { slot } else { (slot.max(newest) + first) - newest };
            let (cursor, count, likes) = serve(from, &frames[slot..]);
            let told = serve(from, &sent[served..]);
            prop_assert_eq!((told.0, told.1), (cursor, count), "joined in {} at {}", slot, from);
            // Who joined between two frames without events may be told the likes of the first too.
            prop_assert!(likes.is_none() || told.2 == likes);
        }
    }
}

#[test]
fn what_is_missed_is_told_in_front_of_the_newest_batch() {
    let (frames, _) =
        frames(&[(2, vec![], None, 0), (3, vec![], Some(7), 0), (1, vec![], None, 0)]);
    let overtaken = overtake(&[&frames[0], &frames[1]], &frames[2]);
    let variant = variant_at(&overtaken.variants, at(1)).unwrap();
    assert_eq!((variant.cursor, variant.count, variant.missed), (at(7), 6, 5));
    let text = String::from_utf8_lossy(variant.forms[0].as_ref().unwrap()).into_owned();
    let (from, to) = (at(1), at(6));
    let gap = format!(r#""from":"{from}","to":"{to}","count":5,"reason":"slow""#);
    let state = format!(r#""prev":"{to}","cursor":"{to}""#);
    let places = [gap.as_str(), state.as_str(), r#""likes":7"#, "6-7"].map(|part| text.find(part));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{text}");
    assert!(variant.forms[1].is_none(), "nobody wants it");
}

#[test]
fn whoever_has_nothing_in_the_newest_frame_is_told_the_gap_alone() {
    let (mut frames, _) = frames(&[(2, vec![], None, 0), (1, vec![], None, 0)]);
    let other = FrameVariant { prev: at(9), cursor: at(10), ..frames[1].variants[0].clone() };
    frames[1].variants = [other].into();
    let overtaken = overtake(&[&frames[0]], &frames[1]);
    let variant = variant_at(&overtaken.variants, at(1)).unwrap();
    assert_eq!((variant.cursor, variant.count, variant.missed), (at(3), 2, 2));
}
