//! Words between nodes, and links that break.

use std::collections::{BTreeSet, VecDeque};

use peerstar_core::cluster::Floor;
use peerstar_core::cluster::NodeId;
use peerstar_core::cluster::io::{Input, Joining, Whereabouts};
use peerstar_core::page::member::Departure;
use peerstar_core::protocol::claim::Claim;
use peerstar_core::protocol::id::{Epoch, PageKey, SessionId};

use super::world::{Session, Word, World};

impl World {
    pub(crate) fn send(&mut self, process: usize, to: NodeId, word: Word) {
        let from = self.processes[process].state.node();
        if self.processes[process].links.contains(&to) && !self.broken.contains(&(from, to)) {
            let time = self.now + 1 + self.random.below(3);
            self.processes[process].words.push_back((from, to, time, word));
        }
    }

    pub(crate) fn hear(&mut self, process: usize, from: NodeId, word: Word) {
        let input = match word {
            Word::Join(page, joining) => Input::JoinFrom { node: from, page, joining },
            Word::Returned(page, joining) => {
                if !self.sessions.contains_key(&joining.session) {
                    return;
                }
                Input::Returned { node: from, page, joining }
            }
            Word::Departed(page, session) => {
                let departure = Departure::Goodbye;
                Input::DepartedFrom { node: from, page, session, departure }
            }
            Word::Left(page, left) => Input::PageLeft { node: from, page, left },
            Word::Welcome(page, fence, session) => {
                let is_there = matches!(
                    self.processes[process].state.whereabouts(&page),
                    Some(Whereabouts::There { node, .. }) if node == from
                );
                let Some(one) = self.sessions.get_mut(&session) else { return };
                if !is_there || fence < one.bound {
                    // words of a lower fence never reach a socket
                    return;
                }
                one.bound = fence;
                one.is_member = true;
                one.at = Some(Whereabouts::There { node: from, fence });
                self.give(process, Input::Fenced { node: from, page: page.clone(), fence });
                Input::Joined { page, session }
            }
            Word::Fence(page, fence) => {
                let bound: Vec<_> = self
                    .sessions
                    .iter()
                    .filter(|(_, one)| one.process == process && one.page == page)
                    .filter(|(_, one)| {
                        matches!(one.at, Some(Whereabouts::There { node, .. }) if node == from)
                    })
                    .filter(|(_, one)| one.is_member && one.bound <= fence)
                    .map(|(session, _)| *session)
                    .collect();
                bound.into_iter().for_each(|session| self.bind(session, fence));
                Input::Fenced { node: from, page, fence }
            }
            Word::Announce(page, claim) => {
                let session = SessionId(claim.host.as_str().parse().unwrap());
                let is_local =
                    self.sessions.get(&session).is_some_and(|one| one.process == process);
                self.told(process, &page, &claim);
                Input::Announced { page, claim, is_local }
            }
        };
        self.give(process, input);
    }

    /// Members of a page on one node are told of a host.
    pub(crate) fn told(&mut self, process: usize, page: &PageKey, claim: &Claim) {
        for one in self.sessions.values_mut() {
            if one.process == process && one.page == *page && one.is_member {
                one.epoch = one.epoch.max(claim.epoch);
            }
        }
    }

    /// Lets words pass between nodes, and breaks links.
    pub(crate) fn pass_words(&mut self) {
        for process in 0..self.processes.len() {
            if !self.is_running(process) {
                continue;
            }
            let links: Vec<_> = self.processes[process].links.iter().copied().collect();
            for other in links {
                self.watch_link(process, other);
            }
            let mut rest = VecDeque::new();
            let mut blocked = BTreeSet::new();
            while let Some((from, to, time, word)) = self.processes[process].words.pop_front() {
                let target = self.process_of(to);
                let passes = self.reaches(process)
                    && time <= self.now
                    && !blocked.contains(&to)
                    && target.is_some_and(|target| self.reaches(target));
                match target {
                    _ if !passes => {
                        blocked.insert(to);
                        rest.push_back((from, to, time, word));
                    }
                    Some(target) if self.processes[target].links.contains(&from) => {
                        if self.is_running(target) {
                            self.hear(target, from, word);
                        } else {
                            blocked.insert(to);
                            rest.push_back((from, to, time, word));
                        }
                    }
                    // the other end knows no such node yet
                    Some(target) => {
                        self.give(target, Input::Stranger(from));
                        blocked.insert(to);
                        rest.push_back((from, to, time, word));
                    }
                    None => {}
                }
            }
            self.processes[process].words.append(&mut rest);
        }
    }

    pub(crate) fn watch_link(&mut self, process: usize, other: NodeId) {
        let node = self.processes[process].state.node();
        let target = self.process_of(other);
        let works = self.reaches(process)
            && target.is_some_and(|target| {
                self.reaches(target)
                    && self.is_running(target)
                    && self.processes[target].links.contains(&node)
            });
        let key = (node, other);
        if works {
            self.stalled.remove(&key);
            if self.broken.contains(&key) && !self.broken.contains(&(other, node)) {
                // up when both ends know that it was broken
                self.broken.insert((other, node));
                self.give(target.unwrap(), Input::Link { node, is_up: false });
            }
            if self.broken.remove(&key) {
                self.broken.remove(&(other, node));
                self.processes[process].words.retain(|(_, to, ..)| *to != other);
                let target = target.unwrap();
                self.processes[target].words.retain(|(_, to, ..)| *to != node);
                self.give(process, Input::Link { node: other, is_up: true });
                self.give(target, Input::Link { node, is_up: true });
                self.name_all(process, target);
                self.name_all(target, process);
            }
        } else {
            let since = *self.stalled.entry(key).or_insert(self.now);
            if self.now - since > 5000 && self.broken.insert(key) {
                self.processes[process].words.retain(|(_, to, ..)| *to != other);
                self.give(process, Input::Link { node: other, is_up: false });
            }
        }
    }

    /// One node says which members of the other are on its pages, and that this is all.
    pub(crate) fn name_all(&mut self, process: usize, other: usize) {
        let (node, there) =
            (self.processes[process].state.node(), self.processes[other].state.node());
        let pages: Vec<_> = self.processes[process].actors.keys().cloned().collect();
        for page in pages {
            let actor = &self.processes[process].actors[&page];
            let gone: Vec<_> = actor
                .members
                .iter()
                .filter(|(session, at)| {
                    let is_on = |one: &Session| one.is_member && one.process == other;
                    **at == there && !self.sessions.get(session).is_some_and(is_on)
                })
                .map(|(session, _)| *session)
                .collect();
            for session in gone {
                self.leave_page(process, &page, session);
            }
        }
        let bound: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, one)| one.process == other && one.is_member)
            .filter(|(_, one)| {
                matches!(one.at, Some(Whereabouts::There { node: at, .. }) if at == node)
            })
            .map(|(session, one)| (*session, one.page.clone(), one.bound))
            .collect();
        for (session, page, bound) in bound {
            let actor = self.processes[process].actors.get(&page);
            let left = Floor { epoch: Epoch(0), fence: bound };
            match actor {
                Some(actor) if actor.members.contains_key(&session) => {}
                Some(_) => {
                    let joining = Joining { session, bound, resumes: true, request: () };
                    self.send(other, node, Word::Join(page, joining));
                }
                None => self.send(process, there, Word::Left(page, left)),
            }
        }
    }
}
