//! The messages between the actors.

use std::collections::HashSet;
use std::sync::Arc;

use actix::Message;

use super::outlet::Link;
use super::{outbound, outlet, page_address, routing_table, writer};
use peerstar_core::cluster::NodeId;
use peerstar_core::directory::Incarnation;
use peerstar_core::page::member::{Departure, JoinRequest};
use peerstar_core::page::{Handover, Input};
use peerstar_core::protocol::claim::Claim;
use peerstar_core::protocol::close::Close;
use peerstar_core::protocol::id::{Epoch, PageKey, PeerId, SessionId, Token};
use peerstar_core::protocol::outgoing::Frame;

/// How a page reaches a session.
pub type Outlet = outlet::Outlet<ToSession>;
/// How a session reaches its page.
pub type PageAddress = page_address::PageAddress<ToPage>;
/// Outbound items that are sent in one moment.
pub type Batch = outlet::Batch<ToSession>;
/// One thing sent to a session.
pub type Outbound = outbound::Outbound<ToSession>;
/// Host and outlets that a page publishes for its sessions.
pub type RoutingTable = routing_table::RoutingTable<ToSession>;
/// The sockets of one thread.
pub type ThreadSockets = writer::ThreadSockets<ToSession>;

/// A message to the directory.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum ToDirectory {
    /// A session wants to join a page.
    Join {
        /// Key of the page.
        key: PageKey,
        /// Identity, claim and status of the session.
        request: Box<JoinRequest>,
        /// How to reach the session.
        outlet: Outlet,
    },
    /// A member asks where its page is: the page's actor has died, and so has its successor before
    /// it knew of the member.
    Seek {
        /// Key of the page.
        key: PageKey,
        /// How to reach the member.
        outlet: Outlet,
    },
    /// A session has ended. It may be on the page.
    Gone {
        /// Key of the page.
        key: PageKey,
        /// Number of the session.
        session: SessionId,
        /// How the session ended.
        departure: Departure,
    },
    /// A browser's page whose socket is closed says that it leaves for good.
    TakeLeave {
        /// Key of the page.
        key: PageKey,
        /// Id of the member.
        id: PeerId,
        /// Proof that the id is the member's own.
        token: Token,
    },
    /// A page has no members and nothing that waits.
    Idle {
        /// Key of the page.
        key: PageKey,
        /// Incarnation of the page that says so.
        incarnation: Incarnation,
        /// Number of joins that reached it.
        joins_seen: u64,
        /// Highest epoch that it announced.
        announced: Epoch,
    },
    /// A page has announced a host. Only a node of a cluster is told.
    Announced {
        /// Key of the page.
        key: PageKey,
        /// The host and its epoch.
        claim: Claim,
        /// Whether the session of the host is on this node.
        is_local: bool,
    },
    /// A page's actor has stopped, by order or by a panic.
    Stopped {
        /// Key of the page.
        key: PageKey,
        /// Incarnation that has stopped.
        incarnation: Incarnation,
        /// State that its successor continues with.
        handover: Box<Handover>,
        /// Outlets of its sessions.
        outlets: Vec<Outlet>,
        /// Sessions of an earlier incarnation that had not resumed.
        awaited: HashSet<SessionId>,
    },
    /// The server shuts down.
    Drain {
        /// Number of open connections. More of them are told over a longer time.
        connections: usize,
    },
}

/// A message to a page.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum ToPage {
    /// A session wants to join.
    Join {
        /// Identity, claim and status of the session.
        request: Box<JoinRequest>,
        /// How to reach the session.
        outlet: Outlet,
    },
    /// Something happened to a member.
    Input(Input),
    /// A member's client sent a message.
    FromClient {
        /// The member's session, which counts the message as in flight until it is handled.
        session: SessionId,
        /// The message, as the page handles it.
        input: Input,
    },
    /// The directory has forgotten the page: it stops.
    Retire,
    /// The process shuts down, and the page may live on another node: its members on this one are
    /// told to come back, and it stops.
    DrainHere,
    /// The page must live on another node: it stops.
    Yield {
        /// Whether group members are told first that what was decided last may be contradicted.
        was_alone: bool,
    },
    /// Says to another node which of its sessions are members.
    SayMembers(Arc<dyn Link<ToSession>>),
    /// Say the hash of those, so that the other node asks if it has others.
    CompareMembers(Arc<dyn Link<ToSession>>),
    /// Sessions of another node have missed what the page announced. They say again who they are.
    Missed(Arc<dyn Link<ToSession>>, Vec<SessionId>),
    /// The page's actor panics, for tests.
    #[cfg(feature = "faults")]
    Fail,
}

/// A notice to a session.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum ToSession {
    /// The session is a member of its page.
    Joined {
        /// Address of the page.
        page: PageAddress,
        /// Host and outlets that the page publishes.
        routing: Arc<RoutingTable>,
        /// The host that the client is told of in `OPEN`. A session that resumes is told nothing.
        claim: Option<Claim>,
        /// `OPEN`, for a client on another node. A client here was sent it before.
        open: Option<Box<Frame>>,
    },
    /// The session's client hosts from now on, as it was told.
    Hosts(Claim),
    /// Pings the client. The next frame from it is reported to the page.
    Ping,
    /// Closes the session for this reason.
    Close(Close),
    /// The page's actor died. The session resumes at its successor, if there is one.
    PageLost(Option<PageAddress>),
}

/// The answer of a page whose actor is dying, or whose sessions have not all resumed. The question
/// may be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dying;

/// An answer for the whole server, which may be several nodes.
#[derive(Debug, Clone)]
pub struct Gathered<T> {
    /// The answer, as far as it is known.
    pub answer: T,
    /// Nodes that have not answered in time.
    pub missing: Vec<NodeId>,
}

impl<T> Gathered<T> {
    /// Returns an answer in which nothing is missing.
    #[must_use]
    pub const fn whole(answer: T) -> Self {
        Self { answer, missing: Vec::new() }
    }
}

/// Asks a page for the ids of its members.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<PeerId>, Dying>")]
pub struct Ids;

/// Asks the directory for the ids of a page's members.
#[derive(Debug, Message)]
#[rtype(result = "Result<Gathered<Vec<PeerId>>, Dying>")]
pub struct IdsOf(pub PageKey);

/// Has a page send away the member with an id. Returns whether there is one.
#[derive(Debug, Message)]
#[rtype(result = "Result<bool, Dying>")]
pub struct Kick(pub PeerId);

/// Has the directory send away the member of a page with an id. Returns whether there is one.
#[derive(Debug, Message)]
#[rtype(result = "Result<Gathered<bool>, Dying>")]
pub struct KickFrom {
    /// Key of the page.
    pub key: PageKey,
    /// Id of the member.
    pub id: PeerId,
}

/// One page as the operator sees it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Summary {
    /// Name of the page.
    pub page: String,
    /// The host, or the member that is expected back as host.
    pub host: Option<PeerId>,
    /// Epoch of the host.
    pub epoch: Option<Epoch>,
    /// Number of members on the page.
    pub members: usize,
}

/// Asks a page for its summary. A page without members has none.
#[derive(Debug, Message)]
#[rtype(result = "Result<Option<Summary>, Dying>")]
pub struct Summarise;

/// Asks the directory for the summaries of all pages.
#[derive(Debug, Message)]
#[rtype(result = "Result<Gathered<Vec<Summary>>, Dying>")]
pub struct SummariseAll;

/// Has the directory send a page what no client can cause. Returns whether there is such a page.
#[cfg(feature = "faults")]
#[derive(Debug, Message)]
#[rtype(result = "bool")]
pub struct Fault {
    /// Key of the page.
    pub key: PageKey,
    /// The message for the page.
    pub message: ToPage,
}
