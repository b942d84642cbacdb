//! A well-behaved member that talks: it signals to others, answers, relays, and checks all that it
//! receives.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde::Deserialize;
use tokio::time::Instant;

use crate::frame;
use crate::ledger::STRANGER;
use crate::member::{Role, Seat, World};
use crate::words::Message;

use super::town::{Town, count};

/// Timeout of an exchange. A message to an absent peer comes back after `peerjs.expire_ms` (5 s);
/// all else takes no time on an idle machine.
const PATIENCE: Duration = Duration::from_secs(12);
/// Time in which the server may not have noticed that a socket is gone. Messages to it are lost
/// meanwhile.
const NOTICED: Duration = Duration::from_secs(3);
/// Time between two exchanges of a member, in s.
const PAUSE: std::ops::Range<f64> = 0.5..3.5;
/// Size of the OFFER of a data connection, roughly.
const FILLING: &str = "v=0 o=- 4611731400430051336 2 IN IP4 127.0.0.1 s=- t=0 0 a=group:BUNDLE 0 a=extmap-allow-mixed a=msid-semantic: WMS \
    m=application 9 UDP/DTLS/SCTP webrtc-datachannel c=IN IP4 0.0.0.0 a=ice-ufrag:mJ8a a=ice-pwd:8UY5xQkFq0nGmVdYlqgq0o1E a=mid:0";

/// OFFER, two CANDIDATEs, and the ANSWER to the last; or EXPIRE.
#[derive(Debug)]
struct Exchange {
    with: Rc<Seat>,
    number: u64,
    sent: Instant,
    /// Number of ended sockets of both sides when the exchange began.
    ends: (usize, usize),
    was_up: bool,
}

/// Content of a message here: the sender's count, and the part of the exchange.
#[derive(Deserialize)]
struct Said {
    n: u64,
    part: u8,
}

/// The role of a talking member.
#[derive(Debug)]
pub(super) struct Talker {
    me: Rc<Seat>,
    world: Rc<World>,
    town: Rc<Town>,
    random: SmallRng,
    next: Instant,
    number: u64,
    exchange: Option<Exchange>,
    /// Last number of each sender: signalling, relayed.
    signalled: HashMap<Box<str>, (u64, u8)>,
    relayed: HashMap<Box<str>, u64>,
}

impl Talker {
    /// Returns the role of `me`.
    #[must_use]
    pub(super) fn new(me: &Rc<Seat>, world: &Rc<World>, town: &Rc<Town>, seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        Self {
            me: Rc::clone(me),
            world: Rc::clone(world),
            town: Rc::clone(town),
            next: Instant::now() + Duration::from_secs_f64(random.random_range(0.0..PAUSE.end)),
            random,
            number: 0,
            exchange: None,
            signalled: HashMap::new(),
            relayed: HashMap::new(),
        }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        self.number += 1;
        let n = self.number;
        if self.random.random_ratio(1, 4) {
            let relay =
                format!(r#"{{"type":"RELAY","payload":{{"n":{n},"part":0,"x":"{FILLING}"}}}}"#);
            return frame::push(out, frame::TEXT, relay.as_bytes());
        }
        let nobody = self
            .random
            .random_ratio(1, 20)
            .then(|| Seat::new(self.me.page, &format!("nobody{n}"), 0));
        let with = nobody.or_else(|| {
            let others = self.town.pages[self.me.page].borrow();
            let other = others.get(self.random.random_range(0..others.len().max(1)));
            other.filter(|other| other.id != self.me.id).cloned()
        });
        let Some(with) = with else { return };
        for (part, kind) in ["OFFER", "CANDIDATE", "CANDIDATE"].into_iter().enumerate() {
            say(out, kind, &with.id, n, part);
        }
        let (ends, was_up) = ((self.me.ends.get(), with.ends.get()), with.up.get());
        self.exchange = Some(Exchange { with, number: n, sent: Instant::now(), ends, was_up });
    }

    /// Returns whether a death disturbed the exchange.
    fn is_excused(&self, exchange: &Exchange) -> bool {
        let (with, sent) = (&exchange.with, exchange.sent);
        exchange.ends != (self.me.ends.get(), with.ends.get())
            || with.lost.get().is_some_and(|lost| lost + NOTICED > sent)
            || self.town.died_since(self.me.page, sent)
    }

    /// Returns whether the exchange may go wrong.
    fn may_be_lost(&self, exchange: &Exchange) -> bool {
        self.is_excused(exchange) || self.town.links_fill.get()
    }

    fn hear_signal(&mut self, src: &str, kind: &str, said: &Said, out: &mut Vec<u8>) {
        let now = (said.n, said.part);
        match self.signalled.get_mut(src) {
            Some(last) if *last >= now => {
                let what = format!(
                    "page {}: {} heard {now:?} of {src} after {last:?}",
                    self.me.page, self.me.id
                );
                self.world.ledger.fault(what);
            }
            Some(last) => *last = now,
            None => drop(self.signalled.insert(src.into(), now)),
        }
        if kind == "CANDIDATE" && said.part == 2 {
            self.number += 1;
            // an answer carries the number of the message it answers, in place of a part
            let answer = format!(
                r#"{{"type":"ANSWER","dst":"{src}","payload":{{"n":{},"part":0}}}}"#,
                said.n
            );
            frame::push(out, frame::TEXT, answer.as_bytes());
        }
    }

    fn hear_relay(&mut self, src: &str, said: &Said) {
        count(&self.town.counts.relayed);
        let last = self.relayed.insert(src.into(), said.n);
        if let Some(last) = last.filter(|last| *last >= said.n) {
            let what = format!(
                "page {}: {} heard relayed {} of {src} after {last}",
                self.me.page, self.me.id, said.n
            );
            self.world.ledger.fault(what);
        }
    }

    fn answered(&mut self, src: &str, said: &Said) {
        let Some(exchange) = self.exchange.take_if(|e| e.number == said.n && *e.with.id == *src)
        else {
            return;
        };
        count(&self.town.counts.answered);
        if exchange.was_up && self.town.recording.get() && !self.is_excused(&exchange) {
            self.town.trips.borrow_mut().push(exchange.sent.elapsed());
        }
    }

    fn expired(&mut self, src: &str) {
        let Some(exchange) = self.exchange.take_if(|e| *e.with.id == *src) else { return };
        count(&self.town.counts.expired);
        if exchange.was_up && !self.may_be_lost(&exchange) {
            self.world.ledger.fault(format!(
                "page {}: {} (on {:?}) was told that {src} (on {:?}) is absent, who is there; {}",
                self.me.page,
                self.me.id,
                self.me.node.get(),
                exchange.with.node.get(),
                self.town.when(exchange.sent)
            ));
        }
    }
}

fn say(out: &mut Vec<u8>, kind: &str, dst: &str, n: u64, part: usize) {
    let text = format!(
        r#"{{"type":"{kind}","dst":"{dst}","payload":{{"n":{n},"part":{part},"x":"{FILLING}"}}}}"#
    );
    frame::push(out, frame::TEXT, text.as_bytes());
}

impl Role for Talker {
    fn opened(&mut self, _: &mut Vec<u8>) {
        if self.exchange.take().is_some() {
            count(&self.town.counts.excused);
        }
    }

    fn said(&mut self, message: &Message<'_>, out: &mut Vec<u8>) {
        let Some(src) = message.src.as_deref().filter(|src| !src.starts_with(STRANGER)) else {
            return;
        };
        match message.r#type {
            "EXPIRE" => return self.expired(src),
            "OFFER" | "CANDIDATE" | "ANSWER" | "RELAY" => {}
            _ => return,
        }
        let Ok(said) = message.read::<Said>() else {
            return self
                .world
                .ledger
                .fault(format!("page {}: {src} said {:?}", self.me.page, message.payload));
        };
        match message.r#type {
            "ANSWER" => self.answered(src, &said),
            "RELAY" => self.hear_relay(src, &said),
            kind => self.hear_signal(src, kind, &said, out),
        }
    }

    fn due(&self) -> Option<Instant> {
        let ends = self.exchange.as_ref().map(|exchange| exchange.sent + PATIENCE);
        ends.or_else(|| self.town.talking.get().then_some(self.next))
    }

    fn act(&mut self, out: &mut Vec<u8>) {
        if let Some(exchange) = self.exchange.take() {
            if self.may_be_lost(&exchange) {
                return count(&self.town.counts.excused);
            }
            let (page, me, with) = (self.me.page, &self.me.id, &exchange.with.id);
            let what = format!(
                "page {page}: what {me} sent {with} (up: {}) neither arrived nor expired; {}",
                exchange.was_up,
                self.town.when(exchange.sent)
            );
            return self.world.ledger.fault(what);
        }
        self.next = Instant::now() + Duration::from_secs_f64(self.random.random_range(PAUSE));
        self.begin(out);
    }
}
