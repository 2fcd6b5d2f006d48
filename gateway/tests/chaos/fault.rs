//! What goes wrong, and how it is put right again.

use std::fmt;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::index::sample;
use rig::proxy::Link;
use tokio::time::sleep;

use crate::plan::Plan;
use crate::world::World;

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Every client's connection is closed in between.
    CutClients,
    /// … is reset.
    ResetClients,
    /// … passes nothing for a while.
    StallClients,
    /// A gateway crashes.
    KillGateway,
    /// A gateway is asked to end.
    StopGateway,
    /// A gateway does nothing for a while.
    PauseGateway,
    /// A nats-server crashes.
    KillNats(Target),
    /// A nats-server is asked to end.
    StopNats(Target),
    /// A nats-server is told to leave slowly.
    LameDuck(Target),
    /// All nats-servers crash, and come back later.
    Outage,
    /// The links of half of the gateways to the nats-servers pass nothing for a while.
    HalfOpen,
    /// Every nats-server and every gateway is restarted, one after another.
    RollingRestart,
}

/// Which nats-server, by its part in the loud room's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Leader,
    Follower(usize),
}

/// What clients are promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Promise {
    /// Returns that recover everything, in thousandths.
    pub(crate) recovered_permille_min: u64,
}

impl Fault {
    /// What clients are promised in the face of it.
    pub(crate) fn promise(self) -> Promise {
        let is_planned = matches!(
            self,
            Self::StopGateway | Self::StopNats(_) | Self::LameDuck(_) | Self::RollingRestart
        );
        Promise { recovered_permille_min: if is_planned { 1_000 } else { 990 } }
    }

    /// Lets it happen, and puts it right again.
    pub(crate) async fn happen(self, world: &mut World, plan: &Plan, random: &mut StdRng) {
        let gateway = random.random_range(0..world.gateways.len());
        match self {
            Self::CutClients => world.doors.iter().for_each(rig::proxy::Proxy::cut),
            Self::ResetClients => world.doors.iter().for_each(rig::proxy::Proxy::reset),
            Self::StallClients => {
                world.doors.iter().for_each(|door| door.set(Link::Stalls));
                sleep(plan.pause).await;
                let flows = Link::Flows(Duration::ZERO);
                world.doors.iter().for_each(|door| door.set(flows));
            }
            Self::KillGateway => {
                world.gateways[gateway].process().kill();
                sleep(plan.calm).await;
                world.gateways[gateway].start();
            }
            Self::StopGateway => world.restart_gateway(gateway).await,
            Self::PauseGateway => {
                world.gateways[gateway].process().pause();
                sleep(plan.pause).await;
                world.gateways[gateway].process().resume();
            }
            Self::KillNats(target) => {
                let at = world.nats_node(target).await;
                world.nats().node(at).kill();
                sleep(plan.calm).await;
                world.nats().restart_all().await;
            }
            Self::StopNats(target) => {
                let at = world.nats_node(target).await;
                world.nats().node(at).terminate().await;
                sleep(plan.calm).await;
                world.nats().restart_all().await;
            }
            Self::LameDuck(target) => {
                let at = world.nats_node(target).await;
                world.nats().node(at).lame_duck();
                world.nats().node(at).ended().await;
                world.nats().restart_all().await;
            }
            Self::Outage => {
                world.nats().kill_all();
                world.assert_degraded().await;
                sleep(plan.outage).await;
                world.nats().restart_all().await;
            }
            Self::HalfOpen => {
                let half = world.links.len().div_ceil(2);
                let hurt = sample(random, world.links.len(), half).into_vec();
                let hurt = || hurt.iter().flat_map(|at| &world.links[*at]);
                hurt().for_each(|link| link.set(Link::Stalls));
                sleep(plan.pause).await;
                hurt().for_each(|link| link.set(Link::Flows(Duration::ZERO)));
            }
            Self::RollingRestart => {
                for at in 0..world.nats().len() {
                    world.nats().node(at).terminate().await;
                    world.nats().restart_all().await;
                }
                for at in 0..world.gateways.len() {
                    world.restart_gateway(at).await;
                }
            }
        }
        world.ready().await;
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nats = |f: &mut fmt::Formatter<'_>, what: &str, target: &Target| match target {
            Target::Leader => write!(f, "{what}-nats-leader"),
            Target::Follower(number) => write!(f, "{what}-nats-follower-{number}"),
        };
        match self {
            Self::CutClients => f.write_str("cut-clients"),
            Self::ResetClients => f.write_str("reset-clients"),
            Self::StallClients => f.write_str("stall-clients"),
            Self::KillGateway => f.write_str("kill-gateway"),
            Self::StopGateway => f.write_str("stop-gateway"),
            Self::PauseGateway => f.write_str("pause-gateway"),
            Self::KillNats(target) => nats(f, "kill", target),
            Self::StopNats(target) => nats(f, "stop", target),
            Self::LameDuck(target) => nats(f, "lame-duck", target),
            Self::Outage => f.write_str("outage"),
            Self::HalfOpen => f.write_str("half-open"),
            Self::RollingRestart => f.write_str("rolling-restart"),
        }
    }
}
