//! Learns of settings from the broker, and tells the hubs.

use std::sync::Arc;

use broker_bridge::SettingsDelivery;
use bytes::Bytes;
use protocol::ids::RoomId;
use tokio::sync::mpsc;

use crate::hub::{HubCommand, Hubs};
use crate::metrics::Metrics;
use crate::settings::{KnownRooms, Malformed, OwnSettings, Reason};

/// Runs until the broker has ended. The one task that changes what is known.
pub(crate) async fn watch(
    mut deliveries: mpsc::Receiver<SettingsDelivery>,
    known: KnownRooms,
    hubs: Hubs,
    metrics: Arc<Metrics>,
) {
    while let Some(delivery) = deliveries.recv().await {
        match delivery {
            SettingsDelivery::Complete => known.complete(),
            SettingsDelivery::Room(room, settings) => {
                let own = settings.map(|json| read(&room, &json, &metrics));
                known.keep(room.clone(), own);
                metrics.room_settings.set(known.count() as i64);
                // The hub reads them anew: what it is told is only that there is something.
                hubs.command(HubCommand::Set { room }).await;
            }
        }
    }
}

/// What holds of settings that are kept. Faults should not be there: only a gateway of another
/// version, or somebody else, may have put them there. What holds is used, the same everywhere.
fn read(room: &RoomId, json: &Bytes, metrics: &Metrics) -> OwnSettings {
    match OwnSettings::read(json) {
        Ok((own, faults)) => {
            for fault in faults {
                metrics.room_settings_fault(fault.reason);
                let reason = fault.reason.text();
                tracing::warn!(%room, reason, "a setting that is kept is passed over");
            }
            own
        }
        Err(Malformed) => {
            metrics.room_settings_fault(Reason::Malformed);
            tracing::warn!(%room, "settings that are kept cannot be read");
            OwnSettings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::HubRules;

    fn room(name: &str) -> RoomId {
        RoomId::parse(name).unwrap()
    }

    #[tokio::test]
    async fn what_holds_of_faulty_settings_is_used_and_faults_are_counted() {
        let (tell, deliveries) = mpsc::channel(8);
        let known = KnownRooms::new(HubRules::default());
        let (hubs, mut inboxes) = Hubs::channels(1);
        let metrics = Arc::new(Metrics::new().unwrap());
        let put = |name: &str, json: &'static str| {
            SettingsDelivery::Room(room(name), Some(Bytes::from_static(json.as_bytes())))
        };
        for delivery in [
            put("good", r#"{"tick_ms":100}"#),
            put("newer", r#"{"tick_ms":200,"from_the_future":1}"#),
            put("bad", r#"{"tick_ms":0,"chat_per_s":3}"#),
            put("worse", "{"),
            SettingsDelivery::Room(room("gone"), None),
            SettingsDelivery::Complete,
        ] {
            tell.send(delivery).await.unwrap();
        }
        drop(tell);
        watch(deliveries, known.clone(), hubs, Arc::clone(&metrics)).await;
        let tick = |name| known.of(&room(name)).tick_ms;
        assert_eq!(
            [tick("good"), tick("newer"), tick("bad"), tick("worse")],
            [100, 200, 1000, 1000]
        );
        assert_eq!(known.of(&room("bad")).budget.chat, 3);
        assert_eq!((known.count(), known.own(&room("gone"))), (4, None));
        assert_eq!(known.admit(&room("good")), Ok(()));
        let mut told = Vec::new();
        while let Some(command) = inboxes[0].next_command().await {
            told.push(command.room().to_string());
        }
        assert_eq!(told, ["good", "newer", "bad", "worse", "gone"]);
        let shown = String::from_utf8(metrics.render()).unwrap();
        for line in [
            "barrage_room_settings 4",
            "barrage_room_settings_faults_total{reason=\"unknown_key\"} 1",
            "barrage_room_settings_faults_total{reason=\"bad_value\"} 1",
            "barrage_room_settings_faults_total{reason=\"malformed\"} 1",
        ] {
            assert!(shown.lines().any(|shown| shown == line), "{line}");
        }
    }
}
