//! One event through the embedded broker: published, numbered, kept, delivered, acknowledged.

#![allow(missing_docs, reason = "criterion's macros make functions without them")]
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use broker_bridge::RoomDelivery;
use broker_bridge::embedded::{Bus, BusConfig};
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use protocol::event::{Class, Event};
use protocol::ids::{BootId, EventId, RoomId};
use tokio::runtime::Builder;

/// Published before the first delivery is taken.
const BURST: u64 = 100;

fn event(json: &Bytes) -> Event {
    Event {
        id: EventId::random([3; 16]),
        class: Class::Chat,
        weight: 0,
        ts_ms: 1_760_000_000_000,
        json: json.clone(),
    }
}

fn bursts(c: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let room = RoomId::parse("demo").unwrap();
    let json = Bytes::from(vec![b'x'; 160]);
    let (bus, broker, mut deliveries) = runtime.block_on(async {
        let bus = Bus::start(BusConfig::default());
        let (broker, mut deliveries) = bus.node(BootId::random([1; 8]));
        broker.subscribe(&room).unwrap();
        let (_, opened) = deliveries.rooms.recv().await.unwrap();
        assert!(matches!(opened, RoomDelivery::Opened { .. }));
        (bus, broker, deliveries)
    });
    let mut group = c.benchmark_group("embedded");
    group.throughput(Throughput::Elements(BURST));
    group.bench_function("publish_to_delivery_and_ack_100_events", |b| {
        b.iter(|| {
            runtime.block_on(async {
                let publish = |_| broker.publish(&room, event(&json)).unwrap();
                let acks: Vec<_> = (0..BURST).map(publish).collect();
                let mut delivered = 0;
                while delivered < BURST {
                    let (_, delivery) = deliveries.rooms.recv().await.unwrap();
                    if let RoomDelivery::Entry { entry, .. } = delivery {
                        delivered += entry.events.len() as u64;
                    }
                }
                for ack in acks {
                    assert!(ack.await.unwrap().stored);
                }
            });
        });
    });
    group.finish();
    runtime.block_on(bus.shutdown());
}

criterion_group!(benches, bursts);
criterion_main!(benches);
