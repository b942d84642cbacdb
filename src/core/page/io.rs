//! Inputs and outputs of a page.

use crate::cluster::NodeId;
use crate::epoch_clock::EpochTime;
use crate::page::member::{Departure, JoinRequest};
use crate::protocol::cause::Cause;
use crate::protocol::claim::Claim;
use crate::protocol::close::Close;
use crate::protocol::id::{Epoch, PeerId, SessionId, Token};
use crate::protocol::incoming::{SignalKind, StatusUpdate, Suspicion};
use crate::protocol::outgoing::Frame;
use crate::time::Time;

/// Surroundings of a step: what a page cannot know by itself at the moment of an input.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    /// Time of the step.
    pub now: Time,
    /// The clock of epochs. Epochs start there.
    pub epochs: EpochTime,
    /// A fresh, uniform random number.
    pub random: u64,
    /// Returns when a session of this node was last heard from. Not asked of other sessions.
    pub last_heard: &'a dyn Fn(SessionId) -> Time,
    /// Returns how many text frames a session of this node has sent. If there are more than before,
    /// the code of its page has run. The browser answers pings without it. Not asked of other
    /// sessions.
    pub texts_sent: &'a dyn Fn(SessionId) -> u64,
}

impl std::fmt::Debug for Env<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Env").field("now", &self.now).finish_non_exhaustive()
    }
}

/// An event that a page handles.
#[derive(Debug)]
pub enum Input {
    /// A session asks to join.
    Join(JoinRequest),
    /// The socket of a session is gone.
    SocketClosed {
        /// The session that lost its socket.
        session: SessionId,
        /// How the socket ended.
        departure: Departure,
    },
    /// A member sends a signalling message to a peer.
    Forward {
        /// Session of the sender.
        session: SessionId,
        /// Kind of the message.
        kind: SignalKind,
        /// Id of the receiver.
        dst: PeerId,
        /// The message, encoded for its receiver.
        frame: Frame,
    },
    /// A member says something of itself.
    Status {
        /// Session of the member.
        session: SessionId,
        /// The change of its status.
        update: StatusUpdate,
    },
    /// A member sends data over the server.
    Relay {
        /// Session of the sender.
        session: SessionId,
        /// Receiver. `None`: from the host to all, from other members to the host.
        dst: Option<PeerId>,
        /// The message, encoded for its receivers.
        frame: Frame,
    },
    /// A member hears nothing of the host.
    Suspect {
        /// Session of the member.
        session: SessionId,
        /// The suspected host and its term.
        suspicion: Suspicion,
    },
    /// A member hears the host again.
    Trust {
        /// Session of the member.
        session: SessionId,
        /// The host and its term.
        suspicion: Suspicion,
    },
    /// A member asks whether it still hosts.
    HostHeartbeat {
        /// Session of the member.
        session: SessionId,
        /// The term in which the member hosts, as far as it knows.
        epoch: Epoch,
    },
    /// A host hands over.
    Resign {
        /// Session of the host.
        session: SessionId,
        /// The term that ends.
        epoch: Epoch,
        /// The successor that the host wants.
        to: Option<PeerId>,
    },
    /// The operator sends away the member, newcomer or absent member with this id.
    Kick(PeerId),
    /// A page whose socket is closed says over HTTP that it leaves for good.
    LeaveWithoutSocket {
        /// Id of the member.
        id: PeerId,
        /// Proves that the id is its own.
        token: Token,
    },
    /// An [`Output::Forward`] found no room at its receiver.
    Undelivered {
        /// Session of the sender.
        session: SessionId,
        /// Id of the receiver.
        dst: PeerId,
    },
    /// A session answered an [`Output::Ping`].
    Alive(SessionId),
    /// More is queued for a session than it may have.
    Congested(SessionId),
    /// Another node reports that a member of its was silent for too long: for `rules.timeout`, or as
    /// host for `rules.host_timeout` of its term. A node that finds several reports the host last,
    /// so that no other one of them is elected. After its way was down, it reports again who is
    /// silent.
    Silent(SessionId),
    /// Another node answers an [`Output::Probe`], or reports that a member that did not run has sent
    /// a text frame.
    Ran {
        /// Session of the member.
        session: SessionId,
        /// Whether the member has sent a text frame since.
        ran: bool,
    },
    /// The way to another node went down: nothing comes from its members, and nothing reaches them.
    /// They stay members until it is known that they are gone, and each is then reported by
    /// [`Input::SocketClosed`].
    WayDown(NodeId),
    /// The way to another node is up again. All that was said over it arrives.
    WayUp(NodeId),
    /// Whether the page is on its own from now on. While it is, its node is not sure that it alone
    /// decides for the page.
    Alone(bool),
    /// A [`Deadline`](super::Deadline) has come.
    Timer,
    /// A session that resumed says which peers it has met, on the same page on another node. Those
    /// that died with that node are gone.
    Met {
        /// The session.
        session: SessionId,
        /// The peers, oldest first.
        peers: Vec<PeerId>,
    },
    /// The server shuts down. From now on nobody is elected, admitted or announced as gone.
    Drain,
}

/// An action that a page wants done. The order of outputs matters.
#[derive(Debug, Clone)]
pub enum Output {
    /// Let a session in. It is a member from now on.
    Welcome {
        /// Session of the newcomer.
        to: SessionId,
        /// `OPEN`. `None` for a session that was a member already.
        open: Option<Frame>,
        /// The host and its term.
        assignment: Option<Assignment>,
    },
    /// Tell a member who hosts.
    AnnounceHost {
        /// Session of the member.
        to: SessionId,
        /// The encoded `HOST` message.
        frame: Frame,
        /// The assignment that the frame announces.
        assignment: Assignment,
    },
    /// Tell all other members who hosts: each that
    /// [`PageState::announce_to_others`](super::PageState::announce_to_others) names. The
    /// announcement is boxed because it is large, and a fan-out has an output for each member.
    AnnounceHostToOthers(Box<Announcement>),
    /// Send a frame to a member. A member without room for it is closed as slow.
    Send {
        /// Session of the member.
        to: SessionId,
        /// The encoded message.
        frame: Frame,
    },
    /// Send a member data of its host. A member without room for it is closed as slow. A link to
    /// another node that has no room for it drops it.
    Relay {
        /// Session of the member.
        to: SessionId,
        /// The encoded message.
        frame: Frame,
    },
    /// Send a frame of one peer to another, if there is room. A receiver without room is not to
    /// blame.
    Forward {
        /// Session of the receiver.
        to: SessionId,
        /// The encoded message.
        frame: Frame,
        /// Session of the sender and id of the receiver for [`Input::Undelivered`]. `None` if
        /// nobody is told.
        from: Option<(SessionId, PeerId)>,
    },
    /// Tell the host of a member. A crowd that joins or leaves at once is much to read, and not the
    /// host's fault.
    RosterChange {
        /// Session of the host, or of a contact of the member.
        to: SessionId,
        /// The encoded `JOIN` or `LEAVE`.
        frame: Frame,
    },
    /// Count a message that its sender's ticket does not allow.
    NotAllowed,
    /// Ping a session. Its next frame comes back as [`Input::Alive`].
    Ping(SessionId),
    /// Send the host on another node a `PROBE`, and have its node report by [`Input::Ran`] whether
    /// the host has sent a text frame within `rules.probe` after it.
    Probe {
        /// Session of the host.
        to: SessionId,
        /// The encoded `PROBE`.
        frame: Frame,
    },
    /// Close a session that is no member, or no member any more.
    Dismiss {
        /// The session to close.
        session: SessionId,
        /// Why the session is closed.
        close: Close,
    },
    /// A member left: log it, and forget its session.
    Left {
        /// Session of the member.
        session: SessionId,
        /// Id of the member.
        id: PeerId,
        /// How the member left.
        departure: Departure,
    },
    /// A host was elected: log it.
    Elected {
        /// The new host and its term.
        assignment: Assignment,
        /// Why there was an election.
        cause: Cause,
    },
    /// The deputy changed: log it.
    Deputy {
        /// Id of the deputy, if there is one.
        id: Option<PeerId>,
    },
    /// The page is empty and keeps nothing: the directory may forget it.
    Idle {
        /// Number of joins that the page has seen, which shows whether another one is on its way.
        joins_seen: u64,
    },
}

impl Output {
    /// Returns the output that sends away a session.
    #[must_use]
    pub const fn dismiss(session: SessionId, close: Close) -> Self {
        Self::Dismiss { session, close }
    }

    /// Returns the session that is sent something, or closed.
    #[must_use]
    pub const fn receiver(&self) -> Option<SessionId> {
        match self {
            Self::Welcome { to, .. }
            | Self::AnnounceHost { to, .. }
            | Self::Send { to, .. }
            | Self::Relay { to, .. }
            | Self::Forward { to, .. }
            | Self::RosterChange { to, .. }
            | Self::Probe { to, .. }
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

/// `HOST` for all members but the host, encoded once for many.
#[derive(Debug, Clone)]
pub struct Announcement {
    /// The new assignment, as members other than the host are told it.
    pub assignment: Assignment,
    /// Frames by whether the receiver dials the deputy. Of each kind there are three: for members
    /// that do not dial the host, that dial it, and that cannot but dial it.
    pub(super) frames: [[Frame; 3]; 2],
    /// Number of members that may relay and dial the host.
    pub(super) places: usize,
    /// Number of the deputy that the frames name.
    pub(super) deputy: u64,
}

/// The host, as one session is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The term of the host.
    pub epoch: Epoch,
    /// Id of the host.
    pub host: PeerId,
    /// Whether the receiver is the host.
    pub hosting: bool,
}

impl Assignment {
    /// Returns the assignment as a member that was told it would claim it.
    #[must_use]
    pub fn into_claim(self) -> Claim {
        Claim { epoch: self.epoch, host: self.host }
    }
}
