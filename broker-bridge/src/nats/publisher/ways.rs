//! The ways from a publisher to the logs: which link a room and a stream use, which links are up,
//! and which have been gone for so long that what waits for them is lost.

use protocol::ids::RoomId;
use protocol::subject::{Partition, StreamIndex};

use super::SILENCE_MS_MAX;

/// All links, by their number.
pub(super) struct Ways {
    links: Vec<LinkSince>,
    link_of: fn(Partition, usize) -> usize,
}

#[derive(Debug, Clone, Copy)]
struct LinkSince {
    is_up: bool,
    since_ms: u64,
}

impl LinkSince {
    fn is_lost(self, now_ms: u64) -> bool {
        !self.is_up && self.since_ms + SILENCE_MS_MAX <= now_ms
    }
}

impl Ways {
    /// All links are down, since now.
    pub(super) fn new(links: usize, link_of: fn(Partition, usize) -> usize, now_ms: u64) -> Self {
        Self { links: vec![LinkSince { is_up: false, since_ms: now_ms }; links], link_of }
    }

    /// Notes how a link is. Returns whether that is news.
    pub(super) fn note(&mut self, link: usize, is_up: bool, now_ms: u64) -> bool {
        let is_news = self.links[link].is_up != is_up;
        if is_news {
            self.links[link] = LinkSince { is_up, since_ms: now_ms };
        }
        is_news
    }

    /// Whether the link of a room is up.
    pub(super) fn is_up(&self, room: &RoomId) -> bool {
        self.links[self.of_room(room)].is_up
    }

    /// Whether the link of a stream is up.
    pub(super) fn leads_to(&self, stream: StreamIndex) -> bool {
        self.links[self.of_stream(stream)].is_up
    }

    /// Whether the link of a room has been gone for too long.
    pub(super) fn is_lost(&self, room: &RoomId, now_ms: u64) -> bool {
        self.links[self.of_room(room)].is_lost(now_ms)
    }

    /// The links that have been gone for too long.
    pub(super) fn lost(&self, now_ms: u64) -> Vec<usize> {
        (0..self.links.len()).filter(|link| self.links[*link].is_lost(now_ms)).collect()
    }

    /// When the next link that is down counts as lost.
    pub(super) fn next_loss_ms(&self) -> Option<u64> {
        let down = self.links.iter().filter(|link| !link.is_up);
        down.map(|link| link.since_ms + SILENCE_MS_MAX).min()
    }

    /// The link that a room's events take.
    pub(super) fn of_room(&self, room: &RoomId) -> usize {
        (self.link_of)(Partition::of_room(room), self.links.len())
    }

    /// The link to a stream.
    pub(super) fn of_stream(&self, stream: StreamIndex) -> usize {
        let first = stream.partitions().next().expect("a stream has partitions");
        (self.link_of)(first, self.links.len())
    }
}
