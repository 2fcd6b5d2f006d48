//! Reports of several machines, added up to one.

use anyhow::bail;

use crate::report::{Group, Report};

/// Adds reports up. Percentiles are those of all measurements together; the seconds of the runs
/// are laid over each other, so runs that are to be added up should begin together.
///
/// # Errors
/// There is none, or they are of different scenarios.
pub(crate) fn merge(reports: Vec<Report>) -> anyhow::Result<Report> {
    let mut reports = reports.into_iter();
    let Some(mut sum) = reports.next() else { bail!("no reports") };
    for report in reports {
        if report.scenario != sum.scenario {
            bail!("{} and {} cannot be added up", sum.scenario, report.scenario);
        }
        add(&mut sum, report);
    }
    Ok(sum.judged())
}

fn add(sum: &mut Report, mut other: Report) {
    let names: Vec<String> = other.groups.iter().map(|group| group.name.clone()).collect();
    for group in &other.groups {
        match sum.groups.iter_mut().find(|known| known.name == group.name) {
            Some(known) => known.sentence.merge(&group.sentence),
            None => sum.groups.push(Group { ..group.clone() }),
        }
    }
    // The other's columns, in the order of the sum's groups.
    for phase in &mut other.tally.seen {
        let mut seen: Vec<_> = phase.drain(..).map(Some).collect();
        let place = |group: &Group| names.iter().position(|name| *name == group.name);
        let ordered = sum.groups.iter().map(|group| place(group).and_then(|at| seen[at].take()));
        *phase = ordered.map(Option::unwrap_or_default).collect();
    }
    other.tally.groups = sum.groups.len();
    sum.tally.merge(&other.tally);
    if other.phases.len() > sum.phases.len() {
        sum.phases = other.phases;
    }
    sum.published += other.published;
    sum.workers.extend(other.workers);
    if sum.samples.is_empty() {
        sum.samples = other.samples;
    }
    sum.command = format!("{} + {}", sum.command, other.command);
    // The longer run gives the time that rates are taken over.
    if other.end_us - other.begin_us > sum.end_us - sum.begin_us {
        (sum.start_us, sum.begin_us, sum.end_us) = (other.start_us, other.begin_us, other.end_us);
    }
    sum.lag_max_ms = sum.lag_max_ms.min(other.lag_max_ms);
    sum.is_quiet &= other.is_quiet;
    sum.hosts += other.hosts;
}
