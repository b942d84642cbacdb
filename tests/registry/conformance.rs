//! Random calls, carried out by the model and by a real Redis: the answers are equal.

use std::collections::BTreeMap;
use std::time::Duration;

use peerstar::cluster::registry_script::{Names, SOURCE, Words, command, reply};
use peerstar_core::cluster::fingerprint::Fingerprint;
use peerstar_core::cluster::registry::{
    Asserted, Call, MOST_AHEAD_MS, RegistryState, Reply, SLOT_REST, Standing,
};
use peerstar_core::cluster::{Fence, Generation, NodeId, Slot};
use peerstar_core::protocol::id::{Epoch, PageKey, PageName, PeerId};
use redis::{Connection, Value};

use super::redis_server::{Redis, run};

#[path = "../../src/core/cluster/registry/tests/calls.rs"]
mod calls;

use calls::{Random, crowd, node, page, random_call, registration};

/// A Redis with its model.
struct Pair<'a> {
    redis: &'a Redis,
    connection: Connection,
    names: Names,
    words: Words,
    model: RegistryState,
    /// Connections that are subscribed to the inboxes of nodes.
    inboxes: BTreeMap<NodeId, Connection>,
}

fn generation(redis: &Redis, word: &str) -> Generation {
    let info: String = redis.run("INFO server");
    let run = info.lines().find_map(|line| line.strip_prefix("run_id:")).unwrap();
    Generation(format!("{run}:{word}").into())
}

impl<'a> Pair<'a> {
    fn new(redis: &'a Redis, prefix: &str) -> Self {
        let mut connection = redis.connection();
        let digest = redis::cmd("SCRIPT").arg("LOAD").arg(SOURCE).query(&mut connection).unwrap();
        let words = Words { digest, fresh: "word0".into(), connection: "unused".into() };
        let model = RegistryState::empty(generation(redis, "word0"));
        let names = Names::new(prefix);
        Self { redis, connection, names, words, model, inboxes: BTreeMap::new() }
    }

    /// Takes another Redis that has the same data, and nobody who is subscribed.
    fn moves_to<'b>(&self, redis: &'b Redis) -> Pair<'b> {
        let mut model = self.model.clone();
        model.restart(generation(redis, &self.words.fresh));
        let mut moved = Pair::new(redis, "");
        (moved.names, moved.words, moved.model) = (self.names.clone(), self.words.clone(), model);
        moved
    }

    fn next_word(&mut self) -> Generation {
        let number: u32 = self.words.fresh.strip_prefix("word").unwrap().parse().unwrap();
        self.words.fresh = format!("word{}", number + 1);
        generation(self.redis, &self.words.fresh)
    }

    fn delete_all(&mut self) {
        let () = run(&mut self.connection, "FLUSHALL");
        let generation = self.next_word();
        self.model.delete_all(generation);
    }

    fn delete_members(&mut self) {
        let () = run(&mut self.connection, &format!("DEL {}", self.names.members()));
        let generation = self.next_word();
        self.model.delete_members(generation);
    }

    fn set_listening(&mut self, node: NodeId, is_listening: bool) {
        let channel = self.names.inbox(node);
        if is_listening {
            let mut inbox = self.redis.connection();
            inbox.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let () = run(&mut inbox, &format!("SUBSCRIBE {channel}"));
            self.inboxes.insert(node, inbox);
        } else if self.inboxes.remove(&node).is_some() {
            // the server notices the end of a connection a little later
            while run::<(String, u64)>(&mut self.connection, &format!("PUBSUB NUMSUB {channel}")).1
                > 0
            {
                std::thread::yield_now();
            }
        }
        self.model.set_listening(node, is_listening);
    }

    fn ask(&mut self, call: &Call) -> Reply {
        let answer: Value = command(call, &self.names, &self.words)
            .query(&mut self.connection)
            .unwrap_or_else(|error| panic!("{call:?}: {error}"));
        reply(answer, &self.names).unwrap()
    }

    /// Carries out a call on both.
    fn apply(&mut self, call: &Call) -> Reply {
        let (expected, tick) = self.model.apply(call);
        assert_eq!(self.ask(call), expected, "{call:?}");
        if let (Some(node), Reply::Renewed { counter, .. }) = (tick, &expected)
            && let Some(inbox) = self.inboxes.get_mut(&node)
        {
            let heard: (String, String, String) =
                redis::from_redis_value(inbox.recv_response().unwrap()).unwrap();
            assert_eq!((heard.1, heard.2), (self.names.inbox(node), format!("tick {counter}")));
        }
        expected
    }

    /// Compares the whole of both.
    fn compare(&mut self) {
        self.apply(&Call::Look);
        for n in 0..4 {
            self.apply(&Call::Find { page: page(n) });
        }
        let mut found = Vec::new();
        let mut cursor = 0;
        loop {
            let Reply::Scanned(some, next) = self.ask(&Call::Scan { cursor }) else { panic!() };
            found.extend(some);
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        found.sort_by(|one, other| one.0.cmp(&other.0));
        found.dedup();
        let view = self.model.view();
        let records = self.model.records().filter(|(_, record)| view.get(record.node).is_none());
        let mut expected: Vec<_> =
            records.map(|(page, record)| (page.clone(), record.clone())).collect();
        expected.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(found, expected);
    }

    fn live(&mut self, random: &mut Random, steps: usize) {
        for _ in 0..steps {
            if random.one_in(30) {
                let is_listening = random.one_in(2);
                self.set_listening(node(random.below(5)), is_listening);
            }
            let call = random_call(random, &self.model);
            self.apply(&call);
        }
        self.compare();
    }
}

#[test]
fn random_calls_have_the_same_answers() {
    let redis = Redis::start(&[]);
    let mut kinds = std::collections::BTreeSet::new();
    for seed in 1..=12 {
        // a prefix that is a pattern as well, and others beside it
        let mut pair = Pair::new(&redis, &format!("a[{seed}]*"));
        let mut random = Random::new(seed);
        for _ in 0..6 {
            pair.live(&mut random, 100);
            match random.below(4) {
                0 => pair.delete_members(),
                1 => {
                    for _ in 0..1500 {
                        let (node, standing) = (node(random.below(5)), Standing::Settled);
                        pair.apply(&Call::Renew { node, epoch: Epoch(7), standing });
                    }
                }
                _ => {}
            }
            for _ in 0..50 {
                let call = random_call(&mut random, &pair.model);
                kinds.insert(kind(&pair.apply(&call)));
            }
        }
        pair.inboxes.clear();
    }
    assert_eq!(kinds.len(), 13, "every answer came: {kinds:?}");
}

/// Returns the name of an answer.
fn kind(reply: &Reply) -> String {
    format!("{reply:?}").split(['(', ' ']).next().unwrap().to_owned()
}

#[test]
fn a_redis_that_is_emptied_or_restarted_begins_a_generation() {
    let mut redis = Redis::start(&[]);
    let mut random = Random::new(99);
    let mut pair = Pair::new(&redis, "one");
    pair.live(&mut random, 200);
    pair.delete_all();
    pair.live(&mut random, 100);
    pair.delete_members();
    pair.live(&mut random, 100);

    let (model, words) = (pair.model.clone(), pair.words.clone());
    redis.restart_with_data();
    let mut pair = Pair::new(&redis, "one");
    (pair.model, pair.words.fresh) = (model, words.fresh);
    let same_word = generation(&redis, &pair.words.fresh);
    pair.model.restart(same_word);
    pair.compare();
    pair.live(&mut random, 100);

    redis.restart_empty();
    let mut pair = Pair::new(&redis, "one");
    pair.live(&mut random, 100);
}

#[test]
fn a_promoted_replica_goes_on_from_what_it_has() {
    let master = Redis::start(&[]);
    let port = master.port().to_string();
    let replica = Redis::start(&["--replicaof", "127.0.0.1", &port]);
    let mut random = Random::new(7);
    let mut pair = Pair::new(&master, "one");
    pair.live(&mut random, 300);
    let copies: u64 = run(&mut pair.connection, "WAIT 1 20000");
    assert_eq!(copies, 1);
    let () = replica.run("REPLICAOF NO ONE");
    let mut other = pair.moves_to(&replica);
    assert_ne!(pair.model.generation(), other.model.generation());
    other.compare();
    // two masters, each with its own calls
    for _ in 0..5 {
        pair.live(&mut random, 50);
        other.live(&mut random, 50);
    }
}

#[test]
fn names_and_numbers_of_any_size_survive() {
    let redis = Redis::start(&[]);
    let mut pair = Pair::new(&redis, "one");
    let (standing, carried) = (Standing::Settled, vec![(NodeId(u64::MAX), Slot(255))]);
    let epoch = Epoch(Epoch::LIMIT - 1);
    let node = NodeId(u64::MAX);
    let version = u32::MAX;
    let settings = Fingerprint::new(0..100);
    pair.apply(&Call::Register {
        node,
        version,
        epoch,
        standing,
        settings,
        address: Some("http://a/".into()),
        carried,
        wants_slot: false,
    });
    pair.apply(&Call::Renew { node, epoch, standing });
    let names = ["\u{1F600} \0\r\n *", &"x".repeat(1024), "page:", ":", "a:b"];
    let hosts = ["-", "+", "\u{1F600} 7", &"x".repeat(128), "0"];
    for (name, host) in names.into_iter().zip(hosts) {
        let page = PageKey::Named(PageName::parse(name).unwrap());
        let host = Some(PeerId::parse(host).unwrap());
        for fence in [(1 << 53) + 1, (1 << 53) + 2, u64::MAX - 1, u64::MAX] {
            let fence = Fence(fence);
            pair.apply(&Call::Claim { page: page.clone(), node, fence });
            let (page, host) = (page.clone(), host.clone());
            let pages = [Asserted { page, fence, epoch: Epoch(fence.0), host }].into();
            pair.apply(&Call::Assert { node, pages });
        }
        pair.apply(&Call::Find { page });
    }
    pair.apply(&Call::Depart { node });
    pair.compare();
}

#[test]
fn slots_rest_alike() {
    let redis = Redis::start(&[]);
    let mut pair = Pair::new(&redis, "one");
    crowd().for_each(|call| drop(pair.apply(&call)));
    let slot = |pair: &mut Pair, n, carried: &[(NodeId, Slot)]| {
        let reply = pair.apply(&registration(node(n), carried));
        let Reply::Registered(view) = reply else { panic!("{reply:?}") };
        view.get(node(n)).unwrap().slot
    };
    for n in 0..5 {
        assert_eq!(slot(&mut pair, n, &[]), Some(Slot(251 + n as u8)));
    }
    pair.apply(&Call::Bury { node: node(0), counter: 0 });
    assert_eq!(slot(&mut pair, 5, &[]), None, "251 rests");
    pair.apply(&Call::Depart { node: node(1) });
    assert_eq!(slot(&mut pair, 5, &[]), Some(Slot(252)), "who departs leaves a free slot");
    let renewal = Call::Renew { node: node(2), epoch: Epoch(0), standing: Standing::Settled };
    for _ in 1..SLOT_REST {
        pair.apply(&renewal);
    }
    assert_eq!(slot(&mut pair, 6, &[]), None);
    pair.apply(&renewal);
    assert_eq!(slot(&mut pair, 6, &[]), Some(Slot(251)));
    pair.apply(&Call::Depart { node: node(3) });
    assert_eq!(slot(&mut pair, 7, &[(node(3), Slot(254))]), None, "a carried slot rests");
}

#[test]
fn calls_of_many_pages_answer_for_each() {
    let redis = Redis::start(&[]);
    let mut pair = Pair::new(&redis, "one");
    for n in 0..2 {
        pair.apply(&registration(node(n), &[]));
    }
    let pages = |node: u64, from: u64| {
        let one = move |n| Asserted {
            page: page(n),
            fence: Fence(node + 1),
            epoch: Epoch(n),
            host: PeerId::parse(&n.to_string()).ok(),
        };
        (from..from + 200).map(one).collect()
    };
    pair.apply(&Call::Assert { node: node(0), pages: pages(0, 0) });
    let Reply::Asserted(stand) = pair.apply(&Call::Assert { node: node(1), pages: pages(1, 100) })
    else {
        panic!()
    };
    assert_eq!(stand.iter().flatten().count(), 100);
    let given_up = (0..300).map(|n| (page(n), Fence(1))).collect();
    let changed = pair.apply(&Call::GiveUp { node: node(0), pages: given_up });
    assert_eq!(changed, Reply::Changed(200));
    pair.apply(&Call::Depart { node: node(0) });
    pair.compare();
}
