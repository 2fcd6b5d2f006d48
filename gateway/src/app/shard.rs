//! The thread of one shard: its connections, its acks and its listener, until all have gone.

use std::convert::Infallible;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::{Node, Phase, reached, runtime};
use crate::conn::acks::{self, ACKS_QUEUE};
use crate::conn::context::Context;
use crate::conn::reader::Reader;
use crate::health::Pulse;
use crate::http::entry::Entry;
use crate::http::listen;
use crate::http::serve::Public;
use crate::shard::{Handover, Shard, ShardInbox};

/// What one shard's thread is started with.
pub(super) struct ShardSeat {
    pub(super) number: u16,
    pub(super) inbox: ShardInbox,
    pub(super) listener: std::net::TcpListener,
    pub(super) pulse: Pulse,
    /// Kept for as long as the shard has connections.
    pub(super) stays: mpsc::Sender<Infallible>,
}

impl Node {
    pub(super) fn spawn_shard(&self, seat: ShardSeat) -> anyhow::Result<JoinHandle<()>> {
        let node = self.clone();
        let runtime = runtime()?;
        let name = format!("shard-{}", seat.number);
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            let local = LocalSet::new();
            if let Err(error) = local.block_on(&runtime, node.shard(seat)) {
                tracing::error!(%error, "a shard has failed");
            }
        })?;
        Ok(thread)
    }

    async fn shard(self, seat: ShardSeat) -> io::Result<()> {
        let ShardSeat { number, inbox, listener, pulse, stays } = seat;
        let (timing, metrics) = (self.config.timing, Arc::clone(&self.metrics));
        let (boot, handover) = (self.broker.boot(), Handover::default());
        let shard = Shard::new(boot, number, handover.clone(), self.clock, timing, metrics, pulse);
        let handle = self.shards[usize::from(number)].clone();
        let (acks, acks_inbox) = mpsc::channel(ACKS_QUEUE);
        let acks_task =
            acks::run(acks_inbox, handle.clone(), self.clock, Arc::clone(&self.metrics));
        let acks_task = tokio::task::spawn_local(acks_task);
        let shard_task = tokio::task::spawn_local(shard.run(inbox));
        let context = Rc::new(Context {
            clock: self.clock,
            session: self.config.session,
            guests: self.config.guests,
            doorman: Arc::clone(&self.doorman),
            keys: self.keys.clone(),
            timing,
            node: self.broker.boot().to_string(),
            shard: handle,
            handover,
            hubs: self.hubs.clone(),
            broker: Arc::clone(&self.broker),
            known: self.known.clone(),
            acks,
            metrics: Arc::clone(&self.metrics),
            reader: Reader::new().into(),
        });
        let tasks = TaskTracker::new();
        let rules = self.config.public.clone();
        let (entry, tls) = (Entry::new(&self.config.auth, self.keys.in_use()), self.tls.clone());
        let leaving = CancellationToken::new();
        let public = Public { context, rules, tls, entry, tasks: tasks.clone(), leaving };
        let listener = listen::into_tokio(listener)?;
        let phases = self.phases;
        let served = async {
            Rc::new(public).accept(listener, reached(phases.clone(), Phase::Leaving)).await;
            tasks.close();
            tasks.wait().await;
            // What clients have published is the broker's before the gateway ends.
            drop(acks_task.await);
        };
        tokio::select! {
            () = served => drop(stays),
            () = reached(phases.clone(), Phase::Ended) => {}
        }
        // Hubs end last, and they hold handles of this shard: the phase ends it instead.
        reached(phases, Phase::Ended).await;
        shard_task.abort();
        Ok(())
    }
}
