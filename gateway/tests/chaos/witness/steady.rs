//! The log of an embedded broker, as a client sees it to which nothing happens.

use std::sync::Arc;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rig::http;
use rig::wait::{PATIENCE, until};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::crowd::ROOMS;
use crate::tally::Tally;
use crate::viewer::{Progress, Viewer};
use crate::world::World;
use rig::account::log::Log;

/// A client that nothing happens to. It stands for the log of an embedded broker, which numbers
/// every event, in rooms whose budget leaves nothing out.
#[derive(Debug)]
pub(crate) struct Steady {
    progress: Arc<Progress>,
    stop: watch::Sender<bool>,
    viewer: JoinHandle<Viewer>,
}

impl Steady {
    /// Starts to watch.
    pub(super) async fn start(world: &World) -> Self {
        let (stop, stopped) = watch::channel(false);
        let entrance = Arc::from([world.gateways[0].public()]);
        let dice = StdRng::seed_from_u64(0);
        // What it counts is nobody's concern.
        let tally = Arc::new(Tally::default());
        tally.begin();
        let viewer = Viewer::new(usize::MAX, ROOMS, entrance, tally, dice);
        let progress = Arc::clone(&viewer.progress);
        let viewer = tokio::spawn(viewer.live(stopped, watch::Sender::new(0.0).subscribe()));
        let witness = Self { progress, stop, viewer };
        witness.reaches([0, 0]).await;
        witness
    }

    async fn reaches(&self, seqs: [u64; 2]) {
        let look = || async { self.progress.has_reached(seqs).then_some(()) };
        until("the witness", look).await;
    }

    /// The numbers of the last entries of the rooms.
    pub(super) async fn heads(&self, world: &World) -> [u64; 2] {
        let mut heads = [0; 2];
        for (head, room) in heads.iter_mut().zip(ROOMS) {
            let path = format!("GET /v1/rooms/{room}");
            let (to, key) = (world.gateways[0].admin(), "Authorization: Bearer dev\r\n");
            let answer = http::ask(to, &path, key, b"", PATIENCE).await.expect("the room's head");
            let info = answer.json().unwrap();
            let cursor = info["cursor"].as_str().and_then(|cursor| cursor.split_once(':'));
            *head = cursor.unwrap().1.parse().unwrap();
        }
        heads
    }

    /// The logs to their ends, and at least up to these numbers.
    pub(super) async fn logs(self, world: &World, upto: [u64; 2]) -> [Log; 2] {
        // What was acked last has perhaps come to nobody yet: its slot is open.
        let heads = self.heads(world).await;
        self.reaches([0, 1].map(|room| heads[room].max(upto[room]))).await;
        self.stop.send_replace(true);
        let viewer = self.viewer.await.unwrap();
        viewer.accounts.map(|account| {
            assert_eq!((account.stretches.len(), account.faults.len()), (1, 0), "{account:?}");
            let mut log = Log::default();
            for step in &account.stretches[0].steps {
                assert_eq!((step.to - step.from, step.told_missing), (step.ids.len() as u64, 0));
                for (seq, id) in (step.from + 1..).zip(&step.ids) {
                    log.append(seq, [*id]);
                }
            }
            log
        })
    }
}
