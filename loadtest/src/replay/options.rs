//! What a replay is told on the command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use protocol::ids::RoomId;

use crate::archive::Archive;
use crate::scenario::options::Common;

/// Play a danmaku archive into a room and check that every viewer's account closes.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub(crate) struct Options {
    /// The archive: XML with <d p="seconds,mode,size,colour,…">text</d>
    #[arg(value_name = "FILE.xml")]
    pub(crate) file: PathBuf,
    /// How many times faster than recorded (0.01 to 10000)
    #[arg(long, default_value = "1", value_parser = speed)]
    pub(crate) speed: f64,
    /// Play what appears at or after this second of the recording
    #[arg(long, value_name = "S", default_value = "0", value_parser = seconds)]
    pub(crate) from: Duration,
    /// Play what appears before this second of the recording
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) to: Option<Duration>,
    /// The key of the server API
    #[arg(long, env = "BARRAGE_API_KEY", hide_env_values = true, default_value = "dev")]
    pub(crate) api_key: String,
    /// The room
    #[arg(long, default_value = "demo", value_parser = room)]
    pub(crate) room: RoomId,
    /// How many rooms it is played into at once: ROOM-1, ROOM-2 and so on
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) rooms: u16,
    /// How many viewers watch each room
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) viewers: u32,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Options {
    /// Checks what no single option can say.
    ///
    /// # Errors
    /// The options contradict each other, or the URL is none that a viewer can watch.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if self.to.is_some_and(|to| to <= self.from) {
            bail!("--to is not after --from");
        }
        self.common.target()?;
        Ok(())
    }

    /// The names of the rooms.
    pub(crate) fn room_names(&self) -> Vec<String> {
        match self.rooms {
            1 => vec![self.room.to_string()],
            rooms => (1..=rooms).map(|nth| format!("{}-{nth}", self.room)).collect(),
        }
    }

    /// Reads the archive, within the window.
    ///
    /// # Errors
    /// The file cannot be read, or holds nothing that can be played.
    pub(crate) fn open_archive(&self) -> anyhow::Result<Archive> {
        let name = self.file.display();
        let file = std::fs::File::open(&self.file);
        let file = file.with_context(|| format!("cannot open {name}"))?;
        let mut archive = Archive::read(file).with_context(|| format!("cannot read {name}"))?;
        if archive.tally.elements == 0 {
            bail!("{name} holds no danmaku (no <d> elements)");
        }
        archive.keep_window(self.from, self.to);
        if archive.danmaku.is_empty() {
            let reasons = archive.tally.not_played.iter();
            let reasons: Vec<_> = reasons.map(|(why, count)| format!("{count} {why}")).collect();
            bail!("nothing of {name} can be played: {}", reasons.join(", "));
        }
        Ok(archive)
    }
}

fn speed(text: &str) -> anyhow::Result<f64> {
    let speed: f64 = text.parse().context("not a number")?;
    if !(0.01..=10_000.0).contains(&speed) {
        bail!("not between 0.01 and 10000");
    }
    Ok(speed)
}

fn seconds(text: &str) -> anyhow::Result<Duration> {
    let seconds: f64 = text.parse().context("not a number")?;
    if !(0.0..=1e6).contains(&seconds) {
        bail!("not between 0 and 1000000 seconds");
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn room(text: &str) -> anyhow::Result<RoomId> {
    Ok(RoomId::parse(text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_outside_their_range_are_refused() {
        for text in ["0", "-1", "NaN", "inf", "10001", "fast"] {
            assert!(speed(text).is_err(), "{text}");
        }
        for text in ["-1", "NaN", "inf", "1000001", "soon"] {
            assert!(seconds(text).is_err(), "{text}");
        }
        assert_eq!(seconds("1.5").unwrap(), Duration::from_millis(1500));
    }
}
