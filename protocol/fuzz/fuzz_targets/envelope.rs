//! What another node sends: whatever is accepted is written again as the same bytes.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use protocol::envelope::Batch;
use protocol::envelope::notes::{Counts, Heartbeat, Payload, Question};
use protocol::subject::{parse_room_token, room_token};

fuzz_target!(|input: &[u8]| {
    let note = Bytes::copy_from_slice(input);
    if let Ok(batch) = Batch::decode(note.clone()) {
        assert_eq!(batch.encode(), input);
        assert_eq!(batch.bytes(), input.len());
    }
    if let Ok(heartbeat) = Heartbeat::decode(note.clone()) {
        assert_eq!(heartbeat.encode(), input);
    }
    if let Ok(counts) = Counts::decode(note.clone()) {
        assert_eq!(counts.encode(), input);
    }
    if let Ok(question) = Question::decode(note.clone()) {
        assert_eq!(question.encode(), input);
    }
    if let Ok(payload) = Payload::decode(note) {
        assert_eq!(payload.encode(), input);
    }
    if let Ok(token) = std::str::from_utf8(input) {
        if let Ok(room) = parse_room_token(token) {
            assert_eq!(room_token(&room), token);
        }
    }
});
