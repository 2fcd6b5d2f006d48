//! What leaves a hub: answers and frames, made once and handed to every shard that needs them.

use std::sync::Arc;

use ahash::AHashMap;
use bytes::Bytes;
use protocol::deflate::DEFLATE_BYTES_MIN;
use protocol::ids::RoomId;
use protocol::refusal::Refusal;
use protocol::{event_stream, frame};

use crate::client::Form;
use crate::hub::Hub;
use crate::metrics::JoinOutcome;
use crate::room::effect::{Answer, Join, RoomFrame, Variant};
use crate::shard::{AnswerTail, FrameVariant, RoomCommand, ShardAnswer, ShardFrame};

/// An answer above this size is shared instead of copied for each client: below it, a second
/// write to the socket costs more than the copy.
const SHARED_BYTES_MIN: usize = 8 * 1024;

impl Hub {
    /// Tells clients that they are not let in.
    pub(super) async fn refuse(&self, id: &RoomId, joins: Vec<Join>, refusal: Refusal) {
        self.metrics.joined(JoinOutcome::Refused, joins.len());
        for (shard, joins) in by_shard(joins) {
            let (room, refusal) = (id.clone(), refusal.clone());
            self.shards[shard].room(RoomCommand::Refuse { room, joins, refusal }).await;
        }
    }

    /// Puts out whoever sits in a room on these shards.
    pub(super) async fn dismiss(&self, id: &RoomId, shards: Vec<u16>, refusal: Refusal) {
        for shard in shards {
            let (room, refusal) = (id.clone(), refusal.clone());
            self.shards[usize::from(shard)].room(RoomCommand::Dismiss { room, refusal }).await;
        }
    }

    pub(super) async fn answer(&mut self, id: &RoomId, answer: Answer) {
        let outcome = match answer.recovered {
            None => JoinOutcome::Fresh,
            Some(true) => JoinOutcome::Recovered,
            Some(false) => JoinOutcome::NotRecovered,
        };
        self.metrics.joined(outcome, answer.joins.len());
        let tail = if answer.tail.len() < SHARED_BYTES_MIN {
            AnswerTail::Copied(answer.tail.into())
        } else {
            AnswerTail::Shared(frame::text_last(&answer.tail))
        };
        for (shard, joins) in by_shard(answer.joins) {
            let (room, tail) = (id.clone(), tail.clone());
            let answer = ShardAnswer { room, joins, head: answer.head, tail };
            self.shards[shard].room(RoomCommand::Answer(answer)).await;
        }
    }

    pub(super) async fn send_frame(&mut self, id: &RoomId, frame: RoomFrame) {
        let RoomFrame { name, variants, shards, plain, deflated, event_stream } = frame;
        let encode = |variant| self.encode(name, variant, plain, deflated, event_stream);
        let variants: Arc<[FrameVariant]> = variants.into_iter().map(encode).collect();
        for shard in shards {
            let frame = ShardFrame { room: id.clone(), variants: Arc::clone(&variants) };
            self.shards[usize::from(shard)].room(RoomCommand::Frame(frame)).await;
        }
    }

    /// Makes complete frames of a batch: the one place where that happens, once per form.
    fn encode(
        &mut self,
        name: &str,
        variant: Variant,
        plain: bool,
        deflated: bool,
        event_stream: bool,
    ) -> FrameVariant {
        let Variant { prev, cursor, payload, count, state } = variant;
        let small = payload.len() < DEFLATE_BYTES_MIN;
        let plain = (plain || (deflated && small)).then(|| frame::text(&payload));
        let mut forms: [Option<Bytes>; Form::ALL.len()] = [None, None, None];
        forms[Form::EventStream as usize] =
            event_stream.then(|| event_stream::event(name, Some(cursor), &[&payload]));
        forms[Form::Deflated as usize] = match (deflated, small) {
            (false, _) => None,
            // A frame of a compressing connection may be plain (RFC 7692 section 6).
            (true, true) => plain.clone(),
            (true, false) => Some(frame::deflated_text(&self.deflater.deflate(&payload))),
        };
        forms[Form::Plain as usize] = plain;
        FrameVariant { prev, cursor, count, missed: 0, state, forms }
    }
}

/// Sorts joins by the shard that their clients sit on.
fn by_shard(joins: Vec<Join>) -> AHashMap<usize, Vec<Join>> {
    let mut sorted: AHashMap<usize, Vec<Join>> = AHashMap::new();
    for join in joins {
        sorted.entry(usize::from(join.address.shard)).or_default().push(join);
    }
    sorted
}
