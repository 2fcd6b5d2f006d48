//! The fabric on NATS when things go wrong: servers that will not do, holes, logs and servers that
//! are gone, users that may do little.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod holes;
mod outages;
mod refusals;
mod support;
mod users;
