//! The log of an embedded broker, as a client sees it to which nothing happens.

use std::sync::Arc;

use protocol::cursor::Seq;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rig::http;
use rig::wait::{PATIENCE, until};
use serde_json::{Value, json};
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

    /// The numbers of the last entries of the rooms, as the hub knows them.
    pub(super) async fn heads(&self, world: &World) -> [Seq; 2] {
        let mut heads = [0; 2];
        for (head, room) in heads.iter_mut().zip(ROOMS) {
            *head = head_of(&past(world, room).await);
        }
        heads
    }

    /// The logs, to the end. Nobody publishes any more.
    pub(super) async fn logs(self, world: &World) -> [Log; 2] {
        let mut ends = [0; 2];
        for (end, room) in ends.iter_mut().zip(ROOMS) {
            *end = end_of(world, room).await;
        }
        self.reaches(ends).await;
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

/// The number of a room's last entry. What was acked is in the log, but the hub may have to hear
/// of it yet: it has heard of all once it has heard of one that was published behind the others.
async fn end_of(world: &World, room: &str) -> Seq {
    let body = json!({ "body": { "text": "完" } }).to_string();
    let published = ask(world, &format!("POST /v1/rooms/{room}/events"), &body).await;
    let last = &published["event"]["id"];
    assert!(last.is_string(), "{published}");
    let heard = || async {
        let past = past(world, room).await;
        (past["events"][0]["id"] == *last).then(|| head_of(&past))
    };
    until("the hub hears of the last event", heard).await
}

/// A room's last event and its cursor.
async fn past(world: &World, room: &str) -> Value {
    ask(world, &format!("GET /v1/rooms/{room}/history?limit=1"), "").await
}

fn head_of(past: &Value) -> Seq {
    let cursor = past["cursor"].as_str().and_then(|cursor| cursor.split_once(':'));
    cursor.expect("a cursor").1.parse().unwrap()
}

async fn ask(world: &World, what: &str, body: &str) -> Value {
    let headers = "Authorization: Bearer dev\r\nContent-Type: application/json\r\n";
    let to = world.gateways[0].admin();
    let answer = http::ask(to, what, headers, body.as_bytes(), PATIENCE).await;
    answer.expect("an answer").json().unwrap()
}
