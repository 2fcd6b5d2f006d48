//! The Barrage gateway: rooms with live danmaku over WebSocket.
//!
//! Folders are floors, and a lower floor never imports a higher one:
//!
//! | floor | modules | what they do |
//! | --- | --- | --- |
//! | 1 | `room`, `client`, `auth` | the rules: machines without clock, tasks or sockets |
//! | 2 | `hub`, `shard`, `conn`, `dispatch`, `doorman`, `keys`, `settings` | the tasks that drive them |
//! | 3 | `http` | the edge: listening, upgrades, pages, metrics, server API |
//! | 4 | [`config`], [`app`], [`reload`] | assemble, run, reload, drain |
//!
//! `ARCHITECTURE.md` follows one danmaku through them.

pub mod app;
mod auth;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench {
    //! Parts of the gateway that benches drive by hand.
    pub use crate::auth::bench::TokenStage;
    pub use crate::shard::bench::FlushStage;
}
mod client;
pub mod config;
mod conn;
mod dispatch;
mod documented;
mod doorman;
pub mod files;
mod health;
mod http;
mod hub;
mod keys;
mod metrics;
mod now;
pub mod reload;
mod room;
pub mod secret;
mod settings;
mod shard;
pub mod telemetry;
