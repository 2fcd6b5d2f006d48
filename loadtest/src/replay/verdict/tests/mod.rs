//! Adversarial accounts: everything that a gateway can get wrong must be found, by its name.

mod tampering;

use super::*;
use crate::replay::account::tests::{batch, gap, joined};
use crate::replay::ledger::Own;
use crate::wire::message::tests::{chat, event};
use crate::wire::message::{EventHead, LeftOut};

/// Publishes these ids, each in its own request and acked before the next is sent.
fn published(ids: &[&str]) -> Ledger {
    let mut ledger = Ledger::default();
    for id in ids {
        publish(&mut ledger, id);
    }
    ledger
}

fn publish(ledger: &mut Ledger, id: &str) {
    let own = Own { from: ledger.advance(), to: ledger.advance(), place: Some(0) };
    ledger.enter(id.into(), own);
}

fn chats(ids: &[&str]) -> Vec<EventHead> {
    ids.iter().map(|id| chat(id)).collect()
}

/// A viewer in the room before anything is published.
fn viewer() -> Account {
    let mut account = Account::default();
    account.joined(&joined(0), 0);
    account
}

fn findings(account: &Account, ledger: &Ledger) -> Vec<Finding> {
    Verdict::of(account, ledger).findings
}

fn leaving_out(prev: u64, ids: &[&str], class: &str, count: u64) -> crate::wire::message::Batch {
    let mut batch = batch(prev, chats(ids));
    batch.left_out = LeftOut::from([(class.into(), count)]);
    batch
}

#[test]
fn received_left_out_and_gaps_that_add_up_close() {
    let ledger = published(&["a", "b", "c", "d", "e", "f"]);
    let mut account = viewer();
    account.batch(&leaving_out(0, &["a", "c"], "chat", 1), 0);
    account.gap(&gap(1, 2));
    account.batch(&batch(2, chats(&["f"])), 0);
    let verdict = Verdict::of(&account, &ledger);
    assert_eq!(verdict.findings, []);
    assert_eq!(verdict.rule, Rule::Exact);
    let expected =
        Sums { published: 6, received: 3, missing: 3, left_out_chat: 1, gap: 2, ..Sums::default() };
    assert_eq!(verdict.sums, expected);
}

#[test]
fn a_lost_event_is_lost() {
    let ledger = published(&["a", "b", "c"]);
    let mut account = viewer();
    account.batch(&batch(0, chats(&["a", "c"])), 0);
    assert_eq!(findings(&account, &ledger), [Finding::Lost(1)]);
    assert!(Verdict::of(&account, &ledger).is_waiting(), "a later batch may bring it");
}

#[test]
fn a_doubled_event_is_a_duplicate_and_does_not_stand_in_for_a_lost_one() {
    let ledger = published(&["a", "b"]);
    let mut account = viewer();
    account.batch(&batch(0, chats(&["a", "a"])), 0);
    let duplicate = Finding::Duplicate { count: 1, first: "a".into() };
    assert_eq!(findings(&account, &ledger), [Finding::Lost(1), duplicate.clone()]);
    account.batch(&batch(1, chats(&["b"])), 0);
    assert_eq!(findings(&account, &ledger), [duplicate]);
}

#[test]
fn swapped_batches_break_the_chain_and_the_order() {
    let ledger = published(&["a", "b", "c"]);
    let mut account = viewer();
    account.batch(&batch(1, chats(&["b"])), 0);
    account.batch(&batch(0, chats(&["a"])), 0);
    account.batch(&batch(2, chats(&["c"])), 0);
    let first = "a batch follows e:1 where e:0 was the last".into();
    assert_eq!(
        findings(&account, &ledger),
        [Finding::ChainBroken { count: 3, first }, Finding::Disorder(1)]
    );
}

#[test]
fn events_swapped_inside_a_batch_are_disorder() {
    let ledger = published(&["a", "b"]);
    let mut account = viewer();
    account.batch(&batch(0, chats(&["b", "a"])), 0);
    assert_eq!(findings(&account, &ledger), [Finding::Disorder(1)]);
}

#[test]
fn a_left_out_that_is_too_small_is_a_loss_and_one_too_large_is_over_told() {
    let ledger = published(&["a", "b", "c"]);
    for (count, expected) in
        [(1, vec![Finding::Lost(1)]), (2, vec![]), (3, vec![Finding::OverTold(1)])]
    {
        let mut account = viewer();
        account.batch(&leaving_out(0, &["a"], "chat", count), 0);
        assert_eq!(findings(&account, &ledger), expected, "{count}");
    }
}

#[test]
fn a_left_out_in_another_class_does_not_cover_chat() {
    let ledger = published(&["a", "b"]);
    let mut account = viewer();
    account.batch(&leaving_out(0, &["a"], "ambient", 1), 0);
    assert_eq!(findings(&account, &ledger), [Finding::Lost(1)]);
}

#[test]
fn held_does_not_cover_chat() {
    let ledger = published(&["a", "b"]);
    let mut account = viewer();
    let mut holding = batch(0, chats(&["a"]));
    holding.held = 1;
    account.batch(&holding, 0);
    assert_eq!(findings(&account, &ledger), [Finding::Lost(1)]);
}

#[test]
fn a_wrong_gap_is_found_in_both_directions() {
    let ledger = published(&["a", "b", "c"]);
    for (count, expected) in
        [(1, vec![Finding::Lost(1)]), (2, vec![]), (4, vec![Finding::OverTold(2)])]
    {
        let mut account = viewer();
        account.gap(&gap(0, count));
        account.batch(&batch(1, chats(&["c"])), 0);
        assert_eq!(findings(&account, &ledger), expected, "{count}");
    }
}

#[test]
fn a_gap_that_does_not_follow_breaks_the_chain() {
    let ledger = published(&["a"]);
    let mut account = viewer();
    account.gap(&gap(4, 1));
    let first = "a gap follows e:4 where e:0 was the last".into();
    assert_eq!(findings(&account, &ledger), [Finding::ChainBroken { count: 1, first }]);
}

#[test]
fn requests_in_flight_together_have_no_order_but_places_in_one_request_have() {
    let mut ledger = Ledger::default();
    let (first, second) = (ledger.advance(), ledger.advance());
    let to = ledger.advance();
    for (id, from, place) in [("a", first, 0), ("b", first, 1), ("c", second, 0)] {
        ledger.enter(id.into(), Own { from, to, place: Some(place) });
    }
    publish(&mut ledger, "d");

    let judged = |order: &[&str]| {
        let mut account = viewer();
        account.batch(&batch(0, chats(order)), 0);
        findings(&account, &ledger)
    };
    assert_eq!(judged(&["a", "b", "c", "d"]), []);
    assert_eq!(judged(&["c", "a", "b", "d"]), [], "the requests overlapped");
    assert_eq!(judged(&["a", "c", "b", "d"]), []);
    assert_eq!(judged(&["b", "a", "c", "d"]), [Finding::Disorder(1)], "one request has an order");
    assert_eq!(judged(&["d", "a", "b", "c"]), [Finding::Disorder(3)], "d was sent after the acks");
}

#[test]
fn an_event_that_may_be_of_an_earlier_attempt_has_no_place() {
    let mut ledger = Ledger::default();
    let from = ledger.advance();
    let to = ledger.advance();
    ledger.enter("retried".into(), Own { from, to, place: None });
    ledger.enter("beside".into(), Own { from, to, place: Some(7) });
    let mut account = viewer();
    account.batch(&batch(0, chats(&["beside", "retried"])), 0);
    assert_eq!(findings(&account, &ledger), []);
}

#[test]
fn foreign_events_without_chat_leave_chat_exact() {
    let ledger = published(&["a", "b"]);
    let mut account = viewer();
    let mut mixed = leaving_out(0, &["a"], "chat", 1);
    mixed.events.push(event("x", "enter"));
    account.batch(&mixed, 0);
    let verdict = Verdict::of(&account, &ledger);
    assert_eq!((verdict.rule, verdict.sums.foreign), (Rule::ChatExact, 1));
    assert_eq!(verdict.findings, []);

    account.batch(&leaving_out(1, &[], "chat", 1), 0);
    assert_eq!(findings(&account, &ledger), [Finding::OverTold(1)]);
}

#[test]
fn foreign_chat_may_be_what_was_left_out_but_nothing_of_ours_is_untold() {
    let ledger = published(&["a", "b"]);
    let mut account = viewer();
    account.batch(&leaving_out(0, &["a", "theirs"], "chat", 5), 0);
    let verdict = Verdict::of(&account, &ledger);
    assert_eq!((verdict.rule, verdict.findings), (Rule::NothingUntold, vec![]));

    let mut account = viewer();
    account.batch(&batch(0, chats(&["a", "theirs"])), 0);
    assert_eq!(findings(&account, &ledger), [Finding::Lost(1)], "theirs does not replace ours");
}

#[test]
fn what_was_held_at_the_join_is_foreign_and_changes_nothing() {
    let ledger = published(&["a"]);
    let mut account = Account::default();
    let mut holding = joined(0);
    holding.held = 1;
    account.joined(&holding, 0);
    let mut paid = batch(0, chats(&["a"]));
    paid.events.push(event("gift", "gift"));
    account.batch(&paid, 0);
    let verdict = Verdict::of(&account, &ledger);
    assert_eq!((verdict.rule, verdict.findings), (Rule::ChatExact, vec![]));
}

/// Joins before "a" and "b", breaks, and comes back without recovery before "c" and "d".
fn restarted(history: &[&str]) -> (Account, Ledger) {
    let mut ledger = published(&["a", "b"]);
    let mut account = viewer();
    account.batch(&batch(0, chats(&["a"])), 0);
    let mut again = joined(5);
    again.recovered = Some(false);
    again.events = chats(history);
    account.joined(&again, ledger.step());
    publish(&mut ledger, "c");
    publish(&mut ledger, "d");
    (account, ledger)
}

#[test]
fn after_a_restart_the_last_stretch_is_judged_within_bounds() {
    let (mut account, ledger) = restarted(&[]);
    account.batch(&batch(5, chats(&["c"])), 0);
    assert_eq!(findings(&account, &ledger), [Finding::Lost(1)]);
    account.batch(&leaving_out(6, &[], "chat", 1), 0);
    assert_eq!(findings(&account, &ledger), []);
    account.batch(&leaving_out(7, &[], "chat", 1), 0);
    assert_eq!(findings(&account, &ledger), [], "b may have come after the second join");
    account.batch(&leaving_out(8, &[], "chat", 1), 0);
    assert_eq!(findings(&account, &ledger), [Finding::OverTold(1)], "nothing else can be left");
}

#[test]
fn history_after_a_restart_is_not_uncertain() {
    let (mut account, ledger) = restarted(&["a", "b"]);
    account.batch(&batch(5, chats(&["c", "d"])), 0);
    let verdict = Verdict::of(&account, &ledger);
    assert_eq!((verdict.sums.uncertain, verdict.findings), (0, vec![]));
}

#[test]
fn a_viewer_that_never_joined_or_gave_up_does_not_close() {
    let ledger = published(&["a"]);
    let mut account = Account::default();
    assert_eq!(findings(&account, &ledger), [Finding::NeverJoined]);
    account.failed = Some("kicked".into());
    assert_eq!(findings(&account, &ledger), [Finding::GaveUp("kicked".into())]);
    let mut account = viewer();
    account.batch(&batch(0, chats(&["a"])), 0);
    account.failed = Some("kicked".into());
    assert_eq!(findings(&account, &ledger), [Finding::GaveUp("kicked".into())]);
}

#[test]
fn messages_that_are_not_ours_are_a_finding() {
    let mut account = viewer();
    account.malformed("a batch without a cursor".into());
    let first = "a batch without a cursor".into();
    assert_eq!(findings(&account, &published(&[])), [Finding::Malformed { count: 1, first }]);
}
