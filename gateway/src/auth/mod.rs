//! Who a client is and what it may do: tokens, the keys that prove them, and what they grant.
//!
//! In: the text of a token, the keys of this moment, the time. Out: [`Claims`], or the
//! [`TokenFault`] that the client is told. Machines without clock, tasks or I/O; `keys` gets the
//! keys and keeps them fresh.

#[cfg(feature = "bench")]
pub(crate) mod bench;
pub(crate) mod claims;
pub(crate) mod config;
pub(crate) mod fault;
pub(crate) mod grants;
pub(crate) mod jwks;
pub(crate) mod key;
pub(crate) mod keyring;
pub(crate) mod origins;

pub(crate) use claims::Claims;
pub(crate) use fault::TokenFault;
pub(crate) use grants::{Grants, Right, Rights};
pub(crate) use keyring::Keyring;
