//! A connection: the task that reads one client's socket and owns the client's lifetime.
//!
//! Only this module reads client sockets, and only the reader ends a client: whoever else wants
//! it gone closes the socket, and the reader notices. What a client says becomes actions for the
//! shard (replies), the hub (joins and leaves) and the broker (events). It never writes.

pub(crate) mod acks;
pub(crate) mod context;
mod door;
pub(crate) mod echo;
pub(crate) mod events;
mod perform;
pub(crate) mod reader;
mod turn;

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use protocol::close::CloseReason;
use protocol::frame;
use protocol::ids::Address;
use tokio_util::task::TaskTracker;

use crate::client::Form;
use crate::client::session::Session;
use crate::conn::context::Context;
use crate::conn::door::{discard, turn_away, welcome, who};
use crate::conn::reader::{Carry, Read};
use crate::conn::turn::{Action, ReadTurn};
use crate::doorman::{Pass, UserPass};
use crate::hub::HubCommand;
use crate::now::Now;
use crate::shard::{Control, Socket};

pub(crate) use door::{Bearer, Caller};
pub(crate) use perform::BUSY;

/// After a read of so many bytes the other tasks of the thread have their turn: reading is outside
/// of tokio's budget, and a client that never pauses would keep the thread.
const LARGE_READ_BYTES: usize = 4096;

/// A client that has a WebSocket.
pub(crate) struct Admitted {
    pub(crate) socket: Socket,
    /// The answer to its handshake, which goes out with the first thing that it is told.
    pub(crate) head: Bytes,
    /// What it had sent behind its handshake.
    pub(crate) early: Bytes,
    pub(crate) caller: Caller,
    /// Whether permessage-deflate was negotiated.
    pub(crate) form: Form,
    /// Its right to be here, given back when it goes.
    pub(crate) pass: Pass,
}

/// Serves a client until it goes: takes it in, and leaves it to a task of its own, which has no
/// room for a handshake.
pub(crate) async fn run(context: Rc<Context>, admitted: Admitted, tasks: &TaskTracker) {
    if let Some(conn) = admit(context, admitted).await {
        tasks.spawn_local(conn.listen());
    }
}

/// Finds out who a client is, gives it a place, welcomes it, and does what it has asked for
/// already, before which it is not sent elsewhere. `None` if it was turned away, or has gone.
async fn admit(context: Rc<Context>, admitted: Admitted) -> Option<Conn> {
    let Admitted { socket, head, early, caller, form, pass } = admitted;
    let socket = Rc::new(socket);
    let (user, grants, expires_s) = match who(&context, caller).await {
        Ok(who) => who,
        Err(fault) => {
            turn_away(&context, &socket, &head, fault).await;
            return None;
        }
    };
    let Ok((seated, publishes)) = context.doorman.seat(&user.id) else {
        let address = context.attach(&socket, user.id, head).await?;
        let reason = CloseReason::TooManyConnections;
        context.shard.control(Control::Close { address, reason }).await;
        discard(&socket).await;
        context.detach(address).await;
        return None;
    };
    let first = behind(&head, &welcome(&context, &user));
    socket.owed().owe();
    let address = context.attach(&socket, user.id.clone(), first).await?;
    if let Some(at_s) = expires_s {
        context.shard.control(Control::Expires { address, at_s }).await;
    }
    let session = Session::new(user, grants, expires_s, form, publishes);
    let (carry, turn) = (Carry::default(), Turn::GoOn);
    let (_pass, _seated) = (pass, seated);
    let mut conn = Conn { context, socket, address, form, session, carry, turn, _pass, _seated };
    if !early.is_empty() {
        conn.turn = guarded(conn.take(Some(early))).await;
    }
    // What it came with is heard, and the shard knows what it waits for.
    conn.socket.owed().settle();
    Some(conn)
}

/// A client that was welcomed. It listens most of the time, and what it needs for that is all
/// that it holds: everything else is done in memory that is given back.
struct Conn {
    context: Rc<Context>,
    socket: Rc<Socket>,
    address: Address,
    form: Form,
    session: Session,
    carry: Carry,
    turn: Turn,
    _pass: Pass,
    _seated: UserPass,
}

/// What came of a read.
struct Heard {
    actions: Vec<Action>,
    bytes: usize,
    turn: Turn,
}

/// What is to be done after a read.
struct Asked<'c> {
    turn: Turn,
    /// Whether others have their turn before the next read.
    is_large: bool,
    performing: Option<Pin<Box<dyn Future<Output = ()> + 'c>>>,
}

/// Whether there is more to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    GoOn,
    /// The client is told to go; what it still says is not listened to.
    Closing,
    Ended,
    /// A fault of ours.
    Failed,
}

/// A fault of ours ends one client, and leaves no trace of it behind.
fn guarded(turn: impl Future<Output = Turn>) -> impl Future<Output = Turn> {
    AssertUnwindSafe(turn).catch_unwind().map(|turn| turn.unwrap_or(Turn::Failed))
}

impl Conn {
    /// Listens to the client until it goes.
    ///
    /// Not an `async fn`: that would keep two copies of what it is called with.
    fn listen(self) -> impl Future<Output = ()> {
        let mut conn = self;
        async move {
            let end = guarded(conn.serve()).await;
            Box::pin(conn.leave(end)).await;
        }
    }

    async fn serve(&mut self) -> Turn {
        while self.turn == Turn::GoOn {
            self.turn = match self.socket.readable().await {
                Ok(()) => self.take(None).await,
                Err(_) => Turn::Ended,
            };
        }
        self.turn
    }

    /// Reads what is there and does what it asks for.
    ///
    /// Not an `async fn`: that would keep room for everything that is done in between.
    fn take(&mut self, early: Option<Bytes>) -> impl Future<Output = Turn> {
        let Asked { turn, is_large, performing } = self.hear(early);
        async move {
            if let Some(performing) = performing {
                performing.await;
            }
            if turn == Turn::GoOn && is_large {
                tokio::task::yield_now().await;
            }
            turn
        }
    }

    fn hear(&mut self, early: Option<Bytes>) -> Asked<'_> {
        let now = self.context.clock.now();
        let Heard { actions, bytes, turn } = self.read(early, now);
        let is_large = bytes >= LARGE_READ_BYTES;
        let performing: Option<Pin<Box<dyn Future<Output = ()> + '_>>> = match actions.is_empty() {
            true => None,
            false => Some(Box::pin(self.perform(actions, now))),
        };
        Asked { turn, is_large, performing }
    }

    fn read(&mut self, early: Option<Bytes>, now: Now) -> Heard {
        let Self { context, socket, address, form, session, carry, .. } = self;
        for (room, seat) in socket.take_refused() {
            session.refused(&room, seat);
        }
        let mut turn = ReadTurn::new(context, *address, *form, session, now);
        let read = {
            let mut reader = context.reader.borrow_mut();
            match early {
                Some(early) => reader.read(|into| copy(&early, into), carry, &mut turn),
                None => reader.read(|into| socket.try_read(into), carry, &mut turn),
            }
        };
        let ReadTurn { mut actions, closing, .. } = turn;
        let listens_on = if closing { Turn::Closing } else { Turn::GoOn };
        let (bytes, turn) = match read {
            Read::Bytes(bytes) => {
                socket.heard(now.mono_s());
                context.metrics.received_bytes.inc_by(bytes as u64);
                (bytes, listens_on)
            }
            Read::Nothing => (0, listens_on),
            Read::Ended => (0, Turn::Ended),
            Read::Fault(reason) => {
                actions.push(Action::Shard(Control::Close { address: *address, reason }));
                (0, Turn::Closing)
            }
        };
        Heard { actions, bytes, turn }
    }

    async fn perform(&self, actions: Vec<Action>, now: Now) {
        for action in actions {
            self.perform_one(action, now).await;
        }
    }

    /// Gives back its places.
    async fn leave(&self, end: Turn) {
        let Self { context, address, session, .. } = self;
        let address = *address;
        match end {
            Turn::Failed => {
                let reason = CloseReason::Internal;
                context.shard.control(Control::Close { address, reason }).await;
            }
            Turn::Closing => discard(&self.socket).await,
            Turn::GoOn | Turn::Ended => {}
        }
        for (room, seat) in session.seats() {
            let leave = HubCommand::Leave { room: room.clone(), address, seat: *seat };
            context.hubs.command(leave).await;
        }
        context.detach(address).await;
    }
}

/// A message behind the answer to a handshake.
fn behind(head: &[u8], message: &[u8]) -> Bytes {
    [head, &frame::text(message)].concat().into()
}

fn copy(from: &[u8], into: &mut [u8]) -> std::io::Result<usize> {
    let count = from.len().min(into.len());
    into[..count].copy_from_slice(&from[..count]);
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of what a function returns.
    fn size_of_returned<A, F>(_: impl FnOnce(A) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_client_that_listens_holds_no_room_for_what_others_do() {
        let listening = size_of_returned(Conn::listen);
        // With what the runtime adds it fits 512 bytes; its tasks are made in steps of 128.
        assert!(listening <= 400, "{listening} bytes");
    }
}
