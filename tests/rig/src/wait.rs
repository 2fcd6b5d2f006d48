//! Waiting for what must come.

use std::future::Future;
use std::time::Duration;

/// How long a test waits before it is called failed: far more than anything takes, since other
/// work may hold the machine up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at something that cannot be waited for otherwise.
pub const LOOK: Duration = Duration::from_millis(10);

/// Waits for something that must come; fails with its name.
///
/// # Panics
/// It has not come within [`PATIENCE`].
pub async fn soon<T>(what: &str, coming: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, coming).await {
        Ok(came) => came,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

/// Looks until there is something.
///
/// # Panics
/// There is nothing within [`PATIENCE`].
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
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
