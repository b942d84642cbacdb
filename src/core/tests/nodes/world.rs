//! A few nodes, a registry, and what happens to them. Pages and sessions are counts: a page is its
//! fence and its members, a session knows the fence that it is bound to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use peerstar_core::cluster::fingerprint::Fingerprint;
use peerstar_core::cluster::io::{
    CallId, Change, Deciding, Env, Input, Joining, KeeperInput, Output, Whereabouts,
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

use super::random::Random;

pub(crate) fn page(n: u64) -> PageKey {
    PageKey::Named(PageName::parse(&format!("page{n}")).unwrap())
}

/// What a node sends to another.
#[derive(Debug, Clone)]
pub(crate) enum Word {
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
    pub(crate) incarnation: Incarnation,
    pub(crate) fence: Fence,
    /// The members, and the node of each.
    pub(crate) members: BTreeMap<SessionId, NodeId>,
    pub(crate) alone: bool,
    pub(crate) joins_seen: u64,
    pub(crate) announced: Epoch,
    pub(crate) host: Option<SessionId>,
}

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) process: usize,
    pub(crate) page: PageKey,
    pub(crate) is_member: bool,
    pub(crate) bound: Fence,
    /// Where the session thinks that its page is.
    pub(crate) at: Option<Whereabouts>,
    pub(crate) asked: u64,
    pub(crate) next: u64,
    pub(crate) epoch: Epoch,
}

#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) state: NodeState<()>,
    pub(crate) is_alive: bool,
    pub(crate) frozen_until: u64,
    pub(crate) cut_until: u64,
    pub(crate) inbox: VecDeque<Input<()>>,
    pub(crate) connection: Option<u64>,
    pub(crate) deciding: Deciding,
    pub(crate) slot: Option<Slot>,
    pub(crate) epoch: Epoch,
    pub(crate) actors: BTreeMap<PageKey, Actor>,
    /// Nodes to which it has links.
    pub(crate) links: BTreeSet<NodeId>,
    pub(crate) is_drained: bool,
    /// The time of its clock runs this much faster, in parts of a thousand.
    pub(crate) rate: i64,
    /// Its wall clock is this many milliseconds ahead.
    pub(crate) ahead: u64,
    pub(crate) words: VecDeque<(NodeId, NodeId, u64, Word)>,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) random: Random,
    pub(crate) registry: RegistryState,
    /// The registry does not answer until then.
    pub(crate) hung_until: u64,
    /// Nobody can dial the registry until then.
    pub(crate) down_until: u64,
    pub(crate) processes: Vec<Process>,
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    queue: BTreeMap<(u64, u64), Event>,
    pub(crate) last: u64,
    pub(crate) last_session: u64,
    /// Links that are down, and since when nothing passes between two nodes.
    pub(crate) stalled: BTreeMap<(NodeId, NodeId), u64>,
    pub(crate) broken: BTreeSet<(NodeId, NodeId)>,
    /// The time of the last fault.
    pub(crate) fault: u64,
    /// Whether the registry has lost something.
    pub(crate) has_forgotten: bool,
    pub(crate) joins: u64,
    pub(crate) sent_away: u64,
    pub(crate) takeovers: u64,
    pub(crate) raised: u64,
    pub(crate) burials: u64,
    /// Until when a node may decide that was buried while it lived.
    pub(crate) early_until: u64,
    /// Hosts of (page, epoch).
    pub(crate) hosts: BTreeMap<(PageKey, Epoch), SessionId>,
    pub(crate) trace: Option<String>,
    /// What processes said of their standing.
    pub(crate) changes: Vec<(usize, Change)>,
}

pub(crate) const RULES: NodeRules =
    NodeRules { version: 1, max_pages: usize::MAX, settings: Fingerprint::NONE, address: None };
/// Milliseconds since 1970 at the start.
const START: u64 = 1_700_000_000_000;

/// Returns the time by a clock that runs this much faster, in parts of a thousand.
fn by_clock(now: u64, rate: i64) -> Time {
    Time((now as i64 + now as i64 * rate / 1000) as u64)
}

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
            changes: Vec::new(),
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
        self.start_with(RULES);
    }

    pub(crate) fn start_with(&mut self, rules: NodeRules) {
        let node = NodeId(self.random.next() | 1);
        let rate = self.random.below(200) as i64 - 100;
        let env = Env { now: by_clock(self.now, rate), random: 0, epoch: Epoch(0) };
        self.processes.push(Process {
            state: NodeState::new(node, rules, env),
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
            rate,
            ahead: 0,
            words: VecDeque::new(),
        });
        let process = self.processes.len() - 1;
        self.later(Event::Dial { process });
    }

    fn clock(&self, process: usize) -> Time {
        by_clock(self.now, self.processes[process].rate)
    }

    pub(crate) fn process_of(&self, node: NodeId) -> Option<usize> {
        self.processes.iter().position(|one| one.is_alive && one.state.node() == node)
    }

    pub(crate) fn is_running(&self, process: usize) -> bool {
        let one = &self.processes[process];
        one.is_alive && one.frozen_until <= self.now
    }

    /// Returns whether a node can talk to the registry.
    pub(crate) fn reaches(&self, process: usize) -> bool {
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

    pub(crate) fn give(&mut self, process: usize, input: Input<()>) {
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
        one.epoch = one.epoch.max(Epoch(START + self.now + one.ahead));
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
            Output::Changed(change) => self.changes.push((process, change)),
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

    pub(crate) fn bind(&mut self, session: SessionId, fence: Fence) {
        if let Some(one) = self.sessions.get_mut(&session) {
            assert!(fence >= one.bound, "C3: bound to a lower fence");
            one.bound = fence;
        }
    }

    pub(crate) fn leave_page(&mut self, process: usize, page: &PageKey, session: SessionId) {
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
}
