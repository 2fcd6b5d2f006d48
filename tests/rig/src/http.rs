//! One question over HTTP to something that may not answer.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON, if it is that.
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// Asks on a connection of its own; `None` if no whole answer comes in time.
///
/// HTTP/1.0, so that the end of the connection is the end of the answer. `headers` are complete
/// lines, each with its line end.
pub async fn ask(
    to: SocketAddr,
    what: &str,
    headers: &str,
    body: &[u8],
    within: Duration,
) -> Option<Answer> {
    let length = body.len();
    let head =
        format!("{what} HTTP/1.0\r\nHost: {to}\r\nContent-Length: {length}\r\n{headers}\r\n");
    let exchanged = async {
        let mut stream = TcpStream::connect(to).await.ok()?;
        stream.write_all(&[head.as_bytes(), body].concat()).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        Some(answer)
    };
    parse(&timeout(within, exchanged).await.ok()??)
}

/// Asks for a page.
pub async fn get(to: SocketAddr, path: &str, within: Duration) -> Option<Answer> {
    ask(to, &format!("GET {path}"), "", b"", within).await
}

fn parse(answer: &[u8]) -> Option<Answer> {
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<usize>().ok())?
    });
    let body = answer[end + 4..].to_vec();
    // Less than was announced is no answer: the other side died while it spoke.
    let is_whole = length.is_none_or(|length| length == body.len());
    is_whole.then_some(Answer { status, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_was_cut_short_is_none() {
        let answer = |text: &str| parse(text.as_bytes());
        let whole = answer("HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\n[]").unwrap();
        assert_eq!((whole.status, whole.json()), (503, Some(serde_json::json!([]))));
        assert_eq!(answer("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n[]"), None);
        assert_eq!(answer("HTTP/1.1 200 OK\r\ncontent-le"), None);
    }
}
