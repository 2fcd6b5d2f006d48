//! The measuring client of Barrage.
mod account;
mod archive;
mod clean;
mod danmaku;
mod distribution;
mod ledger;
mod message;
mod now;
mod verdict;
fn main() {}
