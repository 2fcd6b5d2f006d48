use super::*;

struct Clock {
    start: Instant,
}

impl Clock {
    fn new() -> Self {
        Self { start: Instant::now() }
    }

    fn at(&self, ms: u64) -> Now {
        let mono = self.start + Duration::from_millis(ms);
        Now { mono, us: (1_000_000 + ms) * 1000 }
    }

    fn plan(&self, ms: &[u64]) -> Publisher {
        Publisher::new(ms.iter().map(|ms| self.at(*ms).mono))
    }
}

/// An event that was published between two times by a speaker.
fn own(number: u32, from_ms: u64, to_ms: u64, speaker: u32) -> Own {
    let us = |ms: u64| (1_000_000 + ms) * 1000;
    Own { number, from_us: us(from_ms), to_us: us(to_ms), speaker, fate: Fate::Acked }
}

fn acked(id: &str, ms: u64) -> Outcome {
    Outcome::Acked { id: id.into(), ts_ms: 1_000_000 + ms, stored: true }
}

fn busy(after_ms: u64) -> Outcome {
    let after = Some(Duration::from_millis(after_ms));
    Outcome::Again { reason: "busy".into(), after, doubtful: false }
}

fn lost() -> Outcome {
    Outcome::Again { reason: "connection".into(), after: None, doubtful: true }
}

fn events(request: Option<Request>) -> Vec<usize> {
    request.map(|request| request.events).unwrap_or_default()
}

#[test]
fn what_is_due_goes_out_together_and_in_order() {
    let clock = Clock::new();
    let mut publisher = clock.plan(&[0, 10, 10, 30]);
    assert_eq!(events(publisher.next(clock.at(0))), [0]);
    assert_eq!(publisher.next(clock.at(5)), None);
    assert_eq!(publisher.wake(), Some(clock.at(10).mono));
    assert_eq!(events(publisher.next(clock.at(12))), [1, 2]);
    assert_eq!(events(publisher.next(clock.at(30))), [3]);
    assert_eq!(publisher.wake(), None);
    assert!(!publisher.is_done(), "three requests are in flight");
    let lag = &publisher.tally.lag;
    assert_eq!((lag.count(), lag.percentile_ms(100.0)), (4, Some(2.0)));
    assert_eq!((publisher.tally.requests, publisher.tally.requests_of_many), (3, 1));
}

#[test]
fn requests_and_their_events_are_limited() {
    let clock = Clock::new();
    let mut publisher = clock.plan(&[0; 5_000]);
    let sizes: Vec<usize> = std::iter::from_fn(|| publisher.next(clock.at(1)))
        .map(|request| request.events.len())
        .collect();
    assert_eq!(sizes, [EVENTS_PER_REQUEST_MAX; IN_FLIGHT_MAX]);
    assert_eq!(publisher.wake(), None, "until an answer comes");
}

#[test]
fn acks_are_entered_between_request_and_answer() {
    let clock = Clock::new();
    let mut publisher = clock.plan(&[0, 0]);
    let request = publisher.next(clock.at(0)).unwrap();
    publisher.answered(request, vec![acked("a", 1), acked("b", 2)], clock.at(3), 1.0);
    assert!(publisher.is_done());
    assert_eq!(publisher.ledger, [own(0, 0, 3, 1), own(1, 0, 3, 1)]);
    assert_eq!(publisher.tally.last_acked, Some(clock.at(3).mono));
    assert!(!publisher.tally.clocks_differ);
}

#[test]
fn a_busy_server_is_asked_again_after_its_time_and_a_pause_that_doubles() {
    let clock = Clock::new();
    let mut publisher = clock.plan(&[0]);
    let request = publisher.next(clock.at(0)).unwrap();
    publisher.answered(request, vec![busy(200)], clock.at(10), 1.0);
    assert_eq!(publisher.wake(), Some(clock.at(10 + 200 + 50).mono));
    let request = publisher.next(clock.at(300)).unwrap();
    publisher.answered(request, vec![busy(0)], clock.at(300), 0.0);
    assert_eq!(publisher.wake(), Some(clock.at(300 + 50).mono), "half of the doubled pause");
    let request = publisher.next(clock.at(400)).unwrap();
    publisher.answered(request, vec![acked("a", 401)], clock.at(402), 1.0);
    assert!(publisher.is_done());
    assert_eq!(publisher.tally.retries, BTreeMap::from([("busy".into(), 2)]));
    let made = own(0, 400, 402, u32::MAX);
    assert_eq!(publisher.ledger, [made], "only the last attempt can have made it");
    assert_eq!(publisher.tally.lag.count(), 1, "retries are not late starts");
}

#[test]
fn an_event_of_a_broken_connection_may_have_happened_since_the_first_attempt() {
    let clock = Clock::new();
    let mut publisher = clock.plan(&[0]);
    let request = publisher.next(clock.at(0)).unwrap();
    publisher.answered(request, vec![lost()], clock.at(10), 1.0);
    let request = publisher.next(clock.at(100)).unwrap();
    publisher.answered(request, vec![acked("a", 5)], clock.at(110), 1.0);
    assert_eq!(publisher.ledger, [own(0, 0, 110, u32::MAX)]);
    assert!(!publisher.tally.clocks_differ, "the time of the first attempt is right too");
}

#[test]
fn after_its_deadline_an_event_is_refused_or_unanswered() {
    let clock = Clock::new();
    let mut publisher = clock.plan(&[0, 1]);
    for (at, outcome) in [(0, busy(0)), (1, lost())] {
        let request = publisher.next(clock.at(at)).unwrap();
        publisher.answered(request, vec![outcome], clock.at(at), 1.0);
    }
    let late = clock.at(29_999);
    let request = publisher.next(late).unwrap();
    assert_eq!(request.events, [0, 1]);
    publisher.answered(request, vec![busy(0), busy(0)], late, 1.0);
    assert!(publisher.is_done());
    assert_eq!(publisher.tally.refused, BTreeMap::from([("busy".into(), 1)]));
    assert_eq!(publisher.tally.unanswered, 1, "it may have been published");
    assert_eq!((publisher.ledger.len(), publisher.ledger[0].fate), (1, Fate::Unanswered));
}

#[test]
fn a_refusal_is_final() {
    let clock = Clock::new();
    let mut publisher = clock.plan(&[0]);
    let request = publisher.next(clock.at(0)).unwrap();
    let refused = Outcome::Refused("blocked_term".into());
    publisher.answered(request, vec![refused], clock.at(1), 1.0);
    assert!(publisher.is_done());
    assert_eq!(publisher.tally.refused, BTreeMap::from([("blocked_term".into(), 1)]));
    assert_eq!(publisher.ledger.len(), 0);
}

#[test]
fn a_result_that_is_not_there_is_tried_again() {
    let clock = Clock::new();
    let mut publisher = clock.plan(&[0, 0]);
    let request = publisher.next(clock.at(0)).unwrap();
    publisher.answered(request, vec![acked("a", 0)], clock.at(1), 1.0);
    assert_eq!(publisher.tally.retries, BTreeMap::from([("no result".into(), 1)]));
    assert_eq!(events(publisher.next(clock.at(1_000))), [1]);
}

#[test]
fn a_time_outside_the_request_shows_that_the_clocks_differ() {
    let clock = Clock::new();
    for (ts, differ) in [(0, false), (20, false), (21, true)] {
        let mut publisher = clock.plan(&[0]);
        let request = publisher.next(clock.at(0)).unwrap();
        publisher.answered(request, vec![acked("a", ts)], clock.at(20), 1.0);
        assert_eq!(publisher.tally.clocks_differ, differ, "{ts}");
    }
}
