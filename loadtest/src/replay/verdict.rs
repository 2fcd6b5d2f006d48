//! The judgement: does what a viewer was given and told equal what was published?
//!
//! The protocol promises, over everything after a viewer's `joined`:
//!
//! > received + Σ left_out + Σ gap.count + held now − held at join = published
//!
//! Received and published are known by id, so they are compared by id: the run's **own** events
//! that this viewer never got are `missing`, and each of them must have been told. What was told
//! has no ids, only counts, so how much can be said depends on who else was in the room:
//!
//! | others | judged |
//! | --- | --- |
//! | no sign of any | `missing` = left out + gaps + held now − held at join: the promise itself |
//! | seen, but no chat of theirs | left out chat ≤ `missing` ≤ left out chat + gaps |
//! | seen with chat | `missing` ≤ left out chat + gaps |
//!
//! Own events are chat of users without a role. So they can only be told as left out `chat` or in
//! a gap (whose count has no classes), never as held (only paid events are) nor under another
//! class. What is told beyond `missing` may then belong to the others, and gaps may too; more than
//! the table says cannot be proven from outside. A sign of others is an event that this run did
//! not publish, a count in another class, or anything held.
//!
//! After a join that could not be continued (`recovered: false`) only the last stretch is judged.
//! What was sent before it and never received may lie before or after its beginning: `missing`
//! then has a lower and an upper bound, and each comparison takes the one that can be proven.

use std::collections::HashMap;
use std::fmt;

use protocol::event::Class;
use serde::Serialize;

use crate::replay::account::{Account, Received, Span};
use crate::replay::ledger::{Ledger, Step};

/// Why an account does not close.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The viewer was never in the room.
    NeverJoined,
    /// The viewer gave up.
    GaveUp(String),
    /// Own events that were neither received nor told.
    Lost(u64),
    /// More was told than is missing.
    OverTold(u64),
    /// Events came twice.
    Duplicate {
        /// How many.
        count: u64,
        /// The first of them.
        first: String,
    },
    /// Batches or gaps do not follow each other.
    ChainBroken {
        /// How many.
        count: u64,
        /// The first of them.
        first: String,
    },
    /// Own events came in another order than they were published in.
    Disorder(u64),
    /// Messages that are not what the protocol says.
    Malformed {
        /// How many.
        count: u64,
        /// The first of them.
        first: String,
    },
}

impl Finding {
    /// A name for programs.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::NeverJoined => "never_joined",
            Self::GaveUp(_) => "gave_up",
            Self::Lost(_) => "lost",
            Self::OverTold(_) => "over_told",
            Self::Duplicate { .. } => "duplicate",
            Self::ChainBroken { .. } => "chain_broken",
            Self::Disorder(_) => "disorder",
            Self::Malformed { .. } => "malformed",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverJoined => f.write_str("the viewer was never in the room"),
            Self::GaveUp(why) => write!(f, "the viewer gave up: {why}"),
            Self::Lost(count) => {
                write!(f, "{count} published events were neither received nor told as missing")
            }
            Self::OverTold(count) => write!(f, "{count} more events were told than are missing"),
            Self::Duplicate { count, first } => {
                write!(f, "{count} events came twice, the first is {first}")
            }
            Self::ChainBroken { count, first } => {
                write!(f, "cursors do not follow each other in {count} places: {first}")
            }
            Self::Disorder(count) => {
                write!(f, "{count} events came after events that were published later")
            }
            Self::Malformed { count, first } => {
                write!(f, "{count} messages are not what the protocol says: {first}")
            }
        }
    }
}

/// How much could be said, given who else was in the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rule {
    /// Nobody else: the promise itself.
    Exact,
    /// Others, but no chat of theirs: chat is exact but for the gaps.
    ChatExact,
    /// Others chatted: nothing of ours is missing untold.
    NothingUntold,
}

/// The sums that were compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(crate) struct Sums {
    /// Own events that were surely published since the join.
    pub(crate) published: u64,
    /// Own events received since the join.
    pub(crate) received: u64,
    /// Events of others received since the join.
    pub(crate) foreign: u64,
    /// Own events surely published since the join and not received.
    pub(crate) missing: u64,
    /// Own events not received of which it is not known whether they are after the join; only
    /// after a join that could not be continued.
    pub(crate) uncertain: u64,
    /// Σ left_out of chat.
    pub(crate) left_out_chat: u64,
    /// Σ left_out of all other classes.
    pub(crate) left_out_other: u64,
    /// Σ gap.count.
    pub(crate) gap: u64,
    /// Held at the join.
    pub(crate) held_at_join: u64,
    /// Held as last told.
    pub(crate) held: u64,
}

/// The judgement of one viewer's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// How it was judged.
    pub(crate) rule: Rule,
    /// What was compared.
    pub(crate) sums: Sums,
    /// Why it does not close; it closes if there is nothing here.
    pub(crate) findings: Vec<Finding>,
}

impl Verdict {
    /// Judges an account against what was published.
    pub(crate) fn of(account: &Account, ledger: &Ledger) -> Self {
        let Some(span) = account.span() else {
            return Self {
                rule: Rule::Exact,
                sums: Sums::default(),
                findings: vec![
                    account.failed.clone().map_or(Finding::NeverJoined, Finding::GaveUp),
                ],
            };
        };
        let sums = sums(account, span, ledger);
        let rule = rule(span, &sums, ledger);
        let mut findings: Vec<Finding> = balance(rule, &sums).into_iter().collect();
        findings.extend(faults(account));
        let disorder = account.spans().iter().map(|span| disorder(&span.received, ledger)).sum();
        if disorder > 0 {
            findings.push(Finding::Disorder(disorder));
        }
        Self { rule, sums, findings }
    }

    /// Whether the account closes.
    pub(crate) fn closes(&self) -> bool {
        self.findings.is_empty()
    }

    /// Whether events are missing of which a later batch may still tell.
    pub(crate) fn is_waiting(&self) -> bool {
        let gone = |finding: &Finding| matches!(finding, Finding::GaveUp(_));
        let open = |finding: &Finding| matches!(finding, Finding::Lost(_) | Finding::NeverJoined);
        self.findings.iter().any(open) && !self.findings.iter().any(gone)
    }
}

fn sums(account: &Account, span: &Span, ledger: &Ledger) -> Sums {
    let mut sums =
        Sums { gap: span.gap, held_at_join: span.held_at_join, held: span.held, ..Sums::default() };
    for (id, own) in ledger.iter() {
        let since_join = own.from > span.since;
        let seen = account.has_seen(id);
        sums.published += u64::from(since_join);
        sums.missing += u64::from(since_join && !seen);
        sums.uncertain += u64::from(!since_join && !seen);
    }
    for received in &span.received {
        match ledger.find(&received.id) {
            Some(_) => sums.received += 1,
            None => sums.foreign += 1,
        }
    }
    for (class, count) in &span.left_out {
        if class == Class::Chat.text() {
            sums.left_out_chat += count;
        } else {
            sums.left_out_other += count;
        }
    }
    sums
}

fn rule(span: &Span, sums: &Sums, ledger: &Ledger) -> Rule {
    let foreign_chat =
        |received: &Received| received.class == Class::Chat && ledger.find(&received.id).is_none();
    if span.received.iter().any(foreign_chat) {
        Rule::NothingUntold
    } else if sums.foreign > 0 || sums.left_out_other > 0 || span.held_ever {
        Rule::ChatExact
    } else {
        Rule::Exact
    }
}

/// Compares what is missing with what was told.
fn balance(rule: Rule, sums: &Sums) -> Option<Finding> {
    let (missing_min, missing_max) = (sums.missing, sums.missing + sums.uncertain);
    let told_max = sums.left_out_chat + sums.gap;
    if told_max < missing_min {
        return Some(Finding::Lost(missing_min - told_max));
    }
    let told_min = match rule {
        // No other class and nothing held: those are signs of others.
        Rule::Exact => told_max,
        Rule::ChatExact => sums.left_out_chat,
        Rule::NothingUntold => 0,
    };
    (told_min > missing_max).then(|| Finding::OverTold(told_min - missing_max))
}

fn faults(account: &Account) -> impl Iterator<Item = Finding> {
    let faults = &account.faults;
    let first = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let duplicate = (faults.duplicates > 0).then(|| Finding::Duplicate {
        count: faults.duplicates,
        first: first(faults.first_duplicate.as_deref()),
    });
    let chain = (faults.chain_breaks > 0).then(|| Finding::ChainBroken {
        count: faults.chain_breaks,
        first: first(faults.first_chain_break.as_deref()),
    });
    let malformed = (faults.malformed > 0).then(|| Finding::Malformed {
        count: faults.malformed,
        first: first(faults.first_malformed.as_deref()),
    });
    let gave_up = account.failed.clone().map(Finding::GaveUp);
    [duplicate, chain, malformed, gave_up].into_iter().flatten()
}

/// Counts own events that came after an event which is known to have been published later.
fn disorder(received: &[Received], ledger: &Ledger) -> u64 {
    let mut latest_from: Step = 0;
    let mut last_place: HashMap<Step, usize> = HashMap::new();
    let mut count = 0;
    for own in received.iter().filter_map(|received| ledger.find(&received.id)) {
        let overtaken_in_request = own.place.is_some_and(|place| {
            let last = last_place.entry(own.from).or_default();
            let overtaken = place < *last;
            *last = place.max(*last);
            overtaken
        });
        count += u64::from(own.to < latest_from || overtaken_in_request);
        latest_from = latest_from.max(own.from);
    }
    count
}

#[cfg(test)]
mod tests;
