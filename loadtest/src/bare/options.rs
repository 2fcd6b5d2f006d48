//! What a comparison is told on the command line.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::files;

/// Compare a whole gateway with a bare send(2) loop: frames per second, CPU per frame, memory.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The gateway's binary [default: beside this one]
    #[arg(long = "gateway", value_name = "FILE")]
    gateway: Option<PathBuf>,
    /// Connections of each side
    #[arg(long, default_value_t = 10_000)]
    pub(crate) connections: u32,
    /// Sizes of frames in bytes, header included
    #[arg(long, value_delimiter = ',', default_value = "200,2000,16000")]
    pub(crate) sizes: Vec<u32>,
    /// How many values are measured of everything; the median is told
    #[arg(long, default_value_t = 5)]
    pub(crate) repeat: u32,
    /// Frames to everybody for one value, the sides taking turns
    #[arg(long, default_value_t = 10)]
    pub(crate) rounds: u32,
    /// Do not pin servers to one core and clients to another
    #[arg(long)]
    pub(crate) free: bool,
    /// Another server to compare with: a name and a command that speaks as docs/performance.md says
    #[arg(long = "peer", value_name = "NAME=COMMAND", value_parser = peer)]
    pub(crate) peers: Vec<Peer>,
    /// Write the report as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// Another server to compare with.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) name: String,
    /// The program and its arguments.
    pub(crate) command: Vec<String>,
}

fn peer(text: &str) -> anyhow::Result<Peer> {
    let (name, command) = text.split_once('=').context("expected NAME=COMMAND")?;
    let command: Vec<_> = command.split_whitespace().map(str::to_owned).collect();
    if name.is_empty() || command.is_empty() {
        bail!("expected NAME=COMMAND");
    }
    Ok(Peer { name: name.to_owned(), command })
}

impl Options {
    /// Checks what no single option can say.
    ///
    /// # Errors
    /// The numbers cannot be measured with.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if self.connections == 0 || self.repeat == 0 || self.rounds == 0 || self.sizes.is_empty() {
            bail!("there is nothing to measure");
        }
        if let Some(size) = self.sizes.iter().find(|size| !(200..=60_000).contains(*size)) {
            bail!(
                "{size}: the smallest batch with an event is a frame of 200 bytes, the largest here 60000"
            );
        }
        let most = files::connections_max();
        if u64::from(self.connections) > most {
            bail!("{} connections: a process may have {most} here (ulimit -Hn)", self.connections);
        }
        Ok(())
    }

    /// The gateway's binary.
    ///
    /// # Errors
    /// It is not there.
    pub(crate) fn gateway(&self) -> anyhow::Result<PathBuf> {
        let file = match &self.gateway {
            Some(file) => file.clone(),
            None => std::env::current_exe()?.with_file_name("barrage-gateway"),
        };
        if !file.is_file() {
            bail!(
                "there is no {}; build it with `cargo build --release -p gateway`",
                file.display()
            );
        }
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_peer_is_a_name_and_a_command() {
        let peer = super::peer("ws=node peers/ws.mjs").unwrap();
        assert_eq!((peer.name.as_str(), peer.command.len()), ("ws", 2));
        for text in ["ws", "=node", "ws=", "ws= "] {
            assert!(super::peer(text).is_err(), "{text}");
        }
    }
}
