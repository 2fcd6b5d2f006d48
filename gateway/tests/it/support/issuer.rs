//! An issuer that publishes its keys, over HTTP or through TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::tls::Certificate;
use super::tokens::Signer;

/// Publishes keys.
pub(crate) struct Issuer {
    pub(crate) address: SocketAddr,
    scheme: &'static str,
    answer: watch::Sender<String>,
    asked: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Issuer {
    pub(crate) async fn start(keys: &[Signer]) -> Self {
        Self::start_with(keys, None).await
    }

    /// One that speaks TLS, as `localhost`.
    pub(crate) async fn secured(keys: &[Signer], certificate: &Certificate) -> Self {
        Self::start_with(keys, Some(certificate.acceptor())).await
    }

    async fn start_with(keys: &[Signer], tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (answer, answers) = watch::channel(String::new());
        let asked = Arc::new(AtomicUsize::new(0));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let task = tokio::spawn(serve(listener, tls, answers, Arc::clone(&asked)));
        let issuer = Self { address, scheme, answer, asked, task };
        issuer.publish(keys);
        issuer
    }

    /// Publishes these keys from now on.
    pub(crate) fn publish(&self, keys: &[Signer]) {
        let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
        self.answer("200 OK", "", &json!({ "keys": keys }).to_string());
    }

    /// Answers 500 from now on.
    pub(crate) fn fail(&self) {
        self.answer("500 Internal Server Error", "", "");
    }

    /// Answers like this from now on, with more headers if there are any.
    pub(crate) fn answer(&self, status: &str, headers: &str, body: &str) {
        let length = body.len();
        let answer =
            format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n{body}");
        self.answer.send_replace(answer);
    }

    /// Takes requests and answers nothing from now on.
    pub(crate) fn be_silent(&self) {
        self.answer.send_replace(String::new());
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://localhost:{}/keys", self.scheme, self.address.port())
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    answers: watch::Receiver<String>,
    asked: Arc<AtomicUsize>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (answers, asked) = (answers.clone(), Arc::clone(&asked));
        match &tls {
            None => answer(stream, &answers, &asked).await,
            Some(tls) => {
                // Whoever does not trust the certificate goes.
                if let Ok(stream) = tls.accept(stream).await {
                    answer(stream, &answers, &asked).await;
                }
            }
        }
    }
}

async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answers: &watch::Receiver<String>,
    asked: &AtomicUsize,
) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    asked.fetch_add(1, Ordering::SeqCst);
    let answer = answers.borrow().clone();
    if answer.is_empty() {
        // Until the other side has had enough.
        let _ = stream.read(&mut [0]).await;
        return;
    }
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}
