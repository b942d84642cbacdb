//! The calls to the registry that were not answered yet, and what each is for.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::io::CallId;
use super::registry::Asserted;
use super::{Fence, NodeId};
use crate::protocol::id::PageKey;

/// The purpose of a call.
#[derive(Debug, Clone)]
pub enum Purpose {
    /// The lease: to renew, or to register.
    Lease,
    /// The watch.
    Look,
    /// To bury a node.
    Bury(NodeId),
    /// To leave the cluster.
    Depart,
    /// To take a page, for a life.
    Claim(PageKey, Fence),
    /// To learn where a page lives.
    Find(PageKey),
    /// To assert pages.
    Assert(Arc<[Asserted]>),
    /// To give the record of a page back.
    Release(PageKey),
    /// To give pages up, in a drain.
    GiveUp(Arc<[(PageKey, Fence)]>),
    /// To look for records of nodes that are gone.
    Scan,
    /// To remove such a record.
    Remove,
}

/// All calls under way.
#[derive(Debug, Default)]
pub struct Calls {
    last: u64,
    under_way: BTreeMap<CallId, Purpose>,
    /// Number of claims, finds and releases among them.
    asks: usize,
}

impl Calls {
    /// Begins a call.
    pub fn begin(&mut self, purpose: Purpose) -> CallId {
        self.last += 1;
        self.asks += usize::from(is_ask(&purpose));
        self.under_way.insert(CallId(self.last), purpose);
        CallId(self.last)
    }

    /// Ends a call. Returns what it was for, if it was under way.
    pub fn end(&mut self, call: CallId) -> Option<Purpose> {
        let purpose = self.under_way.remove(&call)?;
        self.asks -= usize::from(is_ask(&purpose));
        Some(purpose)
    }

    /// Ends all calls: the connection is gone.
    pub fn end_all(&mut self) -> BTreeMap<CallId, Purpose> {
        self.asks = 0;
        std::mem::take(&mut self.under_way)
    }

    /// Returns the number of claims, finds and releases under way.
    #[must_use]
    pub const fn asks(&self) -> usize {
        self.asks
    }
}

const fn is_ask(purpose: &Purpose) -> bool {
    matches!(purpose, Purpose::Claim(..) | Purpose::Find(_) | Purpose::Release(_))
}
