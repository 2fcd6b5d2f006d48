//! What a room may set, and what is wrong with what it does.

use std::fmt::{self, Display};
use std::ops::RangeInclusive;

use broker_bridge::SETTINGS_BYTES_MAX;
use protocol::select::Budget;
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::room::RoomSettings;

/// The settings of one room; what is `None` is as the gateway's configuration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(crate) struct OwnSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tick_ms: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) chat_per_s: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) higher_per_s: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) history_events: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ephemeral: Option<bool>,
}

/// What is wrong with one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Fault {
    key: String,
    value: Value,
    message: String,
    #[serde(skip)]
    pub(crate) reason: Reason,
}

/// Why settings are faulty; the label of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// No JSON object, or too large.
    Malformed,
    /// There is no such setting.
    UnknownKey,
    /// The value is out of its range, or of another type.
    BadValue,
    /// The key comes more than once.
    RepeatedKey,
}

impl Reason {
    /// Every reason.
    pub(crate) const ALL: [Self; 4] =
        [Self::Malformed, Self::UnknownKey, Self::BadValue, Self::RepeatedKey];

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownKey => "unknown_key",
            Self::BadValue => "bad_value",
            Self::RepeatedKey => "repeated_key",
        }
    }
}

/// It is no JSON object, or too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

impl OwnSettings {
    /// Every key, for people.
    const KEYS: &str = "`tick_ms`, `chat_per_s`, `higher_per_s`, `history_events`, `ephemeral`";

    /// Reads settings: what of them holds, and everything that does not.
    ///
    /// # Errors
    /// [`Malformed`] if there is nothing to be read.
    pub(crate) fn read(json: &[u8]) -> Result<(Self, Vec<Fault>), Malformed> {
        if json.len() > SETTINGS_BYTES_MAX {
            return Err(Malformed);
        }
        let Pairs(pairs) = serde_json::from_slice(json).map_err(|_| Malformed)?;
        let (mut settings, mut faults) = (Self::default(), Vec::new());
        for (at, (key, value)) in pairs.iter().enumerate() {
            let taken = if pairs[..at].iter().any(|(earlier, _)| earlier == key) {
                Err((Reason::RepeatedKey, "may be given once".to_owned()))
            } else {
                settings.take(key, value)
            };
            if let Err((reason, message)) = taken {
                faults.push(Fault { key: key.clone(), value: value.clone(), message, reason });
            }
        }
        Ok((settings, faults))
    }

    fn take(&mut self, key: &str, value: &Value) -> Result<(), (Reason, String)> {
        match key {
            "tick_ms" => number(value, RoomSettings::TICK_MS, &mut self.tick_ms),
            "chat_per_s" => number(value, RoomSettings::EVENTS_PER_S, &mut self.chat_per_s),
            "higher_per_s" => number(value, RoomSettings::EVENTS_PER_S, &mut self.higher_per_s),
            "history_events" => {
                number(value, RoomSettings::HISTORY_EVENTS, &mut self.history_events)
            }
            "ephemeral" => {
                let wanted = || (Reason::BadValue, "must be `true` or `false`".to_owned());
                self.ephemeral = Some(value.as_bool().ok_or_else(wanted)?);
                Ok(())
            }
            _ => Err((Reason::UnknownKey, format!("is no setting; there are {}", Self::KEYS))),
        }
    }

    /// As it is kept.
    pub(crate) fn to_json(self) -> Vec<u8> {
        serde_json::to_vec(&self).expect("numbers and switches are JSON")
    }

    /// The room's settings, on the ground of the gateway's.
    pub(crate) fn over(self, gateway: RoomSettings) -> RoomSettings {
        RoomSettings {
            tick_ms: self.tick_ms.unwrap_or(gateway.tick_ms),
            budget: Budget {
                chat: self.chat_per_s.unwrap_or(gateway.budget.chat),
                higher: self.higher_per_s.unwrap_or(gateway.budget.higher),
            },
            history_events: self.history_events.unwrap_or(gateway.history_events),
            ephemeral: self.ephemeral.unwrap_or(gateway.ephemeral),
        }
    }
}

fn number<N>(
    value: &Value,
    range: RangeInclusive<N>,
    field: &mut Option<N>,
) -> Result<(), (Reason, String)>
where
    N: TryFrom<u64> + PartialOrd + Display,
{
    let number = value.as_u64().and_then(|number| N::try_from(number).ok());
    let wanted = || {
        let (from, to) = (range.start(), range.end());
        (Reason::BadValue, format!("must be a whole number from {from} to {to}"))
    };
    *field = Some(number.filter(|number| range.contains(number)).ok_or_else(wanted)?);
    Ok(())
}

/// The members of an object in their order, repeated ones too.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<Pairs, M::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = members.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(json: &Value) -> (OwnSettings, Vec<Fault>) {
        OwnSettings::read(json.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_is_not_set_is_as_the_gateway_says() {
        let gateway = RoomSettings::default();
        assert_eq!(read(&json!({})).0.over(gateway), gateway);
        let (own, faults) = read(&json!({ "chat_per_s": 7, "ephemeral": true }));
        assert_eq!(faults, []);
        let budget = Budget { chat: 7, ..gateway.budget };
        assert_eq!(own.over(gateway), RoomSettings { budget, ephemeral: true, ..gateway });
    }

    #[test]
    fn every_fault_is_named_with_its_key_and_value_and_the_rest_holds() {
        let (own, faults) = read(&json!({
            "tick_ms": 0, "chat_per_s": 10_001, "higher_per_s": "3", "history_events": 100,
            "ephemeral": 1, "colour": "red",
        }));
        let told: Vec<_> = faults.iter().map(|f| (f.key.as_str(), &f.value, f.reason)).collect();
        let expected = [
            ("tick_ms", &json!(0), Reason::BadValue),
            ("chat_per_s", &json!(10_001), Reason::BadValue),
            ("higher_per_s", &json!("3"), Reason::BadValue),
            ("ephemeral", &json!(1), Reason::BadValue),
            ("colour", &json!("red"), Reason::UnknownKey),
        ];
        // An object of JSON has no order here.
        assert_eq!(told.len(), expected.len());
        assert!(expected.iter().all(|fault| told.contains(fault)), "{told:?}");
        assert_eq!(own, OwnSettings { history_events: Some(100), ..OwnSettings::default() });
        let tick = faults.iter().find(|fault| fault.key == "tick_ms").unwrap();
        assert_eq!(tick.message, "must be a whole number from 1 to 60000");
        for value in [json!(1.5), json!(-1), json!(null), json!(u64::MAX), json!([7]), json!(true)]
        {
            let (own, faults) = read(&json!({ "tick_ms": value }));
            assert_eq!((own.tick_ms, faults.len()), (None, 1), "{value}");
        }
    }

    #[test]
    fn the_first_of_a_repeated_key_holds() {
        let (own, faults) = OwnSettings::read(br#"{"tick_ms":100,"tick_ms":200}"#).unwrap();
        assert_eq!((own.tick_ms, faults[0].reason), (Some(100), Reason::RepeatedKey));
    }

    #[test]
    fn what_is_no_object_is_malformed() {
        let long = format!("{{\"a\":\"{}\"}}", "a".repeat(SETTINGS_BYTES_MAX));
        for json in ["", "{", "null", "[]", "7", "\"{}\"", "{} {}", "{\"a\":\"\u{7f}\"", &long] {
            assert_eq!(OwnSettings::read(json.as_bytes()), Err(Malformed), "{json}");
        }
    }

    proptest! {
        #[test]
        fn what_is_kept_reads_back(
            tick_ms in prop::option::of(RoomSettings::TICK_MS),
            chat_per_s in prop::option::of(RoomSettings::EVENTS_PER_S),
            higher_per_s in prop::option::of(RoomSettings::EVENTS_PER_S),
            history_events in prop::option::of(RoomSettings::HISTORY_EVENTS),
            ephemeral in prop::option::of(any::<bool>()),
        ) {
            let own =
                OwnSettings { tick_ms, chat_per_s, higher_per_s, history_events, ephemeral };
            prop_assert_eq!(OwnSettings::read(&own.to_json()), Ok((own, Vec::new())));
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = OwnSettings::read(&bytes);
        }
    }
}
