//! A viewer over an event stream: one room, and nothing that it could say.

use std::rc::Rc;

use protocol::cursor::Bookmark;
use protocol::event::User;
use protocol::event_stream;
use protocol::ids::RoomId;

use crate::client::{Form, Seat};
use crate::conn::context::Context;
use crate::doorman::{Pass, UserPass};
use crate::hub::HubCommand;
use crate::room::effect::Join;
use crate::shard::{ClientSink, Control, EventStream};

/// After the end of its stream a viewer comes back after at least this time, in milliseconds …
const RETRY_MS: u64 = 1000;
/// … and within this time after that, each at its own moment.
const RETRY_SPREAD_MS: u64 = 2000;

/// What a viewer asks for.
pub(crate) struct Watching {
    pub(crate) user: User,
    /// When its token ends, in seconds since 1970.
    pub(crate) expires_s: Option<u64>,
    pub(crate) room: RoomId,
    pub(crate) since: Option<Bookmark>,
    pub(crate) history: usize,
    /// Its right to be here, given back when it goes.
    pub(crate) pass: Pass,
    /// The place of its user.
    pub(crate) seated: UserPass,
}

/// Seats a viewer and waits until it goes.
pub(crate) async fn run(context: Rc<Context>, watching: Watching, stream: EventStream) {
    let Watching { user, expires_s, room, since, history, pass: _pass, seated: _seated } = watching;
    let stream = Rc::new(stream);
    stream.owed().owe();
    let sink = ClientSink::Events(Rc::clone(&stream));
    let after_ms = RETRY_MS + rand::random_range(0..RETRY_SPREAD_MS);
    let retry = event_stream::retry(after_ms);
    let Some(address) = context.seat(sink, user.id, retry).await else { return };
    if let Some(at_s) = expires_s {
        context.shard.control(Control::Expires { address, at_s }).await;
    }
    let seat = Seat { number: 1, form: Form::EventStream };
    context.shard.control(Control::Expect { address, room: room.clone(), seat }).await;
    stream.owed().settle();
    let join = Join { address, seat, id: None, since, history };
    context.hubs.command(HubCommand::Join { room: room.clone(), join }).await;
    stream.ended().await;
    context.hubs.command(HubCommand::Leave { room, address, seat }).await;
    context.detach(address).await;
}
