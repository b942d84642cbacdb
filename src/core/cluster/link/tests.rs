//! Links over a medium that loses, repeats, reorders and is cut, in virtual time. A schedule is a
//! seed. `LINK_SCHEDULES=1000000 cargo test --release -p peerstar-core link` runs more of them.

use super::*;
use crate::cluster::entry::{Question, ToBranch, ToPage};
use crate::cluster::{Fence, random::Random};
use crate::protocol::id::{PageKey, PageName, PeerId};
use crate::protocol::incoming::SignalKind;

fn place() -> Place {
    Place { page: PageKey::Named(PageName::parse("p").unwrap()), fence: Fence(256) }
}

fn peer(id: &str) -> PeerId {
    PeerId::parse(id).unwrap()
}

/// Returns the number that a test gave an entry.
fn number_of(entry: &Entry) -> Vec<u64> {
    match entry {
        Entry::Question { number, .. } => vec![*number],
        Entry::ToPage(_, ToPage::Forward { session, .. } | ToPage::Relay { session, .. }) => {
            vec![session.0]
        }
        Entry::ToBranch(_, ToBranch::Frame { to, .. }) => to.iter().map(|to| to.0).collect(),
        Entry::ToBranch(_, ToBranch::Expired { session, .. }) => vec![session.0],
        Entry::ToPage(..) | Entry::ToBranch(..) | Entry::Answer { .. } => panic!("{entry:?}"),
    }
}

/// What one end has said in one association.
#[derive(Default)]
struct Said {
    association: u64,
    queued: Vec<u64>,
    signals: Vec<u64>,
    expiries: Vec<u64>,
}

/// What one end has heard in one association.
#[derive(Default)]
struct Heard {
    association: u64,
    handled: Vec<u64>,
    expiries: Vec<u64>,
}

/// One end of a link, with the node around it.
struct End {
    link: Link,
    /// Bags whose entries are not handled. A node may lose them when the link breaks.
    arrived: VecDeque<(BagNumber, Vec<Entry>)>,
    /// Bags of former associations.
    late: Vec<BagNumber>,
    said: Vec<Said>,
    heard: Vec<Heard>,
    handed_back: Vec<u64>,
    /// Whether [`LinkEvent::Down`] was the last of the two.
    is_told_down: bool,
    stopped_until: Time,
}

impl End {
    fn new(own: u64, other: u64, window: usize) -> Self {
        Self {
            link: Link::new(NodeId(own), NodeId(other), window),
            arrived: VecDeque::new(),
            late: Vec::new(),
            said: vec![Said { association: 1, ..Said::default() }],
            heard: vec![Heard { association: 1, ..Heard::default() }],
            handed_back: Vec::new(),
            is_told_down: false,
            stopped_until: Time(0),
        }
    }

    fn take_events(&mut self) {
        while let Some(event) = self.link.poll_event() {
            match event {
                LinkEvent::Arrived { bag, entries } => self.arrived.push_back((bag, entries)),
                LinkEvent::Down => {
                    assert!(!self.is_told_down, "down twice");
                    self.is_told_down = true;
                    self.late.extend(self.arrived.drain(..).map(|(bag, _)| bag));
                }
                LinkEvent::HandedBack(entry) => self.handed_back.extend(number_of(&entry)),
                LinkEvent::Up => assert!(std::mem::take(&mut self.is_told_down), "up twice"),
            }
        }
        let association = self.link.association();
        if self.said.last().unwrap().association != association {
            self.said.push(Said { association, ..Said::default() });
            self.heard.push(Heard { association, ..Heard::default() });
        }
        assert_eq!(self.is_told_down, self.link.condition() == Condition::Down);
    }

    /// Says something: a random entry, or a frame for some sessions.
    fn push(&mut self, now: Time, number: &mut u64, random: &mut Random) {
        let longest = if random.one_in(200) { 200_000 } else { 400 };
        let frame = Frame::from("x".repeat(random.below(longest) as usize));
        let kind = random.below(7);
        let receivers = if kind > 3 { 1 + random.below(3) } else { 1 };
        for _ in 0..receivers {
            *number += 1;
            let (session, frame) = (SessionId(*number), frame.clone());
            let (class, pushed) = match kind {
                0 => {
                    let question = Question::Pages;
                    let entry = Entry::Question { number: *number, question };
                    (Class::Own, self.link.push(now, &entry))
                }
                1 => {
                    let entry = ToPage::Relay { session, dst: None, frame };
                    (Class::Relay, self.link.push(now, &Entry::ToPage(place(), entry)))
                }
                2 => {
                    let (kind, dst) = (SignalKind::Offer, peer("b"));
                    let entry = ToPage::Forward { session, kind, dst, frame };
                    (Class::Signal, self.link.push(now, &Entry::ToPage(place(), entry)))
                }
                3 => {
                    let entry = ToBranch::Expired { session, dst: peer("b") };
                    (Class::Expiry, self.link.push(now, &Entry::ToBranch(place(), entry)))
                }
                _ => {
                    let delivery = [Delivery::HostData, Delivery::Signal, Delivery::Page];
                    let delivery = delivery[kind as usize - 4];
                    let pushed = self.link.push_frame(now, &place(), session, &frame, delivery);
                    (delivery.class(), pushed)
                }
            };
            self.note(*number, class, pushed);
        }
    }

    fn note(&mut self, number: u64, class: Class, pushed: Pushed) {
        match pushed {
            Pushed::Queued if class == Class::Expiry => {
                self.said.last_mut().unwrap().expiries.push(number);
            }
            Pushed::Queued => {
                assert!(!self.is_told_down, "sent over a link that is down");
                let said = self.said.last_mut().unwrap();
                said.queued.push(number);
                if class == Class::Signal {
                    said.signals.push(number);
                }
            }
            Pushed::Refused => assert!(class != Class::Own || self.is_told_down, "refused"),
            Pushed::Broke => assert_eq!(class, Class::Own),
        }
        self.take_events();
    }

    /// Handles the bag that arrived first.
    fn handle(&mut self, now: Time) {
        // a node may say so after the link has broken
        self.late.drain(..).for_each(|bag| self.link.handled(now, bag));
        let Some((bag, entries)) = self.arrived.pop_front() else { return };
        let heard = self.heard.last_mut().unwrap();
        for entry in &entries {
            let is_expiry = entry.class() == Class::Expiry;
            let list = if is_expiry { &mut heard.expiries } else { &mut heard.handled };
            list.extend(number_of(entry));
        }
        self.link.handled(now, bag);
    }
}

/// The nodes at the ends of a link, the ends, and the bags on the way to each.
type Pair = ([u64; 2], [End; 2], [VecDeque<Bytes>; 2]);

/// Two nodes or three, each with a link to each other one.
struct World {
    now: Time,
    window: usize,
    pairs: Vec<Pair>,
    numbers: u64,
    buffer: Vec<u8>,
    /// Number of links that broke.
    breaks: u64,
}

impl World {
    fn new(nodes: u64, window: usize) -> Self {
        let pairs = (1..=nodes).flat_map(|one| (one + 1..=nodes).map(move |other| [one, other]));
        let pair = |[one, other]: [u64; 2]| {
            let ends = [End::new(one, other, window), End::new(other, one, window)];
            ([one, other], ends, Default::default())
        };
        let pairs = pairs.map(pair).collect();
        Self { now: Time(0), window, pairs, numbers: 0, buffer: Vec::new(), breaks: 0 }
    }

    fn publish(&mut self, pair: usize, side: usize) {
        let (_, ends, ways) = &mut self.pairs[pair];
        let end = &mut ends[side];
        if end.stopped_until > self.now {
            return;
        }
        while end.link.poll_transmit(self.now, &mut self.buffer) {
            assert!(self.buffer.len() <= 64 * 1024);
            ways[1 - side].push_back(Bytes::copy_from_slice(&self.buffer));
        }
    }

    fn deliver(&mut self, pair: usize, side: usize, bag: Bytes) {
        let end = &mut self.pairs[pair].1[side];
        end.link.receive(self.now, bag).unwrap();
        end.take_events();
    }

    /// Lets time pass, and has every node that runs do what is due.
    fn pass(&mut self, ms: u64) {
        self.now = Time(self.now.0 + ms);
        for pair in 0..self.pairs.len() {
            for side in 0..2 {
                let end = &mut self.pairs[pair].1[side];
                let is_due = end.link.next_deadline().is_some_and(|at| at <= self.now);
                if is_due && end.stopped_until <= self.now {
                    end.link.tick(self.now);
                    end.take_events();
                }
            }
        }
    }

    fn step(&mut self, random: &mut Random) {
        let pair = random.below(self.pairs.len() as u64) as usize;
        let side = random.below(2) as usize;
        let is_stopped = self.pairs[pair].1[side].stopped_until > self.now;
        match random.below(32) {
            0..8 if !is_stopped => {
                let end = &mut self.pairs[pair].1[side];
                end.push(self.now, &mut self.numbers, random);
                assert!(end.link.waiting_bytes() < self.window + 400_000);
            }
            8..14 => self.publish(pair, side),
            14..21 if !is_stopped => {
                if let Some(bag) = self.pairs[pair].2[side].pop_front() {
                    if random.one_in(16) {
                        // it comes again, now or later
                        let way = &mut self.pairs[pair].2[side];
                        let at = random.below(way.len() as u64 + 1) as usize;
                        way.insert(at, bag.clone());
                    }
                    self.deliver(pair, side, bag);
                }
            }
            21 => {
                let way = &mut self.pairs[pair].2[side];
                let lost = 1 + random.below(4) as usize;
                way.drain(..lost.min(way.len()));
            }
            22 => {
                let way = &mut self.pairs[pair].2[side];
                if way.len() > 1 {
                    let at = random.below(way.len() as u64) as usize;
                    let bag = way.remove(at).unwrap();
                    way.push_back(bag);
                }
            }
            23 => {
                // the registry is gone, or one inbox is
                self.pairs[pair].2[side].clear();
                if random.one_in(2) {
                    self.pairs[pair].2[1 - side].clear();
                }
                if random.one_in(2) && !is_stopped {
                    self.pairs[pair].1[side].link.reconnected(self.now);
                }
            }
            24..28 if !is_stopped => self.pairs[pair].1[side].handle(self.now),
            28 if random.one_in(4) => {
                let node = self.pairs[pair].0[side];
                let until = self.now.plus(Duration::from_millis(random.of(&[500, 6000, 60_000])));
                for (nodes, ends, _) in &mut self.pairs {
                    (0..2).filter(|side| nodes[*side] == node).for_each(|side| {
                        ends[side].stopped_until = until;
                    });
                }
            }
            29 => {
                let is_bound = random.one_in(2);
                self.pairs[pair].1[side].link.set_bound(self.now, is_bound);
            }
            30 | 31 => self.pass(random.of(&[1, 5, 20, 50, 200, 200, 1000, 5000])),
            _ => {}
        }
    }

    /// Ends all faults, and lets all links come to rest.
    fn heal(&mut self) {
        for (_, ends, ways) in &mut self.pairs {
            for end in ends {
                end.stopped_until = self.now;
                // or an idle link would say its number at any moment
                end.link.set_bound(self.now, false);
            }
            ways.iter_mut().for_each(|way| way.truncate(way.len() / 2));
        }
        for _ in 0..100 {
            for pair in 0..self.pairs.len() {
                for side in 0..2 {
                    self.publish(pair, side);
                    while let Some(bag) = self.pairs[pair].2[1 - side].pop_front() {
                        self.deliver(pair, 1 - side, bag);
                    }
                    while !self.pairs[pair].1[1 - side].arrived.is_empty() {
                        self.pairs[pair].1[1 - side].handle(self.now);
                    }
                }
            }
            self.pass(50);
        }
    }

    /// C4, and what a sender is promised.
    fn check(&mut self) {
        for (_, ends, _) in &self.pairs {
            for side in 0..2 {
                let (sender, receiver) = (&ends[side], &ends[1 - side]);
                self.breaks += sender.said.len() as u64 - 1;
                let last = sender.link.association();
                assert_eq!(receiver.link.association(), last, "one is in another association");
                assert!(sender.link.condition() != Condition::Down, "down after all faults");
                assert_eq!(sender.link.waiting_bytes(), 0, "something still waits");
                let known: Vec<_> = receiver.heard.iter().flat_map(|h| &h.expiries).collect();
                let expiries = sender.said.iter().flat_map(|said| &said.expiries);
                expiries.for_each(|number| assert!(known.contains(&number), "lost: {number}"));
                for said in &sender.said {
                    let heard = receiver.heard.iter().find(|h| h.association == said.association);
                    let heard = heard.map_or(&[][..], |heard| &heard.handled);
                    assert!(said.queued.starts_with(heard), "{:?}: {heard:?}", said.queued);
                    if said.association == last {
                        assert_eq!(said.queued, heard, "lost, and nobody knows");
                    }
                    for signal in &said.signals {
                        let is_known =
                            heard.contains(signal) || sender.handed_back.contains(signal);
                        assert!(is_known, "signal {signal} neither arrived nor expired");
                    }
                }
            }
        }
    }
}

fn run(seed: u64, steps: u64) -> World {
    let mut random = Random(seed);
    let nodes = if random.one_in(3) { 3 } else { 2 };
    let window = random.of(&[2000, 20_000, 1_000_000]);
    let mut world = World::new(nodes, window);
    for _ in 0..steps {
        world.step(&mut random);
    }
    world.heal();
    world.check();
    world
}

/// Runs many schedules. Of one that fails, names the seed and the fewest steps that fail.
#[test]
fn entries_arrive_once_and_in_order_or_both_ends_know() {
    const STEPS: u64 = 200;
    let schedules = std::env::var("LINK_SCHEDULES").ok().and_then(|n| n.parse().ok());
    let mut breaks = 0;
    for seed in 0..schedules.unwrap_or(3000) {
        let outcome = std::panic::catch_unwind(|| run(seed, STEPS).breaks);
        breaks += outcome.unwrap_or_else(|_| {
            let fails = |steps: &u64| std::panic::catch_unwind(|| run(seed, *steps)).is_err();
            let steps = (0..STEPS).find(fails).unwrap_or(STEPS);
            panic!("run({seed}, {steps}) fails");
        });
    }
    assert!(breaks > 1000, "only {breaks} links broke");
}

/// Two ends without faults.
struct Calm {
    here: Link,
    there: Link,
    buffer: Vec<u8>,
}

impl Calm {
    fn new() -> Self {
        let (one, other) = (NodeId(1), NodeId(2));
        let (here, there) = (Link::new(one, other, 100_000), Link::new(other, one, 100_000));
        Self { here, there, buffer: Vec::new() }
    }

    fn push(&mut self, now: u64) -> Pushed {
        let entry = Entry::Question { number: 1, question: Question::Pages };
        self.here.push(Time(now), &entry)
    }

    /// Takes the next bag across, and returns its header. Its entries are handled at once.
    fn cross(&mut self, now: u64) -> Option<Header> {
        if !self.here.poll_transmit(Time(now), &mut self.buffer) {
            return None;
        }
        let bag = Bytes::copy_from_slice(&self.buffer);
        let header = Header::read(bag.clone()).unwrap().0;
        self.there.receive(Time(now), bag).unwrap();
        while let Some(event) = self.there.poll_event() {
            if let LinkEvent::Arrived { bag, .. } = event {
                self.there.handled(Time(now), bag);
            }
        }
        Some(header)
    }

    /// Returns what the other end acknowledges, if it says anything at `now`.
    fn acknowledged(&mut self, now: u64) -> Option<u64> {
        self.there.tick(Time(now));
        let says = self.there.poll_transmit(Time(now), &mut self.buffer);
        let bag = Bytes::copy_from_slice(&self.buffer);
        says.then(|| Header::read(bag).unwrap().0.acknowledged)
    }
}

#[test]
fn bags_are_acknowledged_after_sixteen_or_twenty_ms() {
    let mut calm = Calm::new();
    for _ in 0..15 {
        calm.push(0);
        calm.cross(0);
    }
    assert_eq!((calm.acknowledged(19), calm.there.next_deadline()), (None, Some(Time(20))));
    assert_eq!(calm.acknowledged(20), Some(15));
    for _ in 0..15 {
        calm.push(20);
        calm.cross(20);
    }
    assert_eq!(calm.acknowledged(20), None);
    calm.push(20);
    calm.cross(20);
    assert_eq!(calm.acknowledged(20), Some(31));
}

#[test]
fn the_first_bag_is_sent_again_ever_more_slowly_until_the_link_breaks() {
    let mut calm = Calm::new();
    calm.push(0);
    calm.push(0);
    let (mut sent, mut broke) = (Vec::new(), None);
    for now in 0..10_000 {
        calm.here.tick(Time(now));
        while calm.here.poll_transmit(Time(now), &mut calm.buffer) {
            let bag = Bytes::copy_from_slice(&calm.buffer);
            sent.push((now, Header::read(bag).unwrap().0.association));
        }
        if calm.here.condition() == Condition::Down {
            broke = broke.or(Some(now));
        }
        assert!(calm.here.waiting_bytes() < 200);
    }
    assert_eq!(broke, Some(5000));
    let times = |association| sent.iter().filter(move |s| s.1 == association).map(|s| s.0);
    assert_eq!(times(1).collect::<Vec<_>>(), [0, 200, 600, 1400, 2400, 3400, 4400]);
    assert_eq!(times(2).collect::<Vec<_>>(), [5000, 5200, 5600, 6400, 7400, 8400, 9400]);
}

#[test]
fn an_idle_link_says_its_number_only_while_it_is_bound() {
    let mut calm = Calm::new();
    assert_eq!(calm.here.next_deadline(), None);
    calm.here.set_bound(Time(0), true);
    assert_eq!(calm.here.next_deadline(), Some(Time(5000)));
    calm.here.tick(Time(5000));
    assert_eq!(calm.cross(5000).map(|header| header.number), Some(1));
    calm.here.set_bound(Time(5001), false);
    calm.acknowledged(5020);
    calm.here.receive(Time(5020), Bytes::copy_from_slice(&calm.buffer)).unwrap();
    assert_eq!(calm.here.next_deadline(), None);
}

#[test]
fn data_leaves_room_for_words_of_the_server_and_those_break_the_link() {
    let mut calm = Calm::new();
    let frame = Frame::from("x".repeat(1000));
    let to = SessionId(1);
    let mut push = |delivery| {
        let frame = Frame::from(String::from(&*frame));
        calm.here.push_frame(Time(0), &place(), to, &frame, delivery)
    };
    let data = (0..200).filter(|_| push(Delivery::HostData) == Pushed::Queued).count();
    assert!((70..=75).contains(&data), "{data}");
    assert_eq!(push(Delivery::Signal), Pushed::Refused);
    let own = (0..200).take_while(|_| push(Delivery::Page) == Pushed::Queued).count();
    assert!((20..=26).contains(&own), "{own}");
    assert_eq!((calm.here.condition(), calm.here.association()), (Condition::Down, 2));
    assert!(calm.here.dropped_relays() >= 125);
    assert!(calm.here.waiting_bytes() < 200);
}

#[test]
fn a_bag_of_another_link_or_with_wrong_numbers_is_refused() {
    let mut calm = Calm::new();
    calm.push(0);
    calm.cross(0);
    let bag = Bytes::copy_from_slice(&calm.buffer);
    assert_eq!(calm.here.receive(Time(0), bag), Err(BadBag::OtherLink));
    let header = Header {
        from: NodeId(1),
        to: NodeId(2),
        association: 1,
        number: 0,
        highest: 1,
        acknowledged: 1,
        asks: false,
        lacks: false,
    };
    let mut bag = Vec::new();
    header.write(&mut bag);
    // nothing was sent that way
    assert_eq!(calm.there.receive(Time(0), bag.into()), Err(BadBag::BadNumbers));
}
