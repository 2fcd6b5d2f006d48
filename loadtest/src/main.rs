//! The measuring client of Barrage.
mod archive;
mod clean;
mod danmaku;
fn main() {}
