//! What a session may do, by room.

/// Something that a session may do in a room. Each stands for itself: `moderate` is not `chat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    /// Join and read.
    View = 1,
    /// Publish.
    Chat = 2,
    /// Take part in signaling.
    Signal = 4,
    /// Moderate.
    Moderate = 8,
}

impl Right {
    /// The right of this name; `None` if it is none of ours.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "view" => Self::View,
            "chat" => Self::Chat,
            "signal" => Self::Signal,
            "moderate" => Self::Moderate,
            _ => return None,
        })
    }
}

/// A set of rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Rights(u8);

impl Rights {
    pub(crate) const VIEW: Self = Self(Right::View as u8);
    pub(crate) const CHAT: Self = Self(Right::View as u8 | Right::Chat as u8);

    pub(crate) fn with(self, right: Right) -> Self {
        Self(self.0 | right as u8)
    }

    fn has(self, right: Right) -> bool {
        self.0 & right as u8 != 0
    }
}

/// What a session may do in which rooms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Grants {
    /// The same in every room: without a token.
    Everywhere(Rights),
    /// In these rooms, and nothing elsewhere.
    Rooms(Box<[Grant]>),
}

/// Rights in one room, or in all whose names begin alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    rooms: Rooms,
    rights: Rights,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rooms {
    Named(Box<str>),
    BeginningWith(Box<str>),
}

impl Grant {
    /// A grant for the room of this name or, if it ends in `*`, for all rooms that begin with
    /// what stands before it. A `*` elsewhere is a letter like others.
    pub(crate) fn new(pattern: &str, rights: Rights) -> Self {
        let rooms = match pattern.strip_suffix('*') {
            Some(prefix) => Rooms::BeginningWith(prefix.into()),
            None => Rooms::Named(pattern.into()),
        };
        Self { rooms, rights }
    }

    fn covers(&self, room: &str) -> bool {
        match &self.rooms {
            Rooms::Named(name) => **name == *room,
            Rooms::BeginningWith(prefix) => room.starts_with(&**prefix),
        }
    }
}

impl Grants {
    /// Whether a session may do this in this room. What several grants say adds up.
    pub(crate) fn may(&self, room: &str, right: Right) -> bool {
        match self {
            Self::Everywhere(rights) => rights.has(right),
            Self::Rooms(grants) => {
                grants.iter().any(|grant| grant.rights.has(right) && grant.covers(room))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_grants_one_room_and_a_star_all_that_begin_alike() {
        let grants = Grants::Rooms(Box::new([
            Grant::new("demo", Rights::CHAT),
            Grant::new("live-*", Rights::VIEW),
            Grant::new("live-7", Rights::default().with(Right::Chat)),
            Grant::new("a*b", Rights::VIEW),
        ]));
        assert!(grants.may("demo", Right::View) && grants.may("demo", Right::Chat));
        assert!(!grants.may("demo", Right::Signal) && !grants.may("demo", Right::Moderate));
        assert!(!grants.may("demo2", Right::View) && !grants.may("dem", Right::View));
        assert!(!grants.may("DEMO", Right::View));
        assert!(grants.may("live-", Right::View) && grants.may("live-1", Right::View));
        assert!(!grants.may("live-1", Right::Chat) && !grants.may("live", Right::View));
        assert!(grants.may("live-7", Right::View) && grants.may("live-7", Right::Chat));
        assert!(grants.may("a*b", Right::View) && !grants.may("acb", Right::View));
    }

    #[test]
    fn a_lone_star_grants_every_room_and_an_empty_list_none() {
        let all = Grants::Rooms(Box::new([Grant::new("*", Rights::VIEW)]));
        assert!(all.may("any", Right::View) && !all.may("any", Right::Chat));
        assert!(!Grants::Rooms(Box::default()).may("any", Right::View));
    }
}
