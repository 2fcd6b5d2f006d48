//! What every session may do, whoever it is.

use std::time::Duration;

use protocol::limits;

use crate::client::admission::Rate;
use crate::documented::documented;

documented! {
    /// What every session may do; from the configuration.
    #[derive(Debug, Clone, Copy)]
    pub struct SessionRules {
        /// How often a user may publish, over all of its connections to this gateway. Default: 5
        /// in 5 seconds, as fast as people type; a refused client is told when to try again. Less
        /// refuses people in a lively room; more lets one viewer crowd out the others, since the
        /// room's budget is shared by all.
        pub publishes: Rate,
        /// How many commands of any kind a connection may send, pings among them. Default: 50 per
        /// second, and 200 at once, which no viewer needs. Less refuses clients that join many
        /// rooms at once; more lets one connection keep its shard busy.
        pub commands: Rate,
        /// How often a client may send likes; each message carries up to 50. Default: 5 in 2
        /// seconds, since clients collect the taps of a second. Less loses taps; more costs a
        /// message each and shows nothing, since likes are summed up by slot.
        pub likes: Rate,
        /// Whether clients may publish `gift` and `paid` events. Default: only the application may,
        /// through the server API, because these pass every budget and nobody has paid for what a
        /// client claims. Allowed, everybody who may chat can fill the screens of a room.
        pub paid_from_clients: PaidFromClients,
    }
}

impl Default for SessionRules {
    fn default() -> Self {
        Self {
            publishes: Rate { burst: limits::PUBLISH_PER_5S, period: Duration::from_secs(5) },
            commands: Rate {
                burst: limits::COMMANDS_BURST,
                period: Duration::from_secs(
                    (limits::COMMANDS_BURST / limits::COMMANDS_PER_S) as u64,
                ),
            },
            likes: Rate { burst: limits::LIKES_PER_2S, period: Duration::from_secs(2) },
            paid_from_clients: PaidFromClients::Refused,
        }
    }
}

/// Who may publish `gift` and `paid` events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaidFromClients {
    /// Only the server API.
    Refused,
    /// Clients too: for trying things out.
    Allowed,
}
