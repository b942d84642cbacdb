//! The wide kind: many nodes and pages, where a page is no more than its members, host and fence,
//! and a link no more than numbered entries. Everything that nodes and the registry decide is real.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use peerstar_core::cluster::io::{Deciding, Input, Joining, Output, Whereabouts};
use peerstar_core::cluster::{Fence, Floor, NodeId};
use peerstar_core::directory::Incarnation;
use peerstar_core::page::member::Departure;
use peerstar_core::protocol::claim::Claim;
use peerstar_core::protocol::close::Close;
use peerstar_core::protocol::id::{Epoch, PageKey, PageName, PeerId, SessionId};

use crate::queue::{MS, S, Us};
use crate::redis::Process;
use crate::script::{Deed, Expected, Name};
use crate::world::{Body, Io};

/// How long a page waits for a host that is claimed.
const RECOVERY: Us = 5 * S;
/// How often a session asks that has no page yet.
const JOIN_RETRY: Us = 4 * S;
/// How often a member asks that has lost its page.
const SEEK_RETRY: Us = 500 * MS;
/// How long a join may take (C8).
const ANSWERED: Us = 10 * S;

/// Who wants to be on a page.
#[derive(Debug, Clone)]
pub(crate) struct Asks {
    peer: PeerId,
    claim: Option<Claim>,
}

/// What nodes say to each other about pages.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    Join(PageKey, Joining<Asks>),
    Departed(PageKey, SessionId, Departure),
    Returned(PageKey, Joining<Asks>),
    Left(PageKey, Floor),
    /// A session is a member.
    Welcome(PageKey, Fence, SessionId),
    /// The host, as all members of that node are told.
    Host(PageKey, Fence, Claim, Vec<SessionId>),
    Fence(PageKey, Fence),
    Closed(SessionId),
    /// Asks for `Here`.
    Who(PageKey),
    /// Of the sessions of that node these are members, and no others.
    Here(PageKey, Fence, Vec<SessionId>),
}

/// A bag of the wide kind.
#[derive(Debug)]
pub(crate) struct Bag {
    from: NodeId,
    /// Grows when the link breaks.
    life: u64,
    first: u64,
    entries: Vec<Entry>,
    acknowledged: u64,
    is_answer: bool,
}

/// A way between two nodes: entries arrive once and in order, or it breaks.
#[derive(Debug)]
struct Link {
    life: u64,
    is_up: bool,
    next: u64,
    waiting: VecDeque<Entry>,
    unheard_since: Option<Us>,
    received: u64,
    /// Whether it will look whether its entries were acknowledged.
    looks: bool,
}

#[derive(Debug)]
struct Member {
    from: Option<NodeId>,
    peer: PeerId,
}

#[derive(Debug)]
struct Actor {
    incarnation: Incarnation,
    fence: Fence,
    announced: Epoch,
    expected: Option<(Claim, Us)>,
    host: Option<(Claim, SessionId)>,
    members: BTreeMap<SessionId, Member>,
    joins_seen: u64,
    waiting: VecDeque<(Joining<Asks>, Option<NodeId>)>,
    departed: Vec<SessionId>,
    alone: bool,
    idle_said: bool,
}

/// The pages and links of one process.
#[derive(Debug, Default)]
struct Site {
    node: Option<NodeId>,
    actors: BTreeMap<PageKey, Actor>,
    links: BTreeMap<NodeId, Link>,
    sessions: BTreeMap<PageKey, BTreeSet<SessionId>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Joining { since: Us },
    Member,
    Lost,
}

#[derive(Debug)]
struct Session {
    who: Name,
    page: PageKey,
    process: Process,
    stage: Stage,
    bound: Fence,
    asks: u64,
}

#[derive(Debug)]
struct Browser {
    page: PageKey,
    peer: PeerId,
    session: Option<SessionId>,
    told: Option<Claim>,
    dials: u64,
    wants: bool,
}

/// What happens to the body.
#[derive(Debug)]
pub(crate) enum Event {
    /// A browser dials, if the number is still its own.
    Dial(Name, u64),
    /// A session asks again.
    Ask(SessionId, u64),
    /// A link looks whether its entries were acknowledged.
    Resend(NodeId, NodeId),
    /// A page has waited for its host for long enough.
    Recovered(PageKey, Fence),
    /// An empty page looks whether the clock is past its epoch.
    Idle(PageKey),
    /// Pages look whether they may decide now.
    Decide,
}

/// All pages, sessions and browsers.
#[derive(Debug, Default)]
pub(crate) struct Wide {
    sites: Vec<Site>,
    sessions: BTreeMap<SessionId, Session>,
    browsers: BTreeMap<Name, Browser>,
    /// Every host that was ever named: (page, epoch) → host.
    named: BTreeMap<(PageKey, Epoch), PeerId>,
    last_session: u64,
    /// Number of pages that ever had an actor.
    pub pages: u64,
}

type W<'a> = &'a mut Io<Wide>;

pub(crate) fn page_key(name: &str) -> PageKey {
    PageName::parse(name).map_or(PageKey::Pageless, PageKey::Named)
}

impl Wide {
    fn site(&mut self, process: Process) -> &mut Site {
        if self.sites.len() <= process {
            self.sites.resize_with(process + 1, Site::default);
        }
        &mut self.sites[process]
    }

    // ---- browsers

    fn dial(&mut self, io: W<'_>, who: &Name, process: Process) {
        let Some(browser) = self.browsers.get_mut(who) else { return };
        self.last_session += 1;
        let session = SessionId(self.last_session);
        browser.session = Some(session);
        browser.dials += 1;
        let page = browser.page.clone();
        self.sessions.insert(
            session,
            Session {
                who: who.clone(),
                page: page.clone(),
                process,
                stage: Stage::Joining { since: io.now },
                bound: Fence(0),
                asks: 0,
            },
        );
        self.site(process).sessions.entry(page).or_default().insert(session);
        self.ask(io, session);
    }

    /// Has a browser dial after a while.
    fn redial(&mut self, io: W<'_>, who: &Name) {
        let Some(browser) = self.browsers.get_mut(who) else { return };
        browser.session = None;
        browser.dials += 1;
        let after = io.prng.range(100 * MS, 1500 * MS);
        io.add(None, after, None, Event::Dial(who.clone(), browser.dials));
    }

    /// Ends a session at its node. Its browser may dial again.
    fn end_session(&mut self, io: W<'_>, session: SessionId, departure: Departure) {
        let Some(Session { who, page, process, .. }) = self.sessions.remove(&session) else {
            return;
        };
        let site = self.site(process);
        if let Some(all) = site.sessions.get_mut(&page) {
            all.remove(&session);
            if all.is_empty() {
                site.sessions.remove(&page);
            }
        }
        io.feed(process, Input::Departed { page, session, departure });
        let browser = self.browsers.get(&who);
        if browser.is_some_and(|browser| browser.session == Some(session) && browser.wants) {
            self.redial(io, &who);
        }
    }

    fn request(&self, session: SessionId) -> Option<Joining<Asks>> {
        let one = self.sessions.get(&session)?;
        let browser = self.browsers.get(&one.who)?;
        let resumes = !matches!(one.stage, Stage::Joining { .. });
        let request = Asks { peer: browser.peer.clone(), claim: browser.told.clone() };
        Some(Joining { session, bound: one.bound, resumes, request })
    }

    /// A session asks for its page, and will ask again.
    fn ask(&mut self, io: W<'_>, session: SessionId) {
        let joining = self.request(session);
        let (Some(one), Some(joining)) = (self.sessions.get_mut(&session), joining) else {
            return;
        };
        one.asks += 1;
        let (page, process) = (one.page.clone(), one.process);
        let (retry, input) = match one.stage {
            Stage::Joining { .. } => (JOIN_RETRY, Input::Join { page, joining }),
            Stage::Lost => (SEEK_RETRY, Input::Seek { page, session }),
            Stage::Member => return,
        };
        io.add(None, retry, Some(process), Event::Ask(session, one.asks));
        io.feed(process, input);
    }

    /// A session hears where its page lives.
    fn located(&mut self, io: W<'_>, session: SessionId, at: Whereabouts) {
        let Some(one) = self.sessions.get_mut(&session) else { return };
        if one.stage == Stage::Member {
            one.stage = Stage::Lost;
            self.ask_later(io, session);
        }
        let Some(joining) = self.request(session) else { return };
        let one = &self.sessions[&session];
        let (page, process) = (one.page.clone(), one.process);
        match at {
            Whereabouts::Here { fence, .. } if joining.resumes && joining.bound <= fence => {
                self.admit(io, process, &page, joining, None);
            }
            Whereabouts::Here { .. } | Whereabouts::There { .. } => {
                io.feed(process, Input::Join { page, joining });
            }
        }
    }

    fn ask_later(&mut self, io: W<'_>, session: SessionId) {
        if let Some(one) = self.sessions.get_mut(&session) {
            one.asks += 1;
            io.add(None, SEEK_RETRY, Some(one.process), Event::Ask(session, one.asks));
        }
    }

    /// A session is a member now, of this life of its page.
    fn welcomed(&mut self, io: W<'_>, process: Process, session: SessionId, fence: Fence) {
        let Some(one) = self.sessions.get_mut(&session) else { return };
        if fence < one.bound {
            let bound = one.bound;
            io.fail(|| format!("C3 session {session:?} is bound to {fence:?} after {bound:?}"));
        }
        one.bound = one.bound.max(fence);
        one.stage = Stage::Member;
        one.asks += 1;
        let page = one.page.clone();
        io.note(|| format!("{process} session {session:?} is a member of {page:?} {fence:?}"));
    }

    /// A session hears who hosts.
    fn told(&mut self, io: W<'_>, session: SessionId, fence: Fence, claim: &Claim) {
        let Some(one) = self.sessions.get(&session) else { return };
        if fence < one.bound {
            return;
        }
        let Some(browser) = self.browsers.get_mut(&one.who) else { return };
        if browser.session != Some(session) {
            return;
        }
        let older = browser.told.as_ref().is_some_and(|told| told.epoch > claim.epoch);
        if older {
            let (who, told) = (one.who.clone(), browser.told.clone());
            io.fail(|| format!("C2 {who} is told {claim:?} after {told:?}"));
        }
        browser.told = Some(claim.clone());
    }

    // ---- pages

    fn admit(
        &mut self,
        io: W<'_>,
        process: Process,
        page: &PageKey,
        joining: Joining<Asks>,
        from: Option<NodeId>,
    ) {
        let may_decide = io.machines[process].may_decide(io.now);
        let Some(actor) = self.site(process).actors.get_mut(page) else { return };
        if !may_decide {
            if actor.waiting.len() >= 1000 {
                io.fail(|| format!("C6 {page:?} holds 1000 joins"));
            }
            actor.waiting.push_back((joining, from));
            return;
        }
        if actor.fence < joining.bound {
            let fence = actor.fence;
            io.fail(|| format!("C3 {page:?} at {fence:?} admits {joining:?}"));
        }
        let session = joining.session;
        if !joining.resumes {
            actor.joins_seen += 1;
        }
        actor.idle_said = false;
        let Asks { peer, claim } = joining.request;
        let again =
            actor.members.iter().find(|(one, member)| member.peer == peer && **one != session);
        let replaced = again.map(|(one, member)| (*one, member.from));
        actor.members.insert(session, Member { from, peer: peer.clone() });
        if let Some((old, old_from)) = replaced {
            actor.members.remove(&old);
            if let Some((_, host)) = actor.host.as_mut().filter(|(_, host)| *host == old) {
                *host = session;
            }
            self.close(io, process, old, old_from, Close::Replaced);
        }
        self.welcome(io, process, page, session, from);
        self.weigh(io, process, page, session, &peer, claim);
        self.idle(io, process, page);
    }

    fn welcome(
        &mut self,
        io: W<'_>,
        process: Process,
        page: &PageKey,
        session: SessionId,
        from: Option<NodeId>,
    ) {
        let Some(fence) = self.site(process).actors.get(page).map(|actor| actor.fence) else {
            return;
        };
        match from {
            None => self.welcomed(io, process, session, fence),
            Some(node) => {
                self.push(io, process, node, Entry::Welcome(page.clone(), fence, session));
            }
        }
    }

    /// Decides whether a member changes who hosts, as a page does.
    fn weigh(
        &mut self,
        io: W<'_>,
        process: Process,
        page: &PageKey,
        session: SessionId,
        peer: &PeerId,
        claim: Option<Claim>,
    ) {
        let now = io.now;
        if let Some(claim) = &claim {
            io.machines[process].note_epoch(now, claim.epoch);
        }
        let Some(actor) = self.site(process).actors.get_mut(page) else { return };
        if let Some((hosting, _)) = &actor.host {
            match claim {
                Some(claim)
                    if claim.epoch > hosting.epoch
                        || claim.epoch == hosting.epoch && claim.host != hosting.host =>
                {
                    actor.announced = actor.announced.max(claim.epoch);
                    let host = actor.host.as_ref().map(|(_, host)| *host);
                    self.elect(io, process, page, host);
                }
                _ => self.announce(io, process, page, Some(session)),
            }
            return;
        }
        if let Some(claim) = claim {
            actor.announced = actor.announced.max(claim.epoch);
            if actor.expected.as_ref().is_none_or(|(expected, _)| expected.epoch < claim.epoch) {
                let fence = actor.fence;
                actor.expected = Some((claim, now + RECOVERY));
                io.add(None, RECOVERY, Some(process), Event::Recovered(page.clone(), fence));
            }
        }
        let Some(actor) = self.site(process).actors.get_mut(page) else { return };
        match &actor.expected {
            None => self.elect(io, process, page, Some(session)),
            Some((expected, _)) if expected.host == *peer => {
                if expected.epoch >= actor.announced {
                    actor.host = Some((expected.clone(), session));
                    actor.expected = None;
                    self.announce(io, process, page, None);
                } else {
                    self.elect(io, process, page, Some(session));
                }
            }
            Some(_) => {}
        }
    }

    /// Names a host: this member, or the first.
    fn elect(&mut self, io: W<'_>, process: Process, page: &PageKey, who: Option<SessionId>) {
        if io.machines[process].slot.is_none() {
            return io.fail(|| format!("C1 process {process} has no slot and elects on {page:?}"));
        }
        if !io.machines[process].may_decide(io.now) {
            io.fail(|| format!("C7 process {process} elects on {page:?} without a lease"));
        }
        io.decides(process);
        let (time, random) = (io.machines[process].epoch_time(io.now), io.prng.next());
        let Some(actor) = self.site(process).actors.get_mut(page) else { return };
        actor.expected = None;
        let who = who.filter(|who| actor.members.contains_key(who));
        let Some(session) = who.or_else(|| actor.members.keys().next().copied()) else {
            actor.host = None;
            return;
        };
        let epoch = time.next(actor.announced, random);
        let host = actor.members[&session].peer.clone();
        actor.announced = epoch;
        actor.host = Some((Claim { epoch, host: host.clone() }, session));
        io.machines[process].note_epoch(io.now, epoch);
        io.note(|| format!("{process} elects {host:?} {epoch:?} on {page:?}"));
        let before = self.named.insert((page.clone(), epoch), host.clone());
        if before.as_ref().is_some_and(|before| *before != host) {
            io.fail(|| format!("C1 {page:?} {epoch:?}: {before:?} and {host:?}"));
        }
        self.announce(io, process, page, None);
    }

    /// Tells one member, or all, who hosts.
    fn announce(&mut self, io: W<'_>, process: Process, page: &PageKey, one: Option<SessionId>) {
        let Some(actor) = self.site(process).actors.get(page) else { return };
        let Some((claim, host)) = actor.host.clone() else { return };
        let fence = actor.fence;
        let mut nodes: BTreeMap<NodeId, Vec<SessionId>> = BTreeMap::new();
        let mut local = Vec::new();
        for (session, member) in &actor.members {
            if one.is_none_or(|one| one == *session) {
                match member.from {
                    None => local.push(*session),
                    Some(node) => nodes.entry(node).or_default().push(*session),
                }
            }
        }
        let is_local = actor.members.get(&host).is_some_and(|member| member.from.is_none());
        for session in local {
            self.told(io, session, fence, &claim);
        }
        io.feed(process, Input::Announced { page: page.clone(), claim: claim.clone(), is_local });
        for (node, sessions) in nodes {
            let entry = Entry::Host(page.clone(), fence, claim.clone(), sessions);
            self.push(io, process, node, entry);
        }
    }

    fn depart(&mut self, io: W<'_>, process: Process, page: &PageKey, session: SessionId) {
        let may_decide = io.machines[process].may_decide(io.now);
        let Some(actor) = self.site(process).actors.get_mut(page) else { return };
        actor.waiting.retain(|(one, _)| one.session != session);
        if !may_decide {
            actor.departed.push(session);
            return;
        }
        if actor.members.remove(&session).is_some()
            && actor.host.as_ref().is_some_and(|(_, host)| *host == session)
        {
            actor.host = None;
            self.elect(io, process, page, None);
        }
        self.idle(io, process, page);
    }

    fn idle(&mut self, io: W<'_>, process: Process, page: &PageKey) {
        let time = io.machines[process].epoch_time(io.now);
        let Some(actor) = self.site(process).actors.get_mut(page) else { return };
        let is_idle = actor.members.is_empty()
            && actor.waiting.is_empty()
            && actor.expected.as_ref().is_none_or(|(_, until)| *until <= io.now);
        let rests = time.until_past(actor.announced).as_micros() as Us;
        if is_idle && rests > 0 {
            io.add(None, rests * 2, Some(process), Event::Idle(page.clone()));
        } else if is_idle && !actor.idle_said {
            actor.idle_said = true;
            let (incarnation, joins_seen) = (actor.incarnation, actor.joins_seen);
            let announced = actor.announced;
            io.feed(
                process,
                Input::Idle { page: page.clone(), incarnation, joins_seen, announced },
            );
        }
    }

    fn close(
        &mut self,
        io: W<'_>,
        process: Process,
        session: SessionId,
        from: Option<NodeId>,
        close: Close,
    ) {
        match from {
            None => {
                io.note(|| format!("{process} closes {session:?}: {close:?}"));
                self.end_session(io, session, Departure::Lost);
            }
            Some(node) => self.push(io, process, node, Entry::Closed(session)),
        }
    }

    /// Handles what waited until pages may decide.
    fn catch_up(&mut self, io: W<'_>, process: Process) {
        if !io.machines[process].may_decide(io.now) {
            return;
        }
        let pages: Vec<PageKey> = self
            .site(process)
            .actors
            .iter()
            .filter(|(_, actor)| !actor.waiting.is_empty() || !actor.departed.is_empty())
            .map(|(page, _)| page.clone())
            .collect();
        for page in pages {
            let Some(actor) = self.site(process).actors.get_mut(&page) else { continue };
            let departed = std::mem::take(&mut actor.departed);
            let waiting = std::mem::take(&mut actor.waiting);
            for session in departed {
                self.depart(io, process, &page, session);
            }
            for (joining, from) in waiting {
                self.admit(io, process, &page, joining, from);
            }
        }
    }

    fn stop(&mut self, io: W<'_>, process: Process, page: PageKey, incarnation: Incarnation) {
        let site = self.site(process);
        if site.actors.get(&page).is_none_or(|actor| actor.incarnation != incarnation) {
            return;
        }
        let Some(actor) = site.actors.remove(&page) else { return };
        for (session, member) in &actor.members {
            if member.from.is_none() {
                self.lose(io, *session);
            }
        }
        let announced = actor.announced;
        io.feed(process, Input::Stopped { page, incarnation, announced });
    }

    /// A member's page is gone.
    fn lose(&mut self, io: W<'_>, session: SessionId) {
        if let Some(one) = self.sessions.get_mut(&session)
            && one.stage == Stage::Member
        {
            one.stage = Stage::Lost;
            self.ask_later(io, session);
        }
    }

    // ---- links

    fn push(&mut self, io: W<'_>, process: Process, to: NodeId, entry: Entry) {
        let Some(link) = self.site(process).links.get_mut(&to) else { return };
        link.waiting.push_back(entry);
        let now = io.now;
        link.unheard_since.get_or_insert(now);
        let looks = std::mem::replace(&mut link.looks, true);
        if link.waiting.len() > 100_000 {
            io.fail(|| "C6 a link holds 100,000 entries".to_owned());
        }
        if !looks && let Some(from) = self.site(process).node {
            io.add(None, 200 * MS, Some(process), Event::Resend(from, to));
        }
        self.send(io, process, to, false);
    }

    fn send(&mut self, io: W<'_>, process: Process, to: NodeId, is_answer: bool) {
        let site = self.site(process);
        let (Some(from), Some(link)) = (site.node, site.links.get(&to)) else { return };
        let bag = Bag {
            from,
            life: link.life,
            first: link.next,
            entries: if is_answer { Vec::new() } else { link.waiting.iter().cloned().collect() },
            acknowledged: link.received,
            is_answer,
        };
        io.publish(process, to, Rc::new(bag));
    }

    fn open(&mut self, io: W<'_>, process: Process, to: NodeId) {
        let now = io.now;
        let site = self.site(process);
        let Some(from) = site.node else { return };
        let link = Link {
            life: 1,
            is_up: false,
            next: 0,
            waiting: VecDeque::new(),
            unheard_since: Some(now),
            received: 0,
            looks: true,
        };
        site.links.insert(to, link);
        self.send(io, process, to, false);
        io.add(None, 200 * MS, Some(process), Event::Resend(from, to));
    }

    fn link_changed(&mut self, io: W<'_>, process: Process, node: NodeId, is_up: bool) {
        if let Some(link) = self.site(process).links.get_mut(&node)
            && link.is_up != is_up
        {
            link.is_up = is_up;
            io.feed(process, Input::Link { node, is_up });
            if is_up {
                let site = self.site(process);
                let pages: Vec<PageKey> = site
                    .sessions
                    .keys()
                    .filter(|p| !site.actors.contains_key(*p))
                    .cloned()
                    .collect();
                for page in pages {
                    self.push(io, process, node, Entry::Who(page));
                }
                let pages: Vec<PageKey> = self.site(process).actors.keys().cloned().collect();
                for page in pages {
                    self.say_here(io, process, node, page);
                }
            }
        }
    }

    /// Says who of a node is a member, and that this is all.
    fn say_here(&mut self, io: W<'_>, process: Process, node: NodeId, page: PageKey) {
        let Some(actor) = self.site(process).actors.get(&page) else { return };
        let there = actor.members.iter().filter(|(_, member)| member.from == Some(node));
        let there = there.map(|(session, _)| *session).collect();
        let fence = actor.fence;
        self.push(io, process, node, Entry::Here(page.clone(), fence, there));
        self.announce(io, process, &page, None);
    }

    /// Compares the members that a page has with those that are here.
    fn compare(
        &mut self,
        io: W<'_>,
        process: Process,
        node: NodeId,
        (page, fence): (PageKey, Fence),
        named: &[SessionId],
    ) {
        for session in named {
            if !self.sessions.contains_key(session) {
                let entry = Entry::Departed(page.clone(), *session, Departure::Lost);
                self.push(io, process, node, entry);
            }
        }
        for session in self.site(process).sessions.get(&page).cloned().unwrap_or_default() {
            let one = self.sessions.get(&session);
            let is_member = one.is_some_and(|one| one.stage == Stage::Member && one.bound <= fence);
            if is_member && !named.contains(&session) {
                self.lose(io, session);
                if let Some(joining) = self.request(session) {
                    self.push(io, process, node, Entry::Join(page.clone(), joining));
                }
            }
        }
    }

    /// The way to a node has lost entries: both sides begin again.
    fn break_link(&mut self, io: W<'_>, process: Process, node: NodeId, life: u64) {
        let now = io.now;
        if let Some(link) = self.site(process).links.get_mut(&node) {
            link.waiting.clear();
            (link.life, link.next, link.received) = (life, 0, 0);
            link.unheard_since = Some(now);
            let looks = std::mem::replace(&mut link.looks, true);
            self.link_changed(io, process, node, false);
            if !looks && let Some(from) = self.site(process).node {
                io.add(None, 200 * MS, Some(process), Event::Resend(from, node));
            }
        }
    }

    fn received(&mut self, io: W<'_>, process: Process, bag: &Bag) {
        let node = bag.from;
        let Some(link) = self.site(process).links.get_mut(&node) else {
            return io.feed(process, Input::Stranger(node));
        };
        if bag.life < link.life {
            // the other side does not know yet that the link is broken
            return self.send(io, process, node, true);
        }
        if bag.life > link.life {
            self.break_link(io, process, node, bag.life);
        }
        let Some(link) = self.site(process).links.get_mut(&node) else { return };
        let done = bag.acknowledged.saturating_sub(link.next) as usize;
        link.waiting.drain(..done.min(link.waiting.len()));
        link.next = link.next.max(bag.acknowledged);
        link.unheard_since = (!link.waiting.is_empty()).then_some(io.now);
        let skip = link.received.saturating_sub(bag.first) as usize;
        let fresh: Vec<Entry> = bag.entries.iter().skip(skip).cloned().collect();
        link.received = link.received.max(bag.first + bag.entries.len() as u64);
        self.link_changed(io, process, node, true);
        for entry in fresh {
            self.entry(io, process, node, entry);
        }
        if !bag.is_answer {
            self.send(io, process, node, true);
        }
    }

    fn entry(&mut self, io: W<'_>, process: Process, node: NodeId, entry: Entry) {
        match entry {
            Entry::Join(page, joining) => {
                io.feed(process, Input::JoinFrom { node, page, joining });
            }
            Entry::Departed(page, session, departure) => {
                io.feed(process, Input::DepartedFrom { node, page, session, departure });
            }
            Entry::Returned(page, joining) => {
                io.feed(process, Input::Returned { node, page, joining });
            }
            Entry::Left(page, left) => io.feed(process, Input::PageLeft { node, page, left }),
            Entry::Welcome(page, fence, session) => {
                io.feed(process, Input::Fenced { node, page: page.clone(), fence });
                if self.sessions.get(&session).is_some_and(|one| one.bound <= fence) {
                    self.welcomed(io, process, session, fence);
                    io.feed(process, Input::Joined { page, session });
                }
            }
            Entry::Host(page, fence, claim, sessions) => {
                io.feed(process, Input::Fenced { node, page: page.clone(), fence });
                for session in sessions {
                    self.told(io, session, fence, &claim);
                }
                let is_local = self.browsers.values().any(|browser| {
                    browser.peer == claim.host
                        && browser.session.is_some_and(|one| {
                            self.sessions.get(&one).is_some_and(|one| one.process == process)
                        })
                });
                io.feed(process, Input::Announced { page, claim, is_local });
            }
            Entry::Fence(page, fence) => {
                io.feed(process, Input::Fenced { node, page: page.clone(), fence });
                let sessions = self.site(process).sessions.get(&page).cloned().unwrap_or_default();
                for session in sessions {
                    if let Some(one) = self.sessions.get_mut(&session)
                        && one.stage == Stage::Member
                    {
                        one.bound = one.bound.max(fence);
                    }
                }
            }
            Entry::Closed(session) => self.end_session(io, session, Departure::Lost),
            Entry::Who(page) => self.say_here(io, process, node, page),
            Entry::Here(page, fence, named) => {
                self.compare(io, process, node, (page, fence), &named);
            }
        }
    }

    /// Returns all actors of a page that may decide.
    fn actors<'a>(&'a self, page: &'a PageKey) -> impl Iterator<Item = (Process, &'a Actor)> {
        self.sites.iter().enumerate().filter_map(|(p, site)| Some((p, site.actors.get(page)?)))
    }
}

impl Body for Wide {
    type Join = Asks;
    type Bag = Rc<Bag>;
    type Event = Event;

    fn is_node(&mut self, io: &mut Io<Self>, process: Process) {
        let node = io.machines[process].id;
        let site = self.site(process);
        site.node = Some(node);
        site.links.clear();
    }

    fn died(&mut self, io: &mut Io<Self>, process: Process) {
        *self.site(process) = Site::default();
        let gone: Vec<SessionId> = self
            .sessions
            .iter()
            .filter(|(_, one)| one.process == process)
            .map(|(session, _)| *session)
            .collect();
        for session in gone {
            if let Some(one) = self.sessions.remove(&session)
                && self
                    .browsers
                    .get(&one.who)
                    .is_some_and(|b| b.session == Some(session) && b.wants)
            {
                self.redial(io, &one.who);
            }
        }
    }

    fn reconnected(&mut self, _io: &mut Io<Self>, _process: Process) {}

    fn refused(&mut self, _io: &mut Io<Self>, _event: Event) {}

    fn output(&mut self, io: &mut Io<Self>, process: Process, output: Output<Asks>) {
        match output {
            Output::Deciding(Deciding::No) => {}
            Output::Deciding(_) => io.add(None, 0, Some(process), Event::Decide),
            Output::Create { page, incarnation, fence, announced, claim } => {
                let now = io.now;
                self.pages += 1;
                if claim.is_some() {
                    let event = Event::Recovered(page.clone(), fence);
                    io.add(None, RECOVERY, Some(process), event);
                }
                let actor = Actor {
                    incarnation,
                    fence,
                    announced: announced.max(claim.as_ref().map_or(announced, |c| c.epoch)),
                    expected: claim.map(|claim| (claim, now + RECOVERY)),
                    host: None,
                    members: BTreeMap::new(),
                    joins_seen: 0,
                    waiting: VecDeque::new(),
                    departed: Vec::new(),
                    alone: false,
                    idle_said: false,
                };
                if self.site(process).actors.insert(page.clone(), actor).is_some() {
                    io.fail(|| format!("C9 process {process} creates {page:?} twice"));
                }
            }
            Output::Recreate { .. } | Output::Abandon { .. } => {}
            Output::DrainPage { page, incarnation } => {
                self.stop(io, process, page.clone(), incarnation);
                let sessions = self.site(process).sessions.get(&page).cloned().unwrap_or_default();
                for session in sessions {
                    self.close(io, process, session, None, Close::Restart);
                }
            }
            Output::Retire { page, incarnation } => {
                if let Some(actor) = self.site(process).actors.get(&page)
                    && !actor.members.is_empty()
                {
                    io.fail(|| format!("C11 {page:?} is retired with members"));
                }
                self.stop(io, process, page, incarnation);
            }
            Output::Yield { page, incarnation, .. } => self.stop(io, process, page, incarnation),
            Output::Fence { page, fence } => {
                let Some(actor) = self.site(process).actors.get_mut(&page) else { return };
                if fence < actor.fence {
                    io.fail(|| format!("C3 the fence of {page:?} falls to {fence:?}"));
                }
                actor.fence = fence;
                let members: Vec<_> =
                    actor.members.iter().map(|(session, member)| (*session, member.from)).collect();
                let mut nodes = BTreeSet::new();
                for (session, from) in members {
                    match from {
                        None => {
                            if let Some(one) = self.sessions.get_mut(&session) {
                                one.bound = one.bound.max(fence);
                            }
                        }
                        Some(node) => {
                            nodes.insert(node);
                        }
                    }
                }
                for node in nodes {
                    self.push(io, process, node, Entry::Fence(page.clone(), fence));
                }
            }
            Output::Alone { page, alone } => {
                if let Some(actor) = self.site(process).actors.get_mut(&page) {
                    actor.alone = alone;
                }
            }
            Output::Adrift { page } => {
                let sessions = self.site(process).sessions.get(&page).cloned().unwrap_or_default();
                for session in sessions {
                    self.lose(io, session);
                }
            }
            Output::Locate { at, sessions, .. } => {
                for session in sessions {
                    self.located(io, session, at);
                }
            }
            Output::Tell { session, at, .. } => {
                if self.sessions.get(&session).is_some_and(|one| one.stage == Stage::Lost) {
                    self.located(io, session, at);
                }
            }
            Output::Forget { .. } => {}
            Output::Admit { page, joining, from } => self.admit(io, process, &page, joining, from),
            Output::Depart { page, session, .. } => self.depart(io, process, &page, session),
            Output::PassJoin { to, page, joining } => {
                self.push(io, process, to, Entry::Join(page, joining));
            }
            Output::PassDeparture { to, page, session, departure } => {
                self.push(io, process, to, Entry::Departed(page, session, departure));
            }
            Output::ReturnJoin { to, page, joining } => {
                self.push(io, process, to, Entry::Returned(page, joining));
            }
            Output::TellLeft { to, page, left } => {
                self.push(io, process, to, Entry::Left(page, left));
            }
            Output::Close { session, close } => self.close(io, process, session, None, close),
            Output::OpenLink(node) => self.open(io, process, node),
            Output::CloseLink(node) => {
                self.site(process).links.remove(&node);
                let lost: Vec<_> = self
                    .site(process)
                    .actors
                    .iter()
                    .flat_map(|(page, actor)| {
                        let from = actor.members.iter().filter(|(_, one)| one.from == Some(node));
                        from.map(|(session, _)| (page.clone(), *session)).collect::<Vec<_>>()
                    })
                    .collect();
                for (page, session) in lost {
                    self.depart(io, process, &page, session);
                }
            }
            Output::Call(..)
            | Output::Reconnect
            | Output::Identity(_)
            | Output::Slot(_)
            | Output::Epoch(_)
            | Output::Changed(_)
            | Output::Drained => {}
        }
    }

    fn bag(&mut self, io: &mut Io<Self>, process: Process, bag: Rc<Bag>) {
        self.received(io, process, &bag);
    }

    fn event(&mut self, io: &mut Io<Self>, process: Option<Process>, event: Event) {
        match (event, process) {
            (Event::Dial(who, dials), _) => {
                let open: Vec<Process> = (0..io.machines.len())
                    .filter(|p| io.machines[*p].lives() && !io.machines[*p].is_draining)
                    .collect();
                let waits =
                    self.browsers.get(&who).is_some_and(|one| one.dials == dials && one.wants);
                if waits && open.is_empty() {
                    self.redial(io, &who);
                } else if waits {
                    let process = *io.prng.pick(&open);
                    self.dial(io, &who, process);
                }
            }
            (Event::Ask(session, asks), _) => {
                if self.sessions.get(&session).is_some_and(|one| one.asks == asks) {
                    self.ask(io, session);
                }
            }
            (Event::Resend(from, to), Some(process)) => {
                let now = io.now;
                let site = self.site(process);
                if site.node != Some(from) {
                    return;
                }
                let Some(link) = site.links.get(&to) else { return };
                if link.unheard_since.is_some_and(|since| now > since + 5 * S) {
                    let life = link.life + 1;
                    self.break_link(io, process, to, life);
                }
                if let Some(link) = self.site(process).links.get_mut(&to) {
                    link.looks = !link.waiting.is_empty() || !link.is_up;
                    if link.looks {
                        self.send(io, process, to, false);
                        io.add(None, 200 * MS, Some(process), Event::Resend(from, to));
                    }
                }
            }
            (Event::Recovered(page, fence), Some(process)) => {
                let may_decide = io.machines[process].may_decide(io.now);
                let Some(actor) = self.site(process).actors.get_mut(&page) else { return };
                if actor.fence < fence || actor.expected.is_none() {
                    return;
                }
                if !may_decide {
                    io.add(None, 100 * MS, Some(process), Event::Recovered(page, fence));
                    return;
                }
                if actor.expected.as_ref().is_some_and(|(_, until)| *until <= io.now) {
                    self.elect(io, process, &page, None);
                    self.idle(io, process, &page);
                }
            }
            (Event::Decide, Some(process)) => self.catch_up(io, process),
            (Event::Idle(page), Some(process)) => self.idle(io, process, &page),
            (Event::Resend(..) | Event::Recovered(..) | Event::Decide | Event::Idle(_), None) => {}
        }
    }

    fn member(&mut self, io: &mut Io<Self>, who: &Name, does: &Deed) {
        let session = self.browsers.get(who).and_then(|browser| browser.session);
        match does {
            Deed::Joins { page, node } => {
                let Some(process) = io.named(node) else { return };
                if let Some(session) = session {
                    if let Some(browser) = self.browsers.get_mut(who) {
                        browser.wants = false;
                    }
                    self.end_session(io, session, Departure::Goodbye);
                }
                let Ok(peer) = PeerId::parse(who) else { return };
                let page = page_key(page);
                let dials = self.browsers.get(who).map_or(0, |browser| browser.dials);
                let browser = Browser { page, peer, session: None, told: None, dials, wants: true };
                self.browsers.insert(who.clone(), browser);
                self.dial(io, who, process);
            }
            Deed::Moves { node } => {
                let Some(process) = io.named(node) else { return };
                if let (Some(session), Some(browser)) = (session, self.browsers.get_mut(who)) {
                    browser.wants = false;
                    self.end_session(io, session, Departure::Lost);
                    if let Some(browser) = self.browsers.get_mut(who) {
                        browser.wants = true;
                    }
                    self.dial(io, who, process);
                }
            }
            Deed::Leaves | Deed::Crashes => {
                if let Some(browser) = self.browsers.get_mut(who) {
                    browser.wants = false;
                    browser.session = None;
                }
                if let Some(session) = session {
                    let left = *does == Deed::Leaves;
                    let departure = if left { Departure::Goodbye } else { Departure::Lost };
                    self.end_session(io, session, departure);
                }
                self.browsers.remove(who);
            }
            Deed::Freezes(_)
            | Deed::Cut(_)
            | Deed::Offers(_)
            | Deed::Relays
            | Deed::RelaysTo(_)
            | Deed::Suspects
            | Deed::Trusts
            | Deed::Resigns
            | Deed::Proves => {}
        }
    }

    fn expect(&mut self, io: &mut Io<Self>, expected: &Expected) {
        if let Expected::Well(page) = expected {
            let page = page_key(page);
            self.check_page(io, &page);
        }
    }

    fn check_calm(&mut self, io: &mut Io<Self>) {
        for (session, one) in &self.sessions {
            if let Stage::Joining { since } = one.stage
                && io.now > since.max(io.paused_until(one.process)) + ANSWERED
            {
                let page = &one.page;
                return io.fail(|| format!("C8 {session:?} waits for {page:?} since {since}"));
            }
        }
        let mut deciding: BTreeMap<&PageKey, Process> = BTreeMap::new();
        for (process, site) in self.sites.iter().enumerate() {
            if site.node.is_none() || !io.machines[process].may_decide(io.now) {
                continue;
            }
            for (page, actor) in &site.actors {
                if let Some(other) = deciding.insert(page, process) {
                    return io.fail(|| format!("C9 {page:?} decides on {other} and {process}"));
                }
                let is_of = |record: &peerstar_core::cluster::registry::Record| {
                    Some(record.node) == site.node
                };
                if !actor.members.is_empty() && !io.redis.registry().record(page).is_some_and(is_of)
                {
                    let record = io.redis.registry().record(page).cloned();
                    let node = site.node;
                    return io.fail(|| {
                        format!("C10 {page:?} lives on {process} {node:?}, record {record:?}")
                    });
                }
            }
        }
    }

    fn check_healed(&mut self, io: &mut Io<Self>) {
        let mut slots = BTreeMap::new();
        for (process, machine) in io.machines.iter().enumerate() {
            if let Some(slot) = machine.slot.filter(|_| machine.lives())
                && let Some(other) = slots.insert(slot, process)
            {
                return io.fail(|| format!("C15 {other} and {process} have {slot:?}"));
            }
        }
        if !io.machines.iter().any(|machine| machine.lives() && !machine.is_draining) {
            return;
        }
        let mut pages: BTreeSet<PageKey> =
            self.browsers.values().filter(|one| one.wants).map(|one| one.page.clone()).collect();
        pages.extend(self.sites.iter().flat_map(|site| site.actors.keys().cloned()));
        for page in pages {
            self.check_page(io, &page);
        }
    }
}

impl Wide {
    /// Checks that a page is one, and that all its members know.
    fn check_page(&self, io: &mut Io<Self>, page: &PageKey) {
        let browsers: Vec<_> =
            self.browsers.iter().filter(|(_, one)| one.wants && one.page == *page).collect();
        let actors: Vec<_> = self.actors(page).collect();
        if browsers.is_empty() {
            if let Some((process, actor)) = actors.first() {
                let members = actor.members.len();
                io.fail(|| {
                    format!("C12 {page:?} is on {process} with {members} and nobody wants it")
                });
            }
            return;
        }
        let [(process, actor)] = &actors[..] else {
            let on: Vec<_> = actors.iter().map(|(process, _)| *process).collect();
            return io.fail(|| format!("C11 {page:?} has actors on {on:?}"));
        };
        let Some((claim, _)) = &actor.host else {
            return io.fail(|| format!("C11 {page:?} on {process} has no host"));
        };
        for (who, browser) in browsers {
            let session = browser.session.and_then(|one| Some((one, self.sessions.get(&one)?)));
            let is_bound = session.is_some_and(|(session, one)| {
                one.stage == Stage::Member
                    && one.bound == actor.fence
                    && actor.members.contains_key(&session)
            });
            if !is_bound {
                let fence = actor.fence;
                return io.fail(|| format!("C11 {who} {session:?} is not on {page:?} {fence:?}"));
            }
            if browser.told.as_ref() != Some(claim) {
                let told = &browser.told;
                return io.fail(|| format!("C11 {who} believes {told:?} and not {claim:?}"));
            }
        }
        for session in actor.members.keys() {
            if !self.sessions.contains_key(session) {
                return io.fail(|| format!("C12 {page:?} has {session:?}, which is gone"));
            }
        }
    }
}
