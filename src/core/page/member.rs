//! Facts about members that come from outside: requests to join, rights, status, and how they
//! leave.

// not `std::net`, which opens sockets as well
use core::net::IpAddr;

use serde_json::value::RawValue;

use crate::cluster::NodeId;
use crate::protocol::claim::Claim;
use crate::protocol::id::{Capabilities, PeerId, SessionId, Token};
use crate::protocol::incoming::StatusUpdate;

/// The order in which members joined a page. A replacement keeps the seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seat(pub u64);

/// The way from a page to a member: where the member's socket is.
///
/// The node of the socket judges whether the member lives, has room, and runs. For a member on
/// another node the page has no more than that node's reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// On the node of the page.
    Local,
    /// On another node.
    Node(NodeId),
}

/// Whether a status update brought another profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileChange {
    /// The profile is as before.
    Same,
    /// The profile is another one.
    Changed,
}

/// The status of a member, as the member reports it.
#[derive(Debug, Clone)]
pub struct Status {
    /// Whether the member may be elected while others may.
    pub eligible: bool,
    /// Whether somebody looks at the page of the member.
    pub visible: bool,
    /// Whether the member takes part in the relay's fan-out.
    pub relay: bool,
    /// Whether the page of the member can open data channels.
    pub p2p: bool,
    /// Members to which it has an open data channel.
    pub channels: Vec<PeerId>,
    /// A JSON value for other members to see.
    pub profile: Option<Box<RawValue>>,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            eligible: true,
            visible: true,
            relay: true,
            p2p: true,
            channels: Vec::new(),
            profile: None,
        }
    }
}

impl Status {
    /// Applies `update` to the status.
    pub fn update(&mut self, update: StatusUpdate) -> ProfileChange {
        self.eligible = update.eligible.unwrap_or(self.eligible);
        self.visible = update.visible.unwrap_or(self.visible);
        self.relay = update.relay.unwrap_or(self.relay);
        self.p2p = update.p2p.unwrap_or(self.p2p);
        if let Some(channels) = update.channels {
            self.channels = channels.into_iter().map(|(id, _)| id).collect();
        }
        let Some(profile) = update.profile else { return ProfileChange::Same };
        let is_same = is_same_json(profile.as_deref(), self.profile.as_deref());
        self.profile = profile;
        if is_same { ProfileChange::Same } else { ProfileChange::Changed }
    }

    /// Returns whether the member has an open data channel to `id`.
    #[must_use]
    pub fn has_channel(&self, id: &PeerId) -> bool {
        self.channels.contains(id)
    }
}

/// Returns whether two profiles are the same text.
pub(super) fn is_same_json(one: Option<&RawValue>, other: Option<&RawValue>) -> bool {
    one.map(RawValue::get) == other.map(RawValue::get)
}

/// Rights of a member. A ticket may restrict them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// Whether the member may be elected.
    pub host: bool,
    /// Whether data may be relayed from and to the member.
    pub relay: bool,
}

impl Rights {
    /// Rights of a member that no ticket restricts.
    pub const ALL: Self = Self { host: true, relay: true };
}

/// The request of a session to join a page, from its URL.
#[derive(Debug, Clone)]
pub struct JoinRequest {
    /// The session that asks.
    pub session: SessionId,
    /// The id that the client wants.
    pub id: PeerId,
    /// Proves that the id is the client's own.
    pub token: Option<Token>,
    /// The version of the group protocol that the client speaks; 0 for a stock client.
    pub group: u32,
    /// Capabilities of the client beyond that version.
    pub can: Capabilities,
    /// Rights of the client.
    pub rights: Rights,
    /// Network address of the client.
    pub address: Option<IpAddr>,
    /// Where the socket is.
    pub way: Way,
    /// The assignment that the client was last told.
    pub claim: Option<Claim>,
    /// Status of a session that was a member already when the page's actor died. It is told nothing
    /// that it knows.
    pub resumed: Option<Status>,
}

/// How a member left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// The member said `LEAVE`, closed its socket with 1000, or with 1001 and did not come back in
    /// time.
    Goodbye,
    /// The browser closed the socket with 1001. The page may live on and be back within a moment.
    GoingAway,
    /// The client closed its socket without a code: PeerJS's `disconnect()`, which keeps its
    /// connections.
    Disconnected,
    /// The socket was lost, or the server closed it with a code that asks the client to come back.
    Lost,
    /// The server closed the socket with a code that asks the client not to come back.
    Expelled,
    /// The member was silent for too long.
    Silent,
}

impl Departure {
    /// Returns the word of the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Goodbye => "goodbye",
            Self::GoingAway => "going-away",
            Self::Disconnected => "disconnected",
            Self::Lost => "lost",
            Self::Expelled => "expelled",
            Self::Silent => "silent",
        }
    }

    /// Returns whether the server knows no more than that the socket is gone.
    #[must_use]
    pub const fn is_loss(self) -> bool {
        matches!(self, Self::Lost | Self::Silent)
    }

    /// Returns whether the client may come back as the same member. `disconnect()` of a client
    /// without a page means to.
    #[must_use]
    pub const fn may_return(self, is_pageless: bool) -> bool {
        matches!(self, Self::Lost) || (is_pageless && matches!(self, Self::Disconnected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(json: &str) -> StatusUpdate {
        let profile = RawValue::from_string(json.into()).ok();
        StatusUpdate { profile: Some(profile), ..StatusUpdate::default() }
    }

    #[test]
    fn an_update_changes_what_it_names_and_reports_another_profile() {
        let mut status = Status::default();
        let hidden = StatusUpdate { visible: Some(false), ..StatusUpdate::default() };
        assert_eq!(status.update(hidden), ProfileChange::Same);
        assert_eq!((status.visible, status.eligible), (false, true));
        assert_eq!(status.update(profile("1")), ProfileChange::Changed);
        assert_eq!(status.update(profile("1")), ProfileChange::Same);
        assert_eq!(status.update(profile("2")), ProfileChange::Changed);
        let none = StatusUpdate { profile: Some(None), ..StatusUpdate::default() };
        assert_eq!(status.update(none), ProfileChange::Changed);
    }
}
