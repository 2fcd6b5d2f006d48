//! What one viewer got, in order: four bytes for each message.

use crate::truth::told::ToldNo;

/// When a viewer asked to be let into its room, and when the answer came, in µs since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Join {
    /// When it asked.
    pub(crate) asked_us: u64,
    /// When it was answered.
    pub(crate) answered_us: u64,
}

/// The life of one viewer, over all of its connections.
#[derive(Debug, Default)]
pub(crate) struct Life {
    /// Messages about its room.
    pub(crate) told: Vec<ToldNo>,
    /// One for each `joined` among them.
    pub(crate) joins: Vec<Join>,
    /// Connections that ended when nothing had asked them to.
    pub(crate) breaks: u32,
    /// Messages that are not what the protocol says, and the first of them.
    pub(crate) malformed: Option<Box<(u64, String)>>,
    /// Whether it was out of its room at the end of the run.
    pub(crate) ended: bool,
    /// Why the viewer does not come back, if it does not.
    pub(crate) gave_up: Option<Box<str>>,
}

impl Life {
    /// Notes a message that is none.
    pub(crate) fn malform(&mut self, what: String) {
        self.malformed.get_or_insert_with(|| Box::new((0, what))).0 += 1;
    }
}
