//! The sending half of one end of a link: bags that wait to be sent or acknowledged.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::{LACKS_WITHIN, MOST_RETRY, RETRY};
use crate::cluster::bag::{Body, Records, Sealed};
use crate::cluster::entry::{Class, Delivery, Entry, Place};
use crate::protocol::id::SessionId;
use crate::protocol::outgoing::Frame;
use crate::time::Time;

/// Share of the window that is left free for words of the server: 1 / `OWN_SHARE`.
const OWN_SHARE: usize = 4;
/// Bytes that a bag takes besides its body.
const BAG_COST: usize = 64;

/// A bag to be published.
#[derive(Debug)]
pub(super) struct Bag {
    pub(super) number: u64,
    pub(super) body: Bytes,
    pub(super) asks: bool,
}

/// The outgoing half of a link, in one association.
#[derive(Debug)]
pub(super) struct Outgoing {
    window: usize,
    /// The body that is being filled.
    open: Body,
    /// Whether a bag is sent although its body is empty.
    says_number: bool,
    /// Bodies by number, from `first`. They are sent or sealed, and not acknowledged; or they are
    /// acknowledged, and an entry that begins in them is not.
    kept: VecDeque<Sealed>,
    /// Bytes of `kept`, with [`BAG_COST`] for each.
    kept_bytes: usize,
    /// Number of the first body of `kept`.
    first: u64,
    /// The highest number that the other node acknowledged.
    acknowledged: u64,
    /// Number of the bag that is sent next.
    next: u64,
    /// The highest number that was sent.
    sent: u64,
    /// Since when nothing was acknowledged, while something waits for that.
    waits_since: Option<Time>,
    /// When the first bag that is not acknowledged is sent again.
    retry_at: Option<Time>,
    retry: Duration,
    /// Whether that bag is due.
    probes: bool,
    /// When bags were last sent again because the other node lacked them.
    lacked_at: Option<Time>,
}

impl Outgoing {
    pub(super) fn new(window: usize) -> Self {
        Self {
            window,
            open: Body::default(),
            says_number: false,
            kept: VecDeque::new(),
            kept_bytes: 0,
            first: 1,
            acknowledged: 0,
            next: 1,
            sent: 0,
            waits_since: None,
            retry_at: None,
            retry: RETRY,
            probes: false,
            lacked_at: None,
        }
    }

    pub(super) const fn set_window(&mut self, window: usize) {
        self.window = window;
    }

    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }

    /// Returns whether nothing was ever said.
    pub(super) fn is_silent(&self) -> bool {
        self.sent == 0 && self.waits_since.is_none()
    }

    pub(super) fn waiting_bytes(&self) -> usize {
        self.kept_bytes + self.open.len()
    }

    pub(super) const fn waits_since(&self) -> Option<Time> {
        self.waits_since
    }

    pub(super) const fn retry_at(&self) -> Option<Time> {
        self.retry_at
    }

    /// Returns whether there is room for an entry. The last one may exceed the window: it could
    /// be longer than all of that.
    pub(super) fn has_room(&self, class: Class) -> bool {
        let room = match class {
            Class::Own | Class::Expiry => self.window,
            Class::Relay | Class::Signal => self.window - self.window / OWN_SHARE,
        };
        self.waiting_bytes() < room
    }

    pub(super) fn push(&mut self, now: Time, entry: &Entry) {
        self.begin_to_wait(now);
        let Self { open, kept, kept_bytes, .. } = self;
        open.push(entry, |sealed| keep(kept, kept_bytes, sealed));
    }

    pub(super) fn push_frame(
        &mut self,
        now: Time,
        place: &Place,
        to: SessionId,
        frame: &Frame,
        delivery: Delivery,
    ) {
        self.begin_to_wait(now);
        let Self { open, kept, kept_bytes, .. } = self;
        open.push_frame(place, to, frame, delivery, |sealed| keep(kept, kept_bytes, sealed));
    }

    /// Adds a bag that says no more than its number.
    pub(super) fn push_empty(&mut self, now: Time) {
        self.begin_to_wait(now);
        self.says_number = true;
    }

    const fn begin_to_wait(&mut self, now: Time) {
        if self.waits_since.is_none() {
            self.waits_since = Some(now);
        }
    }

    /// Returns the number after the last one that is given to a body.
    fn end(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    /// Returns the next bag to be sent.
    pub(super) fn next(&mut self, now: Time) -> Option<Bag> {
        let next = self.next.max(self.acknowledged + 1);
        if std::mem::take(&mut self.probes) && self.acknowledged < self.sent {
            // what comes next goes on from there
            let number = self.acknowledged + 1;
            self.next = next.max(number + 1);
            return self.bag(now, number, true);
        }
        if next == self.end() && (self.says_number || !self.open.is_empty()) {
            let Self { open, kept, kept_bytes, .. } = self;
            keep(kept, kept_bytes, open.seal());
            self.says_number = false;
        }
        if next == self.end() {
            return None;
        }
        self.next = next + 1;
        self.bag(now, next, false)
    }

    fn bag(&mut self, now: Time, number: u64, asks: bool) -> Option<Bag> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let body = self.kept.get(at)?.bytes.clone();
        self.sent = self.sent.max(number);
        if self.retry_at.is_none() {
            self.retry_at = Some(now.plus(self.retry));
        }
        Some(Bag { number, body, asks })
    }

    /// Handles an acknowledgement of all bags up to `number`.
    pub(super) fn acknowledged(&mut self, now: Time, number: u64) {
        if number <= self.acknowledged {
            return;
        }
        self.acknowledged = number;
        let acknowledged = usize::try_from(number + 1 - self.first).unwrap_or(usize::MAX);
        // an entry that is not acknowledged as a whole is kept as a whole
        let whole = self.kept.iter().take(acknowledged).rposition(|body| body.ends_whole);
        for body in self.kept.drain(..whole.map_or(0, |at| at + 1)) {
            self.first += 1;
            self.kept_bytes -= body.bytes.len() + BAG_COST;
        }
        let waits = number + 1 < self.end() || self.says_number || !self.open.is_empty();
        self.waits_since = waits.then_some(now);
        self.retry = RETRY;
        self.retry_at = (number < self.sent).then(|| now.plus(RETRY));
    }

    /// Sends everything again that was sent and is not acknowledged.
    pub(super) fn send_again(&mut self, now: Time) {
        if self.lacked_at.is_none_or(|at| at.plus(LACKS_WITHIN) <= now) {
            self.lacked_at = Some(now);
            self.next = self.acknowledged + 1;
        }
    }

    /// Sends the first bag again that is not acknowledged, and asks what the other node has.
    pub(super) const fn probe(&mut self) {
        self.probes = true;
    }

    /// Gives the other node, which was not heard before, time to acknowledge.
    pub(super) fn is_heard(&mut self, now: Time) {
        self.waits_since = self.waits_since.map(|_| now);
    }

    pub(super) fn tick(&mut self, now: Time) {
        if self.retry_at.is_some_and(|at| at <= now) {
            self.probes = true;
            self.retry = (self.retry * 2).min(MOST_RETRY);
            self.retry_at = Some(now.plus(self.retry));
        }
    }

    /// Forgets everything, for the next association. Signalling that was not acknowledged is handed
    /// back. The news of what expired is kept.
    pub(super) fn begin_anew(&mut self, now: Time, mut hand_back: impl FnMut(Entry)) {
        let mut last = std::mem::replace(self, Self::new(self.window));
        let (mut records, mut entries) = (Records::default(), Vec::new());
        for body in last.kept.drain(..).chain([last.open.seal()]) {
            // a body that this node wrote can be read
            let _ = records.read(body.bytes, &mut entries);
            for entry in entries.drain(..) {
                match entry.class() {
                    Class::Signal => hand_back(entry),
                    Class::Expiry => self.push(now, &entry),
                    Class::Relay | Class::Own => {}
                }
            }
        }
    }
}

fn keep(kept: &mut VecDeque<Sealed>, kept_bytes: &mut usize, body: Sealed) {
    *kept_bytes += body.bytes.len() + BAG_COST;
    kept.push_back(body);
}
