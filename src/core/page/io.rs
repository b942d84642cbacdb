//! What can happen to a page, and what it wants done.

use crate::page::member::{AbsentMember, Departure, JoinRequest};
use crate::page::parked::ParkedMessages;
use crate::protocol::cause::Cause;
use crate::protocol::claim::Claim;
use crate::protocol::close::Close;
use crate::protocol::id::{Epoch, PeerId, SessionId, Token};
use crate::protocol::incoming::{SignalKind, StatusUpdate, Suspicion};
use crate::protocol::outgoing::Frame;
use crate::time::Time;

use super::dials::Dials;

/// What the page cannot know by itself, at the moment of an input.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    /// The time.
    pub now: Time,
    /// The clock, in ms since 1970: epochs start there.
    pub unix_ms: u64,
    /// A fresh, uniform random number.
    pub random: u64,
    /// Returns when a session was last heard from.
    pub last_heard: &'a dyn Fn(SessionId) -> Time,
    /// How many text frames a session has sent: its page's code has run if there are more of them. Pings are answered
    /// by the browser.
    pub texts_sent: &'a dyn Fn(SessionId) -> u64,
}

impl std::fmt::Debug for Env<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Env").field("now", &self.now).finish_non_exhaustive()
    }
}

/// What can happen to a page.
#[derive(Debug)]
pub enum Input {
    /// Somebody asks to be let in.
    Join(JoinRequest),
    /// A socket is gone.
    SocketClosed {
        /// Whose.
        session: SessionId,
        /// How it went.
        departure: Departure,
    },
    /// A member says something to a peer.
    Forward {
        /// Who speaks.
        session: SessionId,
        /// Which message.
        kind: SignalKind,
        /// To whom.
        dst: PeerId,
        /// Ready to be sent.
        frame: Frame,
    },
    /// A member speaks of itself.
    Status {
        /// Who.
        session: SessionId,
        /// What it says.
        update: StatusUpdate,
    },
    /// A member sends data over the server.
    Relay {
        /// Who.
        session: SessionId,
        /// To whom; none: from the host to all, from others to the host.
        dst: Option<PeerId>,
        /// Ready to be sent.
        frame: Frame,
    },
    /// A member says that the host does not answer it.
    Suspect {
        /// Who.
        session: SessionId,
        /// Which host.
        suspicion: Suspicion,
    },
    /// A member says that it hears the host again.
    Trust {
        /// Who.
        session: SessionId,
        /// Which host.
        suspicion: Suspicion,
    },
    /// A host hands over.
    Resign {
        /// Who.
        session: SessionId,
        /// The term it ends.
        epoch: Epoch,
        /// Who is to follow, if it can.
        to: Option<PeerId>,
    },
    /// The operator sends away whoever has this id, or waits for it.
    Kick(PeerId),
    /// A page whose socket is closed says that it leaves for good.
    LeaveWithoutSocket {
        /// Its id.
        id: PeerId,
        /// Its proof that the id is its own.
        token: Token,
    },
    /// An [`Output::Forward`] met a receiver that has too much to read already.
    Undelivered {
        /// Who sent it.
        session: SessionId,
        /// For whom it was.
        dst: PeerId,
    },
    /// A session answered our [`Output::Ping`].
    Alive(SessionId),
    /// More is queued for a session than it may have.
    Congested(SessionId),
    /// A deadline has passed.
    Timer,
    /// The server goes away. From now on nobody is elected, let in or said to be gone.
    Drain,
}

/// What a page wants done, in this order.
#[derive(Debug, Clone)]
pub enum Output {
    /// Let a session in: it is a member from now on.
    Welcome {
        /// Which.
        to: SessionId,
        /// `OPEN`; none for one that was a member already.
        open: Option<Frame>,
        /// Who hosts.
        assignment: Option<Assignment>,
    },
    /// Tell a member who hosts.
    AnnounceHost {
        /// Which.
        to: SessionId,
        /// `HOST`.
        frame: Frame,
        /// The same, for the session itself.
        assignment: Assignment,
    },
    /// Tell all other members who hosts: each that [`PageState::announce_to_others`](super::PageState::announce_to_others) names.
    /// Boxed: it is large, and a fan-out has an output for each member.
    AnnounceHostToOthers(Box<Announcement>),
    /// Send a frame to a member.
    Send {
        /// Which.
        to: SessionId,
        /// What.
        frame: Frame,
    },
    /// The same for what one peer says to another: if the receiver has too much to read already it is not sent, and the
    /// receiver is not to blame ([`Input::Undelivered`]).
    Forward {
        /// Which.
        to: SessionId,
        /// What.
        frame: Frame,
        /// Who is to be told if it is not sent, and who the receiver was; none: nobody.
        from: Option<(SessionId, PeerId)>,
    },
    /// Send word of a member to the host. A crowd that comes or goes at once is much to read, and not its fault.
    RosterChange {
        /// Which.
        to: SessionId,
        /// `JOIN` or `LEAVE`.
        frame: Frame,
    },
    /// What a member said is not for it to say. For the count of what was ignored.
    NotAllowed,
    /// See whether a session lives: its next frame is to come back as [`Input::Alive`].
    Ping(SessionId),
    /// Close a session, which is no member (any more).
    Dismiss {
        /// Which.
        session: SessionId,
        /// Why.
        close: Close,
    },
    /// A member left. For the log, and to forget its session.
    Left {
        /// Whose.
        session: SessionId,
        /// Its id.
        id: PeerId,
        /// How it went.
        departure: Departure,
    },
    /// A host was elected. For the log.
    Elected {
        /// The assignment.
        assignment: Assignment,
        /// Why.
        cause: Cause,
    },
    /// There is another deputy, or none any more. For the log.
    Deputy {
        /// Its id.
        id: Option<PeerId>,
    },
    /// Nobody is here and nothing waits, after so many joins.
    Idle {
        /// How many joins this page has seen, to tell whether one is on its way.
        joins_seen: u64,
    },
}

impl Output {
    /// The session that is to be sent something, or closed.
    #[must_use]
    pub const fn receiver(&self) -> Option<SessionId> {
        match self {
            Self::Welcome { to, .. }
            | Self::AnnounceHost { to, .. }
            | Self::Send { to, .. }
            | Self::Forward { to, .. }
            | Self::RosterChange { to, .. }
            | Self::Ping(to)
            | Self::Dismiss { session: to, .. } => Some(*to),
            Self::AnnounceHostToOthers(_)
            | Self::NotAllowed
            | Self::Deputy { .. }
            | Self::Left { .. }
            | Self::Elected { .. }
            | Self::Idle { .. } => None,
        }
    }
}

/// What a page whose actor died leaves to its successor, besides its sessions, who speak for themselves.
#[derive(Debug, Default)]
pub struct Handover {
    /// The highest epoch anybody was told.
    pub announced_epoch: Epoch,
    /// Who hosted.
    pub claim: Option<Claim>,
    /// Who was on the page, or away: a member that does not resume is gone.
    pub(super) returning: Vec<(PeerId, AbsentMember)>,
    pub(super) waiting: Option<ParkedMessages>,
    /// How long dials took.
    pub(super) dials: Dials,
}

impl Handover {
    /// For a page that had no predecessor: its epochs start above `told`.
    #[must_use]
    pub fn above(announced_epoch: Epoch) -> Self {
        Self { announced_epoch, ..Self::default() }
    }
}

/// `HOST` as all but the host itself are told, encoded once for the many.
#[derive(Debug, Clone)]
pub struct Announcement {
    /// The new assignment, as a member other than the host is told it.
    pub assignment: Assignment,
    /// Frames by whether a member dials the deputy. Of each kind three: for members that do not dial the host, that do, and
    /// that cannot but dial it.
    pub(super) frames: [[Frame; 3]; 2],
    /// How many of those to whom data may be relayed dial the host.
    pub(super) places: usize,
    /// The number of the deputy that the frames name.
    pub(super) deputy: u64,
}

/// Who hosts, as one session is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The host's term.
    pub epoch: Epoch,
    /// The host.
    pub host: PeerId,
    /// Whether the one told is the host.
    pub hosting: bool,
}

impl Assignment {
    /// The same, as one that was told it would claim it.
    #[must_use]
    pub fn into_claim(self) -> Claim {
        Claim { epoch: self.epoch, host: self.host }
    }
}
