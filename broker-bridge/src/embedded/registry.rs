//! Who is on the bus: what each node announced last.
//!
//! A snapshot that all handles share; it is off the way of any message.

use protocol::ids::BootId;
use tokio::sync::watch;

use crate::{Identity, Load, Node};

/// The nodes of a bus.
#[derive(Debug, Clone)]
pub(super) struct Registry(watch::Sender<Vec<Node>>);

/// One node's place in the registry; dropping it takes the node out.
#[derive(Debug)]
pub(super) struct Registration {
    boot: BootId,
    registry: Registry,
}

impl Default for Registry {
    fn default() -> Self {
        Self(watch::Sender::new(Vec::new()))
    }
}

impl Registry {
    /// Puts a node in.
    pub(super) fn register(&self, boot: BootId, identity: Identity) -> Registration {
        let node = Node { boot, identity, load: Load::default(), heard_ms: 0 };
        self.0.send_modify(|nodes| nodes.push(node));
        Registration { boot, registry: self.clone() }
    }
}

impl Registration {
    /// Changes what the others know of this node.
    pub(super) fn announce(&self, load: Load) {
        self.registry.0.send_modify(|nodes| {
            nodes.iter_mut().filter(|node| node.boot == self.boot).for_each(|own| own.load = load);
        });
    }

    /// All nodes.
    pub(super) fn nodes(&self) -> Vec<Node> {
        self.registry.0.borrow().clone()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.registry.0.send_modify(|nodes| {
            // Of two nodes with the same boot id the second was never let in.
            if let Some(at) = nodes.iter().rposition(|node| node.boot == self.boot) {
                nodes.remove(at);
            }
        });
    }
}
