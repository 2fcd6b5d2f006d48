//! A room driven by hand: inputs and time in, exact effects out, nothing left over.

pub(crate) mod fixtures;
mod joiners;
mod silence;
