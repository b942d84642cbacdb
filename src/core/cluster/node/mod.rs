//! The conductor of a node: takes inputs, asks the parts, connects them.

use std::marker::PhantomData;

use super::NodeId;
use super::io::{Deadline, Env, Input, Output, Whereabouts};
use crate::protocol::id::PageKey;

/// The settings as a node needs them.
#[derive(Debug, Clone, Copy)]
pub struct NodeRules {
    /// Version of the words between nodes that this process speaks.
    pub version: u32,
    /// Most pages with a name on this node (`usize::MAX` for no limit).
    pub max_pages: usize,
}

/// One process in the cluster: its lease, what it knows of the other nodes, and where pages live.
#[derive(Debug)]
pub struct NodeState<J> {
    node: NodeId,
    joins: PhantomData<J>,
}

impl<J> NodeState<J> {
    /// Creates the state of a process that starts as `node`. It registers when the registry is
    /// connected.
    #[must_use]
    pub const fn new(node: NodeId, _rules: NodeRules, _env: Env) -> Self {
        Self { node, joins: PhantomData }
    }

    /// Handles one input. Appends to `out` what is to be done.
    pub fn handle(&mut self, _env: Env, _input: Input<J>, _out: &mut Vec<Output<J>>) {}

    /// Returns when the node wants [`Input::Timer`], and why.
    #[must_use]
    pub const fn next_deadline(&self) -> Option<Deadline> {
        None
    }

    /// Returns the number of this node.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// Returns where a page lives, as far as this node knows.
    #[must_use]
    pub const fn whereabouts(&self, _page: &PageKey) -> Option<Whereabouts> {
        None
    }
}
