//! Which process runs on which core.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Servers on one core, clients on another; or everybody anywhere.
#[derive(Debug)]
pub(crate) struct Cores {
    /// The core of the servers, and that of the clients.
    pinned: Option<(usize, usize)>,
}

impl Cores {
    /// Chooses the first and the last of the cores that this process may use; with a single one
    /// nothing is pinned.
    pub(crate) fn new(free: bool) -> Self {
        let allowed = sched_getaffinity(None).ok().filter(|_| !free);
        let mut cores =
            (0..CpuSet::MAX_CPU).filter(|core| allowed.is_some_and(|a| a.is_set(*core)));
        let pinned = cores.next().zip(cores.next_back());
        Self { pinned }
    }

    /// Whether servers and clients are apart.
    pub(crate) fn are_pinned(&self) -> bool {
        self.pinned.is_some()
    }

    /// Starts a server.
    pub(crate) fn server<T>(&self, spawn: impl FnOnce() -> T) -> T {
        on(self.pinned.map(|(server, _)| server), spawn)
    }

    /// Starts clients.
    pub(crate) fn client<T>(&self, spawn: impl FnOnce() -> T) -> T {
        on(self.pinned.map(|(_, client)| client), spawn)
    }
}

/// A process inherits the cores of the thread that starts it.
fn on<T>(core: Option<usize>, spawn: impl FnOnce() -> T) -> T {
    let Some((core, before)) = core.zip(sched_getaffinity(None).ok()) else { return spawn() };
    let mut only = CpuSet::new();
    only.set(core);
    // A thread that may not choose runs where it is told: as if not pinned.
    let _ = sched_setaffinity(None, &only);
    let spawned = spawn();
    let _ = sched_setaffinity(None, &before);
    spawned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_started_is_on_its_core_and_the_starter_is_free_again() {
        let before = sched_getaffinity(None).unwrap();
        let count = |set: CpuSet| set.count();
        let cores = Cores::new(false);
        if cores.are_pinned() {
            assert_eq!(cores.server(|| count(sched_getaffinity(None).unwrap())), 1);
            assert_eq!(cores.client(|| count(sched_getaffinity(None).unwrap())), 1);
        }
        assert_eq!(
            Cores::new(true).server(|| count(sched_getaffinity(None).unwrap())),
            before.count()
        );
        assert_eq!(count(sched_getaffinity(None).unwrap()), before.count());
    }
}
