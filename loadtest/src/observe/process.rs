//! A process as `/proc` shows it (Linux; elsewhere nothing is known of it).

use std::fs;

use serde::{Deserialize, Serialize};

/// Ticks of the CPU times in `/proc/<pid>/stat`, per second: fixed by the kernel's interface.
const TICKS_PER_S: u64 = 100;

/// What a process has used.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// CPU time of all threads, user and system, in µs.
    pub(crate) cpu_us: u64,
    /// Time that its first thread could have run and had no CPU, in µs.
    pub(crate) waited_us: u64,
    /// Memory in use, in bytes.
    pub(crate) rss_bytes: u64,
    /// Of this its own: neither files nor shared.
    pub(crate) anonymous_bytes: u64,
    /// The time that this is about, in µs: 0 for a single look.
    pub(crate) over_us: u64,
    /// When this was read, in µs since 1970.
    pub(crate) at_us: u64,
}

impl Usage {
    /// Of this process.
    pub(crate) fn of_self() -> Self {
        Self::of("self").unwrap_or_default()
    }

    /// Of another process; `None` if it cannot be seen.
    pub(crate) fn of(pid: &str) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let schedstat = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
        let waited_ns: u64 =
            schedstat.split_whitespace().nth(1).and_then(|ns| ns.parse().ok()).unwrap_or(0);
        Some(Self {
            cpu_us: cpu_us(&stat)?,
            waited_us: waited_ns / 1000,
            rss_bytes: kilobytes(&status, "VmRSS:")? * 1024,
            anonymous_bytes: kilobytes(&status, "RssAnon:")? * 1024,
            over_us: 0,
            at_us: crate::clock::Clock::new().now_us(),
        })
    }

    /// What was used since an earlier look; memory is that of now.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self {
            cpu_us: self.cpu_us.saturating_sub(earlier.cpu_us),
            waited_us: self.waited_us.saturating_sub(earlier.waited_us),
            over_us: self.at_us.saturating_sub(earlier.at_us),
            anonymous_bytes: self.anonymous_bytes,
            rss_bytes: self.rss_bytes,
            at_us: self.at_us,
        }
    }

    /// CPU time as a share of one core, over the time that this is about.
    pub(crate) fn cores(&self) -> f64 {
        share(self.cpu_us, self.over_us)
    }

    /// The share of the time in which it could have run and had no CPU.
    pub(crate) fn waited(&self) -> f64 {
        share(self.waited_us, self.over_us)
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// User and system time: the 14th and 15th field, counted behind the name in brackets.
fn cpu_us(stat: &str) -> Option<u64> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) * 1_000_000 / TICKS_PER_S)
}

fn kilobytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name_is() {
        let stat = "7 (a) b (c) S 1 1 1 0 -1 4 9 0 0 0 150 50 0 0 20 0 3 0 5 6 7";
        assert_eq!(cpu_us(stat), Some(2_000_000));
        assert_eq!(kilobytes("Name:\tx\nVmRSS:\t  12 kB\n", "VmRSS:"), Some(12));
        assert!(Usage::of_self().rss_bytes > 0);
        assert_eq!(Usage::of("0"), None);
    }
}
