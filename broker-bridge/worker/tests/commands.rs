//! The binary's commands over an archive.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use bridge_worker::archive::{Archivist, Entry};
use protocol::cursor::Epoch;
use protocol::event::{Body, Chat, Color, Draft, Event, Kind, Mode, Size};
use protocol::ids::{EventId, RoomId};
use tempfile::TempDir;

const NOON: u64 = 1_763_640_000_000;

fn chat(text: &str, ts_ms: u64) -> Event {
    let (mode, size, color) = (Mode::Scroll, Size::Medium, Color([0xff; 3]));
    let chat = Chat { text: text.to_owned().into(), mode, color, size, emotes: Vec::new() };
    let (id, body) = (EventId::random([1; 16]), Body::Chat(chat));
    Draft { id, kind: Kind::Chat, ts_ms, user: None, body, weight: 100 }.render()
}

/// An archive of two rooms; in `demo` somebody says something at the seconds 0, 1, 400.
fn archive(folder: &Path) {
    let mut archivist = Archivist::open(folder).unwrap();
    for (seq, room, second) in [(1, "demo", 0), (2, "演", 0), (3, "demo", 1), (4, "demo", 400)] {
        let stored_ms = NOON + second * 1_000;
        let events = vec![chat(&format!("{room} {second}"), stored_ms)];
        let room = RoomId::parse(room).unwrap();
        let epoch = Epoch::from_bytes([1; 8]);
        archivist.take("H00", &Entry { room, epoch, seq, stored_ms, events });
        archivist.commit().unwrap();
    }
}

fn bridge(folder: &Path, arguments: &[&str]) -> Output {
    let (verb, rest) = arguments.split_first().unwrap();
    Command::new(env!("CARGO_BIN_EXE_barrage-bridge"))
        .args([verb, "--dir", folder.to_str().unwrap()])
        .args(rest)
        .output()
        .unwrap()
}

fn text(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn told(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn rooms_are_listed() {
    let folder = TempDir::new().unwrap();
    archive(folder.path());
    assert_eq!(text(&bridge(folder.path(), &["rooms"])), "demo\n演\n");
}

#[test]
fn query_prints_what_a_room_said_in_a_range_of_time() {
    let folder = TempDir::new().unwrap();
    archive(folder.path());
    let from_to =
        ["query", "--room", "demo", "--from", "2025-11-20T12:00:01Z", "--to", "1763640400"];
    let output = bridge(folder.path(), &from_to);
    assert!(output.status.success(), "{}", told(&output));
    let lines: Vec<serde_json::Value> =
        text(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["event"]["body"]["text"], "demo 1");
    assert_eq!(lines[0]["cursor"], "0101010101010101:3");
}

#[test]
fn export_writes_a_file_or_standard_output() {
    let folder = TempDir::new().unwrap();
    archive(folder.path());
    let start = ["--room", "demo", "--start", "2025-11-20T12:00:01Z"];
    let output = bridge(folder.path(), &[&["export", "--format", "xml"][..], &start].concat());
    assert!(text(&output).starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?><i>"));
    assert!(text(&output).contains("<d p=\"399.00000,1,25,16777215,"), "{}", text(&output));
    assert_eq!(told(&output), "exported 2 danmaku\n");

    let file = folder.path().join("demo.json");
    let to_file = ["export", "--format", "json", "--out", file.to_str().unwrap()];
    assert!(bridge(folder.path(), &[&to_file[..], &start].concat()).status.success());
    let json: serde_json::Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    assert_eq!(json["danmaku"][0]["time_ms"], 0);

    let out = folder.path().join("segments");
    let to_folder =
        ["export", "--format", "protobuf", "--room", "demo", "--out", out.to_str().unwrap()];
    assert!(bridge(folder.path(), &to_folder).status.success());
    assert!(out.join("1.pb").exists() && out.join("2.pb").exists());
    assert_eq!(bridge(folder.path(), &to_folder).status.code(), Some(1), "not into a full folder");
}

#[test]
fn what_is_damaged_is_told_and_the_rest_is_printed() {
    let folder = TempDir::new().unwrap();
    archive(folder.path());
    let path = folder.path().join("rooms/demo/2025-11-20T12.ndjson.zst");
    let mut bytes = fs::read(&path).unwrap();
    bytes[90] ^= 1;
    fs::write(&path, bytes).unwrap();
    let output = bridge(folder.path(), &["query", "--room", "demo"]);
    assert_eq!((output.status.code(), text(&output).lines().count()), (Some(1), 2));
    assert!(told(&output).starts_with("damaged: "), "{}", told(&output));
}

#[test]
fn arguments_that_cannot_be_used_are_told() {
    let folder = TempDir::new().unwrap();
    for (arguments, code) in [
        (&["query", "--room", "$x"][..], 2),
        (&["query", "--room", "demo", "--from", "yesterday"], 2),
        (&["export", "--room", "demo", "--format", "protobuf"], 2),
        (&["export", "--room", "demo", "--format", "ass"], 2),
        (&["query", "--room", "demo"], 1), // no archive there
    ] {
        let output = bridge(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", told(&output));
        assert!(!output.stderr.is_empty());
    }
}
