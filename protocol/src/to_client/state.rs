//! What a room tells its members about itself.

use serde::Serialize;

use crate::ids::EventId;

/// A room as `joined` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct State {
    /// Members on all gateways.
    pub online: u64,
    /// Likes so far.
    pub likes: u64,
    /// How the room is set up.
    pub settings: Settings,
    /// Events that stay on the screen; nothing pins any yet.
    pub pinned: Vec<EventId>,
}

/// How a room is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Settings {
    /// The length of a slot, in milliseconds.
    pub tick_ms: u32,
    /// Chat and ambient events sent per second.
    pub chat_per_s: u32,
    /// Events of higher classes sent per second on top of that.
    pub higher_per_s: u32,
    /// How many of its newest events the room shows at most.
    pub history_events: u32,
    /// Whether what is said here is kept for nobody who comes later.
    pub ephemeral: bool,
}

/// What has changed of a room, as `batch` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct StateChange {
    /// Members on all gateways.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub online: Option<u64>,
    /// Likes so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub likes: Option<u64>,
    /// How the room is set up, all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
    /// The pinned events, all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Vec<EventId>>,
}

impl StateChange {
    /// Takes over what a later change tells.
    pub fn merge(&mut self, later: Self) {
        self.online = later.online.or(self.online);
        self.likes = later.likes.or(self.likes);
        self.settings = later.settings.or(self.settings);
        self.pinned = later.pinned.or(self.pinned.take());
    }
}

impl State {
    /// What a client that was told `told` still has to be told.
    pub fn change_since(&self, told: &Self) -> StateChange {
        StateChange {
            online: (self.online != told.online).then_some(self.online),
            likes: (self.likes != told.likes).then_some(self.likes),
            settings: (self.settings != told.settings).then_some(self.settings),
            pinned: (self.pinned != told.pinned).then(|| self.pinned.clone()),
        }
    }
}

impl StateChange {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
