//! How a connection hands its sink to the shard of its thread.
//!
//! A sink is shared by tasks of one thread and must not leave it, but the queue between them
//! would let anything pass to any thread. So the sink is left here and a ticket goes through the
//! queue.

use std::cell::RefCell;
use std::rc::Rc;

use slab::Slab;

use crate::shard::ClientSink;

/// Sinks on their way to the shard of this thread.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handover(Rc<RefCell<Slab<ClientSink>>>);

/// Stands for a sink that was left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ticket(usize);

impl Handover {
    /// Leaves a sink.
    pub(crate) fn leave(&self, sink: ClientSink) -> Ticket {
        Ticket(self.0.borrow_mut().insert(sink))
    }

    /// Takes a sink that was left; `None` if the ticket is from another thread.
    pub(super) fn collect(&self, Ticket(place): Ticket) -> Option<ClientSink> {
        self.0.borrow_mut().try_remove(place)
    }
}
