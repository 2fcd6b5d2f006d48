//! How many files a process may have: every connection is one.

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For what is not a connection of a client.
const OTHER: u64 = 100;

/// Allows this process, and those that it starts, as many files as may be: the limit that a shell
/// gives is mostly 1,024.
///
/// # Errors
/// The kernel refuses what it has said it allows.
pub(crate) fn allow_all() -> anyhow::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .context("cannot raise the limit of open files")
}

/// How many connections this process, or one that it starts, can have.
pub(crate) fn connections_max() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX).saturating_sub(OTHER)
}
