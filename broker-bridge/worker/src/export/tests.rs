use super::*;
use crate::archive::Line;
use prost::Message as _;
use serde_json::json;

const START: u64 = 1_763_640_000_000;

fn line(kind: &str, at_ms: i64, body: serde_json::Value) -> Line {
    let ts = START.saturating_add_signed(at_ms);
    let event = json!({"id": format!("id-{at_ms}"), "kind": kind, "ts": ts,
        "user": {"id": "u-1,2", "name": "小明"}, "body": body});
    let line = json!({"cursor": "0000000000000001:1", "index": 0, "stored_ms": ts,
        "class": "chat", "weight": 7, "event": event});
    Line::read(line.to_string().as_bytes()).unwrap()
}

fn chat(at_ms: i64, text: &str) -> Line {
    line(
        "chat",
        at_ms,
        json!({"text": text, "mode": "bottom", "color": "#ffcc00", "size": "large"}),
    )
}

fn export(format: &mut dyn Format, start_ms: Option<u64>, lines: &[Line]) -> Exported {
    let mut export = Export::new(format, start_ms);
    for line in lines {
        export.add(line).unwrap();
    }
    export.end().unwrap()
}

fn xml(start_ms: Option<u64>, lines: &[Line]) -> String {
    let mut out = Vec::new();
    export(&mut Xml::new(&mut out), start_ms, lines);
    String::from_utf8(out).unwrap()
}

#[test]
fn xml_is_what_other_tools_read() {
    let text = xml(Some(START), &[chat(3_159, "1 < 2 & \"3\""), chat(60_007, "b\u{ffff}\u{1}")]);
    assert_eq!(
        text,
        concat!(
            r#"<?xml version="1.0" encoding="UTF-8"?><i><chatserver>barrage</chatserver>"#,
            "<chatid>0</chatid><source>k-v</source>\n",
            r#"<d p="3.15900,4,36,16763904,1763640003,0,71075ac8,"#,
            "4197584142652821,7\">1 &lt; 2 &amp; &quot;3&quot;</d>\n",
            r#"<d p="60.00700,4,36,16763904,1763640060,0,71075ac8,"#,
            "2153962767016790,7\">b</d>\n</i>\n",
        )
    );
}

#[test]
fn recording_of_nothing_is_a_file_of_nothing() {
    assert!(xml(None, &[]).ends_with("</source>\n</i>\n"));
    let mut out = Vec::new();
    export(&mut Json::new(&mut out), Some(5), &[]);
    let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(value, json!({"start_ms": 5, "danmaku": []}));
}

#[test]
fn recording_begins_when_told_or_with_the_first_danmaku() {
    let lines = [chat(-1, "early"), chat(500, "a"), chat(1_500, "b")];
    let count = |start_ms| export(&mut Xml::new(Vec::new()), start_ms, &lines);
    let told = count(Some(START));
    assert_eq!((told.danmaku, told.early), (2, 1));
    assert!(xml(Some(START), &lines).contains("p=\"0.50000,"));
    assert_eq!((count(None).danmaku, count(None).early), (3, 0));
    assert!(xml(None, &lines).contains("p=\"0.50100,"));
}

#[test]
fn only_danmaku_are_exported_and_the_others_are_counted() {
    let gift = line("gift", 0, json!({"name": "rose"}));
    let odd = line("chat", 0, json!({"no": "text"}));
    let exported =
        export(&mut Xml::new(Vec::new()), None, &[gift.clone(), chat(0, "a"), gift, odd]);
    assert_eq!(exported.danmaku, 1);
    assert_eq!(exported.others, BTreeMap::from([("gift".into(), 2), ("chat".into(), 1)]));
}

#[test]
fn modes_sizes_and_colours_have_their_numbers() {
    let numbers = |mode: &str, size: &str| {
        let body = json!({"text": "x", "mode": mode, "size": size, "color": "#000001"});
        let danmaku = Danmaku::read(&line("chat", 0, body)).unwrap();
        (danmaku.mode_number(), danmaku.font_size(), danmaku.color_number())
    };
    assert_eq!(numbers("scroll", "small"), (1, 18, 1));
    assert_eq!(numbers("bottom", "medium"), (4, 25, 1));
    assert_eq!(numbers("top", "large"), (5, 36, 1));
    assert_eq!(numbers("reverse", "?"), (6, 25, 1));
    let bare = Danmaku::read(&line("chat", 0, json!({"text": "x"}))).unwrap();
    assert_eq!((bare.mode_number(), bare.font_size(), bare.color_number()), (1, 25, 0xff_ffff));
}

#[test]
fn json_says_everything_in_our_words() {
    let mut out = Vec::new();
    export(&mut Json::new(&mut out), Some(START), &[chat(3_159, "a"), chat(4_000, "b")]);
    let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(value["danmaku"].as_array().unwrap().len(), 2);
    assert_eq!(
        value["danmaku"][0],
        json!({"time_ms": 3159, "text": "a", "mode": "bottom", "size": "large",
            "color": "#ffcc00", "user": "u-1,2", "name": "小明", "ts_ms": START + 3159,
            "id": "id-3159", "weight": 7})
    );
}

#[test]
fn protobuf_is_one_file_for_each_six_minutes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("segments");
    // The third is a little late, as the clocks of gateways differ.
    let lines = [chat(0, "a"), chat(360_000, "b"), chat(359_999, "c"), chat(1_080_000, "d")];
    export(&mut Protobuf::new(&folder).unwrap(), Some(START), &lines);
    let read = |number: u32| {
        let bytes = std::fs::read(folder.join(format!("{number}.pb"))).ok()?;
        let list = protobuf::DmSegMobileReply::decode(&bytes[..]).unwrap();
        Some(list.elems.into_iter().map(|elem| (elem.content, elem.progress)).collect::<Vec<_>>())
    };
    assert_eq!(read(1), Some(vec![("a".into(), 0), ("c".into(), 359_999)]));
    assert_eq!(read(2), Some(vec![("b".into(), 360_000)]));
    assert_eq!((read(3), read(4)), (None, Some(vec![("d".into(), 1_080_000)])));
    let error = Protobuf::new(&folder).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
}

/// The bytes by hand, from the numbers of the fields alone.
#[test]
fn protobuf_has_the_fields_that_players_know() {
    let folder = tempfile::tempdir().unwrap();
    export(&mut Protobuf::new(folder.path()).unwrap(), Some(START), &[chat(1, "ab")]);
    let bytes = std::fs::read(folder.path().join("1.pb")).unwrap();
    let number = Danmaku::read(&chat(1, "ab")).unwrap().number();
    let varint = |mut number: u64| {
        let mut bytes = Vec::new();
        while number >= 0x80 {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    };
    let text = |tag: u8, text: &str| [&[tag << 3 | 2, text.len() as u8], text.as_bytes()].concat();
    let elem = [
        [vec![8], varint(number)].concat(),
        vec![2 << 3, 1],
        vec![3 << 3, 4],
        vec![4 << 3, 36],
        [vec![5 << 3], varint(0xff_cc00)].concat(),
        text(6, "71075ac8"),
        text(7, "ab"),
        [vec![8 << 3], varint(START / 1_000)].concat(),
        vec![9 << 3, 7],
        text(12, &number.to_string()),
        vec![13 << 3, 2],
    ]
    .concat();
    assert_eq!(bytes, [&[1 << 3 | 2, elem.len() as u8], &elem[..]].concat());
}
