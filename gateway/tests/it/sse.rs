//! Rooms as server-sent events.

use std::time::Duration;

use protocol::select::Budget;
use serde_json::json;

use crate::support::gateway::{TICK_MS, TestGateway};
use crate::support::stream::{Ask, EventClient};
use crate::support::tls::Certificate;
use crate::support::{events, http, tls};

const ROOM: &str = "demo";

async fn watch(gateway: &TestGateway, ask: Ask<'_>) -> EventClient {
    let mut client = EventClient::open(gateway.public, ROOM, ask).await;
    assert_eq!(client.answer.status, 200, "{}", client.answer.head);
    client.joined().await;
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_of_events_sees_what_a_viewer_of_a_websocket_sees() {
    let gateway = TestGateway::start().await;
    let mut socket = gateway.viewer(ROOM).await;
    let mut stream = watch(&gateway, Ask::default()).await;
    assert_eq!(stream.answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(stream.answer.header("cache-control"), Some("no-store"));
    assert!(stream.retry_ms.is_some_and(|ms| (1000..3000).contains(&ms)));
    assert_eq!(stream.names[0], "joined");
    for n in 0..10 {
        let text = format!("第{n}条");
        socket.publish(ROOM, &text).await;
        socket.hears(ROOM, &text).await;
        stream.hears(ROOM, &text).await;
        // Both stand where the room stands, and a browser would come back from there.
        let cursor = stream.memory.account(ROOM).cursor.text();
        assert_eq!(stream.last_id.as_deref(), Some(cursor.as_str()));
        assert_eq!(socket.memory.account(ROOM).cursor.text(), cursor);
    }
    let ids = |memory: &crate::support::memory::Memory| -> Vec<String> {
        memory.account(ROOM).ids().into_iter().map(str::to_owned).collect()
    };
    assert_eq!(ids(&socket.memory), ids(&stream.memory));
    stream.memory.account(ROOM).assert_closes();
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_that_comes_back_gets_what_it_missed() {
    let gateway = TestGateway::start().await;
    let mut first = watch(&gateway, Ask::default()).await;
    gateway.api.publish(ROOM, events::chat(ROOM, "一")).await;
    first.hears(ROOM, "一").await;
    let (accounts, id) = (first.memory.accounts.clone(), first.last_id.clone().unwrap());
    drop(first);
    gateway.api.publish_all(&events::chats(ROOM, 3)).await;
    gateway.api.publish(ROOM, events::chat(ROOM, "二")).await;
    let back = Ask { last_id: Some(&id), accounts: accounts.clone(), ..Ask::default() };
    let mut again = watch(&gateway, back).await;
    assert_eq!(again.memory.first("joined").unwrap()["recovered"], true);
    again.hears(ROOM, "二").await;
    again.memory.account(ROOM).assert_closes();
    assert_eq!(again.memory.account(ROOM).received.len(), 5);

    // The same by the address, and the newest few.
    let query = format!("since={id}");
    let mut since = watch(&gateway, Ask { query: &query, accounts, ..Ask::default() }).await;
    since.hears(ROOM, "二").await;
    since.memory.account(ROOM).assert_closes();
    let newest = watch(&gateway, Ask { query: "history=2", ..Ask::default() }).await;
    let joined = newest.memory.first("joined").unwrap();
    assert_eq!(joined["events"].as_array().unwrap().len(), 2);
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_past_comes_as_one_event() {
    let gateway = TestGateway::with(|config| config.hub.room.budget = Budget::UNLIMITED).await;
    let mut viewer = gateway.viewer(ROOM).await;
    let large = events::other(ROOM, "x-blob", &"大".repeat(1_000));
    gateway.api.publish_all(&vec![large; 40]).await;
    viewer.reaches(ROOM, 40).await;
    let client = watch(&gateway, Ask { query: "history=40", ..Ask::default() }).await;
    let joined = client.memory.first("joined").unwrap();
    assert_eq!(joined["events"].as_array().unwrap().len(), 40);
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_goes_is_not_counted_any_more() {
    let gateway = TestGateway::start().await;
    let mut viewer = gateway.viewer(ROOM).await;
    let stream = watch(&gateway, Ask::default()).await;
    gateway.until_metric("barrage_connections", "", |count| count == 2.0).await;
    let online = |count: u64| {
        move |memory: &crate::support::memory::Memory| {
            (memory.account(ROOM).online == count).then_some(())
        }
    };
    viewer.until("two viewers", online(2)).await;
    drop(stream);
    gateway.until_metric("barrage_connections", "", |count| count == 1.0).await;
    viewer.until("one viewer", online(1)).await;
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_not_read_is_told_its_gap_and_then_ended() {
    const EVENTS: usize = 40;
    let gateway = TestGateway::with(|config| {
        config.shards = 1;
        config.hub.room.budget = Budget::UNLIMITED;
        // Long enough that a busy machine publishes all before the first of them is given up.
        config.timing.stuck_s = 10;
        config.timing.ping_interval_s = 2;
        config.timing.ping_timeout_s = 4;
    })
    .await;
    let ask = || Ask { receive_buffer: Some(4 * 1024), ..Ask::default() };
    let (mut slow, mut never) = (watch(&gateway, ask()).await, watch(&gateway, ask()).await);
    let event = events::other(ROOM, "x-blob", &"大".repeat(1_300));
    let mut published = 0;
    crate::support::soon("the gaps of both", async {
        while gateway.metric("barrage_gap_events_total", "").await < 400.0 {
            gateway.api.publish_all(&vec![event.clone(); EVENTS]).await;
            published += EVENTS as u64;
            tokio::time::sleep(Duration::from_millis(u64::from(TICK_MS))).await;
        }
    })
    .await;
    slow.until("the newest", |client| {
        (client.memory.account(ROOM).cursor.seq >= published).then_some(())
    })
    .await;
    let account = slow.memory.account(ROOM);
    account.assert_closes();
    assert_eq!(account.gaps.len(), 1, "{:?}", account.gaps);
    assert!(slow.names.contains(&"gap".to_owned()));
    assert!(slow.bytes < 2 * 1024 * 1024, "{} bytes were kept for it", slow.bytes);

    gateway.until_metric("barrage_closes_total", "too_slow", |count| count >= 1.0).await;
    gateway.until_metric("barrage_connections", "", |count| count <= 1.0).await;
    never.ends().await;
    slow.until("a comment", |client| (client.comments > 0).then_some(())).await;
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_says_goodbye_and_when_to_come_back() {
    let gateway = TestGateway::with(|config| config.drain.window_s = 1).await;
    let mut stream = watch(&gateway, Ask::default()).await;
    let leaving = tokio::spawn(gateway.drain());
    stream.ends().await;
    let goodbye = stream.memory.first("goodbye").expect("a goodbye");
    assert_eq!((&goodbye["reason"], &goodbye["reconnect"]), (&json!("draining"), &json!(true)));
    assert_eq!(goodbye["reconnect_after_ms"].as_u64(), stream.retry_ms);
    crate::support::soon("the end", leaving).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_over_several_lines_stays_one_line_of_data() {
    let gateway = TestGateway::start().await;
    let mut stream = watch(&gateway, Ask::default()).await;
    let event = "{\"kind\":\"x-lines\",\n\"body\":{\r\n\"text\":\n\"一行\"}}";
    let path = format!("/v1/rooms/{ROOM}/events");
    let headers =
        [("Authorization", gateway.api.bearer.as_str()), ("Content-Type", "application/json")];
    let answer = http::request(gateway.admin, "POST", &path, &headers, event.as_bytes()).await;
    assert!(answer.status < 300, "{} {}", answer.head, answer.text());
    stream.hears(ROOM, "一行").await;
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_over_tls_is_the_same() {
    let certificate = Certificate::make();
    let gateway = TestGateway::with(|config| {
        config.tls.certificate_file = Some(certificate.certificate_file());
        config.tls.key_file = Some(certificate.key_file());
        config.hub.room.budget = Budget::UNLIMITED;
    })
    .await;
    let open = async |ask: Ask<'_>| {
        let stream = Box::new(tls::connect(gateway.public, None).await);
        let mut client = EventClient::over(stream, gateway.public, ROOM, ask).await;
        client.joined().await;
        client
    };
    let mut first = open(Ask::default()).await;
    // More than a record of TLS holds, in one batch.
    let large = events::other(ROOM, "x-blob", &"大".repeat(1_000));
    gateway.api.publish_all(&vec![large; 40]).await;
    gateway.api.publish(ROOM, events::chat(ROOM, "一")).await;
    first.hears(ROOM, "一").await;
    first.memory.account(ROOM).assert_closes();
    let (accounts, id) = (first.memory.accounts.clone(), first.last_id.clone().unwrap());
    drop(first);
    gateway.until_metric("barrage_connections", "", |count| count == 0.0).await;
    gateway.api.publish(ROOM, events::chat(ROOM, "二")).await;
    let mut again = open(Ask { last_id: Some(&id), accounts, ..Ask::default() }).await;
    assert_eq!(again.memory.first("joined").unwrap()["recovered"], true);
    again.hears(ROOM, "二").await;
    again.memory.account(ROOM).assert_closes();
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_that_may_connect_may_read_a_stream_and_its_refusals_and_others_may_not() {
    const OURS: &str = "https://example.com";
    const ALLOW: &str = "access-control-allow-origin";
    let from = |origin| Ask { origin, ..Ask::default() };
    let open = TestGateway::start().await;
    let stream = watch(&open, from(Some("https://anywhere.example"))).await;
    assert_eq!(stream.answer.header(ALLOW), Some("*"));
    open.end().await;

    let gateway =
        TestGateway::with(|config| config.auth.origins = vec![OURS.parse().unwrap()]).await;
    let stream = watch(&gateway, from(Some(OURS))).await;
    assert_eq!(stream.answer.header(ALLOW), Some(OURS));
    assert_eq!(stream.answer.header("vary"), Some("origin"));
    assert_eq!(stream.answer.header("access-control-allow-credentials"), None);
    let program = watch(&gateway, from(None)).await;
    assert_eq!(program.answer.header(ALLOW), None);
    assert_eq!(program.answer.header("vary"), Some("origin"));
    let path = format!("/v1/rooms/{ROOM}/events");
    for other in ["https://example.com.evil.example", "http://example.com", "null"] {
        let answer = http::request(gateway.public, "GET", &path, &[("Origin", other)], b"").await;
        answer.assert_refused(403, "forbidden");
        assert_eq!(answer.header(ALLOW), None, "{other}");
    }
    let wrong = format!("{path}?since=1");
    let answer = http::request(gateway.public, "GET", &wrong, &[("Origin", OURS)], b"").await;
    answer.assert_refused(400, "bad_request");
    assert_eq!(answer.header(ALLOW), Some(OURS));
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_request_for_events_is_refused() {
    let gateway = TestGateway::start().await;
    let path = format!("/v1/rooms/{ROOM}/events");
    for method in ["HEAD", "POST", "PUT", "DELETE"] {
        let answer = http::request(gateway.public, method, &path, &[], b"").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET")), "{method}");
    }
    let long = "x".repeat(97);
    for room in ["%24internal", "%00", "%ff", "a%0ab", "%E2%80%AE", long.as_str()] {
        let path = format!("/v1/rooms/{room}/events");
        let answer = http::request(gateway.public, "GET", &path, &[], b"").await;
        answer.assert_refused(400, "bad_request");
    }
    for query in ["since=1", "since=x:1", "history=101", "history=many"] {
        let path = format!("{path}?{query}");
        let answer = http::request(gateway.public, "GET", &path, &[], b"").await;
        answer.assert_refused(400, "bad_request");
    }
    let bad_id = [("Last-Event-ID", "yesterday")];
    let answer = http::request(gateway.public, "GET", &path, &bad_id, b"").await;
    answer.assert_refused(400, "bad_request");
    let answer = http::request(gateway.public, "GET", "/v1/rooms/a/b/events", &[], b"").await;
    answer.assert_refused(404, "not_found");
    // None of them has become a viewer.
    gateway.until_metric("barrage_connections", "", |count| count == 0.0).await;
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn room_names_of_any_letters_can_be_watched() {
    let gateway = TestGateway::start().await;
    for room in ["弹幕/1", "a b", "%41", "?x=1&y#z", "\"'<script>", "événement"] {
        let mut viewer = gateway.viewer(room).await;
        let mut stream = EventClient::open(gateway.public, room, Ask::default()).await;
        stream.joined().await;
        viewer.publish(room, "你好").await;
        stream.hears(room, "你好").await;
    }
    gateway.end().await;
}
