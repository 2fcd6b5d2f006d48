//! Which deliveries of a consumer are the next entries of its stream.
//!
//! A consumer numbers its deliveries. As long as these numbers follow one another nothing was
//! lost on the way, and a number of the stream that is left out is an entry that the stream does
//! not have any more. When they do not, the consumer is made anew behind what has arrived.

use protocol::cursor::Seq;

/// The deliveries of one consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Intake {
    /// The last entry of the stream that has arrived.
    received: Seq,
    /// The consumer's number of the last delivery.
    delivery: u64,
}

/// What a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The next entry.
    New,
    /// An entry that has arrived before.
    Repeated,
    /// A delivery was lost: the consumer is to be made anew.
    Broken,
}

impl Intake {
    /// Of a consumer that begins behind this entry.
    pub(super) fn behind(received: Seq) -> Self {
        Self { received, delivery: 0 }
    }

    /// Judges the next delivery by its number and by that of its entry.
    pub(super) fn judge(&mut self, delivery: u64, seq: Seq) -> Verdict {
        if delivery != self.delivery + 1 {
            return Verdict::Broken;
        }
        self.delivery = delivery;
        if seq <= self.received {
            return Verdict::Repeated;
        }
        self.received = seq;
        Verdict::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_in_a_row_are_new_even_if_the_stream_has_lost_entries() {
        let mut intake = Intake::behind(10);
        assert_eq!(intake.judge(1, 11), Verdict::New);
        assert_eq!(intake.judge(2, 12), Verdict::New);
        assert_eq!(intake.judge(3, 20), Verdict::New);
        assert_eq!(intake.received, 20);
    }

    #[test]
    fn lost_delivery_breaks_and_changes_nothing() {
        let mut intake = Intake::behind(10);
        assert_eq!(intake.judge(1, 11), Verdict::New);
        assert_eq!(intake.judge(3, 13), Verdict::Broken);
        assert_eq!(intake.received, 11);
        assert_eq!(intake.judge(2, 12), Verdict::New);
    }

    #[test]
    fn redelivery_is_repeated_and_counts_as_a_delivery() {
        let mut intake = Intake::behind(10);
        assert_eq!(intake.judge(1, 11), Verdict::New);
        assert_eq!(intake.judge(2, 11), Verdict::Repeated);
        assert_eq!(intake.judge(3, 12), Verdict::New);
    }
}
