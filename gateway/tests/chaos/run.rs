//! One run: a world, a crowd, faults one after another, and the judgement.

use std::sync::Arc;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::crowd::{Crowd, ROOMS};
use crate::plan::Plan;
use crate::publisher::Publisher;
use crate::report::{self, Outcome};
use crate::silence::Silence;
use crate::tally::Tally;
use crate::witness::Witness;
use crate::world::World;

/// Runs a plan; says whether every promise was kept.
pub(crate) async fn run(plan: &Plan) -> bool {
    report::begin(plan);
    let began = Instant::now();
    let mut random = StdRng::seed_from_u64(plan.seed);
    let mut world = World::start(plan).await;
    let tally = Arc::new(Tally::default());
    let (stop, stopped) = watch::channel(false);
    let witness = Witness::start(&world).await;
    let mut outcome = Outcome::default();
    let calm = tally.begin();
    let crowd = Crowd::gather(plan, &world, &tally, &mut random, &stopped);
    outcome.behind("calm", crowd.reaches([0, 0]).await);
    let (silence, silenced) = watch::channel(false);
    let publishers = load(plan, &world, &tally, &silenced);
    sleep(plan.calm).await;
    outcome.phase("calm", &tally.phase(calm), None, began.elapsed());
    for fault in &plan.faults {
        let name = fault.to_string();
        let phase = tally.begin();
        let happened = Instant::now();
        tokio::select! {
            () = fault.happen(&mut world, plan, &mut random) => {}
            () = crowd.unrest() => {}
        }
        outcome.behind(&name, crowd.reaches(witness.heads(&world).await).await);
        let took = happened.elapsed();
        sleep(plan.calm).await;
        outcome.phase(&name, &tally.phase(phase), Some(fault.promise()), took);
    }
    silence.send_replace(true);
    publishers.join_all().await;
    outcome.behind("the end", crowd.reaches(witness.heads(&world).await).await);
    stop.send_replace(true);
    let viewers = crowd.leave().await;
    let truth = witness.truth(&world).await;
    outcome.judge(&viewers, truth, &tally);
    outcome.end(plan, began.elapsed())
}

/// Offers events to every gateway, together at the rate of the plan.
fn load(
    plan: &Plan,
    world: &World,
    tally: &Arc<Tally>,
    silenced: &watch::Receiver<bool>,
) -> JoinSet<()> {
    let mut publishers = JoinSet::new();
    let silence = Arc::new(Silence::begin(plan.gateways));
    for (number, gateway) in world.gateways.iter().enumerate() {
        let publisher = Arc::new(Publisher {
            gateway: number,
            admin: gateway.admin(),
            room: ROOMS[0],
            rate: plan.rate / u32::try_from(plan.gateways).unwrap(),
            tally: Arc::clone(tally),
            silence: Arc::clone(&silence),
        });
        publishers.spawn(publisher.publish(silenced.clone()));
    }
    publishers
}
