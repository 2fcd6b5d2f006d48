//! What it costs to make a batch, once per room and tick, and to read a command, once per client.
//!
//! Events are chats of people: Chinese and English, 5 to 40 characters, rendered as a gateway
//! renders them.

#![allow(missing_docs, reason = "criterion's macros make functions without them")]
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use protocol::cursor::{Cursor, Epoch};
use protocol::deflate::Deflater;
use protocol::event::{Body, Chat, Color, Draft, Event, Kind, Mode, Size, User};
use protocol::frame;
use protocol::from_client::Decoder;
use protocol::ids::{BootId, EventId, RoomId, UserId};
use protocol::select::{Budget, Candidate, LeftOut, select};
use protocol::to_client::Batch;

const LINES: [&str; 16] = [
    "前方高能",
    "哈哈哈哈哈哈哈哈",
    "主播今天唱得真好听",
    "first time here, what is this song?",
    "来了来了",
    "这也太强了吧，我看了三遍才看懂",
    "666",
    "wait, did that just happen?",
    "名场面打卡",
    "有没有人觉得这段音乐很好听",
    "greetings from Brazil",
    "泪目",
    "建议反复观看",
    "the lighting in this scene is beautiful",
    "弹幕护体",
    "再来一遍！再来一遍！",
];

/// Pseudo-random bytes that are the same in every run.
fn bytes<const N: usize>(seed: u64) -> [u8; N] {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::array::from_fn(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    })
}

fn event(n: u64) -> Event {
    let mut user = User::new(UserId::parse(&format!("{}", 100_000 + n * 7919 % 900_000)).unwrap());
    user.name = Some(format!("观众{}", n * 31 % 10_000).into());
    let chat = Chat {
        text: LINES[(n * 7 % 16) as usize].into(),
        mode: Mode::Scroll,
        color: Color(bytes(n % 5)),
        size: Size::Medium,
        emotes: Vec::new(),
    };
    let draft = Draft {
        id: EventId::random(EventId::random_bytes(BootId::random([9; 8]), bytes(n + 1))),
        kind: Kind::Chat,
        ts_ms: 1_760_000_000_000 + n,
        user: Some(&user),
        body: Body::Chat(chat),
        weight: 0,
    };
    draft.render()
}

fn events(count: u64) -> Vec<Event> {
    (0..count).map(event).collect()
}

/// So many events that their JSON is 90 KB.
fn events_of_90_kb() -> Vec<Event> {
    let mut sum = 0;
    (0..)
        .map(event)
        .take_while(|e| {
            sum += e.json.len();
            sum <= 90_000
        })
        .collect()
}

fn batch(room: &RoomId, events: &[Event]) -> Vec<u8> {
    let at = |seq| Cursor { epoch: Epoch::random([7; 8]), seq };
    let mut out = Vec::new();
    Batch {
        room,
        prev: at(1_000).into(),
        cursor: at(2_000).into(),
        events,
        left_out: &LeftOut::default(),
        state: None,
    }
    .render(&mut out);
    out
}

fn batches(c: &mut Criterion) {
    let room = RoomId::parse("demo").unwrap();
    let mut group = c.benchmark_group("batch");
    for (name, events) in [("100_events", events(100)), ("90_kb", events_of_90_kb())] {
        let message = batch(&room, &events);
        group.throughput(Throughput::Bytes(message.len() as u64));
        group.bench_function(format!("splice_{name}"), |b| {
            b.iter(|| batch(&room, black_box(&events)))
        });
        group.bench_function(format!("frame_{name}"), |b| {
            b.iter(|| frame::text(black_box(&message)))
        });
        let mut deflater = Deflater::new();
        group.bench_function(format!("deflate_{name}"), |b| {
            b.iter(|| deflater.deflate(black_box(&message)));
        });
        group.bench_function(format!("splice_and_compress_{name}"), |b| {
            b.iter(|| {
                let message = batch(&room, black_box(&events));
                frame::deflated_text(&deflater.deflate(&message))
            });
        });
    }
    group.finish();
}

fn commands(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    let texts = [
        (
            "chat",
            r##"{"type":"publish","id":7,"room":"demo","body":{"text":"前方高能","color":"#ffcc00"}}"##,
        ),
        ("join", r#"{"type":"join","id":1,"room":"demo","history":20}"#),
        ("ping", r#"{"type":"ping","ts":1760000000000}"#),
    ];
    for (name, text) in texts {
        let mut decoder = Decoder::new();
        group.bench_function(name, |b| {
            b.iter(|| black_box(decoder.decode(black_box(text.as_bytes())).is_ok()));
        });
    }
    group.finish();
}

fn rendering(c: &mut Criterion) {
    c.bench_function("render_chat", |b| b.iter(|| event(black_box(7))));
}

fn selection(c: &mut Criterion) {
    let mut group = c.benchmark_group("select");
    let budget = Budget { chat: 40, higher: 10 };
    for count in [50, 1000] {
        let candidates: Vec<Candidate> = events(count).iter().map(Into::into).collect();
        group.bench_function(format!("50_of_{count}"), |b| {
            b.iter(|| select(black_box(&candidates), budget));
        });
    }
    group.finish();
}

criterion_group!(benches, batches, commands, rendering, selection);
criterion_main!(benches);
