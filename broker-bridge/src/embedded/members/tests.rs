use super::*;

type Door = mpsc::Sender<Member<u32, u32>>;

/// The outer end of a node.
struct Outside {
    boot: BootId,
    verbs: mpsc::Sender<u32>,
    deliveries: mpsc::Receiver<u32>,
    alive: Option<watch::Sender<()>>,
}

fn members() -> (Door, Members<u32, u32>) {
    let (door, joining) = mpsc::channel(4);
    (door, Members::new(joining))
}

fn knock(door: &Door, n: u8) -> Outside {
    let boot = BootId::random([n; 8]);
    let (verbs, verbs_inside) = mpsc::channel(1_000);
    let (deliveries_inside, deliveries) = mpsc::channel(1);
    let (alive, alive_inside) = watch::channel(());
    door.try_send(Member {
        boot,
        verbs: verbs_inside,
        deliveries: deliveries_inside,
        alive: alive_inside,
    })
    .unwrap();
    Outside { boot, verbs, deliveries, alive: Some(alive) }
}

/// Whose turn is next, and with how many verbs.
async fn turn(members: &mut Members<u32, u32>) -> (String, usize) {
    let mut verbs = Vec::new();
    let turn = members.next(&mut verbs).await;
    (format!("{turn:?}"), verbs.len())
}

fn verbs_of(node: &Outside) -> String {
    format!("{:?}", Turn::Verbs(node.boot))
}

#[tokio::test]
async fn a_node_with_much_to_say_does_not_keep_the_others_waiting() {
    let (door, mut members) = members();
    let (loud, calm) = (knock(&door, 1), knock(&door, 2));
    (0..100).for_each(|verb| loud.verbs.try_send(verb).unwrap());
    calm.verbs.try_send(0).unwrap();
    assert_eq!(turn(&mut members).await, (verbs_of(&loud), 64));
    assert_eq!(turn(&mut members).await, (verbs_of(&calm), 1));
    assert_eq!(turn(&mut members).await, (verbs_of(&loud), 36));
}

#[tokio::test]
async fn a_node_leaves_when_all_it_said_is_taken_and_all_ends_with_the_last() {
    let (door, mut members) = members();
    let Outside { boot, verbs, .. } = knock(&door, 1);
    verbs.try_send(1).unwrap();
    drop((verbs, door));
    assert_eq!(turn(&mut members).await, (format!("{:?}", Turn::Verbs(boot)), 1));
    assert_eq!(turn(&mut members).await, (format!("{:?}", Turn::Left(boot)), 0));
    assert_eq!(turn(&mut members).await, (format!("{:?}", Turn::Ended), 0));
}

#[tokio::test]
async fn whoever_waits_at_the_door_can_be_reached_once_admitted() {
    let (door, mut members) = members();
    let mut node = knock(&door, 1);
    assert_eq!(members.deliver(node.boot, 7).await, Delivered::Unknown);
    members.admit();
    assert_eq!(members.deliver(node.boot, 7).await, Delivered::Yes);
    assert_eq!(node.deliveries.try_recv(), Ok(7));
}

#[tokio::test]
async fn a_full_queue_is_waited_for_as_long_as_its_node_lives() {
    let (door, mut members) = members();
    let mut node = knock(&door, 1);
    members.admit();
    assert_eq!(members.deliver(node.boot, 1).await, Delivered::Yes);
    let (delivered, taken) = tokio::join!(members.deliver(node.boot, 2), node.deliveries.recv());
    assert_eq!((delivered, taken), (Delivered::Yes, Some(1)));
    let alive = node.alive.take();
    let both = async { tokio::join!(members.deliver(node.boot, 3), async { drop(alive) }) };
    let both = tokio::time::timeout(std::time::Duration::from_secs(30), both);
    assert_eq!(both.await, Ok((Delivered::Left, ())));
    assert_eq!(members.boots(), []);
}

#[tokio::test]
async fn a_node_that_takes_no_deliveries_any_more_has_left() {
    let (door, mut members) = members();
    let node = knock(&door, 1);
    members.admit();
    drop(node.deliveries);
    assert_eq!(members.deliver(node.boot, 1).await, Delivered::Left);
    assert_eq!(members.deliver(node.boot, 1).await, Delivered::Unknown);
}
