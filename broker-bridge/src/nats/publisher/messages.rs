//! What goes into the machine, and what comes out of it.

use bytes::Bytes;
use protocol::event::Event;
use protocol::ids::RoomId;
use protocol::subject::StreamIndex;
use tokio::sync::oneshot;

use crate::{Ack, PublishError};

/// Who waits for an ack.
pub(in crate::nats) type Answer = oneshot::Sender<Result<Ack, PublishError>>;

/// Where an event goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::nats) enum Lane {
    /// Into the room's log.
    Log,
    /// To the viewers, past the log.
    Live,
}

/// An event that a node wants to publish.
#[derive(Debug)]
pub(in crate::nats) struct Publication {
    pub(in crate::nats) room: RoomId,
    pub(in crate::nats) lane: Lane,
    pub(in crate::nats) event: Event,
    pub(in crate::nats) answer: Answer,
}

/// Something to be sent.
#[derive(Debug)]
pub(in crate::nats) enum Send {
    /// Into the room's log; the ack comes back under this counter.
    Log { room: RoomId, counter: u64, payload: Bytes },
    /// To the viewers, past the log. The publishers are answered once it is on its way.
    Live { room: RoomId, payload: Bytes, answers: Vec<Answer> },
    /// Into a log, to see whether it acks; the ack comes back under this counter.
    Probe { stream: StreamIndex, counter: u64 },
}

/// The time, as the driver reads it once per turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::nats) struct Time {
    /// Since the start, never going back.
    pub(in crate::nats) ms: u64,
    /// Since 1970.
    pub(in crate::nats) unix_ms: u64,
}
