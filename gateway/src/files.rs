//! How many files this process may have open, and how many of them connections get.
//!
//! Every connection is a file. A process without one left can neither take a connection nor refuse
//! it, and its admin port is as deaf as the public one; so connections get fewer than there are.

use std::io;

use anyhow::ensure;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For listeners, logs, certificates, links to servers and the admin port.
const OWN: u64 = 128;
/// For what each shard's thread waits on, and the connection that it is just taking in.
const OWN_OF_SHARD: u64 = 8;
/// Fewer are of no use.
const LEAST: u64 = 64;
/// Connections that are over a limit and stay until they are told so.
const REFUSALS_MAX: u64 = 1024;
/// Their share of the files, in parts.
const REFUSALS_SHARE: u64 = 64;

/// Allows this process as many files as may be: the limit that a shell gives is mostly lower.
///
/// # Errors
/// The kernel refuses what it said that it allows.
pub fn allow_all() -> io::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

/// How many files this process may have open.
fn allowed() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// How many connections there is room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Places {
    /// Connections that are taken in.
    pub(crate) connections: u32,
    /// … and those besides that stay only until they are told that they are not.
    pub(crate) refusals: u32,
}

impl Places {
    /// What this process has, in a gateway that may take so many connections.
    ///
    /// # Errors
    /// Its files do not even do for itself.
    pub(crate) fn find(shards: u16, connections_max: u32) -> anyhow::Result<Self> {
        let allowed = allowed();
        let places = Self::of(allowed, shards, connections_max)?;
        if places.connections < connections_max {
            tracing::warn!(
                files = allowed,
                connections = places.connections,
                "fewer connections than limits.connections says: this process may not open more \
                 files (ulimit -Hn, LimitNOFILE)"
            );
        }
        Ok(places)
    }

    fn of(files: u64, shards: u16, connections_max: u32) -> anyhow::Result<Self> {
        let own = OWN + OWN_OF_SHARD * u64::from(shards);
        ensure!(
            files >= own + LEAST,
            "this process may open {files} files, and needs {} or more (ulimit -n, LimitNOFILE)",
            own + LEAST
        );
        let free = files - own;
        let refusals = (free / REFUSALS_SHARE).min(REFUSALS_MAX);
        let connections = u32::try_from(free - refusals).unwrap_or(u32::MAX).min(connections_max);
        Ok(Self { connections, refusals: refusals as u32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_get_what_is_left() {
        let of = |files, most| Places::of(files, 2, most).unwrap();
        assert_eq!(of(1_000_000, 200_000), Places { connections: 200_000, refusals: 1_024 });
        assert_eq!(of(u64::MAX, 200_000), Places { connections: 200_000, refusals: 1_024 });
        assert_eq!(of(20_000, 200_000), Places { connections: 19_546, refusals: 310 });
        assert_eq!(of(1_024, 200_000), Places { connections: 867, refusals: 13 });
        assert_eq!(of(1_024, 10), Places { connections: 10, refusals: 13 });
        assert_eq!(of(208, 10).connections, 10, "the least");
        let error = Places::of(207, 2, 10).unwrap_err().to_string();
        assert!(error.contains("207 files") && error.contains("208"), "{error}");
    }
}
