//! What those are told who are not let in.

use hyper::StatusCode;

use crate::client::guests::Denied;
use crate::http::upgrade::Refused;
use crate::metrics::TurnedAway;

/// Whoever is turned away is told to come back at some second of so many.
const RETRY_SPREAD_S: u64 = 5;

/// What is counted.
pub(crate) fn reason(denied: Denied) -> TurnedAway {
    match denied {
        Denied::Full => TurnedAway::Full,
        Denied::AddressConnections | Denied::UserConnections => TurnedAway::AddressConnections,
        Denied::AddressHandshakes(_) => TurnedAway::AddressHandshakes,
    }
}

/// What is counted, what is answered, and after how many seconds to come back: each at a time of
/// its own, so that a crowd does not come back as one.
pub(crate) fn answer(denied: Denied) -> (TurnedAway, &'static Refused, u64) {
    let jitter_s = rand::random_range(0..RETRY_SPREAD_S);
    let (why, wait_s) = match denied {
        Denied::Full => (&FULL, 0),
        Denied::AddressConnections | Denied::UserConnections => (&ADDRESS_CONNECTIONS, 0),
        Denied::AddressHandshakes(wait) => (&ADDRESS_HANDSHAKES, wait.as_secs()),
    };
    (reason(denied), why, wait_s + 1 + jitter_s)
}

const FULL: Refused = Refused {
    status: StatusCode::SERVICE_UNAVAILABLE,
    code: "unavailable",
    message: "this gateway holds as many connections as it may",
};
const ADDRESS_CONNECTIONS: Refused = Refused {
    status: StatusCode::TOO_MANY_REQUESTS,
    code: "rate_limited",
    message: "this address holds as many connections as it may",
};
const ADDRESS_HANDSHAKES: Refused = Refused {
    status: StatusCode::TOO_MANY_REQUESTS,
    code: "rate_limited",
    message: "too many connections from this address in too short a time",
};
