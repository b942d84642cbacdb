//! One member of a page.

// not `std::net`, which opens sockets as well
use core::net::IpAddr;

use serde_json::value::RawValue;

use crate::page::contacts::Contacts;
use crate::page::member::{Rights, Status, Way};
use crate::protocol::claim::Claim;
use crate::protocol::id::{Capabilities, Epoch, PeerId, SessionId, Token};
use crate::protocol::outgoing::RosterEntry;
use crate::time::Time;

/// One member of a page. What indexes, counts or the encoded roster depend on changes by way of the
/// [`Roster`](super::Roster) alone; [`Notes`] may change at any time.
#[derive(Debug)]
pub struct Member {
    pub(super) session: SessionId,
    pub(super) id: PeerId,
    pub(super) token: Option<Token>,
    pub(super) group: u32,
    pub(super) can: Capabilities,
    pub(super) rights: Rights,
    pub(super) address: Option<IpAddr>,
    pub(super) way: Way,
    pub(super) joined_at: Time,
    pub(super) status: Status,
    /// Notes of the page about the member.
    pub notes: Notes,
}

/// Notes of a page about a member. No index depends on them.
#[derive(Debug, Default)]
pub struct Notes {
    /// Peers that are told when the member is gone for good.
    pub contacts: Contacts,
    /// The claim of the member, while the page recovers.
    pub claim: Option<Claim>,
    /// The epochs of the first and the last assignment that were announced to the member.
    pub announced: Option<(Epoch, Epoch)>,
    /// Number of the deputy that was last announced to the member. `None` if another actor of this
    /// page announced it.
    pub announced_deputy: Option<u64>,
    /// Why the page of the member counts as one that does not run, if it does. The member is elected
    /// last until it sends a text frame.
    pub stalled: Option<Stalled>,
    /// When the page of the member said over HTTP that it leaves, while its socket was still open.
    pub leave_said_at: Option<Time>,
    /// Whether the member was replaced because most could not reach it. It is elected last until a
    /// calm minute has passed.
    pub is_out_of_reach: bool,
}

/// How a page knows that the page of a member was found not to run, and when it runs again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stalled {
    /// The member is on this node, and had sent this number of text frames.
    AfterTexts(u64),
    /// The member is on another node, which reports when it sends one.
    Reported,
}

impl Notes {
    /// Returns whether the last assignment that was announced to the member is that of `epoch`.
    #[must_use]
    pub fn knows(&self, epoch: Epoch) -> bool {
        self.announced.is_some_and(|(_, last)| last == epoch)
    }

    /// Notes that the assignment of `epoch` and the deputy with number `deputy` are announced to
    /// the member.
    pub fn announce(&mut self, epoch: Epoch, deputy: u64) {
        self.announced = Some((self.announced.map_or(epoch, |(first, _)| first), epoch));
        self.announced_deputy = Some(deputy);
    }
}

impl Member {
    /// Returns the session of the member.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// Returns the id of the member.
    #[must_use]
    pub const fn id(&self) -> &PeerId {
        &self.id
    }

    /// Returns the proof that the id is the member's own.
    #[must_use]
    pub const fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// Returns the version of the group protocol that the member speaks; 0 for a stock client.
    #[must_use]
    pub const fn group(&self) -> u32 {
        self.group
    }

    /// Returns whether the member speaks the group protocol.
    #[must_use]
    pub const fn is_group_member(&self) -> bool {
        self.group > 0
    }

    /// Returns what the member can do beyond that version.
    #[must_use]
    pub const fn can(&self) -> &Capabilities {
        &self.can
    }

    /// Returns what the member may do.
    #[must_use]
    pub const fn rights(&self) -> Rights {
        self.rights
    }

    /// Returns the network address of the client.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Returns the way to the member.
    #[must_use]
    pub const fn way(&self) -> Way {
        self.way
    }

    /// Returns when the present socket of the member joined.
    #[must_use]
    pub const fn joined_at(&self) -> Time {
        self.joined_at
    }

    /// Returns what the member says of itself.
    #[must_use]
    pub const fn status(&self) -> &Status {
        &self.status
    }

    /// Returns the entry of the member in the roster.
    #[must_use]
    pub fn entry(&self) -> RosterEntry<'_> {
        RosterEntry {
            id: &self.id,
            group: self.group,
            can: &self.can,
            may_relay: self.rights.relay,
            profile: self.status.profile.as_deref(),
        }
    }

    /// Returns whether a data channel alone reaches the member: nothing is relayed on the page
    /// (`relays`), or not to it.
    #[must_use]
    pub const fn needs_channel(&self, relays: bool) -> bool {
        self.is_group_member() && !(relays && self.rights.relay)
    }

    /// Takes the member apart: id, token, contacts and profile outlive its seat.
    #[must_use]
    pub fn into_parts(self) -> (PeerId, Option<Token>, Contacts, Option<Box<RawValue>>) {
        (self.id, self.token, self.notes.contacts, self.status.profile)
    }
}
