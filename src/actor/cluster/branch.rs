//! A page on another node, as the sessions of this node reach it: does what [`BranchState`]
//! decides.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use actix::Recipient;

use super::inbox::Inbox;
use super::message::ToNode;
use super::other_node::OtherNodes;
use crate::actor::message::{
    Batch, Outbound, Outlet, PageAddress, RoutingTable, ToDirectory, ToPage, ToSession,
};
use crate::actor::outbound::NoRoom;
use crate::actor::page_address::RemotePage;
use crate::shared::Shared;
use peerstar_core::cluster::branch::{Branch as BranchState, BranchEnv, BranchInput, BranchOutput};
use peerstar_core::cluster::entry::{self, Delivery, Entry, Place};
use peerstar_core::cluster::link::Pushed;
use peerstar_core::cluster::{Fence, NodeId};
use peerstar_core::page::{Handover, Input};
use peerstar_core::protocol::close::Close;
use peerstar_core::protocol::id::{PageKey, PeerId, SessionId};
use peerstar_core::protocol::outgoing;
use peerstar_core::time::Time;

/// A page on another node.
pub struct Branch {
    page: PageKey,
    shared: Arc<Shared>,
    others: Arc<OtherNodes>,
    routing: Arc<RoutingTable>,
    directory: Recipient<ToDirectory>,
    node: Inbox,
    is_over: AtomicBool,
    inner: Mutex<Inner>,
}

struct Inner {
    state: BranchState,
    sessions: HashMap<SessionId, (PeerId, Outlet)>,
    /// Items for sessions, sent when a bag is handled.
    batch: Batch,
    /// Empty between inputs; kept for its memory.
    outputs: Vec<BranchOutput>,
}

impl fmt::Debug for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Branch").finish_non_exhaustive()
    }
}

impl Branch {
    /// Returns the branch of a page that lives on `home`.
    #[must_use]
    pub fn new(
        Place { page, fence }: Place,
        home: NodeId,
        shared: Arc<Shared>,
        others: Arc<OtherNodes>,
        directory: Recipient<ToDirectory>,
        node: Inbox,
    ) -> Self {
        let state = BranchState::new(page.clone(), Arc::clone(&shared.rules), home, fence);
        Self {
            page,
            shared,
            others,
            routing: Arc::new(RoutingTable::new(0)),
            directory,
            node,
            is_over: AtomicBool::new(false),
            inner: Mutex::new(Inner {
                state,
                sessions: HashMap::new(),
                batch: Batch::default(),
                outputs: Vec::new(),
            }),
        }
    }

    /// Returns the node on which the page lives, if that is known.
    #[must_use]
    pub fn home(&self) -> Option<NodeId> {
        self.inner().state.node()
    }

    /// Returns the highest life of the page that was heard of.
    #[must_use]
    pub fn fence(&self) -> Fence {
        self.inner().state.fence()
    }

    /// Returns when to come back with [`BranchInput::Timer`].
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.inner().state.next_deadline()
    }

    /// Returns the address of the page, for its sessions.
    #[must_use]
    pub fn address(self: &Arc<Self>) -> PageAddress {
        PageAddress::There(Arc::clone(self) as Arc<dyn RemotePage<ToPage>>)
    }

    /// Has a page that lives on this node from now on expect the sessions of the branch that are
    /// members.
    pub fn hand_over(&self, handover: &mut Handover) {
        let inner = self.inner();
        for join in inner.state.joins().filter(|join| join.request.resumed.is_some()) {
            handover.expect(join.request.id, join.request.token, &join.contacts);
        }
    }

    /// Makes a session of this node known to the branch.
    pub fn bind(&self, id: PeerId, outlet: Outlet) {
        self.inner().sessions.insert(outlet.session, (id, outlet));
    }

    /// Returns whether a session is known to the branch.
    #[must_use]
    pub fn knows(&self, session: SessionId) -> bool {
        self.inner().sessions.contains_key(&session)
    }

    /// Forgets a session that has ended.
    pub fn unbind(&self, session: SessionId) {
        self.inner().sessions.remove(&session);
    }

    /// Sends what sessions are sent.
    pub fn flush(&self) {
        self.inner().batch.send();
    }

    /// Closes all sessions.
    pub fn close_all(&self, close: Close) {
        let Inner { sessions, batch, .. } = &mut *self.inner();
        for (_, outlet) in sessions.values() {
            batch.put(outlet, Outbound::Notice(ToSession::Close(close)));
        }
        batch.send();
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Handles one input, and performs all outputs and what they lead to. What sessions are sent
    /// waits until [`flush`](Self::flush).
    pub fn step(self: &Arc<Self>, input: BranchInput) {
        let mut inner = self.inner();
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let Inner { state, sessions, outputs, .. } = &mut *inner;
            let now = self.shared.clock.now();
            let counters = |session| sessions.get(&session).map(|(_, outlet)| &outlet.counters);
            let heard = |session| counters(session).map_or(now, |counters| counters.heard());
            let texts = |session| counters(session).map_or(0, |counters| counters.texts());
            let env = BranchEnv { now, last_heard: &heard, texts_sent: &texts };
            state.handle(env, input, outputs);
            let mut outputs = std::mem::take(outputs);
            for output in outputs.drain(..) {
                self.perform(output, &mut inner, &mut inputs);
            }
            inner.outputs = outputs;
        }
    }

    /// Performs one output. The link is used while the branch is locked, so that what a session
    /// says stays in order.
    fn perform(
        self: &Arc<Self>,
        output: BranchOutput,
        Inner { state, sessions, batch, .. }: &mut Inner,
        inputs: &mut VecDeque<BranchInput>,
    ) {
        let outlet = |session| sessions.get(&session).map(|(_, outlet)| outlet);
        match output {
            BranchOutput::Tell { node, place, word } => {
                let entry = Entry::ToPage(place, word);
                let pushed = self.others.say(node, &entry);
                if pushed != Some(Pushed::Queued)
                    && let Entry::ToPage(_, word) = entry
                {
                    inputs.push_back(BranchInput::Undelivered(word));
                }
            }
            BranchOutput::Seek => {
                if let Some(from) = state.node() {
                    let (page, fence) = (self.page.clone(), state.fence());
                    self.node.tell(ToNode::PageLeft { from, page, fence });
                }
            }
            BranchOutput::Frame { to, frame, delivery, from } => {
                let is_urgent = delivery == Delivery::Urgent;
                let no_room = no_room(delivery, from);
                let room = no_room.room(self.shared.settings.limits.queue_bytes);
                for session in to {
                    let Some(outlet) = outlet(session) else { continue };
                    if !outlet.counters.has_room(room) {
                        let verdict = no_room.clone().verdict(session).and_then(word_of);
                        inputs.extend(verdict.map(BranchInput::Said));
                    } else if is_urgent {
                        batch.send_urgent(outlet, frame.clone(), None);
                    } else {
                        batch.put(outlet, Outbound::Frame(frame.clone()));
                    }
                }
            }
            BranchOutput::Welcome { to, open, claim } => {
                let Some(outlet) = outlet(to) else { return };
                if let Some(open) = open {
                    batch.put(outlet, Outbound::Frame(open));
                }
                let (page, routing) = (self.address(), Arc::clone(&self.routing));
                let notice = ToSession::Joined { page, routing, claim, open: None };
                batch.put(outlet, Outbound::Notice(notice));
                let place = Place { page: self.page.clone(), fence: state.fence() };
                self.node.tell(ToNode::Joined { place, session: to });
            }
            BranchOutput::Hosts { to, claim } => {
                if let Some(outlet) = outlet(to) {
                    batch.put(outlet, Outbound::Notice(ToSession::Hosts(claim)));
                }
            }
            BranchOutput::Announced(claim) => {
                if let Some(claim) = claim.clone() {
                    let page = self.page.clone();
                    let is_local = sessions.values().any(|(id, _)| *id == claim.host);
                    self.node.tell(ToNode::Announced { page, claim, is_local });
                }
                let routing = Arc::clone(&self.routing);
                // what announces the host is in the batch
                batch.send();
                batch.then(move || match claim {
                    Some(claim) => routing.set_host(claim),
                    None => routing.clear_host(),
                });
            }
            BranchOutput::Ping(to) => {
                if let Some(outlet) = outlet(to) {
                    batch.put(outlet, Outbound::Notice(ToSession::Ping));
                }
            }
            BranchOutput::Expire { to, dst } => {
                if let Some((id, outlet)) = sessions.get(&to) {
                    outlet.send(Outbound::Frame(outgoing::expire(dst.as_str(), id)));
                }
            }
            BranchOutput::Close { session, close } => {
                if let Some(outlet) = outlet(session) {
                    batch.put(outlet, Outbound::Notice(ToSession::Close(close)));
                }
            }
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
        Input::Undelivered { session, dst } => Word::Undelivered { session, dst },
        Input::Silent(session) => Word::Silent(session),
        Input::Ran { session, ran } => Word::Ran { session, ran },
        Input::SocketClosed { session, departure } => Word::SocketClosed { session, departure },
        Input::Join(_)
        | Input::Kick(_)
        | Input::LeaveWithoutSocket { .. }
        | Input::WayDown(_)
        | Input::WayUp(_)
        | Input::Alone(_)
        | Input::Met { .. }
        | Input::Timer
        | Input::Drain => return None,
    })
}

/// An address of the page that a session holds. The session is known to the branch.
impl RemotePage<ToPage> for Branch {
    fn is_bound(&self) -> bool {
        !self.is_over.load(Ordering::Acquire)
    }

    #[expect(clippy::disallowed_methods, reason = "the directory does little, and never waits")]
    fn send(self: Arc<Self>, message: ToPage) {
        match message {
            ToPage::Join { request, outlet } => {
                let key = self.page.clone();
                self.directory.do_send(ToDirectory::Join { key, request, outlet });
            }
            ToPage::FromClient { input, .. } => {
                if let Some(word) = word_of(input) {
                    self.step(BranchInput::Said(word));
                }
            }
            // not for sessions
            ToPage::Input(_) | ToPage::SayMembers(_) | ToPage::CompareMembers(_) => {}
            ToPage::Missed(..) => {}
            ToPage::Retire | ToPage::DrainHere | ToPage::Yield { .. } => {}
            #[cfg(feature = "faults")]
            ToPage::Fail => {}
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

    /// Ends a branch. Its sessions keep what they say from now on.
    pub fn remove(&self, page: &PageKey) {
        let branch = self.0.write().unwrap_or_else(PoisonError::into_inner).remove(page);
        if let Some(branch) = branch {
            branch.is_over.store(true, Ordering::Release);
        }
    }

    /// Returns all branches.
    pub fn all(&self) -> Vec<Arc<Branch>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
