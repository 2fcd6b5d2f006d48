//! The archive of a real stream: whatever happens to the worker, the server or the disk, every
//! entry is in it once and in order, or told to be missing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod permissions;
mod scene;

use std::time::Duration;

use rig::wait::until;
use scene::Scene;

fn numbers(range: std::ops::Range<u64>) -> Vec<u64> {
    range.collect()
}

#[tokio::test]
async fn what_rooms_say_is_archived_and_acked_when_it_is_durable() {
    let Some(scene) = Scene::set(&["demo", "other"]).await else { return };
    scene.say("demo", 3).await; // before the worker's first life
    let worker = scene.work().await;
    scene.say("other", 2).await;
    scene.say("demo", 1).await;
    assert_eq!(scene.until_archived("demo", 4).await, [0, 1, 2, 5]);
    assert_eq!(scene.until_archived("other", 2).await, [3, 4]);
    until("the ack", || async { (scene.acked("demo").await == 2).then_some(()) }).await;
    worker.until_metric("barrage_bridge_events_total", |events| events == 6.0).await;
    worker.until_metric("barrage_bridge_behind_entries", |behind| behind == 0.0).await;
    assert_eq!(worker.health().await["state"], "ok");
    worker.end().await;
}

#[tokio::test]
async fn worker_that_is_told_to_end_commits_and_acks_first() {
    let Some(scene) = Scene::set(&["demo"]).await else { return };
    let worker = scene.work_with(&["--commit-every", "1h"]).await;
    scene.say("demo", 5).await;
    worker.until_metric("barrage_bridge_waiting_bytes", |bytes| bytes > 0.0).await;
    assert_eq!(scene.archived("demo"), [0; 0]);
    worker.end().await;
    assert_eq!(scene.archived("demo"), numbers(0..5));
    assert_eq!(scene.acked("demo").await, 1);
}

#[tokio::test]
async fn worker_that_is_killed_again_and_again_archives_everything_once() {
    let Some(scene) = Scene::set(&["demo"]).await else { return };
    let mut said = 0;
    for life in 0..6 {
        let mut worker = scene.work().await;
        for _ in 0..20 {
            scene.say("demo", 3).await;
            said += 3;
        }
        // Each life dies somewhere else: before, in and after commits.
        if life % 2 == 1 {
            scene.until_archived("demo", said - 30).await;
        }
        worker.process.kill();
    }
    let worker = scene.work().await;
    assert_eq!(scene.until_archived("demo", said).await, numbers(0..said as u64));
    worker.end().await;
    assert_eq!(scene.archived("demo"), numbers(0..said as u64));
}

#[tokio::test]
async fn server_that_comes_late_or_goes_away_is_waited_for() {
    let Some(mut scene) = Scene::set(&["demo"]).await else { return };
    scene.say("demo", 1).await;
    scene.nats.kill_all();
    let worker = scene.work().await;
    assert_eq!(worker.health().await["state"], "degraded");
    scene.nats.restart_all().await;
    scene.until_archived("demo", 1).await;
    worker.until_metric("barrage_bridge_connected", |connected| connected == 1.0).await;
    for round in 1..4 {
        scene.nats.kill_all();
        worker.until_metric("barrage_bridge_connected", |connected| connected == 0.0).await;
        scene.nats.restart_all().await;
        let context = scene.stream("demo");
        let _ = tokio::time::timeout(Duration::from_secs(30), context).await.unwrap();
        scene.say("demo", 1).await;
        assert_eq!(scene.until_archived("demo", round + 1).await, numbers(0..round as u64 + 1));
    }
    worker.end().await;
}

#[tokio::test]
async fn disk_that_takes_nothing_holds_the_acks_back_until_it_does() {
    let Some(scene) = Scene::set(&["demo"]).await else { return };
    let worker = scene.work().await;
    scene.say("demo", 1).await;
    until("the ack", || async { (scene.acked("demo").await == 1).then_some(()) }).await;
    // A file where the positions are to be written: as full as a disk can be.
    let obstacle = scene.archive().join("positions.json.tmp");
    std::fs::create_dir(&obstacle).unwrap();
    scene.say("demo", 2).await;
    worker.until_metric("barrage_bridge_disk_failing", |failing| failing == 1.0).await;
    worker.until_metric("barrage_bridge_failed_commits_total", |failed| failed >= 2.0).await;
    let health = worker.health().await;
    assert_eq!((&health["state"], &health["disk"]), (&"degraded".into(), &false.into()));
    assert_eq!(scene.acked("demo").await, 1);
    assert!(worker.process.log().contains("nothing is acked until it can"));
    std::fs::remove_dir(&obstacle).unwrap();
    worker.until_metric("barrage_bridge_disk_failing", |failing| failing == 0.0).await;
    until("the ack", || async { (scene.acked("demo").await == 2).then_some(()) }).await;
    assert_eq!(scene.archived("demo"), numbers(0..3));
    worker.end().await;
}

#[tokio::test]
async fn worker_ends_though_the_disk_takes_nothing_and_the_next_life_makes_up_for_it() {
    let Some(scene) = Scene::set(&["demo"]).await else { return };
    let mut worker = scene.work().await;
    scene.say("demo", 1).await;
    // The commit is over: its last file is not where the obstacle is to be.
    until("the ack", || async { (scene.acked("demo").await == 1).then_some(()) }).await;
    let obstacle = scene.archive().join("positions.json.tmp");
    std::fs::create_dir(&obstacle).unwrap();
    scene.say("demo", 2).await;
    worker.until_metric("barrage_bridge_disk_failing", |failing| failing == 1.0).await;
    worker.process.terminate();
    assert_eq!(worker.process.ended().await.code(), Some(1), "what it held is not durable");
    std::fs::remove_dir(&obstacle).unwrap();
    let worker = scene.work().await;
    assert_eq!(scene.until_archived("demo", 3).await, numbers(0..3));
    worker.end().await;
    assert_eq!(scene.archived("demo"), numbers(0..3));
}

#[tokio::test]
async fn entries_that_are_gone_before_they_are_archived_are_told() {
    let Some(scene) = Scene::set(&["demo"]).await else { return };
    let worker = scene.work().await;
    scene.say("demo", 1).await;
    scene.until_archived("demo", 1).await;
    worker.end().await;
    for _ in 0..5 {
        scene.say("demo", 1).await;
    }
    scene.stream("demo").await.purge().sequence(5).await.unwrap();
    let worker = scene.work().await;
    assert_eq!(scene.until_archived("demo", 3).await, [0, 4, 5]);
    worker.until_metric("barrage_bridge_gone_entries_total", |gone| gone == 3.0).await;
    worker.end().await;
    let query = scene.command("query").args(["--room", "demo"]).output().unwrap();
    let told = String::from_utf8(query.stderr).unwrap();
    assert!(query.status.success() && told.starts_with("warning: 3 entries of stream"), "{told}");
}

#[tokio::test]
async fn stream_that_is_lost_and_made_again_is_archived_behind_the_old_one() {
    let Some(scene) = Scene::set(&["demo"]).await else { return };
    let worker = scene.work().await;
    for _ in 0..3 {
        scene.say("demo", 1).await;
    }
    scene.until_archived("demo", 3).await;
    let name = scene.stream("demo").await.cached_info().config.name.clone();
    scene.context.delete_stream(name).await.unwrap();
    scene.make_stream("demo", 2).await;
    scene.say("demo", 2).await;
    assert_eq!(scene.until_archived("demo", 5).await, numbers(0..5));
    worker.end().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_counted_and_passed_by() {
    let Some(scene) = Scene::set(&["demo"]).await else { return };
    let worker = scene.work().await;
    scene.publish("demo", "no envelope".into()).await;
    scene.say("demo", 1).await;
    assert_eq!(scene.until_archived("demo", 1).await, [0]);
    worker.until_metric("barrage_bridge_unusable_entries_total", |count| count == 1.0).await;
    worker.end().await;
}
