//! The registry: what the nodes of a cluster share.
//!
//! The registry has one *record* for each page, and one *membership* of the whole cluster. They
//! change only by a [`Call`], each of which is atomic. Nothing in the registry expires.

mod model;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use model::RegistryState;

use super::fingerprint::Fingerprint;
use super::{Fence, Generation, NodeId, Slot};
use crate::protocol::id::{Epoch, PageKey, PeerId};

/// Where a page lives, and what was last announced on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The node on which the page lives.
    pub node: NodeId,
    /// The life of the page.
    pub fence: Fence,
    /// The highest epoch that is known to have been announced.
    pub epoch: Epoch,
    /// The host of that epoch.
    pub host: Option<PeerId>,
    /// Whether the node has given the page up, because it drains.
    pub has_left: bool,
}

impl Record {
    /// Returns whether the record is of this node and life.
    #[must_use]
    pub fn is_of(&self, node: NodeId, fence: Fence) -> bool {
        self.node == node && self.fence == fence
    }
}

/// The standing that a node claims when it registers and renews.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The node still says again which pages it has. Meanwhile no page is given out: the registry
    /// may have forgotten that this node took it.
    Asserting,
    /// All pages of the node have records.
    Settled,
    /// The node drains: it takes no page.
    Leaving,
}

/// One registered node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The node.
    pub node: NodeId,
    /// Number of its renewals. A counter that stands still shows that the node is dead.
    pub counter: u64,
    /// The node's share of the epochs. A node without a slot takes no page.
    pub slot: Option<Slot>,
    /// Version of the words between nodes that it speaks.
    pub version: u32,
    /// The highest epoch that it has named or believed.
    pub epoch: Epoch,
    /// The standing of the node.
    pub standing: Standing,
    /// The settings of the node that must agree.
    pub settings: Fingerprint,
    /// The URL at which other nodes reach it without the registry.
    pub address: Option<Arc<str>>,
}

/// The membership of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The life of the registry's memory.
    pub generation: Generation,
    /// Number of renewals of all nodes so far.
    pub renewals: u64,
    /// Every registered node, by number.
    pub nodes: Vec<Registered>,
}

impl View {
    /// Returns a registered node.
    #[must_use]
    pub fn get(&self, node: NodeId) -> Option<&Registered> {
        self.nodes.iter().find(|one| one.node == node)
    }

    /// Returns the highest epoch that any registered node has named or believed.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.nodes.iter().map(|one| one.epoch).max().unwrap_or_default()
    }

    /// Returns whether any registered node still asserts.
    #[must_use]
    pub fn is_asserting(&self) -> bool {
        self.nodes.iter().any(|one| one.standing == Standing::Asserting)
    }
}

/// A page with its record, as a node asserts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asserted {
    /// The page.
    pub page: PageKey,
    /// The life of the page on the asserting node.
    pub fence: Fence,
    /// The highest epoch announced.
    pub epoch: Epoch,
    /// The host of that epoch.
    pub host: Option<PeerId>,
}

/// Most pages in one [`Call::Assert`].
pub const MOST_ASSERTED: usize = 200;
/// How far above the clocks of all others a newcomer's clock of epochs may be, in ms. One that is
/// further above would drive the others ahead.
pub const MOST_AHEAD_MS: u64 = 300_000;
/// Number of renewals of the whole cluster for which the slot of a buried node is not given out:
/// over an hour with one node, half a minute with 128.
pub const SLOT_REST: u64 = 4000;

/// One atomic change of the registry, or a look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Registers a node. Registering again changes what the node says of itself and keeps counter
    /// and slot. A newcomer is refused if its epoch is more than [`MOST_AHEAD_MS`] above those of
    /// all others.
    Register {
        /// The node.
        node: NodeId,
        /// Version of the words between nodes that it speaks.
        version: u32,
        /// The highest epoch that it has named or believed.
        epoch: Epoch,
        /// The standing of the node.
        standing: Standing,
        /// The settings of the node that must agree.
        settings: Fingerprint,
        /// The URL at which other nodes reach it without the registry.
        address: Option<Arc<str>>,
        /// The nodes and slots that it last saw, itself included. The registry may have forgotten
        /// them: a slot of theirs that nobody holds rests as if its holder had just been buried.
        carried: Vec<(NodeId, Slot)>,
        /// Whether to give the node a slot if it has none. (Not in the first seconds of a
        /// generation: the holders of slots register first.) A node that carries a slot of its own
        /// keeps it if nobody else holds it.
        wants_slot: bool,
    },
    /// Adds one to the counter of a node, if it is still registered, and publishes a tick with the
    /// new counter in its inbox.
    Renew {
        /// The node.
        node: NodeId,
        /// The highest epoch that it has named or believed.
        epoch: Epoch,
        /// The standing of the node.
        standing: Standing,
    },
    /// Looks at the membership. The answer says who listens to its inbox, too.
    Look,
    /// Takes a node off the membership if its counter has not moved.
    Bury {
        /// The node that is thought dead.
        node: NodeId,
        /// The counter that stood still.
        counter: u64,
    },
    /// Takes oneself off the membership.
    Depart {
        /// The node that leaves.
        node: NodeId,
    },
    /// Takes a page for a node, if it has no record, or the node of its record is not registered
    /// or has given the page up, and no registered node asserts. The record keeps epoch and host.
    /// A node may always take its own page for a later life. Claiming again with the same fence
    /// changes nothing.
    Claim {
        /// The page.
        page: PageKey,
        /// The node that wants it. It must be registered.
        node: NodeId,
        /// The life that the page gets. It must be above that of the record.
        fence: Fence,
    },
    /// Says which pages a node has, and who hosts them: up to [`MOST_ASSERTED`]. The record of
    /// another node stands while that node is registered and has the page. A record with this fence
    /// of another node, or with a higher fence of any, stands always. A record keeps its epoch and
    /// host if the epoch is higher.
    Assert {
        /// The node that has them. It must be registered.
        node: NodeId,
        /// The pages.
        pages: Arc<[Asserted]>,
    },
    /// Removes the record of a page, if it is still of this node and life. Other nodes may remove
    /// the record of a node that is not registered.
    Release {
        /// The node that asks.
        by: NodeId,
        /// The page.
        page: PageKey,
        /// The node of the record.
        node: NodeId,
        /// The life of the record.
        fence: Fence,
    },
    /// Marks pages as given up by their node, if the records are still of this node and life.
    GiveUp {
        /// The node that gives the pages up.
        node: NodeId,
        /// The pages and their lives.
        pages: Arc<[(PageKey, Fence)]>,
    },
    /// Looks at the record of a page.
    Find {
        /// The page.
        page: PageKey,
    },
    /// Looks at some of the records, for those of nodes that are gone. `0` begins; the answer says
    /// how to go on.
    Scan {
        /// Where to go on.
        cursor: u64,
    },
}

/// The registry's answer to a [`Call`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// To [`Call::Register`]: the membership, in which the node is.
    Registered(View),
    /// To [`Call::Register`]: the node is too far ahead of the highest epoch of the others, this
    /// one. It is not registered.
    Ahead(Generation, Epoch),
    /// To [`Call::Renew`].
    Renewed {
        /// The life of the registry's memory.
        generation: Generation,
        /// The new counter of the node.
        counter: u64,
        /// The highest epoch that any registered node has named or believed.
        epoch: Epoch,
    },
    /// To [`Call::Look`]: the membership, and the nodes that listen to their inbox.
    View(View, Vec<NodeId>),
    /// To [`Call::Bury`] and [`Call::Depart`]: whether the node was taken off.
    Removed(bool),
    /// To [`Call::Claim`]: the page is the node's. With the record before, if there was one.
    Taken(Option<Record>),
    /// To [`Call::Claim`]: the page lives elsewhere.
    Lives(Record),
    /// To [`Call::Claim`]: the record has this fence or a higher one, and may be taken with a fence
    /// above.
    Behind(Record),
    /// To [`Call::Claim`]: the page could be given out, but some node still asserts. Ask again
    /// later.
    Asserting,
    /// To [`Call::Assert`]: for each page, the record that stands instead, if another one does.
    Asserted(Vec<Option<Record>>),
    /// To [`Call::Release`] and [`Call::GiveUp`]: how many records were changed.
    Changed(usize),
    /// To [`Call::Find`].
    Found(Option<Record>),
    /// To [`Call::Scan`]: records of nodes that are not registered, and where to go on (0: done).
    /// One record may come twice.
    Scanned(Vec<(PageKey, Record)>, u64),
    /// To any call that needs a registered node: it is not registered (any more). With the life of
    /// the registry's memory: another one means that the registry forgot, the same one that the
    /// node was buried.
    NotRegistered(Generation),
}
