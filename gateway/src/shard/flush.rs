//! Where a frame is written: the only code that writes to client sockets.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;

use crate::client::outbox::{Finished, HeldBatch, Lane, Overflow};
use crate::shard::clients::Client;
use crate::shard::sink::Written;

/// What became of something to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// All of it is with the kernel.
    Whole,
    /// The socket has just stopped taking more: watch for it to become writable.
    Stuck,
    /// It waits behind what is already waiting; so many events of older batches were dropped.
    Queued { dropped: u32 },
    /// The client's control lane is full.
    Overflow,
    /// The connection is gone; its reader will notice.
    Broken,
}

impl Client {
    /// Sends a frame on the control lane: at once, or behind what waits there.
    pub(crate) fn send_control(&mut self, frame: &Bytes, now: Duration) -> Sent {
        if self.outbox.is_empty() {
            return self.write(Lane::Control, frame, now);
        }
        match self.outbox.push_control(frame.clone()) {
            Ok(()) => Sent::Queued { dropped: 0 },
            Err(Overflow) => Sent::Overflow,
        }
    }

    /// Sends a batch: at once, or instead of an older batch of its room that still waits.
    pub(crate) fn send_batch(
        &mut self,
        frame: &Bytes,
        now: Duration,
        held: impl FnOnce() -> HeldBatch,
    ) -> Sent {
        if self.outbox.is_empty() {
            return self.write(Lane::Danmaku, frame, now);
        }
        Sent::Queued { dropped: self.outbox.push_batch(held()) }
    }

    /// Writes what waits, now that the socket may take more; tells what came to its end.
    pub(crate) fn drain(&mut self, now: Duration) -> (Sent, Finished) {
        let mut broken = false;
        let sink = &self.sink;
        let Ok(finished) = self.outbox.drain(now, |frame, written| {
            Ok::<usize, Infallible>(match sink.try_write(frame, written) {
                Written::Bytes(taken) => taken,
                Written::Broken => {
                    broken = true;
                    0
                }
            })
        });
        if broken {
            return (Sent::Broken, finished);
        }
        self.sent_s = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
        (if self.outbox.is_empty() { Sent::Whole } else { Sent::Stuck }, finished)
    }

    fn write(&mut self, lane: Lane, frame: &Bytes, now: Duration) -> Sent {
        match self.sink.try_write(frame, 0) {
            Written::Bytes(taken) if taken == frame.len() => {
                self.sent_s = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
                Sent::Whole
            }
            Written::Bytes(taken) => {
                self.outbox.stuck(lane, frame.clone(), taken, now);
                Sent::Stuck
            }
            Written::Broken => Sent::Broken,
        }
    }
}
