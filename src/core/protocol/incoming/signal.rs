//! The messages that peers pass to each other.

/// A message from one peer to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignalKind {
    /// The sender opens a connection.
    Offer,
    /// The sender accepts a connection.
    Answer,
    /// Names a network address of the sender.
    Candidate,
    /// The sender closes its connections to the receiver.
    Leave,
    /// The sender gives up.
    Expire,
}

impl SignalKind {
    /// Returns the `type` of the message.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Offer => "OFFER",
            Self::Answer => "ANSWER",
            Self::Candidate => "CANDIDATE",
            Self::Leave => "LEAVE",
            Self::Expire => "EXPIRE",
        }
    }

    /// Returns whether the message waits for a receiver that is not there yet.
    #[must_use]
    pub const fn waits(self) -> bool {
        matches!(self, Self::Offer | Self::Answer | Self::Candidate)
    }

    /// Returns whether sender and receiver become contacts, which are told when the other is gone
    /// for good.
    #[must_use]
    pub const fn makes_contact(self) -> bool {
        matches!(self, Self::Offer | Self::Answer)
    }
}
