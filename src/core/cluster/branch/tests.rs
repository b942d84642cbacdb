//! A branch and its page over links that lose, repeat and break. The page moves between two nodes,
//! and its former life goes on for a while. The page here knows no more than who its members are
//! and what they were told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::cluster::entry::Entry;
use crate::cluster::link::{Link, LinkEvent, Pushed};
use crate::cluster::random::Random;
use crate::page::election::Policy;
use crate::page::member::{JoinRequest, Rights, Way};
use crate::protocol::ice::IceServers;
use crate::protocol::id::{Capabilities, Epoch, PageName};
use crate::protocol::incoming::{SignalKind, StatusUpdate, Suspicion};
use crate::protocol::outgoing::Terms;

const HERE: NodeId = NodeId(10);

fn id(text: &str) -> PeerId {
    PeerId::parse(text).unwrap()
}

fn page() -> PageKey {
    PageKey::Named(PageName::parse("p").unwrap())
}

fn rules() -> Arc<Rules> {
    let second = Duration::from_secs(1);
    let terms = Terms {
        relay: None,
        resume_ms: 30_000,
        ping_ms: 5000,
        expire_ms: 5000,
        return_ms: 3000,
        profile_bytes: 1024,
        recovery_ms: 5000,
    };
    Arc::new(Rules {
        max_members: 100,
        policy: Policy::Random,
        star: 100,
        deputies: 1,
        recovery: 5 * second,
        timeout: 15 * second,
        host_timeout: 6 * second,
        fresh: 7 * second,
        return_after: 3 * second,
        expire: 5 * second,
        parked_bytes: 1 << 20,
        probe: 2 * second,
        hidden: None,
        terms,
        ice: IceServers::new(Vec::new(), None),
    })
}

fn request(session: u64) -> Box<Join> {
    let request = JoinRequest {
        session: SessionId(session),
        id: id(&session.to_string()),
        token: None,
        group: 2,
        can: Capabilities::default(),
        rights: Rights::ALL,
        address: None,
        way: Way::Local,
        claim: None,
        resumed: None,
    };
    Box::new(Join { request, proof: None, seat: None, contacts: Vec::new() })
}

fn claim(epoch: u64) -> Claim {
    Claim { epoch: Epoch(epoch), host: id("host") }
}

/// One life of the page.
struct Life {
    node: NodeId,
    fence: Fence,
    epoch: u64,
    members: BTreeSet<SessionId>,
    says: Vec<ToBranch>,
}

impl Life {
    fn frame(&self, kind: &str) -> Frame {
        format!("{kind} {} {}", self.fence.0, self.epoch).into()
    }

    fn tell_host(&mut self, to: Vec<SessionId>) {
        let (frame, delivery, tells) =
            (self.frame("HOST"), Delivery::Page, Some(claim(self.epoch)));
        self.says.push(ToBranch::Frame { to, frame, delivery, from: None, tells });
    }

    fn announce(&mut self) {
        self.epoch += 1;
        for session in self.members.clone() {
            self.tell_host(vec![session]);
        }
        self.says.push(ToBranch::Announced(Some(claim(self.epoch))));
    }

    fn say_here(&mut self) {
        let (sessions, host) = (self.members.iter().copied().collect(), Some(claim(self.epoch)));
        self.says.push(ToBranch::Here { sessions, host });
    }

    fn hear(&mut self, word: ToPage, delivered: &mut BTreeSet<String>) {
        match word {
            ToPage::Join(join) => {
                let to = join.request.session;
                if !self.members.insert(to) {
                    return; // asked again
                }
                let told = join.request.claim.map_or(0, |claim| claim.epoch.0);
                let resumes = join.request.resumed.is_some();
                let open = (!resumes).then(|| self.frame("OPEN"));
                let claim = Some(claim(self.epoch));
                self.says.push(ToBranch::Welcome { to, open, claim, seat: Some(Seat(to.0)) });
                if resumes && told > self.epoch {
                    self.epoch = told;
                    self.announce();
                } else if resumes && told < self.epoch {
                    self.tell_host(vec![to]);
                }
            }
            ToPage::SocketClosed { session, .. } => drop(self.members.remove(&session)),
            ToPage::Forward { dst, .. } => drop(delivered.insert(dst.to_string())),
            ToPage::Who => self.say_here(),
            ToPage::Missed(sessions) => {
                let here = sessions.into_iter().filter(|who| self.members.contains(who)).collect();
                self.tell_host(here);
            }
            ToPage::Relay { .. }
            | ToPage::Status { .. }
            | ToPage::Suspect { .. }
            | ToPage::Trust { .. }
            | ToPage::Resign { .. }
            | ToPage::Heartbeat { .. }
            | ToPage::Silent(_)
            | ToPage::Ran { .. }
            | ToPage::Congested(_)
            | ToPage::Undelivered { .. }
            | ToPage::Alive(_)
            | ToPage::LeaveWithoutSocket { .. } => {}
        }
    }
}

/// What a client was told.
#[derive(Default)]
struct Client {
    opens: u64,
    told: (u64, u64),
    is_gone: bool,
    sent: BTreeSet<String>,
}

struct World {
    now: Time,
    branch: Branch,
    inputs: VecDeque<BranchInput>,
    lives: Vec<Life>,
    /// Where the registry says that the page lives.
    record: (NodeId, Fence),
    clients: BTreeMap<SessionId, Client>,
    /// By node: its link to here, that from here, and the bags on both ways.
    links: Vec<(NodeId, [Link; 2], [VecDeque<Bytes>; 2])>,
    seeks: bool,
    delivered: BTreeSet<String>,
    expired: BTreeSet<String>,
    numbers: u64,
}

impl World {
    fn new() -> Self {
        let link = |node| {
            let window = 1 << 20;
            let links = [Link::new(node, HERE, window), Link::new(HERE, node, window)];
            (node, links, Default::default())
        };
        let record = (NodeId(1), Fence(256));
        let life = |(node, fence)| Life {
            node,
            fence,
            epoch: 1,
            members: BTreeSet::new(),
            says: Vec::new(),
        };
        let mut world = Self {
            now: Time(0),
            branch: Branch::new(page(), rules(), record.0, record.1),
            inputs: VecDeque::new(),
            lives: vec![life(record)],
            record,
            clients: BTreeMap::new(),
            links: [NodeId(1), NodeId(2)].map(link).into(),
            seeks: false,
            delivered: BTreeSet::new(),
            expired: BTreeSet::new(),
            numbers: 0,
        };
        for (_, links, _) in &mut world.links {
            links.iter_mut().for_each(|link| link.set_bound(Time(0), true));
        }
        world
    }

    fn link(&mut self, node: NodeId) -> &mut (NodeId, [Link; 2], [VecDeque<Bytes>; 2]) {
        self.links.iter_mut().find(|(other, ..)| *other == node).unwrap()
    }

    /// Hands the inputs to the branch, and does what it wants done.
    fn settle(&mut self) {
        let (now, mut out) = (self.now, Vec::new());
        let (heard, texts) = (move |_| now, |_| 0);
        while let Some(input) = self.inputs.pop_front() {
            let env = BranchEnv { now, last_heard: &heard, texts_sent: &texts };
            self.branch.handle(env, input, &mut out);
            for output in std::mem::take(&mut out) {
                self.perform(output);
            }
        }
        let mut lives = std::mem::take(&mut self.lives);
        for life in &mut lives {
            let place = Place { page: page(), fence: life.fence };
            for word in life.says.drain(..) {
                self.link(life.node).1[0].push(now, &Entry::ToBranch(place.clone(), word));
            }
        }
        self.lives = lives;
    }

    fn perform(&mut self, output: BranchOutput) {
        match output {
            BranchOutput::Tell { node, place, word } => {
                let now = self.now;
                let entry = Entry::ToPage(place, word.clone());
                if self.link(node).1[1].push(now, &entry) != Pushed::Queued {
                    self.inputs.push_back(BranchInput::Undelivered(word));
                }
            }
            BranchOutput::Seek => self.seeks = true,
            BranchOutput::Frame { to, frame, .. } => {
                to.into_iter().for_each(|to| self.read(to, &frame));
            }
            BranchOutput::Welcome { to, open, .. } => {
                open.into_iter().for_each(|open| self.read(to, &open));
            }
            BranchOutput::Expire { dst, .. } => drop(self.expired.insert(dst.to_string())),
            BranchOutput::Hosts { .. }
            | BranchOutput::Announced(_)
            | BranchOutput::Ping(_)
            | BranchOutput::Close { .. } => {}
        }
    }

    /// C2 and C3, at the browser.
    fn read(&mut self, to: SessionId, frame: &Frame) {
        let client = self.clients.get_mut(&to).unwrap();
        let mut words = frame.split(' ');
        if words.next() == Some("OPEN") {
            client.opens += 1;
            assert_eq!(client.opens, 1, "{to:?} is told OPEN twice");
        } else {
            assert_eq!(client.opens, 1, "{to:?} is no member");
        }
        let mut number = || words.next().unwrap().parse::<u64>().unwrap();
        let (fence, epoch) = (number(), number());
        assert!(fence >= client.told.0, "{to:?} hears a life that is over");
        assert!(epoch >= client.told.1, "{to:?} hears an older epoch");
        client.told = (fence, epoch);
    }

    fn take_events(&mut self, node: NodeId) {
        let now = self.now;
        while let Some(event) = self.link(node).1[0].poll_event() {
            match event {
                LinkEvent::Arrived { bag, entries } => {
                    entries.into_iter().for_each(|entry| self.page_hears(node, entry));
                    self.link(node).1[0].handled(now, bag);
                }
                LinkEvent::Up => {
                    let lives = self.lives.iter_mut().filter(|life| life.node == node);
                    lives.for_each(Life::say_here);
                }
                LinkEvent::Down | LinkEvent::HandedBack(_) => {}
            }
        }
        while let Some(event) = self.link(node).1[1].poll_event() {
            let is_home = self.branch.node() == Some(node);
            match event {
                LinkEvent::Arrived { bag, entries } => {
                    for entry in entries {
                        let Entry::ToBranch(Place { fence, .. }, word) = entry else { panic!() };
                        self.inputs.push_back(BranchInput::Heard { node, fence, word });
                    }
                    self.settle();
                    self.link(node).1[1].handled(now, bag);
                }
                LinkEvent::HandedBack(Entry::ToPage(_, word)) => {
                    self.inputs.push_back(BranchInput::Undelivered(word));
                }
                LinkEvent::HandedBack(other) => panic!("{other:?}"),
                LinkEvent::Down if is_home => self.inputs.push_back(BranchInput::LinkDown),
                LinkEvent::Up if is_home => self.inputs.push_back(BranchInput::LinkUp),
                LinkEvent::Down | LinkEvent::Up => {}
            }
            self.settle();
        }
        self.settle();
    }

    fn page_hears(&mut self, node: NodeId, entry: Entry) {
        let Entry::ToPage(place, word) = entry else { panic!() };
        let is_meant = |life: &&mut Life| life.node == node && life.fence == place.fence;
        let life = self.lives.iter_mut().find(is_meant);
        if let Some(life) = life {
            return life.hear(word, &mut self.delivered);
        }
        let mut answers = vec![ToBranch::PageLost(Some(self.record))];
        if let ToPage::Forward { session, dst, .. } = word {
            answers.push(ToBranch::Expired { session, dst });
        }
        for answer in answers {
            let (now, place) = (self.now, place.clone());
            let entry = Entry::ToBranch(place, answer);
            self.link(node).1[0].push(now, &entry);
        }
    }

    fn transfer(&mut self, at: usize, side: usize) {
        let (now, mut buffer) = (self.now, Vec::new());
        let (_, links, ways) = &mut self.links[at];
        while links[side].poll_transmit(now, &mut buffer) {
            ways[1 - side].push_back(Bytes::copy_from_slice(&buffer));
        }
    }

    fn deliver(&mut self, at: usize, side: usize) {
        let now = self.now;
        let (node, links, ways) = &mut self.links[at];
        let node = *node;
        if let Some(bag) = ways[side].pop_front() {
            links[side].receive(now, bag).unwrap();
            self.take_events(node);
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now = Time(self.now.0 + ms);
        let now = self.now;
        for at in 0..self.links.len() {
            let (node, links, _) = &mut self.links[at];
            let node = *node;
            links.iter_mut().for_each(|link| link.tick(now));
            self.take_events(node);
        }
        if self.branch.next_deadline().is_some_and(|at| at <= now) {
            self.inputs.push_back(BranchInput::Timer);
        }
        self.settle();
    }

    fn find(&mut self) {
        if std::mem::take(&mut self.seeks) {
            let (node, fence) = self.record;
            self.inputs.push_back(BranchInput::Lives { node, fence });
            self.settle();
        }
    }

    fn move_page(&mut self, random: &mut Random) {
        let (node, fence) = self.record;
        let last = self.lives.iter().find(|life| life.fence == fence).unwrap();
        let epoch = last.epoch + 1;
        self.record = (NodeId(3 - node.0), Fence(fence.0 + 256));
        let (members, says) = (BTreeSet::new(), Vec::new());
        let (node, fence) = self.record;
        if random.one_in(2) {
            // the others are over at once; else they go on for a while
            self.lives.clear();
        }
        self.lives.push(Life { node, fence, epoch, members, says });
        match random.below(3) {
            0 => self.inputs.push_back(BranchInput::Lost),
            1 => self.inputs.push_back(BranchInput::Lives { node, fence }),
            _ => self.seeks = true,
        }
        self.settle();
    }

    fn step(&mut self, random: &mut Random) {
        let (at, side) = (random.below(2) as usize, random.below(2) as usize);
        let present: Vec<_> =
            self.clients.iter().filter(|(_, client)| !client.is_gone).map(|(s, _)| *s).collect();
        match random.below(24) {
            0 | 1 => {
                self.numbers += 1;
                self.clients.insert(SessionId(self.numbers), Client::default());
                self.inputs.push_back(BranchInput::Join(request(self.numbers)));
                self.settle();
            }
            2 if !present.is_empty() => {
                let session = random.of(&present);
                self.clients.get_mut(&session).unwrap().is_gone = true;
                let departure = Departure::Lost;
                self.inputs.push_back(BranchInput::SocketClosed { session, departure });
                self.settle();
            }
            3..5 if !present.is_empty() => {
                let session = random.of(&present);
                self.numbers += 1;
                let dst = id(&format!("to-{}", self.numbers));
                let client = self.clients.get_mut(&session).unwrap();
                if client.opens > 0 {
                    client.sent.insert(dst.to_string());
                    let (kind, frame) = (SignalKind::Offer, Frame::from_static("OFFER"));
                    let word = ToPage::Forward { session, kind, dst, frame };
                    self.inputs.push_back(BranchInput::Said(word));
                    self.settle();
                }
            }
            5 => {
                let life = random.below(self.lives.len() as u64) as usize;
                self.lives[life].announce();
                self.settle();
            }
            6 => {
                let hash = hash_of(self.lives[0].members.iter().copied());
                self.lives[0].says.push(ToBranch::HereHash(hash));
                self.settle();
            }
            7 if random.one_in(3) => self.move_page(random),
            8 => self.find(),
            9..13 => self.transfer(at, side),
            13..19 => self.deliver(at, side),
            19 => {
                let way = &mut self.links[at].2[side];
                way.truncate(way.len() / 2);
            }
            20 => {
                let copy = self.links[at].2[side].front().cloned();
                self.links[at].2[side].extend(copy);
            }
            21 if self.lives.len() > 1 => drop(self.lives.remove(0)),
            22 | 23 => self.pass(random.of(&[1, 20, 20, 200, 1000, 1000, 5000])),
            _ => {}
        }
    }

    fn heal(&mut self) {
        self.lives.retain(|life| life.fence == self.record.1);
        let (node, fence) = self.record;
        self.inputs.push_back(BranchInput::Lives { node, fence });
        for round in 0..200 {
            for at in 0..2 {
                for side in 0..2 {
                    self.transfer(at, side);
                    while !self.links[at].2[1 - side].is_empty() {
                        self.deliver(at, 1 - side);
                    }
                }
            }
            self.find();
            if round == 100 {
                // who has no answer asks again, and a minute is over
                let silent = self.clients.iter().filter(|(_, c)| c.opens == 0 && !c.is_gone);
                let joins = silent.map(|(session, _)| BranchInput::Join(request(session.0)));
                self.inputs.extend(joins);
                let hash = hash_of(self.lives[0].members.iter().copied());
                self.lives[0].says.push(ToBranch::HereHash(hash));
            }
            self.pass(50);
        }
    }

    /// C11, C12 and C14, as far as a branch has to do with them.
    fn check(&self) {
        let life = &self.lives[0];
        let present = self.clients.iter().filter(|(_, client)| !client.is_gone);
        let sessions: BTreeSet<_> = present.clone().map(|(session, _)| *session).collect();
        assert_eq!(life.members, sessions, "the page has other members");
        for (session, client) in present {
            assert_eq!(client.told, (client.told.0, life.epoch), "{session:?} knows another host");
            assert_eq!(client.opens, 1);
            for sent in &client.sent {
                let ended = self.delivered.contains(sent) || self.expired.contains(sent);
                assert!(ended, "{session:?}: {sent} neither arrived nor expired");
            }
        }
    }
}

fn run(seed: u64, steps: u64) {
    let mut random = Random(seed);
    let mut world = World::new();
    (0..steps).for_each(|_| world.step(&mut random));
    world.heal();
    world.check();
}

#[test]
fn page_and_branch_agree_whatever_was_lost() {
    const STEPS: u64 = 200;
    let schedules = std::env::var("LINK_SCHEDULES").ok().and_then(|n| n.parse().ok());
    for seed in 0..schedules.unwrap_or(1000) {
        if std::panic::catch_unwind(|| run(seed, STEPS)).is_err() {
            let fails = |steps: &u64| std::panic::catch_unwind(|| run(seed, *steps)).is_err();
            let steps = (0..STEPS).find(fails).unwrap_or(STEPS);
            panic!("run({seed}, {steps}) fails");
        }
    }
}

/// A branch with two members, the first of which hosts.
struct Quiet {
    branch: Branch,
    heard: [u64; 2],
    texts: [u64; 2],
}

impl Quiet {
    fn new() -> Self {
        let mut quiet = Self {
            branch: Branch::new(page(), rules(), NodeId(1), Fence(256)),
            heard: [0; 2],
            texts: [0; 2],
        };
        for session in [1, 2] {
            quiet.handle(0, BranchInput::Join(request(session)));
            let host = Some(Claim { epoch: Epoch(1), host: id("1") });
            let (to, open) = (SessionId(session), Some(outgoing_open()));
            quiet.hear(0, 256, ToBranch::Welcome { to, open, claim: host, seat: None });
        }
        quiet
    }

    fn handle(&mut self, now: u64, input: BranchInput) -> Vec<BranchOutput> {
        let (heard, texts) = (self.heard, self.texts);
        let env = BranchEnv {
            now: Time(now),
            last_heard: &|session| Time(heard[session.0 as usize - 1]),
            texts_sent: &|session| texts[session.0 as usize - 1],
        };
        let mut out = Vec::new();
        self.branch.handle(env, input, &mut out);
        out
    }

    fn hear(&mut self, now: u64, fence: u64, word: ToBranch) -> Vec<BranchOutput> {
        self.handle(now, BranchInput::Heard { node: NodeId(1), fence: Fence(fence), word })
    }

    /// Lets time pass until `end`, and returns what is said to the page, and when.
    fn said_until(&mut self, end: u64) -> Vec<(u64, String)> {
        let mut said = Vec::new();
        while let Some(at) = self.branch.next_deadline().filter(|at| at.0 <= end) {
            for output in self.handle(at.0, BranchInput::Timer) {
                let BranchOutput::Tell { word, .. } = output else { panic!("{output:?}") };
                said.push((at.0, format!("{word:?}")));
            }
        }
        said
    }
}

fn outgoing_open() -> Frame {
    crate::protocol::outgoing::open()
}

#[test]
fn a_silent_host_is_reported_sooner_and_once() {
    let mut quiet = Quiet::new();
    let expected =
        [(6000, "Silent(SessionId(1))".to_owned()), (15_000, "Silent(SessionId(2))".to_owned())];
    assert_eq!(quiet.said_until(30_000), expected);
    // who is heard again is judged again
    quiet.heard = [30_000; 2];
    assert_eq!(quiet.said_until(40_000), [(36_000, "Silent(SessionId(1))".to_owned())]);
}

#[test]
fn nobody_is_judged_over_a_link_that_is_down() {
    let mut quiet = Quiet::new();
    let frame = Frame::from_static("PROBE");
    quiet.hear(0, 256, ToBranch::Probe { to: SessionId(1), frame });
    quiet.handle(1000, BranchInput::LinkDown);
    assert_eq!(quiet.said_until(60_000), []);
    quiet.handle(60_000, BranchInput::LinkUp);
    quiet.heard = [59_000, 60_000];
    assert_eq!(quiet.said_until(65_500), [(65_000, "Silent(SessionId(1))".to_owned())]);
}

#[test]
fn a_probe_is_answered_here_and_a_late_text_is_reported() {
    let mut quiet = Quiet::new();
    let (to, frame) = (SessionId(1), Frame::from_static("PROBE"));
    let out = quiet.hear(0, 256, ToBranch::Probe { to, frame: frame.clone() });
    assert!(matches!(&out[..], [BranchOutput::Frame { .. }]));
    let ran = |ran| format!("Ran {{ session: SessionId(1), ran: {ran} }}");
    assert_eq!(quiet.said_until(2000), [(2000, ran(false))]);
    quiet.texts = [1, 0];
    quiet.heard = [3000; 2];
    let said = ToPage::Heartbeat { session: to, epoch: Epoch(1) };
    let out = quiet.handle(3000, BranchInput::Said(said));
    let word = |output: &BranchOutput| {
        let BranchOutput::Tell { word, .. } = output else { panic!("{output:?}") };
        format!("{word:?}")
    };
    let words: Vec<_> = out.iter().map(word).collect();
    assert_eq!(words[0], ran(true));
    assert_eq!(words.len(), 2);
    // one that runs in time
    quiet.hear(4000, 256, ToBranch::Probe { to, frame });
    quiet.texts = [2, 0];
    quiet.heard = [4000; 2];
    assert_eq!(quiet.said_until(6000), [(6000, ran(true))]);
}

#[test]
fn a_member_says_to_the_next_life_what_it_is() {
    let mut quiet = Quiet::new();
    let session = SessionId(2);
    let update = StatusUpdate { visible: Some(false), ..StatusUpdate::default() };
    quiet.handle(1, BranchInput::Said(ToPage::Status { session, update }));
    let (kind, dst, frame) = (SignalKind::Offer, id("1"), Frame::from_static("OFFER"));
    quiet.handle(1, BranchInput::Said(ToPage::Forward { session, kind, dst, frame }));
    let announced = Claim { epoch: Epoch(9), host: id("2") };
    let (to, frame, tells) = (vec![session], Frame::from_static("HOST"), Some(announced.clone()));
    let word = ToBranch::Frame { to, frame, delivery: Delivery::Urgent, from: None, tells };
    let out = quiet.hear(1, 256, word.clone());
    assert!(matches!(&out[..], [BranchOutput::Frame { .. }, BranchOutput::Hosts { .. }]));
    let suspicion = Suspicion { host: id("1"), epoch: Epoch(1) };
    quiet.handle(1, BranchInput::Said(ToPage::Suspect { session, suspicion }));

    let out = quiet.handle(2, BranchInput::Lives { node: NodeId(2), fence: Fence(512) });
    let BranchOutput::Tell { node: NodeId(2), place, word: ToPage::Join(join) } = &out[1] else {
        panic!("{out:?}")
    };
    assert_eq!(place.fence, Fence(512));
    let request = &join.request;
    assert_eq!((request.session, &request.claim), (session, &Some(announced)));
    assert!(request.resumed.as_ref().is_some_and(|status| !status.visible && status.eligible));
    assert_eq!(join.contacts, [id("1")]);
    // the former life is not heard any more
    assert!(quiet.hear(3, 256, word).is_empty());
}
