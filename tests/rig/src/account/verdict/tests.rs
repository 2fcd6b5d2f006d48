//! An honest account closes; whatever is changed in it is found.

use protocol::cursor::{Cursor, Epoch, Seq};

use super::*;
use crate::account::message::{Batch, Gap, Head, Joined};

fn id(n: u8) -> EventId {
    EventId::random([n; 16])
}

fn at(seq: Seq) -> Cursor {
    Cursor { epoch: Epoch::random([1; 8]), seq }
}

fn heads(ids: &[u8]) -> Vec<Head> {
    ids.iter().map(|n| Head { id: id(*n) }).collect()
}

fn joined(seq: Seq, recovered: Option<bool>, events: &[u8], left_out: u64) -> Joined {
    Joined {
        room: "loud".to_owned(),
        cursor: at(seq),
        recovered,
        events: heads(events),
        left_out: [("chat".to_owned(), left_out)].into(),
    }
}

fn batch(prev: Seq, cursor: Seq, events: &[u8], left_out: u64) -> Batch {
    Batch {
        room: "loud".to_owned(),
        prev: at(prev),
        cursor: at(cursor),
        events: heads(events),
        left_out: [("chat".to_owned(), left_out)].into(),
    }
}

fn gap(from: Seq, to: Seq, count: u64) -> Gap {
    Gap { room: "loud".to_owned(), from: at(from), to: at(to), count, reason: "lost".to_owned() }
}

/// Entries 3, 7 and 9, of several events each, and 12, which repeats one.
fn log() -> Log {
    let mut log = Log::default();
    for (seq, ids) in [(3, vec![1, 2]), (7, vec![3, 4, 5]), (9, vec![6]), (12, vec![1, 7])] {
        log.append(seq, ids.into_iter().map(id));
    }
    log
}

/// Everything from entry 3 on: a batch, a recovery, a gap.
fn honest() -> Account {
    let mut account = Account::default();
    account.joined(&joined(3, None, &[1, 2], 0), None);
    account.batch(&batch(3, 7, &[3, 5], 1));
    account.joined(&joined(9, Some(true), &[6], 0), Some(at(7)));
    account.gap(&gap(9, 12, 1));
    account
}

/// Event 4 went out live, and is in the log too; 100 went out live and is in none.
fn evidence(uncertain: u64) -> Evidence {
    Evidence { live: [4, 100].map(id).into(), uncertain }
}

/// What is wrong if nothing went out live.
fn findings(account: &Account, uncertain: u64) -> Vec<Finding> {
    judge(account, &log(), &Evidence { uncertain, ..Evidence::default() }).1
}

/// What is wrong if [`evidence`] is known.
fn findings_with_live(account: &Account) -> Vec<Finding> {
    judge(account, &log(), &evidence(0)).1
}

/// The honest account, but for what is done after its second batch.
fn after_entry_7(change: impl FnOnce(&mut Account)) -> Vec<Finding> {
    let mut account = Account::default();
    account.joined(&joined(3, None, &[], 0), None);
    account.batch(&batch(3, 7, &[3, 4, 5], 0));
    change(&mut account);
    findings(&account, 0)
}

#[test]
fn an_account_in_which_everything_came_or_was_told_missing_closes() {
    let (sums, findings) = judge(&honest(), &log(), &Evidence::default());
    assert_eq!(findings, []);
    assert_eq!(sums, Sums { owed: 5, received: 3, told_missing: 2, ..Sums::default() });
}

#[test]
fn what_is_missing_and_was_not_told_is_found() {
    assert_eq!(after_entry_7(|account| account.batch(&batch(7, 9, &[], 0))), [Finding::Untold(1)]);
    assert_eq!(after_entry_7(|account| account.batch(&batch(7, 9, &[6], 0))), []);
}

#[test]
fn what_was_told_missing_and_is_not_is_found_unless_it_can_have_been_live() {
    let mut account = honest();
    account.batch(&batch(12, 12, &[], 2));
    assert_eq!(findings(&account, 0), [Finding::OverTold(2)]);
    assert_eq!(findings(&account, 2), []);
    assert_eq!(findings_with_live(&account), []);
    account.batch(&batch(12, 12, &[], 1));
    assert_eq!(findings_with_live(&account), [Finding::OverTold(1)]);
}

#[test]
fn events_that_are_in_no_log_are_counted_apart_and_must_have_been_live() {
    let mut account = honest();
    account.batch(&batch(12, 12, &[100], 0));
    let (sums, found) = judge(&account, &log(), &evidence(0));
    assert_eq!((sums.live, sums.received, found), (1, 3, vec![]));
    assert_eq!(findings(&account, 0), [Finding::Unknown(id(100))]);
}

#[test]
fn events_in_another_order_than_the_log_s_are_found() {
    let found = after_entry_7(|account| account.batch(&batch(7, 12, &[7, 6], 0)));
    assert_eq!(found, [Finding::OutOfOrder(id(6))]);
}

#[test]
fn an_event_with_a_message_that_does_not_cover_its_place_is_found() {
    let found = after_entry_7(|account| account.batch(&batch(7, 9, &[7], 0)));
    assert_eq!(found, [Finding::OutOfPlace(id(7))]);
}

#[test]
fn an_event_that_went_out_live_may_come_before_its_place_and_again_there() {
    let live_first = |live: u8, again: &[u8]| {
        let mut account = Account::default();
        account.joined(&joined(3, None, &[], 0), None);
        account.batch(&batch(3, 3, &[live], 0));
        let rest = [3, 4, 5].into_iter().filter(|n| *n != live || again.contains(n));
        account.batch(&batch(3, 7, &rest.collect::<Vec<_>>(), 0));
        let (sums, findings) = judge(&account, &log(), &evidence(0));
        assert_eq!(sums.early, u64::from(live == 4));
        findings
    };
    assert_eq!(live_first(4, &[]), []);
    assert_eq!(live_first(4, &[4]), []);
    assert_eq!(live_first(5, &[]), [Finding::OutOfPlace(id(5)), Finding::OutOfOrder(id(3))]);
    let twice = live_first(5, &[5]);
    assert!(twice.contains(&Finding::Twice(id(5))), "{twice:?}");
}

#[test]
fn who_came_after_a_live_event_may_not_be_told_of_it_and_of_no_other() {
    let without = |missing: u8| {
        let mut account = Account::default();
        account.joined(&joined(3, None, &[], 0), None);
        let rest: Vec<u8> = [3, 4, 5].into_iter().filter(|n| *n != missing).collect();
        account.batch(&batch(3, 7, &rest, 0));
        findings_with_live(&account)
    };
    assert_eq!(without(4), []);
    // Two are missing, and only one of them was live.
    let mut account = Account::default();
    account.joined(&joined(3, None, &[], 0), None);
    account.batch(&batch(3, 7, &[3], 0));
    assert_eq!(findings_with_live(&account), [Finding::Untold(1)]);
    assert_eq!(without(5), [Finding::Untold(1)]);
}

#[test]
fn a_live_event_whose_place_is_not_in_the_stretch_is_no_event_of_the_log_there() {
    let mut account = Account::default();
    account.joined(&joined(3, None, &[], 0), None);
    account.batch(&batch(3, 3, &[4], 0));
    let (sums, findings) = judge(&account, &log(), &evidence(0));
    assert_eq!((sums.live, sums.received, sums.beyond, findings), (1, 0, 0, vec![]));
}

#[test]
fn what_comes_twice_is_found() {
    let found = after_entry_7(|account| account.batch(&batch(7, 9, &[6, 6], 0)));
    assert_eq!(found, [Finding::Twice(id(6))]);
}

#[test]
fn what_does_not_follow_is_a_fault() {
    for change in [
        |account: &mut Account| account.batch(&batch(8, 9, &[6], 0)),
        |account: &mut Account| account.joined(&joined(9, Some(true), &[6], 0), Some(at(3))),
    ] {
        let found = after_entry_7(change);
        assert!(matches!(found.as_slice(), [Finding::Fault(_)]), "{found:?}");
    }
}

#[test]
fn a_return_that_recovers_nothing_begins_a_new_stretch() {
    let mut account = honest();
    account.joined(&joined(12, Some(false), &[5, 6], 0), Some(at(12)));
    assert_eq!((account.stretches.len(), account.cursor()), (2, Some(at(12))));
    assert_eq!(findings(&account, 0), []);
}

#[test]
fn a_gap_that_nobody_can_count_begins_a_new_stretch() {
    let mut account = honest();
    account.gap(&Gap { reason: "expired".to_owned(), ..gap(12, 40, 0) });
    assert_eq!((account.stretches.len(), account.cursor()), (2, Some(at(40))));
    let elsewhere = Cursor { epoch: Epoch::random([2; 8]), seq: 5 };
    account.gap(&Gap { to: elsewhere, ..gap(40, 5, 0) });
    assert_eq!((account.stretches.len(), account.cursor()), (3, Some(elsewhere)));
}
