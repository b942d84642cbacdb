//! Servers that die and pages that panic, again and again. Clients that return claim what they were
//! announced.
//!
//! `World` checks after each step that no epoch has two hosts, and that no client is told an older
//! epoch after a newer one. Here it does so across restarts.

use std::collections::BTreeMap;

use peerstar_core::cluster::Slot;
use peerstar_core::page::Input;
use peerstar_core::page::member::{Departure, Rights};
use peerstar_core::protocol::id::SessionId;
use peerstar_core::protocol::outgoing::GROUP_VERSION;
use proptest::prelude::*;

use super::random::run;
use super::world::{START_MS, World, rules};

#[derive(Debug, Clone)]
enum Transition {
    /// A client joins, and claims what it was told if it remembers anything.
    Come {
        who: u8,
        remembers: bool,
        group: bool,
    },
    /// A client joins with an epoch that was never announced, that far from the clock. The epoch is
    /// not ahead of the clock: such an epoch is safe only while a client remembers it.
    MakeUp {
        who: u8,
        offset_ms: i64,
    },
    Go {
        who: u8,
        how: Departure,
    },
    /// The server is away for a while, and its clock is set back meanwhile.
    ServerDies {
        for_ms: u64,
        back_ms: u64,
    },
    /// A client that was told nothing claims any epoch, and leaves at once.
    Attack {
        offset_ms: i64,
    },
    /// The host hands over.
    Resign,
    /// The actor of the page dies. Its sessions have not resumed yet.
    PageDies,
    Resume {
        who: u8,
    },
    Rename {
        who: u8,
        profile: u8,
    },
    Pass {
        ms: u64,
    },
}

fn transition() -> impl Strategy<Value = Transition> {
    let how = prop::sample::select(vec![Departure::Goodbye, Departure::Lost]);
    prop_oneof![
        8 => (0..6_u8, prop::bool::weighted(0.8), prop::bool::weighted(0.7))
            .prop_map(|(who, remembers, group)| Transition::Come { who, remembers, group }),
        1 => (0..6_u8, -5000..0_i64).prop_map(|(who, offset_ms)| Transition::MakeUp { who, offset_ms }),
        3 => (0..6_u8, how).prop_map(|(who, how)| Transition::Go { who, how }),
        2 => (100..3000_u64).prop_map(|for_ms| Transition::ServerDies { for_ms, back_ms: 0 }),
        1 => Just(Transition::PageDies),
        6 => (0..6_u8).prop_map(|who| Transition::Resume { who }),
        3 => (0..6_u8, 0..3_u8).prop_map(|(who, profile)| Transition::Rename { who, profile }),
        3 => prop::sample::select(vec![1, 100, 3000, 5000]).prop_map(|ms| Transition::Pass { ms }),
    ]
}

/// Transitions of a group that forgets nothing, on a server whose clock is set back now and then, among
/// clients that make up claims.
fn hostile_transition() -> impl Strategy<Value = Transition> {
    let how = prop::sample::select(vec![Departure::Goodbye, Departure::Lost]);
    let ms = prop::sample::select(vec![1, 100, 1000, 3000, 5000, 100_000, 480_000]);
    prop_oneof![
        8 => (0..4_u8, prop::bool::weighted(0.9))
            .prop_map(|(who, group)| Transition::Come { who, remembers: true, group }),
        4 => (-900_000..900_000_i64).prop_map(|offset_ms| Transition::Attack { offset_ms }),
        3 => (0..4_u8, how).prop_map(|(who, how)| Transition::Go { who, how }),
        2 => Just(Transition::Resign),
        1 => (100..3000_u64, 0..60_000_u64)
            .prop_map(|(for_ms, back_ms)| Transition::ServerDies { for_ms, back_ms }),
        1 => Just(Transition::PageDies),
        4 => (0..4_u8).prop_map(|who| Transition::Resume { who }),
        4 => ms.prop_map(|ms| Transition::Pass { ms }),
    ]
}

/// Time that a server is up until what its predecessor told is at most 2 minutes above its clock.
const UP_MS: u64 = 480_000;
/// How far above the wall clock a claim raises a page after that.
const LIFT_MS: u64 = 120_000;
/// How far the clock is set back in one life: less than the 10 minutes that claims are believed for,
/// because the page may be ahead of the clock as well.
const MOST_BACK_MS: u64 = 240_000;

struct Life {
    world: World,
    /// When the server began.
    began_ms: u64,
    /// How far its clock was set back so far.
    back_ms: u64,
    /// The last assignment that each client was told, over all its sockets.
    memory: BTreeMap<u8, (u64, String)>,
}

impl Life {
    fn new() -> Self {
        let (world, memory) = (World::new(true, 1, rules()), BTreeMap::new());
        Self { world, began_ms: 0, back_ms: 0, memory }
    }

    fn session(&self, who: u8) -> Option<SessionId> {
        self.world.session(&format!("p{who}"))
    }

    fn come(&mut self, who: u8, group: bool, claim: Option<(u64, String)>) {
        if self.session(who).is_some() {
            return;
        }
        let session =
            self.world.dial(&format!("p{who}"), Some("token"), u32::from(group) * GROUP_VERSION);
        self.world.grant(session, Rights { host: who != 5, relay: who != 4 });
        // the client may be told nothing older than what it claims
        self.world.clients.get_mut(&session).unwrap().announced =
            claim.clone().filter(|_| self.memory.get(&who) == claim.as_ref());
        self.world.join(
            session,
            claim.as_ref().map(|(epoch, host)| (*epoch, host.as_str())),
            false,
        );
    }

    fn attack(&mut self, offset_ms: i64) {
        let is_new = self.world.now.0 - self.began_ms < UP_MS;
        let offset_ms = if is_new { offset_ms.min(LIFT_MS as i64 - 256) } else { offset_ms };
        let wall_ms = self.world.wall_ms();
        // an epoch of no life of the server: any other may have a true host
        let epoch = wall_ms.saturating_add_signed(offset_ms) | 255;
        if self.world.hosts.contains_key(&epoch) {
            return; // the attacker told it already, with another host
        }
        let (before, shown) =
            (self.world.page.announced_epoch().0, self.world.epoch_time().now_ms());
        let session = self.world.dial("xx", Some("evil"), 1);
        self.world.join(session, Some((epoch, "p0")), false);
        if self.world.clients.contains_key(&session) {
            self.world.hang_up(session, Departure::Goodbye);
        }
        // an attack makes the page name three hosts at most
        let most = before.max(shown).max(wall_ms + LIFT_MS) + 3 * (1024 + Slot::COUNT);
        let announced = self.world.page.announced_epoch().0;
        assert!(announced <= most, "{epoch} raised the page from {before} to {announced}");
    }

    fn remember(&mut self) {
        for client in self.world.clients.values().filter(|c| c.joined) {
            if let (Ok(who), Some(announced)) = (client.id[1..].parse(), &client.announced) {
                self.memory.insert(who, announced.clone());
            }
        }
    }

    fn apply(&mut self, transition: &Transition) {
        match *transition {
            Transition::Come { who, remembers, group } => {
                let claim = self.memory.get(&who).cloned().filter(|_| remembers);
                self.come(who, group, claim);
            }
            Transition::MakeUp { who, offset_ms } => {
                let epoch = (START_MS + self.world.now.0).saturating_add_signed(offset_ms);
                // an epoch that was announced has one true host, and a made-up claim could name
                // another
                if !self.world.hosts.contains_key(&epoch) {
                    self.come(who, true, Some((epoch, "p0".into())));
                }
            }
            Transition::Go { who, how } => {
                if let Some(session) = self.session(who) {
                    self.world.hang_up(session, how);
                }
            }
            Transition::ServerDies { for_ms, back_ms } => {
                self.world.clients.clear();
                let back_ms = back_ms.min(MOST_BACK_MS - self.back_ms);
                self.back_ms += back_ms;
                self.world.clock_ms -= back_ms;
                self.world.now.0 += for_ms;
                self.began_ms = self.world.now.0;
                self.world.restart();
            }
            Transition::Attack { offset_ms } => self.attack(offset_ms),
            Transition::Resign => {
                let host =
                    self.world.page.assignment().filter(|_| !self.world.page.is_recovering());
                if let Some((epoch, host)) = host
                    && let Some(session) = self.world.session(host.as_str())
                    && self.world.clients[&session].kept.is_none()
                {
                    let resign = Input::Resign { session, epoch, to: None };
                    self.world.step(resign);
                }
            }
            Transition::PageDies => self.world.lose_page(),
            Transition::Resume { who } => {
                if let Some(session) =
                    self.session(who).filter(|session| self.world.clients[session].kept.is_some())
                {
                    self.world.resume(session);
                }
            }
            Transition::Rename { who, profile } => {
                if let Some(session) = self.session(who) {
                    self.world.say(
                        session,
                        &format!(r#"{{"type":"STATUS","payload":{{"profile":{profile}}}}}"#),
                    );
                }
            }
            Transition::Pass { ms } => drop(self.world.pass(ms)),
        }
        self.remember();
    }
}

#[test]
fn whatever_dies_no_epoch_has_two_hosts_and_all_agree_in_the_end() {
    run(5000, prop::collection::vec(transition(), 1..60), |life| {
        let mut test = Life::new();
        for transition in life {
            test.apply(transition);
        }
        (0..6).for_each(|who| test.apply(&Transition::Resume { who }));
        for who in 0..6 {
            test.apply(&Transition::Come { who, remembers: true, group: true });
        }
        test.apply(&Transition::Pass { ms: 6000 });
        let announced: Vec<_> = test.world.clients.values().map(|c| c.announced.clone()).collect();
        // p5 may not host, and a group member needs a group member as host
        let hostless =
            test.session(5).is_none() && test.world.clients.values().all(|c| c.group == 0);
        assert_eq!(announced.len(), if hostless { 5 } else { 6 }, "{announced:?}");
        assert!(
            announced[0].is_some() && announced.windows(2).all(|pair| pair[0] == pair[1]),
            "{announced:?}"
        );
        let host = announced[0].as_ref().map(|(_, host)| host.clone()).unwrap_or_default();
        assert!(test.session(host[1..].parse().unwrap()).is_some(), "{host} is not here");
    });
}

#[test]
fn made_up_claims_and_clocks_that_are_set_back_do_not_part_a_group() {
    run(5000, prop::collection::vec(hostile_transition(), 1..60), |life| {
        let mut test = Life::new();
        // else an epoch may have two hosts by chance: the clock comes to it again
        test.world.epochs.slot = Some(Slot(0));
        for transition in life {
            test.apply(transition);
        }
        (0..4).for_each(|who| test.apply(&Transition::Resume { who }));
        // a page that is far above the clock lets one in a second
        for who in (0..4).cycle().take(16) {
            test.apply(&Transition::Come { who, remembers: true, group: true });
            test.apply(&Transition::Pass { ms: 1000 });
        }
        test.apply(&Transition::Pass { ms: 6000 });
        let announced: Vec<_> = test.world.clients.values().map(|c| c.announced.clone()).collect();
        assert_eq!(announced.len(), 4, "{announced:?}");
        assert!(
            announced[0].is_some() && announced.windows(2).all(|pair| pair[0] == pair[1]),
            "{announced:?}"
        );
    });
}
