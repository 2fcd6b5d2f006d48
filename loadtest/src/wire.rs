//! The client's side of the wire: upgrade, frames, commands and what a gateway says.

pub(crate) mod commands;
pub(crate) mod frames;
pub(crate) mod handshake;
pub(crate) mod message;
