//! Measures how long a page is busy with 10,000 members, on the machine at hand: `cargo test
//! --release --test core crowds -- --ignored --nocapture`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use peerstar_core::epoch_clock::EpochClock;
use peerstar_core::page::member::{Departure, JoinRequest};
use peerstar_core::page::{Env, Handover, Input, Output, PageState, Rules};
use peerstar_core::protocol::claim::Claim;
use peerstar_core::protocol::id::{Epoch, PageKey, PageName, SessionId};
use peerstar_core::protocol::incoming::SignalKind;
use peerstar_core::time::Time;

use super::world::{START_MS, id, joiner, rules};

const MANY: u64 = 10_000;

struct Crowd {
    page: PageState,
    now: Time,
}

impl Crowd {
    fn new() -> Self {
        let rules = Rules { max_members: usize::MAX, star: 32, ..rules() };
        let key = PageKey::Named(PageName::parse("p").unwrap());
        Self {
            page: PageState::new(key, Arc::new(rules), Time(0), Handover::default()),
            now: Time(0),
        }
    }

    /// Handles an input. Returns the number of outputs.
    fn step(&mut self, input: Input) -> usize {
        let now = self.now;
        let (last_heard, texts_sent) = (|_| now, |_| 0);
        let env = Env {
            now,
            epochs: EpochClock::start(START_MS).read(now, START_MS + now.0),
            random: 1 << 63,
            last_heard: &last_heard,
            texts_sent: &texts_sent,
        };
        let mut out = Vec::new();
        self.page.handle(env, input, &mut out);
        out.len() + out.iter().map(|output| self.announce_to_others(output)).sum::<usize>()
    }

    fn announce_to_others(&mut self, output: &Output) -> usize {
        let mut told = 0;
        if let Output::AnnounceHostToOthers(announcement) = output {
            self.page.announce_to_others(announcement, |_, _| told += 1);
        }
        told
    }

    /// The host dies. Returns the outputs of the page.
    fn lose_host(&mut self) -> Vec<Output> {
        let now = self.now;
        let env = Env {
            now,
            epochs: EpochClock::start(START_MS).read(now, START_MS),
            random: 1 << 63,
            last_heard: &|_| now,
            texts_sent: &|_| 0,
        };
        let mut out = Vec::new();
        let dies = Input::SocketClosed { session: SessionId(0), departure: Departure::Goodbye };
        self.page.handle(env, dies, &mut out);
        out
    }

    fn join(&mut self, n: u64, claim: Option<(u64, u64)>) {
        let claim =
            claim.map(|(epoch, host)| Claim { epoch: Epoch(epoch), host: id(&format!("m{host}")) });
        let (session, id) = (SessionId(n), id(&format!("m{}", n % MANY)));
        self.step(Input::Join(JoinRequest { claim, ..joiner(session, id) }));
    }

    fn lose_all(&mut self) {
        for n in 0..MANY {
            self.step(Input::SocketClosed { session: SessionId(n), departure: Departure::Lost });
        }
    }
}

/// Prints the time that a piece of a crowd's life takes.
#[expect(clippy::print_stderr, reason = "figures are what it is for")]
fn timed<T>(what: &str, piece: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let outcome = piece();
    eprintln!("{what:<60} {:>10.1} ms", start.elapsed().as_secs_f64() * 1000.0);
    outcome
}

#[test]
#[ignore = "figures, not a test"]
fn crowds() {
    let mut crowd = Crowd::new();
    timed("all come", || (0..MANY).for_each(|n| crowd.join(n, None)));
    let out = timed("the host dies: elect, tell the next one", || crowd.lose_host());
    let told = timed("tell the others", || {
        out.iter().map(|output| crowd.announce_to_others(output)).sum::<usize>()
    });
    assert_eq!(told as u64, MANY - 2);
    timed("all are lost", || crowd.lose_all());
    timed("all are back, in another order", || {
        (0..MANY).for_each(|n| crowd.join(MANY + n * 7919 % MANY, None))
    });

    let mut crowd = Crowd::new();
    (0..MANY).for_each(|n| crowd.join(n, None));
    crowd.lose_all();
    crowd.now = crowd.now.plus(Duration::from_secs(3));
    timed("nobody of them is back in time", || crowd.step(Input::Timer));

    let mut crowd = Crowd::new();
    timed("all come to a restarted server, of one mind, the host last", || {
        (0..MANY).for_each(|n| crowd.join(n, Some((START_MS, MANY - 1))));
    });
    assert_eq!(crowd.page.assignment(), Some((Epoch(START_MS), id(&format!("m{}", MANY - 1)))));

    let mut crowd = Crowd::new();
    timed("all come to a restarted server, of many minds", || {
        // the claimed host with the highest epoch is not there
        crowd.join(0, Some((START_MS, MANY)));
        (1..MANY).for_each(|n| crowd.join(n, Some((START_MS - 1, n / 2))));
    });
    crowd.now = crowd.now.plus(Duration::from_secs(5));
    timed("their election", || crowd.step(Input::Timer));

    let mut crowd = Crowd::new();
    (0..MANY).for_each(|n| crowd.join(n, None));
    let letter = |to| Input::Forward {
        session: SessionId(to),
        kind: SignalKind::Offer,
        dst: id(&format!("x{to}")),
        frame: "an offer".into(),
    };
    timed("each waits for another", || (0..MANY).map(|n| crowd.step(letter(n))).sum::<usize>());
    timed("who all come", || {
        for n in 0..MANY {
            let (session, id) = (SessionId(MANY + n), id(&format!("x{n}")));
            crowd.step(Input::Join(joiner(session, id)));
        }
    });

    let mut crowd = Crowd::new();
    (0..MANY).for_each(|n| crowd.join(n, None));
    timed("each id is asked for by another", || (MANY..2 * MANY).for_each(|n| crowd.join(n, None)));
    timed("all answer", || {
        (0..MANY).map(|n| crowd.step(Input::Alive(SessionId(n)))).sum::<usize>()
    });
}
