//! A member that relays to its host and back: shows whether the way between the two works.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use crate::frame;
use crate::member::{Role, Seat};
use crate::words::Message;

/// Interval between two messages of a member.
const EVERY: Duration = Duration::from_millis(500);

/// The state that all members of a run share.
#[derive(Debug)]
pub(super) struct Watch {
    /// Whether members send.
    pub(super) on: Cell<bool>,
    /// The moment from which on ways are judged: that of the last fault.
    pub(super) since: Cell<Instant>,
    began: Instant,
    /// What fills the messages of members.
    filling: String,
    /// Messages of which a later one came back and they did not.
    lost: Cell<usize>,
    /// Time at which a member, by number, got back the first message that it sent after `since`.
    back: RefCell<Vec<Option<Instant>>>,
}

impl Watch {
    /// Returns the state of a run in which messages are filled with so many bytes.
    pub(super) fn new(bytes: usize) -> Rc<Self> {
        let now = Instant::now();
        Rc::new(Self {
            on: Cell::new(true),
            since: Cell::new(now),
            began: now,
            filling: "x".repeat(bytes),
            lost: Cell::default(),
            back: RefCell::default(),
        })
    }

    /// Begins anew: a fault is caused now.
    pub(super) fn begin(&self) -> Instant {
        let now = Instant::now();
        self.since.set(now);
        self.lost.set(0);
        self.back.borrow_mut().clear();
        now
    }

    /// Returns when the way of a member worked again.
    pub(super) fn back(&self, number: usize) -> Option<Instant> {
        self.back.borrow().get(number).copied().flatten()
    }

    /// Number of messages that were lost since the last fault.
    pub(super) fn lost(&self) -> usize {
        self.lost.get()
    }

    fn worked(&self, number: usize) {
        let mut back = self.back.borrow_mut();
        if back.len() <= number {
            back.resize(number + 1, None);
        }
        back[number].get_or_insert_with(Instant::now);
    }
}

/// When a message was sent, in ms since the run began, and whether it comes back.
#[derive(Deserialize)]
struct Said {
    sent: u64,
    back: bool,
}

/// The role of a member that relays to its host.
#[derive(Debug)]
pub(super) struct Echo {
    me: Rc<Seat>,
    watch: Rc<Watch>,
    next: Instant,
    /// When the messages were sent that have not come back on this socket.
    awaited: VecDeque<u64>,
}

impl Echo {
    pub(super) fn new(me: &Rc<Seat>, watch: &Rc<Watch>) -> Self {
        // members take turns within the interval
        let turn = Duration::from_millis(me.number as u64 * 7 % EVERY.as_millis() as u64);
        Self {
            me: Rc::clone(me),
            watch: Rc::clone(watch),
            next: Instant::now() + turn,
            awaited: VecDeque::new(),
        }
    }
}

impl Role for Echo {
    fn opened(&mut self, _: &mut Vec<u8>) {
        self.awaited.clear();
    }

    fn said(&mut self, message: &Message<'_>, out: &mut Vec<u8>) {
        if message.r#type != "RELAY" {
            return;
        }
        let (Some(src), Ok(Said { sent, back })) = (message.src.as_deref(), message.read()) else {
            return;
        };
        if !back {
            let text = format!(
                r#"{{"type":"RELAY","dst":"{src}","payload":{{"sent":{sent},"back":true}}}}"#
            );
            frame::push(out, frame::TEXT, text.as_bytes());
            return;
        }
        while let Some(first) = self.awaited.pop_front() {
            if first >= sent {
                break;
            }
            self.watch.lost.set(self.watch.lost.get() + 1);
        }
        if self.watch.began + Duration::from_millis(sent) >= self.watch.since.get() {
            self.watch.worked(self.me.number);
        }
    }

    fn due(&self) -> Option<Instant> {
        (self.watch.on.get() && !self.me.hosts()).then_some(self.next)
    }

    fn act(&mut self, out: &mut Vec<u8>) {
        self.next = Instant::now() + EVERY;
        let sent = self.watch.began.elapsed().as_millis() as u64;
        self.awaited.push_back(sent);
        let filling = &self.watch.filling;
        let text = format!(
            r#"{{"type":"RELAY","payload":{{"sent":{sent},"back":false,"x":"{filling}"}}}}"#
        );
        frame::push(out, frame::TEXT, text.as_bytes());
    }
}
