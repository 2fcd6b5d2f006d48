//! Everything that can be hurt: gateways, nats-servers, and the links between them.

use std::net::SocketAddr;
use std::sync::Arc;

use rig::nats::Nats;
use rig::proxy::Proxy;
use rig::wait::until;
use tempfile::TempDir;

use crate::crowd::ROOMS;
use crate::fault::Target;
use crate::node::{Node, is_degraded};
use crate::plan::{Ground, Plan};
use crate::witness::stream_of;

/// The length of a slot: half the default, since the machine is small and the faults are many.
const TICK_MS: &str = "500";

/// The processes of a run, and the links that can be hurt.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) gateways: Vec<Node>,
    /// Between clients and gateways; none where those links are left alone.
    pub(crate) doors: Vec<Proxy>,
    /// Between each gateway and the nats-servers.
    pub(crate) links: Vec<Vec<Proxy>>,
    nats: Option<Nats>,
    _folder: TempDir,
}

impl World {
    /// Starts everything; all of it is ready.
    pub(crate) async fn start(plan: &Plan) -> Self {
        let folder = TempDir::with_prefix("barrage-chaos-").expect("a temporary folder");
        let nats = match &plan.ground {
            Ground::Embedded => None,
            Ground::Nats(binary) => Some(Nats::cluster(binary).await),
        };
        let (mut links, mut gateways) = (Vec::new(), Vec::new());
        for number in 0..plan.gateways {
            let mut own = Vec::new();
            for address in nats.iter().flat_map(Nats::addresses) {
                own.push(Proxy::before(address).await);
            }
            let (arguments, environment) = (arguments(&own), environment(nats.as_ref()));
            gateways.push(Node::new(number, folder.path(), arguments, environment));
            links.push(own);
        }
        let mut doors = Vec::new();
        if nats.is_none() {
            for gateway in &gateways {
                doors.push(Proxy::before(gateway.public()).await);
            }
        }
        let mut world = Self { gateways, doors, links, nats, _folder: folder };
        world.start_gateways().await;
        world.ready().await;
        world
    }

    /// Starts all gateways, on NATS while it is out of reach: they wait for it.
    async fn start_gateways(&mut self) {
        if let Some(nats) = &mut self.nats {
            nats.kill_all();
        }
        for gateway in &mut self.gateways {
            gateway.start();
        }
        if let Some(nats) = &mut self.nats {
            for gateway in &mut self.gateways {
                gateway.assert_waits().await;
            }
            nats.restart_all().await;
        }
    }

    /// Where clients connect.
    pub(crate) fn entrances(&self) -> Arc<[SocketAddr]> {
        if self.doors.is_empty() {
            self.gateways.iter().map(Node::public).collect()
        } else {
            self.doors.iter().map(Proxy::address).collect()
        }
    }

    /// How to reach the nats-servers past all proxies, where there are some.
    pub(crate) fn nats_url(&self) -> Option<String> {
        self.nats.as_ref().map(Nats::url)
    }

    /// The nats-servers, where there are some.
    pub(crate) fn nats(&mut self) -> &mut Nats {
        self.nats.as_mut().expect("the rooms are on NATS")
    }

    /// The node with this part in the loud room's stream.
    pub(crate) async fn nats_node(&mut self, target: Target) -> usize {
        let stream = stream_of(ROOMS[0]);
        let leader = self.nats().until_led(&stream, |_| true).await;
        match target {
            Target::Leader => leader,
            Target::Follower(number) => {
                let count = self.nats().len();
                (leader + 1 + number) % count
            }
        }
    }

    /// Waits until everything is ready.
    pub(crate) async fn ready(&mut self) {
        if let Some(nats) = &mut self.nats {
            nats.ready().await;
        }
        for gateway in &mut self.gateways {
            gateway.ready().await;
        }
    }

    /// Asks a gateway to end, and starts it again.
    pub(crate) async fn restart_gateway(&mut self, at: usize) {
        let gateway = &mut self.gateways[at];
        gateway.process().terminate();
        let status = gateway.process().ended().await;
        assert!(status.success(), "a gateway that is asked to end does so: {status}");
        gateway.start();
        gateway.ready().await;
    }

    /// Without NATS every gateway stays ready, and says that it is degraded.
    pub(crate) async fn assert_degraded(&self) {
        for gateway in &self.gateways {
            until("a gateway without NATS says so", || async {
                let (status, body) = gateway.readiness().await?;
                assert_eq!(status, 200, "it stays ready: {body}");
                is_degraded(&body).then_some(())
            })
            .await;
        }
    }
}

fn arguments(links: &[Proxy]) -> Vec<String> {
    let mut arguments = vec!["--tick".to_owned(), TICK_MS.to_owned()];
    let urls: Vec<_> = links.iter().map(|link| format!("nats://{}", link.address())).collect();
    if !urls.is_empty() {
        arguments.extend(["--nats".to_owned(), urls.join(",")]);
    }
    arguments
}

/// The witness of an embedded broker is a viewer, so nothing may be left out there.
fn environment(nats: Option<&Nats>) -> Vec<(&'static str, &'static str)> {
    let mut environment = Vec::new();
    if nats.is_none() {
        environment.push(("BARRAGE_ROOMS_CHAT_PER_S", "10000"));
    }
    environment
}
