//! What the labels of metrics can be: one enum for each label, so that no value is made up where it
//! is counted, and every value is there from the start.

use protocol::close::CloseReason;

/// Declares a label once: each value, its text, what it means.
macro_rules! label {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl $name {
            /// The texts of all values.
            pub(super) const TEXTS: &'static [&'static str] = &[$($text),+];

            pub(super) fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

label! {
    /// A queue that refuses when it is full.
    Queue {
        /// The broker's publish and command queues.
        Broker = "broker",
    }
}

label! {
    /// What became of a new certificate.
    CertificateReload {
        Taken = "taken",
        /// The one before it stays.
        Refused = "refused",
    }
}

label! {
    /// What a look for new keys has brought.
    KeyRefresh {
        /// What every source has.
        Whole = "whole",
        /// Not every source answered.
        Failed = "failed",
    }
}

label! {
    /// How a join ended.
    JoinOutcome {
        Fresh = "fresh",
        Recovered = "recovered",
        NotRecovered = "not_recovered",
        Refused = "refused",
    }
}

label! {
    /// What a reload of the configuration has led to.
    Reload {
        /// What can change without a restart is as the sources say.
        Applied = "applied",
        /// The sources have faults: everything is as it was.
        Refused = "refused",
    }
}

label! {
    /// Why a connection did not become a client.
    TurnedAway {
        /// The gateway holds as many as it may.
        Full = "full",
        /// The address holds as many as it may.
        AddressConnections = "address_connections",
        /// The address asks too often.
        AddressHandshakes = "address_handshakes",
        /// The user holds as many as it may, and asks for an event stream.
        UserConnections = "user_connections",
        /// The page is of an origin that may not connect.
        Origin = "origin",
        /// The room's events may not be viewed by whoever asks for them.
        Forbidden = "forbidden",
        /// What asks for a WebSocket or for events is no request for one.
        BadRequest = "bad_request",
        /// Over a limit, and too many are being told so already: closed without an answer.
        Unheard = "unheard",
        /// The TLS handshake failed, or took too long.
        TlsHandshake = "tls_handshake",
        /// The head of a request did not come in time.
        SlowHead = "slow_head",
        /// The connection ended within the head of a request.
        HalfHead = "half_head",
        /// The answer was not read: the kernel has given the connection up.
        Unread = "unread",
        /// The head of a request is none, or too large.
        BadHead = "bad_head",
        /// A trusted proxy did not begin with its header.
        ProxyHeader = "proxy_header",
    }
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionEnd {
    /// We closed it, or answered the client's close.
    Closed(CloseReason),
    /// The client went away without a close frame.
    Lost,
}

impl ConnectionEnd {
    /// The texts of all ends.
    pub(super) fn texts() -> impl Iterator<Item = &'static str> {
        let closes = CloseReason::ALL.into_iter().map(CloseReason::text);
        closes.chain([Self::Lost.text()])
    }

    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Closed(reason) => reason.text(),
            Self::Lost => "lost",
        }
    }
}
