//! A plan in the making: rooms are opened, clients come in and are given things to say.

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use xxhash_rust::xxh3::xxh3_64;

use crate::plan::chat::{self, Stream};
use crate::plan::{Act, At, Client, Phase, Plan, Room, Send, source};

/// Clients that come in per second before the beginning, if nothing else is asked for.
pub(crate) const ARRIVALS_PER_S: f64 = 5_000.0;

/// A plan in the making.
#[derive(Debug)]
pub(crate) struct Script {
    /// What has been planned.
    pub(crate) plan: Plan,
    /// Everything that is drawn is drawn from this.
    pub(crate) random: StdRng,
    next_event: u32,
    arrivals_per_s: f64,
    arrivals: usize,
}

impl Script {
    /// Nothing yet.
    pub(crate) fn new(plan: Plan, seed: u64, arrivals_per_s: f64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        // Of the seed too: names of rooms decide when their slots end.
        let plan = Plan { run: xxh3_64(&seed.to_be_bytes()) as u32, ..plan };
        Self { plan, random, next_event: 0, arrivals_per_s: arrivals_per_s.max(0.1), arrivals: 0 }
    }

    /// Adds a group.
    pub(crate) fn group(&mut self, name: &str) -> usize {
        if let Some(at) = self.plan.groups.iter().position(|group| group == name) {
            return at;
        }
        self.plan.groups.push(name.to_owned());
        self.plan.groups.len() - 1
    }

    /// Opens a room. Its name holds the run, so that nothing is left in it from another.
    pub(crate) fn room(&mut self, group: usize) -> usize {
        let name = format!(
            "load-{:08x}-{}-{}",
            self.plan.run,
            self.plan.groups[group],
            self.plan.rooms.len()
        );
        self.plan.rooms.push(Room { name, group });
        self.plan.rooms.len() - 1
    }

    /// Begins a phase at this time after the beginning, in seconds.
    pub(crate) fn phase(&mut self, name: &str, at_s: f64) {
        self.plan.phases.push(Phase { name: name.to_owned(), at_us: us(at_s) });
    }

    /// The moment of the next arrival before the beginning.
    pub(crate) fn arrival(&mut self) -> At {
        let at = At::Start(us(self.arrivals as f64 / self.arrivals_per_s));
        self.arrivals += 1;
        at
    }

    /// Adds a client that does these things.
    pub(crate) fn client(&mut self, room: usize, group: usize, acts: Vec<(At, Act)>) -> usize {
        self.with_sends(room, group, acts, Vec::new())
    }

    /// Adds the speakers of a room, who are in it from before the beginning, and gives them the
    /// events of these streams.
    pub(crate) fn speakers(&mut self, room: usize, group: usize, streams: &[Stream]) {
        for sends in chat::deal(streams, &mut self.random, &mut self.next_event) {
            let acts = vec![(self.arrival(), Act::Connect { resume: true })];
            self.with_sends(room, group, acts, sends);
        }
    }

    fn with_sends(
        &mut self,
        room: usize,
        group: usize,
        acts: Vec<(At, Act)>,
        sends: Vec<Send>,
    ) -> usize {
        let number = self.plan.clients.len();
        let source = source(&self.plan.target, number);
        self.plan.clients.push(Client { number: number as u32, room, group, source, acts, sends });
        number
    }
}

/// Seconds in µs.
pub(crate) fn us(seconds: f64) -> u64 {
    (seconds * 1e6) as u64
}
