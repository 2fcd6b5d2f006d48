//! What the integration tests share: a gateway on free ports, clients that remember what they
//! were told, a client that speaks bytes, and a client of the server API.

pub(crate) mod account;
pub(crate) mod client;
pub(crate) mod echo;
pub(crate) mod events;
pub(crate) mod fabric;
pub(crate) mod files;
pub(crate) mod frames;
pub(crate) mod gateway;
pub(crate) mod http;
pub(crate) mod memory;
pub(crate) mod process;
pub(crate) mod raw;
pub(crate) mod scene;
pub(crate) mod seed;
pub(crate) mod stream;
pub(crate) mod tls;
pub(crate) mod tokens;

use std::future::Future;
use std::time::Duration;

/// How long a test waits before it is called failed: far more than anything takes, since other
/// work may hold the machine up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at something that cannot be waited for otherwise.
pub(crate) const LOOK: Duration = Duration::from_millis(10);

/// Waits for something that must come; fails with its name.
pub(crate) async fn soon<T>(what: &str, coming: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, coming).await {
        Ok(came) => came,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

/// Looks until there is something.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    soon(what, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(LOOK).await;
        }
    })
    .await
}
