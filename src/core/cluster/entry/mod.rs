//! The entries that nodes send to each other.
//!
//! Every entry that concerns a page names the life of the page that it is meant for: its
//! [`Place`]. A node drops what is meant for a life that it does not know or that is over.

pub(super) mod codec;

use crate::cluster::{Fence, NodeId};
use crate::page::member::{Departure, JoinRequest, Seat};
use crate::protocol::claim::Claim;
use crate::protocol::close::Close;
use crate::protocol::id::{Epoch, PageKey, PageName, PeerId, SessionId, Token};
use crate::protocol::incoming::{SignalKind, StatusUpdate, Suspicion};
use crate::protocol::outgoing::Frame;

/// One life of one page.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The page.
    pub page: PageKey,
    /// The life of the page.
    pub fence: Fence,
}

/// The treatment of an entry for which a link has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Data of the relay. It is dropped and counted: the library asks again.
    Relay,
    /// A signalling message. It expires at its sender. Or a word that is said again anyway.
    Signal,
    /// A word of the server. The link breaks.
    Own,
    /// The news that a signalling message expired. It is sent while the link is down too, and again
    /// in the next association, until there are too many. It may arrive twice.
    Expiry,
}

/// How a frame is written to the socket of its receiver, and what happens if there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// A word of the page. A receiver without room is congested.
    Page,
    /// A join or leave of a crowd, for which there is more room. A receiver without room is
    /// congested.
    News,
    /// `HOST` for the new host itself. It is written at once, what the page says after it is held
    /// back until then, and the session knows that it hosts.
    Urgent,
    /// Data of the host. A receiver without room is congested.
    HostData,
    /// Data of a member that does not host. It is dropped at a receiver without room.
    PeerData,
    /// A signalling message. If there is no room and the entry says who sent it, the page is told.
    Signal,
}

impl Delivery {
    /// Returns what a link does with the frame when it has no room for it.
    #[must_use]
    pub const fn class(self) -> Class {
        match self {
            Self::Page | Self::News | Self::Urgent => Class::Own,
            Self::HostData | Self::PeerData => Class::Relay,
            Self::Signal => Class::Signal,
        }
    }
}

/// A token as it crosses between nodes: a hash with a key that all nodes have. The token itself
/// stays on the node of its session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    /// Returns the hash that a token is the text of, if it is one.
    #[must_use]
    pub fn of_token(token: &Token) -> Option<Self> {
        let text = token.as_str();
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        let mut hash = [0; 32];
        for (n, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * n..2 * n + 2)?, 16).ok()?;
        }
        Some(Self(hash))
    }

    /// Returns the hash as a page compares it: 64 hexadecimal digits, which are always a token. All
    /// pages of a cluster compare hashes, also those of local sessions.
    #[must_use]
    pub fn to_token(self) -> Option<Token> {
        use std::fmt::Write;
        let mut text = String::with_capacity(64);
        for byte in self.0 {
            // writing to a `String` cannot fail
            let _ = write!(text, "{byte:02x}");
        }
        Token::parse(&text).ok()
    }
}

impl std::fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// The request of a remote session to join, or to be a member again.
#[derive(Debug, Clone)]
pub struct Join {
    /// The request. Its token does not cross: a node that reads an entry finds
    /// [`TokenHash::to_token`] of the proof there.
    pub request: JoinRequest,
    /// Proves that the id is the client's own.
    pub proof: Option<TokenHash>,
    /// The seat that the member had in the page's last life.
    pub seat: Option<Seat>,
    /// The last contacts of the session, oldest first: at most [`Join::MOST_CONTACTS`].
    pub contacts: Vec<PeerId>,
}

impl Join {
    /// Number of contacts that a member takes to the page's next life.
    pub const MOST_CONTACTS: usize = 32;
}

/// A word of a session's node to a page.
#[derive(Debug, Clone)]
pub enum ToPage {
    /// A session wants to join. If the request says `resumed`, it was a member already.
    Join(Box<Join>),
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
    /// A member sends data over the server.
    Relay {
        /// Session of the sender.
        session: SessionId,
        /// Receiver. `None`: from the host to all, from other members to the host.
        dst: Option<PeerId>,
        /// The message, encoded for its receivers.
        frame: Frame,
    },
    /// A member says something of itself.
    Status {
        /// Session of the member.
        session: SessionId,
        /// The change of its status.
        update: StatusUpdate,
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
    /// A host hands over.
    Resign {
        /// Session of the host.
        session: SessionId,
        /// The term that ends.
        epoch: Epoch,
        /// The successor that the host wants.
        to: Option<PeerId>,
    },
    /// A host asks whether it still hosts.
    Heartbeat {
        /// Session of the host.
        session: SessionId,
        /// The term that it means.
        epoch: Epoch,
    },
    /// The socket of a session is gone.
    SocketClosed {
        /// The session.
        session: SessionId,
        /// How the socket ended.
        departure: Departure,
    },
    /// A session was silent for too long.
    Silent(SessionId),
    /// The time of a [`ToBranch::Probe`] is over; or the page of a session that had not run by then
    /// has run after all.
    Ran {
        /// The session.
        session: SessionId,
        /// Whether the code of its page has run since.
        ran: bool,
    },
    /// More is queued for a session than it may have.
    Congested(SessionId),
    /// A signalling message found no room at its receiver.
    Undelivered {
        /// Session of the sender.
        session: SessionId,
        /// Id of the receiver.
        dst: PeerId,
    },
    /// A session answered a [`ToBranch::Ping`].
    Alive(SessionId),
    /// A page whose socket is closed says over HTTP that it leaves for good.
    LeaveWithoutSocket {
        /// Id of the member.
        id: PeerId,
        /// Proves that the id is its own.
        proof: TokenHash,
    },
    /// Asks for [`ToBranch::Here`].
    Who,
    /// These members have not been told of the host that [`ToBranch::Here`] names.
    Missed(Vec<SessionId>),
}

/// A word of a page to its sessions on another node, or to that node.
#[derive(Debug, Clone)]
pub enum ToBranch {
    /// Sessions are sent a frame.
    Frame {
        /// The receivers.
        to: Vec<SessionId>,
        /// The encoded message.
        frame: Frame,
        /// How it is written.
        delivery: Delivery,
        /// Session of the sender and id of the receiver, for [`ToPage::Undelivered`].
        from: Option<(SessionId, PeerId)>,
        /// The host that the frame announces, if it is `HOST`. In one entry with the frame, so that
        /// a link that breaks loses both or none.
        tells: Option<Claim>,
    },
    /// A session is a member from now on.
    Welcome {
        /// The session.
        to: SessionId,
        /// `OPEN`. `None` for a session that was a member already.
        open: Option<Frame>,
        /// The host that the client is told of in `OPEN`.
        claim: Option<Claim>,
        /// The seat of the member, for the page's next life.
        seat: Option<Seat>,
    },
    /// The host that was announced to all members. `None` while the page waits for a host.
    Announced(Option<Claim>),
    /// Ping a session. Its next frame comes back as [`ToPage::Alive`].
    Ping(SessionId),
    /// See whether the code of a session's page runs, within the time that the rules name:
    /// [`ToPage::Ran`].
    Probe {
        /// The session.
        to: SessionId,
        /// The encoded `PROBE`.
        frame: Frame,
    },
    /// Close a session that is no member, or no member any more.
    Dismiss {
        /// The session.
        session: SessionId,
        /// Why it is closed.
        close: Close,
    },
    /// Of the sessions of this node these are members, and no others. Whom the node does not have
    /// is gone, and whom this does not name says again who it is.
    Here {
        /// The members.
        sessions: Vec<SessionId>,
        /// The host that was announced to all members.
        host: Option<Claim>,
    },
    /// The node takes no join for this page: the session asks anew where the page lives.
    JoinReturned(SessionId),
    /// The [`hash_of`] the sessions that [`ToBranch::Here`] would name. A node that has others asks
    /// [`ToPage::Who`].
    HereHash(u64),
    /// A signalling message of a session did not find its receiver, or its page: `EXPIRE`. True in
    /// any life of the page.
    Expired {
        /// Session of the sender.
        session: SessionId,
        /// Id of the receiver.
        dst: PeerId,
    },
    /// This life of the page is over, or never was here. With the next one, if it is known.
    PageLost(Option<(NodeId, Fence)>),
}

/// A question of the operator to all nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Which pages are there?
    Pages,
    /// Which members are on a page?
    Peers(PageKey),
    /// Send away the member of a page with an id.
    Kick {
        /// The page.
        page: PageKey,
        /// Id of the member.
        id: PeerId,
    },
}

/// The answer to a [`Question`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Question::Pages`]: the pages that live on this node.
    Pages(Vec<PageSummary>),
    /// To [`Question::Peers`]: the ids, if the page lives on this node.
    Peers(Option<Vec<PeerId>>),
    /// To [`Question::Kick`]: whether there was such a member. `None` if the page does not live on
    /// this node.
    Kicked(Option<bool>),
    /// To any question: the node cannot say yet. The question may be asked again.
    NotYet,
}

/// One page as the operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageSummary {
    /// Name of the page.
    pub page: PageName,
    /// The host, or the member that is expected back as host, and its term.
    pub host: Option<Claim>,
    /// Number of members on the page.
    pub members: u64,
}

/// One thing that a node says to another.
#[derive(Debug, Clone)]
pub enum Entry {
    /// To a page that lives on the other node.
    ToPage(Place, ToPage),
    /// To sessions on the other node, from their page.
    ToBranch(Place, ToBranch),
    /// A question of the operator.
    Question {
        /// Number of the question, for its answer.
        number: u64,
        /// The question.
        question: Question,
    },
    /// The answer to a question of the operator.
    Answer {
        /// Number of the question.
        number: u64,
        /// The answer.
        answer: Answer,
    },
}

impl Entry {
    /// Returns what a link does with the entry when it has no room for it.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::ToPage(_, ToPage::Relay { .. }) => Class::Relay,
            Self::ToPage(_, ToPage::Forward { .. }) => Class::Signal,
            Self::ToBranch(_, ToBranch::Frame { delivery, .. }) => delivery.class(),
            Self::ToBranch(_, ToBranch::Expired { .. }) => Class::Expiry,
            Self::ToBranch(_, ToBranch::HereHash(_)) => Class::Signal,
            Self::ToPage(..) | Self::ToBranch(..) | Self::Question { .. } | Self::Answer { .. } => {
                Class::Own
            }
        }
    }

    /// Returns the life of a page that the entry is about.
    #[must_use]
    pub const fn place(&self) -> Option<&Place> {
        match self {
            Self::ToPage(place, _) | Self::ToBranch(place, _) => Some(place),
            Self::Question { .. } | Self::Answer { .. } => None,
        }
    }

    /// Returns the frame that the entry carries.
    #[must_use]
    pub const fn frame(&self) -> Option<&Frame> {
        match self {
            Self::ToPage(_, ToPage::Forward { frame, .. } | ToPage::Relay { frame, .. })
            | Self::ToBranch(_, ToBranch::Frame { frame, .. }) => Some(frame),
            Self::ToBranch(_, ToBranch::Probe { frame, .. }) => Some(frame),
            Self::ToBranch(_, ToBranch::Welcome { open, .. }) => open.as_ref(),
            Self::ToPage(..) | Self::ToBranch(..) | Self::Question { .. } | Self::Answer { .. } => {
                None
            }
        }
    }
}

/// Returns the hash of [`ToBranch::HereHash`]: the same for the same sessions in any order.
#[must_use]
pub fn hash_of(sessions: impl IntoIterator<Item = SessionId>) -> u64 {
    // SplitMix64's finisher: neighbours do not cancel each other out
    let mix = |SessionId(n): SessionId| {
        let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        n ^ (n >> 31)
    };
    sessions.into_iter().map(mix).fold(0, u64::wrapping_add)
}
