//! Watches over full sockets.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::shard::ClientSink;

/// Waits until a full socket takes more.
pub(crate) struct Watch(Pin<Box<dyn Future<Output = (u32, u32)>>>);

impl Watch {
    pub(crate) fn new(sink: ClientSink, slot: u32, generation: u32) -> Self {
        Self(Box::pin(async move {
            sink.writable().await;
            (slot, generation)
        }))
    }
}

impl Future for Watch {
    type Output = (u32, u32);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}
