//! From the fields of a message to a command.

use serde_json::value::RawValue;

use super::tape::Value;
use super::{Command, DecodeError, PublishBody, Request, RequestId, Role, Token, body, raw};
use crate::cursor::Bookmark;
use crate::event::Kind;
use crate::ids::is_invisible;
use crate::limits::{HISTORY_EVENTS_MAX, KEY_CHARS_MAX, PING_TS_CHARS_MAX, TOKEN_BYTES_MAX};
use crate::refusal::{Code, Refusal};

/// The fields that commands have; of each the last one that is in the message, unless it is null.
#[derive(Default)]
struct Fields<'t, 'a> {
    kind_of_message: Option<Value<'t, 'a>>,
    id: Option<Value<'t, 'a>>,
    room: Option<Value<'t, 'a>>,
    role: Option<Value<'t, 'a>>,
    since: Option<Value<'t, 'a>>,
    history: Option<Value<'t, 'a>>,
    kind: Option<Value<'t, 'a>>,
    body: Option<Value<'t, 'a>>,
    key: Option<Value<'t, 'a>>,
    token: Option<Value<'t, 'a>>,
    ts: Option<Value<'t, 'a>>,
}

/// Decodes a message from its tape (`root`) and, where a part of it is passed on unchanged, from
/// its bytes.
pub(super) fn decode<'a>(
    root: Value<'_, 'a>,
    message: &'a [u8],
) -> Result<Request<'a>, DecodeError> {
    let malformed = |text| DecodeError::Malformed(Refusal::bad_request(text));
    let Some(fields) = Fields::collect(root) else {
        return Err(malformed("the message is not a JSON object"));
    };
    let Some(name) = fields.kind_of_message.and_then(Value::text) else {
        return Err(malformed("the message has no `type`"));
    };
    let id = fields.id().map_err(|refusal| DecodeError::Refused { id: None, refusal })?;
    let command = match name {
        "publish" => fields.publish(message),
        "ping" => fields.ping(message),
        "join" => fields.join(),
        "leave" => fields.room().map(|room| Command::Leave { room }),
        "refresh" => fields.refresh(),
        _ => Err(Refusal::new(Code::UnknownType, "there is no command of this `type`")),
    };
    match command {
        Ok(command) => Ok(Request { id, command }),
        Err(refusal) => Err(DecodeError::Refused { id, refusal }),
    }
}

impl<'t, 'a> Fields<'t, 'a> {
    fn collect(root: Value<'t, 'a>) -> Option<Self> {
        let mut fields = Self::default();
        for (name, value) in root.fields()? {
            let field = match name {
                "type" => &mut fields.kind_of_message,
                "id" => &mut fields.id,
                "room" => &mut fields.room,
                "as" => &mut fields.role,
                "since" => &mut fields.since,
                "history" => &mut fields.history,
                "kind" => &mut fields.kind,
                "body" => &mut fields.body,
                "key" => &mut fields.key,
                "token" => &mut fields.token,
                "ts" => &mut fields.ts,
                _ => continue,
            };
            *field = value.unless_null();
        }
        Some(fields)
    }

    fn id(&self) -> Result<Option<RequestId>, Refusal> {
        let Some(id) = self.id else { return Ok(None) };
        match id.integer().and_then(RequestId::new) {
            Some(id) => Ok(Some(id)),
            None => Err(Refusal::bad_request("`id` must be an integer from 1 to 2^53 - 1")),
        }
    }

    fn room(&self) -> Result<&'a str, Refusal> {
        let room = self.room.and_then(Value::text);
        room.ok_or(Refusal::bad_request("`room` must be the name of a room"))
    }

    fn join(&self) -> Result<Command<'a>, Refusal> {
        Ok(Command::Join {
            room: self.room()?,
            role: self.role()?,
            since: self.since()?,
            history: self.history()?,
        })
    }

    fn role(&self) -> Result<Role, Refusal> {
        match self.role.map(Value::text) {
            None => Ok(Role::default()),
            Some(Some("viewer")) => Ok(Role::Viewer),
            Some(Some("peer")) => Ok(Role::Peer),
            Some(_) => Err(Refusal::bad_request("`as` must be `viewer` or `peer`")),
        }
    }

    fn since(&self) -> Result<Option<Bookmark>, Refusal> {
        let Some(since) = self.since else { return Ok(None) };
        match since.text().map(str::parse) {
            Some(Ok(cursor)) => Ok(Some(cursor)),
            _ => Err(Refusal::bad_request("`since` must be a cursor as the server told it")),
        }
    }

    fn history(&self) -> Result<usize, Refusal> {
        let Some(history) = self.history else { return Ok(0) };
        match history.integer().map(usize::try_from) {
            Some(Ok(events @ ..=HISTORY_EVENTS_MAX)) => Ok(events),
            Some(_) => Err(Refusal::too_large("`history` can be at most 100 events")),
            None => Err(Refusal::bad_request("`history` must be an integer from 0 to 100")),
        }
    }

    fn publish(&self, message: &'a [u8]) -> Result<Command<'a>, Refusal> {
        let room = self.room()?;
        let kind = self.kind()?;
        let key = self.key()?;
        let body: PublishBody<'a> = body::decode(kind, self.body, || raw::field(message, "body"))?;
        Ok(Command::Publish { room, kind, body, key })
    }

    fn kind(&self) -> Result<Kind<'a>, Refusal> {
        let Some(kind) = self.kind else { return Ok(Kind::Chat) };
        kind.text().and_then(Kind::parse).ok_or(Refusal::bad_request(
            "`kind` must be a kind of event, or `x-` and 1 to 32 of a-z, 0-9, `-`, `_`, `.`",
        ))
    }

    fn key(&self) -> Result<Option<&'a str>, Refusal> {
        const EXPECTED: Refusal =
            Refusal::bad_request("`key` must have 1 to 64 characters, none of them invisible");
        let Some(key) = self.key else { return Ok(None) };
        let key = key.text().ok_or(EXPECTED)?;
        if key.is_empty() || key.chars().any(is_invisible) {
            return Err(EXPECTED);
        }
        if key.chars().count() > KEY_CHARS_MAX {
            return Err(Refusal::too_large("`key` can have at most 64 characters"));
        }
        Ok(Some(key))
    }

    fn refresh(&self) -> Result<Command<'a>, Refusal> {
        let token = self.token.and_then(Value::text).filter(|token| !token.is_empty());
        match token {
            Some(token) if token.len() <= TOKEN_BYTES_MAX => {
                Ok(Command::Refresh { token: Token(token) })
            }
            Some(_) => Err(Refusal::too_large("`token` can have at most 8 KiB")),
            None => Err(Refusal::bad_request("`token` must be a token")),
        }
    }

    fn ping(&self, message: &'a [u8]) -> Result<Command<'a>, Refusal> {
        let Some(ts) = self.ts else { return Ok(Command::Ping { ts: None }) };
        let written: Option<&'a RawValue> =
            ts.is_number().then(|| raw::field(message, "ts")).flatten();
        match written {
            Some(ts) if ts.get().len() <= PING_TS_CHARS_MAX => Ok(Command::Ping { ts: Some(ts) }),
            Some(_) => Err(Refusal::too_large("`ts` can have at most 32 characters")),
            None => Err(Refusal::bad_request("`ts` must be a number")),
        }
    }
}
