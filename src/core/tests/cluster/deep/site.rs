//! What one process has: pages, branches, links and sessions, and how they are joined together. It
//! stands for the server's actors.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use peerstar_core::cluster::branch::BranchInput;
use peerstar_core::cluster::entry::{Delivery, Entry, Join, Place, ToBranch};
use peerstar_core::cluster::io::{Input as NodeInput, Joining, Output as NodeOutput, Whereabouts};
use peerstar_core::cluster::registry::Record;
use peerstar_core::cluster::{Fence, NodeId};
use peerstar_core::directory::Incarnation;
use peerstar_core::page::member::{JoinRequest, Rights, Way};
use peerstar_core::page::{Assignment, Env, Handover, Input, Output, PageState};
use peerstar_core::protocol::claim::Claim;
use peerstar_core::protocol::id::{Capabilities, PageKey, SessionId, Token};
use peerstar_core::protocol::incoming;
use peerstar_core::protocol::outgoing::Frame;
use peerstar_core::session::{
    Identity, Reaction, SessionEnv, SessionInput, SessionOutput, SessionState,
};
use peerstar_core::time::Time;

use crate::queue::{S, Us};
use crate::redis::Process;
use crate::script::Name;

use super::browser::{Said, is_reachable};
use super::paths::{Path, Root, to_page_entry};
use super::{Deep, Event, W};

/// How long a join may take (C8).
const ANSWERED: Us = 10 * S;
/// Most inputs that wait for a page that may not decide (C6).
const MOST_WAITING: usize = 10_000;

/// Where a session's page is, as the session knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Address {
    Here(Incarnation),
    /// At a branch, which sessions see as a page that never dies.
    There,
}

/// A page here.
#[derive(Debug)]
pub(super) struct Actor {
    pub incarnation: Incarnation,
    pub fence: Fence,
    pub page: PageState,
    /// The nodes of members that are not here.
    pub remote: BTreeMap<SessionId, NodeId>,
    pub announced: Option<Claim>,
    waiting: VecDeque<Input>,
    /// Whether its outputs are being carried out: what they cause comes after them.
    is_busy: bool,
    timer: u64,
    timer_at: Option<Time>,
    timer_waits: bool,
}

/// A session here.
#[derive(Debug)]
pub(super) struct Session {
    pub who: Name,
    pub key: PageKey,
    pub state: SessionState<Address>,
    /// The highest fence that it was bound to.
    pub bound: Fence,
    /// When it first asked, until it is answered.
    pub asked: Option<Us>,
    pub heard: Time,
    pub texts: u64,
    /// The last host that was announced to all members.
    pub announced: Option<Claim>,
    tick: u64,
    tick_at: Option<Time>,
}

/// All that one process has.
#[derive(Debug, Default)]
pub(super) struct Site {
    pub node: Option<NodeId>,
    pub pages: BTreeMap<PageKey, Actor>,
    pub branches: BTreeMap<PageKey, Root>,
    pub sessions: BTreeMap<SessionId, Session>,
    pub links: BTreeMap<NodeId, Path>,
    /// What sessions of a branch say to the page that is here now.
    joins: BTreeMap<SessionId, Join>,
}

impl Site {
    fn runs(
        pages: &BTreeMap<PageKey, Actor>,
        branches: &BTreeMap<PageKey, Root>,
        key: &PageKey,
        at: Address,
    ) -> bool {
        match at {
            Address::Here(life) => pages.get(key).is_some_and(|page| page.incarnation == life),
            Address::There => branches.contains_key(key),
        }
    }
}

impl Deep {
    pub(super) fn site(&mut self, process: Process) -> &mut Site {
        if self.sites.len() <= process {
            self.sites.resize_with(process + 1, Site::default);
        }
        &mut self.sites[process]
    }

    /// A process is a node from now on.
    pub(super) fn begin(&mut self, io: W<'_>, process: Process) {
        let node = io.machines[process].id;
        let site = self.site(process);
        site.node = Some(node);
        site.links.clear();
    }

    pub(super) fn at_node(&mut self, io: W<'_>, process: Process, event: Event) {
        let local = io.machines[process].local(io.now);
        match event {
            Event::Opened { session, who, page, claim } => {
                self.opened(io, process, session, who, page, claim);
            }
            Event::Text(session, text) => self.read(io, process, session, &text),
            Event::Pong(session) => self.heard(io, process, session),
            Event::Gone(session, code) => {
                self.session(io, process, session, SessionInput::ClientClosed(code));
                self.end_session(io, process, session);
            }
            Event::Tick(session, number) => {
                if let Some(one) = self.site(process).sessions.get_mut(&session)
                    && one.tick == number
                {
                    one.tick_at = None;
                    if one.state.next_tick() <= local {
                        self.session(io, process, session, SessionInput::Tick);
                    }
                    self.arm_session(io, process, session);
                }
            }
            Event::PageTimer(key, incarnation, number) => {
                if let Some(actor) = self.site(process).pages.get_mut(&key)
                    && (actor.incarnation, actor.timer) == (incarnation, number)
                {
                    actor.timer_at = None;
                    self.page(io, process, &key, Input::Timer);
                }
            }
            Event::Link(node, number) => {
                self.link_due(io, process, node, number);
            }
            Event::Branch(key, number) => self.branch_due(io, process, &key, number),
            Event::Decide => self.catch_up(io, process),
            Event::Dial(..) | Event::Impatient(..) | Event::Awake(_) | Event::ToBrowser(..) => {}
        }
    }

    // ---- sessions

    fn opened(
        &mut self,
        io: W<'_>,
        process: Process,
        session: SessionId,
        who: Name,
        key: PageKey,
        claim: Option<Claim>,
    ) {
        let local = io.machines[process].local(io.now);
        let Some(browser) = self.browsers.get(&who) else { return };
        let identity = Identity {
            key: key.clone(),
            id: browser.id.clone(),
            token: Token::parse(&who).ok(),
            group: 2,
            can: Capabilities::default(),
            rights: Rights::ALL,
            claim,
        };
        let rules = Arc::clone(&self.session_rules);
        let state = SessionState::new(session, identity, None, rules, local);
        let one = Session {
            who,
            key,
            state,
            bound: Fence(0),
            asked: Some(io.now),
            heard: local,
            texts: 0,
            announced: None,
            tick: 0,
            tick_at: None,
        };
        self.site(process).sessions.insert(session, one);
        self.session(io, process, session, SessionInput::Start);
    }

    /// Lets a session handle an input.
    pub(super) fn session(
        &mut self,
        io: W<'_>,
        process: Process,
        session: SessionId,
        input: SessionInput<Address>,
    ) {
        let local = io.machines[process].local(io.now);
        let Site { sessions, pages, branches, .. } = self.site(process);
        let Some(one) = sessions.get_mut(&session) else { return };
        let key = one.key.clone();
        let runs = |at: &Address| Site::runs(pages, branches, &key, *at);
        let announced = one.announced.clone();
        let env = SessionEnv {
            now: local,
            runs: &runs,
            announced: &|| announced.clone(),
            as_of: one.heard,
            holds_handshake: false,
        };
        let mut out = Vec::new();
        one.state.handle(&env, input, &mut out);
        self.session_outputs(io, process, session, &key, out);
        self.arm_session(io, process, session);
    }

    fn arm_session(&mut self, io: W<'_>, process: Process, session: SessionId) {
        let now = io.now;
        let Some(one) = self.site(process).sessions.get_mut(&session) else { return };
        let at = one.state.next_tick();
        if one.tick_at != Some(at) {
            one.tick += 1;
            one.tick_at = Some(at);
            let event = Event::Tick(session, one.tick);
            let at = io.machines[process].global(now, at).max(now + 1000);
            io.add(None, at - now, Some(process), event);
        }
    }

    fn session_outputs(
        &mut self,
        io: W<'_>,
        process: Process,
        session: SessionId,
        key: &PageKey,
        out: Vec<SessionOutput<Address>>,
    ) {
        for output in out {
            match output {
                SessionOutput::Join(request) => self.ask(io, process, session, key, *request),
                SessionOutput::Seek => {
                    io.feed(process, NodeInput::Seek { page: key.clone(), session });
                }
                SessionOutput::Resume { page, request } => {
                    let known = self.site(process).joins.remove(&session);
                    let request = known.map_or(*request, |known| known.request);
                    let bound = self.site(process).sessions.get(&session).map(|one| one.bound);
                    let fence = self.site(process).pages.get(key).map(|one| one.fence);
                    match page {
                        Address::Here(_) if bound <= fence => {
                            let request = JoinRequest { way: Way::Local, ..request };
                            self.page(io, process, key, Input::Join(request));
                        }
                        Address::Here(_) | Address::There => {
                            self.ask(io, process, session, key, request);
                        }
                    }
                }
                SessionOutput::Forward(input) => self.to_page(io, process, session, key, input),
                SessionOutput::Ping => self.write(io, process, session, Said::Ping),
                SessionOutput::Close { close, .. } => {
                    self.write(io, process, session, Said::Closed(close));
                    self.end_session(io, process, session);
                }
                SessionOutput::ForgetInFlight
                | SessionOutput::ReleaseHandshake
                | SessionOutput::RenewIce => {}
            }
        }
    }

    fn ask(
        &mut self,
        io: W<'_>,
        process: Process,
        session: SessionId,
        key: &PageKey,
        request: JoinRequest,
    ) {
        let Some(one) = self.site(process).sessions.get(&session) else { return };
        let (bound, resumes) = (one.bound, request.resumed.is_some());
        let join = Join { request, proof: None, seat: None, contacts: Vec::new() };
        let joining = Joining { session, bound, resumes, request: join };
        io.feed(process, NodeInput::Join { page: key.clone(), joining });
    }

    /// A session is gone.
    pub(super) fn end_session(&mut self, io: W<'_>, process: Process, session: SessionId) {
        let Some(one) = self.site(process).sessions.remove(&session) else { return };
        let departure = one.state.departure();
        // while nobody knows where the page lives, its node is not told
        self.branch(io, process, &one.key, BranchInput::SocketClosed { session, departure });
        io.feed(process, NodeInput::Departed { page: one.key, session, departure });
    }

    pub(super) fn write(&mut self, io: W<'_>, process: Process, session: SessionId, said: Said) {
        let Some(one) = self.site(process).sessions.get(&session) else { return };
        let who = one.who.clone();
        self.to_browser(io, process, &who, session, said);
    }

    /// Bytes of a client have arrived.
    fn heard(&mut self, io: W<'_>, process: Process, session: SessionId) {
        let local = io.machines[process].local(io.now);
        let Some(one) = self.site(process).sessions.get_mut(&session) else { return };
        one.heard = local;
        if let Some(alive) = one.state.sign_of_life() {
            self.forward(io, process, session, alive);
        }
    }

    fn read(&mut self, io: W<'_>, process: Process, session: SessionId, text: &str) {
        self.heard(io, process, session);
        let Some(one) = self.site(process).sessions.get_mut(&session) else { return };
        one.texts += 1;
        let Ok(message) = incoming::read(&one.state.identity().id, text) else {
            return io.fail(|| format!("a browser says nonsense: {text}"));
        };
        match one.state.react(message) {
            Reaction::Ignore => {}
            Reaction::Answer(frame) => self.write(io, process, session, Said::Frame(frame)),
            Reaction::ToPage(input) => self.forward(io, process, session, input),
            Reaction::Signal { kind, dst, frame } => {
                self.forward(io, process, session, Input::Forward { session, kind, dst, frame });
            }
            Reaction::Close { close, detail } => {
                self.session(io, process, session, SessionInput::Close { close, detail });
            }
        }
    }

    /// Sends an input to the page of a session, or keeps it.
    pub(super) fn forward(
        &mut self,
        io: W<'_>,
        process: Process,
        session: SessionId,
        input: Input,
    ) {
        let Site { sessions, pages, branches, .. } = self.site(process);
        let Some(one) = sessions.get_mut(&session) else { return };
        let key = one.key.clone();
        let runs = |at: &Address| Site::runs(pages, branches, &key, *at);
        if let Some(input) = one.state.forward(input, runs) {
            self.to_page(io, process, session, &key, input);
        }
    }

    fn to_page(
        &mut self,
        io: W<'_>,
        process: Process,
        session: SessionId,
        key: &PageKey,
        input: Input,
    ) {
        let site = self.site(process);
        let at = site.sessions.get(&session).and_then(|one| one.state.page().copied());
        match at {
            Some(Address::Here(_)) => self.page(io, process, key, input),
            Some(Address::There) => {
                if let Some(said) = to_page_entry(input) {
                    self.branch(io, process, key, BranchInput::Said(said));
                }
            }
            None => {}
        }
    }

    /// A session hears where its page lives.
    fn located(
        &mut self,
        io: W<'_>,
        process: Process,
        session: SessionId,
        key: &PageKey,
        at: Whereabouts,
    ) {
        let address = self.address(io, process, key, at);
        self.session(io, process, session, SessionInput::PageLost(Some(address)));
    }

    /// Returns the address of a page. One on another node has a branch here from now on.
    fn address(&mut self, io: W<'_>, process: Process, key: &PageKey, at: Whereabouts) -> Address {
        match at {
            Whereabouts::Here { incarnation, .. } => {
                let site = self.site(process);
                if let Some(root) = site.branches.remove(key) {
                    // the branch knows best what its sessions were told
                    let joins = root.branch.joins();
                    site.joins.extend(joins.map(|one| (one.request.session, one)));
                }
                Address::Here(incarnation)
            }
            Whereabouts::There { node, fence } => {
                self.root(process, key, node, fence);
                self.branch(io, process, key, BranchInput::Lives { node, fence });
                Address::There
            }
        }
    }

    /// A session is a member of a life of its page.
    pub(super) fn bind(&mut self, io: W<'_>, process: Process, session: SessionId, fence: Fence) {
        let Some(one) = self.site(process).sessions.get_mut(&session) else { return };
        if fence < one.bound {
            let bound = one.bound;
            io.fail(|| format!("C3 {session:?} is bound to {fence:?} after {bound:?}"));
        }
        one.bound = one.bound.max(fence);
        one.asked = None;
    }

    // ---- pages

    /// Gives a page an input, or keeps it until the page may decide.
    pub(super) fn page(&mut self, io: W<'_>, process: Process, key: &PageKey, input: Input) {
        let may_decide = io.machines[process].may_decide(io.now);
        let Some(actor) = self.site(process).pages.get_mut(key) else { return };
        if may_decide && actor.waiting.is_empty() && !actor.is_busy {
            self.page_step(io, process, key, input);
            return self.catch_up_page(io, process, key);
        }
        if matches!(input, Input::Timer) {
            actor.timer_waits = true;
            return;
        }
        actor.waiting.push_back(input);
        if actor.waiting.len() > MOST_WAITING {
            io.fail(|| format!("C6 {key:?} holds {MOST_WAITING} inputs"));
        }
    }

    fn catch_up(&mut self, io: W<'_>, process: Process) {
        let keys: Vec<PageKey> = self.site(process).pages.keys().cloned().collect();
        for key in keys {
            self.catch_up_page(io, process, &key);
        }
    }

    /// Has a page handle what waits for it.
    fn catch_up_page(&mut self, io: W<'_>, process: Process, key: &PageKey) {
        while io.machines[process].may_decide(io.now)
            && let Some(actor) = self.site(process).pages.get_mut(key)
            && !actor.is_busy
        {
            if let Some(input) = actor.waiting.pop_front() {
                self.page_step(io, process, key, input);
            } else if std::mem::take(&mut actor.timer_waits) {
                self.page_step(io, process, key, Input::Timer);
            } else {
                break;
            }
        }
    }

    fn page_step(&mut self, io: W<'_>, process: Process, key: &PageKey, input: Input) {
        let machine = &io.machines[process];
        let local = machine.local(io.now);
        let epochs = machine.epoch_time(io.now);
        let random = io.prng.next();
        let Site { sessions, pages, .. } = self.site(process);
        let Some(actor) = pages.get_mut(key) else { return };
        let last_heard = |session| sessions.get(&session).map_or(local, |one: &Session| one.heard);
        let texts_sent = |session| sessions.get(&session).map_or(0, |one: &Session| one.texts);
        let env =
            Env { now: local, epochs, random, last_heard: &last_heard, texts_sent: &texts_sent };
        let shown = io.log.is_some().then(|| format!("{input:?}"));
        let mut out = Vec::new();
        let was_busy = std::mem::replace(&mut actor.is_busy, true);
        actor.page.handle(env, input, &mut out);
        if let Some(shown) = shown {
            io.note(|| {
                format!("{process} {key:?} <- {}", shown.chars().take(160).collect::<String>())
            });
        }
        let announced = actor.page.announced_epoch();
        io.machines[process].note_epoch(io.now, announced);
        if out
            .iter()
            .any(|output| matches!(output, Output::Elected { .. } | Output::Welcome { .. }))
        {
            io.decides(process);
        }
        self.page_outputs(io, process, key, out);
        let Some(actor) = self.site(process).pages.get_mut(key) else { return };
        actor.is_busy = was_busy;
        if let Err(violation) = actor.page.check() {
            io.fail(|| format!("page {key:?}: {violation}"));
        }
        self.arm_page(io, process, key);
    }

    fn arm_page(&mut self, io: W<'_>, process: Process, key: &PageKey) {
        let now = io.now;
        let Some(actor) = self.site(process).pages.get_mut(key) else { return };
        let Some(at) = actor.page.next_deadline().map(|next| next.at) else { return };
        if actor.timer_at != Some(at) && !actor.timer_waits {
            actor.timer += 1;
            actor.timer_at = Some(at);
            let event = Event::PageTimer(key.clone(), actor.incarnation, actor.timer);
            let at = io.machines[process].global(now, at);
            io.add(None, at - now, Some(process), event);
        }
    }

    fn page_outputs(&mut self, io: W<'_>, process: Process, key: &PageKey, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Welcome { to, open, assignment } => {
                    let claim = assignment.map(Assignment::into_claim);
                    self.welcome(io, process, key, to, open, claim);
                }
                Output::AnnounceHost { to, frame, assignment } => {
                    let hosts = assignment.hosting;
                    let claim = assignment.into_claim();
                    let delivery = if hosts { Delivery::Urgent } else { Delivery::Page };
                    self.announce(io, process, key, to, frame, delivery, claim);
                }
                Output::AnnounceHostToOthers(announcement) => {
                    let claim = announcement.assignment.clone().into_claim();
                    let mut others = Vec::new();
                    if let Some(actor) = self.site(process).pages.get_mut(key) {
                        actor.announced = Some(claim.clone());
                        actor.page.announce_to_others(&announcement, |to, frame| {
                            others.push((to, frame));
                        });
                    }
                    for (to, frame) in others {
                        let claim = claim.clone();
                        self.announce(io, process, key, to, frame, Delivery::Page, claim);
                    }
                    self.announced(io, process, key, &claim);
                }
                Output::Send { to, frame } => {
                    self.deliver(io, process, key, to, frame, Delivery::Page, None);
                }
                Output::Relay { to, frame } => {
                    self.deliver(io, process, key, to, frame, Delivery::HostData, None);
                }
                Output::Forward { to, frame, from } => {
                    let delivery =
                        if from.is_some() { Delivery::Signal } else { Delivery::PeerData };
                    self.deliver(io, process, key, to, frame, delivery, from);
                }
                Output::RosterChange { to, frame } => {
                    self.deliver(io, process, key, to, frame, Delivery::News, None);
                }
                Output::Ping(to) => match self.node_of(process, key, to) {
                    None => self.session(io, process, to, SessionInput::Ping),
                    Some(node) => self.say(io, process, key, node, ToBranch::Ping(to)),
                },
                Output::Probe { to, frame } => {
                    if let Some(node) = self.node_of(process, key, to) {
                        self.say(io, process, key, node, ToBranch::Probe { to, frame });
                    }
                }
                Output::Dismiss { session, close } => match self.node_of(process, key, session) {
                    None => {
                        let input = SessionInput::Close { close, detail: None };
                        self.session(io, process, session, input);
                    }
                    Some(node) => {
                        self.say(io, process, key, node, ToBranch::Dismiss { session, close });
                    }
                },
                Output::Left { .. } => {}
                Output::Elected { assignment, .. } => {
                    if !io.machines[process].may_decide(io.now) {
                        io.fail(|| format!("C7 {process} elects on {key:?} without a lease"));
                    }
                    let claim = assignment.into_claim();
                    io.note(|| format!("{process} elects {claim:?} on {key:?}"));
                    self.host_named(io, key, &claim);
                }
                Output::Idle { joins_seen } => {
                    let Some(actor) = self.site(process).pages.get(key) else { return };
                    let (incarnation, announced) =
                        (actor.incarnation, actor.page.announced_epoch());
                    let page = key.clone();
                    io.feed(process, NodeInput::Idle { page, incarnation, joins_seen, announced });
                }
                Output::NotAllowed | Output::Deputy { .. } => {}
            }
        }
    }

    /// Returns the node of a member that is not here.
    pub(super) fn node_of(
        &mut self,
        process: Process,
        key: &PageKey,
        session: SessionId,
    ) -> Option<NodeId> {
        self.site(process).pages.get(key)?.remote.get(&session).copied()
    }

    fn place(&mut self, process: Process, key: &PageKey) -> Option<Place> {
        let fence = self.site(process).pages.get(key)?.fence;
        Some(Place { page: key.clone(), fence })
    }

    /// Says something to the branch of a page on another node.
    pub(super) fn say(
        &mut self,
        io: W<'_>,
        process: Process,
        key: &PageKey,
        node: NodeId,
        said: ToBranch,
    ) {
        if let Some(place) = self.place(process, key) {
            self.push(io, process, node, Entry::ToBranch(place, said));
        }
    }

    pub(super) fn welcome(
        &mut self,
        io: W<'_>,
        process: Process,
        key: &PageKey,
        to: SessionId,
        open: Option<Frame>,
        claim: Option<Claim>,
    ) {
        if let Some(node) = self.node_of(process, key, to) {
            let said = ToBranch::Welcome { to, open, claim, seat: None };
            return self.say(io, process, key, node, said);
        }
        let Some(actor) = self.site(process).pages.get(key) else { return };
        let (fence, address) = (actor.fence, Address::Here(actor.incarnation));
        self.bind(io, process, to, fence);
        self.joined(io, process, key, to, address, open, claim);
    }

    #[expect(clippy::too_many_arguments, reason = "one word of a page, and to whom")]
    pub(super) fn joined(
        &mut self,
        io: W<'_>,
        process: Process,
        key: &PageKey,
        to: SessionId,
        page: Address,
        open: Option<Frame>,
        claim: Option<Claim>,
    ) {
        if let Some(open) = open {
            self.write(io, process, to, Said::Frame(open));
        }
        if let Some(claim) = &claim {
            self.tell_node(io, process, key, claim);
        }
        self.session(io, process, to, SessionInput::Joined { page, claim });
    }

    /// Tells the node of a host that was announced here.
    pub(super) fn tell_node(&mut self, io: W<'_>, process: Process, key: &PageKey, claim: &Claim) {
        let is_local = self.site(process).sessions.values().any(|one| {
            one.key == *key && one.state.is_member() && one.state.identity().id == claim.host
        });
        let page = key.clone();
        io.feed(process, NodeInput::Announced { page, claim: claim.clone(), is_local });
    }

    /// Tells a member who hosts.
    #[expect(clippy::too_many_arguments, reason = "one word of a page, and to whom")]
    fn announce(
        &mut self,
        io: W<'_>,
        process: Process,
        key: &PageKey,
        to: SessionId,
        frame: Frame,
        delivery: Delivery,
        claim: Claim,
    ) {
        if let Some(node) = self.node_of(process, key, to) {
            let tells = Some(claim);
            let said = ToBranch::Frame { to: vec![to], frame, delivery, from: None, tells };
            return self.say(io, process, key, node, said);
        }
        self.write(io, process, to, Said::Frame(frame));
        if let Some(one) = self.site(process).sessions.get_mut(&to) {
            one.announced = Some(claim.clone());
        }
        if delivery == Delivery::Urgent {
            self.tell_node(io, process, key, &claim);
            self.session(io, process, to, SessionInput::Hosts(claim));
        }
    }

    fn announced(&mut self, io: W<'_>, process: Process, key: &PageKey, claim: &Claim) {
        self.tell_node(io, process, key, claim);
        for node in self.nodes(process, key) {
            self.say(io, process, key, node, ToBranch::Announced(Some(claim.clone())));
        }
    }

    pub(super) fn nodes(&mut self, process: Process, key: &PageKey) -> Vec<NodeId> {
        let Some(actor) = self.site(process).pages.get(key) else { return Vec::new() };
        let mut nodes: Vec<NodeId> = actor.remote.values().copied().collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    #[expect(clippy::too_many_arguments, reason = "one word of a page, and to whom")]
    fn deliver(
        &mut self,
        io: W<'_>,
        process: Process,
        key: &PageKey,
        to: SessionId,
        frame: Frame,
        delivery: Delivery,
        from: Option<(SessionId, peerstar_core::protocol::id::PeerId)>,
    ) {
        match self.node_of(process, key, to) {
            None => self.write(io, process, to, Said::Frame(frame)),
            Some(node) => {
                let tells = None;
                let said = ToBranch::Frame { to: vec![to], frame, delivery, from, tells };
                self.say(io, process, key, node, said);
            }
        }
    }

    fn stop(&mut self, io: W<'_>, process: Process, key: &PageKey, incarnation: Incarnation) {
        let site = self.site(process);
        if site.pages.get(key).is_none_or(|actor| actor.incarnation != incarnation) {
            return;
        }
        if let Some(actor) = site.pages.remove(key) {
            let announced = actor.page.announced_epoch();
            io.feed(process, NodeInput::Stopped { page: key.clone(), incarnation, announced });
        }
    }

    pub(super) fn carry_out(&mut self, io: W<'_>, process: Process, output: NodeOutput<Join>) {
        match output {
            NodeOutput::Create { page, incarnation, fence, announced, claim } => {
                let local = io.machines[process].local(io.now);
                let rules = Arc::clone(&self.rules);
                let mut handover = Handover::above(announced);
                handover.claim = claim;
                handover.is_alone = None;
                let actor = Actor {
                    incarnation,
                    fence,
                    page: PageState::new(page.clone(), rules, local, handover),
                    remote: BTreeMap::new(),
                    announced: None,
                    waiting: VecDeque::new(),
                    is_busy: false,
                    timer: 0,
                    timer_at: None,
                    timer_waits: false,
                };
                if self.site(process).pages.insert(page.clone(), actor).is_some() {
                    io.fail(|| format!("C9 {process} creates {page:?} twice"));
                }
                self.arm_page(io, process, &page);
            }
            NodeOutput::Recreate { .. } | NodeOutput::Abandon { .. } => {}
            NodeOutput::DrainPage { page, incarnation } => {
                self.page_step(io, process, &page, Input::Drain);
                self.stop(io, process, &page, incarnation);
            }
            NodeOutput::Retire { page, incarnation } => self.stop(io, process, &page, incarnation),
            NodeOutput::Yield { page, incarnation, was_alone } => {
                if was_alone {
                    self.page_step(io, process, &page, Input::Alone(true));
                }
                self.stop(io, process, &page, incarnation);
            }
            NodeOutput::Fence { page, fence } => {
                let Some(actor) = self.site(process).pages.get_mut(&page) else { return };
                if fence < actor.fence {
                    io.fail(|| format!("C3 the fence of {page:?} falls to {fence:?}"));
                }
                let incarnation = actor.incarnation;
                actor.fence = fence;
                for one in self.site(process).sessions.values_mut() {
                    if one.key == page && one.state.page() == Some(&Address::Here(incarnation)) {
                        one.bound = one.bound.max(fence);
                    }
                }
                for node in self.nodes(process, &page) {
                    let announced =
                        self.site(process).pages.get(&page).and_then(|one| one.announced.clone());
                    self.say(io, process, &page, node, ToBranch::Announced(announced));
                }
            }
            NodeOutput::Alone { page, alone } => {
                self.page_step(io, process, &page, Input::Alone(alone));
            }
            NodeOutput::Adrift { page } => {
                self.branch(io, process, &page, BranchInput::Lost);
            }
            NodeOutput::Locate { page, at, sessions } => {
                self.address(io, process, &page, at);
                for session in sessions {
                    self.located(io, process, session, &page, at);
                }
                self.site(process).joins.clear();
            }
            NodeOutput::Forget { page } => {
                self.site(process).branches.remove(&page);
            }
            NodeOutput::Tell { session, page, at } => self.located(io, process, session, &page, at),
            NodeOutput::Admit { page, joining, from } => {
                let Some(actor) = self.site(process).pages.get_mut(&page) else { return };
                if actor.fence < joining.bound {
                    let fence = actor.fence;
                    io.fail(|| format!("C3 {page:?} at {fence:?} admits {joining:?}"));
                    return;
                }
                match from {
                    Some(node) => actor.remote.insert(joining.session, node),
                    None => actor.remote.remove(&joining.session),
                };
                let way = from.map_or(Way::Local, Way::Node);
                let request = JoinRequest { way, ..joining.request.request };
                self.page(io, process, &page, Input::Join(request));
            }
            NodeOutput::Depart { page, session, departure } => {
                self.page(io, process, &page, Input::SocketClosed { session, departure });
            }
            NodeOutput::PassJoin { to, page, joining } => {
                self.root(process, &page, to, joining.bound);
                let lives = BranchInput::Lives { node: to, fence: joining.bound };
                self.branch(io, process, &page, lives);
                let join = BranchInput::Join(Box::new(joining.request));
                self.branch(io, process, &page, join);
            }
            NodeOutput::PassDeparture { page, session, departure, .. } => {
                let closed = BranchInput::SocketClosed { session, departure };
                self.branch(io, process, &page, closed);
            }
            NodeOutput::ReturnJoin { to, page, joining } => {
                let place = Place { page, fence: joining.bound };
                let said = ToBranch::JoinReturned(joining.session);
                self.push(io, process, to, Entry::ToBranch(place, said));
            }
            NodeOutput::TellLeft { to, page, left } => {
                let place = Place { page, fence: left.fence };
                self.push(io, process, to, Entry::ToBranch(place, ToBranch::PageLost(None)));
            }
            NodeOutput::Close { session, close } => {
                self.session(io, process, session, SessionInput::Close { close, detail: None });
            }
            NodeOutput::OpenLink(node) => self.open_link(io, process, node),
            NodeOutput::CloseLink(node) => self.close_link(io, process, node),
            NodeOutput::Call(..)
            | NodeOutput::Reconnect
            | NodeOutput::Identity(_)
            | NodeOutput::Slot(_)
            | NodeOutput::Epoch(_)
            | NodeOutput::Deciding(_)
            | NodeOutput::Changed(_)
            | NodeOutput::Drained => {}
        }
    }

    // ---- checks

    pub(super) fn actors<'a>(&'a self, key: &'a PageKey) -> impl Iterator<Item = Process> + 'a {
        self.sites
            .iter()
            .enumerate()
            .filter(|(_, site)| site.pages.contains_key(key))
            .map(|(p, _)| p)
    }

    /// C8, C9 and C10.
    pub(super) fn check_deciding(&self, io: W<'_>) {
        let mut deciding: BTreeMap<&PageKey, Process> = BTreeMap::new();
        for (process, site) in self.sites.iter().enumerate() {
            for (session, one) in &site.sessions {
                if one.asked.is_some_and(|at| io.now > at.max(io.paused_until(process)) + ANSWERED)
                {
                    return io.fail(|| format!("C8 {} {session:?} is not answered", one.who));
                }
            }
            if site.node.is_none() || !io.machines[process].may_decide(io.now) {
                continue;
            }
            for (key, actor) in &site.pages {
                if let Some(other) = deciding.insert(key, process) {
                    return io.fail(|| format!("C9 {key:?} decides on {other} and {process}"));
                }
                let is_of = |record: &Record| Some(record.node) == site.node;
                let record = io.redis.registry().record(key).cloned();
                if !actor.page.is_empty() && !record.as_ref().is_some_and(is_of) {
                    let node = site.node;
                    return io.fail(|| format!("C10 {key:?} is on {node:?}, record {record:?}"));
                }
            }
        }
    }

    /// C15.
    pub(super) fn check_slots(&self, io: W<'_>) {
        let mut slots = BTreeMap::new();
        for (process, machine) in io.machines.iter().enumerate() {
            if let Some(slot) = machine.slot.filter(|_| machine.lives())
                && let Some(other) = slots.insert(slot, process)
            {
                return io.fail(|| format!("C15 {other} and {process} have {slot:?}"));
            }
        }
    }

    /// C11 and C12: the page is one, and all its members know.
    pub(super) fn check_page(&self, io: W<'_>, key: &PageKey) {
        let wanting: Vec<_> = self
            .browsers
            .iter()
            .filter(|(_, one)| one.page == *key && is_reachable(io, one))
            .collect();
        let actors: Vec<_> = self.actors(key).collect();
        if wanting.is_empty() {
            return;
        }
        let [process] = actors[..] else {
            return io.fail(|| format!("C11 {key:?} has actors on {actors:?}"));
        };
        let actor = &self.sites[process].pages[key];
        let Some((epoch, host)) = actor.page.assignment().filter(|_| !actor.page.is_recovering())
        else {
            return io.fail(|| format!("C11 {key:?} on {process} has no host"));
        };
        let claim = Claim { epoch, host };
        for (who, browser) in wanting {
            let session = browser.socket;
            let known = session
                .and_then(|one| Some((one, self.sites[browser.process].sessions.get(&one)?)));
            let is_bound = known.is_some_and(|(session, one)| {
                one.state.is_member()
                    && one.bound == actor.fence
                    && actor.page.id_of(session) == Some(&browser.id)
            });
            if !is_bound {
                let (at, bound) = (browser.process, known.map(|(_, one)| one.bound));
                let fence = actor.fence;
                return io.fail(|| {
                    format!("C11 {who} ({session:?} at {at}, {bound:?}) is not on {key:?} at {process}, {fence:?}")
                });
            }
            if browser.told.as_ref() != Some(&claim) {
                let told = &browser.told;
                return io.fail(|| format!("C11 {who} believes {told:?} and not {claim:?}"));
            }
        }
        for (session, node) in &actor.remote {
            let exists = self
                .sites
                .iter()
                .any(|site| site.node == Some(*node) && site.sessions.contains_key(session));
            if !exists && actor.page.id_of(*session).is_some() {
                return io.fail(|| format!("C12 {key:?} has {session:?}, which is gone"));
            }
        }
    }
}
