//! What those are told who are not let in.

use crate::client::guests::Denied;
use crate::http::refusals::Refused;
use crate::metrics::TurnedAway;

/// Whoever is turned away is told to come back at some second of so many.
const RETRY_SPREAD_S: u64 = 5;

/// Why not.
pub(super) fn why(denied: Denied) -> &'static Refused {
    match denied {
        Denied::Full => &FULL,
        Denied::AddressConnections => &ADDRESS_CONNECTIONS,
        Denied::UserConnections => &USER_CONNECTIONS,
        Denied::AddressHandshakes(_) => &ADDRESS_HANDSHAKES,
    }
}

/// The same with when to come back: each at a time of its own, so that a crowd does not come back
/// as one.
pub(super) fn answer(denied: Denied) -> Refused {
    let wait_s = match denied {
        Denied::AddressHandshakes(wait) => wait.as_secs(),
        Denied::Full | Denied::AddressConnections | Denied::UserConnections => 0,
    };
    let jitter_s = rand::random_range(0..RETRY_SPREAD_S);
    Refused { after_s: Some(wait_s + 1 + jitter_s), ..*why(denied) }
}

const FULL: Refused =
    Refused::full(TurnedAway::Full, "this gateway holds as many connections as it may");
const ADDRESS_CONNECTIONS: Refused = Refused::limited(
    TurnedAway::AddressConnections,
    "this address holds as many connections as it may",
);
const USER_CONNECTIONS: Refused = Refused::limited(
    TurnedAway::UserConnections,
    "this user holds as many connections to this gateway as it may",
);
const ADDRESS_HANDSHAKES: Refused = Refused::limited(
    TurnedAway::AddressHandshakes,
    "too many connections from this address in too short a time",
);
