//! A client that speaks the protocol as an application would, through tokio-tungstenite.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::account::Account;
use super::listens::listens;
use super::memory::Memory;
use super::soon;

/// A client. It reads only while it waits for something; pings are answered while it reads.
pub(crate) struct TestClient {
    socket: WebSocketStream<Box<dyn Carrier>>,
    /// The headers of the upgrade.
    pub(crate) response: Response,
    next_id: u64,
    pub(crate) memory: Memory,
}

/// What a WebSocket can run over.
pub(crate) trait Carrier: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Carrier for T {}

/// How a connection is made.
#[derive(Debug, Clone)]
pub(crate) struct Dial<'a> {
    pub(crate) path: &'a str,
    pub(crate) headers: Vec<(&'static str, &'a str)>,
    pub(crate) accounts: BTreeMap<String, Account>,
}

impl Default for Dial<'_> {
    fn default() -> Self {
        Self { path: "/ws", headers: Vec::new(), accounts: BTreeMap::new() }
    }
}

listens!(TestClient);

impl TestClient {
    /// Connects and waits for `welcome`.
    pub(crate) async fn connect(to: SocketAddr) -> Self {
        Self::dial(to, Dial::default()).await
    }

    /// The same, in a way of its own.
    pub(crate) async fn dial(to: SocketAddr, dial: Dial<'_>) -> Self {
        let mut client = Self::try_dial(to, dial).await.expect("the upgrade is accepted");
        client.until("welcome", |memory| memory.first("welcome").cloned()).await;
        client
    }

    /// Connects without waiting for anything after the upgrade.
    ///
    /// # Errors
    /// Those of the handshake.
    pub(crate) async fn try_dial(to: SocketAddr, dial: Dial<'_>) -> Result<Self, Box<Error>> {
        let stream = TcpStream::connect(to).await.expect("the gateway listens");
        stream.set_nodelay(true).unwrap();
        Self::try_dial_over(Box::new(stream), to, dial).await
    }

    /// Connects over a stream and waits for `welcome`.
    pub(crate) async fn over(stream: impl Carrier + 'static, to: SocketAddr) -> Self {
        let dialled = Self::try_dial_over(Box::new(stream), to, Dial::default()).await;
        let mut client = dialled.expect("the upgrade is accepted");
        client.until("welcome", |memory| memory.first("welcome").cloned()).await;
        client
    }

    async fn try_dial_over(
        stream: Box<dyn Carrier>,
        to: SocketAddr,
        dial: Dial<'_>,
    ) -> Result<Self, Box<Error>> {
        let mut request = format!("ws://{to}{}", dial.path).into_client_request().unwrap();
        for (name, value) in dial.headers {
            request.headers_mut().append(name, value.parse().unwrap());
        }
        let handshake = tokio_tungstenite::client_async(request, stream);
        let (socket, response) = soon("the upgrade", handshake).await.map_err(Box::new)?;
        let memory = Memory::going_on(dial.accounts);
        Ok(Self { socket, response, next_id: 1, memory })
    }

    /// Sends a text as it is.
    pub(crate) async fn say(&mut self, text: &str) {
        let said = self.socket.send(Message::text(text));
        soon("sending", said).await.expect("the connection is open");
    }

    /// Sends a command with a number of its own; returns the number.
    pub(crate) async fn command(&mut self, mut command: Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        command["id"] = json!(id);
        self.say(&command.to_string()).await;
        id
    }

    /// Sends a command and waits for the error it must be answered with; returns the error.
    pub(crate) async fn ask_in_vain(&mut self, command: Value, code: &str) -> Value {
        let error = self.ask(command).await;
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!(code)), "{error}");
        error
    }

    /// Joins a room.
    pub(crate) async fn join(&mut self, room: &str) -> Value {
        self.join_with(room, json!({})).await
    }

    /// Joins a room with more fields.
    pub(crate) async fn join_with(&mut self, room: &str, fields: Value) -> Value {
        let mut command = json!({ "type": "join", "room": room });
        for (name, value) in fields.as_object().unwrap() {
            command[name] = value.clone();
        }
        if command["since"].is_string() {
            self.memory.returns_to(room);
        }
        let joined = self.ask(command).await;
        assert_eq!(joined["type"], "joined", "{joined}");
        joined
    }

    /// Joins a room where its account ended, on this or on an earlier connection.
    pub(crate) async fn rejoin(&mut self, room: &str) -> Value {
        let since = self.memory.account(room).cursor.text();
        self.join_with(room, json!({ "since": since })).await
    }

    /// Leaves a room.
    pub(crate) async fn leave(&mut self, room: &str) {
        let left = self.ask(json!({ "type": "leave", "room": room })).await;
        assert_eq!((&left["type"], &left["room"]), (&json!("left"), &json!(room)), "{left}");
    }

    /// Publishes a danmaku; returns its event.
    pub(crate) async fn publish(&mut self, room: &str, text: &str) -> Value {
        let command = json!({ "type": "publish", "room": room, "body": { "text": text } });
        let ack = self.ask(command).await;
        assert_eq!((&ack["type"], &ack["stored"]), (&json!("ack"), &json!(true)), "{ack}");
        ack["event"].clone()
    }

    /// Proves that the connection lives.
    pub(crate) async fn assert_lives(&mut self) {
        let pong = self.ask(json!({ "type": "ping" })).await;
        assert_eq!(pong["type"], "pong");
    }

    /// Reads until a danmaku with this text has come to a room; returns its event.
    pub(crate) async fn hears(&mut self, room: &str, text: &str) -> Value {
        let what = format!("`{text}` in `{room}`");
        let find = |memory: &Memory| Some(memory.account(room).find(text)?.event.clone());
        self.until(&what, find).await
    }

    /// Reads one frame.
    pub(crate) async fn read(&mut self) {
        let memory = &mut self.memory;
        match self.socket.next().await {
            Some(Ok(Message::Text(text))) => memory.take(&text),
            Some(Ok(Message::Ping(_))) => memory.pings += 1,
            Some(Ok(Message::Pong(payload))) => memory.pongs.push(payload.to_vec()),
            Some(Ok(Message::Close(frame))) => {
                let read = |frame: CloseFrame| (frame.code.into(), frame.reason.to_string());
                memory.closed = Some(frame.map_or((1005, String::new()), read));
            }
            Some(Ok(other)) => panic!("not a frame of this protocol: {other:?}"),
            Some(Err(_)) | None => memory.ended = true,
        }
    }

    /// Closes politely and waits for the answer; returns the accounts, to go on with.
    pub(crate) async fn close(mut self) -> BTreeMap<String, Account> {
        // Fails if the gateway was faster.
        let _ = self.socket.close(None).await;
        self.ends().await;
        self.memory.accounts
    }

    /// Vanishes without a word; returns the accounts, to go on with.
    pub(crate) fn vanish(self) -> BTreeMap<String, Account> {
        self.memory.accounts
    }
}
