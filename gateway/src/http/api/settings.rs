//! The settings of rooms through the server API.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, State};
use broker_bridge::SETTINGS_BYTES_MAX;
use protocol::ids::RoomId;
use protocol::refusal::Refusal;
use protocol::to_client::Settings;
use serde::Serialize;
use tokio::time::timeout;

use crate::conn::BUSY;
use crate::conn::acks::UNAVAILABLE;
use crate::http::api::{Api, Refused, name_of, room_of};
use crate::metrics::Queue;
use crate::settings::{Malformed, OwnSettings, Reason};

/// Settings that are not kept in this time are not known to be kept.
const KEPT_MAX: Duration = Duration::from_secs(5);
/// Settings that are kept are known here a moment later; the answer waits for that, if not for
/// longer.
const KNOWN_MAX: Duration = Duration::from_secs(1);

/// What a room has set, and what that makes of it.
#[derive(Serialize)]
pub(super) struct Shown {
    room: RoomId,
    /// `null` if it has no settings of its own.
    settings: Option<OwnSettings>,
    /// All of them, with those of the gateway.
    resolved: Settings,
}

pub(super) async fn show(
    State(api): State<Api>,
    room: Result<Path<String>, PathRejection>,
) -> Result<Json<Shown>, Refused> {
    let room = room_of(&name_of(room)?)?;
    Ok(Json(api.shown(room)))
}

pub(super) async fn put(
    State(api): State<Api>,
    room: Result<Path<String>, PathRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Shown>, Refused> {
    let room = room_of(&name_of(room)?)?;
    let own = api.settings_of(body)?;
    api.keep(&room, Some(own)).await?;
    Ok(Json(api.shown(room)))
}

pub(super) async fn forget(
    State(api): State<Api>,
    room: Result<Path<String>, PathRejection>,
) -> Result<Json<Shown>, Refused> {
    let room = room_of(&name_of(room)?)?;
    api.keep(&room, None).await?;
    Ok(Json(api.shown(room)))
}

impl Api {
    fn shown(&self, room: RoomId) -> Shown {
        let (settings, resolved) = (self.known.own(&room), self.known.of(&room).told());
        Shown { room, settings, resolved }
    }

    fn settings_of(&self, body: Result<Bytes, BytesRejection>) -> Result<OwnSettings, Refused> {
        const TOO_LARGE: Refusal = Refusal::too_large("settings are at most 4 KiB of JSON");
        const MALFORMED: Refusal = Refusal::bad_request("expected a JSON object of settings");
        const FAULTY: Refusal = Refusal::bad_request("some settings are faulty; none was taken");
        let body = body.map_err(|_| TOO_LARGE).and_then(|body| {
            if body.len() > SETTINGS_BYTES_MAX { Err(TOO_LARGE) } else { Ok(body) }
        });
        let read = body.and_then(|body| OwnSettings::read(&body).map_err(|Malformed| MALFORMED));
        let (own, faults) = read.inspect_err(|_| {
            self.metrics.room_settings_fault(Reason::Malformed);
        })?;
        faults.iter().for_each(|fault| self.metrics.room_settings_fault(fault.reason));
        if faults.is_empty() { Ok(own) } else { Err(Refused { refusal: FAULTY, faults }) }
    }

    /// Has settings kept, and waits until they are.
    async fn keep(&self, room: &RoomId, own: Option<OwnSettings>) -> Result<(), Refusal> {
        let json = own.map(|own| own.to_json().into());
        let pending = self.broker.put_settings(room, json).map_err(|_| {
            self.metrics.queue_full(Queue::Broker);
            BUSY
        })?;
        match timeout(KEPT_MAX, pending).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return Err(UNAVAILABLE),
        }
        // Unless somebody else has changed them since, or the broker takes its time to tell.
        let _ = timeout(KNOWN_MAX, self.known.have(room, own)).await;
        Ok(())
    }
}
