//! Inputs and outputs of a node.
//!
//! `J` is a request to join, as the shell holds it: who the session is, and how it is reached.
//! Nothing here looks into it.

use super::fingerprint::Fingerprint;
use super::registry::{Call, Reply};
use super::{Fence, Floor, NodeId, Slot};
use crate::directory::Incarnation;
use crate::page::member::Departure;
use crate::protocol::claim::Claim;
use crate::protocol::close::Close;
use crate::protocol::id::{Epoch, PageKey, SessionId};
use crate::time::Time;

/// Surroundings of a step.
#[derive(Debug, Clone, Copy)]
pub struct Env {
    /// Time of the step, by the monotonic clock of the process.
    pub now: Time,
    /// A fresh, uniform random number. A buried node takes it as its next number.
    pub random: u64,
    /// The highest epoch that this process has named or believed: that of the epoch clock.
    pub epoch: Epoch,
}

/// Number of a call to the registry. A node uses no number twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// A session that wants to be on a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joining<J> {
    /// The session.
    pub session: SessionId,
    /// The highest fence that the session was bound to on this page; 0 for a newcomer. The page
    /// that answers must have a higher one, or this one.
    pub bound: Fence,
    /// Whether the session was a member before its page was lost. Such a session resumes.
    pub resumes: bool,
    /// The shell's request of the session.
    pub request: J,
}

/// Where a page lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whereabouts {
    /// On this node.
    Here {
        /// The life of its actor.
        incarnation: Incarnation,
        /// The life of the page.
        fence: Fence,
    },
    /// On another node. Here it is a branch.
    There {
        /// The other node.
        node: NodeId,
        /// The life of the page, as far as this node knows.
        fence: Fence,
    },
}

/// Something happened to the connection to the registry, or to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeeperInput {
    /// A fresh connection stands. Nothing was asked on it yet.
    Connected,
    /// A dial failed, or had not succeeded after a second. The keeper dials again by itself.
    DialFailed,
    /// The connection is gone, with all calls that are not answered. Whether they were carried out
    /// is unknown. The keeper dials again by itself.
    Disconnected,
    /// A call was answered.
    Replied(CallId, Reply),
    /// A call was refused, or its answer makes no sense (`OOM`, `BUSY`). It may have been carried
    /// out.
    Refused(CallId),
}

/// An event that a node handles.
#[derive(Debug, Clone)]
pub enum Input<J> {
    /// A [`Deadline`] has come.
    Timer,
    /// Something from the registry.
    Keeper(KeeperInput),
    /// A session of this node asks for its page: a newcomer, or a member that resumes. A session
    /// that asks again replaces its earlier question.
    Join {
        /// The page.
        page: PageKey,
        /// The session.
        joining: Joining<J>,
    },
    /// A session of this node has been let in on a page of another node.
    Joined {
        /// The page.
        page: PageKey,
        /// The session.
        session: SessionId,
    },
    /// A member on this node asks where its page is.
    Seek {
        /// The page.
        page: PageKey,
        /// The session of the member.
        session: SessionId,
    },
    /// A session of this node has ended.
    Departed {
        /// Its page.
        page: PageKey,
        /// The session.
        session: SessionId,
        /// How the session ended.
        departure: Departure,
    },
    /// Another node passes on a session of its own, for a page that should be here.
    JoinFrom {
        /// The node of the session.
        node: NodeId,
        /// The page.
        page: PageKey,
        /// The session.
        joining: Joining<J>,
    },
    /// A session of another node has ended.
    DepartedFrom {
        /// The node of the session.
        node: NodeId,
        /// Its page.
        page: PageKey,
        /// The session.
        session: SessionId,
        /// How the session ended.
        departure: Departure,
    },
    /// Another node does not have the page on which this node's session wanted to be.
    Returned {
        /// The node that does not have the page.
        node: NodeId,
        /// The page.
        page: PageKey,
        /// The session.
        joining: Joining<J>,
    },
    /// Another node's page is no more there.
    PageLeft {
        /// The node that had the page.
        node: NodeId,
        /// The page.
        page: PageKey,
        /// The life that ended, and the highest epoch that it announced.
        left: Floor,
    },
    /// A page here, or the page behind a branch, announced a host to a session of this node. Or the
    /// host has moved onto this node, or from it.
    Announced {
        /// The page.
        page: PageKey,
        /// The host and its epoch.
        claim: Claim,
        /// Whether the host's session is on this node.
        is_local: bool,
    },
    /// The page behind a branch speaks with a higher fence than before.
    Fenced {
        /// The node of the page.
        node: NodeId,
        /// The page.
        page: PageKey,
        /// The higher fence.
        fence: Fence,
    },
    /// A page here has no members and nothing that waits.
    Idle {
        /// The page.
        page: PageKey,
        /// The life that says so.
        incarnation: Incarnation,
        /// Number of newcomers that reached it.
        joins_seen: u64,
        /// The highest epoch that it announced.
        announced: Epoch,
    },
    /// The actor of a page here has stopped, by order or by a panic.
    Stopped {
        /// The page.
        page: PageKey,
        /// The life that ended.
        incarnation: Incarnation,
        /// The highest epoch that it announced.
        announced: Epoch,
    },
    /// The link to a node is up, or broken.
    Link {
        /// The other node.
        node: NodeId,
        /// Whether it is up.
        is_up: bool,
    },
    /// A bag came from a node to which there is no link.
    Stranger(NodeId),
    /// The process shuts down.
    Drain,
}

/// Until when pages here may decide: elect, admit, or say anything that a page that lives elsewhere
/// could contradict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deciding {
    /// Until this time, by the monotonic clock. Compared at each step of a page: the process may
    /// have been frozen in between.
    Until(Time),
    /// Without limit: the registry cannot be reached, and the pages have said [`Output::Alone`].
    Alone,
    /// Not now. What a page is asked waits.
    No,
}

/// A change of a node's standing, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The node is registered, and has asserted its pages.
    Settled,
    /// The registry begins another generation: the node asserts its pages.
    Asserting,
    /// The lease was not renewed in time. Pages wait.
    Unsure,
    /// The registry cannot be reached. The pages that are here go on.
    Unreachable,
    /// The node was buried, and goes on as another one.
    Buried {
        /// The number of the node until now.
        was: NodeId,
    },
    /// Half of the cluster went within ten seconds: the node may be on the lesser side.
    Abandoned,
    /// The cluster is as large again as before, or time has passed.
    Rejoined,
    /// Another node has gone without a word.
    Lost(NodeId),
    /// The node is not let in, because its clock is too far ahead of all others.
    Ahead {
        /// How far its clock of epochs is above the highest epoch of the others, in ms.
        ahead_ms: u64,
    },
    /// Another node speaks another version of the words between nodes. There is no link to it.
    OtherVersion {
        /// The other node.
        node: NodeId,
        /// The version that it speaks.
        version: u32,
    },
    /// Another node has other settings than this one. There may be more with the same.
    OtherSettings {
        /// The other node.
        node: NodeId,
        /// The settings of the other node.
        settings: Fingerprint,
    },
    /// The node gives its pages up.
    Draining,
}

/// An action that a node wants done. The order of outputs matters.
#[derive(Debug, Clone)]
pub enum Output<J> {
    /// Ask the registry. The answer comes with the same number.
    Call(CallId, Call),
    /// Drop the connection to the registry, and dial anew at once.
    Reconnect,
    /// From now on the process is this node: subscribe to its inbox, and begin all links anew.
    Identity(NodeId),
    /// From now on the node names only epochs of this slot, or none.
    Slot(Option<Slot>),
    /// Somebody in the cluster has named or believed this epoch.
    Epoch(Epoch),
    /// Until when pages here may decide.
    Deciding(Deciding),
    /// Start the actor of a page.
    Create {
        /// The page.
        page: PageKey,
        /// The life of the actor.
        incarnation: Incarnation,
        /// The life of the page.
        fence: Fence,
        /// Epochs of the page begin above this one.
        announced: Epoch,
        /// The host that is thought to live.
        claim: Option<Claim>,
    },
    /// Restart the actor of a page after a panic, with what it handed over.
    Recreate {
        /// The page.
        page: PageKey,
        /// The new life of the actor.
        incarnation: Incarnation,
        /// The life of the page.
        fence: Fence,
    },
    /// Stop the actor of a page that is empty.
    Retire {
        /// The page.
        page: PageKey,
        /// The life of the actor.
        incarnation: Incarnation,
    },
    /// The actor of a page has died too often. Its sessions are sent away.
    Abandon {
        /// The page.
        page: PageKey,
    },
    /// Stop the actor of a page because the process shuts down. Its sessions on this node are told
    /// to come back.
    DrainPage {
        /// The page.
        page: PageKey,
        /// The life of the actor.
        incarnation: Incarnation,
    },
    /// Stop the actor of a page that must live elsewhere. It tells members on this node first that
    /// they were [`Output::Alone`], if `was_alone`. Their sessions wait for [`Output::Locate`].
    Yield {
        /// The page.
        page: PageKey,
        /// The life of the actor.
        incarnation: Incarnation,
        /// Whether what it decided last may be contradicted.
        was_alone: bool,
    },
    /// From now on a page here has this fence.
    Fence {
        /// The page.
        page: PageKey,
        /// The new life of the page.
        fence: Fence,
    },
    /// Tell a page here whether it may be on the lesser side of a cut.
    Alone {
        /// The page.
        page: PageKey,
        /// Whether it may be.
        alone: bool,
    },
    /// Nobody knows where a page lives. Its branch ends. Sessions here wait for
    /// [`Output::Locate`].
    Adrift {
        /// The page.
        page: PageKey,
    },
    /// A page lives here now, or on another node: then it has a branch here. These sessions of this
    /// node were on it, or were on the way to it. They resume there (`PageLost`).
    Locate {
        /// The page.
        page: PageKey,
        /// Where it lives.
        at: Whereabouts,
        /// The sessions that resume.
        sessions: Vec<SessionId>,
    },
    /// No session here is on the page of another node. Its branch ends.
    Forget {
        /// The page.
        page: PageKey,
    },
    /// Tell a member where its page lives.
    Tell {
        /// The session of the member.
        session: SessionId,
        /// The page.
        page: PageKey,
        /// Where it lives.
        at: Whereabouts,
    },
    /// Pass a session on to a page here.
    Admit {
        /// The page.
        page: PageKey,
        /// The session.
        joining: Joining<J>,
        /// The node of the session, if it is another one.
        from: Option<NodeId>,
    },
    /// Tell a page here that a session has ended.
    Depart {
        /// The page.
        page: PageKey,
        /// The session.
        session: SessionId,
        /// How it ended.
        departure: Departure,
    },
    /// Pass a session of this node on to a page of another node.
    PassJoin {
        /// The node of the page.
        to: NodeId,
        /// The page.
        page: PageKey,
        /// The session.
        joining: Joining<J>,
    },
    /// Tell the page of another node that a session of this node has ended.
    PassDeparture {
        /// The node of the page.
        to: NodeId,
        /// The page.
        page: PageKey,
        /// The session.
        session: SessionId,
        /// How it ended.
        departure: Departure,
    },
    /// Give a session back to its node: the page is not here.
    ReturnJoin {
        /// The node of the session.
        to: NodeId,
        /// The page.
        page: PageKey,
        /// The session.
        joining: Joining<J>,
    },
    /// Tell another node that a page is no more here.
    TellLeft {
        /// The other node.
        to: NodeId,
        /// The page.
        page: PageKey,
        /// The life that ended, and the highest epoch that it announced.
        left: Floor,
    },
    /// Close a session of this node.
    Close {
        /// The session.
        session: SessionId,
        /// Why it is closed.
        close: Close,
    },
    /// Open a link to a node.
    OpenLink(NodeId),
    /// End the link to a node. It has gone, and its number comes never again.
    CloseLink(NodeId),
    /// The standing of the node has changed: log it.
    Changed(Change),
    /// The node has given up its pages and left the cluster. The process may exit.
    Drained,
}

/// The next moment at which a node wants [`Input::Timer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline {
    /// When the node wants the input.
    pub at: Time,
    /// What is due then.
    pub reason: DeadlineReason,
}

/// What is due at a [`Deadline`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeadlineReason {
    /// The lease is to be renewed, or ends, or a renewal was not answered in time.
    Lease,
    /// The node looks at the membership.
    Look,
    /// A generation is five seconds old.
    Generation,
    /// Some pages are asserted again.
    Assertion,
    /// A page that was lost is claimed.
    Claim,
    /// A session has waited for its page for as long as it may.
    Join,
    /// A page has had no member here for a while.
    Move,
    /// Records of nodes that are gone are looked for.
    Sweep,
    /// The node has been on its own for long enough.
    Abandoned,
    /// The drain has waited for the registry for long enough.
    Drain,
}
