//! The edge: listening, the public HTTP side with the WebSocket upgrade, and the admin side.

pub(crate) mod address;
pub(crate) mod admin;
pub(crate) mod api;
pub(crate) mod arrivals;
pub(crate) mod entry;
pub(crate) mod events;
mod held;
pub(crate) mod listen;
mod openapi;
pub(crate) mod pages;
pub(crate) mod queues;
pub(crate) mod refusals;
pub(crate) mod serve;
pub(crate) mod tls;
pub(crate) mod turn_away;
pub(crate) mod upgrade;
