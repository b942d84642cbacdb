//! One who is on a page, and one who just left it.

// not `std::net`, which opens sockets as well
use core::net::IpAddr;

use serde_json::value::RawValue;

use crate::page::contacts::Contacts;
use crate::page::election::Candidate;
use crate::protocol::claim::Claim;
use crate::protocol::id::{Epoch, PeerId, SessionId, Token};
use crate::protocol::incoming::StatusUpdate;
use crate::protocol::outgoing::RosterEntry;
use crate::time::Time;

/// The order in which members came to a page; a take-over keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seat(pub u64);

/// What a member says of itself.
#[derive(Debug, Clone)]
pub struct Status {
    /// It may be elected while others may.
    pub eligible: bool,
    /// Its page is being looked at.
    pub visible: bool,
    /// It takes part in the relay's fan-out.
    pub relay: bool,
    /// Its page can open data channels.
    pub p2p: bool,
    /// Members to whom it has a data channel that is open.
    pub channels: Vec<PeerId>,
    /// For the others to see.
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
    /// Takes over what `update` says; true when the profile is another.
    pub fn update(&mut self, update: StatusUpdate) -> bool {
        self.eligible = update.eligible.unwrap_or(self.eligible);
        self.visible = update.visible.unwrap_or(self.visible);
        self.relay = update.relay.unwrap_or(self.relay);
        self.p2p = update.p2p.unwrap_or(self.p2p);
        if let Some(channels) = update.channels {
            self.channels = channels.into_iter().map(|(id, _)| id).collect();
        }
        let Some(profile) = update.profile else { return false };
        let changed = !is_same(profile.as_deref(), self.profile.as_deref());
        self.profile = profile;
        changed
    }

    /// Returns whether it has an open data channel to `id`.
    #[must_use]
    pub fn has_channel(&self, id: &PeerId) -> bool {
        self.channels.contains(id)
    }
}

fn is_same(one: Option<&RawValue>, other: Option<&RawValue>) -> bool {
    one.map(RawValue::get) == other.map(RawValue::get)
}

/// What the operator lets a member do: its ticket says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// It may be elected.
    pub host: bool,
    /// Data may go over the server, from it and to it.
    pub relay: bool,
}

impl Rights {
    /// Of one about whom nothing else is said.
    pub const ALL: Self = Self { host: true, relay: true };
}

/// One who asks to be let in: what its URL says.
#[derive(Debug, Clone)]
pub struct JoinRequest {
    /// Its socket.
    pub session: SessionId,
    /// The id it wants.
    pub id: PeerId,
    /// Its proof that the id is its own.
    pub token: Option<Token>,
    /// The version of the group protocol it speaks; 0 for a stock client.
    pub group: u32,
    /// What it may do.
    pub rights: Rights,
    /// Network address of its client.
    pub address: Option<IpAddr>,
    /// What it was last told.
    pub claim: Option<Claim>,
    /// Set by a session that was a member already when the page's actor died. It is told nothing that it knows.
    pub resumed: Option<Status>,
}

/// One who is on the page.
#[derive(Debug)]
pub struct Member {
    /// Its socket.
    pub session: SessionId,
    /// Its id.
    pub id: PeerId,
    /// Its proof that the id is its own.
    pub token: Option<Token>,
    /// The version of the group protocol it speaks; 0 for a stock client.
    pub group: u32,
    /// What it may do.
    pub rights: Rights,
    /// Network address of its client.
    pub address: Option<IpAddr>,
    /// When its socket joined.
    pub came: Time,
    /// What it says of itself.
    pub status: Status,
    /// Whom to tell when it is gone for good.
    pub contacts: Contacts,
    /// What it said it was told, while the page recovers.
    pub claim: Option<Claim>,
    /// The epochs of the first and the last assignment it was told.
    pub told: Option<(Epoch, Epoch)>,
    /// Number of the last deputy it was told of. `None` if that was another actor of this page.
    pub told_deputy: Option<u64>,
    /// How many text frames it had sent when its page was found not to run: until it sends another it is elected last.
    pub stalled_at: Option<u64>,
    /// When its page said over HTTP that it leaves, though its socket was still open.
    pub leave_said: Option<Time>,
    /// Whether the member was replaced because most could not reach it. It is elected last until a calm minute has passed.
    pub out_of_reach: bool,
}

impl Member {
    /// Its entry in the roster.
    #[must_use]
    pub fn entry(&self) -> RosterEntry<'_> {
        let relay = (!self.rights.relay).then_some(false);
        RosterEntry {
            id: &self.id,
            group: self.group,
            relay,
            profile: self.status.profile.as_deref(),
        }
    }

    /// It, on `seat`, for an election.
    #[must_use]
    pub const fn candidate(&self, seat: Seat, fresh: bool) -> Candidate<Seat> {
        let Status { eligible, visible, .. } = self.status;
        let (group, reached, relay) = (self.group > 0, !self.out_of_reach, self.rights.relay);
        Candidate { who: seat, group, present: true, eligible, reached, relay, visible, fresh }
    }

    /// Returns whether the last assignment that it was told is that of `epoch`.
    #[must_use]
    pub fn knows(&self, epoch: Epoch) -> bool {
        self.told.is_some_and(|(_, last)| last == epoch)
    }

    /// Takes note that it is told of `epoch`, and of the deputy with number `deputy`.
    pub fn tell(&mut self, epoch: Epoch, deputy: u64) {
        self.told = Some((self.told.map_or(epoch, |(first, _)| first), epoch));
        self.told_deputy = Some(deputy);
    }
}

/// How a member left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// The member said `LEAVE`, closed its socket with 1000, or with 1001 and did not come back in time.
    Goodbye,
    /// The browser closed the socket with 1001. The page may live on and be back within a moment.
    GoingAway,
    /// It closed its socket without a code: PeerJS's `disconnect()`, which keeps its connections.
    Disconnected,
    /// Its socket was lost, or closed by us with a code that says: come back.
    Lost,
    /// We closed its socket with a code that says: do not come back.
    Expelled,
    /// It was silent for too long.
    Silent,
}

impl Departure {
    /// As the log spells it.
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

    /// Only its socket is known to be gone.
    #[must_use]
    pub const fn is_loss(self) -> bool {
        matches!(self, Self::Lost | Self::Silent)
    }

    /// When it is gone for good: at once, or after a while in which it may come back.
    #[must_use]
    pub const fn may_return(self, pageless: bool) -> bool {
        matches!(self, Self::Lost) || (pageless && matches!(self, Self::Disconnected))
    }
}

/// One who may come back as the same, before it is gone for good.
#[derive(Debug)]
pub struct AbsentMember {
    /// Its proof that the id is its own.
    pub token: Option<Token>,
    /// Whom to tell when it does not.
    pub contacts: Contacts,
    /// Whether they are told at all: not after `disconnect()`, which keeps its connections.
    pub announced: bool,
    /// It did not say that it goes, nor was it sent away.
    pub lost: bool,
    /// Its profile, as the page knew it.
    pub profile: Option<Box<RawValue>>,
    /// Its session may still be here, and is yet to say so to the page's new actor.
    pub awaited: bool,
    /// The host has not heard of it, or not of that: it was told who is here meanwhile, or the page's actor died before.
    pub is_news: bool,
}

impl AbsentMember {
    /// Whether a host that knew it does not know it as it is now.
    #[must_use]
    pub fn has_news(&self, now: &Status) -> bool {
        self.is_news || !is_same(self.profile.as_deref(), now.profile.as_deref())
    }
}
