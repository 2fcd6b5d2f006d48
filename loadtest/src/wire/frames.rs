//! Frames of a WebSocket (RFC 6455 section 5) as a client reads and writes them.
//!
//! Written for very many connections: a frame that arrives whole is handed on where it lies in
//! the read buffer, and a connection keeps bytes of its own only while a frame is incomplete.

use std::mem;

/// The longest message that is believed, in bytes: a resume is at most 256 KiB and its envelope.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What arrived.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    /// A text message, whole; compressed if permessage-deflate was used.
    Text {
        /// Its payload.
        payload: &'a [u8],
        /// Whether it is to be inflated first.
        compressed: bool,
    },
    /// A ping to be answered with the same payload.
    Ping(&'a [u8]),
    /// The answer to a ping.
    Pong,
    /// The gateway closes; the code, if it gave one.
    Close(Option<u16>),
    /// A binary message, which this protocol does not have.
    Binary,
}

/// Bytes that are no frames of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameFault {
    /// Reserved bits, an unknown opcode, or a mask, which servers must not use.
    #[error("a frame breaks RFC 6455")]
    Malformed,
    /// Longer than any message of the protocol.
    #[error("a message over {MESSAGE_BYTES_MAX} bytes")]
    TooLong,
}

/// Where the frames of one connection are put together.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// The beginning of a frame whose rest has not come.
    partial: Vec<u8>,
    /// The parts so far of a message in several frames, and whether it is compressed.
    message: Option<(Vec<u8>, bool)>,
}

struct Header {
    fin: bool,
    compressed: bool,
    opcode: u8,
    /// Bytes of header.
    length: usize,
    payload: usize,
}

impl Reader {
    /// Takes bytes as they came and gives every item that they complete.
    ///
    /// # Errors
    /// [`FrameFault`]: what follows cannot be understood; the connection is to be closed.
    pub(crate) fn read(
        &mut self,
        input: &[u8],
        mut take: impl FnMut(Item<'_>),
    ) -> Result<(), FrameFault> {
        if self.partial.is_empty() {
            let used = self.scan(input, &mut take)?;
            self.partial.extend_from_slice(&input[used..]);
            return Ok(());
        }
        let mut whole = mem::take(&mut self.partial);
        whole.extend_from_slice(input);
        let used = self.scan(&whole, &mut take)?;
        if used < whole.len() {
            whole.drain(..used);
            self.partial = whole;
        }
        Ok(())
    }

    fn scan(&mut self, input: &[u8], take: &mut impl FnMut(Item<'_>)) -> Result<usize, FrameFault> {
        let mut used = 0;
        while let Some(header) = header(&input[used..])? {
            let begin = used + header.length;
            let Some(payload) = input.get(begin..begin + header.payload) else { break };
            self.frame(&header, payload, take)?;
            used = begin + header.payload;
        }
        Ok(used)
    }

    fn frame(
        &mut self,
        header: &Header,
        payload: &[u8],
        take: &mut impl FnMut(Item<'_>),
    ) -> Result<(), FrameFault> {
        match (header.opcode, header.fin) {
            (0x1, true) => take(Item::Text { payload, compressed: header.compressed }),
            (0x1, false) => self.message = Some((payload.to_vec(), header.compressed)),
            (0x0, fin) => {
                let (message, compressed) = self.message.as_mut().ok_or(FrameFault::Malformed)?;
                if message.len() + payload.len() > MESSAGE_BYTES_MAX {
                    return Err(FrameFault::TooLong);
                }
                message.extend_from_slice(payload);
                if fin {
                    take(Item::Text { payload: message, compressed: *compressed });
                    self.message = None;
                }
            }
            (0x2, _) => take(Item::Binary),
            (0x8, true) => {
                take(Item::Close(payload.first_chunk().map(|code| u16::from_be_bytes(*code))));
            }
            (0x9, true) => take(Item::Ping(payload)),
            (0xa, true) => take(Item::Pong),
            _ => return Err(FrameFault::Malformed),
        }
        Ok(())
    }
}

/// Reads a header; `None` while it is incomplete.
fn header(bytes: &[u8]) -> Result<Option<Header>, FrameFault> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    if first & 0b0011_0000 != 0 || second & 0x80 != 0 {
        return Err(FrameFault::Malformed);
    }
    let (length, payload) = match second & 0x7f {
        126 => match rest.first_chunk() {
            Some(long) => (4, u64::from(u16::from_be_bytes(*long))),
            None => return Ok(None),
        },
        127 => match rest.first_chunk() {
            Some(long) => (10, u64::from_be_bytes(*long)),
            None => return Ok(None),
        },
        short => (2, u64::from(short)),
    };
    let payload = usize::try_from(payload).map_err(|_| FrameFault::TooLong)?;
    if payload > MESSAGE_BYTES_MAX {
        return Err(FrameFault::TooLong);
    }
    Ok(Some(Header {
        fin: first & 0x80 != 0,
        compressed: first & 0x40 != 0,
        opcode: first & 0x0f,
        length,
        payload,
    }))
}

/// Appends a text message of a client.
pub(crate) fn text(payload: &[u8], mask: [u8; 4], out: &mut Vec<u8>) {
    write(0x81, payload, mask, out);
}

/// Appends the answer to a ping.
pub(crate) fn pong(payload: &[u8], mask: [u8; 4], out: &mut Vec<u8>) {
    write(0x8a, payload, mask, out);
}

/// Appends a close frame with this code.
pub(crate) fn close(code: u16, mask: [u8; 4], out: &mut Vec<u8>) {
    write(0x88, &code.to_be_bytes(), mask, out);
}

fn write(first: u8, payload: &[u8], mask: [u8; 4], out: &mut Vec<u8>) {
    out.push(first);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ ..=125), _) => out.push(0x80 | short),
        (_, Ok(long)) => {
            out.push(0x80 | 126);
            out.extend_from_slice(&long.to_be_bytes());
        }
        (_, Err(_)) => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(reader: &mut Reader, input: &[u8]) -> Result<Vec<String>, FrameFault> {
        let mut items = Vec::new();
        reader.read(input, |item| {
            items.push(match item {
                Item::Text { payload, compressed } => {
                    format!("text {compressed} {}", String::from_utf8_lossy(payload))
                }
                Item::Ping(_) | Item::Pong | Item::Close(_) | Item::Binary => format!("{item:?}"),
            });
        })?;
        Ok(items)
    }

    #[test]
    fn messages_are_found_however_they_are_cut() {
        let long = "x".repeat(300);
        let mut bytes = protocol::frame::text(b"one").to_vec();
        bytes.extend_from_slice(&protocol::frame::ping(b"p"));
        bytes.extend_from_slice(&protocol::frame::text_first(b"be"));
        bytes.extend_from_slice(&protocol::frame::text_last(b"gin"));
        bytes.extend_from_slice(&protocol::frame::text(long.as_bytes()));
        bytes.extend_from_slice(&protocol::frame::deflated_text(b"zz"));
        bytes.extend_from_slice(&protocol::frame::close(protocol::close::CloseReason::Draining));
        let expected = [
            "text false one".to_owned(),
            "Ping([112])".into(),
            "text false begin".into(),
            format!("text false {long}"),
            "text true zz".into(),
            "Close(Some(4000))".into(),
        ];
        assert_eq!(read(&mut Reader::default(), &bytes).unwrap(), expected);
        for cut in [1, 2, 3, 7, 200] {
            let mut reader = Reader::default();
            let items: Vec<_> =
                bytes.chunks(cut).flat_map(|part| read(&mut reader, part).unwrap()).collect();
            assert_eq!(items, expected, "in pieces of {cut}");
            assert!(reader.partial.is_empty() && reader.partial.capacity() == 0);
        }
    }

    #[test]
    fn what_no_server_sends_is_a_fault() {
        for (bytes, fault) in [
            (&[0x81, 0x81, 0, 0, 0, 0, 1][..], FrameFault::Malformed),
            (&[0xb1, 0], FrameFault::Malformed),
            (&[0x80, 0], FrameFault::Malformed),
            (&[0x83, 0], FrameFault::Malformed),
            (&[0x81, 127, 0, 0, 0, 1, 0, 0, 0, 0], FrameFault::TooLong),
        ] {
            assert_eq!(read(&mut Reader::default(), bytes), Err(fault), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_written_is_masked() {
        let mut out = Vec::new();
        text(b"abc", [1, 2, 3, 4], &mut out);
        assert_eq!(out, [0x81, 0x83, 1, 2, 3, 4, b'a' ^ 1, b'b' ^ 2, b'c' ^ 3]);
        out.clear();
        text(&[0; 300], [0; 4], &mut out);
        assert_eq!((&out[..4], out.len()), (&[0x81, 0xfe, 1, 44][..], 308));
    }
}
