//! The scenario `replay`: an archive is played into rooms through the server API, in its own
//! time, while viewers watch. Viewers and their accounts are those of every other scenario; only
//! the publisher is another: one thread with its own runtime beside the workers.

mod options;
mod player;
mod report;

use std::sync::mpsc::sync_channel;

use anyhow::Context as _;

pub(crate) use self::options::Options;
use self::player::{Part, Player};
pub(crate) use self::report::Replayed;
use crate::Failure;
use crate::api::Api;
use crate::fleet::coordinator::{self, Lead, Outsider};
use crate::live::Live;
use crate::plan::{Act, Plan, Room};
use crate::report::{About, Report};
use crate::run::Files;
use crate::scenario::script::{ARRIVALS_PER_S, Script};

/// Plays the archive, judges and tells; ends with the exit code.
///
/// # Errors
/// [`Failure::Usage`]: the options or a file cannot be used. [`Failure::Run`]: the gateway cannot
/// be watched or published to at all.
pub(crate) fn command(options: &Options) -> Result<u8, Failure> {
    options.check().map_err(Failure::Usage)?;
    let archive = options.open_archive().map_err(Failure::Usage)?;
    let api = Api::new(&options.common.api, &options.api_key).map_err(Failure::Usage)?;
    let seed = options.common.seed();
    let plan = plan(options, seed).map_err(Failure::Usage)?;
    let files = Files::open(options.common.json.as_deref(), options.common.html.as_deref())?;
    let about = About {
        scenario: "replay",
        seed,
        groups: plan.groups.clone(),
        phases: plan.phases.iter().map(|phase| phase.name.clone()).collect(),
        lag_max_ms: options.common.lag_max_ms,
    };
    let rooms: Vec<String> = plan.rooms.iter().map(|room| room.name.clone()).collect();
    let part = Part { danmaku: archive.danmaku.clone(), rooms, run: plan.run };
    let player = Player::new(api, part, options.from, options.speed);
    let (report, tally) = play(plan, player, options, about).map_err(Failure::Run)?;
    files.tell(&report.with_replay(Replayed::new(options, &archive, &tally)))
}

fn plan(options: &Options, seed: u64) -> anyhow::Result<Plan> {
    let mut script = Script::new(options.common.plan()?, seed, ARRIVALS_PER_S);
    // The rooms may be used by others, and again: events of another replay are not these.
    script.plan.run = rand::random();
    script.phase("replay", 0.0);
    let group = script.group("viewers");
    for name in options.room_names() {
        script.plan.rooms.push(Room { name, group });
        for _ in 0..options.viewers {
            let acts = vec![(script.arrival(), Act::Connect { resume: true })];
            script.client(script.plan.rooms.len() - 1, group, acts);
        }
    }
    Ok(script.plan)
}

fn play(
    plan: Plan,
    player: Player,
    options: &Options,
    about: About,
) -> anyhow::Result<(Report, crate::publisher::Tally)> {
    let (begin, begins) = sync_channel(1);
    let (tell, published) = sync_channel(1);
    let lead = Lead { all_must_join: true, ..options.common.lead() };
    let thread = std::thread::spawn(move || -> anyhow::Result<_> {
        let Ok(begin_us) = begins.recv() else { return Ok(None) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (ledgers, tally) = runtime.block_on(player.play(begin_us))?;
        // Nobody listens only if the run has failed.
        let _ = tell.send(ledgers);
        Ok(Some(tally))
    });
    let mut live = Live::new(&plan);
    let outsider = Outsider { begin, published };
    let run = coordinator::play(plan, &lead, Some(&outsider), |stage| live.show(stage));
    drop((live, outsider));
    let played = thread.join().map_err(|_| anyhow::anyhow!("the publisher has panicked"))?;
    // If both have failed, the publisher knows why.
    let tally = played?;
    Ok((Report::new(about, run?), tally.context("nothing was played")?))
}
