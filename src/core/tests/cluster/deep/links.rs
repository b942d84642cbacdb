//! Links to other nodes, what comes over them, and branches: pages that live elsewhere.

use bytes::Bytes;
use peerstar_core::cluster::branch::{Branch, BranchEnv, BranchInput, BranchOutput};
use peerstar_core::cluster::entry::{Entry, Join, Place, ToBranch, ToPage};
use peerstar_core::cluster::io::{Input as NodeInput, Joining};
use peerstar_core::cluster::link::{Link, LinkEvent, Pushed, window};
use peerstar_core::cluster::{Fence, Floor, NodeId};
use peerstar_core::page::Input;
use peerstar_core::page::member::{Departure, JoinRequest, Way};
use peerstar_core::protocol::id::{PageKey, SessionId};
use peerstar_core::protocol::outgoing;
use peerstar_core::session::SessionInput;

use crate::queue::Us;
use crate::redis::Process;

use super::browser::Said;
use super::paths::{Path, Root};
use super::site::{Address, Site};
use super::{Deep, Event, W};

impl Deep {
    // ---- branches

    /// Sees to it that a page on another node has a branch.
    pub(super) fn root(&mut self, process: Process, key: &PageKey, node: NodeId, fence: Fence) {
        let rules = std::sync::Arc::clone(&self.rules);
        self.site(process).branches.entry(key.clone()).or_insert_with(|| Root {
            branch: Branch::new(key.clone(), rules, node, fence),
            number: 0,
            due: None,
        });
    }

    /// Lets a branch handle an input.
    pub(super) fn branch(
        &mut self,
        io: W<'_>,
        process: Process,
        key: &PageKey,
        input: BranchInput,
    ) {
        let local = io.machines[process].local(io.now);
        let Site { branches, sessions, .. } = self.site(process);
        let Some(root) = branches.get_mut(key) else { return };
        let last_heard = |session| sessions.get(&session).map_or(local, |one| one.heard);
        let texts_sent = |session| sessions.get(&session).map_or(0, |one| one.texts);
        let env = BranchEnv { now: local, last_heard: &last_heard, texts_sent: &texts_sent };
        let mut out = Vec::new();
        io.note(|| format!("{process} branch {key:?} <- {}", short(&input)));
        let before = root.branch.fence();
        let heard = match &input {
            BranchInput::Heard { node, .. } => Some(*node),
            _ => None,
        };
        root.branch.handle(env, input, &mut out);
        let (node, fence) = (root.branch.node(), root.branch.fence());
        if fence > before {
            for one in sessions.values_mut() {
                if one.key == *key && one.state.page() == Some(&Address::There) {
                    one.bound = one.bound.max(fence);
                }
            }
        }
        if let Some(node) = heard.filter(|_| fence > before) {
            io.feed(process, NodeInput::Fenced { node, page: key.clone(), fence });
        }
        for output in out {
            self.branch_output(io, process, key, (node, fence), output);
        }
        self.arm_branch(io, process, key);
    }

    fn arm_branch(&mut self, io: W<'_>, process: Process, key: &PageKey) {
        let now = io.now;
        let Some(root) = self.site(process).branches.get_mut(key) else { return };
        let next = root.branch.next_deadline();
        if root.due != next {
            root.number += 1;
            root.due = next;
            if let Some(at) = next {
                let event = Event::Branch(key.clone(), root.number);
                let at = io.machines[process].global(now, at).max(now + 1000);
                io.add(None, at - now, Some(process), event);
            }
        }
    }

    pub(super) fn branch_due(&mut self, io: W<'_>, process: Process, key: &PageKey, number: u64) {
        if let Some(root) = self.site(process).branches.get_mut(key)
            && root.number == number
        {
            root.due = None;
            self.branch(io, process, key, BranchInput::Timer);
        }
    }

    fn branch_output(
        &mut self,
        io: W<'_>,
        process: Process,
        key: &PageKey,
        (node, fence): (Option<NodeId>, Fence),
        output: BranchOutput,
    ) {
        match output {
            BranchOutput::Tell { node, place, word } => {
                self.push(io, process, node, Entry::ToPage(place, word));
            }
            BranchOutput::Seek => {
                // the node that had the page is the one that the branch last knew
                let node = node.or_else(|| self.last_home(process, key));
                if let Some(node) = node {
                    let left = Floor { fence, ..Floor::default() };
                    io.feed(process, NodeInput::PageLeft { node, page: key.clone(), left });
                }
            }
            BranchOutput::Frame { to, frame, .. } => {
                for session in to {
                    self.write(io, process, session, Said::Frame(frame.clone()));
                }
            }
            BranchOutput::Welcome { to, open, claim } => {
                self.bind(io, process, to, fence);
                self.joined(io, process, key, to, Address::There, open, claim);
                io.feed(process, NodeInput::Joined { page: key.clone(), session: to });
            }
            BranchOutput::Hosts { to, claim } => {
                self.tell_node(io, process, key, &claim);
                self.session(io, process, to, SessionInput::Hosts(claim));
            }
            BranchOutput::Announced(claim) => {
                for one in self.site(process).sessions.values_mut() {
                    if one.key == *key && claim.is_some() {
                        one.announced.clone_from(&claim);
                    }
                }
                if let Some(claim) = claim {
                    self.tell_node(io, process, key, &claim);
                }
            }
            BranchOutput::Ping(session) => {
                self.session(io, process, session, SessionInput::Ping);
            }
            BranchOutput::Expire { to, dst } => {
                let Some(one) = self.site(process).sessions.get(&to) else { return };
                let frame = outgoing::expire(dst.as_str(), &one.state.identity().id);
                self.write(io, process, to, Said::Frame(frame));
            }
            BranchOutput::Close { session, close } => {
                self.session(io, process, session, SessionInput::Close { close, detail: None });
            }
        }
    }

    fn last_home(&mut self, process: Process, key: &PageKey) -> Option<NodeId> {
        match io_whereabouts(self.site(process), key) {
            Some(node) => Some(node),
            None => self.homes.get(&(process, key.clone())).copied(),
        }
    }

    // ---- links

    pub(super) fn open_link(&mut self, io: W<'_>, process: Process, node: NodeId) {
        let local = io.machines[process].local(io.now);
        let site = self.site(process);
        let Some(own) = site.node else { return };
        let mut link = Link::new(own, node, window(4));
        link.set_bound(local, true);
        site.links.insert(node, Path { link, number: 0, due: None });
        self.schedule(io, process, node, 0);
    }

    /// A node is gone: so are its sessions.
    pub(super) fn close_link(&mut self, io: W<'_>, process: Process, node: NodeId) {
        self.site(process).links.remove(&node);
        for key in self.keys(process) {
            for session in self.members_at(process, &key, node) {
                let input = Input::SocketClosed { session, departure: Departure::Lost };
                self.page(io, process, &key, input);
            }
        }
    }

    fn keys(&mut self, process: Process) -> Vec<PageKey> {
        self.site(process).pages.keys().cloned().collect()
    }

    /// Returns the members of a page that are on another node.
    fn members_at(&mut self, process: Process, key: &PageKey, node: NodeId) -> Vec<SessionId> {
        let Some(actor) = self.site(process).pages.get(key) else { return Vec::new() };
        let there = actor.remote.iter().filter(|(_, one)| **one == node).map(|(one, _)| *one);
        there.filter(|session| actor.page.id_of(*session).is_some()).collect()
    }

    pub(super) fn links_reconnected(&mut self, io: W<'_>, process: Process) {
        let local = io.machines[process].local(io.now);
        let nodes: Vec<NodeId> = self.site(process).links.keys().copied().collect();
        for node in nodes {
            if let Some(path) = self.site(process).links.get_mut(&node) {
                path.link.reconnected(local);
            }
            self.schedule(io, process, node, 0);
        }
    }

    pub(super) fn push(&mut self, io: W<'_>, process: Process, node: NodeId, entry: Entry) {
        let local = io.machines[process].local(io.now);
        let Some(path) = self.site(process).links.get_mut(&node) else {
            return self.undelivered(io, process, entry);
        };
        match path.link.push(local, &entry) {
            Pushed::Queued => {}
            Pushed::Refused | Pushed::Broke => self.undelivered(io, process, entry),
        }
        self.schedule(io, process, node, 0);
    }

    /// Something did not find its way.
    fn undelivered(&mut self, io: W<'_>, process: Process, entry: Entry) {
        match entry {
            Entry::ToPage(place, word) => {
                self.branch(io, process, &place.page, BranchInput::Undelivered(word));
            }
            Entry::ToBranch(place, ToBranch::Frame { from: Some((session, dst)), .. }) => {
                self.page(io, process, &place.page, Input::Undelivered { session, dst });
            }
            Entry::ToBranch(..) | Entry::Question { .. } | Entry::Answer { .. } => {}
        }
    }

    fn schedule(&mut self, io: W<'_>, process: Process, node: NodeId, after: Us) {
        let now = io.now;
        let Some(path) = self.site(process).links.get_mut(&node) else { return };
        if path.due.is_none_or(|due| due > now + after) {
            path.number += 1;
            path.due = Some(now + after);
            io.add(None, after, Some(process), Event::Link(node, path.number));
        }
    }

    pub(super) fn link_due(&mut self, io: W<'_>, process: Process, node: NodeId, number: u64) {
        let local = io.machines[process].local(io.now);
        if let Some(path) = self.site(process).links.get_mut(&node)
            && path.number == number
        {
            path.due = None;
            if path.link.next_deadline().is_some_and(|at| at <= local) {
                path.link.tick(local);
            }
            self.pump(io, process, node);
        }
    }

    /// Takes what a link has: events and bags.
    fn pump(&mut self, io: W<'_>, process: Process, node: NodeId) {
        let local = io.machines[process].local(io.now);
        while let Some(path) = self.site(process).links.get_mut(&node)
            && let Some(event) = path.link.poll_event()
        {
            match event {
                LinkEvent::Arrived { bag, entries } => {
                    for entry in entries {
                        self.entry(io, process, node, entry);
                    }
                    if let Some(path) = self.site(process).links.get_mut(&node) {
                        path.link.handled(local, bag);
                    }
                }
                LinkEvent::Down => self.link_changed(io, process, node, false),
                LinkEvent::HandedBack(entry) => self.undelivered(io, process, entry),
                LinkEvent::Up => self.link_changed(io, process, node, true),
            }
        }
        let Some(own) = self.site(process).node else { return };
        let Some(path) = self.site(process).links.get_mut(&node) else { return };
        let (mut bags, mut bag) = (Vec::new(), Vec::new());
        while path.link.poll_transmit(local, &mut bag) {
            bags.push(Bytes::copy_from_slice(&bag));
        }
        let next = path.link.next_deadline();
        for bag in bags {
            io.publish(process, node, (own, bag));
        }
        if let Some(at) = next {
            let after = io.machines[process].global(io.now, at).max(io.now + 1) - io.now;
            self.schedule(io, process, node, after);
        }
    }

    /// A link is broken, or up again: pages, branches and the node are told.
    fn link_changed(&mut self, io: W<'_>, process: Process, node: NodeId, is_up: bool) {
        io.note(|| format!("{process} link to {node} is up: {is_up}"));
        let keys = self.keys(process);
        for key in &keys {
            if !self.members_at(process, key, node).is_empty() {
                let input = if is_up { Input::WayUp(node) } else { Input::WayDown(node) };
                self.page(io, process, key, input);
            }
        }
        let site = self.site(process);
        let there = site.branches.iter().filter(|(_, root)| root.branch.node() == Some(node));
        let there: Vec<PageKey> = there.map(|(key, _)| key.clone()).collect();
        for key in there {
            let input = if is_up { BranchInput::LinkUp } else { BranchInput::LinkDown };
            self.branch(io, process, &key, input);
        }
        if is_up {
            for key in &keys {
                self.say_here(io, process, key, node);
            }
        }
        io.feed(process, NodeInput::Link { node, is_up });
    }

    /// Says who of a node is a member, and that this is all.
    fn say_here(&mut self, io: W<'_>, process: Process, key: &PageKey, node: NodeId) {
        let sessions = self.members_at(process, key, node);
        let host = self.site(process).pages.get(key).and_then(|actor| actor.announced.clone());
        self.say(io, process, key, node, ToBranch::Here { sessions, host });
    }

    pub(super) fn received(&mut self, io: W<'_>, process: Process, from: NodeId, bag: Bytes) {
        let local = io.machines[process].local(io.now);
        let Some(path) = self.site(process).links.get_mut(&from) else {
            return io.feed(process, NodeInput::Stranger(from));
        };
        if let Err(bad) = path.link.receive(local, bag) {
            io.note(|| format!("{process} refuses a bag of {from}: {bad}"));
        }
        self.pump(io, process, from);
    }

    fn entry(&mut self, io: W<'_>, process: Process, node: NodeId, entry: Entry) {
        match entry {
            Entry::ToPage(place, word) => self.entry_to_page(io, process, node, place, word),
            Entry::ToBranch(place, word) => self.entry_to_branch(io, process, node, place, word),
            Entry::Question { .. } | Entry::Answer { .. } => {}
        }
    }

    fn entry_to_page(
        &mut self,
        io: W<'_>,
        process: Process,
        node: NodeId,
        place: Place,
        word: ToPage,
    ) {
        let Place { page, fence } = place;
        let input = match word {
            ToPage::Join(mut join) => {
                join.request.way = Way::Node(node);
                let session = join.request.session;
                let resumes = join.request.resumed.is_some();
                let joining = Joining { session, bound: fence, resumes, request: *join };
                return io.feed(process, NodeInput::JoinFrom { node, page, joining });
            }
            ToPage::SocketClosed { session, departure } => {
                return io
                    .feed(process, NodeInput::DepartedFrom { node, page, session, departure });
            }
            ToPage::Forward { session, kind, dst, frame } => {
                Input::Forward { session, kind, dst, frame }
            }
            ToPage::Relay { session, dst, frame } => Input::Relay { session, dst, frame },
            ToPage::Status { session, update } => Input::Status { session, update },
            ToPage::Suspect { session, suspicion } => Input::Suspect { session, suspicion },
            ToPage::Trust { session, suspicion } => Input::Trust { session, suspicion },
            ToPage::Resign { session, epoch, to } => Input::Resign { session, epoch, to },
            ToPage::Heartbeat { session, epoch } => Input::HostHeartbeat { session, epoch },
            ToPage::Congested(session) => Input::Congested(session),
            ToPage::Undelivered { session, dst } => Input::Undelivered { session, dst },
            ToPage::Alive(session) => Input::Alive(session),
            ToPage::Silent(session) => Input::Silent(session),
            ToPage::Ran { session, ran } => Input::Ran { session, ran },
            ToPage::Who if self.has_life(process, &page, fence) => {
                return self.say_here(io, process, &page, node);
            }
            ToPage::Missed(sessions) => {
                return self.missed(io, process, node, &page, sessions);
            }
            ToPage::Who | ToPage::LeaveWithoutSocket { .. } => {
                return self.say_lost(io, process, node, Place { page, fence });
            }
        };
        if self.has_life(process, &page, fence) {
            self.page(io, process, &page, input);
        } else {
            self.say_lost(io, process, node, Place { page, fence });
        }
    }

    /// Members have not been told of the host: they resume, and hear it then.
    fn missed(
        &mut self,
        io: W<'_>,
        process: Process,
        node: NodeId,
        key: &PageKey,
        sessions: Vec<SessionId>,
    ) {
        for session in sessions {
            let departure = Departure::Lost;
            self.page(io, process, key, Input::SocketClosed { session, departure });
        }
        self.say_here(io, process, key, node);
    }

    /// Returns whether a page is here, in this life or a later one.
    fn has_life(&mut self, process: Process, key: &PageKey, fence: Fence) -> bool {
        self.site(process).pages.get(key).is_some_and(|actor| actor.fence >= fence)
    }

    fn say_lost(&mut self, io: W<'_>, process: Process, node: NodeId, place: Place) {
        self.push(io, process, node, Entry::ToBranch(place, ToBranch::PageLost(None)));
    }

    fn entry_to_branch(
        &mut self,
        io: W<'_>,
        process: Process,
        node: NodeId,
        place: Place,
        word: ToBranch,
    ) {
        let Place { page: key, fence } = place;
        let left = Floor { fence, ..Floor::default() };
        if let ToBranch::JoinReturned(session) = word {
            let Some(one) = self.site(process).sessions.get(&session) else { return };
            if !one.state.is_member() {
                return self.returned(io, process, node, &key, session);
            }
            return io.feed(process, NodeInput::PageLeft { node, page: key, left });
        }
        if !self.site(process).branches.contains_key(&key) {
            match word {
                ToBranch::PageLost(_) => {
                    io.feed(process, NodeInput::PageLeft { node, page: key, left });
                }
                ToBranch::Here { sessions, .. } => {
                    for session in sessions {
                        let departure = Departure::Lost;
                        let closed = ToPage::SocketClosed { session, departure };
                        let place = Place { page: key.clone(), fence };
                        self.push(io, process, node, Entry::ToPage(place, closed));
                    }
                }
                _ => {}
            }
            return;
        }
        self.homes.insert((process, key.clone()), node);
        self.branch(io, process, &key, BranchInput::Heard { node, fence, word });
    }

    /// Another node does not have the page to which a newcomer was passed on.
    fn returned(
        &mut self,
        io: W<'_>,
        process: Process,
        node: NodeId,
        key: &PageKey,
        session: SessionId,
    ) {
        let Some(one) = self.site(process).sessions.get(&session) else { return };
        let identity = one.state.identity();
        let request = JoinRequest {
            session,
            id: identity.id.clone(),
            token: identity.token.clone(),
            group: identity.group,
            can: identity.can.clone(),
            rights: identity.rights,
            address: None,
            way: Way::Local,
            claim: identity.claim.clone(),
            resumed: None,
        };
        let bound = one.bound;
        let join = Join { request, proof: None, seat: None, contacts: Vec::new() };
        let joining = Joining { session, bound, resumes: false, request: join };
        io.feed(process, NodeInput::Returned { node, page: key.clone(), joining });
    }
}

fn io_whereabouts(site: &Site, key: &PageKey) -> Option<NodeId> {
    site.branches.get(key).and_then(|root| root.branch.node())
}

fn short(what: &impl std::fmt::Debug) -> String {
    format!("{what:?}").chars().take(200).collect()
}
