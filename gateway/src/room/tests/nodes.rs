//! Two gateways with the same room: their viewers see the same.

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::event::Class;

use super::fixtures::{Driven, Told, entry, event, join};

/// Pause before an entry, its age when it arrives first, how much later it reaches each node,
/// and its classes.
type Step = (u64, u64, [u64; 2], Vec<usize>);

/// The batches of a node whose viewers come at given offsets; state is a node's own affair.
fn batches(node: usize, steps: &[Step], joins: &[u64]) -> Vec<Told> {
    let mut driven = Driven::opened(50).seated(0);
    let mut joins: Vec<(u64, u32)> = joins.iter().copied().zip(1..).collect();
    joins.sort_unstable();
    let mut joins = joins.into_iter().peekable();
    let (mut made_ms, mut n) = (0, 0);
    for (seq, (pause, age_ms, jitter_ms, classes)) in (1..).zip(steps) {
        made_ms += pause;
        let arrives_ms = driven.offset_ms().max(made_ms + jitter_ms[node]);
        while let Some((offset_ms, slot)) = joins.next_if(|(offset_ms, _)| *offset_ms < arrives_ms)
        {
            driven.wait_until(offset_ms.max(driven.offset_ms()));
            driven.room.join(join(slot));
        }
        driven.wait_until(arrives_ms);
        let events = classes.iter().map(|class| {
            n += 1;
            event(n, Class::ALL[*class])
        });
        driven.entry(entry(seq, made_ms.saturating_sub(*age_ms), events.collect()));
    }
    driven.wait_until(driven.offset_ms() + 60_000);
    let told = driven.take_frames().into_iter().map(|frame| Told::of(&frame.variants[0]));
    let told = told.map(|told| Told { state: (None, None), ..told });
    told.filter(|told| told.prev != Some(told.cursor) || !told.events.is_empty()).collect()
}

proptest! {
    #[test]
    fn nodes_send_the_same_batches_whatever_the_jitter_within_the_grace(
        steps in vec((prop_oneof![8 => 0..300u64, 1 => 300..4_000u64], 0..25u64,
            [0..25u64, 0..25u64], vec(0..Class::ALL.len(), 0..6)), 1..40),
        joins in [vec(0..10_000u64, 0..5), vec(0..10_000u64, 0..5)]
    ) {
        let told = batches(0, &steps, &joins[0]);
        prop_assert_eq!(&told, &batches(1, &steps, &joins[1]));
        prop_assert!(told.windows(2).all(|pair| pair[1].prev == Some(pair[0].cursor)));
        prop_assert_eq!(told.last().map(|t| (t.cursor, t.held)), Some((steps.len() as u64, 0)));
    }
}
