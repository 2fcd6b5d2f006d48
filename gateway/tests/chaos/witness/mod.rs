//! Who sees the rooms' logs as they are, whatever happens to gateways and clients.

mod steady;
mod stream;

use protocol::cursor::Seq;
use rig::account::log::Log;

use self::steady::Steady;
use self::stream::Follower;
use crate::world::World;

/// A witness of the logs.
#[derive(Debug)]
pub(crate) enum Witness {
    /// Of one gateway's embedded broker.
    Embedded(Steady),
    /// Of streams, past all gateways.
    Nats(Box<Follower>),
}

impl Witness {
    /// Starts to watch.
    pub(crate) async fn start(world: &World) -> Self {
        match world.nats_url() {
            None => Self::Embedded(Steady::start(world).await),
            Some(url) => Self::Nats(Box::new(Follower::start(&url).await)),
        }
    }

    /// The numbers of the last entries of the rooms.
    pub(crate) async fn heads(&self, world: &World) -> [Seq; 2] {
        match self {
            Self::Embedded(steady) => steady.heads(world).await,
            Self::Nats(follower) => follower.heads().await,
        }
    }

    /// The logs, at least up to these numbers.
    pub(crate) async fn logs(self, upto: [Seq; 2]) -> [Log; 2] {
        match self {
            Self::Embedded(steady) => steady.logs(upto).await,
            Self::Nats(follower) => follower.logs().await,
        }
    }
}

pub(crate) use self::stream::stream_of;
