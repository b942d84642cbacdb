//! The way from one node to another and back: on it entries arrive once and in order, or both nodes
//! know that it is broken.
//!
//! Under the link is a medium that loses, repeats and reorders: publish and subscribe of Redis. A
//! link numbers its bags, keeps each until the other node acknowledges it, and sends it again. A
//! bag is acknowledged when its entries are handled, and not before.
//!
//! A link is a row of *associations*. Both nodes begin the first one, and begin the next one when
//! nothing is acknowledged for [`BREAK_AFTER`], or when they hear that the other node has. Bags are
//! numbered anew in each. What was not acknowledged in the last one is not sent again. Signalling
//! is handed back, to expire at its sender; the news that something expired is said again. Both
//! nodes learn of the break, and say per page who is here.
//!
//! A [`Link`] is for one pair of nodes, and never made again for the same two: bags of another node
//! that is buried are dropped by the caller.

mod incoming;
mod outgoing;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::cluster::NodeId;
use crate::cluster::bag::{BadBag, Header};
use crate::cluster::entry::{Class, Delivery, Entry, Place};
use crate::protocol::id::SessionId;
use crate::protocol::outgoing::Frame;
use crate::time::Time;

use incoming::Incoming;
use outgoing::Outgoing;

/// Time without any acknowledgement after which a link with something to be acknowledged breaks.
pub const BREAK_AFTER: Duration = Duration::from_secs(5);
/// Interval at which an idle link says its last number while sessions are bound over it.
pub const IDLE: Duration = Duration::from_secs(5);
/// Time within which bags that were handled are acknowledged.
pub const ACKNOWLEDGE_WITHIN: Duration = Duration::from_millis(20);
/// Number of handled bags that are acknowledged at once.
pub const ACKNOWLEDGE_FROM: u64 = 16;
/// Number of handled bytes that are acknowledged at once.
pub const ACKNOWLEDGE_FROM_BYTES: usize = 128 * 1024;
/// Time without acknowledgement after which a bag is sent again. Doubles each time.
pub const RETRY: Duration = Duration::from_millis(200);
/// Longest time between two attempts.
pub const MOST_RETRY: Duration = Duration::from_secs(1);
/// Time within which bags are not sent twice because the other node lacks the same ones.
const LACKS_WITHIN: Duration = Duration::from_millis(50);
/// Room of the links of a node for bytes that are not acknowledged, all together.
const MOST_WINDOWS: usize = 16 * 1024 * 1024;
/// Largest window of one link, in bytes.
const MOST_WINDOW: usize = 1024 * 1024;

/// Returns the window of each link of a node with `peers` links: the bytes that may wait for
/// acknowledgement.
#[must_use]
pub const fn window(peers: usize) -> usize {
    let share = MOST_WINDOWS / if peers == 0 { 1 } else { peers };
    if share < MOST_WINDOW { share } else { MOST_WINDOW }
}

/// Whether the other node hears this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Nothing was heard in the first association yet. Entries are sent.
    Opening,
    /// The other node takes part in the association.
    Up,
    /// The link is broken, and the other node is not heard in the new association. Entries are
    /// refused.
    Down,
}

/// The outcome of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// The entry is on its way. It arrives, or the link breaks.
    Queued,
    /// There is no room for it, or the link is down. A signalling message expires. Data of the
    /// relay is counted, and the library asks for it again. A word of the server is superseded by
    /// what both nodes say after [`LinkEvent::Up`].
    Refused,
    /// There was no room for a word of the server: the link broke. The entry is refused as well.
    Broke,
}

/// An event of a link, for its node. Events are in order, and are to be handled in that order.
#[derive(Debug)]
pub enum LinkEvent {
    /// A bag has arrived. When its entries are handled, the link is to be told:
    /// [`Link::handled`].
    Arrived {
        /// Number of the bag.
        bag: BagNumber,
        /// The entries of the other node.
        entries: Vec<Entry>,
    },
    /// The link is broken. Over a link that is down nobody is judged.
    Down,
    /// A signalling message that was not acknowledged when the link broke. It expires at its
    /// sender. It may have arrived all the same.
    HandedBack(Entry),
    /// The link is up again. Each node says to the other per page who is here.
    Up,
}

/// Number of a bag in one association.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BagNumber {
    association: u64,
    number: u64,
}

/// One end of a link.
///
/// ```
/// use peerstar_core::cluster::NodeId;
/// use peerstar_core::cluster::entry::{Entry, Question};
/// use peerstar_core::cluster::link::{Link, LinkEvent, Pushed, window};
/// use peerstar_core::time::Time;
///
/// let (one, other, now) = (NodeId(1), NodeId(2), Time(0));
/// let mut here = Link::new(one, other, window(1));
/// let mut there = Link::new(other, one, window(1));
///
/// let entry = Entry::Question { number: 7, question: Question::Pages };
/// assert_eq!(here.push(now, &entry), Pushed::Queued);
/// let mut bag = Vec::new();
/// assert!(here.poll_transmit(now, &mut bag));
/// // … the bag is published and arrives …
/// there.receive(now, bag.into())?;
/// let Some(LinkEvent::Arrived { bag, entries }) = there.poll_event() else { panic!() };
/// assert_eq!(entries.len(), 1);
/// there.handled(now, bag);
/// # Ok::<(), peerstar_core::cluster::bag::BadBag>(())
/// ```
#[derive(Debug)]
pub struct Link {
    own: NodeId,
    peer: NodeId,
    association: u64,
    condition: Condition,
    outgoing: Outgoing,
    incoming: Incoming,
    /// Whether sessions of one node are members of pages on the other.
    is_bound: bool,
    /// When the link says its last number if nothing else is sent.
    idle_at: Option<Time>,
    events: VecDeque<LinkEvent>,
    dropped_relays: u64,
}

impl Link {
    /// Returns a link from the node `own` to the node `peer`, with room for `window` bytes that
    /// wait for acknowledgement.
    #[must_use]
    pub fn new(own: NodeId, peer: NodeId, window: usize) -> Self {
        Self {
            own,
            peer,
            association: 1,
            condition: Condition::Opening,
            outgoing: Outgoing::new(window),
            incoming: Incoming::default(),
            is_bound: false,
            idle_at: None,
            events: VecDeque::new(),
            dropped_relays: 0,
        }
    }

    /// Returns the other node.
    #[must_use]
    pub const fn peer(&self) -> NodeId {
        self.peer
    }

    /// Returns the number of the association. It grows whenever the link breaks.
    #[must_use]
    pub const fn association(&self) -> u64 {
        self.association
    }

    /// Returns whether the other node hears this one.
    #[must_use]
    pub const fn condition(&self) -> Condition {
        self.condition
    }

    /// Returns the number of messages of the relay that found no room so far.
    #[must_use]
    pub const fn dropped_relays(&self) -> u64 {
        self.dropped_relays
    }

    /// Returns the number of bytes that wait to be sent or acknowledged.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.outgoing.waiting_bytes()
    }

    /// Returns whether an entry of a class would be sent.
    #[must_use]
    pub fn has_room(&self, class: Class) -> bool {
        let is_up = self.condition != Condition::Down || class == Class::Expiry;
        is_up && self.outgoing.has_room(class)
    }

    /// Sets the room for bytes that wait for acknowledgement.
    pub const fn set_window(&mut self, window: usize) {
        self.outgoing.set_window(window);
    }

    /// Sends an entry.
    pub fn push(&mut self, now: Time, entry: &Entry) -> Pushed {
        self.admit(now, entry.class(), |outgoing| outgoing.push(now, entry))
    }

    /// Sends a frame to one session. Receivers of the same frame, one after the other, share one
    /// entry, and all receivers in a bag share the text.
    pub fn push_frame(
        &mut self,
        now: Time,
        place: &Place,
        to: SessionId,
        frame: &Frame,
        delivery: Delivery,
    ) -> Pushed {
        self.admit(now, delivery.class(), |outgoing| {
            outgoing.push_frame(now, place, to, frame, delivery);
        })
    }

    fn admit(&mut self, now: Time, class: Class, push: impl FnOnce(&mut Outgoing)) -> Pushed {
        if self.has_room(class) {
            push(&mut self.outgoing);
            return Pushed::Queued;
        }
        match class {
            Class::Relay => self.dropped_relays += 1,
            Class::Own if self.condition != Condition::Down => {
                self.break_off(now, self.association + 1);
                return Pushed::Broke;
            }
            Class::Signal | Class::Own | Class::Expiry => {}
        }
        Pushed::Refused
    }

    /// Says whether sessions of one node are members of pages on the other. Then the link sees to
    /// it that a break is noticed although nothing is said.
    pub fn set_bound(&mut self, now: Time, is_bound: bool) {
        if self.is_bound != is_bound {
            self.is_bound = is_bound;
            self.rest(now);
        }
    }

    /// Takes what was published in the inbox of this node by the other one.
    ///
    /// # Errors
    /// When the bytes are no bag of this link. They are dropped. If they are a bag with a body that
    /// cannot be read, the link breaks: entries would be missing.
    pub fn receive(&mut self, now: Time, bag: Bytes) -> Result<(), BadBag> {
        let (header, body) = Header::read(bag)?;
        if (header.from, header.to) != (self.peer, self.own) {
            return Err(BadBag::OtherLink);
        }
        if header.association < self.association {
            // sent before the other node knew of this association
            return Ok(());
        }
        let is_new = header.association > self.association;
        let sent = if is_new { 0 } else { self.outgoing.sent() };
        if header.acknowledged > sent || header.association == u64::MAX {
            return Err(BadBag::BadNumbers);
        }
        if is_new {
            self.break_off(now, header.association);
        }
        let before = std::mem::replace(&mut self.condition, Condition::Up);
        if before == Condition::Down {
            self.outgoing.is_heard(now);
            self.events.push_back(LinkEvent::Up);
        }
        self.outgoing.acknowledged(now, header.acknowledged);
        if header.lacks {
            self.outgoing.send_again(now);
        }
        let entries = match self.incoming.take(now, &header, body) {
            Ok(entries) => entries,
            Err(bad) => {
                self.break_off(now, self.association + 1);
                return Err(bad);
            }
        };
        if let Some(entries) = entries {
            let bag = BagNumber { association: self.association, number: header.number };
            self.events.push_back(LinkEvent::Arrived { bag, entries });
        }
        Ok(())
    }

    /// Takes the next event.
    pub fn poll_event(&mut self) -> Option<LinkEvent> {
        self.events.pop_front()
    }

    /// Says that the entries of a bag, and of all bags before it, were handled.
    pub fn handled(&mut self, now: Time, bag: BagNumber) {
        if bag.association == self.association {
            self.incoming.handled(now, bag.number);
        }
    }

    /// Writes the next bag to be published into `out`, which is emptied first. Returns whether
    /// there is one. Bags are to be published in this order.
    pub fn poll_transmit(&mut self, now: Time, out: &mut Vec<u8>) -> bool {
        out.clear();
        let bag = self.outgoing.next(now);
        if bag.is_none() && !self.incoming.must_answer(now) {
            return false;
        }
        let (number, asks) = bag.as_ref().map_or((0, false), |bag| (bag.number, bag.asks));
        let header = Header {
            from: self.own,
            to: self.peer,
            association: self.association,
            number,
            highest: self.outgoing.sent(),
            acknowledged: self.incoming.acknowledge(),
            asks,
            lacks: self.incoming.tell_lack(now),
        };
        header.write(out);
        if let Some(bag) = bag {
            out.extend_from_slice(&bag.body);
            self.rest(now);
        }
        true
    }

    /// Returns when [`tick`](Self::tick) is due. An event or a bag may be due at once: after every
    /// call, the caller looks for both.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let is_down = self.condition == Condition::Down;
        let break_at = self.outgoing.waits_since().filter(|_| !is_down);
        [
            break_at.map(|since| since.plus(BREAK_AFTER)),
            self.outgoing.retry_at(),
            self.incoming.answer_at(),
            self.idle_at,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Time) {
        let waits_since = self.outgoing.waits_since();
        if self.condition != Condition::Down
            && waits_since.is_some_and(|since| since.plus(BREAK_AFTER) <= now)
        {
            self.break_off(now, self.association + 1);
        }
        if self.idle_at.is_some_and(|at| at <= now) {
            self.outgoing.push_empty(now);
            self.rest(now);
        }
        self.outgoing.tick(now);
    }

    /// Says that this node publishes or listens anew: after a cut, or in a new generation. Bags of
    /// both directions may be lost.
    pub fn reconnected(&mut self, now: Time) {
        if self.condition == Condition::Opening && self.outgoing.is_silent() {
            return;
        }
        if self.is_bound && self.outgoing.waits_since().is_none() {
            self.outgoing.push_empty(now);
        }
        self.outgoing.probe();
        self.incoming.lack(now);
    }

    /// Sets when the link says its last number next.
    fn rest(&mut self, now: Time) {
        self.idle_at = self.is_bound.then(|| now.plus(IDLE));
    }

    /// Ends the association, and begins the one with the number `next`.
    fn break_off(&mut self, now: Time, next: u64) {
        if self.condition != Condition::Down {
            self.events.push_back(LinkEvent::Down);
        }
        self.condition = Condition::Down;
        self.association = next;
        let events = &mut self.events;
        self.outgoing.begin_anew(now, |entry| events.push_back(LinkEvent::HandedBack(entry)));
        self.incoming = Incoming::default();
        // the other node is to hear of the association
        self.outgoing.push_empty(now);
        self.rest(now);
    }
}
