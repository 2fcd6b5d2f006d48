//! What the labels of metrics can be: one enum for each label, so that no value is made up where it
//! is counted.

use protocol::close::CloseReason;

/// A queue that refuses when it is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queue {
    /// The broker's publish and command queues.
    Broker,
}

impl Queue {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Broker => "broker",
        }
    }
}

/// What became of a new certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CertificateReload {
    Taken,
    /// The one before it stays.
    Refused,
}

impl CertificateReload {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Refused => "refused",
        }
    }
}

/// How a join ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JoinOutcome {
    Fresh,
    Recovered,
    NotRecovered,
    Refused,
}

impl JoinOutcome {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Recovered => "recovered",
            Self::NotRecovered => "not_recovered",
            Self::Refused => "refused",
        }
    }
}

/// What a reload of the configuration has led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reload {
    /// What can change without a restart is as the sources say.
    Applied,
    /// The sources have faults: everything is as it was.
    Refused,
}

impl Reload {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Refused => "refused",
        }
    }
}

/// Why a connection did not become a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TurnedAway {
    /// The gateway holds as many as it may.
    Full,
    /// The address holds as many as it may.
    AddressConnections,
    /// The address asks too often.
    AddressHandshakes,
    /// The user holds as many as it may, and asks for an event stream.
    UserConnections,
    /// The page is of an origin that may not connect.
    Origin,
    /// The room's events may not be viewed by whoever asks for them.
    Forbidden,
    /// What asks for a WebSocket or for events is no request for one.
    BadRequest,
    /// Over a limit, and too many are being told so already: closed without an answer.
    Unheard,
    /// The TLS handshake failed, or took too long.
    TlsHandshake,
    /// The head of a request did not come in time.
    SlowHead,
    /// The connection ended within the head of a request.
    HalfHead,
    /// The head of a request is none, or too large.
    BadHead,
    /// A trusted proxy did not begin with its header.
    ProxyHeader,
}

impl TurnedAway {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::AddressConnections => "address_connections",
            Self::AddressHandshakes => "address_handshakes",
            Self::UserConnections => "user_connections",
            Self::Origin => "origin",
            Self::Forbidden => "forbidden",
            Self::BadRequest => "bad_request",
            Self::Unheard => "unheard",
            Self::TlsHandshake => "tls_handshake",
            Self::SlowHead => "slow_head",
            Self::HalfHead => "half_head",
            Self::BadHead => "bad_head",
            Self::ProxyHeader => "proxy_header",
        }
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
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Closed(reason) => reason.text(),
            Self::Lost => "lost",
        }
    }
}
