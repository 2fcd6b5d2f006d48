//! The scenario `show`: one evening in a minute. The crowd arrives, chat comes in waves, another
//! room raids this one, and in the end the host leaves and most go too.

use clap::Args;
use rand::RngExt as _;

use crate::plan::chat::Stream;
use crate::plan::{Act, At, EventKind, Plan};
use crate::scenario::options::Common;
use crate::scenario::script::{Script, us};

/// About how long the text of an event is, in bytes.
const CHAT_BYTES: u16 = 60;
/// When the parts of the evening begin, as shares of it.
const WAVES: f64 = 0.25;
const RAID: f64 = 0.55;
const CALM: f64 = 0.70;
const LEAVING: f64 = 0.85;
/// Chat in a wave, and in the raid, compared with that between them.
const WAVE_TIMES: f64 = 4.0;
const RAID_TIMES: f64 = 8.0;
/// Who comes with the raid, and who leaves with the host, as shares of the crowd.
const RAIDERS: f64 = 0.5;
const LEAVERS: f64 = 0.8;
/// How long the raid takes to come in, as a share of the evening.
const RAID_OVER: f64 = 0.03;

/// An evening: the crowd arrives, chat comes in waves, a raid, the host leaves.
#[derive(Debug, Clone, Args)]
#[command(args_override_self = true)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    /// The crowd; a raid brings half as many more
    #[arg(long, default_value_t = 2000)]
    pub(crate) viewers: usize,
    /// Events per second between the waves
    #[arg(long, default_value_t = 10.0)]
    pub(crate) chat: f64,
    /// Gifts per second during the raid; only a gateway with --dev takes them from clients
    #[arg(long, default_value_t = 0.0)]
    pub(crate) gifts: f64,
    /// Seconds of the evening
    #[arg(long = "for", value_name = "S", default_value_t = 60.0)]
    pub(crate) for_s: f64,
}

/// Makes the plan.
///
/// # Errors
/// The options cannot be used.
pub(crate) fn plan(options: &Options, seed: u64) -> anyhow::Result<Plan> {
    let mut script = Script::new(options.common.plan()?, seed, f64::MAX);
    let end_s = options.for_s;
    let parts =
        [("arrival", 0.0), ("waves", WAVES), ("raid", RAID), ("calm", CALM), ("leaving", LEAVING)];
    for (name, share) in parts {
        script.phase(name, share * end_s);
    }
    script.plan.last_us = us(end_s);
    script.plan.only_chat = options.gifts <= 0.0;
    let crowd = script.group("crowd");
    let room = script.room(crowd);
    for _ in 0..options.viewers {
        let (comes_s, goes) = (arrival(&mut script) * WAVES * end_s, script.random.random::<f64>());
        let goes_s = (goes < LEAVERS)
            .then(|| end_s * (LEAVING + (1.0 - LEAVING) * script.random.random::<f64>()));
        visit(&mut script, room, crowd, comes_s, goes_s);
    }
    let raiders = script.group("raiders");
    for _ in 0..(options.viewers as f64 * RAIDERS) as usize {
        let comes_s = (RAID + RAID_OVER * script.random.random::<f64>()) * end_s;
        visit(&mut script, room, raiders, comes_s, None);
    }
    let speakers = script.group("speakers");
    let streams = streams(options);
    script.speakers(room, speakers, &streams);
    Ok(script.plan)
}

/// When somebody comes, as a share of the time of arrival: few early, most in the middle.
fn arrival(script: &mut Script) -> f64 {
    (0..3).map(|_| script.random.random::<f64>()).sum::<f64>() / 3.0
}

fn visit(script: &mut Script, room: usize, group: usize, comes_s: f64, goes_s: Option<f64>) {
    let comes = (At::Begin(us(comes_s)), Act::Connect { resume: true });
    let goes = goes_s.map(|at_s| (At::Begin(us(at_s)), Act::Leave));
    script.client(room, group, [comes].into_iter().chain(goes).collect());
}

fn streams(options: &Options) -> Vec<Stream> {
    let end_s = options.for_s;
    let steady = |from: f64, to: f64, times: f64| {
        Stream::steady(us(from * end_s), us(to * end_s), options.chat * times, CHAT_BYTES)
    };
    let third = (RAID - WAVES) / 6.0;
    let wave = |nth: f64| steady(WAVES + nth * third, WAVES + (nth + 1.0) * third, WAVE_TIMES);
    let rise = Stream { rate_to: options.chat, ..steady(0.0, WAVES, 0.0) };
    let fall = Stream { rate_to: 0.0, ..steady(LEAVING, 1.0, 1.0) };
    let mut streams = vec![
        rise,
        steady(WAVES, RAID, 1.0),
        wave(0.0),
        wave(2.0),
        wave(4.0),
        steady(RAID, CALM, RAID_TIMES),
        steady(CALM, LEAVING, 1.0),
        fall,
    ];
    if options.gifts > 0.0 {
        let gifts = steady(RAID, CALM, options.gifts / options.chat.max(f64::MIN_POSITIVE));
        streams.push(Stream { kind: EventKind::Gift, ..gifts });
    }
    streams.retain(|stream| stream.rate_from + stream.rate_to > 0.0);
    streams
}
