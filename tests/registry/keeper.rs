//! A supervisor of a connection, and the events that it told.

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use peerstar::cluster::address::Address;
use peerstar::cluster::supervisor::{Event, Handle, Timing, Unanswered, start};
use peerstar_core::cluster::NodeId;
use peerstar_core::cluster::fingerprint::Fingerprint;
use peerstar_core::cluster::registry::{Call, Reply, Standing};
use peerstar_core::protocol::id::Epoch;

/// Longest wait for something that must come.
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct Keeper {
    pub(crate) handle: Handle,
    pub(crate) node: NodeId,
    events: Receiver<Event>,
    asked: u64,
}

impl Keeper {
    /// Starts a supervisor, and waits for nothing.
    pub(crate) fn start(url: &str, node: u64) -> Self {
        let timing = Timing { answer: Duration::from_millis(700), ..Timing::default() };
        let address = Address::parse(url, |_| None).unwrap().unwrap();
        let (tell, events) = channel();
        let node = NodeId(node);
        let handle = start(address, node, timing, move |event| drop(tell.send(event))).unwrap();
        Self { handle, node, events, asked: 0 }
    }

    /// Starts a supervisor, and waits until it serves.
    pub(crate) fn serving(url: &str, node: u64) -> Self {
        let keeper = Self::start(url, node);
        keeper.connected();
        keeper
    }

    /// Waits for an event.
    pub(crate) fn wait<T>(&self, what: &str, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        let until = Instant::now() + LIMIT;
        loop {
            let rest = until.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(rest);
            let event = event.unwrap_or_else(|_| panic!("{what} never came"));
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    }

    /// Waits for a connection. Returns the warning.
    pub(crate) fn connected(&self) -> Option<String> {
        self.wait("a connection", |event| match event {
            Event::Connected(warning) => Some(warning.clone()),
            _ => None,
        })
    }

    /// Waits for a refusal. Returns its text.
    pub(crate) fn refused(&self) -> String {
        self.wait("a refusal", |event| match event {
            Event::Refused(refusal) => Some(refusal.to_string()),
            _ => None,
        })
    }

    /// Waits until the connection is dropped. Returns why.
    pub(crate) fn lost(&self) -> String {
        self.wait("a loss", |event| match event {
            Event::Lost(refusal) => Some(refusal.to_string()),
            _ => None,
        })
    }

    /// Asserts that the connection was not dropped up to now.
    pub(crate) fn never_lost(&self) {
        for event in self.events.try_iter() {
            assert!(!matches!(event, Event::Lost(_)), "{event:?}");
        }
    }

    /// Sends a call. Returns its number.
    pub(crate) fn send(&mut self, call: Call) -> u64 {
        self.asked += 1;
        self.handle.call(self.asked, call);
        self.asked
    }

    /// Waits for the answer to a call. Nothing that comes before may be a loss.
    pub(crate) fn answer(&self, number: u64) -> Result<Reply, Unanswered> {
        self.wait("an answer", |event| match event {
            Event::Answered(of, answer) if *of == number => Some(answer.clone()),
            Event::Lost(why) => panic!("lost: {why}"),
            _ => None,
        })
    }

    pub(crate) fn ask(&mut self, call: Call) -> Result<Reply, Unanswered> {
        let number = self.send(call);
        self.answer(number)
    }

    pub(crate) fn register(&mut self) -> Result<Reply, Unanswered> {
        let (node, standing) = (self.node, Standing::Settled);
        let (epoch, carried) = (Epoch(1), vec![]);
        let (settings, wants_slot) = (Fingerprint::NONE, true);
        self.ask(Call::Register {
            node,
            version: 1,
            epoch,
            standing,
            settings,
            address: None,
            carried,
            wants_slot,
        })
    }

    pub(crate) const fn renewal(&self) -> Call {
        Call::Renew { node: self.node, epoch: Epoch(1), standing: Standing::Settled }
    }

    /// Waits for a message in the inbox.
    pub(crate) fn message(&self) -> Vec<u8> {
        self.wait("a message", |event| match event {
            Event::Inbox(bytes) => Some(bytes.clone()),
            _ => None,
        })
    }

    pub(crate) fn resubscribed(&self) {
        self.wait("a new subscription", |event| match event {
            Event::Lost(why) => panic!("lost: {why}"),
            event => matches!(event, Event::Resubscribed).then_some(()),
        });
    }
}
