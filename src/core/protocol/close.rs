//! Every way in which the server ends a connection: one table.
//!
//! The code says whether a client should come back. From 4400 to 4499 it should not: the same would
//! happen again. From 4500 to 4599, and with 1012, it should after a while. The standard codes
//! 1002–1009 are for clients that break the rules of WebSocket, and are final too.
//!
//! A new way to end a connection is one row here, one in `tests/fixtures/closes.json` and one in
//! docs/PROTOCOL.md. Tests compare the three.

/// Which message precedes a close frame. Code that never sees close codes (PeerJS's socket hides
/// them) is told by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// No message: an `ERROR` would be shown to a user who did nothing wrong.
    Nothing,
    /// The message `RESTART`, which names the time to wait.
    Restart,
    /// A message with this `type` and the explanation.
    Error(&'static str),
}

const NOTHING: Farewell = Farewell::Nothing;
const RESTART: Farewell = Farewell::Restart;
const ERROR: Farewell = Farewell::Error("ERROR");
const INVALID_KEY: Farewell = Farewell::Error("INVALID-KEY");
const ID_TAKEN: Farewell = Farewell::Error("ID-TAKEN");

struct Row {
    code: u16,
    name: &'static str,
    farewell: Farewell,
    message: &'static str,
}

macro_rules! table {
    ($($(#[doc = $doc:literal])* $variant:ident: $code:literal $name:literal $farewell:ident $message:literal,)*) => {
        /// Why the server ends a connection.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Close {
            $($(#[doc = $doc])* #[doc = concat!("\n\nCode ", $code, ", `", $name, "`.")] $variant,)*
        }

        impl Close {
            /// All reasons, for tests, metrics and documentation.
            pub const ALL: [Self; [$($code),*].len()] = [$(Self::$variant),*];

            const fn row(self) -> Row {
                match self {
                    $(Self::$variant => {
                        Row { code: $code, name: $name, farewell: $farewell, message: $message }
                    })*
                }
            }
        }
    };
}

// PeerServer's own sentences, which applications compare with: missing-parameter, invalid-key,
// id-taken, full.
table! {
    /// The client said goodbye (`LEAVE` without `dst`).
    Left: 1000 "left" NOTHING "goodbye",
    /// The URL has no id, token or key.
    MissingParameter: 4400 "missing-parameter" ERROR "No id, token, or key supplied to websocket server",
    /// The id breaks a rule.
    BadId: 4404 "bad-id" ERROR "id must be 1 to 128 bytes without control characters or / < > \"",
    /// The name of the page breaks a rule.
    BadPage: 4405 "bad-page" ERROR "page must be 1 to 1024 bytes of UTF-8",
    /// The token, `group`, `epoch` or another parameter breaks a rule.
    BadParameter: 4406 "bad-parameter" ERROR "a parameter of the address has a value that is not allowed",
    /// `key` is not the key of this server.
    InvalidKey: 4401 "invalid-key" INVALID_KEY "Invalid key provided",
    /// The `Origin` is not among those allowed.
    OriginRefused: 4403 "origin-refused" ERROR "this origin is not allowed to use this server",
    /// The ticket is missing, is for another page or id, or is not signed for this server.
    TicketRefused: 4407 "ticket-refused" ERROR "this needs a ticket for this page and id, signed for this server",
    /// The ticket has run out. A fresh one may do.
    TicketExpired: 4507 "ticket-expired" ERROR "the ticket has run out: ask for a fresh one",
    /// The ticket is not valid yet, and will be soon.
    TicketEarly: 4510 "ticket-early" ERROR "the ticket is not valid yet: come back when it is",
    /// Another client has the id, and is alive.
    IdTaken: 4409 "id-taken" ID_TAKEN "ID is taken",
    /// A newer socket with the same id and token took the seat.
    Replaced: 4410 "replaced" NOTHING "a newer connection with the same id and token took over",
    /// The operator ended the connection.
    Kicked: 4411 "kicked" ERROR "the operator of the server ended this connection",
    /// The client speaks a version of the group protocol that this server does not.
    UnknownVersion: 4426 "unknown-version" ERROR "this server speaks version 2 of the group protocol: reload the page",
    /// A text frame is no message.
    BadMessage: 4422 "bad-message" ERROR "a message must be a JSON object with a string \"type\"",
    /// A frame is binary.
    BinaryRefused: 1003 "binary-refused" ERROR "messages are text frames",
    /// A frame breaks RFC 6455.
    ProtocolError: 1002 "protocol-error" ERROR "this breaks the WebSocket protocol (RFC 6455)",
    /// A text is not UTF-8.
    InvalidUtf8: 1007 "invalid-utf8" ERROR "text must be UTF-8",
    /// A message is longer than `limits.message_bytes`.
    TooBig: 1009 "too-big" ERROR "the message is longer than this server accepts",
    /// The client read more slowly than its host and the page sent, by more than
    /// `limits.queue_bytes`.
    Slow: 4508 "slow" ERROR "the connection was read too slowly",
    /// The client was silent for longer than `liveness.timeout_ms`.
    Timeout: 4504 "timeout" ERROR "the connection was silent for too long",
    /// The server has as many connections as it may have.
    Full: 4503 "full" ERROR "Server has reached its concurrent user limit",
    /// The page has as many members as it may have.
    PageFull: 4505 "page-full" ERROR "the page has as many members as it may have",
    /// No member of the page may host it.
    NoHost: 4509 "no-host" ERROR "nobody who may host the page is there",
    /// The server has as many pages as it may have.
    PagesFull: 4506 "pages-full" ERROR "the server has as many pages as it may have",
    /// The client's address has as many connections as it may have.
    AddressFull: 4529 "address-full" ERROR "this address has as many connections as it may have",
    /// The server shuts down, or is about to.
    Restart: 1012 "restart" RESTART "the server restarts",
    /// The server has failed.
    Internal: 4500 "internal" ERROR "the server failed, and is sorry",
}

impl Close {
    /// Returns the WebSocket close code.
    #[must_use]
    pub const fn code(self) -> u16 {
        self.row().code
    }

    /// Returns the reason in the close frame, which is also the word of the log and the metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// Returns whether the client should come back. The range of the code says the same.
    #[must_use]
    pub const fn retry(self) -> bool {
        matches!(self.code(), 1012 | 4500..=4599)
    }

    /// Returns the explanation for a person, where the caller has no better one.
    #[must_use]
    pub const fn message(self) -> &'static str {
        self.row().message
    }

    /// Returns which message precedes the close frame.
    #[must_use]
    pub const fn farewell(self) -> Farewell {
        self.row().farewell
    }
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
