//! A shard: one thread, one runtime, one connection map, one timer wheel.
//!
//! It owns the write halves, the outboxes and the members of rooms on this thread. Commands come
//! in through a [`ShardHandle`] in two queues: control (replies and memberships, polled first)
//! and rooms (answers and frames from the hubs, in order). It knows neither hubs nor brokers,
//! and never parses JSON.

mod cipher;
mod clients;
mod fan_out;
mod flush;
mod handover;
mod leaving;
mod lifecycle;
mod overtake;
mod rooms;
mod seating;
mod sink;
mod speech;
mod stream;
mod task;
mod watch;
mod wheel;

use std::sync::Arc;

use bytes::Bytes;
use protocol::close::CloseReason;
use protocol::cursor::Bookmark;
use protocol::ids::{Address, RoomId, UserId};
use protocol::refusal::Refusal;
use protocol::to_client::StateChange;
use tokio::sync::{mpsc, oneshot};

use crate::client::{Form, Seat};
use crate::room::effect::Join;

pub(crate) use handover::{Handover, Ticket};
pub(crate) use sink::{ClientSink, Socket};
pub(crate) use stream::{EventFrames, EventStream};
#[cfg(feature = "bench")]
pub(crate) use task::bench;
pub(crate) use task::{Shard, ShardRules};

/// Commands of connections: one reply or membership each; a few per connection at a time.
const CONTROL_QUEUE: usize = 4096;
/// Commands of hubs: one per room and tick, or per batch of joins.
const ROOMS_QUEUE: usize = 1024;

/// What connections, dispatch and the app ask of a shard. Polled before room commands.
#[derive(Debug)]
pub(crate) enum Control {
    /// Take over the write half of a new client, left at the [`Handover`], and write this before
    /// anything else; answers with its address.
    Attach { sink: Ticket, user: UserId, first: Option<Bytes>, answer: oneshot::Sender<Address> },
    /// The client's reader has ended: forget the client.
    Detach(Address),
    /// The client's token ends at this time, in seconds since 1970: so does the client.
    Expires { address: Address, at_s: u64 },
    /// The client is about to be seated in a room by a hub.
    Expect { address: Address, room: RoomId, seat: Seat },
    /// The client has left a room: no batch of it goes out after this.
    Unseat { address: Address, room: RoomId, seat: Seat },
    /// Send a frame on the client's control lane.
    Send { address: Address, frame: Bytes },
    /// Send a frame to every client of a user, or (without one) to every client.
    SendTo { user: Option<UserId>, frame: Bytes },
    /// Send what the client is owed: what became of a publish.
    Answer { address: Address, frame: Bytes },
    /// End the client: a close frame, then the socket.
    Close { address: Address, reason: CloseReason },
    /// The client has said that it goes: answer with this close frame, then end the socket.
    Echo { address: Address, frame: Bytes },
    /// Say goodbye to every client, spread over a time.
    Drain { window_s: u32 },
    /// Say goodbye to every client now.
    Hurry,
}

/// What hubs ask of a shard.
#[derive(Debug)]
pub(crate) enum RoomCommand {
    /// These clients are seated; each gets its `joined` before any later frame of the room.
    Answer(ShardAnswer),
    /// These clients are not seated.
    Refuse { room: RoomId, joins: Vec<Join>, refusal: Refusal },
    /// A frame for the members of the room.
    Frame(ShardFrame),
    /// The room is over for all who are in it now.
    Dismiss { room: RoomId, refusal: Refusal },
}

/// One `joined` for clients of one shard.
#[derive(Debug)]
pub(crate) struct ShardAnswer {
    pub(crate) room: RoomId,
    pub(crate) joins: Vec<Join>,
    pub(crate) head: Bookmark,
    pub(crate) tail: AnswerTail,
}

/// The part of a `joined` that is the same for all.
#[derive(Debug, Clone)]
pub(crate) enum AnswerTail {
    /// Small: copied behind each client's own head into one frame.
    Copied(Bytes),
    /// Large: encoded once as the last fragment; each client's head goes out as the first.
    Shared(Bytes),
}

/// A room's frame, in every form that somebody wants.
#[derive(Debug, Clone)]
pub(crate) struct ShardFrame {
    pub(crate) room: RoomId,
    /// Shared by all shards. The first is for those who were here all along.
    pub(crate) variants: Arc<[FrameVariant]>,
}

/// A batch for those whose cursor is `prev`, as complete frames.
#[derive(Debug, Clone)]
pub(crate) struct FrameVariant {
    pub(crate) prev: Bookmark,
    pub(crate) cursor: Bookmark,
    /// How many events it accounts for.
    pub(crate) count: u32,
    /// How many of them are told as missed: a gap comes before the batch.
    pub(crate) missed: u32,
    /// What it tells of the room's state.
    pub(crate) state: StateChange,
    /// By [`Form`]; `None` if nobody wants it.
    pub(crate) forms: [Option<Bytes>; Form::ALL.len()],
}

/// The only way to reach a shard.
#[derive(Debug, Clone)]
pub(crate) struct ShardHandle {
    control: mpsc::Sender<Control>,
    rooms: mpsc::Sender<RoomCommand>,
}

/// The shard's ends of its queues.
#[derive(Debug)]
pub(crate) struct ShardInbox {
    control: mpsc::Receiver<Control>,
    rooms: mpsc::Receiver<RoomCommand>,
}

impl ShardHandle {
    /// A handle and the inbox that a [`Shard`] is started with.
    pub(crate) fn channel() -> (Self, ShardInbox) {
        let (control, control_inbox) = mpsc::channel(CONTROL_QUEUE);
        let (rooms, rooms_inbox) = mpsc::channel(ROOMS_QUEUE);
        (Self { control, rooms }, ShardInbox { control: control_inbox, rooms: rooms_inbox })
    }

    /// Asks for something on behalf of a connection; waits while the queue is full, which slows
    /// the reading of that connection. A shard that has ended ignores it.
    pub(crate) async fn control(&self, command: Control) {
        // The shard ends only after every connection of its thread: nothing is owed then.
        let _ = self.control.send(command).await;
    }

    /// Seats a new client, which is sent `first` before anything else; `None` if the shard has
    /// ended.
    pub(crate) async fn attach(
        &self,
        sink: Ticket,
        user: UserId,
        first: Option<Bytes>,
    ) -> Option<Address> {
        let (answer, address) = oneshot::channel();
        self.control(Control::Attach { sink, user, first, answer }).await;
        address.await.ok()
    }

    /// How many commands of connections, and how many of hubs, wait.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let Self { control, rooms } = self;
        (control.max_capacity() - control.capacity(), rooms.max_capacity() - rooms.capacity())
    }

    /// Hands over what a hub has for this shard; waits while the queue is full, which a shard
    /// empties in every turn.
    pub(crate) async fn room(&self, command: RoomCommand) {
        let _ = self.rooms.send(command).await;
    }
}

#[cfg(test)]
impl ShardInbox {
    /// What a hub hands over next.
    pub(crate) async fn next_room(&mut self) -> Option<RoomCommand> {
        self.rooms.recv().await
    }

    /// What is asked next on behalf of a connection.
    pub(crate) async fn next_control(&mut self) -> Option<Control> {
        self.control.recv().await
    }
}
