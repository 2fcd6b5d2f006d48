//! One of those that are compared: a server, and the crowd that listens to it.
//!
//! A server that is not the gateway is told by lines of JSON what to do. It begins by saying
//! where it listens: `{"address":"127.0.0.1:4000"}`. `{"accept":250}` is answered with
//! `"done"` when so many more connections are open, `{"send":2000}` when a frame of so many bytes,
//! header included, was handed to the kernel for each of them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::bail;
use serde::{Deserialize, Serialize};

use crate::bare::crowd::{Answer, Greeting, Order, Seen};
use crate::bare::gateway::Gateway;
use crate::bare::worker::Worker;

/// What a server is told to do.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ServerOrder {
    /// Accept so many connections more.
    Accept(u32),
    /// Send everybody a frame of so many bytes.
    Send(u32),
}

/// What a server answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ServerAnswer {
    /// Where it listens: its first word.
    Address(SocketAddr),
    Done,
}

/// One of those that are compared.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) name: String,
    /// The server's process.
    pub(crate) pid: u32,
    pub(crate) address: SocketAddr,
    pub(crate) greeting: Greeting,
    pub(crate) crowd: Worker,
    pub(crate) orders: Orders,
}

/// How a server is made to send.
#[derive(Debug)]
pub(crate) enum Orders {
    /// An event is published.
    Publish(Gateway),
    /// It is told.
    Pipe(Worker),
}

/// A frame to everybody, as this process and the crowd have seen it.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) seen: Seen,
    /// From the order to the word that all have it.
    pub(crate) took: Duration,
}

impl Side {
    /// A server that is told by lines.
    pub(crate) async fn piped(
        name: &str,
        mut server: Worker,
        greeting: Greeting,
        crowd: Worker,
    ) -> anyhow::Result<Self> {
        let ServerAnswer::Address(address) = server.hear().await? else {
            bail!("{name} does not say where it listens")
        };
        let pid = server.pid()?;
        let orders = Orders::Pipe(server);
        Ok(Self { name: name.to_owned(), pid, address, greeting, crowd, orders })
    }

    /// Opens so many connections more.
    pub(crate) async fn connect(&mut self, count: u32) -> anyhow::Result<()> {
        if let Orders::Pipe(server) = &mut self.orders {
            server.tell(&ServerOrder::Accept(count)).await?;
        }
        let (address, greeting) = (self.address, self.greeting.clone());
        let Answer::Connected =
            self.crowd.ask(&Order::Connect { address, count, greeting }).await?
        else {
            bail!("the crowd of {} is confused", self.name)
        };
        if let Orders::Pipe(server) = &mut self.orders {
            let _: ServerAnswer = server.hear().await?;
        }
        Ok(())
    }

    /// Has a frame sent to everybody; a gateway makes one of the size that it was aimed at.
    pub(crate) async fn round(&mut self, length: u32) -> anyhow::Result<Round> {
        let Answer::Ready = self.crowd.ask(&Order::Watch).await? else {
            bail!("the crowd of {} is confused", self.name)
        };
        let started = Instant::now();
        match &mut self.orders {
            Orders::Publish(gateway) => gateway.publish().await?,
            Orders::Pipe(server) => {
                let _: ServerAnswer = server.ask(&ServerOrder::Send(length)).await?;
            }
        }
        let Answer::Seen(seen) = self.crowd.hear().await? else {
            bail!("the crowd of {} is confused", self.name)
        };
        Ok(Round { seen, took: started.elapsed() })
    }
}
