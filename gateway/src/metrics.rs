//! Every metric of a gateway, once: name, unit, help, labels.
//!
//! Live connections are `barrage_connections_total` less the sum of `barrage_closes_total`.
//! No label ever holds a room, a user or an address.

mod broker;
mod labels;
mod register;

use prometheus::{Encoder, Histogram, IntCounter, IntGauge, IntGaugeVec, Registry, TextEncoder};
use protocol::event::Class;
use protocol::refusal::Code;

use crate::auth::TokenFault;
use crate::client::outbox::{Finished, Lane};
use crate::metrics::register::{Counters, counter, counters, gauge, gauges, histogram};
use crate::settings::Reason;

pub(crate) use broker::BrokerMetrics;
pub(crate) use labels::{
    CertificateReload, ConnectionEnd, JoinOutcome, KeyRefresh, Queue, Reload, TurnedAway,
};

/// The metrics of one gateway.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) connections: IntGauge,
    pub(crate) connections_total: IntCounter,
    closes: Counters,
    turned_away: Counters,
    pub(crate) accept_failures: IntCounter,
    refusals: Counters,
    token_faults: Counters,
    key_refreshes: Counters,
    pub(crate) keys: IntGauge,
    accepted: Counters,
    pub(crate) likes: IntCounter,
    pub(crate) repeats: IntCounter,
    joins: Counters,
    pub(crate) rooms: IntGauge,
    pub(crate) room_settings: IntGauge,
    room_settings_faults: Counters,
    left_out: Counters,
    pub(crate) held: IntCounter,
    pub(crate) batch_events: Histogram,
    pub(crate) slot_lag_seconds: Histogram,
    pub(crate) ack_seconds: Histogram,
    frames: Counters,
    sent_bytes: IntCounter,
    pub(crate) received_messages: IntCounter,
    pub(crate) received_bytes: IntCounter,
    pub(crate) gap_events: IntCounter,
    pub(crate) overtaken_frames: IntCounter,
    pub(crate) stuck: IntCounter,
    pub(crate) unmatched: IntCounter,
    pub(crate) pings: IntCounter,
    queue_full: Counters,
    waiting: IntGaugeVec,
    /// Publishes whose acks are awaited.
    pub(crate) acks: IntGauge,
    http: Counters,
    config_reloads: Counters,
    certificate_reloads: Counters,
    pub(crate) ready: IntGauge,
    pub(crate) broker: BrokerMetrics,
}

/// Slot lags and acks: from a hundred microseconds to ten seconds.
const SECONDS: [f64; 12] =
    [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 10.0];
/// Events in a batch: up to a room without a budget.
const EVENTS: [f64; 8] = [0.0, 1.0, 5.0, 10.0, 25.0, 50.0, 250.0, 1000.0];

/// The lanes of a client, and the statuses of answers, as labels.
const LANES: [&str; 2] = ["control", "danmaku"];
const STATUSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

impl Metrics {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let registry = Registry::new();
        let r = &registry;
        let build = gauges(r, "barrage_build_info", "Always 1; what is running", "version")?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let classes = || ("class", Class::ALL.into_iter().map(Class::text));
        let codes = ("code", Code::ALL.iter().map(|code| code.text()));
        let faults = ("fault", TokenFault::ALL.into_iter().map(TokenFault::text));
        let waiting = gauges(
            r,
            "barrage_queue_waiting",
            "Entries that wait in the queues of a kind, at the moment",
            "queue",
        )?;
        Ok(Self {
            acks: waiting.with_label_values(&["acks"]),
            waiting,
            connections: gauge(r, "barrage_connections", "WebSocket connections held now")?,
            connections_total: counter(r, "barrage_connections_total", "Connections accepted")?,
            closes: counters(
                r,
                "barrage_closes_total",
                "Connections ended",
                ("reason", ConnectionEnd::texts()),
            )?,
            turned_away: counters(
                r,
                "barrage_turned_away_total",
                "Connections and requests refused before they became clients",
                ("reason", TurnedAway::TEXTS.iter().copied()),
            )?,
            accept_failures: counter(
                r,
                "barrage_accept_failures_total",
                "Connections that the system would not hand over, for want of files or memory",
            )?,
            refusals: counters(r, "barrage_refusals_total", "Commands refused", codes)?,
            token_faults: counters(
                r,
                "barrage_token_faults_total",
                "Tokens that were not accepted",
                faults,
            )?,
            key_refreshes: counters(
                r,
                "barrage_key_refreshes_total",
                "Looks for new keys",
                ("outcome", KeyRefresh::TEXTS.iter().copied()),
            )?,
            keys: gauge(r, "barrage_keys", "Keys that prove tokens now")?,
            accepted: counters(
                r,
                "barrage_events_accepted_total",
                "Events that the broker has acked",
                classes(),
            )?,
            likes: counter(r, "barrage_likes_total", "Likes counted")?,
            repeats: counter(r, "barrage_repeats_total", "Events seen before and dropped")?,
            joins: counters(
                r,
                "barrage_joins_total",
                "Joins answered",
                ("outcome", JoinOutcome::TEXTS.iter().copied()),
            )?,
            rooms: gauge(r, "barrage_rooms", "Rooms open on this gateway")?,
            room_settings: gauge(r, "barrage_room_settings", "Rooms with settings of their own")?,
            room_settings_faults: counters(
                r,
                "barrage_room_settings_faults_total",
                "Faults in rooms' settings, refused or passed over",
                ("reason", Reason::ALL.into_iter().map(Reason::text)),
            )?,
            left_out: counters(
                r,
                "barrage_left_out_total",
                "Events over a room's budget",
                classes(),
            )?,
            held: counter(
                r,
                "barrage_held_total",
                "Paid events that wait for the next slot of their room, counted in each that they wait for",
            )?,
            batch_events: histogram(r, "barrage_batch_events", "Events sent per slot", &EVENTS)?,
            slot_lag_seconds: histogram(
                r,
                "barrage_slot_lag_seconds",
                "From the end of a slot to its frame",
                &SECONDS,
            )?,
            ack_seconds: histogram(
                r,
                "barrage_ack_seconds",
                "From a publish to the broker's ack",
                &SECONDS,
            )?,
            frames: counters(
                r,
                "barrage_frames_sent_total",
                "Frames written whole",
                ("lane", LANES),
            )?,
            sent_bytes: counter(
                r,
                "barrage_sent_bytes_total",
                "Bytes of frames written whole, answers to handshakes included",
            )?,
            received_messages: counter(r, "barrage_received_messages_total", "Messages read")?,
            received_bytes: counter(r, "barrage_received_bytes_total", "Bytes read")?,
            gap_events: counter(r, "barrage_gap_events_total", "Events told as missed")?,
            overtaken_frames: counter(
                r,
                "barrage_overtaken_frames_total",
                "Frames of a room that a shard was too far behind to send, told as gaps",
            )?,
            stuck: counter(r, "barrage_stuck_total", "Times that a client's socket was full")?,
            unmatched: counter(
                r,
                "barrage_unmatched_total",
                "Members for whom a frame had no variant; anything but 0 is a fault of ours",
            )?,
            pings: counter(r, "barrage_pings_total", "Pings sent")?,
            queue_full: counters(
                r,
                "barrage_queue_full_total",
                "Refusals by a full queue",
                ("queue", Queue::TEXTS.iter().copied()),
            )?,
            http: counters(
                r,
                "barrage_http_requests_total",
                "HTTP requests answered",
                ("status", STATUSES),
            )?,
            config_reloads: counters(
                r,
                "barrage_config_reloads_total",
                "Reloads of the configuration",
                ("outcome", Reload::TEXTS.iter().copied()),
            )?,
            certificate_reloads: counters(
                r,
                "barrage_certificate_reloads_total",
                "Changes of the certificate's files, taken over or refused",
                ("outcome", CertificateReload::TEXTS.iter().copied()),
            )?,
            ready: gauge(r, "barrage_ready", "1 while this gateway is ready for clients")?,
            broker: BrokerMetrics {
                reachable: gauge(r, "barrage_broker_reachable", "1 while the broker is reached")?,
                log: gauge(r, "barrage_broker_log", "1 while the broker keeps events")?,
                published: counter(
                    r,
                    "barrage_broker_published_total",
                    "Events that entered a room's log through this gateway",
                )?,
                unstored: counter(
                    r,
                    "barrage_broker_unstored_total",
                    "Events that went out live: their log did not take them, or their room keeps none",
                )?,
                received: counter(
                    r,
                    "barrage_broker_received_total",
                    "Events delivered to this gateway",
                )?,
                lost: counter(
                    r,
                    "barrage_broker_lost_total",
                    "Events that could not be delivered, as far as is known",
                )?,
                holes: counter(
                    r,
                    "barrage_broker_holes_total",
                    "Entries that came with something missing before them",
                )?,
                retries: counter(
                    r,
                    "barrage_broker_retries_total",
                    "Batches that were sent to a log once more, since it had not acked them",
                )?,
                refused: counter(
                    r,
                    "barrage_broker_refused_total",
                    "What a queue of the broker did not take: it was full, or the servers were away",
                )?,
                overflows: counter(
                    r,
                    "barrage_broker_overflows_total",
                    "Times that messages of the servers were dropped, since nobody took them in time",
                )?,
                waiting: gauge(
                    r,
                    "barrage_broker_waiting_events",
                    "Events that wait for the ack of their log",
                )?,
            },
            registry,
        })
    }

    /// Everything in the text format of Prometheus.
    pub(crate) fn render(&self) -> Vec<u8> {
        let mut text = Vec::new();
        // Fails only if a metric has no name or the writer fails; neither can be here.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        text
    }

    pub(crate) fn closed(&self, end: ConnectionEnd) {
        self.closes.of(end.text()).inc();
    }

    pub(crate) fn turned_away(&self, why: TurnedAway) {
        self.turned_away.of(why.text()).inc();
    }

    pub(crate) fn certificate_reloaded(&self, outcome: CertificateReload) {
        self.certificate_reloads.of(outcome.text()).inc();
    }

    pub(crate) fn refused(&self, code: Code) {
        self.refusals.of(code.text()).inc();
    }

    pub(crate) fn token_fault(&self, fault: TokenFault) {
        self.token_faults.of(fault.text()).inc();
    }

    pub(crate) fn keys_refreshed(&self, outcome: KeyRefresh) {
        self.key_refreshes.of(outcome.text()).inc();
    }

    /// A fault in settings of a room, offered to the server API or kept by the broker.
    pub(crate) fn room_settings_fault(&self, reason: Reason) {
        self.room_settings_faults.of(reason.text()).inc();
    }

    pub(crate) fn accepted(&self, class: Class) {
        self.accepted.of(class.text()).inc();
    }

    pub(crate) fn joined(&self, outcome: JoinOutcome, count: usize) {
        self.joins.of(outcome.text()).inc_by(count as u64);
    }

    pub(crate) fn left_out(&self, class: Class, count: u32) {
        self.left_out.of(class.text()).inc_by(u64::from(count));
    }

    /// Frames that were written to their ends, with all their bytes.
    pub(crate) fn sent(&self, lane: Lane, frames: u64, bytes: u64) {
        let [control, danmaku] = LANES;
        let lane = match lane {
            Lane::Control => control,
            Lane::Danmaku => danmaku,
        };
        self.frames.of(lane).inc_by(frames);
        self.sent_bytes.inc_by(bytes);
    }

    /// The same for frames that had to wait.
    pub(crate) fn finished(&self, finished: Finished) {
        let Finished { control_frames, danmaku_frames, bytes } = finished;
        self.sent(Lane::Control, control_frames, 0);
        self.sent(Lane::Danmaku, danmaku_frames, bytes);
    }

    pub(crate) fn queue_full(&self, queue: Queue) {
        self.queue_full.of(queue.text()).inc();
    }

    /// How many wait in the queues of a kind.
    pub(crate) fn waiting(&self, queue: &str, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.waiting.with_label_values(&[queue]).set(count);
    }

    pub(crate) fn reloaded(&self, outcome: Reload) {
        self.config_reloads.of(outcome.text()).inc();
    }

    pub(crate) fn http(&self, status: u16) {
        let hundreds = usize::from(status / 100).clamp(1, STATUSES.len());
        let status = STATUSES[hundreds - 1];
        self.http.of(status).inc();
    }
}
