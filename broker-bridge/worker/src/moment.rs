//! A moment on the command line.

use std::fmt;
use std::str::FromStr;
use std::time::UNIX_EPOCH;

/// Numbers below are seconds since 1970 (until the year 5138), others milliseconds.
const SECONDS_MAX: u64 = 100_000_000_000;

/// A moment in milliseconds since 1970, written as RFC 3339 in UTC (`2026-11-20T11:47:00Z`), or
/// in seconds or milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since 1970.
    pub unix_ms: u64,
}

/// The text is no moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoMoment;

impl fmt::Display for NoMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected 2026-11-20T11:47:00Z, or seconds or milliseconds since 1970")
    }
}

impl std::error::Error for NoMoment {}

impl FromStr for Moment {
    type Err = NoMoment;

    fn from_str(text: &str) -> Result<Self, NoMoment> {
        if let Ok(number) = text.parse::<u64>() {
            let unix_ms = if number < SECONDS_MAX { number * 1_000 } else { number };
            return Ok(Self { unix_ms });
        }
        let time = humantime::parse_rfc3339_weak(text).map_err(|_| NoMoment)?;
        let since = time.duration_since(UNIX_EPOCH).map_err(|_| NoMoment)?;
        Ok(Self { unix_ms: u64::try_from(since.as_millis()).map_err(|_| NoMoment)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_three_ways() {
        let unix_ms = |text: &str| text.parse::<Moment>().map(|moment| moment.unix_ms);
        assert_eq!(unix_ms("2025-11-20T12:00:00Z"), Ok(1_763_640_000_000));
        assert_eq!(unix_ms("2025-11-20 12:00:00.25"), Ok(1_763_640_000_250));
        assert_eq!(unix_ms("1763640000"), Ok(1_763_640_000_000));
        assert_eq!(unix_ms("1763640000250"), Ok(1_763_640_000_250));
        for text in ["", "yesterday", "2025-11-20", "-1", "1960-01-01T00:00:00Z"] {
            assert_eq!(unix_ms(text), Err(NoMoment), "{text}");
        }
    }
}
