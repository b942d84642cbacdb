//! A page that lives on another node, as its local sessions see it.
//!
//! A [`Branch`] passes on what its sessions and their page say to each other. It knows who its
//! sessions are and what they were told, and says it again when the page begins another life or the
//! link was broken. The words of a life that is over never reach a socket. Whether a session lives
//! is judged here, where its socket is.
//!
//! - [`member`]: one session, and what it says to the page's next life.
//! - [`liveness`]: sessions that are silent, and probes.

mod liveness;
mod member;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use liveness::Liveness;
use member::{Member, Stage};

use crate::cluster::entry::{Delivery, Join, Place, ToBranch, ToPage, hash_of};
use crate::cluster::{Fence, NodeId};
use crate::page::Rules;
use crate::page::member::{Departure, Seat};
use crate::protocol::claim::Claim;
use crate::protocol::close::Close;
use crate::protocol::id::{PageKey, PeerId, SessionId};
use crate::protocol::outgoing::Frame;
use crate::time::Time;

/// Surroundings of a step: facts about the local sockets.
#[derive(Clone, Copy)]
pub struct BranchEnv<'a> {
    /// Time of the step.
    pub now: Time,
    /// Returns when a session was last heard from.
    pub last_heard: &'a dyn Fn(SessionId) -> Time,
    /// Returns how many text frames a session has sent.
    pub texts_sent: &'a dyn Fn(SessionId) -> u64,
}

impl std::fmt::Debug for BranchEnv<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BranchEnv").field("now", &self.now).finish_non_exhaustive()
    }
}

/// An event that a branch handles.
#[derive(Debug)]
pub enum BranchInput {
    /// A local session wants to join, asks again, or resumes from another life of the page.
    Join(Box<Join>),
    /// A local session says something to its page. Not for [`ToPage::Join`] and
    /// [`ToPage::SocketClosed`], which have inputs of their own.
    Said(ToPage),
    /// The socket of a local session is gone.
    SocketClosed {
        /// The session.
        session: SessionId,
        /// How the socket ended.
        departure: Departure,
    },
    /// The page's node says something.
    Heard {
        /// The node.
        node: NodeId,
        /// The life of the page that says it.
        fence: Fence,
        /// The word of the page.
        word: ToBranch,
    },
    /// The registry, or the page's last node, says where the page lives.
    Lives {
        /// The node.
        node: NodeId,
        /// The life of the page.
        fence: Fence,
    },
    /// The page's node is gone, or has given the page up. Nobody knows where it lives next.
    Lost,
    /// The link to the page's node is broken.
    LinkDown,
    /// The link to the page's node is up again.
    LinkUp,
    /// The link had no room for something, or handed it back.
    Undelivered(ToPage),
    /// The time of [`Branch::next_deadline`] has come.
    Timer,
}

/// An action that a branch wants done. The order of outputs matters.
#[derive(Debug, Clone)]
pub enum BranchOutput {
    /// Send an entry over the link to a node. If the link refuses it, it comes back as
    /// [`BranchInput::Undelivered`].
    Tell {
        /// The page's node.
        node: NodeId,
        /// The page and its life.
        place: Place,
        /// What is said.
        word: ToPage,
    },
    /// Ask where the page lives: [`BranchInput::Lives`].
    Seek,
    /// Send a frame to local sessions.
    Frame {
        /// The receivers.
        to: Vec<SessionId>,
        /// The encoded message.
        frame: Frame,
        /// How it is written. What has no room is said to the page: [`ToPage::Congested`],
        /// [`ToPage::Undelivered`].
        delivery: Delivery,
        /// Session of the sender and id of the receiver, for [`ToPage::Undelivered`].
        from: Option<(SessionId, PeerId)>,
    },
    /// A session is a member from now on.
    Welcome {
        /// The session.
        to: SessionId,
        /// `OPEN`. `None` for a session that was a member already.
        open: Option<Frame>,
        /// The host that the client is told of in `OPEN`.
        claim: Option<Claim>,
    },
    /// A session hosts from now on, as its client was told.
    Hosts {
        /// The session.
        to: SessionId,
        /// The term of the host.
        claim: Claim,
    },
    /// Publish the host that was announced to all members.
    Announced(Option<Claim>),
    /// Ping a session. Its next frame comes back as [`ToPage::Alive`].
    Ping(SessionId),
    /// Tell a session that a signalling message expires: `EXPIRE`.
    Expire {
        /// Session of the sender.
        to: SessionId,
        /// Id of the receiver.
        dst: PeerId,
    },
    /// Close a session that is no member, or no member any more.
    Close {
        /// The session.
        session: SessionId,
        /// Why it is closed.
        close: Close,
    },
}

/// A frame, how it is written, who sent it, and whom it announces.
type Words = (Frame, Delivery, Option<(SessionId, PeerId)>, Option<Claim>);

/// Where the page lives, as far as the branch knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Home {
    /// Nobody knows.
    Unknown,
    /// On this node.
    At {
        node: NodeId,
        /// Whether the link to the node is up.
        is_up: bool,
    },
}

/// One page that lives on another node.
#[derive(Debug)]
pub struct Branch {
    page: PageKey,
    rules: Arc<Rules>,
    home: Home,
    /// The highest life of the page that was heard of. It only grows.
    fence: Fence,
    members: BTreeMap<SessionId, Member>,
    /// The host that was announced to all members.
    host: Option<Claim>,
    liveness: Liveness,
}

impl Branch {
    /// Returns a branch without sessions, of a page that lives on `node`.
    #[must_use]
    pub fn new(page: PageKey, rules: Arc<Rules>, node: NodeId, fence: Fence) -> Self {
        Self {
            page,
            rules,
            home: Home::At { node, is_up: true },
            fence,
            members: BTreeMap::new(),
            host: None,
            liveness: Liveness::default(),
        }
    }

    /// Returns the highest life of the page that was heard of.
    #[must_use]
    pub const fn fence(&self) -> Fence {
        self.fence
    }

    /// Returns the node on which the page lives, if that is known.
    #[must_use]
    pub const fn node(&self) -> Option<NodeId> {
        match self.home {
            Home::Unknown => None,
            Home::At { node, .. } => Some(node),
        }
    }

    /// Returns whether no local session has to do with the page.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Returns the host that was announced to all members.
    #[must_use]
    pub const fn host(&self) -> Option<&Claim> {
        self.host.as_ref()
    }

    /// Returns when to come back with [`BranchInput::Timer`] if nothing else happens.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.liveness.next_deadline()
    }

    /// Returns what every session says to a page that lives on this node from now on.
    pub fn joins(&self) -> impl Iterator<Item = Join> {
        self.members.values().map(Member::join)
    }

    /// Handles one input. Appends to `out` what is to be done.
    pub fn handle(&mut self, env: BranchEnv<'_>, input: BranchInput, out: &mut Vec<BranchOutput>) {
        match input {
            BranchInput::Join(join) => self.join(*join, out),
            BranchInput::Said(word) => self.said(env, word, out),
            BranchInput::SocketClosed { session, departure } => {
                if self.members.remove(&session).is_some() {
                    self.liveness.forget(session);
                    self.tell(ToPage::SocketClosed { session, departure }, out);
                }
            }
            BranchInput::Heard { node, fence, word } => self.heard(env, node, fence, word, out),
            BranchInput::Lives { node, fence } => self.lives(env, node, fence, out),
            BranchInput::Lost => self.lose(out),
            BranchInput::LinkDown => {
                if let Home::At { is_up, .. } = &mut self.home {
                    *is_up = false;
                    self.liveness.stop();
                }
            }
            BranchInput::LinkUp => self.link_up(env, out),
            BranchInput::Undelivered(word) => self.undelivered(word, out),
            BranchInput::Timer => {
                if self.is_connected() {
                    let said = self.liveness.sweep(env, &self.members, &self.rules);
                    said.into_iter().for_each(|word| self.tell(word, out));
                }
            }
        }
    }

    const fn is_connected(&self) -> bool {
        matches!(self.home, Home::At { is_up: true, .. })
    }

    /// Says something to the page. What is said while the page is not reached is not kept: the
    /// branch says all that matters again.
    fn tell(&self, word: ToPage, out: &mut Vec<BranchOutput>) {
        if let Home::At { node, is_up: true } = self.home {
            let place = Place { page: self.page.clone(), fence: self.fence };
            out.push(BranchOutput::Tell { node, place, word });
        } else {
            self.undelivered(word, out);
        }
    }

    fn undelivered(&self, word: ToPage, out: &mut Vec<BranchOutput>) {
        if let ToPage::Forward { session, kind, dst, .. } = word
            && kind.waits()
            && self.members.contains_key(&session)
        {
            out.push(BranchOutput::Expire { to: session, dst });
        }
    }

    fn join(&mut self, join: Join, out: &mut Vec<BranchOutput>) {
        let session = join.request.session;
        let known = self.members.get(&session);
        if known.is_some_and(|member| member.stage == Stage::Resuming) {
            return; // the branch has spoken for the session
        }
        let is_reset = known.is_some_and(|member| member.is_reset);
        let member = Member::new(join, is_reset);
        let word = member.say_join();
        self.members.insert(session, member);
        self.tell(word, out);
    }

    fn said(&mut self, env: BranchEnv<'_>, word: ToPage, out: &mut Vec<BranchOutput>) {
        let Some(session) = member::speaker(&word) else { return self.tell(word, out) };
        let Some(member) = self.members.get_mut(&session) else { return };
        member.note(&word);
        if self.is_connected()
            && let Some(ran) = self.liveness.ran_after_all(env, session)
        {
            self.tell(ran, out);
        }
        self.tell(word, out);
    }

    /// Handles what the page's node says. The words of a life that is over are dropped.
    fn heard(
        &mut self,
        env: BranchEnv<'_>,
        node: NodeId,
        fence: Fence,
        word: ToBranch,
        out: &mut Vec<BranchOutput>,
    ) {
        if let ToBranch::Expired { session, dst } = word {
            if self.members.contains_key(&session) {
                out.push(BranchOutput::Expire { to: session, dst });
            }
            return;
        }
        if let ToBranch::PageLost(next) = word {
            // a node may say of any life that it does not have it
            if self.node() == Some(node) && fence >= self.fence {
                self.lose(out);
            }
            if let Some((node, fence)) = next {
                self.lives(env, node, fence, out);
            }
            return;
        }
        if fence < self.fence {
            return;
        }
        self.lives(env, node, fence, out);
        self.perform(env, word, out);
    }

    fn perform(&mut self, env: BranchEnv<'_>, word: ToBranch, out: &mut Vec<BranchOutput>) {
        match word {
            ToBranch::Frame { to, frame, delivery, from, tells } => {
                self.send(env, to, (frame, delivery, from, tells), out);
            }
            ToBranch::Welcome { to, open, claim, seat } => {
                self.welcome(env, to, (open, claim, seat), out);
            }
            ToBranch::Announced(host) => {
                self.host.clone_from(&host);
                out.push(BranchOutput::Announced(host));
            }
            ToBranch::Ping(session) => out.push(BranchOutput::Ping(session)),
            ToBranch::Probe { to, frame } => {
                if self.members.contains_key(&to) {
                    self.liveness.probe(env, to, &self.rules);
                    let (to, delivery) = (vec![to], Delivery::Page);
                    out.push(BranchOutput::Frame { to, frame, delivery, from: None });
                }
            }
            ToBranch::Dismiss { session, close } => {
                if self.members.remove(&session).is_some() {
                    self.liveness.forget(session);
                    out.push(BranchOutput::Close { session, close });
                }
            }
            ToBranch::Here { sessions, host } => self.compare(&sessions, host, out),
            ToBranch::HereHash(hash) => {
                if hash != self.hash() {
                    self.tell(ToPage::Who, out);
                }
            }
            ToBranch::JoinReturned(_) => out.push(BranchOutput::Seek),
            // handled before
            ToBranch::PageLost(_) | ToBranch::Expired { .. } => {}
        }
    }

    /// Sends a frame to those receivers that know that they are members. Who waits for `OPEN` is
    /// none: it was lost, and the page does not know.
    fn send(
        &mut self,
        env: BranchEnv<'_>,
        mut to: Vec<SessionId>,
        (frame, delivery, from, tells): Words,
        out: &mut Vec<BranchOutput>,
    ) {
        to.retain(|who| self.members.get(who).is_some_and(Member::is_told_open));
        if to.is_empty() {
            if let Some((session, dst)) = from {
                self.tell(ToPage::Undelivered { session, dst }, out);
            }
            return;
        }
        let mut hosts = Vec::new();
        if let Some(claim) = tells {
            for session in &to {
                if let Some(member) = self.members.get_mut(session) {
                    member.is_told(env.now, Some(claim.clone()));
                }
                if delivery == Delivery::Urgent {
                    hosts.push(BranchOutput::Hosts { to: *session, claim: claim.clone() });
                }
            }
            self.liveness.watch_now(env.now);
        }
        out.push(BranchOutput::Frame { to, frame, delivery, from });
        out.extend(hosts);
    }

    fn welcome(
        &mut self,
        env: BranchEnv<'_>,
        to: SessionId,
        (open, claim, seat): (Option<Frame>, Option<Claim>, Option<Seat>),
        out: &mut Vec<BranchOutput>,
    ) {
        let Some(member) = self.members.get_mut(&to) else { return };
        member.stage = Stage::Member;
        member.is_reset = false;
        member.seat = seat;
        if open.is_some() {
            member.is_told(env.now, claim.clone());
        }
        self.liveness.watch_now(env.now);
        out.push(BranchOutput::Welcome { to, open, claim });
    }

    /// Returns the hash of the sessions that are members, as far as they know.
    fn hash(&self) -> u64 {
        let members = self.members.iter().filter(|(_, member)| member.stage != Stage::Joining);
        hash_of(members.map(|(session, _)| *session))
    }

    /// Compares the members that the page has with those that are here. All earlier words of the
    /// page have come, so what differs was lost; or it is under way from here, and then it is said
    /// once more.
    fn compare(&mut self, named: &[SessionId], host: Option<Claim>, out: &mut Vec<BranchOutput>) {
        let named: BTreeSet<_> = named.iter().copied().collect();
        for session in named.iter().filter(|session| !self.members.contains_key(session)) {
            let departure = Departure::Lost;
            self.tell(ToPage::SocketClosed { session: *session, departure }, out);
        }
        let mut words = Vec::new();
        for (session, member) in &mut self.members {
            match (member.stage, named.contains(session)) {
                (Stage::Member, false) => {
                    member.stage = Stage::Resuming;
                    words.push(member.say_join());
                }
                // its `OPEN` was lost
                (Stage::Joining, true) if !std::mem::replace(&mut member.is_reset, true) => {
                    let (session, departure) = (*session, Departure::Lost);
                    words.push(ToPage::SocketClosed { session, departure });
                    words.push(member.say_join());
                }
                // the answer was lost, and this is as good
                (Stage::Resuming, true) => {
                    member.stage = Stage::Member;
                    out.push(BranchOutput::Welcome { to: *session, open: None, claim: None });
                }
                (Stage::Member, true) | (Stage::Joining | Stage::Resuming, _) => {}
            }
        }
        words.into_iter().for_each(|word| self.tell(word, out));
        let Some(host) = host else { return };
        let is_behind = |member: &Member| {
            let told = member.claim.as_ref().map(|claim| claim.epoch);
            member.stage == Stage::Member && told < Some(host.epoch)
        };
        let missed = self
            .members
            .iter()
            .filter(|(session, member)| named.contains(session) && is_behind(member));
        let missed: Vec<_> = missed.map(|(session, _)| *session).collect();
        if !missed.is_empty() {
            self.tell(ToPage::Missed(missed), out);
        }
    }

    /// Handles the news where the page lives. In another life all sessions say who they are.
    fn lives(
        &mut self,
        env: BranchEnv<'_>,
        node: NodeId,
        fence: Fence,
        out: &mut Vec<BranchOutput>,
    ) {
        if fence < self.fence {
            // The registry has lost its memory, and the page began too low. Its node hears of the
            // higher fence from what the sessions say, and gives the page one above.
            if self.node() != Some(node) {
                self.home = Home::At { node, is_up: true };
                self.liveness.stop();
                self.say_all(out);
            }
            return;
        }
        if fence == self.fence {
            if self.home == Home::Unknown {
                self.home = Home::At { node, is_up: true };
                self.link_up(env, out);
            }
            return;
        }
        self.fence = fence;
        self.home = Home::At { node, is_up: true };
        self.liveness.stop();
        self.liveness.watch_now(env.now);
        self.say_all(out);
    }

    /// Has every session say who it is, to a page that knows none.
    fn say_all(&mut self, out: &mut Vec<BranchOutput>) {
        let mut words = Vec::new();
        for member in self.members.values_mut() {
            member.is_reset = false;
            if member.stage == Stage::Member {
                member.stage = Stage::Resuming;
            }
            words.push(member.say_join());
        }
        words.into_iter().for_each(|word| self.tell(word, out));
    }

    fn lose(&mut self, out: &mut Vec<BranchOutput>) {
        self.home = Home::Unknown;
        self.liveness.stop();
        out.push(BranchOutput::Seek);
    }

    /// Handles that the link is up again. What was said and not acknowledged may be lost.
    fn link_up(&mut self, env: BranchEnv<'_>, out: &mut Vec<BranchOutput>) {
        let Home::At { is_up, .. } = &mut self.home else { return };
        *is_up = true;
        self.liveness.watch_now(env.now);
        let mut words = vec![ToPage::Who];
        for member in self.members.values_mut() {
            member.is_reset = false;
            if member.stage == Stage::Member {
                words.extend(member.say_again());
            } else {
                words.push(member.say_join());
            }
        }
        words.into_iter().for_each(|word| self.tell(word, out));
    }
}
