//! The bridge worker: work beside the chat that chat never waits for.
//!
//! Its roles are switched on one by one, and all of them can be stopped at any time: rooms go on
//! without it. Today there is one role, which keeps an [`archive`] of what rooms say; [`export`]
//! makes of it what players of recordings read.

pub mod archive;
mod command;
pub mod export;
mod moment;
mod worker;

pub use self::command::Command;
pub use self::moment::{Moment, NoMoment};
