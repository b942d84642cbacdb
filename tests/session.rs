//! One session as a state machine, driven without actors: by name, and through random lives with
//! every rule checked.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so at once")]

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use peerstar_core::page::Input;
use peerstar_core::page::member::{Departure, JoinRequest, Rights};
use peerstar_core::protocol::claim::Claim;
use peerstar_core::protocol::close::Close;
use peerstar_core::protocol::id::{Capabilities, Epoch, PageKey, PageName, PeerId, SessionId};
use peerstar_core::protocol::incoming::{SignalKind, StatusUpdate, read};
use peerstar_core::session::{
    Identity, JOIN_RETRY, MAX_EARLY, OPEN_WITHIN, Reaction, SEEK_RETRY, SessionEnv, SessionInput,
    SessionOutput, SessionRules, SessionState,
};
use peerstar_core::time::Time;
use proptest::prelude::*;

const PING: Duration = Duration::from_millis(5000);
const HOST_PING: Duration = Duration::from_millis(2000);
const ICE: Duration = Duration::from_millis(2700);

/// Address of a page: the number of its actor.
type Page = u64;
type Output = SessionOutput<Page>;

fn id(text: &str) -> PeerId {
    PeerId::parse(text).unwrap()
}

fn claim(epoch: u64, host: &str) -> Claim {
    Claim { epoch: Epoch(epoch), host: id(host) }
}

/// A session, and what it cannot know by itself.
struct World {
    state: SessionState<Page>,
    now: Time,
    /// Addresses from this one on are of actors that run.
    first_running: Page,
    announced: Option<Claim>,
    as_of: Time,
    holds_handshake: bool,
}

impl World {
    fn new(key: PageKey, group: u32, url_claim: Option<Claim>) -> Self {
        let identity = Identity {
            key,
            id: id("ann"),
            token: None,
            group,
            can: Capabilities::default(),
            rights: Rights::ALL,
            claim: url_claim,
        };
        let rules = SessionRules {
            ping: PING,
            host_ping: HOST_PING,
            ice_renewal: Some(ICE),
            max_relay_bytes: 100,
        };
        Self {
            state: SessionState::new(SessionId(7), identity, None, Arc::new(rules), Time(0)),
            now: Time(0),
            first_running: 1,
            announced: None,
            as_of: Time(0),
            holds_handshake: true,
        }
    }

    /// A group member of a page that has no ICE servers to renew.
    fn without_ice() -> Self {
        Self::new(PageKey::Pageless, 1, None)
    }

    fn on_page() -> Self {
        Self::new(PageKey::Named(PageName::parse("p").unwrap()), 1, None)
    }

    fn step(&mut self, input: SessionInput<Page>) -> Vec<Output> {
        let first_running = self.first_running;
        let env = SessionEnv {
            now: self.now,
            runs: &|page: &Page| *page >= first_running,
            announced: &|| self.announced.clone(),
            as_of: self.as_of,
            holds_handshake: self.holds_handshake,
        };
        let mut out = Vec::new();
        self.state.handle(&env, input, &mut out);
        out
    }

    fn join(&mut self, page: Page) -> Vec<Output> {
        self.step(SessionInput::Joined { page, claim: None })
    }

    /// Hands the session a message of its client that can be told from others by `n`.
    fn say(&mut self, n: usize) -> Option<usize> {
        let first_running = self.first_running;
        let update =
            StatusUpdate { channels: Some(vec![(id("bob"), n as u32)]), ..Default::default() };
        let input = Input::Status { session: SessionId(7), update };
        self.state.forward(input, |page| *page >= first_running).map(|input| number(&input))
    }

    /// Moves the clock to the next tick, and ticks.
    fn tick(&mut self) -> Vec<Output> {
        self.now = self.state.next_tick().max(self.now);
        self.step(SessionInput::Tick)
    }
}

/// Returns the number of a message of [`World::say`].
fn number(input: &Input) -> usize {
    let Input::Status { update, .. } = input else { panic!("not said: {input:?}") };
    update.channels.as_ref().unwrap()[0].1 as usize
}

fn forwarded(out: &[Output]) -> Vec<usize> {
    let inputs = out.iter().filter_map(|output| {
        let SessionOutput::Forward(input) = output else { return None };
        Some(number(input))
    });
    inputs.collect()
}

fn has(out: &[Output], is_it: impl Fn(&Output) -> bool) -> bool {
    out.iter().any(is_it)
}

fn asks_to_join(output: &Output) -> bool {
    matches!(output, SessionOutput::Join(_))
}

fn resumed(out: &[Output]) -> Option<(Page, &JoinRequest)> {
    out.iter().find_map(|output| {
        let SessionOutput::Resume { page, request } = output else { return None };
        Some((*page, &**request))
    })
}

#[test]
fn a_session_asks_to_join_at_once_and_again_until_a_page_answers() {
    let mut world = World::without_ice();
    assert!(matches!(&*world.step(SessionInput::Start), [SessionOutput::Join(_)]));
    assert_eq!(world.state.next_tick(), Time(0).plus(OPEN_WITHIN));
    assert!(matches!(&*world.tick(), [SessionOutput::ReleaseHandshake]));
    world.holds_handshake = false;
    for n in 1..4 {
        assert_eq!(world.state.next_tick(), Time(0).plus(OPEN_WITHIN + JOIN_RETRY * n));
        assert!(matches!(&*world.tick(), [SessionOutput::Join(_)]));
    }
    assert!(world.join(1).is_empty());
    assert!(world.state.is_member());
    world.as_of = world.now;
    assert!(!has(&world.tick(), asks_to_join));
}

#[test]
fn a_member_whose_page_is_gone_asks_where_it_is() {
    let mut world = World::without_ice();
    world.step(SessionInput::Start);
    world.join(1);
    world.first_running = 2;
    assert!(matches!(&*world.tick(), [SessionOutput::Seek]));
    let asked = world.now;
    assert!(matches!(&*world.tick(), [SessionOutput::Seek]));
    assert_eq!(world.now, asked.plus(SEEK_RETRY));
}

#[test]
fn a_session_resumes_once_at_each_successor_with_the_newest_claim_and_its_status() {
    let mut world = World::on_page();
    world.step(SessionInput::Start);
    world.step(SessionInput::Joined { page: 1, claim: Some(claim(5, "bob")) });
    let text = r#"{"type":"STATUS","payload":{"visible":false}}"#;
    assert!(matches!(world.state.react(read(&id("ann"), text).unwrap()), Reaction::ToPage(_)));
    for (announced, own, expected) in [
        (None, None, claim(5, "bob")),
        (Some(claim(6, "cat")), None, claim(6, "cat")),
        (Some(claim(6, "cat")), Some(claim(9, "ann")), claim(9, "ann")),
        (Some(claim(10, "bob")), None, claim(10, "bob")),
    ] {
        world.announced = announced;
        if let Some(own) = own {
            world.step(SessionInput::Hosts(own));
        }
        world.first_running += 1;
        let successor = world.first_running;
        let out = world.step(SessionInput::PageLost(Some(successor)));
        assert!(matches!(out[0], SessionOutput::ForgetInFlight));
        let (page, request) = resumed(&out).unwrap();
        assert_eq!((page, request.claim.as_ref()), (successor, Some(&expected)));
        assert!(!request.resumed.as_ref().unwrap().visible, "the status goes with it");
        assert!(world.step(SessionInput::PageLost(Some(successor))).is_empty(), "named twice");
        assert_eq!(world.say(1), None, "the successor has not answered");
        assert_eq!(forwarded(&world.join(successor)).len(), 1);
    }
}

#[test]
fn a_newcomer_whose_page_is_lost_joins_again_with_the_claim_of_its_url() {
    let mut world =
        World::new(PageKey::Named(PageName::parse("p").unwrap()), 1, Some(claim(3, "bob")));
    world.step(SessionInput::Start);
    world.announced = Some(claim(9, "cat"));
    let out = world.step(SessionInput::PageLost(Some(2)));
    let [SessionOutput::Join(request)] = &*out else { panic!("{out:?}") };
    assert_eq!((&request.claim, request.resumed.is_some()), (&Some(claim(3, "bob")), false));
}

#[test]
fn a_silent_client_is_pinged_and_a_host_sooner() {
    for (host, interval) in [("bob", PING), ("ann", HOST_PING)] {
        let mut world = World::without_ice();
        world.announced = Some(claim(1, host));
        world.step(SessionInput::Start);
        world.join(1);
        assert_eq!(world.state.next_tick(), Time(0).plus(interval), "{host}");
        assert!(matches!(&*world.tick(), [SessionOutput::Ping]));
        world.as_of = world.now;
        assert!(!has(&world.step(SessionInput::Tick), |output| matches!(
            output,
            SessionOutput::Ping
        )));
    }
}

#[test]
fn a_new_host_is_looked_at_in_the_same_moment() {
    let mut world = World::without_ice();
    world.step(SessionInput::Start);
    world.join(1);
    world.now = Time(3000);
    world.step(SessionInput::Hosts(claim(1, "ann")));
    assert_eq!(world.state.next_tick(), world.now);
    assert!(
        matches!(&*world.tick(), [SessionOutput::Ping]),
        "silent for 3 s is too long for a host"
    );
}

#[test]
fn one_ping_of_the_page_is_answered_by_one_sign_of_life() {
    let mut world = World::without_ice();
    world.step(SessionInput::Start);
    world.join(1);
    assert!(world.state.sign_of_life().is_none());
    assert!(matches!(&*world.step(SessionInput::Ping), [SessionOutput::Ping]));
    assert!(world.step(SessionInput::Ping).is_empty(), "a ping is under way");
    assert!(matches!(world.state.sign_of_life(), Some(Input::Alive(SessionId(7)))));
    assert!(world.state.sign_of_life().is_none());
}

#[test]
fn ice_servers_are_renewed_on_pages_alone() {
    let mut world = World::on_page();
    world.step(SessionInput::Start);
    world.join(1);
    assert_eq!(world.state.next_tick(), Time(0).plus(ICE));
    assert!(matches!(&*world.tick(), [SessionOutput::RenewIce]));
    let mut world = World::without_ice();
    world.step(SessionInput::Start);
    world.join(1);
    assert!(!has(&world.tick(), |output| matches!(output, SessionOutput::RenewIce)));
}

#[test]
fn the_departure_fits_the_way_in_which_the_session_ends() {
    let ended = |input| {
        let mut world = World::on_page();
        world.step(SessionInput::Start);
        world.step(input);
        world.state.departure()
    };
    for close in Close::ALL {
        let expected = if close == Close::Left {
            Departure::Goodbye
        } else if close.retry() {
            Departure::Lost
        } else {
            Departure::Expelled
        };
        assert_eq!(ended(SessionInput::Close { close, detail: None }), expected, "{close:?}");
    }
    for (code, expected) in [
        (None, Departure::Disconnected),
        (Some(1000), Departure::Goodbye),
        (Some(1001), Departure::GoingAway),
        (Some(1006), Departure::Lost),
        (Some(4000), Departure::Lost),
    ] {
        assert_eq!(ended(SessionInput::ClientClosed(code)), expected, "{code:?}");
    }
    assert_eq!(ended(SessionInput::PageLost(None)), Departure::Lost);
    assert_eq!(ended(SessionInput::Ping), Departure::Lost, "a socket that is cut");
}

#[test]
fn a_signal_may_bypass_the_page_only_if_it_overtakes_nothing() {
    let mut world = World::on_page();
    let runs = |page: &Page| *page >= 1;
    assert!(!world.state.may_bypass_page(SignalKind::Candidate, 0, runs), "there is no page");
    world.step(SessionInput::Start);
    world.join(1);
    assert!(world.state.may_bypass_page(SignalKind::Candidate, 0, runs));
    assert!(!world.state.may_bypass_page(SignalKind::Candidate, 1, runs), "a message is in flight");
    assert!(!world.state.may_bypass_page(SignalKind::Offer, 0, runs), "the page must know of it");
    assert!(!world.state.may_bypass_page(SignalKind::Candidate, 0, |_| false), "the page died");
}

#[test]
fn messages_are_judged_by_the_rules() {
    let mut world = World::without_ice();
    let mut react = |text: &str| world.state.react(read(&id("ann"), text).unwrap());
    assert!(matches!(react(r#"{"type":"HEARTBEAT"}"#), Reaction::Answer(_)));
    let proof = r#"{"type":"HEARTBEAT","payload":{"epoch":7}}"#;
    let Reaction::ToPage(Input::HostHeartbeat { session: SessionId(7), epoch: Epoch(7) }) =
        react(proof)
    else {
        panic!("the page answers what is said of an epoch")
    };
    assert!(matches!(react(r#"{"type":"NO-SUCH-TYPE"}"#), Reaction::Ignore));
    let relay = |bytes| format!(r#"{{"type":"RELAY","payload":"{}"}}"#, "x".repeat(bytes));
    assert!(matches!(react(&relay(10)), Reaction::ToPage(Input::Relay { .. })));
    let Reaction::Close { close: Close::TooBig, detail: Some(detail) } = react(&relay(200)) else {
        panic!("longer than max_relay_bytes")
    };
    assert_eq!(detail, "RELAY is longer than 100 bytes");
    assert!(matches!(react(r#"{"type":"LEAVE"}"#), Reaction::Close { close: Close::Left, .. }));
    let mut stock = World::new(PageKey::Pageless, 0, None);
    for heartbeat in [r#"{"type":"HEARTBEAT"}"#, proof] {
        let heartbeat = read(&id("ann"), heartbeat).unwrap();
        assert!(
            matches!(stock.state.react(heartbeat), Reaction::Ignore),
            "a stock client expects no answer"
        );
    }
}

/// One event of a random life.
#[derive(Debug, Clone)]
enum Event {
    Wait(u64),
    Heard,
    Say,
    Joined,
    Hosts(u64),
    Announced(u64),
    Ping,
    PageDies,
    PageLost,
    Close(usize),
    ClientClosed(Option<u16>),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0_u64..6000).prop_map(Event::Wait),
        2 => Just(Event::Heard),
        12 => Just(Event::Say),
        4 => Just(Event::Joined),
        2 => (0_u64..100).prop_map(Event::Hosts),
        2 => (0_u64..100).prop_map(Event::Announced),
        1 => Just(Event::Ping),
        2 => Just(Event::PageDies),
        3 => Just(Event::PageLost),
        1 => (0..Close::ALL.len()).prop_map(Event::Close),
        1 => prop::option::of(prop_oneof![Just(1000), Just(1001), 4000_u16..4999]).prop_map(Event::ClientClosed),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Through a random life: each message reaches a page once and in order, and none before the
    /// session is a member. The session asks again in time. It resumes once at each successor, with
    /// the newest claim. Nothing follows a close.
    #[test]
    fn a_session_keeps_its_rules_through_any_life(events in prop::collection::vec(event(), 1..120)) {
        let mut world = World::without_ice();
        let first = world.step(SessionInput::Start);
        prop_assert!(matches!(&*first, [SessionOutput::Join(_)]));
        let (mut said, mut arrived) = (0, Vec::new());
        let (mut latest_page, mut own): (Page, Option<Claim>) = (1, None);
        let (mut closed, mut joined) = (false, false);
        let resumed_at = Cell::new(None);
        let mut asked = Time(0);
        for event in events {
            let before = world.state.departure();
            let mut out = Vec::new();
            match event {
                Event::Wait(ms) => {
                    let until = world.now.plus(Duration::from_millis(ms));
                    while !closed && world.state.next_tick() <= until {
                        let ticked = world.tick();
                        let asks = has(&ticked, |output| matches!(
                            output,
                            SessionOutput::Join(_) | SessionOutput::Seek | SessionOutput::ReleaseHandshake
                        ));
                        let has_page = world.state.page().is_some_and(|page| *page >= world.first_running);
                        prop_assert_eq!(asks, !has_page, "asks exactly while it has no page");
                        world.holds_handshake = false;
                        // a dead page is noticed at a tick, so at most one ping interval passes
                        // before the first question
                        let limit = if joined { PING + SEEK_RETRY } else { JOIN_RETRY };
                        if asks {
                            prop_assert!(world.now.since(asked) <= limit || joined);
                            asked = world.now;
                        }
                        prop_assert!(world.state.next_tick() > world.now, "time goes on");
                        out.extend(ticked);
                    }
                    world.now = until;
                }
                Event::Heard => world.as_of = world.now,
                Event::Say if world.state.is_full() => {}
                Event::Say => {
                    arrived.extend(world.say(said));
                    said += 1;
                }
                Event::Joined => {
                    out = world.join(latest_page);
                    if !closed {
                        joined = true;
                        let newest = own.into_iter().chain(world.announced.clone());
                        own = newest.max_by_key(|claim| claim.epoch);
                    }
                }
                Event::Hosts(epoch) if joined => {
                    own = Some(claim(epoch, "ann"));
                    out = world.step(SessionInput::Hosts(claim(epoch, "ann")));
                }
                Event::Announced(epoch) => world.announced = Some(claim(epoch, "bob")),
                Event::Ping if joined => out = world.step(SessionInput::Ping),
                Event::Hosts(_) | Event::Ping => {}
                Event::PageDies => {
                    latest_page += 1;
                    world.first_running = latest_page;
                }
                Event::PageLost => {
                    out = world.step(SessionInput::PageLost(Some(latest_page)));
                    if !closed && !joined {
                        prop_assert!(has(&out, asks_to_join));
                    } else if !closed {
                        let is_new = resumed_at.replace(Some(latest_page)) != Some(latest_page);
                        prop_assert_eq!(resumed(&out).is_some(), is_new, "once at each successor");
                        if let Some((page, request)) = resumed(&out) {
                            let newest = own.iter().chain(&world.announced).map(|claim| claim.epoch).max();
                            prop_assert_eq!(page, latest_page);
                            prop_assert_eq!(request.claim.as_ref().map(|claim| claim.epoch), newest);
                        }
                    }
                }
                Event::Close(n) => {
                    out = world.step(SessionInput::Close { close: Close::ALL[n], detail: None });
                    let closes = has(&out, |output| matches!(output, SessionOutput::Close { .. }));
                    prop_assert_eq!(closes, !closed, "closes once");
                    if let Some(SessionOutput::Close { was_member, .. }) = out.first() {
                        prop_assert_eq!(*was_member, joined);
                    }
                    closed = true;
                }
                Event::ClientClosed(code) => {
                    out = world.step(SessionInput::ClientClosed(code));
                    prop_assert!(out.is_empty());
                    if closed {
                        prop_assert_eq!(world.state.departure(), before, "the first end counts");
                    }
                    closed = true;
                }
            }
            if closed && !matches!(event, Event::Close(_)) {
                prop_assert!(out.is_empty(), "nothing follows a close: {:?}", out);
            }
            arrived.extend(forwarded(&out));
            prop_assert!(joined || arrived.is_empty(), "nothing is forwarded before the session is a member");
            prop_assert!(said - arrived.len() <= MAX_EARLY, "no more is kept than allowed");
            prop_assert!(arrived.iter().copied().eq(0..arrived.len()), "once and in order: {:?}", arrived);
            if closed {
                break;
            }
        }
    }
}
