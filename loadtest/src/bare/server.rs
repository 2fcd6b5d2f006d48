//! The bare loop: what it costs to write one frame to everybody when there is nothing else.
//!
//! One thread, one `send(2)` per connection, no rooms, no queues, no readers. It speaks as
//! [`crate::bare::side`] says.

use std::io::BufRead as _;
use std::net::{TcpListener, TcpStream};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use protocol::frame;
use rustix::net::{SendFlags, send};

use crate::bare::crowd::say;
use crate::bare::side::{ServerAnswer, ServerOrder};

/// Does what the lines of standard input say, until their end.
///
/// # Errors
/// A client is gone, or does not read.
pub(crate) fn run() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen")?;
    say(&ServerAnswer::Address(listener.local_addr()?))?;
    let mut sockets = Vec::new();
    for line in std::io::stdin().lock().lines() {
        match serde_json::from_str(&line?)? {
            ServerOrder::Accept(count) => {
                for _ in 0..count {
                    let (socket, _) = listener.accept()?;
                    socket.set_nodelay(true)?;
                    sockets.push(socket);
                }
            }
            ServerOrder::Send(bytes) => send_all(&sockets, &frame_of(bytes as usize))?,
        }
        say(&ServerAnswer::Done)?;
    }
    Ok(())
}

fn send_all(sockets: &[TcpStream], frame: &[u8]) -> anyhow::Result<()> {
    for socket in sockets {
        let sent = send(socket, frame, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?;
        if sent < frame.len() {
            bail!("a client has not read the frame before");
        }
    }
    Ok(())
}

/// A frame of so many bytes, header included.
fn frame_of(bytes: usize) -> Bytes {
    let header = match bytes {
        0..=127 => 2,
        128..=65_539 => 4,
        _ => 10,
    };
    frame::text(&vec![b'x'; bytes.saturating_sub(header)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_as_long_as_it_is_asked_for() {
        // 128 and 129 bytes, and 65,540 to 65,545, are none that a payload of the shortest
        // header has.
        for bytes in [2, 127, 130, 200, 2000, 16_000, 65_539, 65_546] {
            assert_eq!(frame_of(bytes).len(), bytes);
        }
    }
}
