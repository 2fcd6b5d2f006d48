//! A worker process: does its part of the plan and answers the coordinator.

use std::io::{BufRead as _, Write as _};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::clock::Clock;
use crate::engine::Engine;
use crate::engine::tally::Second;
use crate::engine::world::World;
use crate::fleet::messages::{Findings, FromWorker, Progress, ToWorker};
use crate::observe::process::Usage;
use crate::truth::judge::{Judge, Sentence};
use crate::truth::ledger::RoomLedger;

/// Between two reports of progress, in µs.
const PROGRESS_EVERY_US: u64 = 250_000;
/// Lines of the coordinator that may wait.
const COMMANDS: usize = 16;

/// Works until the coordinator is done or gone.
///
/// # Errors
/// The coordinator says what cannot be understood, or is gone.
pub(crate) fn run() -> anyhow::Result<()> {
    let (send, commands) = sync_channel(COMMANDS);
    let _reader = std::thread::spawn(move || -> anyhow::Result<()> {
        for line in std::io::stdin().lock().lines() {
            send.send(serde_json::from_str::<ToWorker>(&line?)?)?;
        }
        Ok(())
    });
    let ToWorker::Setup(plan) = wait(&commands)? else { bail!("no plan") };
    let clock = Clock::new();
    let mut worker = Worker { engine: Engine::new(*plan, clock)?, clock, told_us: 0 };
    let before = Usage::of_self();
    say(&FromWorker::Ready)?;
    worker.play(&commands)?;
    worker.engine.finish();
    say(&FromWorker::Published(worker.published()))?;
    let usage = Usage::of_self().since(&before);
    let ToWorker::Judge { ledgers, is_quiet } = wait(&commands)? else {
        bail!("nothing to judge by")
    };
    if !is_quiet {
        // What was on its way is not lost: judge up to what had come.
        worker.engine.slots.iter_mut().for_each(|slot| slot.life.ended = true);
    }
    say(&FromWorker::Done(Box::new(worker.judge(ledgers, usage))))?;
    worker.engine.hang_up_all();
    Ok(())
}

fn wait(commands: &Receiver<ToWorker>) -> anyhow::Result<ToWorker> {
    commands.recv().context("the coordinator is gone")
}

fn say(message: &FromWorker) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, message)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

struct Worker {
    engine: Engine,
    clock: Clock,
    /// When progress was told last.
    told_us: u64,
}

impl Worker {
    fn play(&mut self, commands: &Receiver<ToWorker>) -> anyhow::Result<()> {
        let first = commands.recv_timeout(Duration::from_secs(600));
        match first {
            Ok(ToWorker::Start(at_us)) => self.engine.start(at_us),
            Ok(_) => bail!("not started"),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                bail!("the coordinator is gone")
            }
        }
        loop {
            match commands.try_recv() {
                Ok(ToWorker::Begin(at_us)) => self.engine.begin(at_us),
                Ok(ToWorker::Finish) => return Ok(()),
                Ok(_) => bail!("out of order"),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => bail!("the coordinator is gone"),
            }
            self.engine.turn();
            let now_us = self.clock.now_us();
            if now_us >= self.told_us + PROGRESS_EVERY_US {
                self.told_us = now_us;
                say(&FromWorker::Progress(self.progress(now_us)))?;
            }
        }
    }

    fn progress(&self, now_us: u64) -> Progress {
        let Engine { world, slots, .. } = &self.engine;
        let second = now_us.saturating_sub(world.start_us) / 1_000_000;
        let last = (second as usize).checked_sub(1).and_then(|last| world.tally.seconds.get(last));
        Progress {
            joined: world.joined,
            gave_up: slots.iter().filter(|slot| slot.life.gave_up.is_some()).count(),
            sent: world.tally.counted("sent"),
            acked: world.tally.counted("acked"),
            is_waiting: slots.iter().any(|slot| slot.is_waiting()),
            told_last_us: world.told_last_us,
            second: last.cloned().unwrap_or_else(Second::default),
            lag_ms: world.tally.sweep_lag.percentile_ms(99.0).unwrap_or(0.0),
        }
    }

    fn published(&mut self) -> Vec<RoomLedger> {
        let World { plan, sent, .. } = &mut self.engine.world;
        let mut ledgers = vec![RoomLedger::default(); plan.rooms.len()];
        for (room, own) in sent.drain(..) {
            ledgers[room].enter(own);
        }
        ledgers
    }

    fn judge(&self, mut ledgers: Vec<RoomLedger>, usage: Usage) -> Findings {
        let Engine { world, slots, .. } = &self.engine;
        ledgers.iter_mut().for_each(RoomLedger::close);
        let mut sentences = vec![Sentence::default(); world.plan.groups.len()];
        let mut judge = Judge::new(&world.digests.told, world.plan.only_chat);
        for (slot, client) in slots.iter().zip(&world.plan.clients) {
            let (name, ledger) = (&world.plan.rooms[client.room].name, &ledgers[client.room]);
            let room = (client.room as u32, name.as_str(), ledger);
            judge.judge(&mut sentences[client.group], client.number, room, &slot.life);
        }
        Findings {
            tally: world.tally.clone(),
            sentences,
            usage,
            clients: slots.len(),
            parsed: world.digests.parsed,
        }
    }
}
