//! Who sits where: a seat is expected when a client asks a hub for it, taken when the hub answers,
//! and given up when the client leaves.

use bytes::Bytes;
use protocol::close::CloseReason;
use protocol::frame;
use protocol::ids::{Address, RoomId};
use protocol::refusal::Refusal;
use protocol::to_client::{ServerMessage, joined_head};

use crate::client::members::Member;
use crate::client::{Form, Seat};
use crate::now::Now;
use crate::room::effect::Join;
use crate::shard::clients::SeatAt;
use crate::shard::task::{Shard, WRITES_PER_TURN};
use crate::shard::{AnswerTail, ShardAnswer};

impl Shard {
    pub(super) fn expect(&mut self, address: Address, room: &RoomId, seat: Seat) {
        let Some(client) = self.clients.get(address) else { return };
        let room = self.rooms.enter(room);
        client.seats.push(SeatAt { room, seat, position: None });
        if let Some(seats) = self.rooms.get(room) {
            seats.expected += 1;
        }
    }

    pub(super) fn unseat(&mut self, address: Address, room: &RoomId, seat: Seat) {
        let Some(client) = self.clients.get(address) else { return };
        let Some(number) = self.rooms.find(room) else { return };
        let is_it = |s: &SeatAt| s.room == number && s.seat == seat;
        if let Some(at) = client.seats.iter().position(is_it) {
            client.outbox.forget_room(room);
            let seat = client.seats.swap_remove(at);
            self.take_seat_away(seat);
        }
    }

    pub(super) fn take_seat_away(&mut self, seat: SeatAt) {
        let clients = &mut self.clients;
        let Some(room) = self.rooms.get(seat.room) else { return };
        match seat.position {
            None => room.expected -= 1,
            Some(position) => room.members.remove(position as usize, |slot, position| {
                if let Some(client) = clients.seated(slot) {
                    client.moved(seat.room, position);
                }
            }),
        }
        self.rooms.forget_if_empty(seat.room);
    }

    pub(super) fn refuse(&mut self, room: &RoomId, join: &Join, refusal: &Refusal, now: Now) {
        self.unseat(join.address, room, join.seat);
        self.tell_refused(room, join, refusal, now);
    }

    /// Puts some of a room's members out, and tells them why; returns whether all are out. Those
    /// who are still expected are their hub's to answer.
    pub(super) fn dismiss(&mut self, number: u32, refusal: &Refusal, now: Now) -> bool {
        for _ in 0..WRITES_PER_TURN {
            let Some(seats) = self.rooms.get(number) else { return true };
            let (room, member) = (seats.id.clone(), seats.members.last());
            let seated = member.and_then(|slot| self.clients.seat_in(slot, number));
            let Some((address, seat)) = seated else { return true };
            self.unseat(address, &room, seat);
            self.metrics.refused(refusal.code);
            let join = Join { address, seat, id: None, since: None, history: 0 };
            self.tell_refused(&room, &join, refusal, now);
            if seat.form != Form::EventStream {
                let left = frame::text(&ServerMessage::Left { id: None, room: &room }.render());
                self.send(address, &left, now);
            }
        }
        false
    }

    /// Tells a client why a seat is not its own, or is not any more.
    fn tell_refused(&mut self, room: &RoomId, join: &Join, refusal: &Refusal, now: Now) {
        if let Some(client) = self.clients.get(join.address) {
            client.sink.refuse(room.clone(), join.seat);
        }
        let error = ServerMessage::refusal(join.id, Some(room.as_str()), refusal);
        let error = join.seat.form.message("error", None, &[&error.render()]);
        match join.seat.form {
            Form::Plain | Form::Deflated => self.send(join.address, &error, now),
            // It has come for this room only.
            Form::EventStream => {
                let Address { slot, generation, .. } = join.address;
                self.end(slot, generation, CloseReason::Normal, &error, now);
            }
        }
    }

    pub(super) fn seat(&mut self, room: u32, answer: &ShardAnswer, now: Now) {
        let mut event = None;
        for join in &answer.joins {
            let Some(client) = self.clients.get(join.address) else { continue };
            let is_it = |s: &&mut SeatAt| s.room == room && s.seat == join.seat;
            // A client that left, or joined anew, before the answer came has no such seat.
            let Some(seat) = client.seats.iter_mut().find(is_it) else { continue };
            let Some(seats) = self.rooms.get(room) else { continue };
            let member = Member::at(answer.head, join.address.slot, join.seat.form);
            seats.expected -= 1;
            seat.position = Some(seats.members.seat(member) as u32);
            match join.seat.form {
                Form::Plain | Form::Deflated => self.send_joined(join, answer, now),
                Form::EventStream => {
                    // No command was numbered, so all are told the same.
                    let event = event.get_or_insert_with(|| joined_event(answer));
                    self.send(join.address, event, now);
                }
            }
        }
    }

    fn send_joined(&mut self, join: &Join, answer: &ShardAnswer, now: Now) {
        let mut message = joined_head(join.id);
        match &answer.tail {
            AnswerTail::Copied(tail) => {
                message.extend_from_slice(tail);
                self.send(join.address, &frame::text(&message), now);
            }
            AnswerTail::Shared(last) => {
                self.send(join.address, &frame::text_first(&message), now);
                self.send(join.address, last, now);
            }
        }
    }
}

fn joined_event(answer: &ShardAnswer) -> Bytes {
    let tail = match &answer.tail {
        AnswerTail::Copied(tail) => tail,
        AnswerTail::Shared(last) => frame::payload(last),
    };
    Form::EventStream.message("joined", Some(answer.head), &[&joined_head(None), tail])
}
