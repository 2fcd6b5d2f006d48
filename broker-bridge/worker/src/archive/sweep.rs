//! What is done once an hour: segments that are complete are made compact, and those whose time
//! is over are removed.
//!
//! A quiet room's hour is written in many small parts, which compress badly. A compact segment
//! holds the same lines in few large parts; it takes the old one's name only when it is durable.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::commit::{Part, at};
use super::layout::{Hour, Layout, UNFINISHED, room_of};
use super::part::LINES_BYTES_AIM;
use super::segment::{Parts, sync_folder};
use super::tail::files;

/// Older segments than this have been looked at before, in milliseconds.
const COMPACT_WITHIN_MS: u64 = 24 * Hour::MS;

/// What a sweep has done.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// Segments that were made compact.
    pub compacted: u64,
    /// Segments that were removed.
    pub removed: u64,
    /// Bytes that are free again.
    pub freed_bytes: u64,
    /// Rooms where something could not be read or written; the next sweep tries again.
    pub failed: u64,
}

/// Sweeps all rooms. `now_ms` is in milliseconds since 1970; what ended before `keep_from_ms` is
/// removed.
///
/// # Errors
/// The rooms cannot be listed.
pub(super) fn sweep(layout: &Layout, now_ms: u64, keep_from_ms: u64) -> io::Result<Swept> {
    let mut swept = Swept::default();
    let rooms = layout.rooms();
    for name in files(&rooms).map_err(|error| at(&rooms, &error))? {
        if room_of(&name).is_some() {
            let folder = rooms.join(name);
            if let Err(error) = room(&folder, now_ms, keep_from_ms, &mut swept) {
                swept.failed += 1;
                tracing::debug!(folder = %folder.display(), %error, "cannot be swept");
            }
        }
    }
    Ok(swept)
}

fn room(folder: &Path, now_ms: u64, keep_from_ms: u64, swept: &mut Swept) -> io::Result<()> {
    let mut kept = 0;
    for name in files(folder)? {
        let path = folder.join(&name);
        match Hour::of_file(&name) {
            Some(hour) if hour.end_ms() <= keep_from_ms => {
                swept.freed_bytes += std::fs::metadata(&path)?.len();
                std::fs::remove_file(&path)?;
                swept.removed += 1;
            }
            Some(hour) => {
                kept += 1;
                let is_complete = hour.end_ms() <= now_ms;
                if is_complete && hour.end_ms() + COMPACT_WITHIN_MS > now_ms {
                    compact(&path, swept)?;
                }
            }
            None if name.ends_with(UNFINISHED) => std::fs::remove_file(&path)?,
            None => kept += 1,
        }
    }
    if kept == 0 { std::fs::remove_dir(folder) } else { Ok(()) }
}

fn compact(path: &Path, swept: &mut Swept) -> io::Result<()> {
    let mut file = File::open(path)?;
    let parts = Parts::find(&mut file)?;
    let fits_before = parts.found.windows(2).any(|pair| {
        let [a, b] = [pair[0].header, pair[1].header];
        a.span.epoch == b.span.epoch
            && (a.lines_bytes as usize + b.lines_bytes as usize) <= LINES_BYTES_AIM
    });
    if !fits_before {
        return Ok(());
    }
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED);
    let unfinished = PathBuf::from(name);
    let bytes = rewrite(&parts, &mut file, &unfinished)?;
    std::fs::rename(&unfinished, path)?;
    path.parent().map_or(Ok(()), sync_folder)?;
    swept.compacted += 1;
    swept.freed_bytes += parts.end.saturating_sub(bytes);
    Ok(())
}

/// Writes the same lines in parts of a good size; returns how many bytes that are.
fn rewrite(parts: &Parts, file: &mut File, to: &Path) -> io::Result<u64> {
    let mut out = File::create(to)?;
    let mut written = 0;
    let mut bytes = Vec::new();
    let mut part = Part::default();
    for found in &parts.found {
        let lines = found.read(file)?;
        if !part.takes(found.header.span.epoch, lines.len()) {
            part.finish(&mut bytes)?;
            out.write_all(&bytes)?;
            written += bytes.len() as u64;
            bytes.clear();
        }
        part.add(found.header.span, &lines);
    }
    part.finish(&mut bytes)?;
    out.write_all(&bytes)?;
    out.sync_all()?;
    Ok(written + bytes.len() as u64)
}
