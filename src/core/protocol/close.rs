//! Every way in which the server ends a connection, by name.
//!
//! A code from 4400 to 4499 says: do not come back, the same would happen again. One from 4500 to
//! 4599, and 1012, says: come back after a while. The standard codes 1002–1009 are for clients that
//! break WebSocket's own rules, and are final too.

/// Why the server ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Close {
    /// It said goodbye (`LEAVE` without `dst`).
    Left,
    /// No id, token or key in the URL.
    MissingParameter,
    /// The id breaks a rule.
    BadId,
    /// The page's name breaks a rule.
    BadPage,
    /// The token, `group`, `epoch` or another parameter breaks a rule.
    BadParameter,
    /// `key` is not this server's.
    InvalidKey,
    /// Its `Origin` is not among those allowed.
    OriginRefused,
    /// No ticket, or one that is not for this: another page or id, not signed by us.
    TicketRefused,
    /// The ticket has run out: a fresh one may do.
    TicketExpired,
    /// The ticket is not valid yet, and will be soon.
    TicketEarly,
    /// Another client has the id, and is alive.
    IdTaken,
    /// A newer socket with the same id and token took its place.
    Replaced,
    /// The operator threw it out.
    Kicked,
    /// It speaks a version of the group protocol that this server does not.
    UnknownVersion,
    /// A text frame that is no message.
    BadMessage,
    /// A binary frame.
    BinaryRefused,
    /// A breach of RFC 6455.
    ProtocolError,
    /// Text that is not UTF-8.
    InvalidUtf8,
    /// A message longer than `limits.message_bytes`.
    TooBig,
    /// It read more slowly than its host and the page sent to it, by more than `limits.queue_bytes`.
    Slow,
    /// It was silent for longer than `liveness.timeout_ms`.
    Timeout,
    /// The server has as many connections as it may have.
    Full,
    /// The page has as many members as it may have.
    PageFull,
    /// Nobody on the page may host it.
    NoHost,
    /// There are as many pages as there may be.
    PagesFull,
    /// Its address has as many connections as it may have.
    AddressFull,
    /// The server goes away, or is going.
    Restart,
    /// A fault of ours.
    Internal,
}

impl Close {
    /// All of them, for tests and documentation.
    pub const ALL: [Self; 28] = [
        Self::Left,
        Self::MissingParameter,
        Self::BadId,
        Self::BadPage,
        Self::BadParameter,
        Self::InvalidKey,
        Self::OriginRefused,
        Self::TicketRefused,
        Self::TicketExpired,
        Self::TicketEarly,
        Self::IdTaken,
        Self::Replaced,
        Self::Kicked,
        Self::UnknownVersion,
        Self::BadMessage,
        Self::BinaryRefused,
        Self::ProtocolError,
        Self::InvalidUtf8,
        Self::TooBig,
        Self::Slow,
        Self::Timeout,
        Self::Full,
        Self::PageFull,
        Self::NoHost,
        Self::PagesFull,
        Self::AddressFull,
        Self::Restart,
        Self::Internal,
    ];

    /// The WebSocket close code.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Left => 1000,
            Self::ProtocolError => 1002,
            Self::BinaryRefused => 1003,
            Self::InvalidUtf8 => 1007,
            Self::TooBig => 1009,
            Self::Restart => 1012,
            Self::MissingParameter => 4400,
            Self::InvalidKey => 4401,
            Self::OriginRefused => 4403,
            Self::BadId => 4404,
            Self::BadPage => 4405,
            Self::BadParameter => 4406,
            Self::IdTaken => 4409,
            Self::TicketRefused => 4407,
            Self::Replaced => 4410,
            Self::Kicked => 4411,
            Self::BadMessage => 4422,
            Self::UnknownVersion => 4426,
            Self::Internal => 4500,
            Self::Full => 4503,
            Self::Timeout => 4504,
            Self::PageFull => 4505,
            Self::PagesFull => 4506,
            Self::TicketExpired => 4507,
            Self::Slow => 4508,
            Self::NoHost => 4509,
            Self::TicketEarly => 4510,
            Self::AddressFull => 4529,
        }
    }

    /// The reason in the close frame.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::MissingParameter => "missing-parameter",
            Self::BadId => "bad-id",
            Self::BadPage => "bad-page",
            Self::BadParameter => "bad-parameter",
            Self::InvalidKey => "invalid-key",
            Self::OriginRefused => "origin-refused",
            Self::TicketRefused => "ticket-refused",
            Self::TicketExpired => "ticket-expired",
            Self::TicketEarly => "ticket-early",
            Self::IdTaken => "id-taken",
            Self::Replaced => "replaced",
            Self::Kicked => "kicked",
            Self::UnknownVersion => "unknown-version",
            Self::BadMessage => "bad-message",
            Self::BinaryRefused => "binary-refused",
            Self::ProtocolError => "protocol-error",
            Self::InvalidUtf8 => "invalid-utf8",
            Self::TooBig => "too-big",
            Self::Slow => "slow",
            Self::Timeout => "timeout",
            Self::Full => "full",
            Self::PageFull => "page-full",
            Self::NoHost => "no-host",
            Self::PagesFull => "pages-full",
            Self::AddressFull => "address-full",
            Self::Restart => "restart",
            Self::Internal => "internal",
        }
    }

    /// Whether the client should come back: the code's range says the same.
    #[must_use]
    pub const fn retry(self) -> bool {
        matches!(self.code(), 1012 | 4500..=4599)
    }

    /// What a person is told where the caller has no better words.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Left => "goodbye",
            // PeerServer's own sentences, which applications compare with
            Self::MissingParameter => "No id, token, or key supplied to websocket server",
            Self::InvalidKey => "Invalid key provided",
            Self::IdTaken => "ID is taken",
            Self::Full => "Server has reached its concurrent user limit",
            Self::BadId => "id must be 1 to 128 bytes without control characters or / < > \"",
            Self::BadPage => "page must be 1 to 1024 bytes of UTF-8",
            Self::BadParameter => "a parameter of the address has a value that is not allowed",
            Self::OriginRefused => "this origin is not allowed to use this server",
            Self::TicketRefused => {
                "this needs a ticket for this page and id, signed for this server"
            }
            Self::TicketExpired => "the ticket has run out: ask for a fresh one",
            Self::TicketEarly => "the ticket is not valid yet: come back when it is",
            Self::Kicked => "the operator of the server ended this connection",
            Self::Replaced => "a newer connection with the same id and token took over",
            Self::UnknownVersion => {
                "this server speaks version 1 of the group protocol: reload the page"
            }
            Self::BadMessage => "a message must be a JSON object with a string \"type\"",
            Self::BinaryRefused => "messages are text frames",
            Self::ProtocolError => "this breaks the WebSocket protocol (RFC 6455)",
            Self::InvalidUtf8 => "text must be UTF-8",
            Self::TooBig => "the message is longer than this server accepts",
            Self::Slow => "the connection was read too slowly",
            Self::Timeout => "the connection was silent for too long",
            Self::PageFull => "the page has as many members as it may have",
            Self::NoHost => "nobody who may host the page is there",
            Self::PagesFull => "the server has as many pages as it may have",
            Self::AddressFull => "this address has as many connections as it may have",
            Self::Restart => "the server restarts",
            Self::Internal => "the server failed, and is sorry",
        }
    }

    /// What the client is sent before the close frame, so that code that never sees close codes (PeerJS's socket hides them)
    /// is told the reason as well.
    #[must_use]
    pub const fn farewell(self) -> Farewell {
        match self {
            // an `ERROR` would be shown to the user, who did nothing wrong
            Self::Left | Self::Replaced => Farewell::Nothing,
            Self::Restart => Farewell::Restart,
            Self::InvalidKey => Farewell::Error("INVALID-KEY"),
            Self::IdTaken => Farewell::Error("ID-TAKEN"),
            _ => Farewell::Error("ERROR"),
        }
    }
}

/// Which message precedes a close frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// No message.
    Nothing,
    /// `RESTART`.
    Restart,
    /// A message with this `type`, and the explanation.
    Error(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_and_codes_are_unique_and_fit_a_close_frame() {
        let names: BTreeSet<_> = Close::ALL.iter().map(|c| c.name()).collect();
        let codes: BTreeSet<_> = Close::ALL.iter().map(|c| c.code()).collect();
        assert_eq!((names.len(), codes.len()), (Close::ALL.len(), Close::ALL.len()));
        assert!(names.iter().all(|n| n.len() <= 123));
    }
}
