//! The protobuf segments of video players: each 6 minutes of the recording are one message, in
//! one file.
//!
//! A message is a list of danmaku (field 1). Encoded lists that stand behind each other are one
//! list, so a danmaku is encoded as a list of its own and appended to its segment's file; nothing
//! but one danmaku is ever in memory.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use prost::Message;

use super::{Danmaku, Format};

/// How much of the recording is one segment, in milliseconds.
const SEGMENT_MS: u64 = 360_000;
/// The attribute that says that a danmaku was sent during a live stream.
const FROM_LIVE: i32 = 1 << 1;

/// One segment.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct DmSegMobileReply {
    #[prost(message, repeated, tag = "1")]
    pub(crate) elems: Vec<DanmakuElem>,
}

/// One danmaku.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct DanmakuElem {
    #[prost(int64, tag = "1")]
    pub(crate) id: i64,
    /// Milliseconds from the beginning of the recording.
    #[prost(int32, tag = "2")]
    pub(crate) progress: i32,
    #[prost(int32, tag = "3")]
    pub(crate) mode: i32,
    #[prost(int32, tag = "4")]
    pub(crate) fontsize: i32,
    #[prost(uint32, tag = "5")]
    pub(crate) color: u32,
    #[prost(string, tag = "6")]
    pub(crate) mid_hash: String,
    #[prost(string, tag = "7")]
    pub(crate) content: String,
    /// Seconds since 1970.
    #[prost(int64, tag = "8")]
    pub(crate) ctime: i64,
    #[prost(int32, tag = "9")]
    pub(crate) weight: i32,
    #[prost(int32, tag = "11")]
    pub(crate) pool: i32,
    #[prost(string, tag = "12")]
    pub(crate) id_str: String,
    #[prost(int32, tag = "13")]
    pub(crate) attr: i32,
}

/// Writes segments into a folder: `1.pb`, `2.pb` and so on; six minutes without danmaku have no
/// file.
#[derive(Debug)]
pub struct Protobuf {
    folder: PathBuf,
    open: Option<(u64, BufWriter<File>)>,
    written: BTreeSet<u64>,
}

impl Protobuf {
    /// Writes into this folder, which is created if it is not there.
    ///
    /// # Errors
    /// It cannot be created, or there is something in it: segments of two recordings would mix.
    pub fn new(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        if std::fs::read_dir(folder)?.next().is_some() {
            let message = format!("{}: the folder is not empty", folder.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        Ok(Self { folder: folder.to_owned(), open: None, written: BTreeSet::new() })
    }

    fn segment(&mut self, number: u64) -> io::Result<&mut BufWriter<File>> {
        let opened = match self.open.take() {
            Some((open, file)) if open == number => file,
            before => {
                if let Some((_, mut file)) = before {
                    file.flush()?;
                }
                self.written.insert(number);
                let path = self.folder.join(format!("{number}.pb"));
                BufWriter::new(File::options().create(true).append(true).open(path)?)
            }
        };
        Ok(&mut self.open.insert((number, opened)).1)
    }
}

impl Format for Protobuf {
    fn begin(&mut self, _start_ms: u64) -> io::Result<()> {
        Ok(())
    }

    fn add(&mut self, danmaku: &Danmaku) -> io::Result<()> {
        let too_late = |_| io::Error::other("a recording of more than 24 days has no segments");
        let elem = DanmakuElem {
            id: danmaku.number().cast_signed(),
            progress: danmaku.at_ms.try_into().map_err(too_late)?,
            mode: danmaku.mode_number().into(),
            fontsize: danmaku.font_size().into(),
            color: danmaku.color_number(),
            mid_hash: danmaku.user_hash(),
            content: danmaku.text.clone(),
            ctime: (danmaku.ts_ms / 1_000).cast_signed(),
            weight: danmaku.weight.into(),
            pool: 0,
            id_str: danmaku.number().to_string(),
            attr: FROM_LIVE,
        };
        let list = DmSegMobileReply { elems: vec![elem] }.encode_to_vec();
        self.segment(danmaku.at_ms / SEGMENT_MS + 1)?.write_all(&list)
    }

    fn end(&mut self) -> io::Result<()> {
        self.open.take().map_or(Ok(()), |(_, mut file)| file.flush())
    }
}
