//! One field of a message, as it was written.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The field of this name at the top of a JSON object, its last if there are several; `None` if
/// there is none, or the text is not an object.
pub(super) fn field<'a>(json: &'a [u8], name: &str) -> Option<&'a RawValue> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let field = reader.deserialize_map(FieldNamed(name)).ok()?;
    reader.end().ok()?;
    field
}

struct FieldNamed<'n>(&'n str);

impl<'de> Visitor<'de> for FieldNamed<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut found = None;
        while let Some(Key(key)) = map.next_key()? {
            if key == self.0 {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// A name, which is borrowed unless it was written with escapes.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
