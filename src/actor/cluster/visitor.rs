//! Sessions of other nodes on pages of this node.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use actix::Recipient;

use crate::actor::message::{RoutingTable, ToPage};
use crate::transport::counters::SessionCounters;
use peerstar_core::cluster::entry::{self, Place};
use peerstar_core::cluster::{Fence, NodeId};
use peerstar_core::page::Input;
use peerstar_core::protocol::id::SessionId;

/// The fence of a page, which may grow while the page lives.
#[derive(Debug, Clone, Default)]
pub struct PageFence(Arc<AtomicU64>);

impl PageFence {
    /// Returns a fence.
    #[must_use]
    pub fn new(fence: Fence) -> Self {
        Self(Arc::new(AtomicU64::new(fence.0)))
    }

    /// Returns the fence as it is now.
    #[must_use]
    pub fn get(&self) -> Fence {
        Fence(self.0.load(Ordering::Acquire))
    }

    /// Raises the fence.
    pub fn set(&self, fence: Fence) {
        self.0.store(fence.0, Ordering::Release);
    }
}

/// A session of another node, as far as it is known on the page's node.
#[derive(Debug)]
pub struct Visitor {
    /// The node of the session.
    pub node: NodeId,
    /// The page's fence.
    pub fence: PageFence,
    /// The page.
    pub page: Recipient<ToPage>,
    /// Messages that the page has not handled are counted here.
    pub counters: Arc<SessionCounters>,
    /// The routing table of the page, once the session is a member.
    pub routing: Option<Arc<RoutingTable>>,
}

/// All sessions of other nodes on pages of this node.
#[derive(Debug, Default)]
pub struct Visitors(RwLock<HashMap<SessionId, Visitor>>);

impl Visitors {
    /// Adds a session, which has asked to join.
    pub fn add(&self, session: SessionId, visitor: Visitor) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(session, visitor);
    }

    /// Notes that a session is a member.
    pub fn admit(&self, session: SessionId, routing: Arc<RoutingTable>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(visitor) = all.get_mut(&session) {
            visitor.routing = Some(routing);
        }
    }

    /// Removes a session that has ended.
    pub fn remove(&self, session: SessionId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&session);
    }

    /// Removes all sessions: this process goes on as another node, and its pages have stopped.
    pub fn clear(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Removes the sessions of a node, and returns them.
    pub fn remove_all_of(&self, node: NodeId) -> Vec<(SessionId, Visitor)> {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.extract_if(|_, visitor| visitor.node == node).collect()
    }

    /// Hands what a session's client said to its page, or past it. Returns the input if the session
    /// is not known here, on that page.
    pub fn hear(
        &self,
        from: NodeId,
        place: &Place,
        session: SessionId,
        input: Input,
    ) -> Option<Input> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let visitor = all.get(&session);
        match visitor.filter(|v| v.node == from && v.fence.get() >= place.fence) {
            Some(visitor) => visitor.hear(session, input),
            None => return Some(input),
        }
        None
    }
}

impl Visitor {
    /// A message that makes no contact goes past the page, unless others of its sender are still on
    /// their way to the page.
    #[expect(clippy::disallowed_methods, reason = "the link limits what is on its way to a page")]
    #[expect(clippy::wildcard_enum_match_arm, reason = "only one kind of message may pass")]
    fn hear(&self, session: SessionId, input: Input) {
        let input = match input {
            Input::Forward { session, kind, dst, frame }
                if !kind.makes_contact() && self.counters.in_flight() == 0 =>
            {
                let passed = match &self.routing {
                    Some(routing) => routing.pass_from_afar(&dst, frame),
                    None => Err(frame),
                };
                let Err(frame) = passed else { return };
                Input::Forward { session, kind, dst, frame }
            }
            input => input,
        };
        self.counters.add_in_flight();
        self.page.do_send(ToPage::FromClient { session, input });
    }
}

/// Returns the session and the input of what a client said, if `word` is that.
///
/// # Errors
/// Returns `word` if it is for the directory of the page's node.
pub fn input_of(word: entry::ToPage) -> Result<(SessionId, Input), entry::ToPage> {
    Ok(match word {
        entry::ToPage::Forward { session, kind, dst, frame } => {
            (session, Input::Forward { session, kind, dst, frame })
        }
        entry::ToPage::Relay { session, dst, frame } => {
            (session, Input::Relay { session, dst, frame })
        }
        entry::ToPage::Status { session, update } => (session, Input::Status { session, update }),
        entry::ToPage::Suspect { session, suspicion } => {
            (session, Input::Suspect { session, suspicion })
        }
        entry::ToPage::Trust { session, suspicion } => {
            (session, Input::Trust { session, suspicion })
        }
        entry::ToPage::Resign { session, epoch, to } => {
            (session, Input::Resign { session, epoch, to })
        }
        entry::ToPage::Heartbeat { session, epoch } => {
            (session, Input::HostHeartbeat { session, epoch })
        }
        entry::ToPage::Congested(session) => (session, Input::Congested(session)),
        entry::ToPage::Alive(session) => (session, Input::Alive(session)),
        entry::ToPage::Silent(session) => (session, Input::Silent(session)),
        entry::ToPage::Ran { session, ran } => (session, Input::Ran { session, ran }),
        other @ (entry::ToPage::Join(_)
        | entry::ToPage::SocketClosed { .. }
        | entry::ToPage::Undelivered { .. }
        | entry::ToPage::LeaveWithoutSocket { .. }
        | entry::ToPage::Who
        | entry::ToPage::Missed(_)) => return Err(other),
    })
}
