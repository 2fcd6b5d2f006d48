//! An event stream as its shard sees it: a queue of two frames into the body of an HTTP answer.
//!
//! A full queue is a full socket: what does not fit waits in the outbox, where it is counted and
//! can be dropped. Shard and body are tasks of one thread.

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};

use crate::shard::sink::Owed;

/// Frames between the outbox and what HTTP writes.
const FRAMES: usize = 2;

/// The shard's end.
#[derive(Debug)]
pub(crate) struct EventStream {
    frames: mpsc::Sender<Bytes>,
    finished: Rc<Cell<bool>>,
    cut: Rc<Notify>,
    owed: Owed,
}

/// The body's end.
#[derive(Debug)]
pub(crate) struct EventFrames {
    frames: mpsc::Receiver<Bytes>,
    finished: Rc<Cell<bool>>,
}

impl EventStream {
    /// Both ends. `cut` is told when the connection must end although its client does not read.
    pub(crate) fn new(cut: Rc<Notify>) -> (Self, EventFrames) {
        let (sender, frames) = mpsc::channel(FRAMES);
        let finished = Rc::new(Cell::new(false));
        (
            Self { frames: sender, finished: Rc::clone(&finished), cut, owed: Owed::default() },
            EventFrames { frames, finished },
        )
    }

    /// Waits until the client has gone, or has been told everything after the end.
    pub(crate) async fn ended(&self) {
        self.frames.closed().await;
    }

    /// What the viewer is owed.
    pub(crate) fn owed(&self) -> &Owed {
        &self.owed
    }

    /// Takes a frame whole: `Some(false)` if none can be taken now, `None` if the client is gone.
    pub(super) fn try_push(&self, frame: &Bytes) -> Option<bool> {
        match self.frames.try_send(frame.clone()) {
            Ok(()) => Some(true),
            Err(mpsc::error::TrySendError::Full(_)) => Some(false),
            Err(mpsc::error::TrySendError::Closed(_)) => None,
        }
    }

    /// Waits until a frame may be taken, or the client is gone.
    pub(super) async fn free(&self) {
        // Its end shows in the next push.
        let _ = self.frames.reserve().await;
    }

    /// Ends the body after what was pushed.
    pub(super) fn finish(&self) {
        self.finished.set(true);
        // An empty frame wakes a body that waits; one that does not wait finds out by itself.
        let _ = self.frames.try_send(Bytes::new());
    }

    /// Ends the connection, unless the body has ended: what was written is still on its way then.
    pub(super) fn abort(&self) {
        if !self.frames.is_closed() {
            self.cut.notify_one();
        }
    }
}

impl EventFrames {
    /// The next frame; `None` at the end.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            match self.frames.poll_recv(cx) {
                Poll::Ready(Some(frame)) if frame.is_empty() => {}
                Poll::Pending if self.finished.get() => return Poll::Ready(None),
                frame @ (Poll::Ready(_) | Poll::Pending) => return frame,
            }
        }
    }
}
