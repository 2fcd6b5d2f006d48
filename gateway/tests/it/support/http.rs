//! HTTP over a plain socket: the server API's client, and requests that no library would make.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{openapi, soon};

/// An HTTP answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {:?}", self.head, self.text()))
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    }

    /// Fails unless it is this refusal, told as JSON.
    pub(crate) fn assert_refused(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{} {}", self.head, self.text());
        assert_eq!(self.header("content-type"), Some("application/json"), "{}", self.head);
        let error = &self.json()["error"];
        assert_eq!(error["code"], code, "{error}");
        assert!(error["message"].as_str().is_some_and(|text| text.len() > 10), "{error}");
    }
}

/// Sends bytes and reads until the other side closes; `None` if it closes without an answer.
pub(crate) async fn exchange(to: SocketAddr, request: &[u8]) -> Option<Answer> {
    let mut stream = soon("connecting", TcpStream::connect(to)).await.unwrap();
    let mut answer = Vec::new();
    soon("the answer", async {
        // The other side may close before it has read everything.
        let _ = stream.write_all(request).await;
        let _ = stream.read_to_end(&mut answer).await;
    })
    .await;
    parse(&answer)
}

/// The answer in what was read, if it is there.
pub(crate) fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|part| part == b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head, body: bytes[end + 4..].to_vec() })
}

/// Makes a request and waits for its answer.
pub(crate) async fn request(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let answer = exchange(to, &[head.as_bytes(), body].concat()).await;
    answer.unwrap_or_else(|| panic!("no answer to {method} {path}"))
}

/// The server API of one gateway.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) admin: SocketAddr,
    pub(crate) bearer: String,
}

impl Api {
    /// The API with the key of development.
    pub(crate) fn dev(admin: SocketAddr) -> Self {
        Self { admin, bearer: "Bearer dev".to_owned() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"").await
    }

    /// Makes a request whose answer the OpenAPI document has to describe.
    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let own = [("Authorization", self.bearer.as_str())];
        let answer = request(self.admin, method, path, &[&own, headers].concat(), body).await;
        openapi::assert_described(method, path, &answer);
        answer
    }

    pub(crate) async fn post(&self, path: &str, body: &[u8]) -> Answer {
        self.post_with(path, &[], body).await
    }

    pub(crate) async fn post_with(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let json = [("Content-Type", "application/json")];
        self.send("POST", path, &[&json, headers].concat(), body).await
    }

    /// Gives a room settings of its own.
    pub(crate) async fn put_settings(&self, room: &str, settings: &[u8]) -> Answer {
        self.settings("PUT", room, settings).await
    }

    /// Takes a room's own settings away.
    pub(crate) async fn delete_settings(&self, room: &str) -> Answer {
        self.settings("DELETE", room, b"").await
    }

    async fn settings(&self, method: &str, room: &str, body: &[u8]) -> Answer {
        let path = format!("/v1/rooms/{}/settings", percent(room));
        self.send(method, &path, &[], body).await
    }

    /// Publishes one event; returns it.
    pub(crate) async fn publish(&self, room: &str, event: Value) -> Value {
        let path = format!("/v1/rooms/{}/events", percent(room));
        let answer = self.post(&path, event.to_string().as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["event"].clone()
    }

    /// Publishes events (at most 500, each with its room); returns them in order.
    pub(crate) async fn publish_all(&self, events: &[Value]) -> Vec<Value> {
        let body = json!({ "events": events }).to_string();
        let answer = self.post("/v1/events", body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let results = answer.json()["results"].as_array().unwrap().clone();
        let event = |result: Value| {
            assert_eq!(result["stored"], true, "{result}");
            result["event"].clone()
        };
        results.into_iter().map(event).collect()
    }

    /// The newest events of a room.
    pub(crate) async fn history(&self, room: &str, limit: usize) -> Value {
        let path = format!("/v1/rooms/{}/history?limit={limit}", percent(room));
        let answer = self.get(&path).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}

/// A text as it may stand in a path or a query.
pub(crate) fn percent(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}
