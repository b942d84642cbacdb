//! A page on another node, as the sessions of this node reach it.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use actix::Recipient;

use super::message::ToNode;
use super::other_node::OtherNode;
use crate::actor::message::{
    Batch, Outbound, Outlet, PageAddress, RoutingTable, ToDirectory, ToPage, ToSession,
};
use crate::actor::outbound::NoRoom;
use crate::actor::page_address::RemotePage;
use peerstar_core::cluster::entry::{self, Delivery, Entry, Place, ToBranch};
use peerstar_core::cluster::link::Pushed;
use peerstar_core::cluster::{Fence, NodeId};
use peerstar_core::page::Input;
use peerstar_core::protocol::id::{PageKey, PeerId, SessionId};
use peerstar_core::protocol::outgoing;

/// A page on another node.
pub struct Branch {
    page: PageKey,
    /// The highest fence that this node knows of the page. What the page said in a lower one is
    /// dropped.
    fence: AtomicU64,
    other: Arc<OtherNode>,
    is_over: AtomicBool,
    routing: Arc<RoutingTable>,
    queue_bytes: usize,
    directory: Recipient<ToDirectory>,
    node: Recipient<ToNode>,
    bound: Mutex<Bound>,
}

#[derive(Default)]
struct Bound {
    sessions: HashMap<SessionId, (PeerId, Outlet)>,
    /// What is sent to them when a bag is handled.
    batch: Batch,
}

impl fmt::Debug for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Branch").field("fence", &self.fence).finish_non_exhaustive()
    }
}

impl Branch {
    /// Returns the branch of a page that lives on `other`. Sessions without room for `queue_bytes`
    /// bytes are congested.
    #[must_use]
    pub fn new(
        Place { page, fence }: Place,
        other: Arc<OtherNode>,
        queue_bytes: usize,
        directory: Recipient<ToDirectory>,
        node: Recipient<ToNode>,
    ) -> Self {
        Self {
            page,
            fence: AtomicU64::new(fence.0),
            other,
            is_over: AtomicBool::new(false),
            routing: Arc::new(RoutingTable::new(0)),
            queue_bytes,
            directory,
            node,
            bound: Mutex::default(),
        }
    }

    /// Returns the life of the page.
    #[must_use]
    pub fn place(&self) -> Place {
        Place { page: self.page.clone(), fence: Fence(self.fence.load(Ordering::Acquire)) }
    }

    /// Returns the node on which the page lives.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.other.node()
    }

    /// Returns the address of the page for a session, another one at each call: a session that is
    /// told an address that it does not know resumes there.
    #[must_use]
    pub fn address(self: &Arc<Self>) -> PageAddress {
        PageAddress::There(Arc::new(Address(Arc::clone(self))))
    }

    /// Binds a session of this node to the page.
    pub fn bind(&self, id: PeerId, outlet: Outlet) {
        self.bound().sessions.insert(outlet.session, (id, outlet));
    }

    /// Forgets a session that has ended.
    pub fn unbind(&self, session: SessionId) {
        self.bound().sessions.remove(&session);
    }

    /// Ends this life of the page, as far as this node knows. Sessions keep what they say from now
    /// on.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    /// Says something to the page.
    pub fn say(&self, word: entry::ToPage) -> Pushed {
        self.other.say(&Entry::ToPage(self.place(), word))
    }

    fn bound(&self) -> MutexGuard<'_, Bound> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether what the page says in the life `fence` counts, and notes that life.
    fn takes(&self, fence: Fence) -> bool {
        !self.is_over.load(Ordering::Acquire)
            && self.fence.fetch_max(fence.0, Ordering::AcqRel) <= fence.0
    }

    /// Handles what the page says. What sessions are sent is put into a batch until
    /// [`flush`](Self::flush).
    #[expect(clippy::disallowed_methods, reason = "the directory does little, and never waits")]
    pub fn handle(self: &Arc<Self>, fence: Fence, word: ToBranch) {
        if !self.takes(fence) {
            return;
        }
        let mut guard = self.bound();
        let Bound { sessions, batch } = &mut *guard;
        let outlet = |session| sessions.get(&session).map(|(_, outlet)| outlet);
        match word {
            ToBranch::Frame { to, frame, delivery, from } => {
                let is_urgent = delivery == Delivery::Urgent;
                let no_room = no_room(delivery, from);
                let mut verdicts = Vec::new();
                for session in to {
                    let Some(outlet) = outlet(session) else { continue };
                    if !outlet.counters.has_room(no_room.room(self.queue_bytes)) {
                        verdicts.extend(no_room.clone().verdict(session));
                    } else if is_urgent {
                        batch.send_urgent(outlet, frame.clone());
                    } else {
                        batch.put(outlet, Outbound::Frame(frame.clone()));
                    }
                }
                drop(guard);
                verdicts.into_iter().for_each(|verdict| self.report(verdict));
            }
            ToBranch::Welcome { to, open, claim, seat: _ } => {
                if let Some(outlet) = outlet(to) {
                    if let Some(open) = open {
                        batch.put(outlet, Outbound::Frame(open));
                    }
                    let (page, routing) = (self.address(), Arc::clone(&self.routing));
                    let notice = ToSession::Joined { page, routing, claim };
                    batch.put(outlet, Outbound::Notice(notice));
                }
                self.node.do_send(ToNode::Joined { place: self.place(), session: to });
            }
            ToBranch::Hosts { to, claim } => {
                if let Some(outlet) = outlet(to) {
                    batch.put(outlet, Outbound::Notice(ToSession::Hosts(claim)));
                }
            }
            ToBranch::Announced(claim) => {
                let routing = Arc::clone(&self.routing);
                if let Some(claim) = claim.clone() {
                    let page = self.page.clone();
                    let is_local = sessions.values().any(|(id, _)| *id == claim.host);
                    self.node.do_send(ToNode::Announced { page, claim, is_local });
                }
                // what announces the host is in the batch
                batch.send();
                batch.then(move || match claim {
                    Some(claim) => routing.set_host(claim),
                    None => routing.clear_host(),
                });
            }
            ToBranch::Ping(to) => {
                if let Some(outlet) = outlet(to) {
                    batch.put(outlet, Outbound::Notice(ToSession::Ping));
                }
            }
            ToBranch::Dismiss { session, close } => {
                if let Some(outlet) = outlet(session) {
                    batch.put(outlet, Outbound::Notice(ToSession::Close(close)));
                }
            }
            ToBranch::JoinReturned(session) => {
                let (from, place) = (self.node(), self.place());
                self.node.do_send(ToNode::Returned { from, place, session });
            }
            ToBranch::PageLost(_) => {
                let (from, page) = (self.node(), self.page.clone());
                self.node.do_send(ToNode::PageLeft { from, page, fence });
            }
            ToBranch::Probe { .. } | ToBranch::Here { .. } | ToBranch::HereHash(_) => {}
        }
    }

    /// Sends what sessions are sent.
    pub fn flush(&self) {
        self.bound().batch.send();
    }

    /// Tells the page what this node has judged.
    fn report(&self, verdict: Input) {
        let word = match verdict {
            Input::Undelivered { session, dst } => entry::ToPage::Undelivered { session, dst },
            input => match word_of(input) {
                Some(word) => word,
                None => return,
            },
        };
        self.say(word);
    }

    /// Says what a client said. A message that the link has no room for expires.
    fn pass_on(&self, session: SessionId, input: Input) {
        let expires = match &input {
            Input::Forward { kind, dst, .. } if kind.waits() => Some(dst.clone()),
            _ => None,
        };
        let Some(word) = word_of(input) else { return };
        if self.say(word) != Pushed::Queued
            && let Some(dst) = expires
        {
            self.expire(session, &dst);
        }
    }

    /// Tells a session that its message has expired.
    pub fn expire(&self, session: SessionId, dst: &PeerId) {
        if let Some((id, outlet)) = self.bound().sessions.get(&session) {
            outlet.send(Outbound::Frame(outgoing::expire(dst.as_str(), id)));
        }
    }
}

fn no_room(delivery: Delivery, from: Option<(SessionId, PeerId)>) -> NoRoom {
    match (delivery, from) {
        (Delivery::Page | Delivery::Urgent, _) => NoRoom::Close,
        (Delivery::News, _) => NoRoom::CloseLater,
        (Delivery::HostData, _) => NoRoom::DropAndClose,
        (Delivery::Signal, Some((sender, receiver))) => NoRoom::Expire { sender, receiver },
        (Delivery::Signal | Delivery::PeerData, _) => NoRoom::Drop,
    }
}

/// Returns what a client said, or what was judged of it, as it is said to a page on another node.
fn word_of(input: Input) -> Option<entry::ToPage> {
    use entry::ToPage as Word;
    Some(match input {
        Input::Forward { session, kind, dst, frame } => Word::Forward { session, kind, dst, frame },
        Input::Relay { session, dst, frame } => Word::Relay { session, dst, frame },
        Input::Status { session, update } => Word::Status { session, update },
        Input::Suspect { session, suspicion } => Word::Suspect { session, suspicion },
        Input::Trust { session, suspicion } => Word::Trust { session, suspicion },
        Input::Resign { session, epoch, to } => Word::Resign { session, epoch, to },
        Input::HostHeartbeat { session, epoch } => Word::Heartbeat { session, epoch },
        Input::Alive(session) => Word::Alive(session),
        Input::Congested(session) => Word::Congested(session),
        _ => return None,
    })
}

/// A page on another node, as one session was told of it.
#[derive(Debug)]
struct Address(Arc<Branch>);

impl RemotePage<ToPage> for Address {
    fn is_bound(&self) -> bool {
        !self.0.is_over.load(Ordering::Acquire)
    }

    #[expect(clippy::disallowed_methods, reason = "the directory does little, and never waits")]
    fn send(&self, message: ToPage) {
        match message {
            ToPage::Join { request, outlet } => {
                let key = self.0.page.clone();
                self.0.directory.do_send(ToDirectory::Join { key, request, outlet });
            }
            ToPage::FromClient { session, input } => self.0.pass_on(session, input),
            _ => {}
        }
    }
}

/// The branches of this node, by page.
#[derive(Debug, Default)]
pub struct Branches(RwLock<HashMap<PageKey, Arc<Branch>>>);

impl Branches {
    /// Returns the branch of a page.
    pub fn get(&self, page: &PageKey) -> Option<Arc<Branch>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(page).cloned()
    }

    /// Adds a branch.
    pub fn add(&self, branch: Arc<Branch>) {
        let page = branch.page.clone();
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(page, branch);
    }

    /// Ends a branch, and returns it.
    pub fn remove(&self, page: &PageKey) -> Option<Arc<Branch>> {
        let branch = self.0.write().unwrap_or_else(PoisonError::into_inner).remove(page)?;
        branch.end();
        Some(branch)
    }

    /// Returns the branches of pages on a node.
    pub fn of_node(&self, node: NodeId) -> Vec<Arc<Branch>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.values().filter(|branch| branch.node() == node).cloned().collect()
    }
}

/// Pages that were said something while a bag was handled.
pub type Touched = HashSet<PageKey>;
