//! What the server API answers, turned into an [`Outcome`] per event.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{HeaderMap, RETRY_AFTER};
use protocol::refusal::Code;
use serde::Deserialize;

use crate::publisher::Outcome;

/// The answer for one event: acked, or refused.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Answer {
    Acked { event: Published, stored: bool },
    Refused { error: Refusal },
}

#[derive(Debug, Deserialize)]
struct Answers {
    results: Vec<Answer>,
}

#[derive(Debug, Deserialize)]
struct Published {
    id: Arc<str>,
    ts: u64,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    code: String,
    retry_after_ms: Option<u64>,
}

/// Reads an answer for `count` events.
pub(super) fn outcomes(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    count: usize,
) -> Vec<Outcome> {
    if status.is_success() {
        let answers = match count {
            1 => serde_json::from_slice(body).map(|answer| vec![answer]),
            _ => serde_json::from_slice(body).map(|answers: Answers| answers.results),
        };
        return match answers {
            Ok(answers) => answers.into_iter().map(outcome).collect(),
            Err(_) => vec![doubt("unreadable answer"); count],
        };
    }
    let refusal = match serde_json::from_slice(body) {
        Ok(Answer::Refused { error }) => error,
        Ok(Answer::Acked { .. }) | Err(_) => {
            Refusal { code: format!("http_{}", status.as_u16()), retry_after_ms: None }
        }
    };
    let after = refusal.retry_after_ms.or_else(|| retry_after_ms(headers));
    let refusal = Refusal { retry_after_ms: after, ..refusal };
    let curable = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    vec![refused(refusal, curable); count]
}

fn outcome(answer: Answer) -> Outcome {
    match answer {
        Answer::Acked { event, stored } => Outcome::Acked { id: event.id, ts_ms: event.ts, stored },
        Answer::Refused { error } => refused(error, false),
    }
}

fn refused(refusal: Refusal, curable: bool) -> Outcome {
    let is = |code: Code| refusal.code == code.text();
    let nothing_accepted = is(Code::Busy) || is(Code::RateLimited);
    if !curable && !nothing_accepted && !is(Code::Unavailable) && !is(Code::Internal) {
        return Outcome::Refused(refusal.code);
    }
    Outcome::Again {
        after: refusal.retry_after_ms.map(Duration::from_millis),
        doubtful: !nothing_accepted,
        reason: refusal.code,
    }
}

pub(super) fn doubt(reason: &str) -> Outcome {
    Outcome::Again { reason: reason.into(), after: None, doubtful: true }
}

/// `Retry-After` in its form of seconds.
fn retry_after_ms(headers: &HeaderMap) -> Option<u64> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    seconds.checked_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn answered(status: u16, body: &str, count: usize) -> Vec<Outcome> {
        let status = StatusCode::from_u16(status).unwrap();
        outcomes(status, &HeaderMap::new(), body.as_bytes(), count)
    }

    fn again(reason: &str, after_ms: Option<u64>, doubtful: bool) -> Outcome {
        let after = after_ms.map(Duration::from_millis);
        Outcome::Again { reason: reason.into(), after, doubtful }
    }

    #[test]
    fn answers_are_outcomes_in_order() {
        let acked = Outcome::Acked { id: "x".into(), ts_ms: 5, stored: true };
        let body = r#"{"event":{"id":"x","kind":"chat","ts":5},"stored":true}"#;
        assert_eq!(answered(200, body, 1), std::slice::from_ref(&acked));
        let body = r#"{"results":[{"event":{"id":"x","ts":5},"stored":true},
            {"error":{"code":"busy","message":"later","retry_after_ms":70}},
            {"error":{"code":"blocked_term","message":"no"}}]}"#;
        let expected =
            [acked, again("busy", Some(70), false), Outcome::Refused("blocked_term".into())];
        assert_eq!(answered(200, body, 3), expected);
    }

    #[test]
    fn only_what_time_can_cure_is_tried_again() {
        let error = |code: &str| format!(r#"{{"error":{{"code":"{code}","message":"m"}}}}"#);
        assert_eq!(answered(503, &error("busy"), 2), vec![again("busy", None, false); 2]);
        assert_eq!(answered(429, &error("rate_limited"), 1), [again("rate_limited", None, false)]);
        assert_eq!(answered(503, &error("unavailable"), 1), [again("unavailable", None, true)]);
        assert_eq!(answered(502, "<html>", 1), [again("http_502", None, true)]);
        assert_eq!(answered(200, "[]", 2), vec![again("unreadable answer", None, true); 2]);
        for (status, code) in [(401, "unauthorized"), (400, "bad_request"), (403, "muted")] {
            assert_eq!(answered(status, &error(code), 1), [Outcome::Refused(code.into())]);
        }
        assert_eq!(answered(404, "", 1), [Outcome::Refused("http_404".into())]);
    }

    #[test]
    fn retry_after_counts_when_the_body_says_nothing() {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("2"))]);
        let outcomes = outcomes(StatusCode::SERVICE_UNAVAILABLE, &headers, b"", 1);
        assert_eq!(outcomes, [again("http_503", Some(2_000), true)]);
    }
}
