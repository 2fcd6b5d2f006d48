//! A TCP proxy whose link can be slowed, stalled, cut and reset.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

/// Bytes of one read.
const CHUNK: usize = 16 * 1024;
/// Reads on their way in one direction; when there are more, the sender's socket fills.
const CHUNKS_ON_THE_WAY: usize = 64;

/// What the link does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Passes everything on after so long, in each direction.
    Flows(Duration),
    /// Half-open: connections stay, new ones are taken, and nothing passes in either direction.
    /// What was sent meanwhile passes when the link flows again.
    Stalls,
    /// Whoever connects is reset at once. Connections that are there flow without delay.
    Refuses,
}

/// How connections end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// As if both ends had closed.
    Closed,
    /// As if both ends had crashed.
    Reset,
}

/// A proxy in front of one address. Its connections end when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    link: watch::Sender<Link>,
    ends: watch::Sender<(u64, End)>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts one on a free port of 127.0.0.1; its link flows without delay.
    ///
    /// # Panics
    /// There is no free port.
    pub async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there are free ports");
        let address = listener.local_addr().unwrap();
        let link = watch::Sender::new(Link::Flows(Duration::ZERO));
        let ends = watch::Sender::new((0, End::Closed));
        let task = tokio::spawn(accept(listener, server, link.subscribe(), ends.subscribe()));
        Self { address, link, ends, task }
    }

    /// Where to connect instead.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what the link does, for connections that are there too.
    pub fn set(&self, link: Link) {
        self.link.send_replace(link);
    }

    /// Closes all connections at both ends.
    pub fn cut(&self) {
        self.end(End::Closed);
    }

    /// Resets all connections at both ends.
    pub fn reset(&self) {
        self.end(End::Reset);
    }

    fn end(&self, end: End) {
        self.ends.send_modify(|(count, how)| (*count, *how) = (*count + 1, end));
    }

    /// Connections there are now.
    pub fn connections(&self) -> usize {
        // Each holds one receiver for itself; one more belongs to the acceptor.
        self.ends.receiver_count().saturating_sub(1)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    server: SocketAddr,
    link: watch::Receiver<Link>,
    ends: watch::Receiver<(u64, End)>,
) {
    // They end with this task.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        if *link.borrow() == Link::Refuses {
            let _ = client.set_zero_linger();
            continue;
        }
        let (link, mut ends) = (link.clone(), ends.clone());
        ends.mark_unchanged();
        connections.spawn(async move {
            // A failure of either end ends both, which is all that a proxy can say of it.
            let _ = connect(client, server, link, ends).await;
        });
    }
}

async fn connect(
    mut client: TcpStream,
    server: SocketAddr,
    mut link: watch::Receiver<Link>,
    mut ends: watch::Receiver<(u64, End)>,
) -> io::Result<()> {
    let connected = async {
        due(&mut link, Instant::now()).await;
        TcpStream::connect(server).await
    };
    let mut server = tokio::select! {
        connected = connected => connected?,
        _ = ends.changed() => return finish(&[client], ends.borrow().1),
    };
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let ended = {
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        let passing = async {
            tokio::try_join!(
                pass(from_client, to_server, link.clone()),
                pass(from_server, to_client, link.clone())
            )
        };
        tokio::select! {
            passed = passing => passed.map_or(End::Reset, |_| End::Closed),
            _ = ends.changed() => ends.borrow().1,
        }
    };
    finish(&[client, server], ended)
}

/// Drops the streams so that their peers see that end.
fn finish(streams: &[TcpStream], end: End) -> io::Result<()> {
    if end == End::Reset {
        for stream in streams {
            stream.set_zero_linger()?;
        }
    }
    Ok(())
}

/// Passes on one direction until its end.
async fn pass(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut link: watch::Receiver<Link>,
) -> io::Result<()> {
    let (queue, mut chunks) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_ON_THE_WAY);
    let read = async move {
        loop {
            let mut chunk = vec![0; CHUNK];
            let length = from.read(&mut chunk).await?;
            chunk.truncate(length);
            if queue.send((Instant::now(), chunk)).await.is_err() || length == 0 {
                return Ok::<_, io::Error>(());
            }
        }
    };
    let write = async move {
        while let Some((sent, chunk)) = chunks.recv().await {
            due(&mut link, sent).await;
            if chunk.is_empty() {
                to.shutdown().await?;
            } else {
                to.write_all(&chunk).await?;
            }
        }
        Ok(())
    };
    tokio::try_join!(read, write).map(|_| ())
}

/// Waits until something that was sent then may pass.
async fn due(link: &mut watch::Receiver<Link>, sent: Instant) {
    loop {
        let due = match *link.borrow_and_update() {
            Link::Flows(delay) => Some(sent + delay),
            Link::Refuses => Some(sent),
            Link::Stalls => None,
        };
        tokio::select! {
            biased;
            changed = link.changed() => if changed.is_err() {
                // The proxy is gone, and this connection about to be.
                return std::future::pending().await;
            },
            () = sleep_until(due.unwrap_or(sent)), if due.is_some() => return,
        }
    }
}
