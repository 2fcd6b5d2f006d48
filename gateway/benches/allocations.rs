//! How often a flush allocates: frames to real sockets, counted by the allocator of this bench.
//!
//! Ends with 1 if it does at all. Prints one line of JSON.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench fails by panicking")]

use std::alloc::System;
use std::io::Read as _;
use std::process::ExitCode;

use gateway::bench::FlushStage;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::net::TcpStream;
use tokio::runtime::Builder;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MEMBERS: usize = 1_000;
const ROUNDS: usize = 20;
/// Header and payload.
const FRAME_BYTES: usize = 2_004;

fn main() -> ExitCode {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (allocations, frames) = runtime.block_on(count());
    let figures = r#""flush_allocations":{"value":{v},"unit":"per frame"}"#
        .replace("{v}", &format!("{}", allocations as f64 / frames as f64));
    println!(r#"{{"scenario":"allocations","frames":{frames},"figures":{{{figures}}}}}"#);
    ExitCode::from(u8::from(allocations > 0))
}

/// Allocations while frames were written, and how many frames.
async fn count() -> (usize, usize) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut clients = Vec::new();
    let mut servers = Vec::new();
    for _ in 0..MEMBERS {
        clients.push(std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let (server, _) = listener.accept().unwrap();
        server.set_nonblocking(true).unwrap();
        let server = TcpStream::from_std(server).unwrap();
        // What a handshake has proven in passing.
        server.writable().await.unwrap();
        servers.push(server);
    }
    let mut stage = FlushStage::on_sockets(servers);
    let mut joined = [0; 64];
    for client in &mut clients {
        assert!(client.read(&mut joined).unwrap() > 0);
    }
    let mut allocations = 0;
    for round in 0..=ROUNDS {
        stage.queue(FRAME_BYTES - 4);
        let region = Region::new(ALLOCATOR);
        stage.flush();
        let change = region.change();
        // The first round finds its buffers' sizes.
        if round > 0 {
            allocations += change.allocations + change.reallocations;
        }
        let mut frame = vec![0; FRAME_BYTES];
        clients.iter_mut().for_each(|client| client.read_exact(&mut frame).unwrap());
    }
    (allocations, MEMBERS * ROUNDS)
}
