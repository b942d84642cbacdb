//! State that the well-behaved members of a soak share, and what they have seen.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use crate::member::Seat;

/// Time around the death of a page's actor in which messages may be lost: those in its mailbox, and
/// those sent before members found the next actor.
const AFTERMATH: Duration = Duration::from_secs(5);

/// State shared by all talkers.
#[derive(Debug)]
pub(super) struct Town {
    /// Present and recent members of each page.
    pub(super) pages: Vec<RefCell<Vec<Rc<Seat>>>>,
    /// When each page's actor was last made to panic.
    panics: Vec<Cell<Option<Instant>>>,
    /// Until when the end of a server may cost messages.
    killed: Cell<Option<Instant>>,
    /// When a server last ended or began.
    upset: Cell<Option<Instant>>,
    /// Whether attackers may fill the links between nodes. What is signalled may expire then, an
    /// answer at the one who answers.
    pub(super) links_fill: Cell<bool>,
    /// Whether round trips are recorded.
    pub(super) recording: Cell<bool>,
    /// Round trips of exchanges that nothing disturbed.
    pub(super) trips: RefCell<Vec<Duration>>,
    /// Counts of how exchanges ended.
    pub(super) counts: Counts,
    /// Whether new exchanges begin.
    pub(super) talking: Cell<bool>,
}

/// Counts of the outcomes of exchanges.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Exchanges that were answered.
    pub(super) answered: Cell<u64>,
    /// Exchanges that the server answered with EXPIRE.
    pub(super) expired: Cell<u64>,
    /// Exchanges lost to a death that excuses it.
    pub(super) excused: Cell<u64>,
    /// Number of relayed messages received.
    pub(super) relayed: Cell<u64>,
}

/// Adds one to a counter.
pub(super) fn count(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}

impl Town {
    /// Returns the state for this many pages.
    #[must_use]
    pub(super) fn new(pages: usize) -> Rc<Self> {
        Rc::new(Self {
            pages: (0..pages).map(|_| RefCell::default()).collect(),
            panics: (0..pages).map(|_| Cell::default()).collect(),
            killed: Cell::default(),
            upset: Cell::default(),
            links_fill: Cell::default(),
            recording: Cell::default(),
            trips: RefCell::default(),
            counts: Counts::default(),
            talking: Cell::new(true),
        })
    }

    /// Records that the page's actor is made to panic.
    pub(super) fn panics(&self, page: usize) {
        self.panics[page].set(Some(Instant::now()));
    }

    /// Records that a server has ended, and that this is noticed within `noticed`.
    pub(super) fn is_killed(&self, noticed: Duration) {
        let now = Instant::now();
        self.killed.set(Some(now + noticed));
        self.upset.set(Some(now));
    }

    /// Says when something was sent, and when a server last ended or began.
    pub(super) fn when(&self, sent: Instant) -> String {
        let upset = self.upset.get().map(|at| at.elapsed());
        format!("sent {:?} ago, a server ended or began {upset:?} ago", sent.elapsed())
    }

    /// Returns whether a death may have cost a message that was sent on `page` since `sent`.
    #[must_use]
    pub(super) fn died_since(&self, page: usize, sent: Instant) -> bool {
        self.killed.get().is_some_and(|at| at >= sent)
            || self.panics[page].get().is_some_and(|at| at + AFTERMATH >= sent)
    }
}
