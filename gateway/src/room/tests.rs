//! A room driven by hand: inputs and time in, exact effects out, nothing left over.

mod accounting;
mod answers;
pub(crate) mod fixtures;
mod joiners;
mod losses;
mod nodes;
mod settings;
mod silence;
mod world;
