//! The nodes on a bus, as one of its tasks sees them: a queue of verbs in, a queue of deliveries
//! out.
//!
//! A node is gone when its handle is dropped, or when it turns out that nobody reads its
//! deliveries any more.

use std::future::poll_fn;
use std::task::{Context, Poll};

use protocol::ids::BootId;
use tokio::sync::{mpsc, watch};

/// Verbs taken from one node before the next one has its turn: enough to pay for the turn, few
/// enough that no node waits long (64 verbs take some 0.1 ms).
const VERBS_PER_TURN_MAX: usize = 64;

/// One node on the bus: `V` are its verbs, `D` its deliveries.
#[derive(Debug)]
pub(super) struct Member<V, D> {
    pub(super) boot: BootId,
    pub(super) verbs: mpsc::Receiver<V>,
    pub(super) deliveries: mpsc::Sender<D>,
    /// Closed when the node's handle is dropped.
    pub(super) alive: watch::Receiver<()>,
}

/// All nodes on the bus.
#[derive(Debug)]
pub(super) struct Members<V, D> {
    joining: mpsc::Receiver<Member<V, D>>,
    may_join: bool,
    members: Vec<Member<V, D>>,
    next_turn: usize,
}

/// What happened among the nodes.
#[derive(Debug)]
pub(super) enum Turn {
    /// This node's next verbs were taken.
    Verbs(BootId),
    /// This node is gone.
    Left(BootId),
    /// All are gone, and nobody can join any more.
    Ended,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivered {
    /// It is in the node's queue.
    Yes,
    /// The node turned out to be gone just now.
    Left,
    /// There is no such node.
    Unknown,
}

impl<V, D> Members<V, D> {
    pub(super) fn new(joining: mpsc::Receiver<Member<V, D>>) -> Self {
        Self { joining, may_join: true, members: Vec::new(), next_turn: 0 }
    }

    /// Waits until something happens. Verbs are appended to `verbs`, those of one node only.
    /// Nothing is lost if this is dropped while it waits.
    pub(super) async fn next(&mut self, verbs: &mut Vec<V>) -> Turn {
        poll_fn(|cx| self.poll_next(cx, verbs)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, verbs: &mut Vec<V>) -> Poll<Turn> {
        self.poll_joining(cx);
        let count = self.members.len();
        for at in (0..count).map(|offset| (self.next_turn + offset) % count) {
            let boot = self.members[at].boot;
            match self.members[at].verbs.poll_recv_many(cx, verbs, VERBS_PER_TURN_MAX) {
                Poll::Ready(0) => {
                    self.members.swap_remove(at);
                    return Poll::Ready(Turn::Left(boot));
                }
                Poll::Ready(_) => {
                    self.next_turn = at + 1;
                    return Poll::Ready(Turn::Verbs(boot));
                }
                Poll::Pending => {}
            }
        }
        if self.may_join || count > 0 { Poll::Pending } else { Poll::Ready(Turn::Ended) }
    }

    fn poll_joining(&mut self, cx: &mut Context<'_>) {
        while self.may_join {
            match self.joining.poll_recv(cx) {
                Poll::Ready(Some(member)) => self.join(member),
                Poll::Ready(None) => self.may_join = false,
                Poll::Pending => return,
            }
        }
    }

    /// Lets everybody in who waits at the door. Whoever sends to a node knows its boot id, so the
    /// node is at the door by then at the latest.
    pub(super) fn admit(&mut self) {
        while let Ok(member) = self.joining.try_recv() {
            self.join(member);
        }
    }

    fn join(&mut self, member: Member<V, D>) {
        if self.members.iter().any(|other| other.boot == member.boot) {
            tracing::warn!(node = %member.boot, "boot id used twice, node refused");
            return;
        }
        self.members.push(member);
    }

    /// The boot ids of all nodes.
    pub(super) fn boots(&self) -> Vec<BootId> {
        self.members.iter().map(|member| member.boot).collect()
    }

    /// Puts a delivery into a node's queue; waits while it is full, for as long as the node
    /// lives.
    pub(super) async fn deliver(&mut self, to: BootId, delivery: D) -> Delivered {
        let Some(at) = self.members.iter().position(|member| member.boot == to) else {
            return Delivered::Unknown;
        };
        let member = &mut self.members[at];
        let is_delivered = match member.deliveries.try_send(delivery) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(delivery)) => tokio::select! {
                place = member.deliveries.reserve() => {
                    place.map(|place| place.send(delivery)).is_ok()
                }
                _ = member.alive.changed() => false,
            },
        };
        if is_delivered {
            return Delivered::Yes;
        }
        self.members.swap_remove(at);
        Delivered::Left
    }
}

#[cfg(test)]
mod tests;
