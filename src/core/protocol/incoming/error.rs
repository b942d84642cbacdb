//! Why a text frame is refused.

use super::limits::{MAX_CHANNELS, MAX_DIAL_MS, MAX_PROFILE_BYTES};
use crate::protocol::id::BadName;

/// Why a text frame is refused, in words for the author of the client.
#[derive(Debug, thiserror::Error)]
pub enum BadMessage {
    /// The text is no message.
    #[error(
        "a message must be a JSON object with a string \"type\", an optional string \"dst\" and a \"payload\": {0}"
    )]
    NoMessage(serde_json::Error),
    /// The payload of a `HEARTBEAT` is an object with an `epoch` that is no number.
    #[error("HEARTBEAT takes no payload, or {{epoch}}: {0}")]
    Heartbeat(serde_json::Error),
    /// A signalling message has no payload that is an object.
    #[error("{kind} needs a payload that is a JSON object")]
    SignalPayload {
        /// `type` of the message.
        kind: &'static str,
    },
    /// A `RELAY` has no payload.
    #[error("RELAY needs a payload")]
    RelayPayload,
    /// The payload of a `STATUS` has another shape.
    #[error("STATUS takes {{eligible, visible, relay, p2p, channels, profile}}: {0}")]
    Status(serde_json::Error),
    /// A profile is too long.
    #[error("profile is longer than {max} bytes of JSON", max = MAX_PROFILE_BYTES)]
    ProfileTooLong,
    /// `channels` has too many entries.
    #[error("STATUS: channels has {count} entries: at most {max} are allowed", max = MAX_CHANNELS)]
    TooManyChannels {
        /// Number of entries in the message.
        count: usize,
    },
    /// `channels` names an id that nobody can have.
    #[error("STATUS: channels: {0}")]
    ChannelId(BadName),
    /// A dial in `channels` took too long.
    #[error("STATUS: channels: {id:?} has {ms} ms: must be 0 to {max}", max = MAX_DIAL_MS)]
    DialTooLong {
        /// Id of the other end.
        id: String,
        /// Duration of the dial.
        ms: u32,
    },
    /// The payload of a `SUSPECT` or `TRUST` has another shape.
    #[error("{kind} takes {{host, epoch}}: {error}")]
    Suspicion {
        /// `type` of the message.
        kind: &'static str,
        /// Error of the parser.
        error: serde_json::Error,
    },
    /// The host in a `SUSPECT` or `TRUST` has an id that nobody can have.
    #[error("{kind}: host: {bad}")]
    SuspectedHost {
        /// `type` of the message.
        kind: &'static str,
        /// The rule that the id breaks.
        bad: BadName,
    },
    /// The payload of a `RESIGN` has another shape.
    #[error("RESIGN takes {{epoch, to}}: {0}")]
    Resign(serde_json::Error),
    /// The successor in a `RESIGN` has an id that nobody can have.
    #[error("RESIGN: to: {0}")]
    Successor(BadName),
}
