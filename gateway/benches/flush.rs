//! What a flush costs beside the kernel: 10,000 members, frames into queues in memory.

#![allow(missing_docs, reason = "criterion's macros make functions without them")]

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gateway::bench::FlushStage;

const MEMBERS: u32 = 10_000;

fn flush(c: &mut Criterion) {
    let mut group = c.benchmark_group("flush");
    group.throughput(Throughput::Elements(u64::from(MEMBERS)));
    let mut stage = FlushStage::in_memory(MEMBERS);
    group.bench_function("in_memory_10000_members", |b| {
        b.iter_custom(|rounds| {
            let mut took = Duration::ZERO;
            for _ in 0..rounds {
                stage.queue(2_000);
                let started = Instant::now();
                stage.flush();
                took += started.elapsed();
                assert_eq!(stage.take(), u64::from(MEMBERS));
            }
            took
        });
    });
    group.finish();
}

criterion_group!(benches, flush);
criterion_main!(benches);
