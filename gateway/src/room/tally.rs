//! How many are here and how many likes there are: counted per node, summed over nodes, told
//! seldom. Times are milliseconds on the monotonic clock.

use ahash::AHashMap;
use broker_bridge::Counts;
use protocol::ids::BootId;

/// Online counts are told at most this often, in milliseconds.
const ONLINE_TOLD_EVERY_MS: u64 = 5_000;
/// Other nodes hear of a change at most this often, in milliseconds.
const REPORTED_EVERY_MS: u64 = 5_000;
/// The monotonic clock, by which this is counted, and the unix clock, by which slots end, do not
/// begin their milliseconds together.
const CLOCKS_APART_MS: u64 = 1;

/// What one room counts.
#[derive(Debug)]
pub(crate) struct Tally {
    here: Counts,
    elsewhere: AHashMap<BootId, Counts>,
    told: Total,
    /// Whether some were told another number of viewers since, with the answer to their join.
    online_varies: bool,
    online_told_ms: Option<u64>,
    /// What other nodes know; `None` if the last report did not get through.
    reported: Option<Counts>,
    reported_ms: Option<u64>,
}

/// The sums over all nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Total {
    pub(crate) online: u64,
    pub(crate) likes: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            here: Counts::default(),
            elsewhere: AHashMap::new(),
            told: Total::default(),
            online_varies: false,
            online_told_ms: None,
            // Nobody has heard of this room, and there is nothing to tell.
            reported: Some(Counts::default()),
            reported_ms: None,
        }
    }
}

impl Tally {
    pub(crate) fn came(&mut self) {
        self.here.online += 1;
    }

    pub(crate) fn left(&mut self) {
        self.here.online = self.here.online.saturating_sub(1);
    }

    pub(crate) fn all_left(&mut self) {
        self.here.online = 0;
    }

    pub(crate) fn liked(&mut self, likes: u32) {
        self.here.likes += u64::from(likes);
    }

    pub(crate) fn elsewhere(&mut self, node: BootId, counts: Counts) {
        self.elsewhere.insert(node, counts);
    }

    /// A node is gone: nobody is online there any more, its likes stay.
    pub(crate) fn node_gone(&mut self, node: BootId) {
        if let Some(counts) = self.elsewhere.get_mut(&node) {
            counts.online = 0;
        }
    }

    pub(crate) fn total(&self) -> Total {
        let all = self.elsewhere.values().chain([&self.here]);
        all.fold(Total::default(), |sum, counts| Total {
            online: sum.online + u64::from(counts.online),
            likes: sum.likes + counts.likes,
        })
    }

    /// From when on viewers may be told of a change; `None` if everybody knows all.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        let total = self.total();
        let likes = (total.likes != self.told.likes).then_some(0);
        let online = (self.online_varies || total.online != self.told.online)
            .then_some(self.online_due_ms());
        [likes, online].into_iter().flatten().min()
    }

    /// From when on other nodes may be told of a change; `None` if they know all.
    pub(crate) fn report_due_ms(&self) -> Option<u64> {
        let is_known = self.reported == Some(self.here);
        (!is_known).then_some(self.reported_ms.map_or(0, |ms| ms + REPORTED_EVERY_MS))
    }

    fn online_due_ms(&self) -> u64 {
        self.online_told_ms.map_or(0, |ms| ms + ONLINE_TOLD_EVERY_MS)
    }

    /// Everybody has just learned everything.
    pub(crate) fn told_all(&mut self, now_ms: u64) {
        self.told = self.total();
        self.online_varies = false;
        self.online_told_ms = Some(now_ms);
    }

    /// Some have just learned everything, others not.
    pub(crate) fn told_some(&mut self) {
        self.online_varies |= self.total().online != self.told.online;
    }

    /// What viewers are to be told now: (online, likes), each only if it changed and it is time.
    pub(crate) fn tell(&mut self, now_ms: u64) -> (Option<u64>, Option<u64>) {
        let total = self.total();
        let likes = (total.likes != self.told.likes).then_some(total.likes);
        let due = self.online_due_ms() <= now_ms + CLOCKS_APART_MS;
        let is_news = self.online_varies || total.online != self.told.online;
        let online = (due && is_news).then_some(total.online);
        if let Some(online) = online {
            self.told.online = online;
            self.online_varies = false;
            self.online_told_ms = Some(now_ms);
        }
        self.told.likes = total.likes;
        (online, likes)
    }

    /// What other nodes are to be told now.
    pub(crate) fn report(&mut self, now_ms: u64) -> Option<Counts> {
        self.report_due_ms().filter(|due_ms| *due_ms <= now_ms)?;
        self.reported = Some(self.here);
        self.reported_ms = Some(now_ms);
        Some(self.here)
    }

    /// The last report did not get through; it is due again.
    pub(crate) fn report_refused(&mut self) {
        self.reported = None;
    }

    /// Whether likes were counted here, which only this room remembers.
    pub(crate) fn has_likes(&self) -> bool {
        self.here.likes > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: u64 = 1_000_000;

    #[test]
    fn a_change_is_told_once_and_online_at_most_every_five_seconds() {
        let mut tally = Tally::default();
        assert_eq!(tally.due_ms(), None);
        tally.came();
        assert_eq!(tally.due_ms(), Some(0), "nothing was told so far");
        assert_eq!(tally.tell(T), (Some(1), None));
        tally.came();
        assert_eq!(tally.due_ms(), Some(T + 5_000));
        tally.liked(3);
        assert_eq!(tally.due_ms(), Some(0), "likes are told with every slot");
        assert_eq!(tally.tell(T + 1_000), (None, Some(3)));
        assert_eq!(tally.tell(T + 5_000), (Some(2), None));
        assert_eq!(tally.due_ms(), None);
        assert_eq!(tally.tell(T + 10_000), (None, None));
    }

    #[test]
    fn who_has_just_learned_everything_is_not_told_again() {
        let mut tally = Tally::default();
        tally.came();
        tally.liked(3);
        tally.told_all(T);
        assert_eq!((tally.due_ms(), tally.tell(T + 5_000)), (None, (None, None)));
    }

    #[test]
    fn a_number_that_only_some_were_told_is_put_right_even_if_it_is_the_old_one() {
        let mut tally = Tally::default();
        tally.came();
        tally.told_all(T);
        tally.came();
        tally.told_some();
        tally.left();
        assert_eq!(tally.due_ms(), Some(T + 5_000));
        assert_eq!(tally.tell(T + 5_000), (Some(1), None));
        assert_eq!(tally.due_ms(), None);
    }

    #[test]
    fn a_node_that_is_gone_takes_its_viewers_and_leaves_its_likes() {
        let mut tally = Tally::default();
        let node = BootId::random([1; 8]);
        tally.came();
        tally.elsewhere(node, Counts { online: 5, likes: 7 });
        assert_eq!(tally.total(), Total { online: 6, likes: 7 });
        tally.node_gone(node);
        assert_eq!(tally.total(), Total { online: 1, likes: 7 });
    }

    #[test]
    fn reports_go_out_on_change_at_most_every_five_seconds() {
        let mut tally = Tally::default();
        assert_eq!((tally.report_due_ms(), tally.report(T)), (None, None));
        tally.came();
        assert_eq!(tally.report_due_ms(), Some(0), "nothing was reported so far");
        assert_eq!(tally.report(T), Some(Counts { online: 1, likes: 0 }));
        tally.came();
        assert_eq!(tally.report_due_ms(), Some(T + 5_000));
        assert_eq!(tally.report(T + 4_999), None);
        assert_eq!(tally.report(T + 5_000), Some(Counts { online: 2, likes: 0 }));
    }

    #[test]
    fn a_report_that_did_not_get_through_is_due_again_even_if_nothing_is_left_to_count() {
        let mut tally = Tally::default();
        tally.came();
        assert!(tally.report(T).is_some());
        tally.left();
        assert_eq!(tally.report(T + 5_000), Some(Counts::default()));
        tally.report_refused();
        assert_eq!(tally.report_due_ms(), Some(T + 10_000));
        assert_eq!(tally.report(T + 10_000), Some(Counts::default()));
        assert_eq!(tally.report_due_ms(), None);
    }
}
