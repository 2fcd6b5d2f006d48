//! Who sees the rooms' logs as they are, whatever happens to gateways and clients.

mod live;
mod steady;
mod stream;

use std::collections::HashSet;

use protocol::cursor::Seq;
use protocol::ids::EventId;
use rig::account::log::Log;

use self::live::Ears;
use self::steady::Steady;
use self::stream::Follower;
use crate::world::World;

/// A witness of the logs.
#[derive(Debug)]
pub(crate) enum Witness {
    /// Of one gateway's embedded broker.
    Embedded(Steady),
    /// Of streams, and of what goes past them, at the servers.
    Nats(Box<Follower>, Ears),
}

/// What has happened in both rooms.
#[derive(Debug)]
pub(crate) struct Truth {
    pub(crate) logs: [Log; 2],
    /// Events that went out past the logs.
    pub(crate) live: HashSet<EventId>,
}

impl Witness {
    /// Starts to watch.
    pub(crate) async fn start(world: &World) -> Self {
        match world.nats_url() {
            None => Self::Embedded(Steady::start(world).await),
            Some(url) => Self::Nats(Box::new(Follower::start(&url).await), Ears::start(&url).await),
        }
    }

    /// The numbers of the last entries of the rooms.
    pub(crate) async fn heads(&self, world: &World) -> [Seq; 2] {
        match self {
            Self::Embedded(steady) => steady.heads(world).await,
            Self::Nats(follower, _) => follower.heads().await,
        }
    }

    /// Everything. Nobody publishes any more.
    pub(crate) async fn truth(self, world: &World) -> Truth {
        match self {
            Self::Embedded(steady) => {
                Truth { logs: steady.logs(world).await, live: HashSet::new() }
            }
            Self::Nats(follower, ears) => Truth { logs: follower.logs().await, live: ears.heard() },
        }
    }
}

pub(crate) use self::stream::stream_of;
