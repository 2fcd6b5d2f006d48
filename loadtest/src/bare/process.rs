//! What a process costs, as Linux tells it below `/proc`.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;

/// How long the threads of a process have run so far, all together.
///
/// # Errors
/// There is no such process, or the kernel does not tell.
pub(crate) fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    let tasks = format!("/proc/{pid}/task");
    let mut ns = 0;
    for task in fs::read_dir(&tasks).with_context(|| format!("cannot read {tasks}"))? {
        // A thread may end meanwhile.
        let Ok(schedstat) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        ns += run_time_ns(&schedstat).context("the kernel keeps no schedstat")?;
    }
    Ok(Duration::from_nanos(ns))
}

/// The first of the three numbers: nanoseconds on a core.
fn run_time_ns(schedstat: &str) -> Option<u64> {
    schedstat.split_whitespace().next()?.parse().ok()
}

/// How much memory of a process is resident, in bytes.
///
/// # Errors
/// There is no such process.
pub(crate) fn resident_bytes(pid: u32) -> anyhow::Result<u64> {
    let status = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&status).with_context(|| format!("cannot read {status}"))?;
    let kib = text.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next());
    Ok(kib.context("the kernel tells no VmRSS")?.parse::<u64>()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_run_and_has_memory() {
        let pid = std::process::id();
        let before = cpu_time(pid).unwrap();
        let mut sum = 0u64;
        while cpu_time(pid).unwrap() == before {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(resident_bytes(pid).unwrap() > 100_000);
    }

    #[test]
    fn a_process_that_is_not_there_is_told() {
        assert!(cpu_time(u32::MAX).is_err() && resident_bytes(u32::MAX).is_err());
    }

    #[test]
    fn the_first_number_of_schedstat_is_the_time() {
        assert_eq!(run_time_ns("232552 18173314 2\n"), Some(232_552));
        assert_eq!(run_time_ns(""), None);
    }
}
