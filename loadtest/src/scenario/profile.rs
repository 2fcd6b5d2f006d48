//! How a rate or a crowd changes over time, as it is written on the command line.

use anyhow::{Context as _, bail};

use crate::plan::EventKind;
use crate::plan::chat::Stream;

/// One piece of a rate: even, or rising or falling evenly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Piece {
    from: f64,
    to: f64,
    /// In seconds; `None` as long as the run.
    length_s: Option<f64>,
}

/// A rate over time: `200` is 200 per second all along; `50x10,50-500x20,500x10` is 50 for 10 s, a
/// ramp to 500 over 20 s, and 500 for 10 s.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rate(Vec<Piece>);

impl Rate {
    /// Reads a rate.
    ///
    /// # Errors
    /// It is written otherwise.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        text.split(',').map(piece).collect::<anyhow::Result<_>>().map(Self)
    }

    /// How long it is, in seconds, if it says so.
    pub(crate) fn length_s(&self) -> Option<f64> {
        self.0.iter().map(|piece| piece.length_s).sum()
    }

    /// As streams, `share` of it, the last piece until `end_s`.
    pub(crate) fn streams(
        &self,
        share: f64,
        end_s: f64,
        kind: EventKind,
        bytes: u16,
    ) -> Vec<Stream> {
        let mut at_s = 0.0;
        let mut streams = Vec::new();
        for piece in &self.0 {
            let to_s = piece.length_s.map_or(end_s, |length_s| at_s + length_s);
            streams.push(Stream {
                from_us: (at_s * 1e6) as u64,
                to_us: (to_s * 1e6) as u64,
                rate_from: piece.from * share,
                rate_to: piece.to * share,
                kind,
                bytes,
            });
            at_s = to_s;
        }
        streams.retain(|stream| stream.rate_from + stream.rate_to > 0.0);
        streams
    }

    /// When its pieces begin, in seconds, with a name for each.
    pub(crate) fn steps(&self) -> Vec<(String, f64)> {
        let mut at_s = 0.0;
        let mut steps = Vec::new();
        for piece in &self.0 {
            let Piece { from, to, .. } = piece;
            let name = if from == to { format!("{from}/s") } else { format!("{from} to {to}/s") };
            steps.push((name, at_s));
            at_s += piece.length_s.unwrap_or(0.0);
        }
        steps
    }
}

fn piece(text: &str) -> anyhow::Result<Piece> {
    let (rate, length) = match text.split_once('x') {
        Some((rate, length)) => (rate, Some(number(length)?)),
        None => (text, None),
    };
    let (from, to) = rate.split_once('-').unwrap_or((rate, rate));
    Ok(Piece { from: number(from)?, to: number(to)?, length_s: length })
}

fn number(text: &str) -> anyhow::Result<f64> {
    let number: f64 = text.trim().parse().with_context(|| format!("{text} is not a number"))?;
    if !(0.0..=1e6).contains(&number) {
        bail!("{text} is not between 0 and 1000000");
    }
    Ok(number)
}

/// A change of a crowd.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Change {
    /// How many come, or go if below zero.
    pub(crate) count: i64,
    /// Over how many seconds.
    pub(crate) over_s: f64,
}

/// A crowd over time: `1000` are there from the beginning; `1000,+500x10,-200x5,+100x0` are joined
/// by 500 more over 10 s, left by 200 over the next 5 s, and joined by 100 at once.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Crowd {
    /// Who is there from the beginning.
    pub(crate) early: usize,
    /// What changes then, one after the other.
    pub(crate) changes: Vec<Change>,
}

impl Crowd {
    /// Reads a crowd.
    ///
    /// # Errors
    /// It is written otherwise, or more leave than are there.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let (early, rest) = text.split_once(',').unwrap_or((text, ""));
        let digits = Some(early).filter(|early| early.bytes().all(|byte| byte.is_ascii_digit()));
        let digits = digits.and_then(|digits| digits.parse().ok());
        let early: usize = digits.with_context(|| format!("{early} is not a number of viewers"))?;
        let rest = rest.split(',').filter(|change| !change.is_empty());
        let changes: Vec<Change> = rest.map(change).collect::<anyhow::Result<_>>()?;
        let mut there = early as i64;
        for change in &changes {
            there += change.count;
            if there < 0 {
                bail!("more leave than are there");
            }
        }
        Ok(Self { early, changes })
    }

    /// How long it changes, in seconds.
    pub(crate) fn length_s(&self) -> f64 {
        self.changes.iter().map(|change| change.over_s).sum()
    }

    /// When each member comes and goes, in seconds after the beginning; `None` for who is there
    /// before it and for who stays. The first to come are the first to go.
    pub(crate) fn members(&self) -> Vec<(Option<f64>, Option<f64>)> {
        let mut members = vec![(None, None); self.early];
        let (mut at_s, mut gone) = (0.0, 0);
        for change in &self.changes {
            let count = change.count.unsigned_abs();
            for nth in 0..count {
                let when_s = at_s + change.over_s * nth as f64 / count as f64;
                if change.count > 0 {
                    members.push((Some(when_s), None));
                } else if let Some(member) = members.get_mut(gone) {
                    member.1 = Some(when_s);
                    gone += 1;
                }
            }
            at_s += change.over_s;
        }
        members
    }
}

fn change(text: &str) -> anyhow::Result<Change> {
    if !text.starts_with(['+', '-']) {
        bail!("{text} neither adds (+) nor takes away (-)");
    }
    let (count, over) = text.split_once('x').unwrap_or((text, "0"));
    let count = count.parse().with_context(|| format!("{count} is not a number"))?;
    Ok(Change { count, over_s: number(over)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_pieces_one_after_the_other() {
        let rate = Rate::parse("50x10,50-500x20,0x5,500").unwrap();
        assert_eq!(rate.length_s(), None);
        let streams = rate.streams(0.5, 60.0, EventKind::Chat, 20);
        let times: Vec<_> =
            streams.iter().map(|s| (s.from_us / 1_000_000, s.to_us / 1_000_000)).collect();
        assert_eq!(times, [(0, 10), (10, 30), (35, 60)]);
        assert_eq!((streams[1].rate_from, streams[1].rate_to), (25.0, 250.0));
        assert_eq!(rate.steps()[1], ("50 to 500/s".into(), 10.0));
        assert_eq!(Rate::parse("1x2,3x4").unwrap().length_s(), Some(6.0));
        for text in ["", "x", "a", "1-2-3", "-1", "5xx"] {
            assert!(Rate::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn crowds_come_and_go() {
        let crowd = Crowd::parse("2,+2x10,-3x3").unwrap();
        assert_eq!(crowd.length_s(), 13.0);
        assert_eq!(
            crowd.members(),
            [(None, Some(10.0)), (None, Some(11.0)), (Some(0.0), Some(12.0)), (Some(5.0), None)]
        );
        for text in ["", "+5", "5,6", "5,-6", "5,+x"] {
            assert!(Crowd::parse(text).is_err(), "{text}");
        }
    }
}
