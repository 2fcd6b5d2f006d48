//! Names of things: rooms, users, events, nodes, peers, and where a peer sits now; what a name may
//! be made of.
//!
//! Random ids are made from bytes that the caller draws, so this module stays pure.

mod event;
mod place;
mod room;
mod user;

pub use self::event::EventId;
pub use self::place::{Address, BootId, PeerId};
pub use self::room::RoomId;
pub use self::user::UserId;

/// Why a text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing between the quotes.
    #[error("an id cannot be empty")]
    Empty,
    /// Longer than the limit of its kind, in bytes of UTF-8.
    #[error("an id of at most {max} bytes is allowed")]
    TooLong {
        /// The limit, in bytes.
        max: usize,
    },
    /// A control character, or a character that reorders or hides text.
    #[error("an id cannot hold control or invisible characters")]
    Invisible,
    /// Names that begin with `$` belong to the fabric itself.
    #[error("names that begin with `$` are reserved")]
    Reserved,
}

fn check(text: &str, bytes_max: usize) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if text.len() > bytes_max {
        return Err(IdError::TooLong { max: bytes_max });
    }
    if text.chars().any(is_invisible) {
        return Err(IdError::Invisible);
    }
    Ok(())
}

/// Whether a character is a control, or hides or reorders the text around it: C0 and C1 controls,
/// line and paragraph separators, bidirectional overrides and isolates, zero-width marks that
/// join nothing, and the byte order mark.
///
/// Zero-width joiner and non-joiner (U+200C, U+200D) are visible in their effect and stay: emoji
/// and several scripts need them.
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}
