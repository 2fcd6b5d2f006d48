//! A process with few files: whoever finds no place is told so, and the admin port still answers.

use std::process::Command;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::client::{Dial, TestClient};
use crate::support::gateway::metric;
use crate::support::process::GatewayProcess;
use crate::support::{soon, until};

/// With two shards: 144 files for itself, 2 to refuse with, the rest for connections.
const FILES: u32 = 300;
const PLACES: usize = 154;

#[tokio::test]
async fn a_process_with_few_files_refuses_whom_it_cannot_hold_and_stays_well() {
    let mut gateway = GatewayProcess::start_with_files(FILES, &["--shards", "2"]).await;
    let mut clients = Vec::new();
    for _ in 0..PLACES {
        clients.push(TestClient::connect(gateway.public).await);
    }
    for _ in 0..3 {
        let mut stream = TcpStream::connect(gateway.public).await.unwrap();
        stream
            .write_all(b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        soon("an answer", stream.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    }
    // Many at once who say nothing: more than there are files, were they all kept.
    let mut crowd = Vec::new();
    for _ in 0..2 * FILES {
        crowd.push(TcpStream::connect(gateway.public).await.unwrap());
    }
    let unheard = || async {
        let count = metric(gateway.admin, "barrage_turned_away_total", "unheard").await;
        (count >= f64::from(2 * FILES - 2)).then_some(())
    };
    until("the crowd is closed", unheard).await;
    assert_eq!(metric(gateway.admin, "barrage_accept_failures_total", "").await, 0.0);
    drop((crowd, clients.pop()));
    until("a place", || async {
        TestClient::try_dial(gateway.public, Dial::default()).await.ok().map(drop)
    })
    .await;
    for client in &mut clients {
        client.assert_lives().await;
    }
    drop(clients);
    gateway.signal("TERM");
    assert_eq!(gateway.ends().await, Some(0));
}

#[test]
fn a_process_with_too_few_files_says_what_it_needs() {
    let binary = env!("CARGO_BIN_EXE_barrage-gateway");
    let command = format!(
        "ulimit -n 100 && exec {binary} --dev --shards 2 --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0"
    );
    let output = Command::new("sh").arg("-c").arg(command).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("may open 100 files, and needs 208 or more"), "{said}");
}
