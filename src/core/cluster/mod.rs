//! Several processes as one server, without I/O: who is in the cluster, where each page lives, and
//! what nodes say to each other.
//!
//! A *node* is one life of a server process. Nodes share a *registry* (Redis), which knows the
//! members of the cluster and a small record for each page. Sessions stay where their sockets are.
//! A page lives on one node.
//!
//! - [`registry`]: the calls that a node makes to the registry, their answers, and a model of the
//!   registry. The scripts that Redis runs do the same; one conformance suite holds both to it.
//! - [`entry`]: what nodes say to each other; [`bag`]: the bytes that carry it; [`link`]: the way
//!   between two nodes, on which entries arrive once and in order, or both know that it is broken.
//! - [`branch`]: a page that lives on another node, as its local sessions see it.
//! - [`node`]: one process, a conductor over parts; [`io`] lists its inputs and outputs.
//!
//! | part of a node | owns |
//! |---|---|
//! | [`lease`], [`watch`] | whether this node may decide; which other nodes are dead |
//! | [`generation`], [`assertions`] | what the registry has forgotten, and saying it again |
//! | [`members`] | who is in the cluster, and whether half of it was lost |
//! | [`fingerprint`] | whether the settings of nodes agree |
//! | [`solitude`] | whether a node alone has lost the registry |
//! | [`fences`] | the slot, and the numbers that it gives to the lives of pages |
//! | [`pages`], [`joins`] | where each page lives; sessions that wait for theirs |
//! | [`calls`], [`sweep`] | calls under way; records of nodes that are gone |

pub mod assertions;
pub mod bag;
pub mod branch;
pub mod calls;
pub mod entry;
pub mod fences;
pub mod fingerprint;
pub mod generation;
pub mod io;
pub mod joins;
pub mod lease;
pub mod link;
pub mod members;
pub mod node;
pub mod pages;
#[cfg(test)]
mod random;
pub mod registry;
pub mod solitude;
pub mod sweep;
pub mod watch;
mod wire;

use std::fmt;

use crate::protocol::id::Epoch;

/// One life of a server process in the cluster: a random number, never 0. A process takes a new one
/// when it starts, and when it learns that it was buried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

/// Shows the number as 16 hexadecimal digits, as in logs and in Redis.
impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A node's share of the epochs and fences: those that leave the slot's number when divided by
/// [`Slot::COUNT`]. No two nodes name the same epoch, even if the registry has forgotten them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u8);

impl Slot {
    /// Number of slots.
    pub const COUNT: u64 = 256;

    /// Returns the least number of this slot that is `least` or more.
    #[must_use]
    pub const fn at_least(self, least: u64) -> u64 {
        let (rest, own) = (least % Self::COUNT, self.0 as u64);
        least + (own + Self::COUNT - rest) % Self::COUNT
    }
}

/// One life of a page's actor, in the whole cluster. A later life has a higher number. The number
/// belongs to the slot of the node on which the page lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Fence(pub u64);

/// One life of the registry's memory. Redis that was restarted, emptied, or replaced by a replica
/// begins another generation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Generation(pub std::sync::Arc<str>);

/// The highest epoch and the highest fence that somebody has heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Floor {
    /// No new term has this epoch or a lower one.
    pub epoch: Epoch,
    /// No new life of a page has this fence or a lower one.
    pub fence: Fence,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_has_one_number_in_256() {
        assert_eq!(Slot(0).at_least(0), 0);
        assert_eq!(Slot(7).at_least(0), 7);
        assert_eq!(Slot(7).at_least(7), 7);
        assert_eq!(Slot(7).at_least(8), 263);
        assert_eq!(Slot(255).at_least(256), 511);
        assert_eq!(NodeId(255).to_string(), "00000000000000ff");
    }
}
