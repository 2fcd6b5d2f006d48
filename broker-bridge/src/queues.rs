//! How many wait in a broker's queues, for the gateway's metrics.

use std::fmt;

use tokio::sync::mpsc;

/// A queue of a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// Events to be published; on the embedded bus they wait among the verbs about rooms.
    Publications,
    /// Verbs about rooms.
    Rooms,
    /// What is counted in rooms.
    Counts,
    /// Payloads to be sent past the logs.
    Payloads,
    /// Settings to be kept.
    Settings,
    /// What has to be asked of the logs.
    Lookups,
    /// Deliveries about rooms.
    RoomDeliveries,
    /// Payloads for connections here.
    PayloadDeliveries,
    /// Settings of rooms, to be told.
    SettingsDeliveries,
}

impl Queue {
    /// Every queue.
    pub const ALL: [Self; 9] = [
        Self::Publications,
        Self::Rooms,
        Self::Counts,
        Self::Payloads,
        Self::Settings,
        Self::Lookups,
        Self::RoomDeliveries,
        Self::PayloadDeliveries,
        Self::SettingsDeliveries,
    ];

    /// Its name; the label of a metric.
    pub fn text(self) -> &'static str {
        match self {
            Self::Publications => "broker_publications",
            Self::Rooms => "broker_rooms",
            Self::Counts => "broker_counts",
            Self::Payloads => "broker_payloads",
            Self::Settings => "broker_settings",
            Self::Lookups => "broker_lookups",
            Self::RoomDeliveries => "room_deliveries",
            Self::PayloadDeliveries => "payload_deliveries",
            Self::SettingsDeliveries => "settings_deliveries",
        }
    }
}

type Gauge = Box<dyn Fn() -> usize + Send + Sync>;

/// Looks at queues without keeping any of them open.
#[derive(Default)]
pub(crate) struct Gauges(Vec<(Queue, Gauge)>);

impl Gauges {
    /// Looks at a channel too.
    pub(crate) fn channel<T: Send + 'static>(self, queue: Queue, end: &mpsc::Sender<T>) -> Self {
        let end = end.downgrade();
        self.with(queue, move || end.upgrade().map_or(0, |end| end.max_capacity() - end.capacity()))
    }

    /// Looks at another kind of queue too.
    pub(crate) fn with(
        mut self,
        queue: Queue,
        waiting: impl Fn() -> usize + Send + Sync + 'static,
    ) -> Self {
        self.0.push((queue, Box::new(waiting)));
        self
    }

    /// How many wait in each queue now.
    pub(crate) fn read(&self) -> Vec<(Queue, usize)> {
        self.0.iter().map(|(queue, waiting)| (*queue, waiting())).collect()
    }
}

impl fmt::Debug for Gauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.read()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_seen_and_no_queue_is_kept_open() {
        let (send, mut receive) = mpsc::channel(4);
        let gauges = Gauges::default().channel(Queue::Rooms, &send);
        send.try_send(1).unwrap();
        send.try_send(2).unwrap();
        assert_eq!(gauges.read(), [(Queue::Rooms, 2)]);
        receive.try_recv().unwrap();
        assert_eq!(gauges.read(), [(Queue::Rooms, 1)]);
        drop(send);
        receive.try_recv().unwrap();
        assert!(receive.is_closed() && gauges.read() == [(Queue::Rooms, 0)]);
    }

    #[test]
    fn names_of_queues_differ() {
        for (at, queue) in Queue::ALL.iter().enumerate() {
            assert!(Queue::ALL[at + 1..].iter().all(|other| other.text() != queue.text()));
        }
    }
}
