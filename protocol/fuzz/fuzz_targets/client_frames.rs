//! The bytes of a connection: however they are cut, the same messages come out.
//!
//! The first byte of an input says how many bytes after it are lengths of chunks; the rest is
//! what the client sends.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::close::CloseReason;
use protocol::deflate::Inflater;
use protocol::frame::{ClientHeader, FrameRules, read_close, unmask};
use protocol::message::{Assembler, Message};

const BYTES_MAX: usize = 4096;

fuzz_target!(|input: &[u8]| {
    let Some((count, rest)) = input.split_first() else { return };
    let (cuts, stream) = rest.split_at(usize::from(*count % 16).min(rest.len()));
    for compression in [false, true] {
        let rules = FrameRules { payload_bytes_max: BYTES_MAX, compression };
        let mut whole = Connection::new(rules);
        whole.receive(stream);
        let mut cut = Connection::new(rules);
        let mut rest = stream;
        for length in cuts {
            let (chunk, after) = rest.split_at(usize::from(*length).min(rest.len()));
            cut.receive(chunk);
            rest = after;
        }
        for byte in rest.chunks(1) {
            cut.receive(byte);
        }
        assert_eq!(whole.seen, cut.seen);
    }
});

/// What a connection makes of its client's bytes.
#[derive(Debug, PartialEq)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Control(Vec<u8>),
    Closed(CloseReason),
}

struct Connection {
    rules: FrameRules,
    unread: Vec<u8>,
    assembler: Assembler,
    inflater: Inflater,
    scratch: Vec<u8>,
    seen: Vec<Seen>,
}

impl Connection {
    fn new(rules: FrameRules) -> Self {
        Self {
            rules,
            unread: Vec::new(),
            assembler: Assembler::default(),
            inflater: Inflater::new(),
            scratch: Vec::new(),
            seen: Vec::new(),
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        while !matches!(self.seen.last(), Some(Seen::Closed(_))) {
            match self.take_frame() {
                Ok(true) => {}
                Ok(false) => break,
                Err(reason) => self.seen.push(Seen::Closed(reason)),
            }
        }
    }

    fn take_frame(&mut self) -> Result<bool, CloseReason> {
        let header =
            ClientHeader::parse(&self.unread, self.rules).map_err(|fault| fault.close_reason())?;
        let Some(header) = header.filter(|h| h.frame_bytes() <= self.unread.len()) else {
            return Ok(false);
        };
        let mut frame: Vec<u8> = self.unread.drain(..header.frame_bytes()).collect();
        let payload = &mut frame[header.header_bytes..];
        unmask(payload, header.mask);
        if header.opcode.is_control() {
            assert!(payload.len() <= 125);
            let _ = read_close(payload);
            self.seen.push(Seen::Control(payload.to_vec()));
        }
        let Self { assembler, inflater, scratch, .. } = self;
        let message = assembler.push(&header, payload, inflater, scratch, BYTES_MAX);
        match message.map_err(|fault| fault.close_reason())? {
            Some(Message::Text(text)) => {
                assert!(text.len() <= BYTES_MAX);
                self.seen.push(Seen::Text(text.to_owned()));
            }
            Some(Message::Binary(bytes)) => {
                assert!(bytes.len() <= BYTES_MAX);
                self.seen.push(Seen::Binary(bytes.to_vec()));
            }
            None => {}
        }
        Ok(true)
    }
}
