//! The report for people.

use std::collections::BTreeMap;
use std::fmt;

use super::{Found, Publishing, Report, Viewed};
use crate::distribution::Summary;
use crate::replay::verdict::{Rule, Sums};

/// Viewers that are shown in full; of the others only those that do not close.
const VIEWERS_IN_FULL: usize = 2;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        title(f, &format!("replay of {} into {}", self.file, self.room))?;
        let to = self.to_s.map_or("the end".into(), |to| format!("{to} s"));
        row(f, "speed", &format!("{}x, from {} s to {to}", self.speed, self.from_s))?;
        self.archive.fmt(f)?;
        self.publishing.fmt(f)?;
        for (at, viewer) in self.viewers.iter().enumerate() {
            if viewer.closes && at >= VIEWERS_IN_FULL { viewer.line(f)? } else { viewer.fmt(f)? }
        }
        title(f, if self.closes { "CLOSES" } else { "DOES NOT CLOSE" })?;
        for finding in &self.findings {
            row(f, finding.name, &finding.text)?;
        }
        let open = self.viewers.iter().filter(|viewer| !viewer.closes).count();
        row(f, "viewers", &format!("{} close, {open} do not", self.viewers.len() - open))?;
        let restarted = self.viewers.iter().filter(|viewer| viewer.restarts > 0).count();
        if restarted > 0 {
            let rest = format!("{restarted} viewers; what came before that is not judged");
            row(f, "started anew", &rest)?;
        }
        Ok(())
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        title(f, "archive")?;
        row(f, "danmaku", &self.danmaku)?;
        row(f, "by mode", &counts(&self.by_mode))?;
        row(f, "to play", &self.to_play)?;
        row(f, "not played", &counts(&self.not_played))?;
        row(f, "other tags", &counts(&self.other_tags))?;
        let mended = format!(
            "{} characters mended, {} broken places skipped",
            self.mended_characters, self.broken_markup
        );
        row(f, "repairs", &mended)
    }
}

impl fmt::Display for Publishing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        title(f, "publishing")?;
        row(f, "acked", &format!("{}, of these {} not stored", self.acked, self.not_stored))?;
        row(f, "refused", &counts(&self.refused))?;
        row(f, "unanswered", &self.unanswered)?;
        row(f, "retries", &counts(&self.retries))?;
        let many = self.requests_of_many;
        row(f, "requests", &format!("{}, of these {many} with several events", self.requests))?;
        row(f, "duration", &format!("{:.1} s (planned {:.1} s)", self.took_s, self.planned_s))?;
        row(f, "rate", &format!("{:.1} events/s", self.rate_per_s))?;
        row(f, "lag", &milliseconds(self.lag))
    }
}

impl fmt::Display for Viewed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.closes { "closes" } else { "does not close" };
        title(f, &format!("viewer {}: {verdict}", self.viewer))?;
        row(f, "batches", &self.batches)?;
        row(f, "published", &self.sums.published)?;
        row(f, "received", &self.sums.received)?;
        row(f, "left out", &counts(&self.left_out))?;
        let gaps = format!("{} events in gaps by reason: {}", self.sums.gap, counts(&self.gaps));
        row(f, "gaps", &gaps)?;
        row(f, "held", &format!("{} at join, {} now", self.sums.held_at_join, self.sums.held))?;
        row(f, "foreign", &format!("{} events of others", self.sums.foreign))?;
        row(f, "duplicates", &self.duplicates)?;
        row(f, "chain breaks", &self.chain_breaks)?;
        let connection = format!(
            "{} breaks, {} recovered, {} started anew",
            self.connection_breaks, self.recoveries, self.restarts
        );
        row(f, "connection", &connection)?;
        row(f, "latency", &milliseconds(self.latency))?;
        row(f, "judged", &judged(self.rule, &self.sums))?;
        for finding in &self.findings {
            row(f, finding.name, &finding.text)?;
        }
        Ok(())
    }
}

impl Viewed {
    /// The short form, for one of many that close.
    fn line(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sums { received, left_out_chat, left_out_other, gap, .. } = self.sums;
        let left_out = left_out_chat + left_out_other;
        let told = format!("received {received}, left out {left_out}, gaps {gap}");
        let broken = format!("{} breaks, {} started anew", self.connection_breaks, self.restarts);
        title(f, &format!("viewer {}: closes ({told}; {broken})", self.viewer))
    }
}

/// The comparison that was made, with its figures.
fn judged(rule: Rule, sums: &Sums) -> String {
    let Sums { published, received, missing, uncertain, left_out_chat, gap, .. } = sums;
    let bounds = match uncertain {
        0 => String::new(),
        more => format!(" (up to {more} more may be: the join could not be continued)"),
    };
    match rule {
        Rule::Exact => format!(
            "received {received} + left out {left_out_chat} + gaps {gap} = {} against {published} \
             published{bounds}",
            received + left_out_chat + gap
        ),
        Rule::ChatExact => format!(
            "others were here but did not chat: {left_out_chat} left out chat <= {missing} \
             missing{bounds} <= {left_out_chat} + {gap} in gaps"
        ),
        Rule::NothingUntold => format!(
            "others chatted, and what was left out has no names: {missing} missing{bounds} <= \
             {left_out_chat} left out chat + {gap} in gaps is all that can be proven"
        ),
    }
}

fn title(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    writeln!(f, "{text}")
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, value: &impl fmt::Display) -> fmt::Result {
    writeln!(f, "  {name:<17} {value}")
}

fn counts<K: fmt::Display>(counts: &BTreeMap<K, u64>) -> String {
    if counts.is_empty() {
        return "none".into();
    }
    let each: Vec<String> = counts.iter().map(|(name, count)| format!("{name}: {count}")).collect();
    format!("{} ({})", counts.values().sum::<u64>(), each.join(", "))
}

fn milliseconds(summary: Option<Summary>) -> String {
    summary.map_or("not known".into(), |s| {
        format!("p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms", s.p50_ms, s.p99_ms, s.max_ms)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_summed_and_named() {
        let reasons = BTreeMap::from([("empty", 2), ("mode 7 (positioned)", 3)]);
        assert_eq!(counts(&reasons), "5 (empty: 2, mode 7 (positioned): 3)");
        assert_eq!(counts(&BTreeMap::<i64, u64>::new()), "none");
    }

    #[test]
    fn the_judgement_shows_its_figures() {
        let sums = Sums {
            published: 10,
            received: 6,
            missing: 4,
            left_out_chat: 3,
            gap: 1,
            ..Sums::default()
        };
        assert_eq!(
            judged(Rule::Exact, &sums),
            "received 6 + left out 3 + gaps 1 = 10 against 10 published"
        );
        assert_eq!(
            judged(Rule::ChatExact, &sums),
            "others were here but did not chat: 3 left out chat <= 4 missing <= 3 + 1 in gaps"
        );
    }
}
