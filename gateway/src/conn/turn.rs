//! One read of a client, taken apart: what it says becomes actions.

use protocol::event::Event;
use protocol::frame::{self, FrameRules};
use protocol::from_client::{Decoder, RequestId};
use protocol::ids::{Address, EventId, RoomId};
use protocol::refusal::Refusal;
use protocol::to_client::ServerMessage;

use crate::client::admission::Verdict;
use crate::client::session::{Effect, NOT_ANY_MORE, Session};
use crate::client::{Form, Seat};
use crate::conn::context::Context;
use crate::conn::reader::{Client, Inbound, Next};
use crate::hub::HubCommand;
use crate::now::Now;
use crate::room::effect::Join;
use crate::shard::Control;

/// What a read leads to.
pub(super) enum Action {
    Hub(HubCommand),
    Shard(Control),
    Publish { room: RoomId, event: Event, id: Option<RequestId> },
    Refuse { id: Option<RequestId>, room: Option<RoomId>, refusal: Refusal },
    Like { room: RoomId, likes: u32, id: Option<RequestId> },
}

/// One read, while it is taken apart.
pub(super) struct ReadTurn<'c> {
    context: &'c Context,
    address: Address,
    form: Form,
    session: &'c mut Session,
    now: Now,
    pub(super) actions: Vec<Action>,
    /// Whether the client has said that it goes, or is told to.
    pub(super) closing: bool,
}

impl<'c> ReadTurn<'c> {
    pub(super) fn new(
        context: &'c Context,
        address: Address,
        form: Form,
        session: &'c mut Session,
        now: Now,
    ) -> Self {
        Self { context, address, form, session, now, actions: Vec::new(), closing: false }
    }
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
                let random = EventId::random_bytes(address.boot, rand::random());
                let effect = self.session.handle(decoded, rules, &keys, self.now, random);
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
