//! What the well-behaved members of a soak know of each other, and what they have seen.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use crate::member::Seat;

/// What was going to a page whose actor dies may be lost, and so may what is sent until its members have found the next.
const AFTERMATH: Duration = Duration::from_secs(5);

/// Shared by all talkers.
#[derive(Debug)]
pub(super) struct Town {
    /// Who is, or lately was, on each page.
    pub(super) pages: Vec<RefCell<Vec<Rc<Seat>>>>,
    /// When each page's actor was last told to panic.
    panics: Vec<Cell<Option<Instant>>>,
    /// When the server was last killed.
    killed: Cell<Option<Instant>>,
    /// Whether round trips are to be noted.
    pub(super) recording: Cell<bool>,
    /// Round trips of exchanges that nothing disturbed.
    pub(super) trips: RefCell<Vec<Duration>>,
    /// How exchanges ended.
    pub(super) counts: Counts,
    /// Whether new exchanges begin.
    pub(super) talking: Cell<bool>,
}

/// How often what happened.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Answered.
    pub(super) answered: Cell<u64>,
    /// Told that the other is absent.
    pub(super) expired: Cell<u64>,
    /// Lost to a death that excuses it.
    pub(super) excused: Cell<u64>,
    /// Relayed messages heard.
    pub(super) relayed: Cell<u64>,
}

/// One more.
pub(super) fn count(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}

impl Town {
    /// With so many pages.
    #[must_use]
    pub(super) fn new(pages: usize) -> Rc<Self> {
        Rc::new(Self {
            pages: (0..pages).map(|_| RefCell::default()).collect(),
            panics: (0..pages).map(|_| Cell::default()).collect(),
            killed: Cell::default(),
            recording: Cell::default(),
            trips: RefCell::default(),
            counts: Counts::default(),
            talking: Cell::new(true),
        })
    }

    /// The page's actor is told to panic.
    pub(super) fn panics(&self, page: usize) {
        self.panics[page].set(Some(Instant::now()));
    }

    /// The server is killed.
    pub(super) fn is_killed(&self) {
        self.killed.set(Some(Instant::now()));
    }

    /// Whether a death may have cost what was sent on `page` since `sent`.
    #[must_use]
    pub(super) fn died_since(&self, page: usize, sent: Instant) -> bool {
        self.killed.get().is_some_and(|at| at >= sent)
            || self.panics[page].get().is_some_and(|at| at + AFTERMATH >= sent)
    }
}
