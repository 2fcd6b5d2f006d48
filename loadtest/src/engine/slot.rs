//! One client of a worker, as a machine: bytes of the gateway in; bytes to be sent, and what the
//! connection has come to, out. Sockets are the engine's.

mod speaking;

use std::rc::Rc;

use rand::RngExt as _;

use crate::engine::slot::speaking::{PUBLISH_ID, Pending};
use crate::engine::world::{World, phase_of};
use crate::plan::Send;
use crate::truth::digest::Heard;
use crate::truth::life::{Join, Life};
use crate::truth::told::Kind;
use crate::wire::frames::{self, Item, Reader};
use crate::wire::handshake::{self, Answer};
use crate::wire::{commands, message};

/// Close codes from here on ask a client to stay away.
const STAY_AWAY_FROM: u16 = 4500;
/// The `id` of every ping.
const PING_ID: u64 = 2;

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Phase {
    /// There is none.
    #[default]
    Away,
    /// The socket is being connected, or the upgrade has been asked for.
    Upgrading,
    /// The room has been asked for.
    Joining,
    /// In the room.
    In,
}

/// What a connection has come to when its client gives it up.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum End {
    /// Come back, not before this many µs if the gateway said so.
    ComeBack(Option<u64>, String),
    /// Stay away.
    StayAway(String),
}

/// One client.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    /// Its place in the worker's plan.
    pub(crate) index: usize,
    /// How far it has come.
    pub(crate) phase: Phase,
    /// To be written to its socket.
    pub(crate) out: Vec<u8>,
    /// What it got.
    pub(crate) life: Life,
    /// When its connection was to be made, in µs since 1970.
    pub(crate) intended_us: u64,
    /// Failures since it was last in.
    pub(crate) failures: u32,
    reader: Reader,
    head: Vec<u8>,
    cursor: Option<Rc<str>>,
    resume: bool,
    asked_us: u64,
    pinged_us: Option<u64>,
    pending: Vec<Pending>,
    /// What was to be sent while there was no connection.
    waiting: Vec<Send>,
    goodbye: Option<End>,
}

impl Slot {
    /// The client at this place of the worker's plan.
    pub(crate) fn new(index: usize) -> Self {
        Self { index, ..Self::default() }
    }

    /// Begins a connection whose socket is being connected.
    pub(crate) fn connect(&mut self, world: &World, resume: bool) {
        let target = &world.plan.target;
        self.phase = Phase::Upgrading;
        self.resume = resume;
        self.reader = Reader::default();
        self.head = Vec::new();
        let request = handshake::request(&target.host, &target.path, world.plan.deflate);
        self.out = request.into_bytes();
        self.goodbye = None;
    }

    /// Takes bytes from the socket; says so if the connection is to be given up.
    pub(crate) fn read(&mut self, bytes: &[u8], world: &mut World) -> Option<End> {
        let mut bytes = bytes;
        let head;
        if self.phase == Phase::Upgrading {
            self.head.extend_from_slice(bytes);
            match handshake::answer(&self.head) {
                Answer::Incomplete => return None,
                Answer::Refused(status) => {
                    return Some(End::ComeBack(None, format!("upgrade refused: {status}")));
                }
                Answer::Upgraded { length } => {
                    head = std::mem::take(&mut self.head);
                    bytes = &head[length..];
                    self.ask_in(world);
                }
            }
        }
        let (mut end, mut reader) = (None, std::mem::take(&mut self.reader));
        let read = reader.read(bytes, |item| {
            if end.is_none() {
                end = self.item(item, world);
            }
        });
        self.reader = reader;
        let fault = read.err().map(|fault| {
            self.life.malform(fault.to_string());
            End::ComeBack(None, "malformed frames".into())
        });
        end.or(fault)
    }

    fn ask_in(&mut self, world: &mut World) {
        let room = &world.plan.rooms[self.room(world)].name;
        let since = self.cursor.as_deref().filter(|_| self.resume);
        let join = commands::join(room, since);
        self.phase = Phase::Joining;
        self.asked_us = world.now_us;
        self.write(&join, world);
    }

    fn item(&mut self, item: Item<'_>, world: &mut World) -> Option<End> {
        match item {
            Item::Text { payload, compressed } => {
                let since_start_us = world.now_us.saturating_sub(world.start_us);
                let second = world.tally.second(since_start_us);
                second.frames += 1;
                second.bytes += payload.len() as u64;
                let heard = world.digests.hear(payload, compressed);
                self.heard(heard, world)
            }
            Item::Ping(payload) => {
                let mask = world.random.random();
                frames::pong(payload, mask, &mut self.out);
                world.tally.count("server_pings", 1);
                None
            }
            Item::Pong => None,
            Item::Binary => {
                self.life.malform("a binary frame".into());
                None
            }
            Item::Close(code) => Some(self.closed(code, world)),
        }
    }

    fn heard(&mut self, heard: Heard, world: &mut World) -> Option<End> {
        match heard {
            Heard::Told(no) => self.told(no, world),
            Heard::Ack(id) => self.answered(id, true, world),
            Heard::Pong(_) => {
                if let Some(pinged_us) = self.pinged_us.take() {
                    world.tally.pong.record(world.now_us.saturating_sub(pinged_us));
                }
            }
            Heard::Refused(id, refused) => return self.refused(id, &refused, world),
            Heard::Goodbye(goodbye) => {
                world.tally.count(format!("goodbye {}", goodbye.reason), 1);
                let after_us = goodbye.reconnect_after_ms.saturating_mul(1000);
                self.goodbye = Some(match goodbye.reconnect {
                    true => End::ComeBack(Some(after_us), goodbye.reason),
                    false => End::StayAway(goodbye.reason),
                });
            }
            Heard::Malformed(what) => self.life.malform(what),
            Heard::Other => {}
        }
        None
    }

    fn told(&mut self, no: u32, world: &mut World) {
        let told = &world.digests.told[no as usize];
        if *told.room != *world.plan.rooms[world.plan.clients[self.index].room].name {
            return self.life.malform(format!("about the room {}", told.room));
        }
        self.life.told.push(no);
        self.cursor = Some(told.cursor_text.clone());
        let group = world.plan.clients[self.index].group;
        world.told_last_us = world.now_us;
        let now_us = world.now_us;
        match told.kind {
            Kind::Joined { .. } => self.joined(world),
            Kind::Gap => world.tally.count("gaps", 1),
            Kind::Batch => {
                let phase = phase_of(&world.phases, now_us);
                world.tally.seen[phase][group].batches += 1;
                let second = world.tally.second(now_us.saturating_sub(world.start_us));
                second.events += told.events.len() as u64;
                for intended_us in &told.intended_us {
                    second.late(now_us.saturating_sub(*intended_us));
                }
                for intended_us in &told.intended_us {
                    let seen = &mut world.tally.seen[phase_of(&world.phases, *intended_us)][group];
                    seen.latency.record(now_us.saturating_sub(*intended_us));
                }
            }
        }
    }

    fn joined(&mut self, world: &mut World) {
        self.life.joins.push(Join { asked_us: self.asked_us, answered_us: world.now_us });
        if self.phase == Phase::In {
            return;
        }
        self.phase = Phase::In;
        self.failures = 0;
        world.joined += 1;
        let tally = &mut world.tally;
        let phase = phase_of(&world.phases, self.intended_us);
        tally.joins[phase].add(self.intended_us, world.now_us);
        tally.second(world.now_us.saturating_sub(world.start_us)).joined += 1;
        for send in std::mem::take(&mut self.waiting) {
            self.publish(send, world);
        }
    }

    /// Asks for a sign of life that was due at this time; not while one is awaited.
    pub(crate) fn ping(&mut self, intended_us: u64, world: &mut World) {
        if self.phase == Phase::In && self.pinged_us.is_none() {
            self.write(&commands::ping(PING_ID), world);
            self.pinged_us = Some(intended_us);
        }
    }

    /// Says goodbye.
    pub(crate) fn leave(&mut self, world: &mut World) {
        let mask = world.random.random();
        frames::close(1000, mask, &mut self.out);
    }

    fn refused(
        &mut self,
        id: Option<u64>,
        refused: &message::Refused,
        world: &mut World,
    ) -> Option<End> {
        world.tally.count(format!("refused {}", refused.code), 1);
        match id {
            Some(PING_ID) => self.pinged_us = None,
            Some(id) if id >= PUBLISH_ID => self.answered(id, false, world),
            // A refused join, or one that ends the connection.
            _ => {
                let why = format!("{}: {}", refused.code, refused.message);
                let after_us = refused.retry_after_ms.map(|ms| ms.saturating_mul(1000));
                return Some(match after_us {
                    Some(_) => End::ComeBack(after_us, why),
                    None => End::StayAway(why),
                });
            }
        }
        None
    }

    fn closed(&mut self, code: Option<u16>, world: &mut World) -> End {
        let code = code.unwrap_or(1005);
        world.tally.count(format!("closed {code}"), 1);
        match (self.goodbye.take(), code) {
            (Some(end), _) => end,
            (None, STAY_AWAY_FROM..5000) => End::StayAway(format!("closed with {code}")),
            (None, _) => End::ComeBack(None, format!("closed with {code}")),
        }
    }

    /// The connection is gone: what was published over it and not acked may be or not.
    pub(crate) fn lost(&mut self, world: &mut World) {
        if self.phase == Phase::In {
            world.joined -= 1;
        }
        self.phase = Phase::Away;
        self.give_up_pending(world);
        self.pinged_us = None;
        self.out = Vec::new();
        self.reader = Reader::default();
        self.head = Vec::new();
    }

    fn room(&self, world: &World) -> usize {
        world.plan.clients[self.index].room
    }

    fn write(&mut self, command: &str, world: &mut World) {
        let mask = world.random.random();
        frames::text(command.as_bytes(), mask, &mut self.out);
    }
}
