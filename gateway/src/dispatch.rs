//! Sorts what the broker delivers: rooms to their hubs, directed payloads to shards.

use std::sync::Arc;

use broker_bridge::{Directed, Recipient, RoomDelivery};
use protocol::frame;
use protocol::ids::RoomId;
use tokio::sync::{mpsc, watch};

use crate::hub::Hubs;
use crate::shard::{Control, ShardHandle};

/// Hands room deliveries to the hubs until the broker ends. Deliveries of the canary's room only
/// show that the broker works.
pub(crate) async fn rooms(
    mut deliveries: mpsc::Receiver<(RoomId, RoomDelivery)>,
    hubs: Hubs,
    canary: RoomId,
    canary_seen: watch::Sender<bool>,
) {
    while let Some((room, delivery)) = deliveries.recv().await {
        if room == canary {
            if matches!(delivery, RoomDelivery::Entry { .. }) {
                canary_seen.send_replace(true);
            }
        } else {
            hubs.deliver(room, delivery).await;
        }
    }
}

/// Hands directed payloads to the shards until the broker ends.
pub(crate) async fn directed(mut deliveries: mpsc::Receiver<Directed>, shards: Arc<[ShardHandle]>) {
    while let Some(Directed { to, payload }) = deliveries.recv().await {
        let frame = frame::text(&payload);
        match to {
            Recipient::Address(address) => {
                // An address of a node with more shards than this one belongs to nobody here.
                if let Some(shard) = shards.get(usize::from(address.shard)) {
                    shard.control(Control::Send { address, frame }).await;
                }
            }
            Recipient::User(user) => send_to_all(&shards, Some(user), frame).await,
            Recipient::Everybody => send_to_all(&shards, None, frame).await,
        }
    }
}

async fn send_to_all(
    shards: &[ShardHandle],
    user: Option<protocol::ids::UserId>,
    frame: bytes::Bytes,
) {
    for shard in shards {
        let (user, frame) = (user.clone(), frame.clone());
        shard.control(Control::SendTo { user, frame }).await;
    }
}
