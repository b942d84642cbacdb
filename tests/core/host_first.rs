//! A new host is told before all others, and the time that takes does not grow with its page.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use peerstar_core::epoch_clock::EpochClock;
use peerstar_core::page::election::Policy;
use peerstar_core::page::member::Departure;
use peerstar_core::page::{Env, Handover, Input, Output, PageState, Rules};
use peerstar_core::protocol::id::{PageKey, PageName, SessionId};
use peerstar_core::protocol::incoming::{Inbound, read};
use peerstar_core::time::Time;
use serde_json::Value;

use super::world::{START_MS, id, joiner, rules};

struct Page {
    state: PageState,
    now: Time,
    /// Number of times that the page asked when a session was last heard from.
    asked: Cell<usize>,
}

impl Page {
    fn of(members: u64, policy: Policy) -> Self {
        let rules = Rules { max_members: usize::MAX, policy, ..rules() };
        let key = PageKey::Named(PageName::parse("p").unwrap());
        let state = PageState::new(key, Arc::new(rules), Time(0), Handover::default());
        let mut page = Self { state, now: Time(0), asked: Cell::new(0) };
        for n in 0..members {
            let (session, id) = (SessionId(n), id(&format!("m{n}")));
            page.step(Input::Join(joiner(session, id)));
        }
        page
    }

    fn step(&mut self, input: Input) -> Vec<Output> {
        let now = self.now;
        self.asked.set(0);
        let last_heard = |_| {
            self.asked.set(self.asked.get() + 1);
            now
        };
        let env = Env {
            now,
            epochs: EpochClock::start(START_MS).read(now, START_MS + now.0),
            random: 1 << 63,
            last_heard: &last_heard,
            texts_sent: &|_| 0,
        };
        let mut out = Vec::new();
        self.state.handle(env, input, &mut out);
        out
    }

    fn host(&self) -> SessionId {
        let (_, host) = self.state.assignment().unwrap();
        SessionId(host.as_str()[1..].parse().unwrap())
    }

    fn status(&mut self, session: u64, payload: &str) {
        let text = format!(r#"{{"type":"STATUS","payload":{payload}}}"#);
        let Inbound::Status(update) = read(&id("x"), &text).unwrap() else { panic!("{text}") };
        self.step(Input::Status { session: SessionId(session), update });
    }
}

/// Returns whether an output sends something to a client.
fn says_something(output: &Output) -> bool {
    match output {
        Output::Left { .. }
        | Output::Elected { .. }
        | Output::Deputy { .. }
        | Output::NotAllowed
        | Output::Idle { .. } => false,
        Output::Welcome { .. }
        | Output::AnnounceHost { .. }
        | Output::AnnounceHostToOthers(_)
        | Output::Send { .. }
        | Output::Relay { .. }
        | Output::Forward { .. }
        | Output::RosterChange { .. }
        | Output::Ping(_)
        | Output::Probe { .. }
        | Output::Dismiss { .. } => true,
    }
}

/// Returns the receiver and the text of the first output for a client, and the number of outputs
/// from there.
fn first_said(out: &[Output]) -> (SessionId, Value, usize) {
    let at = out.iter().position(says_something).unwrap();
    let Output::AnnounceHost { to, frame, assignment } = &out[at] else {
        panic!("{:?} comes first", out[at])
    };
    assert!(assignment.hosting);
    (*to, serde_json::from_str(frame).unwrap(), out.len() - at)
}

#[test]
fn the_host_is_told_first_however_the_last_one_went() {
    for policy in [Policy::Random, Policy::Oldest] {
        let mut page = Page::of(9, policy);
        let ways = [
            Departure::Goodbye,
            Departure::Disconnected,
            Departure::Lost,
            Departure::Expelled,
            Departure::Silent,
        ];
        for (left, departure) in (2..=8).rev().zip(ways.into_iter().cycle()) {
            let host = page.host();
            let out = page.step(Input::SocketClosed { session: host, departure });
            let (to, told, _) = first_said(&out);
            assert_eq!(to, page.host(), "{departure:?}");
            assert_eq!(told["payload"]["roster"].as_array().map(Vec::len), Some(left), "{told}");
            let mut others = Vec::new();
            for output in &out {
                assert!(
                    !matches!(output, Output::AnnounceHost { .. }) || others.is_empty(),
                    "the host's own word comes once, and first"
                );
                if let Output::AnnounceHostToOthers(announcement) = output {
                    page.state
                        .announce_to_others(announcement, |to, frame| others.push((to, frame)));
                }
            }
            assert_eq!(others.len(), left - 1);
            assert!(
                others.iter().all(|(other, frame)| *other != to && !frame.contains("roster")),
                "{others:?}"
            );
            page.state.check().unwrap();
        }
    }
}

#[test]
fn what_a_host_waits_for_does_not_grow_with_its_page() {
    for policy in [Policy::Random, Policy::Oldest] {
        let cost = [100, 10_000].map(|members| {
            let mut page = Page::of(members, policy);
            page.now = page.now.plus(Duration::from_secs(1));
            let out =
                page.step(Input::SocketClosed { session: page.host(), departure: Departure::Lost });
            let (_, told, outputs) = first_said(&out);
            assert_eq!(
                told["payload"]["roster"].as_array().map(Vec::len),
                Some(members as usize - 1)
            );
            (outputs, page.asked.get() <= 64)
        });
        assert_eq!(cost[0], cost[1], "{policy:?}: (outputs, few were asked for)");
        assert!(cost[1].1);
    }
}

#[test]
fn the_roster_of_a_host_is_what_its_members_last_said() {
    let mut page = Page::of(300, Policy::Oldest);
    for n in (1..300).step_by(3) {
        page.status(n, &format!(r#"{{"profile":"{}"}}"#, "p".repeat(n as usize)));
    }
    for n in (1..300).step_by(6) {
        page.status(n, r#"{"profile":null}"#);
    }
    for n in (2..300).step_by(5) {
        page.step(Input::SocketClosed { session: SessionId(n), departure: Departure::Goodbye });
    }
    page.state.check().unwrap();
    let out = page.step(Input::SocketClosed { session: SessionId(0), departure: Departure::Lost });
    let (_, told, _) = first_said(&out);
    let entries = told["payload"]["roster"].as_array().unwrap();
    let ids: Vec<_> =
        entries.iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(
        ids,
        page.state.ids().map(ToString::to_string).collect::<Vec<_>>(),
        "in the order in which they came"
    );
    for entry in entries {
        let n: usize = entry["id"].as_str().unwrap()[1..].parse().unwrap();
        let length = (n % 3 == 1 && n % 6 != 1).then_some(n);
        assert_eq!(entry["profile"].as_str().map(str::len), length, "{entry}");
    }
}

#[test]
fn on_a_large_page_the_fittest_hosts_however_few_are_fit() {
    for (policy, fit) in [
        (Policy::Random, vec![30, 150, 199]),
        (Policy::Oldest, vec![30, 150, 199]),
        (Policy::Random, vec![77]),
    ] {
        let mut page = Page::of(200, policy);
        for n in (0..200).filter(|n| !fit.contains(n)) {
            page.status(
                n,
                if n % 2 == 0 { r#"{"visible":false}"# } else { r#"{"eligible":false}"# },
            );
        }
        let out =
            page.step(Input::SocketClosed { session: page.host(), departure: Departure::Lost });
        let (host, _, _) = first_said(&out);
        assert!(fit.contains(&host.0), "{host:?} hosts where {fit:?} are fitter");
        assert!(
            policy == Policy::Random || host.0 == fit[0],
            "{host:?} is not the oldest of {fit:?}"
        );
    }
}
