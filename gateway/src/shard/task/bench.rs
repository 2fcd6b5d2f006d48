//! A shard without a kernel, or with one: driven by hand, for benches.

use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use protocol::cursor::{Bookmark, Cursor, Epoch};
use protocol::frame;
use protocol::ids::{BootId, RoomId, UserId};
use protocol::to_client::StateChange;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::client::{Form, Seat};
use crate::health::Pulse;
use crate::metrics::Metrics;
use crate::now::{Clock, Now};
use crate::room::effect::Join;
use crate::shard::stream::EventFrames;
use crate::shard::task::{Shard, ShardRules};
use crate::shard::{
    AnswerTail, ClientSink, EventStream, FrameVariant, Handover, RoomCommand, ShardAnswer,
    ShardFrame, Socket,
};

/// A shard with one room, whose members are all served with every frame.
#[derive(Debug)]
pub struct FlushStage {
    shard: Shard,
    room: RoomId,
    now: Now,
    seq: u64,
    form: Form,
    /// What members in memory were sent.
    streams: Vec<EventFrames>,
}

impl FlushStage {
    /// Seats so many members whose frames go to queues in memory, as those of event streams do.
    ///
    /// # Panics
    /// The metrics cannot be made.
    pub fn in_memory(members: u32) -> Self {
        let mut stage = Self::new(Form::EventStream);
        for _ in 0..members {
            let (stream, frames) = EventStream::new(Rc::new(Notify::new()));
            stage.seat(ClientSink::Events(Rc::new(stream)));
            stage.streams.push(frames);
        }
        stage.take();
        stage
    }

    /// Seats members whose frames go to these sockets.
    ///
    /// # Panics
    /// The metrics cannot be made.
    pub fn on_sockets(sockets: impl IntoIterator<Item = TcpStream>) -> Self {
        let mut stage = Self::new(Form::Plain);
        for socket in sockets {
            stage.seat(ClientSink::Socket(Rc::new(Socket::plain(socket))));
        }
        stage
    }

    fn new(form: Form) -> Self {
        let metrics = Arc::new(Metrics::new().expect("metrics have different names"));
        let (boot, pulse) = (BootId::random([1; 8]), Pulse::default());
        let (rules, clock) = (ShardRules::default(), Clock::system());
        let shard = Shard::new(boot, 0, Handover::default(), clock, rules, metrics, pulse);
        let room = RoomId::parse("demo").expect("a good name");
        let now = Now { mono: Duration::from_secs(1), unix_ms: 1_760_000_000_000 };
        Self { shard, room, now, seq: 1, form, streams: Vec::new() }
    }

    fn seat(&mut self, sink: ClientSink) {
        let user = UserId::parse("somebody").expect("a good id");
        let address = self.shard.attach(sink, user, self.now);
        let seat = Seat { number: 1, form: self.form };
        self.shard.expect(address, &self.room, seat);
        let join = Join { address, seat, id: None, since: None, history: 0 };
        let tail = AnswerTail::Copied("}".into());
        let (room, head) = (self.room.clone(), self.cursor());
        let answer = ShardAnswer { room, joins: vec![join], head, tail };
        self.shard.room(RoomCommand::Answer(answer), self.now);
        self.flush();
    }

    fn cursor(&self) -> Bookmark {
        Cursor { epoch: Epoch::random([7; 8]), seq: self.seq }.into()
    }

    /// Hands the shard a frame of the room with so many bytes of payload, as a hub does.
    pub fn queue(&mut self, bytes: usize) {
        let prev = self.cursor();
        self.seq += 1;
        let mut forms = [None, None, None];
        forms[self.form as usize] = Some(frame::text(&vec![b'x'; bytes]));
        let (cursor, state) = (self.cursor(), StateChange::default());
        let variant = FrameVariant { prev, cursor, count: 1, missed: 0, state, forms };
        let frame = ShardFrame { room: self.room.clone(), variants: [variant].into() };
        self.shard.room(RoomCommand::Frame(frame), self.now);
    }

    /// Does all the work that waits: what is measured.
    pub fn flush(&mut self) {
        while self.shard.rooms.jobs() > 0 {
            self.shard.work(self.now);
        }
    }

    /// Takes what members in memory were sent; returns how many frames.
    pub fn take(&mut self) -> u64 {
        let mut context = std::task::Context::from_waker(Waker::noop());
        let mut taken = 0;
        for stream in &mut self.streams {
            while let std::task::Poll::Ready(Some(_)) = stream.poll_next(&mut context) {
                taken += 1;
            }
        }
        taken
    }
}
