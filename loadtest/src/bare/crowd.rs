//! Many clients that read as cheaply as can be: one thread, and the kernel throws the bytes away.
//!
//! Only the first client reads what it gets, and finds the frames in it; of the others only
//! bytes are counted, and each must have had as many as the first. Between two sweeps over what
//! is readable the crowd sleeps: were it to wait for the next byte, the server would pay for
//! waking it with every frame.

mod frames;

use std::io::{BufRead as _, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use serde::{Deserialize, Serialize};

use crate::bare::crowd::frames::Frames;

/// Between two sweeps.
const PAUSE: Duration = Duration::from_millis(1);
/// What is thrown away at once, in bytes.
const DISCARDED: usize = 256 * 1024;
/// A byte that does not come within this time is missing.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a crowd is told to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Open so many connections more.
    Connect { address: SocketAddr, count: u32, greeting: Greeting },
    /// Read until nothing comes for a while; forget what came so far.
    Settle { quiet_ms: u64 },
    /// Read until all have had the same, and at least one frame. Said to be ready at once.
    Watch,
}

/// What a client says first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Greeting {
    Nothing,
    /// The handshake of a WebSocket.
    WebSocket,
    /// The same, and the wish to join a room of the gateway's.
    Room(String),
}

/// What a crowd answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Answer {
    Connected,
    Settled,
    Ready,
    Seen(Seen),
}

/// What every client had since the order to watch.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) frames: u32,
    /// All of them together, with their headers.
    pub(crate) bytes: u32,
    /// From the sweep that found the first byte to the one that found the last.
    pub(crate) spread_us: u64,
}

/// Does what the lines of standard input say, until their end.
///
/// # Errors
/// A server does not answer, hangs up, or does not send everybody the same.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut crowd = Crowd::new()?;
    for line in std::io::stdin().lock().lines() {
        let answer = match serde_json::from_str(&line?)? {
            Order::Connect { address, count, greeting } => {
                crowd.connect(address, count, &greeting)?;
                Answer::Connected
            }
            Order::Settle { quiet_ms } => {
                crowd.settle(Duration::from_millis(quiet_ms))?;
                Answer::Settled
            }
            Order::Watch => {
                crowd.forget();
                say(&Answer::Ready)?;
                Answer::Seen(crowd.watch()?)
            }
        };
        say(&answer)?;
    }
    Ok(())
}

pub(super) fn say(answer: &impl Serialize) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    Ok(out.flush()?)
}

/// The clients of one server.
struct Crowd {
    epoll: OwnedFd,
    sockets: Vec<TcpStream>,
    /// What each has had since it was last forgotten, in bytes.
    had: Vec<u64>,
    /// The same of all together.
    had_by_all: u64,
    first: Frames,
    ready: Vec<epoll::Event>,
    discarded: Vec<u8>,
}

impl Crowd {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            sockets: Vec::new(),
            had: Vec::new(),
            had_by_all: 0,
            first: Frames::default(),
            ready: Vec::new(),
            discarded: vec![0; DISCARDED],
        })
    }

    fn connect(
        &mut self,
        address: SocketAddr,
        count: u32,
        greeting: &Greeting,
    ) -> anyhow::Result<()> {
        let from = self.sockets.len();
        for _ in 0..count {
            let mut socket = TcpStream::connect(address).context("cannot connect")?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.write_all(&greeting.bytes(address))?;
            self.sockets.push(socket);
        }
        for (at, socket) in self.sockets.iter_mut().enumerate().skip(from) {
            greeting.answered(socket)?;
            socket.set_nonblocking(true)?;
            let events = EventFlags::IN | EventFlags::ET;
            epoll::add(&self.epoll, &*socket, EventData::new_u64(at as u64), events)?;
        }
        self.had.resize(self.sockets.len(), 0);
        // One event each, so that a sweep finds all that is readable.
        let none = epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) };
        self.ready.resize(self.sockets.len(), none);
        Ok(())
    }

    fn forget(&mut self) {
        self.had.fill(0);
        self.had_by_all = 0;
        self.first = Frames::default();
    }

    fn settle(&mut self, quiet: Duration) -> anyhow::Result<()> {
        let mut heard = Instant::now();
        while heard.elapsed() < quiet {
            if self.sweep()? {
                heard = Instant::now();
            }
            pause();
        }
        Ok(())
    }

    fn watch(&mut self) -> anyhow::Result<Seen> {
        let started = Instant::now();
        let mut first = None;
        loop {
            if self.sweep()? {
                let now = Instant::now();
                let spread = now - *first.get_or_insert(now);
                if self.is_level()? {
                    return Ok(Seen {
                        frames: self.first.count(),
                        bytes: u32::try_from(self.had[0])?,
                        spread_us: u64::try_from(spread.as_micros())?,
                    });
                }
            }
            if started.elapsed() > PATIENCE {
                let lag = self.had.iter().filter(|had| **had != self.had[0]).count();
                bail!("{lag} of {} clients did not get what the first one did", self.had.len());
            }
            pause();
        }
    }

    /// Whether everybody has had the same, whole frames.
    fn is_level(&self) -> anyhow::Result<bool> {
        let had = self.had[0];
        if self.first.count() == 0 || !self.first.are_whole() {
            return Ok(false);
        }
        if self.had_by_all != had * self.had.len() as u64 {
            return Ok(false);
        }
        if self.had.iter().any(|other| *other != had) {
            bail!("the sum is right, but not everybody had the same");
        }
        Ok(true)
    }

    /// Takes everything that can be read; returns whether there was anything.
    fn sweep(&mut self) -> anyhow::Result<bool> {
        let zero = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
        let count = epoll::wait(&self.epoll, self.ready.as_mut_slice(), Some(&zero))?;
        for event in 0..count {
            let at = self.ready[event].data.u64() as usize;
            self.take(at)?;
        }
        Ok(count > 0)
    }

    fn take(&mut self, at: usize) -> anyhow::Result<()> {
        // For the first client the bytes are copied, for the others thrown away where they are.
        let flags = if at == 0 { RecvFlags::empty() } else { RecvFlags::TRUNC };
        loop {
            match recv(&self.sockets[at], self.discarded.as_mut_slice(), flags) {
                Ok((_, 0)) => bail!("a server has hung up"),
                Ok((_, count)) => {
                    self.had[at] += count as u64;
                    self.had_by_all += count as u64;
                    if at == 0 {
                        self.first.read(&self.discarded[..count]);
                    }
                    // Less than asked for: there was no more, and more will be told.
                    if count < DISCARDED {
                        return Ok(());
                    }
                }
                Err(Errno::AGAIN) => return Ok(()),
                Err(error) => bail!("cannot read: {error}"),
            }
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "waiting for a byte would cost the server, see above")]
fn pause() {
    std::thread::sleep(PAUSE);
}

impl Greeting {
    fn bytes(&self, address: SocketAddr) -> Vec<u8> {
        let handshake = format!(
            "GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        match self {
            Self::Nothing => Vec::new(),
            Self::WebSocket => handshake.into_bytes(),
            Self::Room(room) => {
                let join = format!(r#"{{"type":"join","room":"{room}"}}"#);
                [handshake.as_bytes(), &masked(join.as_bytes())].concat()
            }
        }
    }

    /// Reads up to the end of the server's answer. What is behind it is nobody's business yet.
    fn answered(&self, socket: &mut TcpStream) -> anyhow::Result<()> {
        let end: &[u8] = match self {
            Self::Nothing => return Ok(()),
            Self::WebSocket => b"\r\n\r\n",
            Self::Room(_) => br#"{"type":"joined""#,
        };
        let mut answer = Vec::new();
        let mut into = [0; 4096];
        while !answer.windows(end.len()).any(|window| window == end) {
            match socket.read(&mut into) {
                Ok(0) => bail!("a server hangs up: {}", String::from_utf8_lossy(&answer)),
                Ok(count) => answer.extend_from_slice(&into[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("a server does not answer a handshake"),
            }
        }
        Ok(())
    }
}

/// A text message of at most 125 bytes, as clients must send it (RFC 6455 section 5.3); a mask of
/// zeros changes nothing.
fn masked(text: &[u8]) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap_or(125).min(125);
    let mut frame = vec![0x81, 0x80 | length, 0, 0, 0, 0];
    frame.extend_from_slice(&text[..usize::from(length)]);
    frame
}

#[cfg(test)]
mod tests;
