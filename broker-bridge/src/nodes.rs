//! What nodes tell of themselves, and what is known of the others.

use std::sync::Arc;

use protocol::ids::BootId;

/// Who a node is, for people and for those who want to reach it; the same for all of its life.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// Its name, such as that of its host; need not be unique. Empty: its boot id is shown.
    pub name: Arc<str>,
    /// Where clients reach it, if it is told (`host:port`).
    pub public: Option<Arc<str>>,
    /// Where its admin port is, if it is told (`host:port`).
    pub admin: Option<Arc<str>>,
}

/// Whether a node takes new clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NodeState {
    /// It does.
    #[default]
    Ready,
    /// It is on its way out.
    Draining,
}

/// How much a node carries now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Whether it takes new clients.
    pub state: NodeState,
    /// Connections that it holds.
    pub connections: u32,
    /// Rooms that are open on it.
    pub rooms: u32,
}

/// A node as another one knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Which life of which node.
    pub boot: BootId,
    /// Who it is.
    pub identity: Identity,
    /// What it announced last.
    pub load: Load,
    /// How long ago it was last heard, in milliseconds; 0 for the asking node itself.
    pub heard_ms: u64,
}

/// What a broker can do at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Whether the other nodes can be reached; while they cannot, publishing is refused.
    pub reachable: bool,
    /// Whether events are kept; while they are not, they are delivered live at most once.
    pub log: bool,
}

impl Status {
    /// Everything works.
    pub const WELL: Self = Self { reachable: true, log: true };

    /// Whether anything does not work.
    pub fn is_degraded(self) -> bool {
        self != Self::WELL
    }
}
