//! Who is there: signs of life, said and heard.
//!
//! A node that was not heard for three of its announced intervals is suspect: it is not shown any
//! more. When it stays away for the time in which its clients may resume elsewhere, it is gone,
//! and what it counted with it. Every node judges by its own clock, and none while it is cut off
//! itself.

use std::time::Duration;

use async_nats::Client;
use futures_util::StreamExt;
use protocol::envelope::notes::{Condition, Heartbeat};
use protocol::ids::BootId;
use protocol::subject::Namespace;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, interval};

use super::counts::CountsVerb;
use super::link::Link;
use crate::{Identity, Load, Node, NodeState};

/// Between two looks at the time, and at what is to be said.
const TICK: Duration = Duration::from_millis(250);
/// Between two signs of life of a small fabric, of more than 100 nodes, of more than 250.
const INTERVALS_MS: [(usize, u32); 3] = [(250, 5_000), (100, 2_000), (0, 1_000)];
/// So many announced intervals without a sign make a node suspect.
const SUSPECT_AFTER: u32 = 3;
/// How long a suspect node is waited for: clients may resume within this time.
const GONE_AFTER: Duration = Duration::from_secs(10);

/// What is known of the other nodes, as a machine.
#[derive(Debug, Default)]
pub(super) struct Roll(Vec<Known>);

#[derive(Debug)]
struct Known {
    heartbeat: Heartbeat,
    heard: Instant,
}

impl Known {
    fn patience(&self) -> Duration {
        Duration::from_millis(u64::from(self.heartbeat.interval_ms)) * SUSPECT_AFTER
    }
}

impl Roll {
    /// A sign of life. Returns the node if this was its last word.
    pub(super) fn hear(&mut self, heartbeat: Heartbeat, now: Instant) -> Option<BootId> {
        let node = heartbeat.from;
        if heartbeat.condition == Condition::Gone {
            self.0.retain(|known| known.heartbeat.from != node);
            return Some(node);
        }
        match self.0.iter_mut().find(|known| known.heartbeat.from == node) {
            Some(known) => *known = Known { heartbeat, heard: now },
            None => self.0.push(Known { heartbeat, heard: now }),
        }
        None
    }

    /// Takes out the nodes that are gone.
    pub(super) fn take_gone(&mut self, now: Instant) -> Vec<BootId> {
        let is_gone = |known: &Known| known.heard + known.patience() + GONE_AFTER <= now;
        let gone = self.0.iter().filter(|known| is_gone(known));
        let gone: Vec<BootId> = gone.map(|known| known.heartbeat.from).collect();
        self.0.retain(|known| !is_gone(known));
        gone
    }

    /// Nobody could be heard until now: everybody has all of their patience again.
    pub(super) fn forgive(&mut self, now: Instant) {
        self.0.iter_mut().for_each(|known| known.heard = now);
    }

    /// The nodes that are not suspect.
    pub(super) fn nodes(&self, now: Instant) -> Vec<Node> {
        let alive = self.0.iter().filter(|known| now < known.heard + known.patience());
        alive.map(|known| node(known, now)).collect()
    }

    fn interval_ms(&self) -> u32 {
        let many = |(above, _): &&(usize, u32)| self.0.len() >= *above;
        INTERVALS_MS.iter().find(many).map_or(1_000, |(_, interval_ms)| *interval_ms)
    }
}

fn node(known: &Known, now: Instant) -> Node {
    let Heartbeat { from, connections, rooms, .. } = known.heartbeat;
    let told = |text: &str| (!text.is_empty()).then(|| text.into());
    let state = match known.heartbeat.condition {
        Condition::Ready => NodeState::Ready,
        Condition::Draining | Condition::Gone => NodeState::Draining,
    };
    let heard_ms = now.duration_since(known.heard).as_millis();
    Node {
        boot: from,
        identity: Identity {
            name: known.heartbeat.name.as_str().into(),
            public: told(&known.heartbeat.public),
            admin: told(&known.heartbeat.admin),
        },
        load: Load { state, connections, rooms },
        heard_ms: u64::try_from(heard_ms).unwrap_or(u64::MAX),
    }
}

/// What the task needs.
pub(super) struct Register {
    pub(super) boot: BootId,
    pub(super) identity: Identity,
    pub(super) namespace: Namespace,
    pub(super) link: Link,
    /// What this node announces.
    pub(super) load: watch::Receiver<Load>,
    /// What is known of all.
    pub(super) nodes: watch::Sender<Vec<Node>>,
    pub(super) counts: mpsc::Sender<CountsVerb>,
    pub(super) direct: mpsc::Sender<BootId>,
}

impl Register {
    /// Runs for ever.
    pub(super) async fn run(mut self) {
        let mut arriving = match self.link.client.subscribe(self.namespace.heartbeats()).await {
            Ok(arriving) => arriving,
            Err(error) => return tracing::error!(%error, "cannot subscribe to signs of life"),
        };
        let (mut roll, mut tick) = (Roll::default(), interval(TICK));
        let (mut said, mut was_up) = (None, false);
        loop {
            let mut is_changed = false;
            tokio::select! {
                Some(message) = arriving.next() => self.hear(&message, &mut roll).await,
                changed = self.load.changed() => match changed {
                    Ok(()) => is_changed = true,
                    // The handle is gone, and this node with it.
                    Err(_) => return,
                },
                _ = tick.tick() => {}
            }
            let (now, is_up) = (Instant::now(), self.link.is_up());
            if !is_up || !was_up {
                roll.forgive(now);
            }
            for node in roll.take_gone(now) {
                tracing::info!(%node, "a node is gone");
                self.tell_gone(node).await;
            }
            let interval_ms = roll.interval_ms();
            let interval = Duration::from_millis(u64::from(interval_ms));
            let is_due = said.is_none_or(|said: Instant| said + interval <= now) || !was_up;
            was_up = is_up;
            if is_up && (is_due || is_changed) {
                say(&self.link.client, &self.namespace, &self.heartbeat(interval_ms)).await;
                said = Some(now);
            }
            self.nodes.send_replace(self.everybody(&roll, now));
        }
    }

    async fn hear(&self, message: &async_nats::Message, roll: &mut Roll) {
        let Ok(heartbeat) = Heartbeat::decode(message.payload.clone()) else { return };
        if heartbeat.from != self.boot
            && let Some(node) = roll.hear(heartbeat, Instant::now())
        {
            self.tell_gone(node).await;
        }
    }

    async fn tell_gone(&self, node: BootId) {
        let _ = self.counts.send(CountsVerb::Gone(node)).await;
        let _ = self.direct.send(node).await;
    }

    fn everybody(&self, roll: &Roll, now: Instant) -> Vec<Node> {
        let load = *self.load.borrow();
        let own = Node { boot: self.boot, identity: self.identity.clone(), load, heard_ms: 0 };
        let mut nodes = roll.nodes(now);
        nodes.push(own);
        nodes
    }

    fn heartbeat(&self, interval_ms: u32) -> Heartbeat {
        let Load { state, connections, rooms } = *self.load.borrow();
        let condition = match state {
            NodeState::Ready => Condition::Ready,
            NodeState::Draining => Condition::Draining,
        };
        let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().unwrap_or("").to_owned();
        Heartbeat {
            from: self.boot,
            interval_ms,
            condition,
            connections,
            rooms,
            name: self.identity.name.as_ref().to_owned(),
            public: text(&self.identity.public),
            admin: text(&self.identity.admin),
        }
    }
}

/// Says a node's last word.
pub(super) async fn say_goodbye(client: &Client, namespace: &Namespace, from: BootId) {
    let heartbeat = Heartbeat {
        from,
        interval_ms: 0,
        condition: Condition::Gone,
        connections: 0,
        rooms: 0,
        name: String::new(),
        public: String::new(),
        admin: String::new(),
    };
    say(client, namespace, &heartbeat).await;
}

async fn say(client: &Client, namespace: &Namespace, heartbeat: &Heartbeat) {
    if let Err(error) = client.publish(namespace.heartbeats(), heartbeat.encode()).await {
        tracing::debug!(%error, "a sign of life could not be given");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heartbeat(node: u8, condition: Condition) -> Heartbeat {
        Heartbeat {
            from: BootId::from_bytes([node; 8]),
            interval_ms: 1_000,
            condition,
            connections: 0,
            rooms: 0,
            name: format!("node-{node}"),
            public: String::new(),
            admin: String::new(),
        }
    }

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn a_node_is_suspect_after_three_intervals_and_gone_after_the_time_to_resume() {
        let (mut roll, start) = (Roll::default(), Instant::now());
        roll.hear(heartbeat(1, Condition::Ready), start);
        assert_eq!(roll.nodes(after(start, 2_999)).len(), 1);
        assert_eq!(roll.nodes(after(start, 3_000)).len(), 0);
        assert_eq!(roll.take_gone(after(start, 12_999)), []);
        assert_eq!(roll.take_gone(after(start, 13_000)), [BootId::from_bytes([1; 8])]);
        assert_eq!(roll.take_gone(after(start, 20_000)), [], "only once");
    }

    #[test]
    fn a_suspect_that_is_heard_again_never_was_away() {
        let (mut roll, start) = (Roll::default(), Instant::now());
        roll.hear(heartbeat(1, Condition::Ready), start);
        roll.hear(heartbeat(1, Condition::Draining), after(start, 12_000));
        assert_eq!(roll.take_gone(after(start, 13_000)), []);
        let nodes = roll.nodes(after(start, 13_000));
        assert_eq!((nodes[0].load.state, nodes[0].heard_ms), (NodeState::Draining, 1_000));
        assert_eq!(&*nodes[0].identity.name, "node-1");
    }

    #[test]
    fn a_last_word_counts_at_once_even_of_a_stranger() {
        let (mut roll, start) = (Roll::default(), Instant::now());
        roll.hear(heartbeat(1, Condition::Ready), start);
        let gone = heartbeat(1, Condition::Gone);
        assert_eq!(roll.hear(gone.clone(), start), Some(gone.from));
        assert_eq!(roll.nodes(start), []);
        assert_eq!(roll.hear(gone.clone(), start), Some(gone.from));
    }

    #[test]
    fn who_was_deaf_blames_nobody() {
        let (mut roll, start) = (Roll::default(), Instant::now());
        roll.hear(heartbeat(1, Condition::Ready), start);
        roll.forgive(after(start, 60_000));
        assert_eq!(roll.take_gone(after(start, 72_999)), []);
        assert_eq!(roll.nodes(after(start, 60_000)).len(), 1);
    }

    #[test]
    fn the_more_nodes_the_fewer_signs() {
        let (mut roll, start) = (Roll::default(), Instant::now());
        for node in 0..250 {
            assert_eq!(roll.interval_ms(), if node < 100 { 1_000 } else { 2_000 });
            roll.hear(heartbeat(node, Condition::Ready), start);
        }
        assert_eq!(roll.interval_ms(), 5_000);
    }
}
