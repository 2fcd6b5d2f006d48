//! A whole gateway beside a bare `send(2)` loop: what everything but the kernel costs.
//!
//! Both hold the same number of connections at the same time, in processes of their own, and take
//! turns in sending one frame to all of them: the next turn begins when the last byte of this one
//! was counted. Connections are made alternately, so that neither side has the older (and slower)
//! sockets. Servers have one core, clients and this process another, unless `--free`.
//!
//! | process | module |
//! | --- | --- |
//! | the gateway: the release binary, one shard | [`gateway`] starts it and publishes |
//! | the bare loop: this binary again | [`server`] |
//! | other servers to compare with, if asked for | [`side`] |
//! | one crowd of clients for each of them: this binary again | [`crowd`] |

mod account;
mod cores;
pub(crate) mod crowd;
mod gateway;
mod options;
mod process;
mod report;
pub(crate) mod server;
mod side;
mod worker;

use std::time::Duration;

use anyhow::Context as _;

use crate::Failure;
use crate::bare::account::{Account, Turn};
use crate::bare::cores::Cores;
use crate::bare::crowd::Greeting;
use crate::bare::gateway::Gateway;
use crate::bare::process::{cpu_time, resident_bytes};
use crate::bare::side::{Orders, Side};
use crate::bare::worker::Worker;
use crate::told;

pub(crate) use options::Options;
use report::Report;

/// Connections that a side gets before it is the other's turn.
const CHUNK: u32 = 250;
/// Connections that are made before memory is looked at: what is allocated once is there then.
const WARM_UP: u32 = 1000;
/// The crowd has heard nothing for this long: joins are told, the state of the room is still.
const QUIET: Duration = Duration::from_millis(1500);
/// A turn in which a gateway's slot ended between two events makes two frames: it is taken again.
const RETAKES: u32 = 20;

/// Compares and tells; ends with the exit code.
///
/// # Errors
/// A process cannot be started or does not do what it is told, or a byte is missing.
pub(crate) fn command(options: &Options) -> Result<u8, Failure> {
    let json = told::open(options.json.as_deref())?;
    options.check().map_err(Failure::Usage)?;
    // This thread starts all processes: they inherit its cores.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Run(error.into()))?;
    told::tell(&runtime.block_on(compare(options)).map_err(Failure::Run)?, json)
}

async fn compare(options: &Options) -> anyhow::Result<Report> {
    let cores = Cores::new(options.free);
    let mut sides = start(options, &cores).await?;
    let resident = fill(options, &mut sides).await?;
    let mut report = Report::new(options, &cores, &sides);
    report.resident(resident, options.connections - WARM_UP.min(options.connections));
    for size in options.sizes.iter().copied() {
        let mut length = calibrate(&mut sides, size).await?;
        for repeat in 0..options.repeat {
            let mut accounts = vec![Account::default(); sides.len()];
            for round in 0..options.rounds {
                for at in turns(sides.len(), repeat + round) {
                    let turn = take_turn(&mut sides[at], length).await?;
                    // The others send what the gateway has made, to the byte.
                    length = if at == 0 { turn.bytes } else { length };
                    accounts[at].add(&turn, options.connections);
                }
            }
            report.add(size, accounts);
        }
    }
    Ok(report)
}

/// The order of the sides in a round: there and back again.
fn turns(sides: usize, round: u32) -> Vec<usize> {
    if round.is_multiple_of(2) { (0..sides).collect() } else { (0..sides).rev().collect() }
}

async fn start(options: &Options, cores: &Cores) -> anyhow::Result<Vec<Side>> {
    let gateway = Gateway::start(&options.gateway()?, cores).await?;
    let mut sides = vec![Side {
        name: "gateway".to_owned(),
        pid: gateway.pid(),
        address: gateway.public,
        greeting: Greeting::Room(gateway::ROOM.to_owned()),
        crowd: Worker::crowd(cores)?,
        orders: Orders::Publish(gateway),
    }];
    let bare = Worker::bare_loop(cores)?;
    sides.push(Side::piped("bare", bare, Greeting::Nothing, Worker::crowd(cores)?).await?);
    for peer in &options.peers {
        let server = Worker::other(&peer.command, cores)
            .with_context(|| format!("cannot start {}", peer.name))?;
        let side = Side::piped(&peer.name, server, Greeting::WebSocket, Worker::crowd(cores)?);
        sides.push(side.await?);
    }
    Ok(sides)
}

/// Connects all crowds, alternately; returns what the gateway's memory grew by meanwhile, in
/// bytes, without its first connections.
async fn fill(options: &Options, sides: &mut [Side]) -> anyhow::Result<u64> {
    let mut connected = 0;
    let mut resident = 0;
    while connected < options.connections {
        let chunk = CHUNK.min(options.connections - connected);
        for at in turns(sides.len(), connected / CHUNK) {
            sides[at].connect(chunk).await?;
        }
        connected += chunk;
        if connected == WARM_UP {
            sides[0].crowd.settle(QUIET).await?;
            resident = resident_bytes(sides[0].pid)?;
        }
    }
    for side in sides.iter_mut() {
        side.crowd.settle(QUIET).await?;
    }
    Ok(resident_bytes(sides[0].pid)?.saturating_sub(resident))
}

/// Finds what to publish so that frames have this size; returns the exact one.
async fn calibrate(sides: &mut [Side], size: u32) -> anyhow::Result<u32> {
    let Orders::Publish(gateway) = &mut sides[0].orders else { return Ok(size) };
    gateway.aim(size);
    for _ in 0..RETAKES {
        let turn = take_turn(&mut sides[0], size).await?;
        let Orders::Publish(gateway) = &mut sides[0].orders else { return Ok(size) };
        if gateway.correct(size, turn.bytes) {
            // Both have sent this size once before it counts.
            for side in sides.iter_mut() {
                take_turn(side, turn.bytes).await?;
            }
            return Ok(turn.bytes);
        }
    }
    anyhow::bail!("the gateway does not make frames of {size} bytes")
}

/// One frame to everybody.
async fn take_turn(side: &mut Side, length: u32) -> anyhow::Result<Turn> {
    for _ in 0..RETAKES {
        let before = cpu_time(side.pid)?;
        let round = side.round(length).await?;
        let cpu = cpu_time(side.pid)? - before;
        if let Some(turn) = Turn::of_one_frame(&round, cpu) {
            return Ok(turn);
        }
    }
    anyhow::bail!("{} does not send one frame at a time", side.name)
}
