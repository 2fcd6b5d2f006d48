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

#[cfg(test)]
mod tests {
    use super::*;
    use broker_bridge::Entry;
    use bytes::Bytes;
    use protocol::cursor::Epoch;
    use protocol::ids::{Address, BootId, UserId};
    use tokio::sync::mpsc;

    fn room(name: &str) -> RoomId {
        RoomId::parse(name).unwrap()
    }

    fn an_entry() -> RoomDelivery {
        let entry = Entry { seq: 1, prev: 0, origin_ms: 0, events: [].into() };
        RoomDelivery::Entry { epoch: Epoch::random([7; 8]), entry }
    }

    #[tokio::test]
    async fn a_room_goes_to_its_hub_and_to_no_other() {
        let (hubs, mut inboxes) = Hubs::channels(3);
        let (deliver, deliveries) = mpsc::channel(16);
        let (seen, canary_seen) = watch::channel(false);
        for n in 0..9 {
            deliver.send((room(&format!("room-{}", n % 3)), an_entry())).await.unwrap();
        }
        drop(deliver);
        rooms(deliveries, hubs, RoomId::internal("canary"), seen).await;
        let mut homes: Vec<Vec<String>> = Vec::new();
        for inbox in &mut inboxes {
            let mut taken = Vec::new();
            while let Some((room, _)) = inbox.next_delivery().await {
                taken.push(room.as_str().to_owned());
            }
            homes.push(taken);
        }
        assert_eq!(homes.iter().map(Vec::len).sum::<usize>(), 9);
        for n in 0..3 {
            let name = format!("room-{n}");
            assert_eq!(homes.iter().filter(|home| home.contains(&name)).count(), 1, "{name}");
        }
        assert!(!*canary_seen.borrow());
    }

    #[tokio::test]
    async fn the_canary_is_seen_and_bothers_no_hub() {
        let (hubs, mut inboxes) = Hubs::channels(1);
        let (deliver, deliveries) = mpsc::channel(16);
        let (seen, canary_seen) = watch::channel(false);
        let canary = RoomId::internal("canary");
        let head = protocol::cursor::Cursor { epoch: Epoch::random([7; 8]), seq: 0 };
        let opened = RoomDelivery::Opened { head, recent: Vec::new() };
        deliver.send((canary.clone(), opened)).await.unwrap();
        let dispatch = tokio::spawn(rooms(deliveries, hubs, canary.clone(), seen));
        tokio::task::yield_now().await;
        assert!(!*canary_seen.borrow(), "opening proves nothing");
        deliver.send((canary, an_entry())).await.unwrap();
        drop(deliver);
        dispatch.await.unwrap();
        assert!(*canary_seen.borrow());
        assert!(inboxes[0].next_delivery().await.is_none());
    }

    #[tokio::test]
    async fn directed_payloads_go_to_an_address_a_user_or_everybody() {
        let (handles, mut inboxes): (Vec<_>, Vec<_>) =
            (0..2).map(|_| ShardHandle::channel()).unzip();
        let (send, deliveries) = mpsc::channel(16);
        let boot = BootId::random([1; 8]);
        let address = |shard| Address { boot, shard, slot: 3, generation: 4 };
        let ann = UserId::parse("ann").unwrap();
        let payload = Bytes::from_static(b"{}");
        for to in [
            Recipient::Address(address(1)),
            Recipient::Address(address(7)),
            Recipient::User(ann.clone()),
            Recipient::Everybody,
        ] {
            send.send(Directed { to, payload: payload.clone() }).await.unwrap();
        }
        drop(send);
        directed(deliveries, handles.into()).await;
        let told = frame::text(b"{}");
        for (shard, inbox) in inboxes.iter_mut().enumerate() {
            if shard == 1 {
                let Some(Control::Send { address: to, frame }) = inbox.next_control().await else {
                    panic!("it is for this shard")
                };
                assert_eq!((to, &frame), (address(1), &told));
            }
            for expected in [Some(&ann), None] {
                let Some(Control::SendTo { user, frame }) = inbox.next_control().await else {
                    panic!("it is for all shards")
                };
                assert_eq!((user.as_ref(), &frame), (expected, &told));
            }
            assert!(inbox.next_control().await.is_none());
        }
    }
}
