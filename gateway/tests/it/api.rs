//! The server API: what the application publishes and asks.

use std::collections::HashSet;

use gateway::config::Config;
use protocol::select::Budget;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::fabric::TestBus;
use crate::support::gateway::TestGateway;
use crate::support::http::{Answer, Api, percent, request};
use crate::support::{events, soon};

const ROOM: &str = "demo";

#[tokio::test]
async fn an_event_of_the_application_reaches_the_room_as_it_is_returned() {
    let gateway = TestGateway::start().await;
    let mut ann = gateway.viewer(ROOM).await;
    let user = json!({ "id": "42", "name": "小明\u{200b}", "roles": ["moderator"], "level": 12 });
    let event = json!({
        "user": user, "weight": 200, "body": { "text": "前方高能", "color": "#FFCC00" },
    });
    let event = gateway.api.publish(ROOM, event).await;
    assert_eq!(event["kind"], "chat");
    let user = json!({ "id": "42", "name": "小明", "roles": ["moderator"], "level": 12 });
    assert_eq!(event["user"], user);
    let body = json!({
        "text": "前方高能", "mode": "scroll", "color": "#ffcc00", "size": "medium",
    });
    assert_eq!(event["body"], body);
    assert_eq!(ann.hears(ROOM, "前方高能").await, event);
    for kind in ["system", "gift", "paid", "enter", "x-poll"] {
        let event = gateway.api.publish(ROOM, events::other(ROOM, kind, kind)).await;
        assert!(event.get("user").is_none(), "nobody in particular: {event}");
        assert_eq!(ann.hears(ROOM, kind).await, event);
    }
    ann.memory.account(ROOM).assert_closes();
    gateway.end().await;
}

#[tokio::test]
async fn many_events_enter_their_rooms_in_order_with_a_result_each() {
    let gateway = TestGateway::with(|config| config.hub.room.budget = Budget::UNLIMITED).await;
    let (mut ann, mut bob) = (gateway.viewer("甲").await, gateway.viewer("乙").await);
    let many: Vec<Value> = (0..500)
        .map(|n| events::chat(if n % 2 == 0 { "甲" } else { "乙" }, &format!("第{n}条")))
        .collect();
    let published = gateway.api.publish_all(&many).await;
    assert_eq!(published.len(), 500);
    for (sent, event) in many.iter().zip(&published) {
        assert_eq!(sent["body"]["text"], event["body"]["text"]);
    }
    for (client, room, first) in [(&mut ann, "甲", 0), (&mut bob, "乙", 1)] {
        client.reaches(room, 250).await;
        let expected: Vec<String> = (first..500).step_by(2).map(|n| format!("第{n}条")).collect();
        assert_eq!(client.memory.account(room).texts(), expected);
    }
    assert_eq!(gateway.api.publish_all(&[]).await.len(), 0);
    let body = json!({ "events": vec![events::chat("甲", "x"); 501] }).to_string();
    gateway.api.post("/v1/events", body.as_bytes()).await.assert_refused(413, "too_large");
    assert_eq!(ann.memory.account("甲").received.len(), 250, "none of them");
    gateway.end().await;
}

#[tokio::test]
async fn one_bad_event_among_many_is_told_and_spoils_none_of_the_others() {
    let gateway = TestGateway::start().await;
    let mut ann = gateway.viewer(ROOM).await;
    let long = "字".repeat(201);
    let bad = [
        (events::chat(ROOM, &long), "too_large"),
        (events::chat(ROOM, ""), "bad_request"),
        (events::chat("", "x"), "bad_request"),
        (events::chat("$canary", "x"), "bad_request"),
        (json!({ "body": { "text": "x" } }), "bad_request"),
        (events::other(ROOM, "notice", "x"), "bad_request"),
        (events::other(ROOM, "dance", "x"), "bad_request"),
        (json!({ "room": ROOM, "user": { "id": "" }, "body": { "text": "x" } }), "bad_request"),
        (json!({ "room": ROOM, "weight": 256, "body": { "text": "x" } }), "bad_request"),
        (json!({ "room": ROOM, "key": "", "body": { "text": "x" } }), "bad_request"),
        (json!({ "room": ROOM, "body": "x" }), "bad_request"),
        (json!({ "room": ROOM }), "bad_request"),
        (json!(7), "bad_request"),
    ];
    let mut many = Vec::new();
    for (n, (event, _)) in bad.iter().enumerate() {
        many.push(event.clone());
        many.push(events::chat(ROOM, &format!("好 {n}")));
    }
    let body = json!({ "events": many }).to_string();
    let answer = gateway.api.post("/v1/events", body.as_bytes()).await;
    assert_eq!(answer.status, 200);
    let results = answer.json()["results"].as_array().unwrap().clone();
    for (pair, (event, code)) in results.chunks(2).zip(&bad) {
        assert_eq!(pair[0]["error"]["code"], *code, "{event}");
        assert_eq!(pair[1]["stored"], true);
    }
    ann.reaches(ROOM, bad.len() as u64).await;
    ann.memory.account(ROOM).assert_closes();
    gateway.end().await;
}

#[tokio::test]
async fn a_retry_with_the_same_key_is_the_same_event() {
    let gateway = TestGateway::start().await;
    let mut ann = gateway.viewer(ROOM).await;
    let path = format!("/v1/rooms/{ROOM}/events");
    let post = async |key: Option<&str>, fields: Value| {
        let mut event = json!({ "body": { "text": "一次" } });
        fields.as_object().unwrap().iter().for_each(|(name, v)| event[name] = v.clone());
        let header: Vec<(&str, &str)> =
            key.map(|key| ("Idempotency-Key", key)).into_iter().collect();
        gateway.api.post_with(&path, &header, event.to_string().as_bytes()).await
    };
    let id = |answer: Answer| {
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["event"]["id"].as_str().unwrap().to_owned()
    };
    let first = id(post(Some("k1"), json!({})).await);
    assert_eq!(id(post(Some("k1"), json!({})).await), first);
    assert_eq!(id(post(None, json!({ "key": "k1" })).await), first, "in the body as well");
    assert_eq!(id(post(Some("k2"), json!({ "key": "k1" })).await), first, "the body's counts");
    let others = [
        id(post(Some("k2"), json!({})).await),
        id(post(Some("k1"), json!({ "user": { "id": "42" } })).await),
        id(post(None, json!({})).await),
    ];
    assert_eq!(HashSet::from([&first, &others[0], &others[1], &others[2]]).len(), 4);
    ann.reaches(ROOM, 7).await;
    let account = ann.memory.account(ROOM);
    assert_eq!(account.received.len(), 4);
    account.assert_closes_but_for(3);
    let long = "k".repeat(65);
    post(Some(&long), json!({})).await.assert_refused(400, "bad_request");
    gateway.end().await;
}

/// A gateway that is not for development, with these keys.
async fn with_keys(flags: &[&str]) -> TestGateway {
    let listen = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let given = Config::from_flags(&[&listen, flags].concat()).unwrap();
    TestGateway::with(|config| *config = given).await
}

#[tokio::test]
async fn without_a_valid_key_nothing_is_told_or_done() {
    let gateway = with_keys(&["--api-key", "old-key", "--api-key", "new"]).await;
    let with = |bearer: &str| Api { admin: gateway.admin, bearer: bearer.to_owned() };
    for bearer in ["", "Bearer ", "Bearer dev", "Bearer ne", "Bearer newer", "Basic new", "new"] {
        for path in ["/v1/rooms/demo", "/v1/rooms/demo/history", "/v1/rooms/%ff"] {
            let answer = with(bearer).get(path).await;
            answer.assert_refused(401, "unauthorized");
            assert_eq!(
                answer.header("www-authenticate"),
                Some("Bearer"),
                "RFC 9110 section 15.5.2"
            );
        }
        let event = events::chat(ROOM, "x").to_string();
        let answer = with(bearer).post("/v1/rooms/demo/events", event.as_bytes()).await;
        answer.assert_refused(401, "unauthorized");
    }
    for bearer in ["Bearer new", "Bearer old-key"] {
        let history = with(bearer).history(ROOM, 10).await;
        assert_eq!(history["events"], json!([]), "{bearer}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn without_any_key_the_server_api_is_closed() {
    let gateway = with_keys(&[]).await;
    for bearer in ["Bearer dev", "Bearer "] {
        let api = Api { admin: gateway.admin, bearer: bearer.to_owned() };
        api.get("/v1/rooms/demo").await.assert_refused(401, "unauthorized");
    }
    gateway.end().await;
}

#[tokio::test]
async fn history_is_the_newest_oldest_first() {
    let gateway = TestGateway::with(|config| config.hub.room.budget = Budget::UNLIMITED).await;
    let published = gateway.api.publish_all(&events::chats(ROOM, 120)).await;
    let ann = gateway.viewer(ROOM).await;
    for (limit, got) in [(0, 0), (1, 1), (50, 50), (100, 100), (5_000, 100)] {
        let history = gateway.api.history(ROOM, limit).await;
        assert_eq!(history["events"].as_array().unwrap(), &published[120 - got..], "{limit}");
        assert_eq!(history["cursor"], ann.memory.account(ROOM).start.at(120));
        assert_eq!(history["room"], ROOM);
    }
    let bare = gateway.api.get(&format!("/v1/rooms/{ROOM}/history")).await.json();
    assert_eq!(bare["events"].as_array().unwrap().len(), 50, "unless asked otherwise");
    for limit in ["-1", "x", "1.5", "99999999999999999999999"] {
        let path = format!("/v1/rooms/{ROOM}/history?limit={limit}");
        gateway.api.get(&path).await.assert_refused(400, "bad_request");
    }
    gateway.end().await;
}

#[tokio::test]
async fn a_room_tells_how_it_is_also_when_nobody_is_in_it() {
    let gateway = TestGateway::with(|config| {
        config.hub.room.tick_ms = 250;
        config.hub.room.budget = Budget { chat: 8, higher: 4 };
    })
    .await;
    let get =
        async |room: &str| gateway.api.get(&format!("/v1/rooms/{}", percent(room))).await.json();
    let empty = get("没有人").await;
    assert_eq!((&empty["online"], &empty["likes"]), (&json!(0), &json!(0)), "{empty}");
    assert!(empty["cursor"].as_str().unwrap().ends_with(":0"));
    let settings = json!({
        "tick_ms": 250, "chat_per_s": 8, "higher_per_s": 4, "history_events": 100,
        "ephemeral": false,
    });
    assert_eq!(empty["settings"], settings);

    let mut ann = gateway.viewer(ROOM).await;
    ann.publish(ROOM, "在").await;
    ann.hears(ROOM, "在").await;
    let like = json!({ "kind": "like", "body": { "count": 9 } }).to_string();
    let liked = gateway.api.post("/v1/rooms/demo/events", like.as_bytes()).await;
    assert_eq!(liked.json(), json!({ "stored": false }));
    let info = get(ROOM).await;
    let cursor = ann.memory.account(ROOM).cursor.text();
    let expected = json!({
        "room": ROOM, "cursor": cursor, "online": 1, "likes": 9, "settings": settings,
    });
    assert_eq!(info, expected);
    // What nobody has heard is in the log all the same.
    let event = gateway.api.publish("没有人", events::chat("没有人", "喂")).await;
    gateway.shows("没有人", &event).await;
    assert_eq!(gateway.api.history("没有人", 9).await["events"][0]["body"]["text"], "喂");
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn likes_through_a_gateway_without_viewers_reach_those_who_are_elsewhere() {
    let bus = TestBus::start();
    let one = TestGateway::on(bus.node().await.into_fabric(), |_| {}).await;
    let two = TestGateway::on(bus.node().await.into_fabric(), |_| {}).await;
    let mut ann = one.viewer(ROOM).await;
    let like = json!({ "kind": "like", "body": { "count": 5 } }).to_string();
    assert_eq!(two.api.post("/v1/rooms/demo/events", like.as_bytes()).await.status, 200);
    ann.until("5 likes", |memory| (memory.account(ROOM).likes == 5).then_some(())).await;
    one.end().await;
    two.end().await;
}

#[tokio::test]
async fn rooms_of_any_name_are_reached_through_their_path() {
    let gateway = TestGateway::start().await;
    let longest = "间".repeat(32);
    let names = ["直播间-1", "a/b", "a b?c#d", "50%", "..", "*", "🎉", "{\"a\":1}", &longest];
    for name in names {
        let mut ann = gateway.viewer(name).await;
        let event = gateway.api.publish(name, events::chat("elsewhere", "在")).await;
        assert_eq!(ann.hears(name, "在").await, event, "the path's room counts");
        let history = gateway.api.history(name, 5).await;
        assert_eq!((&history["room"], &history["events"][0]), (&json!(name), &event));
    }
    // Also as browsers may send it: not encoded at all.
    let answer = gateway.api.get("/v1/rooms/直播间-1").await;
    assert!(answer.status == 200 || answer.status == 400, "{}", answer.head);
    let too_long = percent(&"间".repeat(33));
    for name in ["%ff", "%24canary", "%00", "a%E2%80%AEb", &too_long] {
        let path = format!("/v1/rooms/{name}");
        gateway.api.get(&path).await.assert_refused(400, "bad_request");
        gateway.api.get(&format!("{path}/history")).await.assert_refused(400, "bad_request");
        let event = events::chat(ROOM, "x").to_string();
        let answer = gateway.api.post(&format!("{path}/events"), event.as_bytes()).await;
        answer.assert_refused(400, "bad_request");
    }
    gateway.end().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_as_json() {
    let gateway = TestGateway::start().await;
    let bodies: [&[u8]; 7] = [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"{\"events\":7}",
        b"{\"body\":{\"text\":\"\xff\"}}",
    ];
    for body in bodies {
        for path in ["/v1/rooms/demo/events", "/v1/events"] {
            gateway.api.post(path, body).await.assert_refused(400, "bad_request");
        }
    }
    let deep =
        format!("{{\"kind\":\"x-a\",\"body\":{}{}}}", "{\"a\":".repeat(200), "}".repeat(200));
    gateway
        .api
        .post("/v1/rooms/demo/events", deep.as_bytes())
        .await
        .assert_refused(400, "bad_request");
    let large = events::other(ROOM, "x-a", &"x".repeat(8 * 1024)).to_string();
    let answer = gateway.api.post("/v1/rooms/demo/events", large.as_bytes()).await;
    answer.assert_refused(413, "too_large");
    let huge = vec![b' '; 3 * 1024 * 1024];
    for path in ["/v1/rooms/demo/events", "/v1/events"] {
        gateway.api.post(path, &huge).await.assert_refused(413, "too_large");
    }
    for (method, path) in
        [("GET", "/v1/events"), ("DELETE", "/v1/rooms/demo"), ("PUT", "/v1/rooms/demo/events")]
    {
        let headers = [("Authorization", "Bearer dev")];
        let answer = request(gateway.admin, method, path, &headers, b"").await;
        answer.assert_refused(405, "bad_request");
        assert!(answer.header("allow").is_some(), "{method} {path}: {}", answer.head);
    }
    for path in ["/", "/v1", "/v2/events", "/v1/rooms/demo/", "/ws"] {
        gateway.api.get(path).await.assert_refused(404, "not_found");
    }
    let info = gateway.api.history(ROOM, 10).await;
    assert_eq!(info["events"], json!([]), "none of it came through");
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_requests_at_once_lose_nothing() {
    const REQUESTS: usize = 16;
    let gateway = TestGateway::with(|config| {
        config.hub.room.budget = Budget::UNLIMITED;
        // Whoever does not come to read for two ticks is told a gap, as on a machine that is busy
        // with all these requests.
        config.hub.room.tick_ms = 2_000;
    })
    .await;
    let mut ann = gateway.viewer(ROOM).await;
    let mut requests = JoinSet::new();
    for n in 0..REQUESTS {
        let api = gateway.api.clone();
        requests.spawn(async move {
            let many: Vec<Value> =
                (0..250).map(|m| events::chat(ROOM, &format!("{n} 说 {m}"))).collect();
            api.publish_all(&many).await
        });
    }
    let reading = async {
        ann.reaches(ROOM, (REQUESTS * 250) as u64).await;
    };
    let (published, ()) = tokio::join!(soon("all", requests.join_all()), reading);
    let published = published.concat();
    assert_eq!(published.len(), REQUESTS * 250);
    let account = ann.memory.account(ROOM);
    account.assert_closes();
    assert!(account.gaps.is_empty(), "{:?}", account.gaps);
    assert!(published.iter().all(|event| account.has(event["id"].as_str().unwrap())));
    for n in 0..REQUESTS {
        let own = account.texts().into_iter().filter(|text| text.starts_with(&format!("{n} 说 ")));
        let expected: Vec<String> = (0..250).map(|m| format!("{n} 说 {m}")).collect();
        assert!(own.eq(&expected), "each request keeps its order");
    }
    gateway.end().await;
}
