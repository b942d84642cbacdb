//! Pages on which nothing is relayed and a dial takes seconds: which members host, over minutes.
//!
//! Members behave as the library does. They dial host and deputy, and say which data channels are
//! open. They suspect a host that they have not heard for 1.6 s, and trust it when they hear it
//! again.

use std::collections::{BTreeMap, BTreeSet};

use peerstar_core::cluster::NodeId;
use peerstar_core::page::member::{Departure, Way};
use peerstar_core::page::{Input, Rules};
use peerstar_core::protocol::id::SessionId;
use peerstar_core::protocol::outgoing::GROUP_VERSION;
use proptest::prelude::*;

use super::random::run;
use super::world::{Got, World, rules, unrelayed_rules};

const STEP: u64 = 100;
const SUSPECT: u64 = 1600;
/// The slowest dial: a first one may take the fair time of a new page, and the time until a host is
/// suspected.
const SLOWEST: u64 = 7500;
const MINUTE: u64 = 60_000;

/// Well-mixed numbers from a seed (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit
    }
}

#[derive(Default)]
struct Member {
    /// Dials under way: when each ends, and how long it takes.
    dialling: BTreeMap<String, (u64, u64)>,
    /// Open data channels, and how long the dials took.
    channels: BTreeMap<String, u64>,
    said: BTreeMap<String, u64>,
    host: Option<String>,
    /// When the member last heard the host, and when it last said that it does not.
    heard: u64,
    suspected: Option<u64>,
}

struct Group {
    world: World,
    members: BTreeMap<SessionId, Member>,
    numbers: Numbers,
    /// How long a dial between two takes. `None`: it never succeeds.
    dials: BTreeMap<BTreeSet<String>, Option<u64>>,
    /// Percentage of pairs that never reach each other.
    never: u64,
    /// Until when no member hears a silent one.
    silent: BTreeMap<String, u64>,
}

impl Group {
    fn new(seed: u64, deputies: usize, never: u64) -> Self {
        let rules = Rules { deputies, ..unrelayed_rules() };
        let mut world = World::new(true, seed, rules);
        world.answers = true;
        let (members, dials, silent) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { world, members, numbers: Numbers(seed), dials, never, silent }
    }

    fn now(&self) -> u64 {
        self.world.now.0
    }

    fn join(&mut self, id: &str) -> SessionId {
        let session = self.world.dial(id, None, GROUP_VERSION);
        self.members.insert(session, Member::default());
        self.world.join(session, None, false);
        session
    }

    fn let_in(&mut self, id: &str) {
        self.join(id);
    }

    fn leave(&mut self, session: SessionId) {
        self.members.remove(&session);
        self.world.hang_up(session, Departure::Goodbye);
    }

    fn say(&mut self, session: SessionId, kind: &str, payload: &str) {
        self.world.say(session, &format!(r#"{{"type":"{kind}","payload":{payload}}}"#));
    }

    fn dial_ms(&mut self, one: &str, other: &str) -> Option<u64> {
        let pair = BTreeSet::from([one.to_owned(), other.to_owned()]);
        let drawn = (self.numbers.below(100) >= self.never)
            .then(|| self.numbers.below(SLOWEST - 1000) + 1000);
        *self.dials.entry(pair).or_insert(drawn)
    }

    fn step(&mut self) {
        self.world.pass(STEP);
        for session in self.members.keys().copied().collect::<Vec<_>>() {
            self.live(session);
        }
    }

    fn live(&mut self, session: SessionId) {
        let now = self.now();
        let client = self.world.clients[&session].clone();
        let (epoch, host) = client.announced.unwrap();
        let others = [Some(&host), client.deputy.as_ref()]
            .into_iter()
            .flatten()
            .filter(|id| **id != client.id);
        let others: BTreeSet<String> = others.cloned().collect();
        let mut member = self.members.remove(&session).unwrap();
        for other in &others {
            if !member.channels.contains_key(other)
                && !member.dialling.contains_key(other)
                && let Some(ms) = self.dial_ms(&client.id, other)
            {
                member.dialling.insert(other.clone(), (now + ms, ms));
            }
        }
        let here: BTreeSet<String> = self.world.page.ids().map(ToString::to_string).collect();
        member.channels.retain(|other, _| here.contains(other));
        let open = member
            .dialling
            .iter()
            .filter(|(other, (ends, _))| *ends <= now && here.contains(*other));
        member.channels.extend(open.map(|(other, (_, ms))| (other.clone(), *ms)));
        member.dialling.retain(|_, (ends, _)| *ends > now);
        let open: BTreeMap<_, _> =
            member.channels.clone().into_iter().filter(|(id, _)| others.contains(id)).collect();
        if member.host.as_ref() != Some(&host) {
            (member.host, member.heard, member.suspected) = (Some(host.clone()), now, None);
        }
        let is_silent = |id: &String| self.silent.get(id).is_some_and(|until| now < *until);
        let hears = client.id == host
            || (open.contains_key(&host) && !is_silent(&host) && !is_silent(&client.id));
        let trusts = hears && member.suspected.take().is_some();
        if hears {
            member.heard = now;
        }
        let suspects = now >= member.heard.max(member.suspected.unwrap_or(0)) + SUSPECT;
        if suspects {
            member.suspected = Some(now);
        }
        let news = (member.said != open).then(|| {
            member.said.clone_from(&open);
            let entries: Vec<_> = open.iter().map(|(id, ms)| format!(r#""{id}":{ms}"#)).collect();
            format!(r#"{{"channels":{{{}}}}}"#, entries.join(","))
        });
        self.members.insert(session, member);
        if let Some(payload) = news {
            self.say(session, "STATUS", &payload);
        }
        let payload = format!(r#"{{"host":"{host}","epoch":{epoch}}}"#);
        if trusts {
            self.say(session, "TRUST", &payload);
        }
        if suspects {
            self.say(session, "SUSPECT", &payload);
        }
    }

    fn run_until(&mut self, end: u64, mut happens: impl FnMut(&mut Self)) {
        while self.now() < end {
            happens(self);
            self.step();
        }
    }

    fn host(&self) -> String {
        self.world.page.assignment().unwrap().1.to_string()
    }

    /// Returns a random member that does not host.
    fn other(&mut self) -> Option<SessionId> {
        let host = self.host();
        let others: Vec<_> =
            self.members.keys().copied().filter(|s| self.world.clients[s].id != host).collect();
        let at = self.numbers.below(others.len().max(1) as u64);
        others.get(at as usize).copied()
    }
}

#[test]
fn ten_minutes_of_slow_joins_and_silences_of_two_seconds_elect_nobody() {
    run(40, (any::<u64>(), 0..2_usize), |(seed, deputies)| {
        let mut group = Group::new(*seed, *deputies, 0);
        group.join("p0");
        let mut joined = 1;
        group.run_until(10 * MINUTE, |group| {
            let now = group.now();
            // a member joins or leaves every 20 s, and one is not heard for 2 s every 5 s: the host
            // or another
            if group.numbers.below(20_000 / STEP) == 0 {
                match group
                    .other()
                    .filter(|_| group.members.len() > 4 && group.numbers.below(2) == 0)
                {
                    Some(other) => group.leave(other),
                    None if group.members.len() < 8 => {
                        group.join(&format!("p{joined}"));
                        joined += 1;
                    }
                    None => {}
                }
            }
            if group.numbers.below(5000 / STEP) == 0 {
                let other = group.other().map(|session| group.world.clients[&session].id.clone());
                let silent =
                    other.filter(|_| group.numbers.below(2) == 0).unwrap_or_else(|| group.host());
                group.silent.insert(silent, now + 2000);
            }
        });
        assert_eq!(group.world.elections, [], "after {joined} joins");
    });
}

#[test]
fn elections_end_whoever_cannot_reach_whom() {
    run(60, (any::<u64>(), 3..8_u64, 10..60_u64), |(seed, size, never)| {
        let mut group = Group::new(*seed, 1, *never);
        (0..*size).map(|n| format!("p{n}")).for_each(|id| group.let_in(&id));
        group.run_until(MINUTE, |_| {});
        let host = group.world.session(&group.host()).unwrap();
        group.leave(host);
        group.run_until(20 * MINUTE, |_| {});
        // one election for the death; each other one went to a member that more members reached
        assert!(group.world.elections.len() as u64 <= size + 1, "{:?}", group.world.elections);
    });
}

#[test]
fn newcomers_that_reach_nobody_never_cost_the_others_their_host() {
    run(40, any::<u64>(), |seed| {
        let mut group = Group::new(*seed, 1, 0);
        ["p0", "p1", "p2"].into_iter().for_each(|id| group.let_in(id));
        group.run_until(30_000, |_| {});
        // the newcomers are more than the others
        group.never = 100;
        let newcomers: Vec<_> = (3..7).map(|n| group.join(&format!("p{n}"))).collect();
        let mut next = 7;
        group.run_until(10 * MINUTE, |group| {
            if group.numbers.below(30_000 / STEP) == 0 {
                let at = group.numbers.below(newcomers.len() as u64) as usize;
                if group.members.contains_key(&newcomers[at]) {
                    group.leave(newcomers[at]);
                    group.join(&format!("p{next}"));
                    next += 1;
                }
            }
        });
        assert_eq!(group.world.elections, []);
    });
}

#[test]
fn a_host_that_nobody_hears_any_more_gives_way_to_the_deputy() {
    run(40, any::<u64>(), |seed| {
        let mut group = Group::new(*seed, 1, 0);
        (0..5).map(|n| format!("p{n}")).for_each(|id| group.let_in(&id));
        group.run_until(MINUTE, |_| {});
        let (host, deputy) = (group.host(), group.world.page.deputy().unwrap().to_string());
        group.silent.insert(host, u64::MAX);
        group.run_until(MINUTE + SUSPECT + 30_000 + STEP, |_| {});
        assert_eq!(group.host(), deputy, "{:?}", group.world.elections);
        assert_eq!(group.world.elections.len(), 1, "{:?}", group.world.elections);
    });
}

/// A page with members on two nodes. The way between them goes down and comes up.
struct Nodes {
    world: World,
    near: Vec<SessionId>,
    far: Vec<SessionId>,
    /// When the host's node answers the probes that reached it.
    answers: Vec<(u64, SessionId)>,
    is_up: bool,
}

const FAR: NodeId = NodeId(1);

impl Nodes {
    /// Returns a page whose host is on the other node.
    fn new(seed: u64, near: u64, far: u64) -> Self {
        let mut world = World::new(true, seed, rules());
        let mut join = |name: String, way| {
            let session = world.dial(&name, None, GROUP_VERSION);
            world.put_on(session, way);
            world.join(session, None, false);
            session
        };
        let far = (0..far).map(|n| join(format!("far{n}"), Way::Node(FAR))).collect();
        let near = (0..near).map(|n| join(format!("near{n}"), Way::Local)).collect();
        Self { world, near, far, answers: Vec::new(), is_up: true }
    }

    fn now(&self) -> u64 {
        self.world.now.0
    }

    fn take(&mut self, got: Vec<Got>) {
        // a probe that cannot reach its host now is dropped with the way
        let probes = got.into_iter().filter(|got| got.what.starts_with("PROBE") && self.is_up);
        let at = self.now() + 2000;
        self.answers.extend(probes.map(|got| (at, got.who)));
    }

    fn turn(&mut self, is_up: bool) {
        if std::mem::replace(&mut self.is_up, is_up) != is_up {
            let input = if is_up { Input::WayUp(FAR) } else { Input::WayDown(FAR) };
            let got = self.world.step(input);
            self.take(got);
        }
    }

    /// Lets `ms` pass, in which the first `suspecting` members of this node hear nothing of the
    /// host. The host always runs.
    fn pass(&mut self, ms: u64, suspecting: usize) {
        let end = self.now() + ms;
        while self.now() < end {
            let (epoch, host) = self.world.page.assignment().unwrap();
            let said = format!(
                r#"{{"type":"SUSPECT","payload":{{"host":"{host}","epoch":{}}}}}"#,
                epoch.0
            );
            for session in self.near.iter().take(suspecting).copied().collect::<Vec<_>>() {
                let got = self.world.say(session, &said);
                self.take(got);
            }
            let got = self.world.pass(SUSPECT.min(end - self.now()));
            self.take(got);
            let now = self.now();
            if self.is_up {
                let (due, later) = self.answers.drain(..).partition(|(at, _)| *at <= now);
                self.answers = later;
                let due: Vec<(u64, SessionId)> = due;
                due.into_iter().for_each(|(_, session)| {
                    self.world.step(Input::Ran { session, ran: true });
                });
            }
        }
    }
}

#[test]
fn a_way_that_comes_back_within_a_minute_costs_no_host_that_less_than_half_suspect() {
    let cuts = prop::collection::vec((0..59_000_u64, 0..9000_u64), 1..8);
    run(200, (any::<u64>(), 1..5_u64, 1..5_u64, cuts), |(seed, near, far, cuts)| {
        let mut nodes = Nodes::new(*seed, *near, *far);
        let minority = ((near + far) / 2).min(*near) as usize;
        for (down, up) in cuts {
            nodes.turn(false);
            nodes.pass(*down, minority);
            nodes.turn(true);
            nodes.pass(*up, minority);
        }
        assert_eq!(nodes.world.elections, []);
        assert!(nodes.far.iter().all(|session| nodes.world.clients.contains_key(session)));
    });
}

#[test]
fn a_host_out_of_reach_goes_after_a_minute_or_at_once_if_most_suspect_it() {
    run(100, (any::<u64>(), 1..5_u64, 1..5_u64), |(seed, near, far)| {
        let mut nodes = Nodes::new(*seed, *near, *far);
        nodes.turn(false);
        let most = near * 2 > near + far;
        if most {
            nodes.pass(6000, *near as usize);
        } else {
            nodes.pass(59_900, *near as usize);
            assert_eq!(nodes.world.elections, []);
            nodes.pass(6000, *near as usize);
        }
        let [(_, host, cause)] = &nodes.world.elections[..] else {
            panic!("{:?}", nodes.world.elections)
        };
        assert!(host.starts_with("near") && *cause == "stalled", "{host} {cause}");
    });
}
