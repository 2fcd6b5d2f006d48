//! One GET, through TLS or on this machine.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::auth::config::JwksUrl;
use crate::keys::authorities::Authorities;

/// From connecting to the last byte.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The answer, in bytes, at most: 64 keys with certificates.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// Fetches what is at an address. Follows nowhere else.
///
/// # Errors
/// No answer in time, a certificate that nobody vouches for, not 200, or too large.
pub(super) async fn get(url: &JwksUrl, authorities: &Authorities) -> anyhow::Result<Bytes> {
    let got = tokio::time::timeout(TIMEOUT, connect_and_get(url, authorities));
    got.await.context("no answer in time")?
}

async fn connect_and_get(url: &JwksUrl, authorities: &Authorities) -> anyhow::Result<Bytes> {
    let stream = TcpStream::connect(url.host_and_port()).await.context("cannot connect")?;
    let Some(name) = url.secured() else { return exchange(url, stream).await };
    let name = ServerName::try_from(name.to_owned())?;
    let connector = TlsConnector::from(authorities.client().await?);
    let stream = connector.connect(name, stream).await.context("the issuer is not trusted")?;
    exchange(url, stream).await
}

async fn exchange<Io>(url: &JwksUrl, stream: Io) -> anyhow::Result<Bytes>
where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(url.path())
        .header(HOST, url.authority())
        .header(ACCEPT, "application/jwk-set+json, application/json")
        .header(USER_AGENT, concat!("barrage/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())?;
    let answer = async {
        let answer = sender.send_request(request).await?;
        ensure!(answer.status() == StatusCode::OK, "answered with {}", answer.status());
        let body = Limited::new(answer.into_body(), BODY_BYTES_MAX).collect().await;
        Ok(body.map_err(|error| anyhow::anyhow!(error))?.to_bytes())
    };
    tokio::pin!(answer);
    // Both are driven here: a connection is never left behind.
    tokio::select! {
        answer = &mut answer => answer,
        ended = connection => {
            ended?;
            answer.await
        }
    }
}
