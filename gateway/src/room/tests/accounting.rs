//! The promise of the protocol, for every viewer and any order of things:
//! received + Σ left out + held now − held at the join = published.

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::event::Class;

use super::world::World;

const VIEWERS: usize = 5;

#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    Publish { age_ms: u64, events: Vec<(Class, Option<u8>)> },
    DeliverAgain,
    DeliverLive(u64),
    Lose(Vec<Class>),
    Join { viewer: usize, history: usize, resumes: bool },
    Leave(usize),
    Like,
    Open(usize),
    AnswerFetch(bool),
    Set { tick_ms: u32, chat: usize },
}

fn class() -> impl Strategy<Value = Class> {
    (0..Class::ALL.len()).prop_map(|class| Class::ALL[class])
}

fn step() -> impl Strategy<Value = Step> {
    let wait =
        prop_oneof![6 => 0..40u64, 6 => 40..1_500u64, 1 => 1_500..30_000u64, 1 => Just(70_000)];
    let key = prop_oneof![4 => Just(None), 1 => (0..4u8).prop_map(Some)];
    let age_ms = prop_oneof![4 => 0..40u64, 1 => 0..3_000u64];
    let publish = (age_ms, vec((class(), key), 0..9));
    prop_oneof![
        12 => wait.prop_map(Step::Wait),
        10 => publish.prop_map(|(age_ms, events)| Step::Publish { age_ms, events }),
        1 => Just(Step::DeliverAgain),
        2 => (1..5u64).prop_map(Step::DeliverLive),
        2 => vec(class(), 1..5).prop_map(Step::Lose),
        8 => (0..VIEWERS, 0..20usize, any::<bool>())
            .prop_map(|(viewer, history, resumes)| Step::Join { viewer, history, resumes }),
        5 => (0..VIEWERS).prop_map(Step::Leave),
        1 => Just(Step::Like),
        2 => (0..6usize).prop_map(Step::Open),
        3 => prop::bool::weighted(0.8).prop_map(Step::AnswerFetch),
        2 => (prop_oneof![Just(1_000u32), Just(100), 1..2_000u32, Just(7_000)], 1..20usize)
            .prop_map(|(tick_ms, chat)| Step::Set { tick_ms, chat }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_viewers_account_closes(
        grace_ms in prop_oneof![Just(0u64), Just(50)], steps in vec(step(), 1..120)
    ) {
        let mut world = World::new(grace_ms, VIEWERS);
        for step in steps {
            match step {
                Step::Wait(ms) => world.wait(ms),
                Step::Publish { age_ms, events } => world.publish(age_ms, &events),
                Step::DeliverAgain => world.deliver_again(),
                Step::DeliverLive(events) => world.deliver_live(events),
                Step::Lose(classes) => world.lose(&classes),
                Step::Join { viewer, history, resumes } => world.join(viewer, history, resumes),
                Step::Leave(viewer) => world.leave(viewer),
                Step::Like => world.like(),
                Step::Open(recent) => world.open(recent),
                Step::AnswerFetch(knows) => world.answer_fetch(knows),
                Step::Set { tick_ms, chat } => world.set(tick_ms, chat),
            }
        }
        world.settle();
    }
}
