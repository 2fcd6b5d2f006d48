//! What a run is to do, complete before it begins: who connects when, who says what when, who
//! stops reading when. Made by a scenario from its options and seed, cut up among the workers.

pub(crate) mod chat;

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// The plan of a run, or the part of one worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Tells the events of this run from those of others.
    pub(crate) run: u32,
    /// The gateway.
    pub(crate) target: Target,
    /// The rooms.
    pub(crate) rooms: Vec<Room>,
    /// Names of groups of clients that are reported apart.
    pub(crate) groups: Vec<String>,
    /// The parts of the run after the beginning that are reported apart, in order.
    pub(crate) phases: Vec<Phase>,
    /// The clients.
    pub(crate) clients: Vec<Client>,
    /// How many connections of one worker may be on their way at once.
    pub(crate) in_flight_max: usize,
    /// Time between two looks at the sockets, in µs; 0: whenever something happens.
    pub(crate) sweep_us: u64,
    /// Whether permessage-deflate is offered.
    pub(crate) deflate: bool,
    /// Between two pings of each client, in µs; 0: none.
    pub(crate) heartbeat_us: u64,
    /// Whether only chat is published.
    pub(crate) only_chat: bool,
    /// The run lasts at least this long after the beginning, in µs.
    pub(crate) last_us: u64,
}

/// Where the gateway is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target {
    /// Its address.
    pub(crate) address: SocketAddr,
    /// What to call it in `Host`.
    pub(crate) host: String,
    /// Path and query of its WebSocket.
    pub(crate) path: String,
}

/// A part of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Phase {
    /// Its name.
    pub(crate) name: String,
    /// When it begins, in µs after the beginning; the first one at 0.
    pub(crate) at_us: u64,
}

/// A room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Room {
    /// Its name.
    pub(crate) name: String,
    /// The group whose viewers are in it.
    pub(crate) group: usize,
}

/// A client: one connection at a time, in one room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Client {
    /// Its number in the whole run.
    pub(crate) number: u32,
    /// Its room.
    pub(crate) room: usize,
    /// The group it is reported with.
    pub(crate) group: usize,
    /// The address that it connects from; none: whichever the system takes.
    pub(crate) source: Option<IpAddr>,
    /// What it does, in order of time.
    pub(crate) acts: Vec<(At, Act)>,
    /// What it publishes, in order of time after the beginning.
    pub(crate) sends: Vec<Send>,
}

impl Client {
    /// Whether it does not always read as fast as it can.
    pub(crate) fn is_slow(&self) -> bool {
        self.acts.iter().any(|(_, act)| matches!(act, Act::Stop | Act::Trickle(_)))
    }
}

/// A time of the plan, in µs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum At {
    /// After the start: while the clients come in.
    Start(u64),
    /// After the beginning, which waits until everybody is in who was to come before it.
    Begin(u64),
}

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Act {
    /// Connects and joins; after a loss it comes back from its last cursor, or as if it were new.
    Connect {
        /// Whether it asks for what it has missed.
        resume: bool,
    },
    /// Loses its connection without a word.
    Drop,
    /// Leaves with a close frame.
    Leave,
    /// Stops reading.
    Stop,
    /// Reads this many bytes a second.
    Trickle(u32),
    /// Reads again as fast as it can.
    Read,
}

/// One event to be published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Send {
    /// When, in µs after the beginning.
    pub(crate) at_us: u64,
    /// Its number in the whole run; rises with time.
    pub(crate) number: u32,
    /// Its kind.
    pub(crate) kind: EventKind,
    /// About how long its text is, in bytes.
    pub(crate) bytes: u16,
}

/// The kinds of events that clients publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum EventKind {
    /// Danmaku.
    Chat,
    /// Something paid (only a gateway with `--dev` takes it from clients).
    Gift,
    /// Opaque to the gateway, up to 8 KiB.
    Opaque,
}

impl EventKind {
    /// As the protocol calls it.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Gift => "gift",
            Self::Opaque => "x-load",
        }
    }
}

/// Connections from one source address, at most: more make the kernel search for free ports.
const CONNECTIONS_PER_SOURCE: usize = 10_000;

/// The source address of the nth client. On the own machine 127.0.0.2, 127.0.0.3 and so on:
/// one address has only some 28,000 ports.
pub(crate) fn source(target: &Target, nth: usize) -> Option<IpAddr> {
    match target.address.ip() {
        IpAddr::V4(to) if to.is_loopback() => {
            let address = u32::from(to) + 1 + (nth / CONNECTIONS_PER_SOURCE) as u32;
            Some(IpAddr::V4(address.into()))
        }
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

impl Plan {
    /// When the last thing happens, in µs after the beginning.
    pub(crate) fn end_us(&self) -> u64 {
        let acts = self.clients.iter().flat_map(|client| &client.acts);
        let acts = acts.filter_map(|(at, _)| match at {
            At::Begin(us) => Some(*us),
            At::Start(_) => None,
        });
        let sends = self.clients.iter().filter_map(|client| client.sends.last());
        acts.chain(sends.map(|send| send.at_us)).max().unwrap_or(0).max(self.last_us)
    }

    /// How many clients are to be in before the beginning.
    pub(crate) fn early(&self) -> usize {
        let is_early =
            |client: &&Client| client.acts.iter().any(|(at, _)| matches!(at, At::Start(_)));
        self.clients.iter().filter(is_early).count()
    }

    /// Events to be published.
    pub(crate) fn sends(&self) -> u64 {
        self.clients.iter().map(|client| client.sends.len() as u64).sum()
    }

    /// Cuts the plan among workers: who publishes apart from who only watches, so that reading
    /// never delays a publish, and at most `sockets_max` clients each.
    pub(crate) fn split(self, sockets_max: usize) -> Vec<Self> {
        let Self { clients, .. } = self;
        let (speakers, viewers): (Vec<_>, Vec<_>) =
            clients.into_iter().partition(|client| !client.sends.is_empty());
        let parts = [speakers, viewers].into_iter().flat_map(|clients| even(clients, sockets_max));
        let with = |clients| Self {
            clients,
            target: self.target.clone(),
            rooms: self.rooms.clone(),
            groups: self.groups.clone(),
            phases: self.phases.clone(),
            ..self
        };
        parts.map(with).collect()
    }
}

/// Cuts into as few parts as possible, of about equal length.
fn even<T>(all: Vec<T>, max: usize) -> Vec<Vec<T>> {
    let count = all.len().div_ceil(max.max(1)).max(1);
    let length = all.len().div_ceil(count).max(1);
    let mut parts = Vec::new();
    let mut all = all.into_iter().peekable();
    while all.peek().is_some() {
        parts.push(all.by_ref().take(length).collect());
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        let address = "127.0.0.1:80".parse().unwrap();
        Target { address, host: "h".into(), path: "/ws".into() }
    }

    fn client(number: u32, sends: usize) -> Client {
        let send = |at| Send { at_us: at as u64, number: at, kind: EventKind::Chat, bytes: 20 };
        Client {
            number,
            room: 0,
            group: 0,
            source: None,
            acts: vec![(At::Start(0), Act::Connect { resume: true })],
            sends: (0..sends as u32).map(send).collect(),
        }
    }

    fn plan(clients: Vec<Client>) -> Plan {
        Plan {
            run: 1,
            target: target(),
            rooms: Vec::new(),
            groups: Vec::new(),
            phases: Vec::new(),
            clients,
            in_flight_max: 1,
            sweep_us: 1000,
            deflate: false,
            heartbeat_us: 0,
            only_chat: true,
            last_us: 0,
        }
    }

    #[test]
    fn speakers_have_a_worker_of_their_own_and_viewers_are_cut_evenly() {
        let clients = (0..25).map(|n| client(n, usize::from(n < 2) * 3)).collect();
        let plan = plan(clients);
        assert_eq!((plan.end_us(), plan.early(), plan.sends()), (2, 25, 6));
        let parts: Vec<usize> = plan.split(10).iter().map(|part| part.clients.len()).collect();
        assert_eq!(parts, [2, 8, 8, 7]);
    }

    #[test]
    fn sources_change_before_their_ports_run_out() {
        let of = |nth| source(&target(), nth).map(|ip| ip.to_string());
        assert_eq!(of(0).as_deref(), Some("127.0.0.2"));
        assert_eq!(of(9_999).as_deref(), Some("127.0.0.2"));
        assert_eq!(of(10_000).as_deref(), Some("127.0.0.3"));
        let far = Target { address: "10.0.0.1:80".parse().unwrap(), ..target() };
        assert_eq!(source(&far, 0), None);
    }
}
