//! The scenario `storm`: everybody connects at once, and again after all were cut off at once.

use clap::{Args, ValueEnum};
use rand::RngExt as _;

use crate::plan::chat::Stream;
use crate::plan::{Act, At, Plan};
use crate::scenario::options::Common;
use crate::scenario::script::{Script, us};

/// Events per room and second that make a return worth something.
const CHAT_BYTES: u16 = 60;

/// Everybody connects at once, is cut off, and comes back.
#[derive(Debug, Clone, Args)]
#[command(args_override_self = true)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Viewers, over all rooms
    #[arg(long, default_value_t = 10_000)]
    pub(crate) viewers: usize,
    /// Rooms
    #[arg(long, default_value_t = 1)]
    pub(crate) rooms: usize,
    /// Returns, in order: with what was missed, or as if they were new
    #[arg(long, value_enum, value_delimiter = ',', default_value = "resume,fresh")]
    pub(crate) waves: Vec<Wave>,
    /// Seconds between the waves
    #[arg(long, value_name = "S", default_value_t = 6.0)]
    pub(crate) every: f64,
    /// Seconds over which the viewers of a wave come back; 0: all at once
    #[arg(long, value_name = "S", default_value_t = 0.0)]
    pub(crate) spread: f64,
    /// Events per second offered to each room
    #[arg(long, default_value_t = 2.0)]
    pub(crate) chat: f64,
}

/// How viewers come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wave {
    /// From their last cursor
    Resume,
    /// As if they were new
    Fresh,
}

/// Makes the plan.
///
/// # Errors
/// The options cannot be used.
pub(crate) fn plan(options: &Options, seed: u64) -> anyhow::Result<Plan> {
    // Nobody waits for a turn: the arrivals before the beginning are the first storm.
    let mut script = Script::new(options.common.plan()?, seed, f64::MAX);
    let end_s = options.every * (options.waves.len() as f64 + 1.0);
    script.phase("quiet", 0.0);
    for (nth, wave) in options.waves.iter().enumerate() {
        let name = match wave {
            Wave::Resume => format!("wave {} resume", nth + 1),
            Wave::Fresh => format!("wave {} fresh", nth + 1),
        };
        script.phase(&name, options.every * (nth + 1) as f64);
    }
    script.plan.last_us = us(end_s);
    let group = script.group("viewers");
    let rooms: Vec<usize> = (0..options.rooms.max(1)).map(|_| script.room(group)).collect();
    for nth in 0..options.viewers {
        let mut acts = vec![(script.arrival(), Act::Connect { resume: true })];
        for (wave, kind) in options.waves.iter().enumerate() {
            let cut_s = options.every * (wave + 1) as f64;
            let back_s = cut_s + options.spread * script.random.random::<f64>();
            acts.push((At::Begin(us(cut_s)), Act::Drop));
            let resume = *kind == Wave::Resume;
            acts.push((At::Begin(us(back_s)), Act::Connect { resume }));
        }
        script.client(rooms[nth % rooms.len()], group, acts);
    }
    if options.chat > 0.0 {
        let speakers = script.group("speakers");
        let stream = Stream::steady(0, us(end_s), options.chat, CHAT_BYTES);
        rooms.iter().for_each(|room| script.speakers(*room, speakers, &[stream]));
    }
    Ok(script.plan)
}
