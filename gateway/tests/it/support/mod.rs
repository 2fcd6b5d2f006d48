//! What the integration tests share: a gateway on free ports, clients that remember what they
//! were told, a client that speaks bytes, and a client of the server API.

pub(crate) mod account;
pub(crate) mod client;
pub(crate) mod echo;
pub(crate) mod events;
pub(crate) mod fabric;
pub(crate) mod files;
pub(crate) mod frames;
pub(crate) mod gateway;
pub(crate) mod http;
pub(crate) mod issuer;
pub(crate) mod listens;
pub(crate) mod memory;
pub(crate) mod openapi;
pub(crate) mod process;
pub(crate) mod raw;
pub(crate) mod scene;
pub(crate) mod stream;
pub(crate) mod tls;
pub(crate) mod tokens;

pub(crate) use rig::seed;
pub(crate) use rig::wait::{soon, until};
