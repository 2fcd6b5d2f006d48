//! Numbers, times and rates, each within its range.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use humantime::{format_duration, parse_duration};

use crate::client::admission::Rate;
use crate::config::kind::{Field, Kind, Shape, quoted};

/// A whole number.
pub(in crate::config) fn count<N>(range: RangeInclusive<N>, field: Field<N>) -> Kind
where
    N: FromStr + PartialOrd + Display + Clone + Send + Sync + 'static,
{
    let says = format!("a whole number from {} to {}", range.start(), range.end());
    let example = range.end().to_string();
    let parse = move |text: &str| text.parse().ok().filter(|n| range.contains(n));
    Kind::one(says, example, &[Shape::Number], field, parse, |n| Some(n.to_string()))
}

/// A whole number, or `auto` for one that is found out on the machine.
pub(in crate::config) fn count_or_auto(
    range: RangeInclusive<u16>,
    auto: fn() -> u16,
    field: Field<u16>,
) -> Kind {
    let says = format!("`auto` or a whole number from {} to {}", range.start(), range.end());
    let example = range.end().to_string();
    let parse = move |text: &str| match text {
        "auto" => Some(auto()),
        text => text.parse().ok().filter(|n| range.contains(n)),
    };
    Kind::one(says, example, &[Shape::Number, Shape::Text], field, parse, |n| Some(n.to_string()))
}

/// A time in milliseconds, as a bare number or with its unit.
pub(in crate::config) fn millis(range: RangeInclusive<u32>, field: Field<u32>) -> Kind {
    let says = format!(
        "milliseconds from {} to {}, or a time with its unit such as `250ms`",
        range.start(),
        range.end()
    );
    let example = range.end().to_string();
    let parse = move |text: &str| {
        let ms = text.parse().ok().or_else(|| {
            let time =
                parse_duration(text).ok().filter(|time| time.subsec_nanos() % 1_000_000 == 0);
            u32::try_from(time?.as_millis()).ok()
        });
        ms.filter(|ms| range.contains(ms))
    };
    Kind::one(says, example, &[Shape::Number, Shape::Text], field, parse, |ms| Some(ms.to_string()))
}

/// A time with its unit.
pub(in crate::config) fn time(range: RangeInclusive<Duration>, field: Field<Duration>) -> Kind {
    let says = format!("a time from {} to {}", written(*range.start()), written(*range.end()));
    let example = written(*range.end());
    let parse = move |text: &str| parse_duration(text).ok().filter(|time| range.contains(time));
    Kind::one(says, example, &[Shape::Text], field, parse, |time| Some(quoted(&written(*time))))
}

/// A time with its unit, in whole seconds.
pub(in crate::config) fn seconds(range: RangeInclusive<u32>, field: Field<u32>) -> Kind {
    let in_full = |s: u32| written(Duration::from_secs(s.into()));
    let (from, to) = (in_full(*range.start()), in_full(*range.end()));
    let says = format!("a time in whole seconds from {from} to {to}");
    let parse = move |text: &str| {
        let time = parse_duration(text).ok().filter(|time| time.subsec_nanos() == 0)?;
        u32::try_from(time.as_secs()).ok().filter(|s| range.contains(s))
    };
    Kind::one(says, to, &[Shape::Text], field, parse, move |s| Some(quoted(&in_full(*s))))
}

/// So many in a time.
pub(in crate::config) fn rate(field: Field<Rate>) -> Kind {
    const BURST: RangeInclusive<u32> = 1..=1_000_000;
    const PERIOD: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);
    let parse = |text: &str| {
        let (burst, period) = text.split_once("per").or_else(|| text.split_once('/'))?;
        let burst = burst.trim().parse().ok().filter(|burst| BURST.contains(burst))?;
        let period = parse_duration(period.trim()).ok().filter(|time| PERIOD.contains(time))?;
        Some(Rate { burst, period })
    };
    let show = |rate: &Rate| Some(quoted(&format!("{} per {}", rate.burst, written(rate.period))));
    let says = format!(
        "`N per TIME`, with N from {} to {} and TIME from {} to {}",
        BURST.start(),
        BURST.end(),
        written(*PERIOD.start()),
        written(*PERIOD.end())
    );
    Kind::one(says, "7 per 3s", &[Shape::Text], field, parse, show)
}

fn written(time: Duration) -> String {
    format_duration(time).to_string()
}
