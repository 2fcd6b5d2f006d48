use proptest::prelude::*;

use super::*;

fn ns() -> Namespace {
    Namespace::parse("barrage").unwrap()
}

fn room(name: &str) -> RoomId {
    RoomId::parse(name).unwrap()
}

#[test]
fn a_plain_room_is_itself_and_any_other_is_encoded() {
    assert_eq!(room_token(&room("lobby-7_A")), "lobby-7_A");
    assert_eq!(room_token(&room("直播")), "~55u05pKt");
    for name in ["*", ">", "a.b", "a b", "~x", &"x".repeat(65)] {
        let token = room_token(&room(name));
        assert!(token.starts_with('~') && token[1..].bytes().all(is_plain), "{token}");
    }
    assert_eq!(room_token(&RoomId::internal("canary-1")), "~JGNhbmFyeS0x");
}

#[test]
fn subjects_are_those_of_the_document() {
    let (ns, room) = (ns(), room("lobby"));
    let p = Partition::of_room(&room);
    assert_eq!(ns.log(&room), format!("barrage.h.{p}.lobby"));
    assert_eq!(ns.live(&room), format!("barrage.o.{p}.lobby"));
    assert_eq!(ns.room(&ns.live(&room)), Ok(room.clone()));
    assert_eq!(ns.stream(p.stream()), format!("barrage_h{:02}", p.number() / 4));
    let stored = ns.stream_subjects(StreamIndex(15));
    assert_eq!(stored, [60, 61, 62, 63].map(|p| format!("barrage.h.{p}.*")));
    assert_eq!(ns.probe(StreamIndex(2)), "barrage.h.8.~probe");
    assert!(ns.room(&ns.probe(StreamIndex(2))).is_err(), "a probe is of no room");
    assert_eq!(ns.republish().1, "barrage.o.{{wildcard(1)}}.{{wildcard(2)}}");
}

#[test]
fn every_partition_is_in_one_stream() {
    let in_streams: Vec<_> = StreamIndex::all().flat_map(StreamIndex::partitions).collect();
    assert_eq!(in_streams, Partition::all().collect::<Vec<_>>());
    for stream in StreamIndex::all() {
        assert!(stream.partitions().all(|p| p.stream() == stream));
    }
}

#[test]
fn what_is_not_of_this_namespace_is_no_room() {
    let (ns, lobby) = (ns(), room("lobby"));
    let p = Partition::of_room(&lobby).number();
    for subject in [
        String::new(),
        "barrage.h".into(),
        format!("other.h.{p}.lobby"),
        format!("barrage.g.{p}.lobby"),
        format!("barrage.h.{}.lobby", (p + 1) % 64),
        format!("barrage.h.{p}.lobby.x"),
        // Plain names are not encoded, so nobody can have two subjects.
        format!("barrage.h.{p}.~bG9iYnk"),
        format!("barrage.h.{p}.~%"),
    ] {
        assert_eq!(ns.room(&subject), Err(SubjectError::Token), "{subject}");
    }
}

#[test]
fn namespaces_are_plain() {
    for text in ["", "a.b", "*", "直播", &"x".repeat(33)] {
        assert_eq!(Namespace::parse(text), Err(SubjectError::Namespace), "{text}");
    }
}

proptest! {
    #[test]
    fn every_room_comes_back_from_its_subject_and_key(name in "\\PC{1,96}") {
        if let Ok(room) = RoomId::parse(&name) {
            let subject = ns().log(&room);
            prop_assert!(subject.len() <= SUBJECT_BYTES_MAX);
            prop_assert_eq!(subject.split('.').count(), 4);
            prop_assert!(!subject.contains(['*', '>', ' ']));
            prop_assert_eq!(ns().room(&subject), Ok(room.clone()));
            let key = room_key(&room);
            prop_assert!(key.bytes().all(|b| is_plain(b) || b == b'='));
            prop_assert_eq!(parse_room_key(&key), Ok(room));
        }
    }

    #[test]
    fn garbage_is_no_room_and_never_panics(subject in "\\PC{0,64}") {
        let _ = ns().room(&subject);
        let _ = parse_room_key(&subject);
        if let Ok(room) = parse_room_token(&subject) {
            prop_assert_eq!(room_token(&room), subject);
        }
    }
}
