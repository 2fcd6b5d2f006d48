//! The outcome of a comparison: every value, its median and range, and the ratios between sides.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::bare::Options;
use crate::bare::account::Account;
use crate::bare::cores::Cores;
use crate::bare::side::Side;

/// The report of a comparison.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    scenario: &'static str,
    connections: u32,
    repeat: u32,
    rounds: u32,
    /// Whether servers had one core and clients another.
    pinned: bool,
    /// The gateway, the bare loop, and whoever else.
    sides: Vec<String>,
    /// By name; the first part of it says whose, the last the size of the frames.
    figures: BTreeMap<String, Figure>,
    #[serde(skip)]
    accounts: BTreeMap<u32, Vec<Vec<Account>>>,
}

/// A measured value.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    /// The median.
    value: f64,
    unit: &'static str,
    min: f64,
    max: f64,
}

impl Figure {
    fn of(mut values: Vec<f64>, unit: &'static str) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let last = values.len().saturating_sub(1);
        let value = (at(last / 2) + at(last.div_ceil(2))) / 2.0;
        Self { value, unit, min: at(0), max: at(last) }
    }
}

impl Report {
    pub(crate) fn new(options: &Options, cores: &Cores, sides: &[Side]) -> Self {
        Self {
            scenario: "bare",
            connections: options.connections,
            repeat: options.repeat,
            rounds: options.rounds,
            pinned: cores.are_pinned(),
            sides: sides.iter().map(|side| side.name.clone()).collect(),
            figures: BTreeMap::new(),
            accounts: BTreeMap::new(),
        }
    }

    /// What the gateway's memory grew by while so many clients joined.
    pub(crate) fn resident(&mut self, bytes: u64, clients: u32) {
        if clients > 0 {
            let each = bytes as f64 / f64::from(clients);
            let figure = Figure::of(vec![each], "B");
            self.figures.insert("gateway_resident_per_connection".to_owned(), figure);
        }
    }

    /// One value of every side for a size of frames.
    pub(crate) fn add(&mut self, size: u32, accounts: Vec<Account>) {
        self.accounts.entry(size).or_default().push(accounts);
        let values = &self.accounts[&size];
        let each = |of: &dyn Fn(&[Account]) -> f64| values.iter().map(|v| of(v)).collect();
        let mut figures = Vec::new();
        for (at, name) in self.sides.iter().enumerate() {
            let side = |what: fn(&Account) -> f64| each(&|a: &[Account]| what(&a[at]));
            figures.push((
                format!("{name}_frames_{size}"),
                side(Account::frames_per_s),
                "frames/s",
            ));
            figures.push((format!("{name}_cpu_{size}"), side(Account::cpu_us), "us/frame"));
            if at > 0 {
                let ratio =
                    |what: fn(&Account) -> f64| each(&|a: &[Account]| what(&a[0]) / what(&a[at]));
                let ratios = [
                    ("frames", ratio(Account::frames_per_s)),
                    ("spread", ratio(Account::spread_frames_per_s)),
                    ("cpu", ratio(Account::cpu_us)),
                ];
                for (what, values) in ratios {
                    figures.push((format!("gateway_to_{name}_{what}_{size}"), values, "ratio"));
                }
            }
        }
        for (name, values, unit) in figures {
            self.figures.insert(name, Figure::of(values, unit));
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections, repeat, rounds, .. } = self;
        writeln!(
            f,
            "{connections} connections of each side; medians of {repeat} values of {rounds} rounds, (least to most)"
        )?;
        for (name, Figure { value, unit, min, max }) in &self.figures {
            let digits = match *value {
                large if large >= 100.0 => 0,
                _ => 3,
            };
            writeln!(
                f,
                "{name:36} {value:>10.digits$} {unit:8} ({min:.digits$} to {max:.digits$})"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_count_lies_between_the_middle_ones() {
        let figure = Figure::of(vec![4.0, 1.0, 3.0, 2.0], "ratio");
        assert_eq!((figure.value, figure.min, figure.max), (2.5, 1.0, 4.0));
        assert_eq!(Figure::of(vec![3.0, 1.0, 2.0], "ratio").value.to_bits(), 2f64.to_bits());
    }
}
