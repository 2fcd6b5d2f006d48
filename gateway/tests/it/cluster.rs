//! Several gateways on one log: one room for all of them, whichever gateway a viewer is on.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use gateway::config::Config;
use protocol::select::Budget;
use rand::RngExt as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::account::Account;
use crate::support::client::{Dial, TestClient};
use crate::support::fabric::{TestBus, Witness};
use crate::support::gateway::{TICK_MS, TestGateway};
use crate::support::seed::seeded;
use crate::support::{events, soon};

const ROOM: &str = "demo";

/// Gateways on one bus.
async fn cluster<const N: usize>(bus: &TestBus, change: impl Fn(&mut Config)) -> [TestGateway; N] {
    let mut gateways = Vec::new();
    for _ in 0..N {
        gateways.push(TestGateway::on(bus.node().await.into_fabric(), &change).await);
    }
    gateways.try_into().ok().unwrap()
}

fn unlimited(config: &mut Config) {
    config.hub.room.budget = Budget::UNLIMITED;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn danmaku_arrive_on_the_other_gateway_soon() {
    const ROUNDS: usize = 15;
    let bus = TestBus::start();
    let [one, two] = cluster(&bus, |_| {}).await;
    let (mut ann, mut bob) = (one.viewer(ROOM).await, two.viewer(ROOM).await);
    let nodes = [&ann, &bob].map(|client| client.memory.first("welcome").unwrap()["node"].clone());
    assert_ne!(nodes[0], nodes[1]);
    let mut delays = Vec::new();
    for round in 0..ROUNDS {
        std::mem::swap(&mut ann, &mut bob);
        let text = format!("第{round}条");
        let sent = Instant::now();
        let event = ann.publish(ROOM, &text).await;
        assert_eq!(bob.hears(ROOM, &text).await, event);
        delays.push(sent.elapsed());
    }
    delays.sort();
    let bound = Duration::from_millis(u64::from(TICK_MS) + 50 + 200);
    assert!(delays[ROUNDS / 2] <= bound, "tick, grace and 200 ms: {delays:?}");
    one.end().await;
    two.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_gateways_select_the_same_events_of_a_flood() {
    const EVENTS: usize = 3_000;
    let mut random = seeded();
    let bus = TestBus::start();
    let gateways: [_; 3] = cluster(&bus, |config| config.hub.room.tick_ms = 200).await;
    let witness = Witness::watch(&bus, ROOM).await;
    let mut viewers = Vec::new();
    for gateway in gateways.iter().chain(&gateways) {
        viewers.push(gateway.viewer(ROOM).await);
    }
    let mut texts = events::chats(ROOM, EVENTS).into_iter();
    loop {
        let chunk: Vec<Value> = texts.by_ref().take(random.random_range(1..=60)).collect();
        if chunk.is_empty() {
            break;
        }
        let gateway = &gateways[random.random_range(0..3)];
        gateway.api.publish_all(&chunk).await;
        tokio::time::sleep(Duration::from_millis(random.random_range(0..20))).await;
    }
    let last = gateways[0].api.publish(ROOM, events::other(ROOM, "system", "完")).await;
    let log = witness.log_to(last["id"].as_str().unwrap()).await;
    assert_eq!(log.len(), EVENTS + 1);
    let accounts = all_reach(viewers, log.last().unwrap().seq).await;
    let places: HashMap<&str, usize> =
        log.iter().enumerate().map(|(at, logged)| (logged.id.as_str(), at)).collect();
    for account in &accounts {
        account.assert_closes();
        assert!(account.left_out["chat"] > 0, "the flood is over the budget");
        assert!(account.ids().is_sorted_by_key(|id| places[id]), "one order for all");
    }
    // A gateway that is held up for longer than the grace cuts its slots elsewhere; that is rare.
    let mut ranges: HashMap<(u64, u64), Vec<&Vec<String>>> = HashMap::new();
    for step in accounts.iter().flat_map(|account| &account.steps) {
        let ids = step.ids.as_ref().expect("nobody was slow");
        ranges.entry((step.from, step.to)).or_default().push(ids);
    }
    let shared = ranges.values().filter(|batches| batches.len() == accounts.len()).count();
    assert!(shared * 2 > ranges.len(), "{shared} of {} batches are shared", ranges.len());
    for (range, batches) in ranges {
        assert!(batches.iter().all(|ids| *ids == batches[0]), "{range:?}: {batches:?}");
    }
    for gateway in gateways {
        gateway.end().await;
    }
}

/// Reads all clients until they have come so far; returns their accounts.
async fn all_reach(clients: Vec<TestClient>, seq: u64) -> Vec<Account> {
    let mut reading = JoinSet::new();
    for mut client in clients {
        reading.spawn(async move {
            client.reaches(ROOM, seq).await;
            client.memory.accounts.remove(ROOM).unwrap()
        });
    }
    soon("all viewers", reading.join_all()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_different_gateways_who_talk_at_once_are_heard_in_one_order() {
    const EACH: u64 = 60;
    let bus = TestBus::start();
    let gateways: [_; 2] = cluster(&bus, unlimited).await;
    let mut talking = JoinSet::new();
    for (who, gateway) in gateways.iter().chain(&gateways).enumerate() {
        let mut client = gateway.viewer(ROOM).await;
        talking.spawn(async move {
            for n in 0..EACH {
                client.publish(ROOM, &format!("{who} 说 {n}")).await;
            }
            client
        });
    }
    let clients = soon("all that is said", talking.join_all()).await;
    let accounts = all_reach(clients, 4 * EACH).await;
    // Those who joined first have heard everything; the others all that came after their join.
    let order = accounts.iter().max_by_key(|account| account.received.len()).unwrap().texts();
    for account in &accounts {
        account.assert_closes();
        let texts = account.texts();
        assert_eq!(texts, order[order.len() - texts.len()..]);
        for who in 0..4 {
            let own = |text: &&&str| text.starts_with(&format!("{who} "));
            let said: Vec<_> = texts.iter().filter(own).collect();
            let last = (EACH as usize - said.len())..EACH as usize;
            let expected: Vec<_> = last.map(|n| format!("{who} 说 {n}")).collect();
            assert!(said.iter().copied().eq(&expected), "{said:?}");
        }
    }
    for gateway in gateways {
        gateway.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_and_likes_of_all_gateways_are_summed_and_a_lost_gateway_leaves_the_sum() {
    let bus = TestBus::start();
    let [one, two, three] = cluster(&bus, |_| {}).await;
    let mut ann = one.viewer(ROOM).await;
    let mut others = Vec::new();
    for gateway in [&two, &two, &three, &three, &three] {
        others.push(gateway.viewer(ROOM).await);
    }
    let like = json!({ "type": "publish", "room": ROOM, "kind": "like", "body": { "count": 7 } });
    others[0].ask(like.clone()).await;
    others[4].ask(like).await;
    let there = |online: u64, likes: u64| {
        move |memory: &crate::support::memory::Memory| {
            let account = memory.account(ROOM);
            (account.online == online && account.likes == likes).then_some(())
        }
    };
    ann.until("6 online, 14 likes", there(6, 14)).await;
    others[0].until("6 online, 14 likes", there(6, 14)).await;
    for gateway in [&one, &two, &three] {
        let info = gateway.api.get(&format!("/v1/rooms/{ROOM}")).await.json();
        assert_eq!((&info["online"], &info["likes"]), (&json!(6), &json!(14)), "{info}");
    }
    // Who joins is told at once.
    let mut late = two.client().await;
    let joined = late.join(ROOM).await;
    assert_eq!((&joined["state"]["online"], &joined["state"]["likes"]), (&json!(7), &json!(14)));
    drop(three);
    ann.until("4 online, 14 likes", there(4, 14)).await;
    others[0].until("4 online, 14 likes", there(4, 14)).await;
    for client in [&ann, &others[0]] {
        client.memory.account(ROOM).assert_closes();
    }
    one.end().await;
    two.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_of_a_lost_gateway_go_on_at_another_and_miss_nothing() {
    let bus = TestBus::start();
    let [one, two, three] = cluster(&bus, unlimited).await;
    let mut ann = one.viewer(ROOM).await;
    let mut others = [three.viewer(ROOM).await, three.viewer(ROOM).await];
    ann.publish(ROOM, "之前").await;
    for client in &mut others {
        client.hears(ROOM, "之前").await;
    }
    drop(three);
    for n in 0..20 {
        ann.publish(ROOM, &format!("之间 {n}")).await;
    }
    // One room is open where they go, the other must be opened first.
    for (n, (client, gateway)) in others.into_iter().zip([&one, &two]).enumerate() {
        let mut client = client;
        client.ends().await;
        let accounts_so_far = client.vanish();
        let mut client = gateway.dial(Dial { accounts: accounts_so_far, ..Dial::default() }).await;
        assert_eq!(client.rejoin(ROOM).await["recovered"], true);
        ann.publish(ROOM, &format!("之后 {n}")).await;
        client.hears(ROOM, &format!("之后 {n}")).await;
        let account = client.memory.account(ROOM);
        account.assert_closes();
        assert_eq!(account.texts().len(), 1 + 20 + 1 + n);
    }
    one.end().await;
    two.end().await;
}

/// More has happened than a gateway is told of a room that it opens: it asks the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_at_a_gateway_that_opens_the_room_reaches_far_back() {
    let bus = TestBus::start();
    let [one, two] = cluster(&bus, unlimited).await;
    let mut bob = one.viewer(ROOM).await;
    let first = one.api.publish(ROOM, events::chat(ROOM, "起点")).await;
    bob.hears(ROOM, "起点").await;
    let accounts = bob.close().await;
    let missed = [
        one.api.publish_all(&events::chats(ROOM, 400)).await,
        one.api.publish_all(&events::chats(ROOM, 400)).await,
    ]
    .concat();
    let mut bob = two.dial(Dial { accounts, ..Dial::default() }).await;
    assert_eq!(bob.rejoin(ROOM).await["recovered"], true);
    bob.reaches(ROOM, 801).await;
    let account = bob.memory.account(ROOM);
    account.assert_closes();
    let ids = [&[first], missed.as_slice()].concat();
    assert!(account.ids().into_iter().eq(ids.iter().map(|event| event["id"].as_str().unwrap())));
    one.end().await;
    two.end().await;
}

/// Gifts that wait for their turn are owed to whoever was told so, wherever they come back: here
/// at a gateway that never held them, since they lie further back than what it is told of a room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gifts_that_were_held_for_a_viewer_are_recovered_at_a_gateway_that_does_not_hold_them() {
    let bus = TestBus::start();
    let [one, two] = cluster(&bus, |config| {
        config.hub.room.budget = Budget { chat: 1, higher: 1 };
        config.hub.room.tick_ms = 500;
    })
    .await;
    let mut bob = one.viewer(ROOM).await;
    let gifts: Vec<_> = (0..10).map(|n| events::other(ROOM, "gift", &format!("礼物{n}"))).collect();
    let gifts = one.api.publish_all(&gifts).await;
    let held = |memory: &crate::support::memory::Memory| {
        let account = memory.account(ROOM);
        (!account.received.is_empty() && account.held > 0).then_some(account.held)
    };
    let held = bob.until("some gifts, and that more are held", held).await;
    let accounts = bob.close().await;
    let news: Vec<_> = (0..300).map(|n| events::other(ROOM, "system", &format!("{n}"))).collect();
    one.api.publish_all(&news).await;

    let mut bob = two.dial(Dial { accounts, ..Dial::default() }).await;
    let joined = bob.rejoin(ROOM).await;
    assert_eq!(joined["recovered"], true);
    bob.reaches(ROOM, 310).await;
    let account = bob.memory.account(ROOM);
    account.assert_closes();
    assert!(held >= 1 && account.received.len() == 310, "{}", account.received.len());
    assert!(gifts.iter().all(|gift| account.has(gift["id"].as_str().unwrap())));
    one.end().await;
    two.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_shows_once_also_to_those_who_recover_it_from_the_log() {
    let bus = TestBus::start();
    let [one, two] = cluster(&bus, unlimited).await;
    let mut bob = one.viewer(ROOM).await;
    one.api.publish(ROOM, events::chat(ROOM, "起点")).await;
    bob.hears(ROOM, "起点").await;
    let accounts = bob.close().await;
    let retry = json!({ "user": { "id": "42" }, "key": "retry", "body": { "text": "一次" } });
    one.api.publish(ROOM, retry.clone()).await;
    one.api.publish(ROOM, retry).await;
    one.api.publish_all(&events::chats(ROOM, 400)).await;
    let mut bob = two.dial(Dial { accounts, ..Dial::default() }).await;
    let joined = bob.rejoin(ROOM).await;
    assert_eq!(joined["recovered"], true);
    let events = joined["events"].as_array().unwrap();
    let shown = events.iter().filter(|event| event["body"]["text"] == "一次").count();
    assert_eq!(shown, 1, "of {}", events.len());
    bob.reaches(ROOM, 403).await;
    bob.memory.account(ROOM).assert_closes_but_for(1);
    one.end().await;
    two.end().await;
}

/// What is too much for a recovery is said to be, and the newest comes instead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_who_missed_too_much_starts_over_with_the_newest() {
    let bus = TestBus::start();
    let [one, two] = cluster(&bus, unlimited).await;
    let mut bob = one.viewer(ROOM).await;
    one.api.publish(ROOM, events::chat(ROOM, "起点")).await;
    bob.hears(ROOM, "起点").await;
    let since = bob.memory.account(ROOM).cursor.text();
    bob.close().await;
    for _ in 0..3 {
        let said = one.api.publish_all(&events::chats(ROOM, 400)).await;
        one.shows(ROOM, &said[399]).await;
    }
    let mut clients = [one.client().await, two.client().await];
    for client in &mut clients {
        let joined = client.join_with(ROOM, json!({ "since": since, "history": 7 })).await;
        assert_eq!(joined["recovered"], false);
        let events = joined["events"].as_array().unwrap().iter();
        let texts: Vec<_> = events.map(|event| event["body"]["text"].as_str().unwrap()).collect();
        let expected: Vec<_> = (394..=400).map(|n| format!("弹幕 {n}")).collect();
        assert_eq!(texts, expected);
    }
    one.api.publish(ROOM, events::chat(ROOM, "新")).await;
    for client in &mut clients {
        client.hears(ROOM, "新").await;
        assert_eq!(client.memory.account(ROOM).texts(), ["新"]);
        client.memory.account(ROOM).assert_closes();
    }
    one.end().await;
    two.end().await;
}
