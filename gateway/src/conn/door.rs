//! At the door: who somebody is, and the first thing they are told.

use std::rc::Rc;
use std::time::Duration;

use protocol::event::User;
use protocol::ids::UserId;
use protocol::to_client::{AddressLimits, Limits, ServerMessage};

use crate::auth::{Claims, Grants, TokenFault};
use crate::client::guests::{self, GuestRules};
use crate::client::session::SessionRules;
use crate::conn::behind;
use crate::conn::context::Context;
use crate::shard::{Control, Socket};

/// Who is at the door.
#[derive(Debug)]
pub(crate) enum Caller {
    /// Somebody without a name.
    Guest(User, Grants),
    /// The bearer of a token, which is still to be judged.
    Bearer(Bearer),
    /// Somebody who needs a token and has none.
    Nobody,
}

/// A token. Does not show itself.
pub(crate) struct Bearer(pub(crate) String);

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bearer(…)")
    }
}

/// Who a caller is, what they may do, and until when.
pub(super) async fn who(
    context: &Context,
    caller: Caller,
) -> Result<(User, Grants, Option<u64>), TokenFault> {
    match caller {
        Caller::Guest(user, grants) => Ok((user, grants, None)),
        Caller::Bearer(Bearer(token)) => {
            let Claims { user, expires_s, grants } = context.keys.verify(&token).await?;
            Ok((user, grants, Some(expires_s)))
        }
        Caller::Nobody => Err(context.keys.missing()),
    }
}

/// Tells somebody who is not let in why. Browsers show pages no answer to a handshake, so this
/// comes through the WebSocket: an `error`, and a close that says whether to come back.
pub(super) async fn turn_away(
    context: &Context,
    socket: &Rc<Socket>,
    head: &[u8],
    fault: TokenFault,
) {
    let nobody = UserId::anonymous(rand::random());
    let error = ServerMessage::refusal(None, None, &fault.refusal()).render();
    let Some(address) = context.attach(socket, nobody, behind(head, &error)).await else { return };
    let reason = fault.close_reason();
    context.shard.control(Control::Close { address, reason }).await;
    discard(socket).await;
    context.detach(address).await;
}

pub(super) fn welcome(context: &Context, user: &User) -> Vec<u8> {
    let limits = limits(&context.session, &context.guests);
    ServerMessage::Welcome {
        node: &context.node,
        user,
        resumed: false,
        ping_interval_ms: context.timing.ping_interval_s * 1000,
        ping_timeout_ms: context.timing.ping_timeout_s * 1000,
        limits,
    }
    .render()
}

/// What a client may send and hold here.
fn limits(rules: &SessionRules, guests: &GuestRules) -> Limits {
    let SessionRules { publishes, commands, likes, .. } = *rules;
    let GuestRules { address_connections_max, address_handshakes, .. } = *guests;
    let address = AddressLimits {
        address_connections: address_connections_max,
        address_handshakes_burst: address_handshakes.burst,
        address_handshakes_period_ms: address_handshakes.period_ms(),
    };
    Limits {
        publish_per_5s: publishes.over(Duration::from_secs(5)),
        publish_burst: publishes.burst,
        publish_period_ms: publishes.period_ms(),
        likes_burst: likes.burst,
        likes_period_ms: likes.period_ms(),
        commands_per_s: commands.over(Duration::from_secs(1)),
        commands_burst: commands.burst,
        connections_per_user: guests.connections_per_user_max,
        address: (guests.address_limits == guests::AddressLimits::On).then_some(address),
        ..Limits::default()
    }
}

/// Reads on until the socket ends, so that the close frame is not lost to a reset.
pub(super) async fn discard(socket: &Socket) {
    let mut into = [0; 512];
    while socket.readable().await.is_ok() {
        match socket.try_read(&mut into) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}
