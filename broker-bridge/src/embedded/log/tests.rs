use bytes::Bytes;
use proptest::prelude::*;
use protocol::event::{Class, WEIGHT_DEFAULT};
use protocol::ids::EventId;

use super::*;

/// An event with that many bytes of JSON.
pub(in crate::embedded) fn event(json_bytes: usize) -> Event {
    Event {
        id: EventId::random([1; 16]),
        class: Class::Chat,
        weight: WEIGHT_DEFAULT,
        ts_ms: 1_760_000_000_000,
        json: Bytes::from(vec![b' '; json_bytes]),
    }
}

fn epoch(n: u8) -> Epoch {
    Epoch::random([n; 8])
}

fn cursor(n: u8, seq: u64) -> Cursor {
    Cursor { epoch: epoch(n), seq }
}

fn log_of(count: usize, retention: &Retention) -> Log {
    let mut log = Log::new(epoch(1));
    for at in 0..count {
        log.append(event(100), at as u64, retention);
    }
    log
}

fn seqs(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.seq).collect()
}

fn with_entries_max(room_entries_max: usize) -> Retention {
    Retention { room_entries_max, ..Retention::default() }
}

#[test]
fn entries_are_numbered_from_one_and_linked_to_the_one_before() {
    let log = log_of(3, &Retention::default());
    let links: Vec<_> = log.recent(9, 999).iter().map(|e| (e.prev, e.seq, e.origin_ms)).collect();
    let origin_ms = event(0).ts_ms;
    assert_eq!(links, [(0, 1, origin_ms), (1, 2, origin_ms), (2, 3, origin_ms)]);
    assert_eq!(log.head(), cursor(1, 3));
}

#[test]
fn links_and_numbers_go_on_when_everything_is_evicted() {
    let retention = Retention::default();
    let mut log = log_of(3, &retention);
    log.expire(u64::MAX, retention.age_ms);
    assert_eq!((log.bytes(), log.oldest_ms()), (0, None));
    let entry = log.append(event(1), 0, &retention);
    assert_eq!((entry.prev, entry.seq), (3, 4));
}

#[test]
fn whoever_was_told_the_head_has_missed_nothing() {
    let mut log = log_of(3, &Retention::default());
    assert_eq!(log.since(cursor(1, 3)), Some(vec![]));
    log.expire(u64::MAX, 0);
    assert_eq!(log.since(cursor(1, 3)), Some(vec![]));
    assert_eq!(Log::new(epoch(1)).since(cursor(1, 0)), Some(vec![]));
}

#[test]
fn a_cursor_of_another_epoch_or_beyond_the_head_gets_nothing() {
    let log = log_of(3, &Retention::default());
    for stranger in [cursor(2, 0), cursor(2, 3), cursor(1, 4), cursor(1, u64::MAX)] {
        assert_eq!(log.since(stranger), None, "{stranger}");
    }
}

#[test]
fn oldest_entries_leave_a_full_log_and_cursors_before_them_get_nothing() {
    let log = log_of(5, &with_entries_max(2));
    assert_eq!(seqs(&log.recent(9, 999)), [4, 5]);
    assert_eq!(log.since(cursor(1, 3)).map(|entries| seqs(&entries)), Some(vec![4, 5]));
    assert_eq!(log.since(cursor(1, 2)), None);
}

#[test]
fn newest_entry_is_kept_even_if_it_alone_is_over_the_bound() {
    let retention = Retention { room_bytes_max: 1, ..Retention::default() };
    assert_eq!(seqs(&log_of(3, &retention).recent(9, 999)), [3]);
}

#[test]
fn recent_entries_stay_within_both_bounds_and_are_the_newest() {
    let log = log_of(5, &Retention::default());
    assert_eq!(seqs(&log.recent(2, 999)), [4, 5]);
    assert_eq!(seqs(&log.recent(9, 399)), [3, 4, 5]);
    assert_eq!(log.recent(9, 99), vec![]);
}

#[test]
fn entries_expire_at_their_age() {
    let mut log = log_of(5, &Retention::default());
    log.expire(102, 100);
    assert_eq!(seqs(&log.recent(9, 999)), [4, 5]);
    assert_eq!(log.oldest_ms(), Some(3));
}

#[test]
fn a_log_that_was_hot_gives_its_memory_back() {
    let mut log = log_of(10_000, &Retention::default());
    log.expire(u64::MAX, 0);
    assert!(log.kept.capacity() < 16, "{}", log.kept.capacity());
}

#[derive(Debug, Clone)]
enum Op {
    Append { json_bytes: usize },
    Wait { ms: u64 },
    Expire,
    EvictOldest,
    Since { epoch: u8, seq: u64 },
    Recent { entries_max: usize, bytes_max: usize },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0usize..2_000).prop_map(|json_bytes| Op::Append { json_bytes }),
        2 => (0u64..80).prop_map(|ms| Op::Wait { ms }),
        1 => Just(Op::Expire),
        1 => Just(Op::EvictOldest),
        4 => (1u8..=2, 0u64..60).prop_map(|(epoch, seq)| Op::Since { epoch, seq }),
        2 => (0usize..20, 0usize..20_000)
            .prop_map(|(entries_max, bytes_max)| Op::Recent { entries_max, bytes_max }),
    ]
}

proptest! {
    /// Whatever happens to a log: what is kept is an unbroken end of all that was ever
    /// appended, within the bounds; a cursor is answered completely or not at all, and not at
    /// all only if something after it is really gone.
    #[test]
    fn a_log_tells_everything_after_a_cursor_or_nothing(
        ops in prop::collection::vec(op(), 0..120),
        room_entries_max in 1usize..20,
        room_bytes_max in 1_000usize..20_000,
    ) {
        let age_ms = 100;
        let bounds =
            Retention { age_ms, room_entries_max, room_bytes_max, bytes_max: usize::MAX };
        let mut log = Log::new(epoch(1));
        let mut all: Vec<Entry> = Vec::new();
        let mut now_ms = 0;
        for op in ops {
            match op {
                Op::Append { json_bytes } => {
                    let entry = log.append(event(json_bytes), now_ms, &bounds).clone();
                    prop_assert_eq!(entry.prev, all.len() as u64);
                    prop_assert_eq!(entry.seq, entry.prev + 1);
                    all.push(entry);
                }
                Op::Wait { ms } => now_ms += ms,
                Op::Expire => {
                    log.expire(now_ms, age_ms);
                    prop_assert!(log.oldest_ms().is_none_or(|ms| ms + age_ms > now_ms));
                }
                Op::EvictOldest => log.evict_oldest(),
                Op::Since { epoch, seq } => {
                    let gone = all.len() - log.kept.len();
                    let is_known = epoch == 1 && (gone..=all.len()).contains(&(seq as usize));
                    let expected = is_known.then(|| all[seq as usize..].to_vec());
                    prop_assert_eq!(log.since(cursor(epoch, seq)), expected);
                }
                Op::Recent { entries_max, bytes_max } => {
                    let recent = log.recent(entries_max, bytes_max);
                    prop_assert!(recent.len() <= entries_max);
                    prop_assert!(recent.iter().map(json_bytes).sum::<usize>() <= bytes_max);
                    prop_assert_eq!(&recent[..], &all[all.len() - recent.len()..]);
                }
            }
            prop_assert_eq!(log.head(), cursor(1, all.len() as u64));
            prop_assert!(log.kept.len() <= 1 || !log.is_over(&bounds));
            let weight: usize = log.kept.iter().map(|kept| weigh(&kept.entry)).sum();
            prop_assert_eq!(log.entries_bytes, weight);
            let kept: Vec<_> = log.kept.iter().map(|kept| kept.entry.clone()).collect();
            prop_assert_eq!(&kept[..], &all[all.len() - kept.len()..]);
        }
    }
}
