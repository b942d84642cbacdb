//! The tables that the threads of a node share: links, branches and visitors.

use std::sync::Arc;

use super::branch::Branches;
use super::inbox::Waiting;
use super::other_node::OtherNodes;
use super::visitor::Visitors;

/// The parts of a node that other threads use as well.
#[derive(Debug, Clone)]
pub struct Tables {
    /// Links to other nodes.
    pub others: Arc<OtherNodes>,
    /// Pages of other nodes.
    pub branches: Arc<Branches>,
    /// Sessions of other nodes.
    pub visitors: Arc<Visitors>,
    /// Number of messages that wait for the directory.
    pub waiting: Waiting,
}
