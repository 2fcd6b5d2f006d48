//! At the door: who somebody is, and the first thing they are told.

use std::rc::Rc;

use protocol::event::User;
use protocol::ids::UserId;
use protocol::to_client::{Limits, ServerMessage};

use crate::auth::{Claims, Grants, TokenFault};
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
    let SessionRules { publishes, commands, .. } = context.session;
    let limits = Limits {
        publish_per_5s: publishes.burst,
        commands_per_s: commands.per_second(),
        commands_burst: commands.burst,
        connections_per_user: context.guests.connections_per_user_max,
        ..Limits::default()
    };
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
