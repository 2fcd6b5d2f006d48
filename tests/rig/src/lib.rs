//! What tests of several processes stand on: real nats-servers that can be hurt, and links that
//! can be cut. For tests only; nothing that is shipped depends on it.
//!
//! Everything runs on free ports of 127.0.0.1, leaves no process behind and no file, and fails
//! by panicking with the reason.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

pub mod account;
pub mod authority;
pub mod http;
pub mod lag;
pub mod nats;
pub mod port;
pub mod process;
pub mod proxy;
pub mod seed;
pub mod wait;
