//! A few nodes, a registry, and what happens to them. Pages and sessions are counts: a page is its
//! fence and its members, a session knows the fence that it is bound to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use peerstar_core::cluster::io::{
    CallId, Deciding, Env, Input, Joining, KeeperInput, Output, Whereabouts,
};
use peerstar_core::cluster::node::{NodeRules, NodeState};
use peerstar_core::cluster::registry::{Call, RegistryState, Reply};
use peerstar_core::cluster::{Fence, Floor, Generation, NodeId, Slot};
use peerstar_core::directory::Incarnation;
use peerstar_core::page::member::Departure;
use peerstar_core::protocol::claim::Claim;
use peerstar_core::protocol::close::Close;
use peerstar_core::protocol::id::{Epoch, PageKey, PageName, PeerId, SessionId};
use peerstar_core::time::Time;

/// A small generator of random numbers (splitmix64).
#[derive(Debug)]
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

pub(crate) fn page(n: u64) -> PageKey {
    PageKey::Named(PageName::parse(&format!("page{n}")).unwrap())
}

/// What a node sends to another.
#[derive(Debug, Clone)]
enum Word {
    Join(PageKey, Joining<()>),
    Returned(PageKey, Joining<()>),
    Departed(PageKey, SessionId),
    Left(PageKey, Floor),
    Welcome(PageKey, Fence, SessionId),
    Fence(PageKey, Fence),
    Announce(PageKey, Claim),
}

#[derive(Debug)]
enum Event {
    /// A call reaches the registry.
    Execute {
        process: usize,
        connection: u64,
        call: CallId,
        what: Call,
    },
    Reply {
        process: usize,
        connection: u64,
        call: CallId,
        reply: Reply,
    },
    Dial {
        process: usize,
    },
    DialFails {
        process: usize,
    },
    Tick,
}

#[derive(Debug)]
pub(crate) struct Actor {
    incarnation: Incarnation,
    pub fence: Fence,
    /// The members, and the node of each.
    pub members: BTreeMap<SessionId, NodeId>,
    pub alone: bool,
    joins_seen: u64,
    announced: Epoch,
    host: Option<SessionId>,
}

#[derive(Debug)]
pub(crate) struct Session {
    process: usize,
    pub page: PageKey,
    pub is_member: bool,
    bound: Fence,
    /// Where the session thinks that its page is.
    at: Option<Whereabouts>,
    asked: u64,
    next: u64,
    epoch: Epoch,
}

#[derive(Debug)]
pub(crate) struct Process {
    pub state: NodeState<()>,
    pub is_alive: bool,
    pub frozen_until: u64,
    pub cut_until: u64,
    inbox: VecDeque<Input<()>>,
    connection: Option<u64>,
    deciding: Deciding,
    slot: Option<Slot>,
    epoch: Epoch,
    pub actors: BTreeMap<PageKey, Actor>,
    /// Nodes to which it has links.
    links: BTreeSet<NodeId>,
    is_drained: bool,
    /// The time of its clock runs this much faster, in parts of a thousand.
    rate: i64,
    words: VecDeque<(NodeId, NodeId, u64, Word)>,
}

#[derive(Debug)]
pub(crate) struct World {
    pub now: u64,
    pub random: Random,
    pub registry: RegistryState,
    /// The registry does not answer until then.
    pub hung_until: u64,
    /// Nobody can dial the registry until then.
    pub down_until: u64,
    pub processes: Vec<Process>,
    pub sessions: BTreeMap<SessionId, Session>,
    queue: BTreeMap<(u64, u64), Event>,
    last: u64,
    last_session: u64,
    /// Links that are down, and since when nothing passes between two nodes.
    stalled: BTreeMap<(NodeId, NodeId), u64>,
    broken: BTreeSet<(NodeId, NodeId)>,
    /// The time of the last fault.
    pub fault: u64,
    /// Whether the registry has lost something.
    pub has_forgotten: bool,
    pub joins: u64,
    pub sent_away: u64,
    pub takeovers: u64,
    pub raised: u64,
    pub burials: u64,
    /// Until when a node may decide that was buried while it lived.
    early_until: u64,
    /// Hosts of (page, epoch).
    hosts: BTreeMap<(PageKey, Epoch), SessionId>,
    trace: Option<String>,
}

const RULES: NodeRules = NodeRules { version: 1, max_pages: usize::MAX };
/// Milliseconds since 1970 at the start.
const START: u64 = 1_700_000_000_000;

impl World {
    pub(crate) fn new(seed: u64, nodes: usize) -> Self {
        let mut world = Self {
            now: 0,
            random: Random(seed),
            registry: RegistryState::empty(Generation("g0".into())),
            hung_until: 0,
            down_until: 0,
            processes: Vec::new(),
            sessions: BTreeMap::new(),
            queue: BTreeMap::new(),
            last: 0,
            last_session: 0,
            stalled: BTreeMap::new(),
            broken: BTreeSet::new(),
            fault: 0,
            has_forgotten: false,
            joins: 0,
            sent_away: 0,
            takeovers: 0,
            raised: 0,
            burials: 0,
            early_until: 0,
            hosts: BTreeMap::new(),
            trace: std::env::var("TRACE").ok(),
        };
        for _ in 0..nodes {
            world.start();
        }
        world.at(5, Event::Tick);
        world
    }

    /// With `TRACE` in the environment, says what happens: what contains its value.
    fn note(&self, text: impl FnOnce() -> String) {
        if let Some(filter) = &self.trace {
            let text = text();
            if text.contains(filter) {
                eprintln!("{:>7} {text}", self.now);
            }
        }
    }

    fn at(&mut self, time: u64, event: Event) {
        self.last += 1;
        self.queue.insert((time, self.last), event);
    }

    fn later(&mut self, event: Event) {
        let time = self.now + 1 + self.random.below(4);
        self.at(time, event);
    }

    /// Starts a process.
    pub(crate) fn start(&mut self) {
        let node = NodeId(self.random.next() | 1);
        let rate = self.random.below(200) as i64 - 100;
        let time = Time(self.now);
        let env = Env { now: time, random: 0, epoch: Epoch(0) };
        self.processes.push(Process {
            state: NodeState::new(node, RULES, env),
            is_alive: true,
            frozen_until: 0,
            cut_until: 0,
            inbox: VecDeque::new(),
            connection: None,
            deciding: Deciding::No,
            slot: None,
            epoch: Epoch(0),
            actors: BTreeMap::new(),
            links: BTreeSet::new(),
            is_drained: false,
            rate: 0,
            words: VecDeque::new(),
        });
        let process = self.processes.len() - 1;
        self.processes[process].rate = rate;
        self.later(Event::Dial { process });
    }

    fn clock(&self, process: usize) -> Time {
        let rate = self.processes[process].rate;
        Time((self.now as i64 + self.now as i64 * rate / 1000) as u64)
    }

    pub(crate) fn process_of(&self, node: NodeId) -> Option<usize> {
        self.processes.iter().position(|one| one.is_alive && one.state.node() == node)
    }

    pub(crate) fn is_running(&self, process: usize) -> bool {
        let one = &self.processes[process];
        one.is_alive && one.frozen_until <= self.now
    }

    /// Returns whether a node can talk to the registry.
    fn reaches(&self, process: usize) -> bool {
        let one = &self.processes[process];
        self.down_until <= self.now && self.hung_until <= self.now && one.cut_until <= self.now
    }

    pub(crate) fn decides(&self, process: usize) -> bool {
        let one = &self.processes[process];
        self.is_running(process)
            && match one.deciding {
                Deciding::Until(until) => self.clock(process) < until,
                Deciding::Alone => true,
                Deciding::No => false,
            }
    }

    fn give(&mut self, process: usize, input: Input<()>) {
        if !self.processes[process].is_alive {
            return;
        }
        if !self.is_running(process) {
            self.processes[process].inbox.push_back(input);
            return;
        }
        let now = self.clock(process);
        let random = self.random.next();
        let one = &mut self.processes[process];
        one.epoch = one.epoch.max(Epoch(START + self.now));
        let env = Env { now, random, epoch: one.epoch };
        let mut out = Vec::new();
        self.note(|| format!("{process} <- {input:?}"));
        let one = &mut self.processes[process];
        one.state.handle(env, input, &mut out);
        if let Err(violation) = one.state.check() {
            panic!("{violation:?} at {process}: {:#?}", one.state);
        }
        for output in out {
            self.note(|| format!("{process} -> {output:?}"));
            self.perform(process, output);
        }
    }

    fn hang_up(&mut self, process: usize) {
        self.processes[process].connection = None;
        let node = self.processes[process].state.node();
        self.registry.set_listening(node, false);
    }

    fn perform(&mut self, process: usize, output: Output<()>) {
        let node = self.processes[process].state.node();
        match output {
            Output::Call(call, what) => {
                let Some(connection) = self.processes[process].connection else { return };
                // in order
                let time = self.now + 2;
                self.at(time, Event::Execute { process, connection, call, what });
            }
            Output::Reconnect => {
                self.hang_up(process);
                self.later(Event::Dial { process });
            }
            Output::Identity(_) => {
                self.burials += 1;
                self.processes[process].links.clear();
                self.processes[process].words.clear();
                // the subscription follows
                if self.processes[process].connection.is_some() {
                    self.registry.set_listening(node, true);
                }
            }
            Output::Slot(slot) => self.processes[process].slot = slot,
            Output::Epoch(epoch) => {
                let one = &mut self.processes[process];
                one.epoch = one.epoch.max(epoch);
            }
            Output::Deciding(deciding) => self.processes[process].deciding = deciding,
            Output::Create { page, incarnation, fence, announced, claim } => {
                self.takeovers += u64::from(claim.is_some());
                let host = claim.and_then(|claim| claim.host.as_str().parse().ok().map(SessionId));
                let actor = Actor {
                    incarnation,
                    fence,
                    members: BTreeMap::new(),
                    alone: false,
                    joins_seen: 0,
                    announced,
                    host,
                };
                let before = self.processes[process].actors.insert(page, actor);
                assert!(before.is_none(), "a page is created twice");
            }
            Output::Recreate { page, incarnation, .. } => {
                if let Some(actor) = self.processes[process].actors.get_mut(&page) {
                    actor.incarnation = incarnation;
                    actor.joins_seen = 0;
                }
            }
            Output::Retire { page, .. } => {
                let actor = self.processes[process].actors.remove(&page).unwrap();
                assert!(actor.members.is_empty(), "a page with members retires");
            }
            Output::Abandon { page } => {
                self.processes[process].actors.remove(&page);
            }
            Output::DrainPage { page, .. } => {
                let actor = self.processes[process].actors.remove(&page).unwrap();
                for (session, _) in actor.members.iter().filter(|(_, at)| **at == node) {
                    self.end(*session);
                }
            }
            Output::Yield { page, .. } => {
                self.processes[process].actors.remove(&page).unwrap();
                self.set_adrift(process, &page);
            }
            Output::Adrift { page } => self.set_adrift(process, &page),
            Output::Fence { page, fence } => {
                self.raised += 1;
                let actor = self.processes[process].actors.get_mut(&page).unwrap();
                assert!(fence > actor.fence);
                actor.fence = fence;
                let members: Vec<_> = actor.members.iter().map(|(s, n)| (*s, *n)).collect();
                let mut told = BTreeSet::new();
                for (session, at) in members {
                    if at == node {
                        self.bind(session, fence);
                    } else if told.insert(at) {
                        self.send(process, at, Word::Fence(page.clone(), fence));
                    }
                }
            }
            Output::Alone { page, alone } => {
                self.processes[process].actors.get_mut(&page).unwrap().alone = alone;
            }
            Output::Locate { page, at, sessions } => {
                for session in sessions {
                    self.locate(process, session, &page, at);
                }
            }
            Output::Tell { session, page, at } => {
                if self.sessions.get(&session).is_some_and(|one| one.at.is_none()) {
                    self.locate(process, session, &page, at);
                }
            }
            Output::Forget { .. } => {}
            Output::Admit { page, joining, from } => {
                let actor = self.processes[process].actors.get_mut(&page).unwrap();
                assert!(joining.bound <= actor.fence, "C3: bound to a higher fence");
                actor.joins_seen += u64::from(!joining.resumes);
                self.welcome(process, &page, joining.session, from.unwrap_or(node));
            }
            Output::Depart { page, session, .. } => self.leave_page(process, &page, session),
            Output::PassJoin { to, page, joining } => {
                self.send(process, to, Word::Join(page, joining));
            }
            Output::PassDeparture { to, page, session, .. } => {
                self.send(process, to, Word::Departed(page, session));
            }
            Output::ReturnJoin { to, page, joining } => {
                self.send(process, to, Word::Returned(page, joining));
            }
            Output::TellLeft { to, page, left } => self.send(process, to, Word::Left(page, left)),
            Output::Close { session, close } => {
                assert!(close == Close::Restart);
                if self.sessions.get(&session).is_some_and(|one| !one.is_member) {
                    self.sent_away += 1;
                    self.end(session);
                }
            }
            Output::OpenLink(other) => {
                assert_ne!(other, node);
                let is_new = self.processes[process].links.insert(other);
                assert!(is_new, "a link is opened twice");
            }
            Output::CloseLink(other) => {
                self.processes[process].links.remove(&other);
                self.processes[process].words.retain(|(_, to, ..)| *to != other);
                let pages: Vec<_> = self.processes[process].actors.keys().cloned().collect();
                for page in pages {
                    let actor = &self.processes[process].actors[&page];
                    let gone = actor.members.iter().filter(|(_, at)| **at == other);
                    let gone: Vec<_> = gone.map(|(session, _)| *session).collect();
                    for session in gone {
                        self.leave_page(process, &page, session);
                    }
                }
            }
            Output::Changed(_) => {}
            Output::Drained => {
                self.processes[process].is_drained = true;
                self.kill(process);
            }
        }
    }

    /// A session ends, and its node is told.
    pub(crate) fn end(&mut self, session: SessionId) {
        let Some(one) = self.sessions.remove(&session) else { return };
        let input = Input::Departed { page: one.page, session, departure: Departure::Goodbye };
        self.processes[one.process].inbox.push_back(input);
    }

    fn set_adrift(&mut self, process: usize, page: &PageKey) {
        for one in self.sessions.values_mut() {
            if one.process == process && one.page == *page {
                one.at = None;
            }
        }
    }

    /// A session is told where its page lives.
    fn locate(&mut self, process: usize, session: SessionId, page: &PageKey, at: Whereabouts) {
        let node = self.processes[process].state.node();
        let Some(one) = self.sessions.get_mut(&session) else { return };
        assert_eq!(one.process, process);
        one.at = Some(at);
        let joining = Joining { session, bound: one.bound, resumes: one.is_member, request: () };
        match at {
            _ if !one.is_member => {
                let input = Input::Join { page: page.clone(), joining };
                self.processes[process].inbox.push_back(input);
            }
            Whereabouts::Here { fence, .. } => {
                assert!(one.bound <= fence, "C3: a page here has a lower fence");
                self.welcome(process, page, session, node);
            }
            Whereabouts::There { node: to, .. } => {
                self.send(process, to, Word::Join(page.clone(), joining));
            }
        }
    }

    fn welcome(&mut self, process: usize, page: &PageKey, session: SessionId, at: NodeId) {
        let node = self.processes[process].state.node();
        let actor = self.processes[process].actors.get_mut(page).unwrap();
        actor.members.insert(session, at);
        let fence = actor.fence;
        if at != node {
            self.send(process, at, Word::Welcome(page.clone(), fence, session));
        } else if self.sessions.contains_key(&session) {
            self.bind(session, fence);
            let incarnation = self.processes[process].actors[page].incarnation;
            let one = self.sessions.get_mut(&session).unwrap();
            one.is_member = true;
            one.at = Some(Whereabouts::Here { incarnation, fence });
            let input = Input::Joined { page: page.clone(), session };
            self.processes[process].inbox.push_back(input);
        } else {
            // it ended meanwhile, which is on its way
        }
    }

    fn bind(&mut self, session: SessionId, fence: Fence) {
        if let Some(one) = self.sessions.get_mut(&session) {
            assert!(fence >= one.bound, "C3: bound to a lower fence");
            one.bound = fence;
        }
    }

    fn leave_page(&mut self, process: usize, page: &PageKey, session: SessionId) {
        let Some(actor) = self.processes[process].actors.get_mut(page) else { return };
        actor.members.remove(&session);
        if actor.members.is_empty() {
            let (incarnation, joins_seen) = (actor.incarnation, actor.joins_seen);
            let announced = actor.announced;
            let page = page.clone();
            let input = Input::Idle { page, incarnation, joins_seen, announced };
            self.processes[process].inbox.push_back(input);
        }
    }

    fn send(&mut self, process: usize, to: NodeId, word: Word) {
        let from = self.processes[process].state.node();
        if self.processes[process].links.contains(&to) && !self.broken.contains(&(from, to)) {
            let time = self.now + 1 + self.random.below(3);
            self.processes[process].words.push_back((from, to, time, word));
        }
    }

    fn hear(&mut self, process: usize, from: NodeId, word: Word) {
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
    fn told(&mut self, process: usize, page: &PageKey, claim: &Claim) {
        for one in self.sessions.values_mut() {
            if one.process == process && one.page == *page && one.is_member {
                one.epoch = one.epoch.max(claim.epoch);
            }
        }
    }

    /// Lets words pass between nodes, and breaks links.
    fn pass_words(&mut self) {
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

    fn watch_link(&mut self, process: usize, other: NodeId) {
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
    fn name_all(&mut self, process: usize, other: usize) {
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

    /// A process ends without a word.
    pub(crate) fn kill(&mut self, process: usize) {
        self.hang_up(process);
        let one = &mut self.processes[process];
        one.is_alive = false;
        one.actors.clear();
        self.sessions.retain(|_, session| session.process != process);
    }

    /// A process is told to end. Its sockets are closed.
    pub(crate) fn drain(&mut self, process: usize) {
        self.give(process, Input::Drain);
        let sessions: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, one)| one.process == process)
            .map(|(session, _)| *session)
            .collect();
        sessions.into_iter().for_each(|session| self.end(session));
    }

    /// A new client.
    pub(crate) fn connect(&mut self, process: usize, page: PageKey) {
        self.last_session += 1;
        self.joins += 1;
        let session = SessionId(self.last_session);
        let (asked, next) = (self.now, self.now);
        let one = Session {
            process,
            page,
            is_member: false,
            bound: Fence(0),
            at: None,
            asked,
            next,
            epoch: Epoch(0),
        };
        self.sessions.insert(session, one);
    }

    fn drive_sessions(&mut self) {
        let due: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, one)| one.next <= self.now && self.is_running(one.process))
            .map(|(session, _)| *session)
            .collect();
        for session in due {
            let now = self.now;
            let Some(one) = self.sessions.get_mut(&session) else { continue };
            let (process, page, bound) = (one.process, one.page.clone(), one.bound);
            if !one.is_member {
                one.next = now + 4000;
                let joining = Joining { session, bound, resumes: false, request: () };
                self.give(process, Input::Join { page, joining });
            } else {
                one.next = now + 500;
                if one.at.is_none() {
                    self.give(process, Input::Seek { page, session });
                }
            }
        }
    }

    /// Pages decide: they elect a host if they have none.
    fn act(&mut self) {
        for process in 0..self.processes.len() {
            if !self.is_running(process) {
                continue;
            }
            let pages: Vec<_> = self.processes[process].actors.keys().cloned().collect();
            for page in pages {
                if self.decides(process) {
                    self.decide(process, &page);
                }
            }
        }
    }

    fn decide(&mut self, process: usize, page: &PageKey) {
        let node = self.processes[process].state.node();
        let unsure = self.processes[process].deciding == Deciding::Alone;
        let (slot, clock) = (self.processes[process].slot, self.processes[process].epoch);
        let actor = self.processes[process].actors.get_mut(page).unwrap();
        assert!(!unsure || actor.alone, "C7: decides without the lease, and does not say so");
        let has_host = actor.host.is_some_and(|host| actor.members.contains_key(&host));
        let Some((host, _)) = actor.members.first_key_value() else { return };
        let (host, Some(slot)) = (*host, slot) else { return };
        if has_host {
            return;
        }
        let epoch =
            Epoch(slot.at_least((START + self.now).max(clock.0).max(actor.announced.0 + 1)));
        actor.host = Some(host);
        actor.announced = epoch;
        let at: BTreeSet<_> = actor.members.values().copied().collect();
        let claim = Claim { epoch, host: PeerId::parse(&host.0.to_string()).unwrap() };
        let one = &mut self.processes[process];
        one.epoch = one.epoch.max(epoch);
        let before = self.hosts.insert((page.clone(), epoch), host);
        assert!(before.is_none_or(|before| before == host), "C1: two hosts in one epoch");
        for other in at.iter().filter(|at| **at != node) {
            self.send(process, *other, Word::Announce(page.clone(), claim.clone()));
        }
        self.told(process, page, &claim);
        let is_local = self.processes[process].actors[page].members[&host] == node;
        self.give(process, Input::Announced { page: page.clone(), claim, is_local });
    }

    /// Lets a millisecond pass.
    fn tick(&mut self) {
        for process in 0..self.processes.len() {
            if !self.is_running(process) {
                continue;
            }
            while let Some(input) = self.processes[process].inbox.pop_front() {
                self.give(process, input);
                if !self.is_running(process) {
                    break;
                }
            }
            if !self.processes[process].is_alive {
                continue;
            }
            let now = self.clock(process);
            let mut rounds = 0;
            while self.processes[process].is_alive
                && let Some(next) = self.processes[process].state.next_deadline()
                && next.at <= now
            {
                self.give(process, Input::Timer);
                rounds += 1;
                assert!(rounds < 50, "the timer does not come to rest: {next:?}");
            }
        }
        self.pass_words();
        self.drive_sessions();
        if self.now.is_multiple_of(50) {
            self.act();
        }
        self.check();
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Tick => {
                self.tick();
                // coarse: nothing depends on single milliseconds
                let next = self.now + 5;
                self.at(next, Event::Tick);
            }
            Event::Execute { process, connection, call, what } => {
                if self.down_until > self.now {
                    return;
                }
                // TCP sends again what was lost, also what was asked on a connection that its
                // client has given up
                let back = self.hung_until.max(self.processes[process].cut_until);
                if back > self.now {
                    let time = back + self.random.below(20);
                    self.at(time, Event::Execute { process, connection, call, what });
                    return;
                }
                let (reply, _) = self.registry.apply(&what);
                if let (Call::Bury { node, .. }, Reply::Removed(true)) = (&what, &reply)
                    && self.process_of(*node).is_some()
                {
                    self.early_until = self.now + 5000;
                }
                self.at(self.now + 2, Event::Reply { process, connection, call, reply });
            }
            Event::Reply { process, connection, call, reply } => {
                let one = &self.processes[process];
                if one.cut_until > self.now {
                    let time = one.cut_until + 20;
                    self.at(time, Event::Reply { process, connection, call, reply });
                } else if one.connection == Some(connection) {
                    let input = Input::Keeper(KeeperInput::Replied(call, reply));
                    self.give(process, input);
                }
            }
            Event::Dial { process } => {
                if !self.processes[process].is_alive || self.processes[process].connection.is_some()
                {
                } else if self.processes[process].cut_until > self.now {
                    let time = self.now + 1000;
                    self.at(time, Event::DialFails { process });
                } else if self.down_until > self.now {
                    self.later(Event::DialFails { process });
                } else {
                    self.last += 1;
                    self.processes[process].connection = Some(self.last);
                    let node = self.processes[process].state.node();
                    self.registry.set_listening(node, true);
                    self.give(process, Input::Keeper(KeeperInput::Connected));
                }
            }
            Event::DialFails { process } => {
                self.give(process, Input::Keeper(KeeperInput::DialFailed));
                let time = self.now + 50 + self.random.below(400);
                self.at(time, Event::Dial { process });
            }
        }
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let until = self.now + time.as_millis() as u64;
        while let Some(entry) = self.queue.first_entry() {
            let at = entry.key().0;
            if at > until {
                break;
            }
            self.now = at;
            let event = entry.remove();
            self.event(event);
        }
        self.now = until;
    }

    /// All connections to the registry break.
    pub(crate) fn disconnect_all(&mut self) {
        for process in 0..self.processes.len() {
            self.disconnect(process);
        }
    }

    pub(crate) fn disconnect(&mut self, process: usize) {
        if self.processes[process].is_alive && self.processes[process].connection.is_some() {
            self.hang_up(process);
            self.give(process, Input::Keeper(KeeperInput::Disconnected));
            self.later(Event::Dial { process });
        }
    }

    /// All clients go.
    pub(crate) fn end_all(&mut self) {
        let sessions: Vec<_> = self.sessions.keys().copied().collect();
        sessions.into_iter().for_each(|session| self.end(session));
    }

    /// Returns the number of members.
    pub(crate) fn members(&self) -> usize {
        self.sessions.values().filter(|one| one.is_member).count()
    }

    /// Returns the pages and their fences.
    pub(crate) fn fences(&self) -> Vec<(PageKey, Fence)> {
        let actors = self.processes.iter().flat_map(|process| &process.actors);
        actors.map(|(page, actor)| (page.clone(), actor.fence)).collect()
    }

    /// The registry is restarted without its data.
    pub(crate) fn empty_registry(&mut self, generation: &str) {
        self.has_forgotten = true;
        self.registry.delete_all(Generation(generation.into()));
        self.disconnect_all();
    }

    /// Notes a fault whose effect lasts until `until`.
    pub(crate) fn fault(&mut self, until: u64) {
        self.fault = self.fault.max(until).max(self.now);
    }

    fn check(&self) {
        for (session, one) in &self.sessions {
            let waits = self.now - one.asked;
            let is_excused = self.processes[one.process].frozen_until + 10_000 > self.now
                && self.processes[one.process].frozen_until > 0;
            assert!(
                one.is_member || waits <= 10_000 || is_excused,
                "C8: {session:?} has waited for {waits} ms at {}: {one:?}",
                one.process
            );
        }
        if !self.now.is_multiple_of(50) {
            return;
        }
        let is_calm = self.now > self.fault + 10_000;
        let mut decides: BTreeMap<&PageKey, Vec<usize>> = BTreeMap::new();
        for process in 0..self.processes.len() {
            for (page, actor) in &self.processes[process].actors {
                if self.decides(process) && !actor.alone {
                    decides.entry(page).or_default().push(process);
                }
            }
        }
        for (page, who) in decides {
            // nothing but a registry that forgets, or an early burial, gives a page away twice
            let is_early = self.now < self.early_until;
            let is_excused = !is_calm && (self.has_forgotten || is_early);
            assert!(who.len() < 2 || is_excused, "C9: {page:?} decides on {who:?}");
        }
    }

    /// Returns the pages whose record names a node that does not have them: a lost claim was
    /// carried out late.
    pub(crate) fn orphans(&self) -> Vec<PageKey> {
        let is_orphan = |page: &PageKey, node| {
            self.process_of(node).is_some_and(|at| !self.processes[at].actors.contains_key(page))
        };
        let records = self.registry.records();
        let orphans = records.filter(|(page, record)| is_orphan(page, record.node));
        orphans.map(|(page, _)| page.clone()).collect()
    }

    /// Checks what must hold when nothing has happened for long enough.
    pub(crate) fn check_calm(&self) {
        for process in (0..self.processes.len()).filter(|one| self.processes[*one].is_alive) {
            let node = self.processes[process].state.node();
            for (page, actor) in &self.processes[process].actors {
                let record = self.registry.record(page);
                assert!(
                    record.is_some_and(|record| record.is_of(node, actor.fence)),
                    "C10: {page:?} on {process} at {:?}: {record:?}",
                    actor.fence
                );
                for (session, at) in &actor.members {
                    let is_on = self.sessions.get(session).is_some_and(|one| {
                        one.page == *page && one.bound == actor.fence && one.is_member
                    });
                    assert!(is_on, "C12: {session:?} of {at:?} on {page:?}");
                }
                assert!(!actor.members.is_empty(), "C12: {page:?} on {process} is empty");
            }
        }
        for (session, one) in &self.sessions {
            let node = self.processes[one.process].state.node();
            let actors: Vec<_> = self
                .processes
                .iter()
                .filter(|process| process.is_alive)
                .filter_map(|process| process.actors.get(&one.page))
                .collect();
            assert_eq!(actors.len(), 1, "C11: {session:?} {one:?}");
            assert!(
                !one.is_member || actors[0].members.get(session) == Some(&node),
                "C11: {session:?} {one:?} {:?}",
                actors[0]
            );
        }
    }
}
