//! Nothing is silently missing: whatever a room is flooded with, and however its viewers come and
//! go, what each of them was told adds up to what was published.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use broker_bridge::embedded::Topology;
use protocol::event::Class;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::account::Account;
use crate::support::client::{Dial, TestClient};
use crate::support::fabric::{self, Logged, TestBus, Witness};
use crate::support::gateway::TestGateway;
use crate::support::http::Api;
use crate::support::seed::seeded;
use crate::support::{events, soon};

const ROOM: &str = "大房间";
const VIEWERS: usize = 50;

/// What the application sends in a flood.
#[derive(Debug, Clone, Copy)]
struct Mix {
    events: usize,
    /// Of a thousand events, how many are of these kinds; the rest is chat.
    system: u32,
    gift: u32,
    staff: u32,
    enter: u32,
    /// How many notices of the room are put in between.
    notices: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_viewers_who_come_and_go_miss_nothing_silently_in_a_flood_of_chat() {
    let mix = Mix { events: 5_000, system: 0, gift: 0, staff: 0, enter: 0, notices: 0 };
    flood(mix).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_viewers_who_come_and_go_get_all_that_was_paid_for_and_all_that_is_told_to_all() {
    let mix = Mix { events: 4_000, system: 10, gift: 40, staff: 100, enter: 150, notices: 30 };
    flood(mix).await;
}

/// Floods a room while viewers come, go and come back, and judges every account.
async fn flood(mix: Mix) {
    let mut random = seeded();
    let bus = TestBus::start_for(Topology::Single);
    let gateway = TestGateway::on(bus.node().await.into_fabric(), |_| {}).await;
    let witness = Witness::watch(&bus, ROOM).await;
    let (flooded, is_over) = watch::channel(false);
    let mut viewers = JoinSet::new();
    for _ in 0..VIEWERS {
        let random = StdRng::seed_from_u64(random.random());
        viewers.spawn(view(gateway.public, random, is_over.clone()));
    }
    publish_all(&gateway.api, &witness, mix, &mut random).await;
    // Moderation is never left out, so every viewer gets this one last event.
    let last = fabric::event("notice", None, &json!({ "text": "完" }));
    let last_id = last.id.to_string();
    witness.publish(last).await;
    let log = witness.log_to(&last_id).await;
    assert_eq!(log.len(), mix.events + mix.notices + 1);
    flooded.send_replace(true);

    let end = log.last().unwrap().seq;
    let clients: Vec<TestClient> = soon("all viewers", viewers.join_all()).await;
    let mut ends = JoinSet::new();
    for mut client in clients {
        ends.spawn(async move {
            client.reaches(ROOM, end).await;
            client.close().await.remove(ROOM).unwrap()
        });
    }
    let accounts = soon("the accounts", ends.join_all()).await;
    let judge = Judge::new(&log);
    accounts.iter().for_each(|account| judge.judge(account));
    judge.same_batches(&accounts);
    let left_out: u64 = accounts.iter().flat_map(|account| account.left_out.values()).sum();
    assert!(left_out > 0, "the flood is over the budget");
    let recoveries: usize = accounts.iter().map(|account| account.recoveries).sum();
    assert!(recoveries > 0, "somebody came back");
    if accounts.iter().any(|account| !account.gaps.is_empty()) {
        let overtaken = gateway.metric("barrage_overtaken_frames_total", "").await;
        let stuck = gateway.metric("barrage_stuck_total", "").await;
        assert!(overtaken + stuck > 0.0, "a gap for no reason");
    }
    gateway.end().await;
}

/// A viewer: joins at some moment, then reads, leaves and comes back, until the flood is over.
async fn view(
    to: SocketAddr,
    mut random: StdRng,
    mut is_over: watch::Receiver<bool>,
) -> TestClient {
    let mut wait = async |random: &mut StdRng, up_to_ms: u64| {
        let time = Duration::from_millis(random.random_range(0..up_to_ms));
        tokio::time::timeout(time, is_over.wait_for(|over| *over)).await.is_ok()
    };
    wait(&mut random, 1_500).await;
    let mut client = TestClient::connect(to).await;
    client.join(ROOM).await;
    loop {
        let reading =
            tokio::time::Instant::now() + Duration::from_millis(random.random_range(0..800));
        while tokio::time::timeout_at(reading, client.read()).await.is_ok() {}
        let away = random.random_range(1..400);
        match random.random_range(0..10) {
            0..4 => {}
            4..6 => {
                client.leave(ROOM).await;
                wait(&mut random, away).await;
                recover(&mut client).await;
            }
            6..8 => recover(&mut client).await,
            how => {
                let accounts = if how == 8 { client.vanish() } else { client.close().await };
                wait(&mut random, away).await;
                client = TestClient::dial(to, Dial { accounts, ..Dial::default() }).await;
                recover(&mut client).await;
            }
        }
        if wait(&mut random, 1).await {
            return client;
        }
    }
}

async fn recover(client: &mut TestClient) {
    let joined = client.rejoin(ROOM).await;
    assert_eq!(joined["recovered"], true, "{joined}");
}

async fn publish_all(api: &Api, witness: &Witness, mix: Mix, random: &mut StdRng) {
    let mut left = mix.events;
    let mut notices = mix.notices;
    while left > 0 {
        let count = random.random_range(1..=200).min(left);
        let chunk: Vec<Value> = (0..count).map(|n| any_event(left - n, mix, random)).collect();
        assert_eq!(api.publish_all(&chunk).await.len(), count);
        left -= count;
        if notices > 0 {
            notices -= 1;
            witness.publish(fabric::event("notice", None, &json!({ "muted": notices }))).await;
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..100))).await;
    }
    for n in 0..notices {
        witness.publish(fabric::event("notice", None, &json!({ "muted": n }))).await;
    }
}

fn any_event(number: usize, mix: Mix, random: &mut StdRng) -> Value {
    let text = format!("第{number}条");
    let draw = random.random_range(0..1000);
    let kinds =
        [("system", mix.system), ("gift", mix.gift), ("staff", mix.staff), ("enter", mix.enter)];
    let mut upper = 0;
    let kind = kinds.into_iter().find(|(_, share)| {
        upper += share;
        draw < upper
    });
    match kind {
        Some(("staff", _)) => events::staff(ROOM, &text),
        Some((kind, _)) => events::other(ROOM, kind, &text),
        None => events::chat(ROOM, &text),
    }
}

/// What was published, to judge accounts by.
struct Judge<'a> {
    log: &'a [Logged],
    by_id: HashMap<&'a str, &'a Logged>,
}

impl<'a> Judge<'a> {
    fn new(log: &'a [Logged]) -> Self {
        Self { log, by_id: log.iter().map(|logged| (logged.id.as_str(), logged)).collect() }
    }

    fn judge(&self, account: &Account) {
        assert_eq!(account.held, 0);
        // Paid events from before the join are those that were held then, and come later. A cursor
        // cannot tell whether a slot of held events was before or after it: a recovery brings them
        // again, also to somebody who joined after them.
        let early = account.received.iter().map(|received| self.by_id[received.id()]);
        let early = early.filter(|logged| logged.seq <= account.start.seq).count() as u64;
        let told: u64 = account.gaps.iter().sum();
        let published = account.cursor.seq - account.start.seq;
        let extra = account.told().checked_sub(published).expect("nothing is missing");
        assert!(extra == 0 || account.recoveries > 0);
        let in_gaps = (account.held_at_start + extra).checked_sub(early).expect("none but those");
        assert!(in_gaps <= told, "what was held comes: {in_gaps} did not, {told} were told");
        for class in ["control", "moderation", "paid"] {
            assert!(!account.left_out.contains_key(class), "{class}: {:?}", account.left_out);
        }
        let published = self.log.iter().filter(|logged| logged.seq > account.start.seq);
        let owed = published.filter(|logged| logged.class < Class::Staff);
        let missing: Vec<_> = owed.filter(|logged| !account.has(&logged.id)).collect();
        // A shard that is held up tells what it could not send in time as a gap, whatever it was.
        let is_told = |logged: &Logged| {
            let is_held = logged.class == Class::Paid;
            let gaps = account.steps.iter().filter(|step| step.ids.is_none());
            gaps.into_iter().any(|gap| (is_held || gap.from < logged.seq) && logged.seq <= gap.to)
        };
        let untold = missing.iter().find(|logged| !is_told(logged));
        assert!(untold.is_none(), "{untold:?} is missing, of {}", account.start.text());
        assert!(missing.len() as u64 + in_gaps <= told, "{:?}", account.gaps);
        let received = account.received.iter().map(|received| self.by_id[received.id()]);
        // Paid events may come late, but in order among themselves, as all others do.
        let (paid, others): (Vec<_>, Vec<_>) = received.partition(|l| l.class == Class::Paid);
        let in_time = paid.into_iter().filter(|logged| logged.seq > account.start.seq).collect();
        for order in [&in_time, &others] {
            let wrong = order.windows(2).find(|pair| pair[0].seq >= pair[1].seq);
            assert!(wrong.is_none(), "one order for all: {wrong:?}");
        }
        assert!(others.iter().all(|logged| logged.seq > account.start.seq));
        for step in &account.steps {
            let ids = step.ids.iter().flatten().map(|id| self.by_id[id.as_str()]);
            for logged in ids.filter(|logged| logged.class != Class::Paid) {
                assert!(step.from < logged.seq && logged.seq <= step.to, "{logged:?} in {step:?}");
            }
        }
    }

    /// Viewers of one gateway get the same frames: whoever was told from here to there was told
    /// the same.
    fn same_batches(&self, accounts: &[Account]) {
        let mut batches: HashMap<(u64, u64), Vec<&Vec<String>>> = HashMap::new();
        for step in accounts.iter().flat_map(|account| &account.steps) {
            // Slots of nothing but held events have one and the same range.
            if let Some(ids) = step.ids.as_ref().filter(|_| step.from < step.to) {
                batches.entry((step.from, step.to)).or_default().push(ids);
            }
        }
        for (range, batches) in batches {
            let first = batches[0];
            assert!(batches.iter().all(|ids| *ids == first), "{range:?}: {batches:?}");
        }
    }
}
