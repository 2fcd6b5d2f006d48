//! Everything that one connection was told.

use std::collections::BTreeMap;

use serde_json::Value;

use super::account::Account;

/// What a client remembers.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) accounts: BTreeMap<String, Account>,
    /// Every message that is neither a batch nor a gap, in order.
    pub(crate) messages: Vec<Value>,
    /// Rooms that are joined again: a recovery goes on with the account as it was at that time,
    /// so what comes for the seat before is passed over.
    returning: Vec<String>,
    pub(crate) pings: usize,
    pub(crate) pongs: Vec<Vec<u8>>,
    /// The code and the text of the close frame; 1005 if it held none.
    pub(crate) closed: Option<(u16, String)>,
    /// Whether the stream has ended.
    pub(crate) ended: bool,
}

impl Memory {
    /// A memory that begins with accounts of an earlier connection.
    pub(crate) fn going_on(accounts: BTreeMap<String, Account>) -> Self {
        Self { accounts, ..Self::default() }
    }

    /// The room is joined with the cursor of its account.
    pub(crate) fn returns_to(&mut self, room: &str) {
        self.returning.push(room.to_owned());
    }

    /// Takes a message.
    pub(crate) fn take(&mut self, text: &str) {
        assert!(text.starts_with("{\"type\":\""), "`type` comes first: {text}");
        let message: Value = serde_json::from_str(text).expect("every message is JSON");
        let room = message["room"].as_str().unwrap_or_default().to_owned();
        match message["type"].as_str().expect("every message has a type") {
            "batch" | "gap" if self.returning.contains(&room) => {}
            "batch" => self.account_mut(&room).batch(&message),
            "gap" => self.account_mut(&room).gap(&message),
            "joined" => {
                self.joined(room, &message);
                self.messages.push(message);
            }
            _ => self.messages.push(message),
        }
    }

    fn joined(&mut self, room: String, message: &Value) {
        let returning = self.returning.iter().position(|other| *other == room);
        if let Some(at) = returning {
            self.returning.swap_remove(at);
        }
        match self.accounts.get_mut(&room) {
            Some(account) if returning.is_some() && message["recovered"] == true => {
                account.go_on(message);
            }
            _ => {
                self.accounts.insert(room, Account::open(message));
            }
        }
    }

    fn account_mut(&mut self, room: &str) -> &mut Account {
        self.accounts.get_mut(room).expect("a room's frames come after its `joined`")
    }

    /// The account of a room that was joined.
    pub(crate) fn account(&self, room: &str) -> &Account {
        self.accounts.get(room).expect("the room was joined")
    }

    /// The first message of a type.
    pub(crate) fn first(&self, kind: &str) -> Option<&Value> {
        self.messages.iter().find(|message| message["type"] == kind)
    }

    /// The reply to a command.
    pub(crate) fn reply(&self, id: u64) -> Option<&Value> {
        self.messages.iter().find(|message| message["id"] == id)
    }

    /// The code that the connection was closed with.
    pub(crate) fn close_code(&self) -> Option<u16> {
        self.closed.as_ref().map(|(code, _)| *code)
    }
}
