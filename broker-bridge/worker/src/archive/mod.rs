//! The archive: what rooms said, kept on disk for as long as the operator wants.
//!
//! [`Archivist`] is the one writer: entries go in, in the order of their streams, and are durable
//! when [`commit`](Archivist::commit) returns. [`Reader`] reads an archive at any time, also
//! beside a writer.
//!
//! A room's hour is one file of zstd-compressed NDJSON (one [`Line`] per event), which any zstd
//! tool reads; the parts it is made of are described in `part.rs`, names of files in `layout.rs`.

mod archivist;
mod commit;
mod layout;
mod line;
mod part;
mod positions;
mod reader;
mod segment;
mod sweep;
mod tail;

pub use self::archivist::{Archivist, Taken};
pub use self::commit::Committed;
pub use self::line::{Entry, Line};
pub use self::positions::{Hole, Position};
pub use self::reader::{Lines, Reader};
pub use self::sweep::Swept;
