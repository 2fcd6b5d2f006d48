//! The settings that rooms have of their own: what they may be, which are known, and how this
//! gateway learns of them.
//!
//! The broker keeps them as JSON and tells every gateway. What a room does not set is as the
//! gateway's configuration says.

mod known;
mod own;
mod watch;

pub(crate) use known::{KnownRooms, Unpublished};
pub(crate) use own::{Fault, Malformed, OwnSettings, Reason};
pub(crate) use watch::watch;
