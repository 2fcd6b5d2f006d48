//! lt
fn main() {}
