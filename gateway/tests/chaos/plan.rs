//! What a run does.

use std::time::Duration;

use clap::Parser;
use rig::nats::Binary;

use crate::fault::{Fault, Target};

/// The command line.
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    /// Every fault, at full size.
    #[arg(long)]
    long: bool,
    /// Repeats a run.
    #[arg(long)]
    seed: Option<u64>,
    /// Viewers, if not as many as the suite has.
    #[arg(long)]
    viewers: Option<usize>,
    /// Events per second, if not as many as the suite offers.
    #[arg(long)]
    rate: Option<u32>,
    /// Only faults whose names hold one of these.
    only: Vec<String>,
    /// Taken for the sake of those who run all tests with it.
    #[arg(long, hide = true)]
    nocapture: bool,
}

/// Where the rooms are.
#[derive(Debug, Clone)]
pub(crate) enum Ground {
    /// One gateway with the embedded broker; the clients' links are hurt.
    Embedded,
    /// Gateways on a cluster of three nats-servers.
    Nats(Binary),
}

/// One run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) ground: Ground,
    pub(crate) seed: u64,
    pub(crate) gateways: usize,
    pub(crate) viewers: usize,
    /// Viewers who speak in the quiet room.
    pub(crate) speakers: usize,
    /// Events per second in the loud room.
    pub(crate) rate: u32,
    /// The share of clients that is cut off four times a second while a fault is on.
    pub(crate) cut_share: f64,
    /// Traffic before the first fault, and between two of them.
    pub(crate) calm: Duration,
    /// How long faults last that are ended by us.
    pub(crate) outage: Duration,
    pub(crate) pause: Duration,
    pub(crate) faults: Vec<Fault>,
}

/// The runs that are asked for.
pub(crate) fn suites(arguments: &Arguments) -> Vec<Plan> {
    let seed = arguments.seed.unwrap_or_else(rand::random);
    let mut plans = vec![embedded(seed)];
    for binary in Binary::all() {
        plans.push(if arguments.long { long(seed, binary) } else { short(seed, binary) });
    }
    for plan in &mut plans {
        plan.viewers = arguments.viewers.unwrap_or(plan.viewers);
        plan.rate = arguments.rate.unwrap_or(plan.rate);
        let is_wanted = |fault: &Fault| {
            let name = fault.to_string();
            arguments.only.is_empty() || arguments.only.iter().any(|only| name.contains(only))
        };
        plan.faults.retain(is_wanted);
    }
    plans.retain(|plan| !plan.faults.is_empty());
    plans
}

fn embedded(seed: u64) -> Plan {
    Plan {
        name: "one gateway".to_owned(),
        ground: Ground::Embedded,
        seed,
        gateways: 1,
        viewers: 20,
        speakers: 5,
        rate: 100,
        cut_share: 0.05,
        calm: Duration::from_secs(1),
        outage: Duration::from_secs(1),
        pause: Duration::from_secs(2),
        faults: vec![Fault::CutClients, Fault::ResetClients, Fault::StallClients],
    }
}

/// A few faults, small: for every test run.
fn short(seed: u64, binary: Binary) -> Plan {
    Plan {
        name: format!("two gateways on nats-server {}", binary.version),
        ground: Ground::Nats(binary),
        gateways: 2,
        viewers: 20,
        outage: Duration::from_secs(3),
        pause: Duration::from_secs(3),
        faults: vec![
            Fault::StopGateway,
            Fault::KillGateway,
            Fault::KillNats(Target::Leader),
            Fault::HalfOpen,
            Fault::Outage,
        ],
        ..embedded(seed)
    }
}

/// Everything, at the size that is promised.
fn long(seed: u64, binary: Binary) -> Plan {
    let mut faults = vec![Fault::KillGateway, Fault::StopGateway];
    for target in [Target::Leader, Target::Follower(0), Target::Follower(1)] {
        faults.extend([Fault::KillNats(target), Fault::StopNats(target), Fault::LameDuck(target)]);
    }
    faults.extend([Fault::Outage, Fault::HalfOpen, Fault::PauseGateway, Fault::RollingRestart]);
    Plan {
        name: format!("four gateways on nats-server {}", binary.version),
        ground: Ground::Nats(binary),
        gateways: 4,
        viewers: 200,
        speakers: 20,
        rate: 1_000,
        cut_share: 0.02,
        calm: Duration::from_secs(5),
        outage: Duration::from_secs(15),
        pause: Duration::from_secs(20),
        faults,
        ..embedded(seed)
    }
}
