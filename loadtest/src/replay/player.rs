//! Plays danmaku into rooms through the server API, each at its time.

use std::time::{Duration, Instant};

use anyhow::bail;
use tokio::task::JoinSet;

use crate::api::{Api, Event};
use crate::clock::Clock;
use crate::danmaku::Danmaku;
use crate::now::Now;
use crate::publisher::{Outcome, Publisher, Request, Tally};
use crate::truth::ledger::RoomLedger;
use crate::truth::mark::Mark;

/// Refusals without a single ack after which a run is not worth going on with.
const REFUSED_MAX: u64 = 10;

/// What is to be played.
#[derive(Debug)]
pub(crate) struct Part {
    /// The danmaku, in order of time.
    pub(crate) danmaku: Vec<Danmaku>,
    /// Into these rooms, each all of them.
    pub(crate) rooms: Vec<String>,
    /// Tells this run from others.
    pub(crate) run: u32,
}

/// Plays an archive.
pub(crate) struct Player {
    api: Api,
    part: Part,
    clock: Clock,
    from: Duration,
    speed: f64,
    begin_us: u64,
    publisher: Publisher,
    in_flight: JoinSet<(Request, Vec<Outcome>)>,
}

impl Player {
    /// Plays this part, from this time of the recording on, so many times faster.
    pub(crate) fn new(api: Api, part: Part, from: Duration, speed: f64) -> Self {
        let publisher = Publisher::new(std::iter::empty());
        let (clock, in_flight) = (Clock::new(), JoinSet::new());
        Self { api, part, clock, from, speed, begin_us: 0, publisher, in_flight }
    }

    /// Publishes everything, from this time on, in µs since 1970; ends with what was published
    /// into each room.
    ///
    /// # Errors
    /// The server API refuses everything, or a room's name makes no URL.
    pub(crate) async fn play(mut self, begin_us: u64) -> anyhow::Result<(Vec<RoomLedger>, Tally)> {
        self.begin_us = begin_us;
        let until_us = begin_us.saturating_sub(self.clock.now_us());
        let start = Instant::now() + Duration::from_micros(until_us);
        let times: Vec<Instant> = (0..self.part.rooms.len() * self.part.danmaku.len())
            .map(|number| start + self.offset(number))
            .collect();
        self.publisher = Publisher::new(times.into_iter());
        while !self.publisher.is_done() {
            self.turn().await?;
        }
        Ok(self.ledgers())
    }

    async fn turn(&mut self) -> anyhow::Result<()> {
        let due = self.publisher.wake();
        let due_or_never = async {
            match due {
                Some(time) => tokio::time::sleep_until(time.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due_or_never => self.publish(),
            Some(answer) = self.in_flight.join_next() => {
                let (request, outcomes) = answer?;
                self.publisher.answered(request, outcomes, self.now(), rand::random());
                self.check_refusals()
            }
        }
    }

    fn now(&self) -> Now {
        Now { mono: Instant::now(), us: self.clock.now_us() }
    }

    /// Which danmaku an event of the plan is.
    fn danmaku(&self, number: usize) -> &Danmaku {
        &self.part.danmaku[number % self.part.danmaku.len()]
    }

    fn room(&self, number: usize) -> usize {
        number / self.part.danmaku.len()
    }

    fn offset(&self, number: usize) -> Duration {
        self.danmaku(number).at.saturating_sub(self.from).div_f64(self.speed)
    }

    fn publish(&mut self) -> anyhow::Result<()> {
        let Some(request) = self.publisher.next(self.now()) else { return Ok(()) };
        let event = |number: &usize| {
            let offset_us = crate::clock::micros(self.offset(*number));
            let intended_us = self.begin_us + offset_us;
            let mark = Mark { run: self.part.run, number: *number as u32, intended_us };
            Event {
                room: &self.part.rooms[self.room(*number)],
                danmaku: self.danmaku(*number),
                key: format!("{:08x}-{number}", self.part.run),
                mark: mark.to_string(),
            }
        };
        let events: Vec<Event<'_>> = request.events.iter().map(event).collect();
        let (api, rendered) = (self.api.clone(), self.api.render(&events)?);
        self.in_flight.spawn(async move { (request, api.publish(rendered).await) });
        Ok(())
    }

    fn check_refusals(&self) -> anyhow::Result<()> {
        let refused = &self.publisher.tally.refused;
        let nothing_works = self.publisher.ledger.is_empty()
            && (refused.values().sum::<u64>() >= REFUSED_MAX
                || refused.contains_key("unauthorized"));
        if nothing_works {
            let codes: Vec<&str> = refused.keys().map(String::as_str).collect();
            bail!("the server API refuses everything: {}", codes.join(", "));
        }
        Ok(())
    }

    fn ledgers(self) -> (Vec<RoomLedger>, Tally) {
        let mut ledgers = vec![RoomLedger::default(); self.part.rooms.len()];
        for own in &self.publisher.ledger {
            ledgers[self.room(own.number as usize)].enter(*own);
        }
        (ledgers, self.publisher.tally)
    }
}
