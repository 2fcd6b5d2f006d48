//! What docs/cluster.md allows the worker is enough for it.

use async_nats::ConnectOptions;
use rig::nats::{Binary, Nats, Options, User};
use rig::wait::until;

use crate::scene::Scene;

/// The quoted words of the list behind `begin` in the worker's part of the document.
fn documented(begin: &str) -> Vec<String> {
    let document = include_str!("../../../../docs/cluster.md");
    let user = document.split("user: bridge").nth(1).expect("the worker's user is documented");
    let list = user.split(begin).nth(1).and_then(|rest| rest.split(']').next()).unwrap();
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[tokio::test]
async fn worker_needs_no_more_than_the_documented_permissions() {
    for binary in Binary::all() {
        let user = |name: &str, publish, subscribe| User {
            name: name.to_owned(),
            password: "secret".to_owned(),
            publish,
            subscribe,
        };
        let bridge = user("bridge", documented("publish: ["), documented("subscribe: ["));
        assert!(bridge.publish.len() >= 4 && bridge.subscribe.len() == 1);
        let users = vec![user("all", Vec::new(), Vec::new()), bridge];
        let nats = Nats::single_with(&binary, &Options { users, ..Options::default() }).await;
        let all = ConnectOptions::with_user_and_password("all".into(), "secret".into());
        let scene = Scene::set_on(nats, all, &["demo"]).await;
        scene.say("demo", 2).await;
        let login = ["--nats-user", "bridge", "--nats-password", "secret"];
        for said in [2, 4] {
            let worker = scene.work_with(&login).await;
            scene.until_archived("demo", said).await;
            let acked = said as u64 / 2;
            until("the ack", || async { (scene.acked("demo").await == acked).then_some(()) }).await;
            let log = worker.process.log();
            assert!(!log.contains("refuses"), "{log}");
            worker.end().await;
            scene.say("demo", 2).await;
        }
    }
}
