//! All clients of a run.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rig::wait::{LOOK, PATIENCE};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::plan::Plan;
use crate::tally::Tally;
use crate::viewer::{Progress, Viewer};
use crate::world::World;

/// The loud room, which is far over its budget, and the quiet one, which is below it.
pub(crate) const ROOMS: [&str; 2] = ["loud", "quiet"];

/// Between two times at which some of the clients are cut off.
const UNREST_EVERY: Duration = Duration::from_millis(250);

/// Clients that live, and how far they are.
#[derive(Debug)]
pub(crate) struct Crowd {
    unrest: watch::Sender<f64>,
    cut_share: f64,
    viewers: JoinSet<Viewer>,
    progress: Vec<Arc<Progress>>,
}

impl Crowd {
    /// Lets all clients of a plan come; the first few of them speak.
    pub(crate) fn gather(
        plan: &Plan,
        world: &World,
        tally: &Arc<Tally>,
        random: &mut StdRng,
        stop: &watch::Receiver<bool>,
    ) -> Self {
        let (mut viewers, mut progress) = (JoinSet::new(), Vec::new());
        let unrest = watch::Sender::new(0.0);
        for number in 0..plan.viewers {
            let dice = StdRng::seed_from_u64(random.random());
            let mut viewer = Viewer::new(number, ROOMS, world.entrances(), Arc::clone(tally), dice);
            viewer.speaks = number < plan.speakers;
            progress.push(Arc::clone(&viewer.progress));
            viewers.spawn(viewer.live(stop.clone(), unrest.subscribe()));
        }
        Self { unrest, cut_share: plan.cut_share, viewers, progress }
    }

    /// Cuts off some of the clients again and again; they come back at once, where they were or
    /// elsewhere. Never ends.
    pub(crate) async fn unrest(&self) {
        loop {
            sleep(UNREST_EVERY).await;
            self.unrest.send_replace(self.cut_share);
        }
    }

    /// Waits until all are in both rooms, and have come so far; returns how many have not.
    pub(crate) async fn reaches(&self, seqs: [u64; 2]) -> usize {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let behind = self.progress.iter().filter(|one| !one.has_reached(seqs)).count();
            if behind == 0 || Instant::now() > deadline {
                return behind;
            }
            sleep(LOOK).await;
        }
    }

    /// Everybody, after they were told to stop.
    pub(crate) async fn leave(self) -> Vec<Viewer> {
        let mut viewers = self.viewers.join_all().await;
        viewers.sort_by_key(|viewer| viewer.number);
        viewers
    }
}
