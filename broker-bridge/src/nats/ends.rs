//! What ends the tasks of the fabric.

use std::future::Future;

use tokio::sync::watch;

use super::StartError;
use crate::Load;

/// Everything that ends the tasks: a stop, the handle that is gone, servers that will not do.
#[derive(Clone)]
pub(super) struct Ends {
    pub(super) stopped: watch::Receiver<bool>,
    pub(super) handle: watch::Receiver<Load>,
    pub(super) refused: watch::Receiver<Option<StartError>>,
}

impl Ends {
    pub(super) async fn end(mut self, task: impl Future<Output = ()>) {
        let gone = async { while self.handle.changed().await.is_ok() {} };
        let refused = async {
            if self.refused.wait_for(Option::is_some).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let stopped = async {
            // Without a fabric to stop it, the task ends with the handle.
            if self.stopped.wait_for(|is_stopped| *is_stopped).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = stopped => {}
            () = gone => {}
            () = refused => {}
            () = task => {}
        }
    }
}
