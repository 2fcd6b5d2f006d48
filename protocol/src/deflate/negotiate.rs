//! The header `Sec-WebSocket-Extensions`: which offer of permessage-deflate is taken, and how it
//! is answered (RFC 7692 section 7.1, RFC 6455 section 9.1).

/// The name of the extension.
const EXTENSION: &str = "permessage-deflate";

/// The usual answer. The window of the client is not restricted.
const ANSWER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// The answer to a client that names our own window: it wants it confirmed (section 7.1.2.1).
const ANSWER_WITH_WINDOW: &str = "permessage-deflate; server_no_context_takeover; \
     client_no_context_takeover; server_max_window_bits=15";

/// The window of our compressor, as log2 of bytes; it has no smaller one.
const WINDOW_BITS: u8 = 15;

/// Reads a client's offers, several headers joined with commas, and gives the answer to the first
/// that can be accepted; `None` if the connection goes without compression.
///
/// An offer is passed over if it demands a smaller window of us, or holds a parameter that is
/// unknown, given twice, or has a value it must not have.
pub fn negotiate(header: &str) -> Option<&'static str> {
    split(header, ',').find_map(accept)
}

fn accept(offer: &str) -> Option<&'static str> {
    let mut parts = split(offer, ';');
    if parts.next()?.trim() != EXTENSION {
        return None;
    }
    let mut seen: [bool; 4] = [false; 4];
    for part in parts {
        let (name, value) = parameter(part)?;
        let at = match (name, value) {
            ("server_no_context_takeover", None) => 0,
            ("client_no_context_takeover", None) => 1,
            ("server_max_window_bits", Some(bits)) if window_bits(bits)? == WINDOW_BITS => 2,
            ("client_max_window_bits", None) => 3,
            ("client_max_window_bits", Some(bits)) => window_bits(bits).map(|_| 3)?,
            _ => return None,
        };
        if std::mem::replace(&mut seen[at], true) {
            return None;
        }
    }
    Some(if seen[2] { ANSWER_WITH_WINDOW } else { ANSWER })
}

/// `name` or `name=value`, where the value may stand in quotes.
fn parameter(part: &str) -> Option<(&str, Option<&str>)> {
    let Some((name, value)) = part.split_once('=') else {
        return Some((part.trim(), None));
    };
    let value = value.trim();
    let value = match value.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"')?,
        None => value,
    };
    Some((name.trim(), Some(value)))
}

/// 8 to 15, without leading zeros (section 7.1.2.1).
fn window_bits(value: &str) -> Option<u8> {
    match value {
        "8" | "9" | "10" | "11" | "12" | "13" | "14" | "15" => value.parse().ok(),
        _ => None,
    }
}

/// Splits at a separator, but not inside a quoted string.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        let inside = quoted;
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        c == separator && !inside
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_clients_offer_is_taken() {
        for offer in [
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits=15",
            "permessage-deflate;client_max_window_bits=8",
            "permessage-deflate; client_max_window_bits=\"10\"",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            " permessage-deflate ;  client_max_window_bits = 12 ",
            "x-webkit-deflate-frame, permessage-deflate",
            "foo; bar=\"a,b;c\", permessage-deflate",
            "foo; bar=\"a\\\",permessage-deflate;x\", permessage-deflate",
        ] {
            assert_eq!(negotiate(offer), Some(ANSWER), "{offer}");
        }
        assert_eq!(
            ANSWER,
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        );
    }

    #[test]
    fn a_client_that_names_our_own_window_has_it_confirmed() {
        assert_eq!(
            negotiate("permessage-deflate; server_max_window_bits=15; client_max_window_bits"),
            Some(
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                 server_max_window_bits=15"
            )
        );
    }

    #[test]
    fn offers_that_ask_too_much_or_make_no_sense_are_passed_over() {
        for offer in [
            "",
            ",",
            ";",
            "deflate-frame",
            "permessage-bzip2",
            "permessage-deflate; server_max_window_bits=14",
            "permessage-deflate; server_max_window_bits=8",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=",
            "permessage-deflate; server_max_window_bits=015",
            "permessage-deflate; client_max_window_bits=7",
            "permessage-deflate; client_max_window_bits=16",
            "permessage-deflate; client_max_window_bits=\"10",
            "permessage-deflate; client_max_window_bits=+9",
            "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; client_no_context_takeover=\"\"",
            "permessage-deflate; fast",
            "permessage-deflate; ",
        ] {
            assert_eq!(negotiate(offer), None, "{offer}");
        }
    }

    #[test]
    fn the_first_acceptable_offer_is_taken() {
        let offers = "permessage-deflate; server_max_window_bits=10, \
                      permessage-deflate; server_max_window_bits=15, permessage-deflate";
        assert_eq!(negotiate(offers), Some(ANSWER_WITH_WINDOW));
        let offers = "permessage-deflate; unknown, permessage-deflate";
        assert_eq!(negotiate(offers), Some(ANSWER));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(header in r#"([a-z_=;,"\\ 0-9]|permessage-deflate){0,30}|.*"#) {
            negotiate(&header);
        }
    }
}
