//! One stretch of a life in sums: what was published, received and told, and what can be proven from
//! them. The rules are those of [`verdict`](super::verdict).

use ahash::AHashSet;

use crate::truth::account::{Account, Span};
use crate::truth::ledger::{Fate, RoomLedger};
use crate::truth::told::EventNo;

/// How much could be said, given who else was in the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// Nobody else: the promise itself.
    Exact,
    /// Others, but no chat of theirs: chat is exact but for the gaps.
    ChatExact,
    /// Others chatted: nothing of ours is missing untold.
    NothingUntold,
}

impl Rule {
    /// What can be said of a stretch.
    pub(super) fn of(span: &Span, only_chat: bool) -> Self {
        let other_class = only_chat && (span.left_out_other > 0 || span.held_ever);
        if span.foreign_chat {
            Self::NothingUntold
        } else if span.foreign > 0 || other_class {
            Self::ChatExact
        } else {
            Self::Exact
        }
    }
}

/// The sums that were compared, over all stretches of a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sums {
    /// Own events that were surely published since the join.
    pub(crate) published: u64,
    /// Own events received since the join.
    pub(crate) received: u64,
    /// Events of others received since the join.
    pub(crate) foreign: u64,
    /// Own events surely published since the join and not received.
    pub(crate) missing: u64,
    /// Own events not received of which it is not known whether they belong here.
    pub(crate) uncertain: u64,
    /// Σ left_out of chat.
    pub(crate) left_out_chat: u64,
    /// Σ left_out of all other classes.
    pub(crate) left_out_other: u64,
    /// Σ gap.count.
    pub(crate) gap: u64,
    /// Held as last told, less held at the join.
    pub(crate) held: i64,
    /// Own events received that were held at the join: at least and at most.
    pub(crate) redeemed: (u64, u64),
}

impl Sums {
    /// Adds up a stretch; one that is open goes on to the end of the run.
    pub(super) fn of(span: &Span, account: &Account, ledger: &RoomLedger, is_open: bool) -> Self {
        let mut sums = Self {
            received: span.own.len() as u64,
            foreign: span.foreign,
            left_out_chat: span.left_out_chat,
            left_out_other: span.left_out_other,
            gap: span.gap,
            held: span.held.cast_signed() - span.held_at_join.cast_signed(),
            ..Self::default()
        };
        let got: AHashSet<EventNo> = span.own.iter().copied().collect();
        let until_us = if is_open { u64::MAX } else { last_sent(span, ledger) };
        // Received, and published before the join: surely, and perhaps.
        let (mut early, mut perhaps_early) = (0, 0);
        for own in ledger.iter() {
            if own.fate == Fate::Acked && own.to_us < span.join.asked_us {
                early += u64::from(got.contains(&own.number));
                continue;
            }
            let is_surely_in = own.fate == Fate::Acked
                && own.from_us > span.join.answered_us
                && own.to_us < until_us;
            sums.published += u64::from(is_surely_in);
            if got.contains(&own.number) {
                perhaps_early += u64::from(own.from_us <= span.join.answered_us);
            } else {
                sums.missing += u64::from(is_surely_in);
                let may_be_in = !is_surely_in && !account.seen.contains(&own.number);
                sums.uncertain += u64::from(may_be_in);
            }
        }
        // A gap may stand for some of them.
        let least = early.min(span.held_at_join).saturating_sub(span.gap);
        sums.redeemed = (least, (early + perhaps_early).min(span.held_at_join));
        sums
    }

    /// Compares what is missing with what was told: how many were lost, how many told too much.
    pub(super) fn balance(&self, rule: Rule) -> (u64, u64) {
        let (missing_min, missing_max) = (self.missing, self.missing + self.uncertain);
        let chat = self.left_out_chat + self.gap;
        let all = |redeemed: u64| {
            (chat + self.left_out_other + redeemed).saturating_add_signed(self.held)
        };
        let (told_min, told_max) = match rule {
            Rule::Exact => (all(self.redeemed.0), all(self.redeemed.1)),
            Rule::ChatExact => (self.left_out_chat, chat),
            Rule::NothingUntold => (0, chat),
        };
        (missing_min.saturating_sub(told_max), told_min.saturating_sub(missing_max))
    }

    /// Adds those of another stretch.
    pub(super) fn add(&mut self, other: &Self) {
        self.published += other.published;
        self.received += other.received;
        self.foreign += other.foreign;
        self.missing += other.missing;
        self.uncertain += other.uncertain;
        self.left_out_chat += other.left_out_chat;
        self.left_out_other += other.left_out_other;
        self.gap += other.gap;
        self.held += other.held;
        self.redeemed.0 += other.redeemed.0;
        self.redeemed.1 += other.redeemed.1;
    }
}

/// When the last event of this stretch was sent, as far as is known: what was acked before that
/// came before it.
fn last_sent(span: &Span, ledger: &RoomLedger) -> u64 {
    let sent = span.own.iter().filter_map(|number| ledger.find(*number));
    sent.map(|own| own.from_us).max().unwrap_or(0)
}
