//! A process that is told by lines what to do, and answers by lines.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::bare::cores::Cores;
use crate::bare::crowd;

/// An answer is waited for no longer than this.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process with a pipe to it and one from it. Ends with its handle.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    /// A crowd of clients.
    pub(crate) fn crowd(cores: &Cores) -> anyhow::Result<Self> {
        cores.client(|| Self::spawn(&std::env::current_exe()?, &["bare-crowd".to_owned()]))
    }

    /// The bare loop.
    pub(crate) fn bare_loop(cores: &Cores) -> anyhow::Result<Self> {
        cores.server(|| Self::spawn(&std::env::current_exe()?, &["bare-server".to_owned()]))
    }

    /// Another server.
    pub(crate) fn other(command: &[String], cores: &Cores) -> anyhow::Result<Self> {
        let (program, arguments) = command.split_first().context("no command")?;
        cores.server(|| Self::spawn(Path::new(program), arguments))
    }

    fn spawn(program: &Path, arguments: &[String]) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let orders = child.stdin.take().context("the process has no input")?;
        let answers = child.stdout.take().context("the process has no output")?;
        Ok(Self { child, orders, answers: BufReader::new(answers).lines() })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.child.id().context("the process has ended")
    }

    /// Gives an order, and takes its answer.
    pub(crate) async fn ask<A: DeserializeOwned>(
        &mut self,
        order: &impl Serialize,
    ) -> anyhow::Result<A> {
        self.tell(order).await?;
        self.hear().await
    }

    /// Gives an order.
    pub(crate) async fn tell(&mut self, order: &impl Serialize) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        Ok(self.orders.write_all(&line).await?)
    }

    /// Takes an answer.
    pub(crate) async fn hear<A: DeserializeOwned>(&mut self) -> anyhow::Result<A> {
        let line = tokio::time::timeout(PATIENCE, self.answers.next_line());
        let line = line.await.context("a process does not answer")??;
        let Some(line) = line else { bail!("a process has ended") };
        serde_json::from_str(&line).with_context(|| format!("a process says {line}"))
    }

    /// Waits until a crowd has heard nothing for a while.
    pub(crate) async fn settle(&mut self, quiet: Duration) -> anyhow::Result<()> {
        let order = crowd::Order::Settle { quiet_ms: quiet.as_millis() as u64 };
        match self.ask(&order).await? {
            crowd::Answer::Settled => Ok(()),
            other @ (crowd::Answer::Connected | crowd::Answer::Ready | crowd::Answer::Seen(_)) => {
                bail!("a crowd that is to settle says {other:?}")
            }
        }
    }
}
