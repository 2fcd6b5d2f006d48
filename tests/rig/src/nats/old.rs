//! A server of a version that is too old, as far as a client gets to know it.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Starts a server called `old` that says to be of version 2.10.26 and answers pings, and nothing
/// else; returns its URL. It ends with the runtime.
///
/// # Panics
/// There is no free port.
pub async fn old_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let info = br#"INFO {"server_id":"old","server_name":"old","version":"2.10.26","max_payload":1048576,"proto":1,"headers":true,"jetstream":true}"#;
                socket.write_all(&[info, &b"\r\n"[..]].concat()).await?;
                let mut heard = [0; 4096];
                loop {
                    let count = socket.read(&mut heard).await?;
                    if count == 0 {
                        return std::io::Result::Ok(());
                    }
                    if heard[..count].windows(4).any(|word| word == b"PING") {
                        socket.write_all(b"PONG\r\n").await?;
                    }
                }
            });
        }
    });
    format!("nats://{address}")
}
