//! All lives of a process, judged. Most viewers of a room got the same messages; lives that are
//! equal to the account are judged once.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::truth::account::Account;
use crate::truth::ledger::RoomLedger;
use crate::truth::life::Life;
use crate::truth::told::Told;
use crate::truth::verdict::{Rule, Terms, Verdict};

/// Viewers that are told of one by one; of the others only the sums.
const CULPRITS_MAX: usize = 20;

/// The verdicts of many viewers, added up. Every field is a sum over viewers.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sentence {
    /// Viewers judged.
    pub(crate) viewers: u64,
    /// Of these, whose account closes.
    pub(crate) close: u64,
    /// Of these, whose account was judged by the promise itself: nobody else was in the room.
    pub(crate) exact: u64,
    /// Of these, of whose account nothing was uncertain.
    pub(crate) certain: u64,
    /// Never in the room.
    pub(crate) never_joined: u64,
    /// Stayed away in the end, by why.
    pub(crate) gave_up: BTreeMap<String, u64>,
    /// Surely published since each viewer's join.
    pub(crate) published: u64,
    /// Received since then.
    pub(crate) received: u64,
    /// Events of others.
    pub(crate) foreign: u64,
    /// Told as left out.
    pub(crate) left_out: u64,
    /// Told as gaps.
    pub(crate) gap: u64,
    /// Held at the end, less held at the join.
    pub(crate) held: i64,
    /// Of which it cannot be known whether they belong to the account.
    pub(crate) uncertain: u64,
    /// Neither received nor told.
    pub(crate) lost: u64,
    /// Told as missing, and not missing.
    pub(crate) over_told: u64,
    /// Received twice.
    pub(crate) duplicates: u64,
    /// Repeated by a resume, as it may.
    pub(crate) repeats: u64,
    /// Out of order.
    pub(crate) disorder: u64,
    /// Places where messages do not follow each other.
    pub(crate) chain_breaks: u64,
    /// Not messages of the protocol.
    pub(crate) malformed: u64,
    /// Connections that broke.
    pub(crate) breaks: u64,
    /// Joins that told everything missed in between.
    pub(crate) recoveries: u64,
    /// Joins that had to start anew.
    pub(crate) restarts: u64,
    /// The first viewers whose account does not close, in words.
    pub(crate) culprits: Vec<String>,
}

impl Sentence {
    /// Adds what another process found.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.viewers += other.viewers;
        self.close += other.close;
        self.exact += other.exact;
        self.certain += other.certain;
        self.never_joined += other.never_joined;
        for (why, count) in &other.gave_up {
            *self.gave_up.entry(why.clone()).or_default() += count;
        }
        self.published += other.published;
        self.received += other.received;
        self.foreign += other.foreign;
        self.left_out += other.left_out;
        self.gap += other.gap;
        self.held += other.held;
        self.uncertain += other.uncertain;
        self.lost += other.lost;
        self.over_told += other.over_told;
        self.duplicates += other.duplicates;
        self.repeats += other.repeats;
        self.disorder += other.disorder;
        self.chain_breaks += other.chain_breaks;
        self.malformed += other.malformed;
        self.breaks += other.breaks;
        self.recoveries += other.recoveries;
        self.restarts += other.restarts;
        let room = CULPRITS_MAX.saturating_sub(self.culprits.len());
        self.culprits.extend(other.culprits.iter().take(room).cloned());
    }

    fn add(&mut self, viewer: u32, room: &str, life: &Life, verdict: &Verdict) {
        let malformed = life.malformed.as_ref().map_or(0, |malformed| malformed.0);
        let closes = verdict.closes() && malformed == 0 && life.gave_up.is_none();
        self.viewers += 1;
        self.close += u64::from(closes);
        self.exact += u64::from(verdict.rule == Rule::Exact);
        self.certain += u64::from(verdict.sums.uncertain == 0);
        self.never_joined += u64::from(!verdict.joined);
        if let Some(why) = &life.gave_up {
            *self.gave_up.entry(why.to_string()).or_default() += 1;
        }
        let sums = &verdict.sums;
        self.published += sums.published;
        self.received += sums.received;
        self.foreign += sums.foreign;
        self.left_out += sums.left_out_chat + sums.left_out_other;
        self.gap += sums.gap;
        self.held += sums.held;
        self.uncertain += sums.uncertain;
        self.lost += verdict.lost;
        self.over_told += verdict.over_told;
        self.duplicates += verdict.duplicates;
        self.repeats += verdict.repeats;
        self.disorder += verdict.disorder;
        self.chain_breaks += verdict.chain_breaks;
        self.malformed += malformed;
        self.breaks += u64::from(life.breaks);
        self.recoveries += verdict.recoveries;
        self.restarts += verdict.restarts;
        if !closes && self.culprits.len() < CULPRITS_MAX {
            self.culprits.push(culprit(viewer, room, life, verdict));
        }
    }
}

fn culprit(viewer: u32, room: &str, life: &Life, verdict: &Verdict) -> String {
    let Verdict { sums, lost, over_told, duplicates, disorder, chain_breaks, .. } = verdict;
    let told = sums.left_out_chat + sums.left_out_other + sums.gap;
    let malformed =
        life.malformed.as_ref().map(|malformed| format!(", no message: {}", malformed.1));
    let gave_up = life.gave_up.as_ref().map(|why| format!(", gave up: {why}"));
    format!(
        "viewer {viewer} of {room}: lost {lost}, told too much {over_told}, duplicates \
         {duplicates}, out of order {disorder}, chain breaks {chain_breaks} (published {}, \
         received {}, told {told}){}{}",
        sums.published,
        sums.received,
        malformed.unwrap_or_default(),
        gave_up.unwrap_or_default(),
    )
}

/// Judges the lives of viewers.
pub(crate) struct Judge<'a> {
    told: &'a [Told],
    only_chat: bool,
    hasher: RandomState,
    /// Lives that were judged, by room and a hash of what they got.
    known: HashMap<(u32, u64), Rc<Verdict>>,
}

impl<'a> Judge<'a> {
    /// Judges lives that got these messages.
    pub(crate) fn new(told: &'a [Told], only_chat: bool) -> Self {
        Self { told, only_chat, hasher: RandomState::new(), known: HashMap::new() }
    }

    /// Judges a life in a room and adds the verdict to a sentence.
    pub(crate) fn judge(
        &mut self,
        sentence: &mut Sentence,
        viewer: u32,
        room: (u32, &str, &RoomLedger),
        life: &Life,
    ) {
        let (number, name, ledger) = room;
        let joins = life.joins.iter().map(|join| ledger.rank(join.asked_us, join.answered_us));
        let terms = Terms { only_chat: self.only_chat, ended: life.ended };
        let key = self.hasher.hash_one((&life.told, joins.collect::<Vec<_>>(), terms));
        let told = self.told;
        let verdict = self
            .known
            .entry((number, key))
            .or_insert_with(|| Rc::new(Verdict::of(&Account::of(life, told), ledger, terms)));
        sentence.add(viewer, name, life, verdict);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::truth::account::tests::{batch, joined, life};
    use crate::truth::ledger::{Fate, Own};

    #[test]
    fn equal_lives_are_judged_once_and_all_are_counted() {
        let told = [joined(0, None, &[]), batch(0, &[1])];
        let mut ledger = RoomLedger::default();
        ledger.enter(Own { number: 1, from_us: 50, to_us: 60, speaker: 0, fate: Fate::Acked });
        ledger.enter(Own { number: 2, from_us: 70, to_us: 80, speaker: 0, fate: Fate::Acked });
        ledger.close();
        let (mut judge, mut sentence) = (Judge::new(&told, true), Sentence::default());
        let mut late = life(&told);
        late.joins[0] = crate::truth::life::Join { asked_us: 65, answered_us: 66 };
        for (viewer, life) in [(0, life(&told)), (1, life(&told)), (2, late)] {
            judge.judge(&mut sentence, viewer, (0, "a", &ledger), &life);
        }
        assert_eq!(judge.known.len(), 2, "the third joined between the events");
        assert_eq!((sentence.viewers, sentence.close, sentence.lost), (3, 0, 3));
        assert_eq!(sentence.culprits.len(), 3);
        assert!(sentence.culprits[0].starts_with("viewer 0 of a: lost 1,"), "{sentence:?}");

        let mut all = Sentence::default();
        all.merge(&sentence);
        all.merge(&sentence);
        assert_eq!((all.viewers, all.lost, all.culprits.len()), (6, 6, 6));
    }
}
