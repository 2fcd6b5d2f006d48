//! What the archive takes: events a second to the disk, and what of the processor.
//!
//! `cargo build --release -p bridge-worker && cargo run --release -p bridge-worker --example
//! archive_throughput [EVENTS] [EVENTS PER ENTRY]`, with a nats-server that the tests find too
//! (`scripts/test.sh setup`). The streams are filled first; then the worker starts, as a process
//! of its own, and everything is there: so it takes what it can. Linux only (`/proc`).

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program that measures")]

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, Context, stream};
use futures_util::stream::{self as futures, StreamExt as _};
use protocol::cursor::Epoch;
use protocol::envelope::Batch;
use protocol::event::{Body, Chat, Draft, Event, Kind, User, WEIGHT_DEFAULT};
use protocol::ids::{BootId, EventId, RoomId, UserId};
use protocol::subject::{Namespace, StreamIndex};
use rig::http;
use rig::nats::{Binary, Nats};
use rig::process::Process;
use rig::wait::{soon, until};

const ROOMS: u64 = 200;
const EVENTS: u64 = 200_000;
/// What a gateway's batches hold in rooms that are busy and not hot.
const EVENTS_PER_ENTRY: u64 = 5;
/// Publishes whose acks are awaited.
const IN_FLIGHT: usize = 512;
/// Clock ticks a second of `/proc`, as Linux has them everywhere.
const TICKS_PER_S: f64 = 100.0;
const ANSWER: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1).map(|number| number.parse().unwrap());
    let events = arguments.next().unwrap_or(EVENTS);
    let per_entry = arguments.next().unwrap_or(EVENTS_PER_ENTRY);
    let binary = Binary::newest().expect("a nats-server");
    let nats = Nats::single(&binary).await;
    let json_bytes = chat(0).json.len();
    println!("nats-server {}, {events} events of {json_bytes} B in {ROOMS} rooms", binary.version);
    let entries = fill(&nats, events, per_entry).await;

    let folder = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let mut worker = start(&nats, folder.path());
    let operations = operations_of(&mut worker).await;
    // It may take longer than anything else that is waited for.
    while metric(operations, "barrage_bridge_events_total").await < events as f64 {
        assert!(started.elapsed() < Duration::from_secs(300), "{}", worker.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took_s = started.elapsed().as_secs_f64();
    let cpu_s = cpu_s(worker.id());
    let resident_mib = resident_mib(worker.id());
    worker.terminate();
    assert!(worker.ended().await.success(), "{}", worker.log());
    let disk_bytes = bytes_in(&folder.path().join("archive/rooms"));

    println!("{entries} entries archived in {took_s:.2} s, {cpu_s:.2} s of a core");
    println!(
        r#"{{"events_per_s":{:.0},"entries_per_s":{:.0},"cpu_us_per_event":{:.2},"disk_bytes_per_event":{:.1},"resident_mib":{resident_mib:.1}}}"#,
        events as f64 / took_s,
        entries as f64 / took_s,
        cpu_s * 1e6 / events as f64,
        disk_bytes as f64 / events as f64,
    );
}

/// An event as a gateway renders it, of the size that people write.
fn chat(number: u64) -> Event {
    const TEXTS: [&str; 4] =
        ["前方高能反应", "哈哈哈哈哈哈哈，这也太好笑了吧", "first!", "the best part is coming now"];
    let text = format!("{} {number}", TEXTS[(number % 4) as usize]).into();
    let (mode, color, size) = Default::default();
    let body = Body::Chat(Chat { text, mode, color, size, emotes: Vec::new() });
    let name = format!("观众{}", number % 5_000);
    let id = UserId::parse(&(number % 5_000).to_string()).unwrap();
    let user = User { name: Some(name.into()), ..User::new(id) };
    let lot = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let id = EventId::random(EventId::random_bytes(BootId::random([1; 8]), lot.to_be_bytes()));
    let ts_ms = 1_763_640_000_000 + number / 10;
    Draft { id, kind: Kind::Chat, ts_ms, user: Some(&user), body, weight: WEIGHT_DEFAULT }.render()
}

/// Makes the streams and fills them; returns how many entries they hold.
async fn fill(nats: &Nats, events: u64, per_entry: u64) -> u64 {
    let client = soon("a connection", async_nats::connect(nats.url())).await.unwrap();
    let (context, namespace) = (jetstream::new(client), Namespace::parse("barrage").unwrap());
    for index in StreamIndex::all() {
        make(&context, &namespace, index).await;
    }
    let entries = events.div_ceil(per_entry);
    let (context, namespace) = (&context, &namespace);
    let publish = |entry: u64| async move {
        let numbers = entry * per_entry..((entry + 1) * per_entry).min(events);
        let batch = Batch {
            from: BootId::random([1; 8]),
            counter: entry,
            first: numbers.start,
            origin_ms: 1_763_640_000_000,
            events: numbers.map(chat).collect(),
        };
        let room = RoomId::parse(&format!("room-{}", entry % ROOMS)).unwrap();
        let ack = context.publish(namespace.log(&room), batch.encode()).await.unwrap();
        ack.await.unwrap();
    };
    futures::iter(0..entries).for_each_concurrent(IN_FLIGHT, publish).await;
    entries
}

async fn make(context: &Context, namespace: &Namespace, index: StreamIndex) {
    let config = stream::Config {
        name: namespace.stream(index),
        subjects: namespace.stream_subjects(index),
        storage: stream::StorageType::File,
        metadata: [("barrage-epoch".to_owned(), Epoch::from_bytes([1; 8]).to_string())].into(),
        ..stream::Config::default()
    };
    context.create_stream(config).await.unwrap();
}

/// The worker of this build, with its own defaults.
fn start(nats: &Nats, folder: &Path) -> Process {
    let example = std::env::current_exe().unwrap();
    let built = example.parent().and_then(Path::parent).expect("an example lies in a folder");
    let mut command = Command::new(built.join("barrage-bridge"));
    command.args(["archive", "--nats", &nats.url(), "--listen", "127.0.0.1:0", "--dir"]);
    command.arg(folder.join("archive")).env("NO_COLOR", "1");
    Process::start("the worker", &mut command, &folder.join("log"))
}

async fn operations_of(worker: &mut Process) -> SocketAddr {
    until("the address in the log", || {
        assert!(!worker.has_ended(), "{}", worker.log());
        let log = worker.log();
        let told = log.split("operations=").nth(1).and_then(|rest| rest.split(' ').next());
        std::future::ready(told.and_then(|address| address.parse().ok()))
    })
    .await
}

async fn metric(operations: SocketAddr, name: &str) -> f64 {
    let Some(answer) = http::get(operations, "/metrics", ANSWER).await else { return 0.0 };
    let text = String::from_utf8(answer.body).unwrap();
    let series = text.lines().filter_map(|line| line.rsplit_once(' '));
    let values = series.filter(|(series, _)| series.split('{').next() == Some(name));
    values.map(|(_, value)| value.parse::<f64>().unwrap()).sum()
}

/// What a process has taken of the processor, user and system.
fn cpu_s(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    // The 14th and the 15th; the list begins behind the second.
    (ticks(11) + ticks(12)) / TICKS_PER_S
}

/// The most memory that a process has held.
fn resident_mib(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

fn bytes_in(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let size = |entry: std::fs::DirEntry| match entry.file_type().unwrap().is_dir() {
        true => bytes_in(&entry.path()),
        false => entry.metadata().unwrap().len(),
    };
    entries.map(size).sum()
}
