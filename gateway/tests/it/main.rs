//! The gateway from outside: real sockets, real processes, several nodes on one fabric.
//!
//! One program holds them all, since every further one would link the whole gateway again.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod support;

mod accounting;
mod admin;
mod api;
mod broken;
mod churn;
mod cluster;
mod config;
mod conformance;
mod created;
mod danmaku;
mod directed;
mod directed_nats;
mod drain;
mod drain_crowd;
mod files;
mod half_open;
mod handshakes;
mod harm;
mod hostile;
mod joining;
mod jwks;
mod keys;
mod limits;
mod nats;
mod reaching_nats;
mod refused_joins;
mod refused_nats;
mod settings;
mod slow;
mod sse;
mod timers;
mod tls;
mod tokens;
mod welcome;
