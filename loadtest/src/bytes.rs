//! What a viewer receives per second, plain and through shared permessage-deflate.
//!
//! Takes the texts of an archive in their order, a second's worth at a time, and makes of each
//! the batch that a gateway makes: the same code renders the events, splices and compresses them,
//! and adds the header of the frame.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use protocol::cursor::{Cursor, Epoch};
use protocol::deflate::Deflater;
use protocol::event::{Body, Chat, Draft, Event, Kind, User, WEIGHT_DEFAULT};
use protocol::frame;
use protocol::ids::{BootId, EventId, RoomId};
use protocol::select::LeftOut;
use protocol::to_client::Batch;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::Serialize;
use serde_json::json;

use crate::Failure;
use crate::archive::Archive;
use crate::danmaku::Danmaku;
use crate::told;

/// Seconds of an archive are milliseconds apart from here on.
const BEGAN_MS: u64 = 1_760_000_000_000;

/// Say how many bytes a viewer receives per second, plain and compressed
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The archive: XML with <d p="seconds,mode,size,colour,…">text</d>
    #[arg(value_name = "FILE.xml")]
    file: PathBuf,
    /// Chats per second; the room's slots are a second long
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rate: u16,
    /// Write the report as JSON to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// The bytes of frames, with their headers.
#[derive(Debug)]
struct Report {
    rate: u16,
    seconds: usize,
    plain: usize,
    deflated: usize,
}

/// Makes the batches and tells; ends with the exit code.
///
/// # Errors
/// The archive cannot be read, or does not last a second.
pub(crate) fn command(options: &Options) -> Result<u8, Failure> {
    let json = told::open(options.json.as_deref())?;
    told::tell(&measure(options).map_err(Failure::Usage)?, json)
}

fn measure(options: &Options) -> anyhow::Result<Report> {
    let name = options.file.display();
    let file = std::fs::File::open(&options.file);
    let file = file.with_context(|| format!("cannot open {name}"))?;
    let archive = Archive::read(file).with_context(|| format!("cannot read {name}"))?;
    let rate = usize::from(options.rate);
    let seconds = archive.danmaku.chunks_exact(rate);
    if seconds.len() == 0 {
        bail!("{name} holds {} danmaku: less than a second's", archive.danmaku.len());
    }
    let mut report = Report { rate: options.rate, seconds: seconds.len(), plain: 0, deflated: 0 };
    let mut maker = Maker::new()?;
    for (second, danmaku) in seconds.enumerate() {
        let message = maker.batch(second as u64, danmaku);
        report.plain += frame::text(&message).len();
        report.deflated += frame::deflated_text(&maker.deflater.deflate(&message)).len();
    }
    Ok(report)
}

/// Makes batches as a gateway does.
struct Maker {
    room: RoomId,
    epoch: Epoch,
    node: BootId,
    /// Ids of events look random, and are the same in every run.
    ids: StdRng,
    deflater: Deflater,
}

impl Maker {
    fn new() -> anyhow::Result<Self> {
        let room = RoomId::parse("demo")?;
        let (epoch, ids) = (Epoch::random([7; 8]), StdRng::seed_from_u64(1));
        let node = BootId::random([9; 8]);
        Ok(Self { room, epoch, node, ids, deflater: Deflater::new() })
    }

    fn batch(&mut self, second: u64, danmaku: &[Danmaku]) -> Vec<u8> {
        let count = danmaku.len() as u64;
        let events = danmaku.iter().zip(0..);
        let events =
            events.map(|(danmaku, n)| self.event(danmaku, second * 1000 + n * 1000 / count));
        let events: Vec<Event> = events.collect();
        let at = |seq| Cursor { epoch: self.epoch, seq };
        let mut message = Vec::new();
        Batch {
            room: &self.room,
            prev: at(second * count).into(),
            cursor: at((second + 1) * count).into(),
            events: &events,
            left_out: &LeftOut::default(),
            state: None,
        }
        .render(&mut message);
        message
    }

    fn event(&mut self, danmaku: &Danmaku, after_ms: u64) -> Event {
        let chat = Chat {
            text: danmaku.text.as_str().into(),
            mode: danmaku.mode,
            color: danmaku.color,
            size: danmaku.size,
            emotes: Vec::new(),
        };
        let draft = Draft {
            id: EventId::random(EventId::random_bytes(self.node, self.ids.random())),
            kind: Kind::Chat,
            ts_ms: BEGAN_MS + after_ms,
            user: Some(&User::new(danmaku.user.clone())),
            body: Body::Chat(chat),
            weight: WEIGHT_DEFAULT,
        };
        draft.render()
    }
}

impl Report {
    fn per_second(&self, bytes: usize) -> f64 {
        bytes as f64 / self.seconds as f64
    }

    fn ratio(&self) -> f64 {
        self.plain as f64 / self.deflated as f64
    }
}

impl Serialize for Report {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (plain, deflated) = (self.per_second(self.plain), self.per_second(self.deflated));
        let report = json!({
            "scenario": "bytes",
            "rate": self.rate,
            "seconds": self.seconds,
            "figures": {
                "plain_bytes_per_viewer_second": { "value": plain, "unit": "B/s" },
                "deflated_bytes_per_viewer_second": { "value": deflated, "unit": "B/s" },
                "plain_to_deflated": { "value": self.ratio(), "unit": "ratio" },
            },
        });
        report.serialize(serializer)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (plain, deflated) = (self.per_second(self.plain), self.per_second(self.deflated));
        writeln!(f, "{} batches of {} chats, one a second", self.seconds, self.rate)?;
        writeln!(f, "plain    {plain:>8.0} B/s for each viewer")?;
        writeln!(f, "deflated {deflated:>8.0} B/s for each viewer")?;
        writeln!(f, "{:.2} times less", self.ratio())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_fills_a_second_and_shrinks() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/sample.xml").into();
        let report = measure(&Options { file, rate: 50, json: None }).unwrap();
        assert_eq!(report.seconds, 1);
        assert!(report.deflated > 500 && report.ratio() > 2.0, "{report}");
        let again = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/sample.xml").into();
        let again = measure(&Options { file: again, rate: 50, json: None }).unwrap();
        assert_eq!((again.plain, again.deflated), (report.plain, report.deflated));
    }

    #[test]
    fn an_archive_of_less_than_a_second_is_refused() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/sample.xml").into();
        assert!(measure(&Options { file, rate: 1000, json: None }).is_err());
    }
}
