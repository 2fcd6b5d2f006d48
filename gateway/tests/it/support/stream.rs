//! A viewer over server-sent events.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use super::account::Account;
use super::http::{self, Answer};
use super::memory::Memory;
use super::soon;

/// A connection, encrypted or not.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// A client that reads while it waits for something.
pub(crate) struct EventClient {
    stream: Box<dyn Wire>,
    /// The head of the answer.
    pub(crate) answer: Answer,
    /// What came of the body and is not taken apart yet, and what is taken out of its chunks.
    raw: Vec<u8>,
    text: Vec<u8>,
    pub(crate) memory: Memory,
    /// What a browser would bring back.
    pub(crate) last_id: Option<String>,
    pub(crate) retry_ms: Option<u64>,
    pub(crate) comments: usize,
    /// The names of the events, in order.
    pub(crate) names: Vec<String>,
    pub(crate) bytes: usize,
}

/// How a stream is asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ask<'a> {
    /// Behind the `?`.
    pub(crate) query: &'a str,
    pub(crate) last_id: Option<&'a str>,
    pub(crate) accounts: BTreeMap<String, Account>,
    pub(crate) receive_buffer: Option<u32>,
    /// The page that asks.
    pub(crate) origin: Option<&'a str>,
}

impl EventClient {
    /// Asks for a room's events and waits for the head of the answer.
    pub(crate) async fn open(to: SocketAddr, room: &str, ask: Ask<'_>) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(bytes) = ask.receive_buffer {
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        let stream = soon("a connection", socket.connect(to)).await.unwrap();
        Self::over(Box::new(stream), to, room, ask).await
    }

    /// The same over a connection that stands.
    pub(crate) async fn over(
        mut stream: Box<dyn Wire>,
        to: SocketAddr,
        room: &str,
        ask: Ask<'_>,
    ) -> Self {
        let path = format!("/v1/rooms/{}/events?{}", http::percent(room), ask.query);
        let last = ask.last_id.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let page = ask.origin.map(|page| format!("Origin: {page}\r\n")).unwrap_or_default();
        let head = format!("GET {path} HTTP/1.1\r\nHost: {to}\r\n{last}{page}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut raw = Vec::new();
        let answer = soon("the head of the answer", async {
            loop {
                if let Some(answer) = http::parse(&raw) {
                    return answer;
                }
                assert!(stream.read_buf(&mut raw).await.unwrap() > 0, "an answer");
            }
        })
        .await;
        let raw = answer.body.clone();
        let mut memory = Memory::going_on(ask.accounts);
        if ask.last_id.is_some() || ask.query.contains("since=") {
            memory.returns_to(room);
        }
        Self {
            stream,
            answer,
            raw,
            text: Vec::new(),
            memory,
            last_id: None,
            retry_ms: None,
            comments: 0,
            names: Vec::new(),
            bytes: 0,
        }
    }

    /// Reads until there is something to find.
    pub(crate) async fn until<T>(
        &mut self,
        what: &str,
        mut find: impl FnMut(&Self) -> Option<T>,
    ) -> T {
        soon(what, async {
            loop {
                self.take();
                if let Some(found) = find(self) {
                    return found;
                }
                assert!(!self.memory.ended, "{what}: the end came first");
                self.read().await;
            }
        })
        .await
    }

    pub(crate) async fn joined(&mut self) {
        self.until("joined", |client| client.memory.first("joined").cloned()).await;
    }

    pub(crate) async fn hears(&mut self, room: &str, text: &str) {
        let find = |client: &Self| client.memory.account(room).find(text).map(drop);
        self.until(text, find).await;
    }

    /// Reads until the stream has ended.
    pub(crate) async fn ends(&mut self) {
        self.until("the end", |client| client.memory.ended.then_some(())).await;
    }

    async fn read(&mut self) {
        match self.stream.read_buf(&mut self.raw).await {
            Ok(0) | Err(_) => self.memory.ended = true,
            Ok(bytes) => self.bytes += bytes,
        }
    }

    /// Takes apart what has come: chunks, then events.
    fn take(&mut self) {
        while let Some(line) = find(&self.raw, b"\r\n") {
            let length = std::str::from_utf8(&self.raw[..line]).unwrap();
            let length = usize::from_str_radix(length, 16).expect("the length of a chunk");
            let end = line + 2 + length + 2;
            if self.raw.len() < end {
                break;
            }
            self.text.extend_from_slice(&self.raw[line + 2..end - 2]);
            self.raw.drain(..end);
            self.memory.ended |= length == 0;
        }
        while let Some(end) = find(&self.text, b"\n\n") {
            let event: Vec<u8> = self.text.drain(..end + 2).collect();
            self.event(std::str::from_utf8(&event[..end]).unwrap());
        }
    }

    fn event(&mut self, event: &str) {
        let (mut name, mut data) = (None, None);
        for line in event.split('\n') {
            assert!(!line.contains('\r'), "{line}");
            match line.split_once(": ") {
                Some(("event", text)) => name = Some(text),
                Some(("data", text)) => assert_eq!(data.replace(text), None, "one line of data"),
                Some(("id", text)) => self.last_id = Some(text.to_owned()),
                Some(("retry", text)) => self.retry_ms = Some(text.parse().unwrap()),
                None if line == ":" => self.comments += 1,
                other => panic!("not a line of ours: {other:?}"),
            }
        }
        if let Some(data) = data {
            let name = name.expect("every event has a name");
            self.names.push(name.to_owned());
            let value: serde_json::Value = serde_json::from_str(data).unwrap();
            assert_eq!(value["type"], name, "{data}");
            self.memory.take(data);
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|part| part == what)
}
