//! The upgrade to a WebSocket (RFC 6455 section 4) as a client asks for it.

/// What every connection sends as its key. Keys protect caches from being deceived; a test does
/// not need thousands of them, and the answer to one is known: the example of RFC 6455.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// An answer longer than this is not read to its end, in bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// What the gateway answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Not all of it has come.
    Incomplete,
    /// The connection is a WebSocket; its frames begin after this many bytes.
    Upgraded {
        /// Bytes of the answer.
        length: usize,
    },
    /// Refused, or not an answer: the status, or 0.
    Refused(
        /// The HTTP status.
        u16,
    ),
}

/// The request for `path` (with its query) of `host`.
pub(crate) fn request(host: &str, path: &str, deflate: bool) -> String {
    let extensions = match deflate {
        true => {
            "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; \
             server_no_context_takeover\r\n"
        }
        false => "",
    };
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\
         Sec-WebSocket-Protocol: barrage.v1\r\n{extensions}\r\n"
    )
}

/// Reads the answer.
pub(crate) fn answer(bytes: &[u8]) -> Answer {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return match bytes.len() {
            ..ANSWER_BYTES_MAX => Answer::Incomplete,
            _ => Answer::Refused(0),
        };
    };
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
    let accepted = lines.filter_map(|line| line.split_once(':')).any(|(name, value)| {
        name.eq_ignore_ascii_case("sec-websocket-accept") && value.trim() == ACCEPT
    });
    match (status, accepted) {
        (101, true) => Answer::Upgraded { length: end + 4 },
        (101, false) => Answer::Refused(0),
        (status, _) => Answer::Refused(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_proven_upgrade_is_one() {
        let good = format!("HTTP/1.1 101 Switching\r\nsec-websocket-ACCEPT: {ACCEPT}\r\n\r\n");
        assert_eq!(answer(good.as_bytes()), Answer::Upgraded { length: good.len() });
        assert_eq!(answer(&good.as_bytes()[..good.len() - 1]), Answer::Incomplete);
        assert_eq!(answer(b"HTTP/1.1 101 Switching\r\n\r\n"), Answer::Refused(0));
        assert_eq!(answer(b"HTTP/1.1 429 Slow down\r\nA: b\r\n\r\nbody"), Answer::Refused(429));
        assert_eq!(answer(&[b'x'; ANSWER_BYTES_MAX]), Answer::Refused(0));
    }

    #[test]
    fn a_request_offers_compression_only_if_asked_to() {
        let plain = request("h:1", "/ws", false);
        assert!(plain.starts_with("GET /ws HTTP/1.1\r\nHost: h:1\r\n"));
        assert!(plain.ends_with("\r\n\r\n") && !plain.contains("deflate"));
        assert!(request("h:1", "/ws", true).contains("\r\nSec-WebSocket-Extensions: permessage"));
    }
}
