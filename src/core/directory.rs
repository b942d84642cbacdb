//! Which pages exist. A page is created by the first join, forgotten when it is empty, and
//! recreated when its actor dies.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::protocol::close::Close;
use crate::protocol::id::{Epoch, PageKey};
use crate::time::Time;

/// One life of a page's actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

/// How often the actor of a page may die within [`CRASH_WINDOW`] before its members are sent away.
const MOST_CRASHES: usize = 5;
/// Time after which a crash no longer counts.
const CRASH_WINDOW: Duration = Duration::from_secs(10);

/// Number of the last incarnation that a directory has begun.
#[derive(Debug, Default)]
pub struct Incarnations(u64);

impl Incarnations {
    /// Begins another incarnation.
    pub const fn begin(&mut self) -> Incarnation {
        self.0 += 1;
        Incarnation(self.0)
    }
}

/// A page's actor, in one incarnation after the other.
#[derive(Debug)]
pub struct Life {
    incarnation: Incarnation,
    /// Number of joins passed on to this incarnation.
    joins: u64,
    /// When the actor died within [`CRASH_WINDOW`].
    crashes: VecDeque<Time>,
}

impl Life {
    /// Returns the life of a new page.
    #[must_use]
    pub const fn new(incarnation: Incarnation) -> Self {
        Self { incarnation, joins: 0, crashes: VecDeque::new() }
    }

    /// Returns the present incarnation.
    #[must_use]
    pub const fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Counts a join that is passed on.
    pub const fn pass_on(&mut self) {
        self.joins += 1;
    }

    /// Returns whether an incarnation that says it is empty after `joins_seen` joins may be
    /// forgotten. It lives on if a join is on its way.
    #[must_use]
    pub fn is_idle(&self, incarnation: Incarnation, joins_seen: u64) -> bool {
        self.incarnation == incarnation && self.joins == joins_seen
    }

    /// The actor died at `now`. Begins the next incarnation, and returns it, unless the actor died
    /// too often.
    pub fn crash(&mut self, now: Time, incarnations: &mut Incarnations) -> Option<Incarnation> {
        self.crashes.retain(|at| now.since(*at) < CRASH_WINDOW);
        self.crashes.push_back(now);
        if self.crashes.len() > MOST_CRASHES {
            return None;
        }
        // sessions ask again for joins that were passed on to the dead actor
        self.joins = 0;
        self.incarnation = incarnations.begin();
        Some(self.incarnation)
    }
}

/// Decision about a request to join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinDecision {
    /// Pass the request on to the page.
    PassOn {
        /// The present life of the page.
        incarnation: Incarnation,
        /// Whether the actor of the page is to be started first.
        create: bool,
    },
    /// Send the client away.
    Refuse(Close),
}

/// Decision about a page whose actor stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Succession {
    /// Nothing: the page was retired.
    Expected,
    /// Start another actor, and let the sessions tell it who they are.
    Recreate(Incarnation),
    /// Send the sessions away: the actor dies again and again, or the server shuts down.
    Abandon(Close),
}

/// All pages of a server.
///
/// ```
/// use peerstar_core::directory::{DirectoryState, JoinDecision};
/// use peerstar_core::protocol::close::Close;
/// use peerstar_core::protocol::id::{Epoch, PageKey, PageName};
///
/// let kitchen = PageKey::Named(PageName::parse("kitchen")?);
/// let garden = PageKey::Named(PageName::parse("garden")?);
/// let mut directory = DirectoryState::new(1);
/// let JoinDecision::PassOn { incarnation, create: true } = directory.join(&kitchen) else {
///     panic!("the first join creates the page")
/// };
/// assert_eq!(directory.join(&garden), JoinDecision::Refuse(Close::PagesFull));
/// // the page says that it is empty, after one join: no other is on its way
/// assert!(directory.retire(&kitchen, incarnation, 1, Epoch(5)));
/// # Ok::<(), peerstar_core::protocol::id::BadName>(())
/// ```
#[derive(Debug)]
pub struct DirectoryState {
    pages: HashMap<PageKey, Life>,
    incarnations: Incarnations,
    /// The highest epoch that any page announced that is gone. A page that is opened again within
    /// the same millisecond must not start with an epoch that was announced before.
    announced_epoch: Epoch,
    max_pages: usize,
    is_draining: bool,
}

impl DirectoryState {
    /// Creates a directory without pages. It allows `max_pages` (`usize::MAX` for no limit);
    /// clients without a page share one that does not count.
    #[must_use]
    pub fn new(max_pages: usize) -> Self {
        Self {
            pages: HashMap::new(),
            incarnations: Incarnations::default(),
            announced_epoch: Epoch::default(),
            max_pages,
            is_draining: false,
        }
    }

    /// Decides what to do with a request to join the page `key`.
    pub fn join(&mut self, key: &PageKey) -> JoinDecision {
        if self.is_draining {
            return JoinDecision::Refuse(Close::Restart);
        }
        if let Some(life) = self.pages.get_mut(key) {
            life.pass_on();
            return JoinDecision::PassOn { incarnation: life.incarnation, create: false };
        }
        if *key != PageKey::Pageless && self.named() >= self.max_pages {
            return JoinDecision::Refuse(Close::PagesFull);
        }
        let incarnation = self.incarnations.begin();
        let mut life = Life::new(incarnation);
        life.pass_on();
        self.pages.insert(key.clone(), life);
        JoinDecision::PassOn { incarnation, create: true }
    }

    /// Returns the epoch above which those of a new page start.
    #[must_use]
    pub const fn announced_epoch(&self) -> Epoch {
        self.announced_epoch
    }

    /// Forgets a page that says it is empty after `joins_seen` joins. `announced` is the highest
    /// epoch that it announced. Returns whether the page is forgotten. It lives on if a join is on
    /// its way.
    #[must_use]
    pub fn retire(
        &mut self,
        key: &PageKey,
        incarnation: Incarnation,
        joins_seen: u64,
        announced: Epoch,
    ) -> bool {
        self.announced_epoch = self.announced_epoch.max(announced);
        let idle = self.pages.get(key).is_some_and(|life| life.is_idle(incarnation, joins_seen));
        if idle {
            self.pages.remove(key);
        }
        idle
    }

    /// Decides what to do after the actor of a page stopped. `announced` is the highest epoch that
    /// it announced.
    pub fn stopped(
        &mut self,
        now: Time,
        key: &PageKey,
        incarnation: Incarnation,
        announced: Epoch,
    ) -> Succession {
        self.announced_epoch = self.announced_epoch.max(announced);
        let life = self.pages.get_mut(key).filter(|life| life.incarnation == incarnation);
        let Some(life) = life else { return Succession::Expected };
        let close = if self.is_draining {
            Close::Restart
        } else {
            match life.crash(now, &mut self.incarnations) {
                Some(next) => return Succession::Recreate(next),
                None => Close::Internal,
            }
        };
        self.pages.remove(key);
        Succession::Abandon(close)
    }

    /// Refuses all joins from now on: the server shuts down.
    pub const fn drain(&mut self) {
        self.is_draining = true;
    }

    /// Returns the number of pages, without that of clients without a page.
    #[must_use]
    pub fn named(&self) -> usize {
        self.pages.len() - usize::from(self.pages.contains_key(&PageKey::Pageless))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::id::PageName;

    fn key(name: &str) -> PageKey {
        PageKey::Named(PageName::parse(name).unwrap_or_else(|e| panic!("{e}")))
    }

    fn pass_on(admission: JoinDecision) -> (Incarnation, bool) {
        match admission {
            JoinDecision::PassOn { incarnation, create } => (incarnation, create),
            JoinDecision::Refuse(close) => panic!("{close:?}"),
        }
    }

    #[test]
    fn a_join_on_its_way_keeps_the_page() {
        let mut pages = DirectoryState::new(usize::MAX);
        let (first, create) = pass_on(pages.join(&key("a")));
        assert!(create);
        assert_eq!(pass_on(pages.join(&key("a"))), (first, false));
        assert!(!pages.retire(&key("a"), first, 1, Epoch(7)), "the second join was not seen yet");
        assert!(pages.retire(&key("a"), first, 2, Epoch(5)));
        assert_eq!(pages.announced_epoch(), Epoch(7));
        let (second, create) = pass_on(pages.join(&key("a")));
        assert!(create && second != first);
        assert!(!pages.retire(&key("a"), first, 1, Epoch(7)), "an old incarnation has no say");
    }

    #[test]
    fn a_dead_page_is_recreated_but_not_for_ever() {
        let mut pages = DirectoryState::new(usize::MAX);
        let (mut life, _) = pass_on(pages.join(&key("a")));
        for n in 0..MOST_CRASHES as u64 {
            let Succession::Recreate(next) = pages.stopped(Time(n), &key("a"), life, Epoch(0))
            else {
                panic!("abandoned after {n}")
            };
            assert!(next > life);
            life = next;
        }
        assert_eq!(
            pages.stopped(Time(9), &key("a"), life, Epoch(0)),
            Succession::Abandon(Close::Internal)
        );
        assert_eq!(pages.stopped(Time(9), &key("a"), life, Epoch(0)), Succession::Expected);
        let (mut life, _) = pass_on(pages.join(&key("a")));
        for n in 0..100 {
            let Succession::Recreate(next) =
                pages.stopped(Time(n * 3000), &key("a"), life, Epoch(0))
            else {
                panic!("rare crashes do not end a page")
            };
            life = next;
        }
    }

    #[test]
    fn the_limit_is_on_pages_and_not_on_the_pageless() {
        let mut pages = DirectoryState::new(1);
        pass_on(pages.join(&PageKey::Pageless));
        pass_on(pages.join(&key("a")));
        assert_eq!(pages.join(&key("b")), JoinDecision::Refuse(Close::PagesFull));
        pages.drain();
        assert_eq!(pages.join(&key("a")), JoinDecision::Refuse(Close::Restart));
    }
}
