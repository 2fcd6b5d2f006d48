//! The scenario `viewers`: crowds of viewers in rooms with chat.

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};

use crate::plan::{Act, At, EventKind, Plan};
use crate::scenario::options::Common;
use crate::scenario::profile::{Crowd, Rate};
use crate::scenario::script::{ARRIVALS_PER_S, Script, us};

/// Viewers in rooms with chat.
///
/// Rates and crowds may change: `--chat 50x10,50-500x20` is 50/s for 10 s and then a ramp to 500/s
/// over 20 s; `--viewers 1000,+500x10,-200x5` lets 500 more come and then 200 go.
#[derive(Debug, Clone, Args)]
#[command(args_override_self = true)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Viewers of each room
    #[arg(long, default_value = "1000", value_parser = Crowd::parse)]
    pub(crate) viewers: Crowd,
    /// Rooms
    #[arg(long, default_value_t = 1)]
    pub(crate) rooms: usize,
    /// Events per second offered to each room
    #[arg(long, default_value = "20", value_parser = Rate::parse)]
    pub(crate) chat: Rate,
    /// Rooms of different kinds instead: NAME:ROOMS:VIEWERS:CHAT, the last two of each room
    #[arg(long = "group", value_name = "GROUP", value_parser = Group::parse)]
    pub(crate) groups: Vec<Group>,
    /// Seconds to run, if the rates do not say
    #[arg(long = "for", value_name = "S", default_value_t = 20.0)]
    pub(crate) for_s: f64,
    /// What is published
    #[arg(long, value_enum, default_value_t = Kind::Chat)]
    pub(crate) kind: Kind,
    /// About how long the text of an event is
    #[arg(long, default_value_t = 60)]
    pub(crate) bytes: u16,
    /// Viewers that come in per second before the beginning
    #[arg(long, value_name = "N", default_value_t = ARRIVALS_PER_S)]
    pub(crate) arrivals: f64,
    /// Seconds between two pings of each viewer
    #[arg(long, value_name = "S")]
    pub(crate) heartbeat: Option<f64>,
}

/// What is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Danmaku, up to 200 characters
    Chat,
    /// Events that are opaque to the gateway, up to 8 KiB
    Opaque,
}

/// Rooms of a kind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Group {
    name: String,
    rooms: usize,
    viewers: Crowd,
    chat: Rate,
}

impl Group {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let [name, rooms, viewers, chat] = parts[..] else {
            bail!("not NAME:ROOMS:VIEWERS:CHAT");
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(is_name) {
            bail!("a group is named with letters, digits and _");
        }
        let rooms = rooms.parse().with_context(|| format!("{rooms} is not a number"))?;
        let (viewers, chat) = (Crowd::parse(viewers)?, Rate::parse(chat)?);
        Ok(Self { name: name.to_owned(), rooms, viewers, chat })
    }
}

/// Makes the plan.
///
/// # Errors
/// The options cannot be used.
pub(crate) fn plan(options: &Options, seed: u64) -> anyhow::Result<Plan> {
    let mut script = Script::new(options.common.plan()?, seed, options.arrivals);
    let kind = match options.kind {
        Kind::Chat => EventKind::Chat,
        Kind::Opaque => EventKind::Opaque,
    };
    let groups = match options.groups.as_slice() {
        [] => &[Group {
            name: "viewers".into(),
            rooms: options.rooms,
            viewers: options.viewers.clone(),
            chat: options.chat.clone(),
        }],
        groups => groups,
    };
    let lengths = groups
        .iter()
        .map(|group| group.chat.length_s().unwrap_or(options.for_s).max(group.viewers.length_s()));
    let end_s = lengths.fold(0.0, f64::max);
    let steps = match groups {
        [one] => one.chat.steps(),
        _ => vec![("chat".into(), 0.0)],
    };
    for (name, at_s) in steps {
        script.phase(&name, at_s);
    }
    script.plan.heartbeat_us = options.heartbeat.map_or(0, us);
    script.plan.only_chat = kind == EventKind::Chat;
    script.plan.last_us = us(end_s);
    for group in groups {
        let number = script.group(&group.name);
        let streams = group.chat.streams(1.0, end_s, kind, options.bytes);
        for _ in 0..group.rooms {
            let room = script.room(number);
            watch(&mut script, room, number, &group.viewers);
            if !streams.is_empty() {
                let speakers = script.group("speakers");
                script.speakers(room, speakers, &streams);
            }
        }
    }
    Ok(script.plan)
}

fn watch(script: &mut Script, room: usize, group: usize, crowd: &Crowd) {
    for (comes_s, goes_s) in crowd.members() {
        let comes = comes_s.map_or_else(|| script.arrival(), |at_s| At::Begin(us(at_s)));
        let goes = goes_s.map(|at_s| (At::Begin(us(at_s)), Act::Leave));
        let acts = [(comes, Act::Connect { resume: true })].into_iter().chain(goes);
        script.client(room, group, acts.collect());
    }
}
