//! The Barrage wire protocol: what travels between clients and gateways, and between gateways.
//!
//! Floor 0 of the house. Everything here is a pure function of its arguments: no runtime, no
//! clock, no source of randomness (times and random bytes come in as parameters), which the
//! manifest of this crate enforces.
//!
//! One danmaku passes these modules in this order:
//! [`frame`] (bytes of a client's WebSocket frame) → [`message`] (its frames put together, with
//! [`deflate`] if they came compressed) → [`from_client`] (decode in place) → [`event`] (render
//! its final JSON, once in its life) →
//! [`slot`] and [`select`] (which batch, and who is left out) → [`to_client`] (splice a batch) →
//! [`frame`] again, or [`event_stream`] (one complete server frame for everybody). Between nodes
//! it travels in an [`envelope`], under a name that [`subject`] gives.

pub mod close;
pub mod cursor;
pub mod deflate;
pub mod envelope;
pub mod event;
pub mod event_stream;
pub mod frame;
pub mod from_client;
pub mod ids;
pub mod limits;
pub mod message;
pub mod name;
pub mod refusal;
pub mod select;
pub mod slot;
pub mod subject;
pub mod to_client;
