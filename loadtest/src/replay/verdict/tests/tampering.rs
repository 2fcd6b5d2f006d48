//! Whatever an honest gateway does closes; whatever single thing is changed on the way does not.

use proptest::prelude::*;

use super::{findings, publish, viewer};
use crate::replay::account::Account;
use crate::replay::account::tests::{batch, gap};
use crate::replay::ledger::Ledger;
use crate::replay::verdict::Verdict;
use crate::wire::message::tests::chat;
use crate::wire::message::{Batch, LeftOut};

/// What an honest gateway does with one slot of events.
#[derive(Debug, Clone)]
struct Slot {
    /// For each event whether it is sent.
    fates: Vec<bool>,
    /// Whether the slot is lost as a whole and told in a gap.
    gap: bool,
}

fn any_slots() -> impl Strategy<Value = Vec<Slot>> {
    let slot = (prop::collection::vec(any::<bool>(), 0..8), prop::bool::weighted(0.2));
    prop::collection::vec(slot.prop_map(|(fates, gap)| Slot { fates, gap }), 1..12)
}

/// Plays slots; calls `tamper` with each batch on its way, which may send nothing or several.
fn play(slots: &[Slot], mut tamper: impl FnMut(usize, Batch) -> Vec<Batch>) -> (Account, Ledger) {
    let (mut account, mut ledger) = (viewer(), Ledger::default());
    for (at, slot) in slots.iter().enumerate() {
        let ids: Vec<String> = (0..slot.fates.len()).map(|n| format!("{at}-{n}")).collect();
        ids.iter().for_each(|id| publish(&mut ledger, id));
        if slot.gap {
            account.gap(&gap(at as u64, ids.len() as u64));
            continue;
        }
        let sent = ids.iter().zip(&slot.fates).filter(|(_, sent)| **sent);
        let mut batch = batch(at as u64, sent.map(|(id, _)| chat(id)).collect());
        let left_out = slot.fates.iter().filter(|sent| !**sent).count() as u64;
        if left_out > 0 {
            batch.left_out = LeftOut::from([("chat".into(), left_out)]);
        }
        tamper(at, batch).iter().for_each(|batch| account.batch(batch, 0));
    }
    (account, ledger)
}

proptest! {
    #[test]
    fn an_honest_gateway_always_closes(slots in any_slots()) {
        let (account, ledger) = play(&slots, |_, batch| vec![batch]);
        prop_assert_eq!(findings(&account, &ledger), []);
    }

    #[test]
    fn no_single_tampering_closes(slots in any_slots(), which: prop::sample::Index, how in 0..5) {
        let target = which.index(slots.len());
        let mut tampered = false;
        let (account, ledger) = play(&slots, |at, mut batch| {
            if at != target {
                return vec![batch];
            }
            tampered = match how {
                0 => batch.events.pop().is_some(),
                1 => {
                    batch.events.extend(batch.events.last().cloned());
                    !batch.events.is_empty()
                }
                2 => batch.left_out.remove("chat").is_some(),
                3 => {
                    *batch.left_out.entry("chat".into()).or_default() += 1;
                    true
                }
                _ => {
                    let swap = batch.events.len() > 1;
                    batch.events.reverse();
                    swap
                }
            };
            vec![batch]
        });
        prop_assert_eq!(Verdict::of(&account, &ledger).closes(), !tampered);
    }

    #[test]
    fn a_batch_that_vanishes_or_comes_again_never_closes(
        slots in any_slots(), which: prop::sample::Index, again: bool
    ) {
        let target = which.index(slots.len());
        prop_assume!(!slots[target].gap);
        let (account, ledger) = play(&slots, |at, batch| match (at == target, again) {
            (true, true) => vec![batch.clone(), batch],
            (true, false) => vec![],
            (false, _) => vec![batch],
        });
        let told_nothing = slots[target].fates.is_empty();
        let was_last = target + 1 == slots.len();
        // An empty last batch that never came is no loss.
        let closes = Verdict::of(&account, &ledger).closes();
        prop_assert_eq!(closes, !again && told_nothing && was_last);
    }
}
