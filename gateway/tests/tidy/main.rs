//! The house rules that no compiler checks: who may import whom, words that may not stand in
//! code, the length of files, links in documents. Looks at every file that git tracks.
//!
//! A rule that fails lists all its violations, each with its file. `ARCHITECTURE.md` says why a
//! floor is closed; a new arrow between two modules changes it and [`rules`] together.

mod documents;
mod metrics;
mod repository;
mod rules;
mod rust;
mod security;
mod sizes;

/// Fails with everything that violates a rule.
fn assert_none(rule: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{rule}:\n  {}\n", violations.join("\n  "));
}
