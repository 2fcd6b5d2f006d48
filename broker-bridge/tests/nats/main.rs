//! The fabric on NATS when things go wrong: servers that will not do, holes, logs and servers that
//! are gone or about to go, logins, users that may do little.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod clusters;
mod flood;
mod holes;
mod jwt;
mod lame_duck;
mod logins;
mod outages;
mod refusals;
mod silence;
mod support;
mod users;
