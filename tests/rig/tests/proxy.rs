//! Every fault of the proxy really happens.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::ErrorKind;
use std::time::Duration;

use rig::proxy::{Link, Proxy};
use rig::wait::{soon, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// How long it must have been quiet to be called silent: echoes take less than a millisecond.
const SILENCE: Duration = Duration::from_millis(300);

/// A server that says everything back.
struct Echo {
    listener: JoinHandle<()>,
    proxy: Proxy,
}

impl Echo {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::before(listener.local_addr().unwrap()).await;
        let listener = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        Self { listener, proxy }
    }

    async fn client(&self) -> TcpStream {
        let mut client = TcpStream::connect(self.proxy.address()).await.unwrap();
        assert_eq!(echo(&mut client, "hello").await, "hello");
        client
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn echo(client: &mut TcpStream, text: &str) -> String {
    client.write_all(text.as_bytes()).await.unwrap();
    hear(client, text.len()).await
}

async fn hear(client: &mut TcpStream, length: usize) -> String {
    let mut heard = vec![0; length];
    soon("the echo", client.read_exact(&mut heard)).await.unwrap();
    String::from_utf8(heard).unwrap()
}

async fn is_silent(client: &mut TcpStream) -> bool {
    timeout(SILENCE, client.read_u8()).await.is_err()
}

#[tokio::test]
async fn a_flowing_link_passes_everything_in_order_and_the_end_too() {
    let echo = Echo::start().await;
    let client = echo.client().await;
    let sent: Vec<u8> = (0..4_000_000_u32).map(|n| (n % 251) as u8).collect();
    let (mut read, mut write) = client.into_split();
    let all = sent.clone();
    let writing = tokio::spawn(async move {
        write.write_all(&all).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut heard = Vec::new();
    soon("everything", read.read_to_end(&mut heard)).await.unwrap();
    assert!(heard == sent, "{} of {} bytes", heard.len(), sent.len());
    writing.await.unwrap();
    until("its end", || async { (echo.proxy.connections() == 0).then_some(()) }).await;
}

#[tokio::test]
async fn a_slow_link_delays_both_directions() {
    let server = Echo::start().await;
    let mut client = server.client().await;
    let delay = Duration::from_millis(150);
    server.proxy.set(Link::Flows(delay));
    let sent = Instant::now();
    assert_eq!(echo(&mut client, "slow").await, "slow");
    assert!(sent.elapsed() >= 2 * delay, "{:?}", sent.elapsed());
    server.proxy.set(Link::Flows(Duration::ZERO));
    let sent = Instant::now();
    assert_eq!(echo(&mut client, "quick").await, "quick");
    assert!(sent.elapsed() < 2 * delay, "{:?}", sent.elapsed());
}

#[tokio::test]
async fn a_stalled_link_passes_nothing_and_ends_nothing_and_then_passes_all() {
    let server = Echo::start().await;
    let mut client = server.client().await;
    server.proxy.set(Link::Stalls);
    client.write_all(b"held").await.unwrap();
    let mut newcomer = TcpStream::connect(server.proxy.address()).await.unwrap();
    newcomer.write_all(b"new").await.unwrap();
    assert!(is_silent(&mut client).await && is_silent(&mut newcomer).await);
    server.proxy.set(Link::Flows(Duration::ZERO));
    assert_eq!(hear(&mut client, 4).await, "held");
    assert_eq!(hear(&mut newcomer, 3).await, "new");
}

#[tokio::test]
async fn a_cut_link_closes_and_takes_new_connections() {
    let server = Echo::start().await;
    let mut client = server.client().await;
    server.proxy.cut();
    assert_eq!(soon("the end", client.read(&mut [0; 8])).await.unwrap(), 0);
    server.client().await;
}

#[tokio::test]
async fn a_reset_ends_connections_with_an_error_stalled_ones_too() {
    let server = Echo::start().await;
    let (mut client, mut other) = (server.client().await, server.client().await);
    server.proxy.set(Link::Stalls);
    other.write_all(b"never").await.unwrap();
    server.proxy.reset();
    for client in [&mut client, &mut other] {
        let error = soon("the end", client.read(&mut [0; 8])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    until("their end", || async { (server.proxy.connections() == 0).then_some(()) }).await;
}

#[tokio::test]
async fn a_refusing_link_lets_nobody_in_and_keeps_who_is_there() {
    let server = Echo::start().await;
    let mut client = server.client().await;
    server.proxy.set(Link::Refuses);
    let mut newcomer = TcpStream::connect(server.proxy.address()).await.unwrap();
    assert!(soon("the reset", newcomer.read(&mut [0; 8])).await.is_err());
    assert_eq!(echo(&mut client, "still here").await, "still here");
    server.proxy.set(Link::Flows(Duration::ZERO));
    server.client().await;
}
