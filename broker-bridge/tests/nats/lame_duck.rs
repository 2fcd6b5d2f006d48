//! A server that is told to leave: gateways go by themselves, before it sends them away.

use std::time::Duration;

use broker_bridge::Ack;
use rig::nats::{Binary, Nats as Server, Node, Options};
use rig::wait::until;
use tokio::time::interval;

use crate::support::{Gateway, config, room};

/// How many links of gateways a server has.
async fn links(node: &Node) -> usize {
    let page = until("its connections", || node.monitor("/connz")).await;
    let of_gateways = page["connections"].as_array().unwrap().iter().filter(|connection| {
        connection["name"].as_str().is_some_and(|name| name.starts_with("barrage "))
    });
    of_gateways.count()
}

#[tokio::test]
async fn links_leave_a_server_that_is_about_to_go_and_nothing_is_lost() {
    for binary in Binary::all() {
        // Longer than links take to leave: whoever has left by then was not sent away.
        let more = "lame_duck_grace_period: \"10s\"\nlame_duck_duration: \"40s\"".to_owned();
        let options = Options { more, ..Options::default() };
        let mut server = Server::cluster_with(&binary, &options).await;
        let mut gateway = Gateway::ready(config(&server.url())).await;
        let room = room("a");
        gateway.open(&room).await;
        let leaving = busiest(&server).await;
        server.node(leaving).lame_duck();
        let mut sent = 0;
        let mut pace = interval(Duration::from_millis(20));
        let is_left = async {
            while links(&server.nodes()[leaving]).await > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::pin!(is_left);
        loop {
            tokio::select! {
                () = &mut is_left => break,
                _ = pace.tick() => {
                    sent += 1;
                    assert_eq!(gateway.publish(&room, sent).await, Ok(Ack { stored: true }));
                }
            }
        }
        let log = server.nodes()[leaving].log();
        assert!(log.contains("Entering lame duck mode"), "{log}");
        assert!(!log.contains("Closing existing clients"), "they were sent away: {log}");
        gateway.well().await;
        for nth in 1..=sent {
            assert_eq!(gateway.next_in_short(&room).await, format!("entry [{nth}]"));
        }
    }
}

/// The server with the most links: at least one.
async fn busiest(server: &Server) -> usize {
    let mut counts = Vec::new();
    for (at, node) in server.nodes().iter().enumerate() {
        counts.push((links(node).await, at));
    }
    counts.into_iter().max().expect("there are servers").1
}
