//! What a shard says by itself, in the words of WebSockets and of event streams.

use bytes::Bytes;
use protocol::close::CloseReason;
use protocol::to_client::ServerMessage;
use protocol::{event_stream, frame};

use crate::shard::ClientSink;

impl ClientSink {
    /// The last frame: why it ends, and whether to come back.
    pub(super) fn close(&self, reason: CloseReason) -> Bytes {
        match self {
            Self::Socket(_) => frame::close(reason),
            Self::Events(_) => {
                let goodbye = ServerMessage::goodbye(reason, None).render();
                event_stream::event("goodbye", None, &[&goodbye])
            }
        }
    }

    /// What a client that is sent elsewhere is told before the last frame, if it is not that.
    pub(super) fn goodbye(&self, reason: CloseReason, after_ms: u64) -> Goodbye {
        let goodbye = ServerMessage::goodbye(reason, Some(after_ms)).render();
        match self {
            Self::Socket(_) => Goodbye::BeforeClose(frame::text(&goodbye)),
            Self::Events(_) => {
                let retry = event_stream::retry(after_ms);
                let event = event_stream::event("goodbye", None, &[&goodbye]);
                Goodbye::Last([retry, event].concat().into())
            }
        }
    }

    /// Something that costs little and shows whether the client is there.
    pub(super) fn ping(&self) -> Bytes {
        match self {
            Self::Socket(_) => frame::ping(&[]),
            Self::Events(_) => event_stream::comment(),
        }
    }

    /// A message to many clients, which was made for WebSockets.
    pub(super) fn message(&self, text: &Bytes) -> Bytes {
        match self {
            Self::Socket(_) => text.clone(),
            Self::Events(_) => event_stream::event("message", None, &[frame::payload(text)]),
        }
    }
}

/// What is said at a drain.
pub(super) enum Goodbye {
    BeforeClose(Bytes),
    /// It is the end by itself.
    Last(Bytes),
}
