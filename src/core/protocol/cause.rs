//! Why a page has a new host.

use serde::Serialize;

/// Why a page has a new host: the `cause` in `HOST`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// The old host said goodbye or lost its socket.
    Left,
    /// The old host was silent for `liveness.host_timeout_ms`.
    Timeout,
    /// The page of the old host did not answer, although its socket did.
    Stalled,
    /// Most members say that they cannot reach the old host, and nothing may be relayed between
    /// them.
    Unreachable,
    /// The old host handed over, or was hidden for too long.
    Resigned,
    /// The server lost its memory, and the claims of the members did not agree.
    Restarted,
    /// The first group member came to a page whose host was a stock client.
    Upgraded,
}

impl Cause {
    /// Returns the word that the wire, the log and the metrics use.
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
