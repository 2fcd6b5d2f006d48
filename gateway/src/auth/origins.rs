//! Which web pages may open connections.

use std::fmt;
use std::str::FromStr;

/// The scheme, the host and the port of a page's address, as browsers write them (RFC 6454
/// section 6.2): in small letters, and without the port if it is the usual one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

/// A text that is no origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an origin such as `https://example.com`")]
pub struct NotAnOrigin;

impl FromStr for Origin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim_end_matches('/').to_ascii_lowercase();
        if text == "null" {
            return Ok(Self(text));
        }
        let (scheme, host) = text.split_once("://").ok_or(NotAnOrigin)?;
        let visible =
            |c: char| c.is_ascii_graphic() && !matches!(c, '/' | '?' | '#' | '@' | '*' | ',');
        if scheme.is_empty() || host.is_empty() || !host.chars().all(visible) {
            return Err(NotAnOrigin);
        }
        let usual = match scheme {
            "https" => host.strip_suffix(":443"),
            "http" => host.strip_suffix(":80"),
            _ => None,
        };
        Ok(Self(format!("{scheme}://{}", usual.unwrap_or(host))))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a request with this `Origin` may go on, where pages of these origins may, or all if
/// there are none.
///
/// Programs that are no browsers name no origin and pass: this keeps other people's pages from
/// using a visitor's browser, and nobody else out.
pub(crate) fn allow(allowed: &[Origin], origin: Option<&str>) -> bool {
    let Some(origin) = origin else { return true };
    allowed.is_empty() || allowed.iter().any(|Origin(known)| known.eq_ignore_ascii_case(origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(allowed: &[&str]) -> Vec<Origin> {
        allowed.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn an_empty_list_allows_every_page_and_programs_always_pass() {
        assert!(allow(&[], Some("https://evil.example")));
        let some = origins(&["https://example.com"]);
        assert!(allow(&some, None));
        assert!(!allow(&some, Some("null")) && !allow(&some, Some("")));
        assert!(allow(&origins(&["null"]), Some("null")));
    }

    #[test]
    fn an_origin_is_compared_whole() {
        let some = origins(&["https://Example.com:443/", "http://localhost:3000"]);
        assert!(allow(&some, Some("https://example.com")));
        assert!(allow(&some, Some("https://EXAMPLE.com")));
        assert!(allow(&some, Some("http://localhost:3000")));
        for other in [
            "http://example.com",
            "https://example.com:8443",
            "https://example.com.evil.example",
            "https://evil.example/https://example.com",
            "https://a.example.com",
            "http://localhost",
        ] {
            assert!(!allow(&some, Some(other)), "{other}");
        }
    }

    #[test]
    fn what_is_no_origin_is_told() {
        for text in ["example.com", "https://", "https://a/b", "https://*.example.com", ""] {
            assert_eq!(text.parse::<Origin>(), Err(NotAnOrigin), "{text}");
        }
    }
}
