//! The body of an event: the rules for each kind.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::PublishBody;
use super::tape::Value;
use crate::event::{Chat, Color, Emote, Kind, Mode, Size};
use crate::ids::is_invisible;
use crate::limits::{
    BODY_BYTES_MAX, EMOTE_CODE_CHARS_MAX, EMOTE_URL_BYTES_MAX, EMOTES_MAX, LIKES_PER_PUBLISH_MAX,
    TEXT_CHARS_MAX,
};
use crate::refusal::Refusal;

const NOT_AN_OBJECT: Refusal = Refusal::bad_request("`body` must be a JSON object");

/// Decodes a body from its tape, or gives it as it was written (`raw`) if it is passed on.
pub(super) fn decode<'a>(
    kind: Kind<'_>,
    body: Option<Value<'_, 'a>>,
    raw: impl FnOnce() -> Option<&'a RawValue>,
) -> Result<PublishBody<'a>, Refusal> {
    match kind {
        Kind::Chat => chat(body).map(PublishBody::Chat),
        Kind::Like => likes(body).map(PublishBody::Likes),
        Kind::Gift
        | Kind::Paid
        | Kind::Enter
        | Kind::System
        | Kind::Notice
        | Kind::Extension(_) => opaque(body, raw).map(PublishBody::Opaque),
    }
}

fn opaque<'a>(
    body: Option<Value<'_, 'a>>,
    raw: impl FnOnce() -> Option<&'a RawValue>,
) -> Result<&'a RawValue, Refusal> {
    if body.is_none_or(|body| body.fields().is_none()) {
        return Err(NOT_AN_OBJECT);
    }
    let raw = raw().ok_or(NOT_AN_OBJECT)?;
    if raw.get().len() > BODY_BYTES_MAX {
        return Err(Refusal::too_large("`body` can have at most 8 KiB"));
    }
    Ok(raw)
}

fn likes(body: Option<Value<'_, '_>>) -> Result<u32, Refusal> {
    let Some(body) = body else { return Ok(1) };
    let mut count = None;
    for (name, value) in body.fields().ok_or(NOT_AN_OBJECT)? {
        if name == "count" {
            count = value.unless_null();
        }
    }
    let Some(count) = count else { return Ok(1) };
    match count.integer().map(u32::try_from) {
        Some(Ok(count @ 1..=LIKES_PER_PUBLISH_MAX)) => Ok(count),
        Some(Ok(0)) | None => Err(Refusal::bad_request("`count` must be an integer from 1 to 50")),
        Some(_) => Err(Refusal::too_large("`count` can be at most 50")),
    }
}

fn chat<'a>(body: Option<Value<'_, 'a>>) -> Result<Chat<'a>, Refusal> {
    let fields = body.and_then(Value::fields).ok_or(NOT_AN_OBJECT)?;
    let (mut text, mut mode, mut color, mut size, mut emotes) = (None, None, None, None, None);
    for (name, value) in fields {
        let field = match name {
            "text" => &mut text,
            "mode" => &mut mode,
            "color" => &mut color,
            "size" => &mut size,
            "emotes" => &mut emotes,
            _ => continue,
        };
        *field = value.unless_null();
    }
    let text = text.and_then(Value::text).ok_or(NO_TEXT)?;
    Ok(Chat {
        text: clean(text)?,
        mode: mode.map_or(Ok(Mode::default()), read_mode)?,
        color: color.map_or(Ok(Color::default()), read_color)?,
        size: size.map_or(Ok(Size::default()), read_size)?,
        emotes: emotes.map_or(Ok(Vec::new()), read_emotes)?,
    })
}

const NO_TEXT: Refusal = Refusal::bad_request("`text` must have 1 to 200 characters");

/// The text as it is shown: nothing invisible, no space around it. Borrowed unless something had
/// to be taken out of its middle.
fn clean(text: &str) -> Result<Cow<'_, str>, Refusal> {
    let text = if text.chars().any(is_invisible) {
        let visible: String = text.chars().filter(|c| !is_invisible(*c)).collect();
        Cow::Owned(visible.trim().to_owned())
    } else {
        Cow::Borrowed(text.trim())
    };
    match text.chars().count() {
        0 => Err(NO_TEXT),
        1..=TEXT_CHARS_MAX => Ok(text),
        _ => Err(Refusal::too_large("`text` can have at most 200 characters")),
    }
}

fn read_mode(value: Value<'_, '_>) -> Result<Mode, Refusal> {
    match value.text() {
        Some("scroll") => Ok(Mode::Scroll),
        Some("top") => Ok(Mode::Top),
        Some("bottom") => Ok(Mode::Bottom),
        Some("reverse") => Ok(Mode::Reverse),
        _ => Err(Refusal::bad_request("`mode` must be `scroll`, `top`, `bottom` or `reverse`")),
    }
}

fn read_color(value: Value<'_, '_>) -> Result<Color, Refusal> {
    let color = value.text().and_then(Color::parse);
    color.ok_or(Refusal::bad_request("`color` must be `#` and six hexadecimal digits"))
}

fn read_size(value: Value<'_, '_>) -> Result<Size, Refusal> {
    match value.text() {
        Some("small") => Ok(Size::Small),
        Some("medium") => Ok(Size::Medium),
        Some("large") => Ok(Size::Large),
        _ => Err(Refusal::bad_request("`size` must be `small`, `medium` or `large`")),
    }
}

fn read_emotes<'a>(value: Value<'_, 'a>) -> Result<Vec<Emote<'a>>, Refusal> {
    const NOT_A_LIST: Refusal = Refusal::bad_request("`emotes` must be an array of objects");
    let mut emotes = Vec::new();
    for item in value.items().ok_or(NOT_A_LIST)? {
        if emotes.len() == EMOTES_MAX {
            return Err(Refusal::too_large("`emotes` can be at most 16"));
        }
        emotes.push(read_emote(item).ok_or(NOT_A_LIST)??);
    }
    Ok(emotes)
}

/// One emote; `None` if it is not an object.
fn read_emote<'a>(value: Value<'_, 'a>) -> Option<Result<Emote<'a>, Refusal>> {
    let (mut code, mut url) = (None, None);
    for (name, value) in value.fields()? {
        match name {
            "code" => code = value.text(),
            "url" => url = value.text(),
            _ => {}
        }
    }
    Some(check_emote(code.unwrap_or_default(), url.unwrap_or_default()))
}

fn check_emote<'a>(code: &'a str, url: &'a str) -> Result<Emote<'a>, Refusal> {
    let shown = |text: &str| !text.is_empty() && !text.chars().any(is_invisible);
    if !shown(code) || !shown(url) {
        return Err(Refusal::bad_request("an emote needs a `code` and a `url`"));
    }
    if code.chars().count() > EMOTE_CODE_CHARS_MAX {
        return Err(Refusal::too_large("the `code` of an emote can have at most 32 characters"));
    }
    if url.len() > EMOTE_URL_BYTES_MAX {
        return Err(Refusal::too_large("the `url` of an emote can have at most 256 bytes"));
    }
    Ok(Emote { code, url })
}
