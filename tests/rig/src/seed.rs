//! Randomness that a failure can be repeated with.

use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// Repeats a run: the number that a failed one has printed.
const VARIABLE: &str = "BARRAGE_TEST_SEED";

/// A generator from a fresh seed, or from the one in the environment; the seed is printed with
/// the output of a failed test.
#[allow(clippy::print_stderr, reason = "shown by the test runner if the test fails")]
pub fn seeded() -> StdRng {
    let seed = std::env::var(VARIABLE).ok().and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    eprintln!("randomness: repeat with {VARIABLE}={seed}");
    StdRng::seed_from_u64(seed)
}
