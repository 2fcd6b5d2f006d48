use proptest::prelude::*;

use super::notes::{Addressee, Condition, Count, Counts, Heartbeat, Payload, Question};
use super::*;
use crate::ids::{RoomId, UserId};

fn event() -> impl Strategy<Value = Event> {
    let json = prop::collection::vec(any::<u8>(), 0..64);
    (any::<[u8; 16]>(), 0..6_usize, any::<u8>(), any::<u64>(), json).prop_map(
        |(id, class, weight, ts_ms, json)| Event {
            id: EventId::from_bytes(id),
            class: Class::ALL[class],
            weight,
            ts_ms,
            json: json.into(),
        },
    )
}

prop_compose! {
    fn batch()(
        from: u64,
        counter: u64,
        first: u64,
        origin_ms: u64,
        events in prop::collection::vec(event(), 1..20),
    ) -> Batch {
        Batch { from: BootId::from_bytes(from.to_be_bytes()), counter, first, origin_ms, events }
    }
}

fn boot() -> BootId {
    BootId::from_bytes(*b"boot-id1")
}

fn rooms() -> Vec<RoomId> {
    vec![RoomId::parse("直播间").unwrap(), RoomId::internal("canary")]
}

#[test]
fn a_batch_is_laid_out_as_documented() {
    let event = Event {
        id: EventId::from_bytes([0xee; 16]),
        class: Class::Chat,
        weight: 100,
        ts_ms: 5,
        json: Bytes::from_static(b"{}"),
    };
    let batch = Batch { from: boot(), counter: 2, first: 3, origin_ms: 4, events: vec![event] };
    let mut expected = vec![1, 1];
    expected.extend(b"boot-id1");
    for number in [2_u64, 3, 4] {
        expected.extend(number.to_be_bytes());
    }
    expected.extend([0, 1]);
    expected.extend([0xee; 16]);
    expected.extend([4, 100]);
    expected.extend(5_u64.to_be_bytes());
    expected.extend([0, 0, 0, 2]);
    expected.extend(b"{}");
    assert_eq!(batch.encode(), expected);
    assert_eq!(batch.bytes(), expected.len());
}

#[test]
fn other_versions_and_kinds_are_told() {
    let heartbeat = Bytes::from_static(&[1, 2, 0, 0]);
    assert_eq!(Batch::decode(heartbeat), Err(EnvelopeError::Kind(2)));
    assert_eq!(Batch::decode(Bytes::from_static(&[2, 1])), Err(EnvelopeError::Version(2)));
    assert_eq!(Batch::decode(Bytes::new()), Err(EnvelopeError::Short));
    let large = Bytes::from(vec![1; ENVELOPE_BYTES_MAX + 1]);
    assert_eq!(Batch::decode(large), Err(EnvelopeError::TooLarge));
}

#[test]
fn a_count_that_the_bytes_cannot_hold_reserves_nothing() {
    let mut head = vec![1, 1];
    head.extend([0; 32]);
    head.extend([0xff, 0xff]);
    assert_eq!(Batch::decode(head.into()), Err(EnvelopeError::Short));
}

#[test]
fn notes_come_back_as_they_were() {
    let heartbeat = Heartbeat {
        from: boot(),
        interval_ms: 1_000,
        condition: Condition::Draining,
        connections: 7,
        rooms: 3,
        name: "gateway-1".into(),
        public: "10.0.0.1:8080".into(),
        admin: String::new(),
    };
    assert_eq!(Heartbeat::decode(heartbeat.encode()), Ok(heartbeat));
    let counts = rooms().into_iter().map(|room| Count { room, node: boot(), online: 1, likes: 2 });
    let counts = Counts { from: boot(), counts: counts.collect() };
    assert_eq!(Counts::decode(counts.encode()), Ok(counts));
    let question = Question { from: boot(), rooms: rooms() };
    assert_eq!(Question::decode(question.encode()), Ok(question));
    for to in [
        Addressee::Slot { shard: 1, slot: 2, generation: 3 },
        Addressee::User(UserId::parse("用户").unwrap()),
        Addressee::Everybody,
    ] {
        let payload = Payload { from: boot(), counter: 9, to, payload: Bytes::from_static(b"{}") };
        assert_eq!(Payload::decode(payload.encode()), Ok(payload));
    }
}

proptest! {
    #[test]
    fn batches_come_back_as_they_were(batch in batch()) {
        let envelope = batch.encode();
        prop_assert_eq!(envelope.len(), batch.bytes());
        prop_assert_eq!(Batch::decode(envelope), Ok(batch));
    }

    #[test]
    fn a_cut_or_longer_batch_is_refused(batch in batch(), at: prop::sample::Index) {
        let envelope = batch.encode();
        let cut = envelope.slice(..at.index(envelope.len()));
        prop_assert!(Batch::decode(cut).is_err());
        let longer = [&envelope[..], &[0]].concat();
        prop_assert_eq!(Batch::decode(longer.into()), Err(EnvelopeError::Long));
    }

    #[test]
    fn garbage_never_panics(kind in 0_u8..7, garbage: Vec<u8>) {
        let note = Bytes::from([&[1, kind][..], &garbage].concat());
        let _ = Batch::decode(note.clone());
        let _ = Heartbeat::decode(note.clone());
        let _ = Counts::decode(note.clone());
        let _ = Question::decode(note.clone());
        let _ = Payload::decode(note);
    }
}
