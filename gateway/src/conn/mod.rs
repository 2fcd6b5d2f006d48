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
pub(crate) mod reader;

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use broker_bridge::Busy;
use bytes::Bytes;
use futures_util::FutureExt as _;
use protocol::close::CloseReason;
use protocol::event::Event;
use protocol::frame::{self, FrameRules};
use protocol::from_client::{Decoder, RequestId};
use protocol::ids::{Address, RoomId, UserId};
use protocol::refusal::{Code, Refusal};
use protocol::to_client::ServerMessage;

use crate::client::admission::Verdict;
use crate::client::session::{Effect, NOT_ANY_MORE, Session};
use crate::client::{Form, Seat};
use crate::conn::acks::AwaitedAck;
use crate::conn::context::Context;
use crate::conn::door::{discard, turn_away, welcome, who};
use crate::conn::reader::{Carry, Client, Inbound, Next, Read};
use crate::doorman::Pass;
use crate::hub::HubCommand;
use crate::metrics::Queue;
use crate::now::Now;
use crate::room::effect::Join;
use crate::shard::{ClientSink, Control, Socket};

pub(crate) use door::{Bearer, Caller};

/// After a read of so many bytes the other tasks of the thread have their turn: reading is outside
/// of tokio's budget, and a client that never pauses would keep the thread.
const LARGE_READ_BYTES: usize = 4096;

/// A client that has a WebSocket.
pub(crate) struct Admitted {
    pub(crate) socket: Socket,
    /// What it had sent behind its handshake.
    pub(crate) early: Bytes,
    pub(crate) caller: Caller,
    /// Whether permessage-deflate was negotiated.
    pub(crate) form: Form,
    /// Its right to be here, given back when it goes.
    pub(crate) pass: Pass,
}

/// Serves a client until it goes.
pub(crate) async fn run(context: Rc<Context>, admitted: Admitted) {
    let Admitted { socket, early, caller, form, pass: _pass } = admitted;
    let socket = Rc::new(socket);
    let (user, grants, expires_s) = match who(&context, caller).await {
        Ok(who) => who,
        Err(fault) => return turn_away(&context, &socket, fault).await,
    };
    match context.doorman.seat(&user.id) {
        Ok(seated) => {
            let welcome = welcome(&context, &user);
            let attached = context.attach(&socket, user.id.clone(), Some(&welcome)).await;
            let Some(address) = attached else { return };
            if let Some(at_s) = expires_s {
                context.shard.control(Control::Expires { address, at_s }).await;
            }
            let publishes = Arc::clone(&seated.publishes);
            let session = Session::new(user, grants, expires_s, form, publishes);
            converse(
                &context,
                Conn { socket, address, form, session, carry: Carry::default() },
                early,
            )
            .await;
            context.detach(address).await;
        }
        Err(_) => {
            let Some(address) = context.attach(&socket, user.id, None).await else { return };
            let reason = CloseReason::TooManyConnections;
            context.shard.control(Control::Close { address, reason }).await;
            discard(&socket).await;
            context.detach(address).await;
        }
    }
}

/// Listens to a client that was welcomed, until it goes.
async fn converse(context: &Context, mut conn: Conn, early: Bytes) {
    let address = conn.address;
    // A fault of ours ends this client, and leaves no trace of it behind.
    let served = AssertUnwindSafe(conn.serve(context, early)).catch_unwind().await;
    if served.is_err() {
        context.shard.control(Control::Close { address, reason: CloseReason::Internal }).await;
    }
    for (room, seat) in conn.session.seats() {
        let leave = HubCommand::Leave { room: room.clone(), address, seat: *seat };
        context.hubs.command(leave).await;
    }
}

/// One client's reader.
struct Conn {
    socket: Rc<Socket>,
    address: Address,
    form: Form,
    session: Session,
    carry: Carry,
}

/// What a read leads to.
enum Action {
    Hub(HubCommand),
    Shard(Control),
    Publish { room: RoomId, event: Event, id: Option<RequestId> },
    Refuse { id: Option<RequestId>, room: Option<RoomId>, refusal: Refusal },
    Like { room: RoomId, likes: u32, id: Option<RequestId> },
}

/// Whether there is more to read.
enum Turn {
    GoOn,
    /// The client is told to go; what it still says is not listened to.
    Closing,
    Ended,
}

impl Conn {
    async fn serve(&mut self, context: &Context, early: Bytes) {
        let mut turn = self.read(context, Some(early)).await;
        while let Turn::GoOn = turn {
            turn = match self.socket.readable().await {
                Ok(()) => self.read(context, None).await,
                Err(_) => Turn::Ended,
            };
        }
        if let Turn::Closing = turn {
            discard(&self.socket).await;
        }
    }

    /// Reads what is there and does what it asks for.
    async fn read(&mut self, context: &Context, early: Option<Bytes>) -> Turn {
        let now = context.clock.now();
        let mut turn = ReadTurn {
            context,
            address: self.address,
            form: self.form,
            session: &mut self.session,
            now,
            actions: Vec::new(),
            closing: false,
        };
        let read = {
            let mut reader = context.reader.borrow_mut();
            match early {
                Some(early) if early.is_empty() => return Turn::GoOn,
                Some(early) => reader.read(|into| copy(&early, into), &mut self.carry, &mut turn),
                None => reader.read(|into| self.socket.try_read(into), &mut self.carry, &mut turn),
            }
        };
        let ReadTurn { actions, mut closing, .. } = turn;
        for action in actions {
            self.perform(context, action, now).await;
        }
        match read {
            Read::Bytes(bytes) => {
                self.socket.heard(now.mono_s());
                context.metrics.received_bytes.inc_by(bytes as u64);
                if bytes >= LARGE_READ_BYTES {
                    tokio::task::yield_now().await;
                }
            }
            Read::Nothing => {}
            Read::Ended => return Turn::Ended,
            Read::Fault(reason) => {
                let address = self.address;
                context.shard.control(Control::Close { address, reason }).await;
                closing = true;
            }
        }
        if closing { Turn::Closing } else { Turn::GoOn }
    }

    async fn perform(&self, context: &Context, action: Action, now: Now) {
        match action {
            Action::Hub(command) => context.hubs.command(command).await,
            Action::Shard(command) => context.shard.control(command).await,
            Action::Publish { room, event, id } => {
                let (class, json) = (event.class, event.json.clone());
                match context.broker.publish(&room, event) {
                    Ok(pending) => {
                        self.socket.owe();
                        let (address, since) = (self.address, now.mono);
                        let ack =
                            AwaitedAck { address, room, class, id, event: json, pending, since };
                        // The task of the acks ends after all connections.
                        let _ = context.acks.send(ack).await;
                    }
                    Err(Busy) => {
                        context.metrics.queue_full(Queue::Broker);
                        context.refuse(self.address, id, Some(&room), &BUSY).await;
                    }
                }
            }
            Action::Like { room, likes, id } => {
                context.hubs.command(HubCommand::Like { room, likes }).await;
                let ack = ServerMessage::Ack { id, event: None, stored: false };
                context.send(self.address, &ack.render()).await;
            }
            Action::Refuse { id, room, refusal } => {
                context.refuse(self.address, id, room.as_ref(), &refusal).await;
            }
        }
    }
}

impl Context {
    /// Hands a client to the shard, with the message that it is sent first.
    async fn attach(
        &self,
        socket: &Rc<Socket>,
        user: UserId,
        first: Option<&[u8]>,
    ) -> Option<Address> {
        socket.heard(self.clock.now().mono_s());
        let sink = self.handover.leave(ClientSink::Socket(Rc::clone(socket)));
        let address = self.shard.attach(sink, user, first.map(frame::text)).await?;
        self.metrics.connections.inc();
        self.metrics.connections_total.inc();
        Some(address)
    }

    async fn detach(&self, address: Address) {
        self.shard.control(Control::Detach(address)).await;
        self.metrics.connections.dec();
    }

    async fn send(&self, address: Address, message: &[u8]) {
        self.shard.control(Control::Send { address, frame: frame::text(message) }).await;
    }

    async fn refuse(
        &self,
        address: Address,
        id: Option<RequestId>,
        room: Option<&RoomId>,
        refusal: &Refusal,
    ) {
        self.metrics.refused(refusal.code);
        let error = ServerMessage::refusal(id, room.map(RoomId::as_str), refusal);
        self.send(address, &error.render()).await;
    }
}

/// One read, while it is taken apart.
struct ReadTurn<'c> {
    context: &'c Context,
    address: Address,
    form: Form,
    session: &'c mut Session,
    now: Now,
    actions: Vec<Action>,
    closing: bool,
}

impl Client for ReadTurn<'_> {
    fn rules(&self) -> FrameRules {
        let compression = self.form == Form::Deflated;
        FrameRules { payload_bytes_max: self.session.message_bytes_max(), compression }
    }

    fn take(&mut self, inbound: Inbound<'_>, decoder: &mut Decoder) -> Next {
        let address = self.address;
        match inbound {
            Inbound::Text(text) => {
                self.context.metrics.received_messages.inc();
                let decoded = decoder.decode(text.as_bytes());
                let rules = &self.context.session;
                let keys = self.context.keys.ring();
                let effect = self.session.handle(decoded, rules, &keys, self.now, rand::random());
                self.act(effect);
            }
            // Over the rate only later pings are answered, as RFC 6455 section 5.5.3 allows.
            Inbound::Ping(_) if self.is_flood() => {}
            Inbound::Ping(payload) => {
                let frame = frame::pong(payload);
                self.actions.push(Action::Shard(Control::Send { address, frame }));
            }
            Inbound::Pong => {}
            Inbound::Close(code) => {
                let frame = frame::close_echo(code);
                self.actions.push(Action::Shard(Control::Echo { address, frame }));
                self.closing = true;
            }
        }
        if self.closing { Next::Stop } else { Next::GoOn }
    }
}

impl ReadTurn<'_> {
    fn is_flood(&mut self) -> bool {
        self.session.command(&self.context.session, self.now) != Verdict::Accept
    }

    fn act(&mut self, effect: Effect<'_>) {
        let address = self.address;
        match effect {
            Effect::Join { room, seat, replaces, id, since, history } => {
                if let Some(old) = replaces {
                    self.unseat(room.clone(), old);
                }
                let join = Join { address, seat, id, since, history };
                let expect = Control::Expect { address, room: room.clone(), seat };
                self.actions.push(Action::Shard(expect));
                self.actions.push(Action::Hub(HubCommand::Join { room, join }));
            }
            Effect::Leave { room, seat, id } => {
                self.leave(room, seat, id);
            }
            Effect::Publish { room, event, id } => {
                self.actions.push(Action::Publish { room, event, id });
            }
            Effect::Like { room, likes, id } => {
                self.actions.push(Action::Like { room, likes, id });
            }
            Effect::Pong { id, ts } => {
                let pong = ServerMessage::Pong { id, ts, now: self.now.unix_ms };
                let frame = frame::text(&pong.render());
                self.actions.push(Action::Shard(Control::Send { address, frame }));
            }
            Effect::Refreshed { expires_s, left, id } => {
                self.actions.push(Action::Shard(Control::Expires { address, at_s: expires_s }));
                for (room, seat) in left {
                    let told = Some(room.clone());
                    let refusal = NOT_ANY_MORE;
                    self.actions.push(Action::Refuse { id: None, room: told, refusal });
                    self.leave(room, seat, None);
                }
                let ack = ServerMessage::Ack { id, event: None, stored: false };
                let frame = frame::text(&ack.render());
                self.actions.push(Action::Shard(Control::Send { address, frame }));
            }
            Effect::Unproved { fault, id } => {
                let fault = self.context.keys.unproved(fault);
                let refusal = fault.refusal();
                self.actions.push(Action::Refuse { id, room: None, refusal });
            }
            Effect::Refuse { id, room, refusal } => {
                self.actions.push(Action::Refuse { id, room, refusal });
            }
            Effect::Close(reason) => {
                self.actions.push(Action::Shard(Control::Close { address, reason }));
                self.closing = true;
            }
        }
    }

    /// Leaves a room and says so.
    fn leave(&mut self, room: RoomId, seat: Seat, id: Option<RequestId>) {
        let address = self.address;
        let frame = frame::text(&ServerMessage::Left { id, room: &room }.render());
        self.unseat(room, seat);
        self.actions.push(Action::Shard(Control::Send { address, frame }));
    }

    fn unseat(&mut self, room: RoomId, seat: Seat) {
        let address = self.address;
        let unseat = Control::Unseat { address, room: room.clone(), seat };
        self.actions.push(Action::Shard(unseat));
        self.actions.push(Action::Hub(HubCommand::Leave { room, address, seat }));
    }
}

/// The broker's queue is full; nothing was accepted.
pub(crate) const BUSY: Refusal =
    Refusal::until(Code::Busy, "too busy to take this now; try again", Duration::from_secs(1));

fn copy(from: &[u8], into: &mut [u8]) -> std::io::Result<usize> {
    let count = from.len().min(into.len());
    into[..count].copy_from_slice(&from[..count]);
    Ok(count)
}
