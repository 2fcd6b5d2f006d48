//! Looking at rooms through the server API.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use protocol::cursor::Bookmark;
use protocol::ids::RoomId;
use protocol::limits::HISTORY_EVENTS_MAX;
use protocol::refusal::Refusal;
use protocol::to_client::Settings;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use crate::conn::acks::UNAVAILABLE;
use crate::http::api::{Api, FAULT, Refused, name_of, room_of};
use crate::hub::HubCommand;
use crate::room::effect::Info;

/// A room that does not answer in this time is not there.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(6);
/// How many events `history` returns if nothing else is asked for.
const HISTORY_DEFAULT: usize = 50;

impl Api {
    async fn ask(&self, room: &str, events: usize) -> Result<Info, Refusal> {
        let (answer, info) = oneshot::channel();
        let room = room_of(room)?;
        self.known.admit(&room)?;
        self.hubs.command(HubCommand::Ask { room, events, answer }).await;
        match tokio::time::timeout(ANSWER_TIMEOUT, info).await {
            Ok(Ok(info)) => Ok(info),
            Ok(Err(_)) | Err(_) => Err(UNAVAILABLE),
        }
    }
}

#[derive(Serialize)]
pub(super) struct RoomInfo {
    room: RoomId,
    cursor: Bookmark,
    online: u64,
    likes: u64,
    settings: Settings,
}

pub(super) async fn info(
    State(api): State<Api>,
    room: Result<Path<String>, PathRejection>,
) -> Result<Json<RoomInfo>, Refused> {
    let Info { room, cursor, state, .. } = api.ask(&name_of(room)?, 0).await?;
    let (online, likes, settings) = (state.online, state.likes, state.settings);
    Ok(Json(RoomInfo { room, cursor, online, likes, settings }))
}

#[derive(Deserialize)]
pub(super) struct HistoryQuery {
    limit: Option<usize>,
}

#[derive(Serialize)]
pub(super) struct History {
    room: RoomId,
    cursor: Bookmark,
    events: Vec<Box<RawValue>>,
}

pub(super) async fn history(
    State(api): State<Api>,
    room: Result<Path<String>, PathRejection>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Result<Json<History>, Refused> {
    let query = query.map_err(|_| Refusal::bad_request("`limit` must be an integer"));
    let Query(query) = query?;
    let limit = query.limit.unwrap_or(HISTORY_DEFAULT).min(HISTORY_EVENTS_MAX);
    let Info { room, cursor, events, .. } = api.ask(&name_of(room)?, limit).await?;
    let events = events.iter().map(|json| serde_json::from_slice(json));
    let events = events.collect::<Result<_, _>>().map_err(|_| FAULT)?;
    Ok(Json(History { room, cursor, events }))
}
