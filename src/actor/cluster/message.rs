//! The messages of bus, branches and pages to the directory of a node.

use actix::Message;

use peerstar_core::cluster::entry::{Answer, Join, Place, Question, ToPage};
use peerstar_core::cluster::io::KeeperInput;
use peerstar_core::cluster::{Fence, NodeId};
use peerstar_core::protocol::claim::Claim;
use peerstar_core::protocol::id::{PageKey, SessionId};

/// A message to the directory of a node.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum ToNode {
    /// Something of the registry.
    Keeper(KeeperInput),
    /// A node to which there is no link has sent something.
    Stranger(NodeId),
    /// The link to a node is up or broken.
    Link {
        /// The other node.
        node: NodeId,
        /// Whether it is up.
        is_up: bool,
    },
    /// A session of another node wants to be on a page.
    Join {
        /// The node of the session.
        from: NodeId,
        /// The page, as that node knows it.
        place: Place,
        /// The session.
        join: Box<Join>,
    },
    /// Anything else that another node says to a page, and that is not from one of its sessions.
    ToPage {
        /// The other node.
        from: NodeId,
        /// The page, as that node knows it.
        place: Place,
        /// The entry.
        word: ToPage,
    },
    /// A page on another node speaks with a higher fence than before.
    Fenced {
        /// The node of the page.
        node: NodeId,
        /// The page.
        page: PageKey,
        /// The higher fence.
        fence: Fence,
    },
    /// A page on another node has let a session of this node in.
    Joined {
        /// The page.
        place: Place,
        /// The session.
        session: SessionId,
    },
    /// Another node did not take a session's join.
    Returned {
        /// The other node.
        from: NodeId,
        /// The page.
        place: Place,
        /// The session.
        session: SessionId,
    },
    /// A page is no more on another node.
    PageLeft {
        /// The other node.
        from: NodeId,
        /// The page.
        page: PageKey,
        /// The life that ended.
        fence: Fence,
    },
    /// A page announced a host to sessions of this node.
    Announced {
        /// The page.
        page: PageKey,
        /// The host and its epoch.
        claim: Claim,
        /// Whether the session of the host is on this node.
        is_local: bool,
    },
    /// Another node asks for its operator.
    Question {
        /// The other node.
        from: NodeId,
        /// Number of the question, for the answer.
        number: u64,
        /// The question.
        question: Question,
    },
    /// Another node answers.
    Answer {
        /// The other node.
        from: NodeId,
        /// Number of the question.
        number: u64,
        /// The answer.
        answer: Answer,
    },
}
