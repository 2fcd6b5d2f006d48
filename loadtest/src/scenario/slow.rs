//! The scenario `slow`: clients that stop reading, or read at a trickle, beside healthy ones.

use clap::Args;

use crate::plan::chat::Stream;
use crate::plan::{Act, At, Plan};
use crate::scenario::options::Common;
use crate::scenario::script::{ARRIVALS_PER_S, Script, us};

/// Clients that stop reading, or read at a trickle, beside healthy ones in the same room.
///
/// Three phases of equal length: before, while they are slow, and after, when they read again.
#[derive(Debug, Clone, Args)]
#[command(args_override_self = true)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Viewers that read all the time
    #[arg(long, default_value_t = 1000)]
    pub(crate) healthy: usize,
    /// Viewers that stop reading
    #[arg(long, default_value_t = 500)]
    pub(crate) stopped: usize,
    /// Viewers that read at a trickle
    #[arg(long, default_value_t = 500)]
    pub(crate) trickling: usize,
    /// Bytes per second of a trickle
    #[arg(long, value_name = "BYTES", default_value_t = 500)]
    pub(crate) trickle: u32,
    /// Events per second offered to the room
    #[arg(long, default_value_t = 40.0)]
    pub(crate) chat: f64,
    /// About how long the text of an event is
    #[arg(long, default_value_t = 180)]
    pub(crate) bytes: u16,
    /// Seconds of each phase
    #[arg(long = "for", value_name = "S", default_value_t = 20.0)]
    pub(crate) for_s: f64,
}

/// Makes the plan.
///
/// # Errors
/// The options cannot be used.
pub(crate) fn plan(options: &Options, seed: u64) -> anyhow::Result<Plan> {
    let mut script = Script::new(options.common.plan()?, seed, ARRIVALS_PER_S);
    let (slow_s, again_s, end_s) = (options.for_s, options.for_s * 2.0, options.for_s * 3.0);
    for (name, at_s) in [("before", 0.0), ("slow", slow_s), ("after", again_s)] {
        script.phase(name, at_s);
    }
    script.plan.last_us = us(end_s);
    let healthy = script.group("healthy");
    let room = script.room(healthy);
    let kinds = [
        ("healthy", options.healthy, None),
        ("stopped", options.stopped, Some(Act::Stop)),
        ("trickling", options.trickling, Some(Act::Trickle(options.trickle))),
    ];
    for (name, count, act) in kinds {
        let group = script.group(name);
        for _ in 0..count {
            let mut acts = vec![(script.arrival(), Act::Connect { resume: true })];
            if let Some(act) = act {
                acts.push((At::Begin(us(slow_s)), act));
                acts.push((At::Begin(us(again_s)), Act::Read));
            }
            script.client(room, group, acts);
        }
    }
    let speakers = script.group("speakers");
    let stream = Stream::steady(0, us(end_s), options.chat, options.bytes);
    script.speakers(room, speakers, &[stream]);
    Ok(script.plan)
}
