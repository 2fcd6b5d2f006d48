//! The load: danmaku through the server API of one gateway, whether it answers or not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rig::http;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::silence::Silence;
use crate::tally::Tally;
use rig::account::message::{Body, Draft, Outcome, Outcomes};

/// Between two requests.
const EVERY: Duration = Duration::from_millis(100);
/// How long an answer is waited for.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Requests without an answer; while there are more, nothing further is offered.
const REQUESTS_MAX: usize = 128;

/// What is offered to one gateway.
#[derive(Debug)]
pub(crate) struct Publisher {
    /// Which one it is.
    pub(crate) gateway: usize,
    pub(crate) admin: SocketAddr,
    pub(crate) room: &'static str,
    /// Events per second.
    pub(crate) rate: u32,
    pub(crate) tally: Arc<Tally>,
    pub(crate) silence: Arc<Silence>,
}

impl Publisher {
    /// Publishes until it is told to stop, and waits for the last answers.
    pub(crate) async fn publish(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut requests = JoinSet::new();
        let mut owed_milli: u64 = 0;
        loop {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                _ = ticks.tick() => {}
            }
            while requests.try_join_next().is_some() {}
            owed_milli += u64::from(self.rate) * EVERY.as_millis() as u64;
            let events = owed_milli / 1_000;
            owed_milli %= 1_000;
            if events > 0 && requests.len() < REQUESTS_MAX {
                requests.spawn(Arc::clone(&self).request(events));
            }
        }
        requests.join_all().await;
    }

    async fn request(self: Arc<Self>, events: u64) {
        let (tally, room) = (&self.tally, self.room);
        let phase = tally.now();
        tally.offer(phase, events);
        let text = "前方高能".to_owned();
        let drafts: Vec<_> =
            (0..events).map(|_| Draft { room, body: Body { text: text.clone() } }).collect();
        let body = json!({ "events": drafts }).to_string();
        let headers = "Authorization: Bearer dev\r\nContent-Type: application/json\r\n";
        let what = "POST /v1/events";
        let answer = http::ask(self.admin, what, headers, body.as_bytes(), ANSWER_MAX).await;
        let outcomes =
            answer.and_then(|answer| serde_json::from_slice::<Outcomes>(&answer.body).ok());
        let Some(outcomes) = outcomes else {
            return tally.count(phase, |phase| phase.unanswered += events);
        };
        for outcome in outcomes.results {
            match outcome {
                Outcome::Published { event, stored } => {
                    tally.ack(phase, event.id, stored);
                    if stored {
                        self.silence.end(self.gateway, tally);
                    }
                }
                Outcome::Refused { error } => tally.refuse(phase, &error.code),
            }
        }
    }
}
