//! Why a page has a new host, as `HOST` says it.

use serde::Serialize;

/// Why a page has a new host; the `cause` in `HOST`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// The old one said goodbye or lost its socket.
    Left,
    /// The old one was silent for `liveness.host_timeout_ms`.
    Timeout,
    /// The old one's page did not answer, although its socket did.
    Stalled,
    /// Most members say that they cannot reach the old one, and have no other way to it: nothing may be relayed between them.
    Unreachable,
    /// The old one handed over, or was hidden for too long.
    Resigned,
    /// The server lost its memory, and what it was told did not agree.
    Restarted,
    /// The first group member came to a page hosted by a stock client.
    Upgraded,
}

impl Cause {
    /// As the wire spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Timeout => "timeout",
            Self::Stalled => "stalled",
            Self::Unreachable => "unreachable",
            Self::Resigned => "resigned",
            Self::Restarted => "restarted",
            Self::Upgraded => "upgraded",
        }
    }
}
