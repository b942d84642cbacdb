//! Which pages there are: made by being opened, forgotten when the last one leaves, made anew when their actor dies.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::protocol::close::Close;
use crate::protocol::id::{Epoch, PageKey};
use crate::time::Time;

/// One life of one page's actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

/// How often a page's actor may die within [`CRASH_WINDOW`] before its members are sent away.
const MOST_CRASHES: usize = 5;
const CRASH_WINDOW: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Entry {
    incarnation: Incarnation,
    /// Joins passed on to this incarnation.
    joins: u64,
    crashes: VecDeque<Time>,
}

/// What to do with one who wants to join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinDecision {
    /// Pass it on to the page, which is new when `create` says so.
    PassOn {
        /// Which life of the page.
        incarnation: Incarnation,
        /// Whether its actor is to be started first.
        create: bool,
    },
    /// Send it away.
    Refuse(Close),
}

/// What to do after a page's actor died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Succession {
    /// It was retired: nothing.
    Expected,
    /// Start another and let the sessions tell it who they are.
    Recreate(Incarnation),
    /// It dies again and again, or the server goes away: send its sessions away.
    Abandon(Close),
}

/// All pages.
#[derive(Debug)]
pub struct DirectoryState {
    pages: HashMap<PageKey, Entry>,
    next: u64,
    /// The highest epoch of any page that is gone: one that is opened again within the same millisecond must not start
    /// with an epoch that was told before.
    told: Epoch,
    max_pages: usize,
    draining: bool,
}

impl DirectoryState {
    /// No pages yet, and never more than `max_pages` (`usize::MAX` for no limit; the page-less do not count).
    #[must_use]
    pub fn new(max_pages: usize) -> Self {
        Self { pages: HashMap::new(), next: 0, told: Epoch::default(), max_pages, draining: false }
    }

    fn incarnate(&mut self) -> Incarnation {
        self.next += 1;
        Incarnation(self.next)
    }

    /// Somebody wants to join `key`.
    pub fn join(&mut self, key: &PageKey) -> JoinDecision {
        if self.draining {
            return JoinDecision::Refuse(Close::Restart);
        }
        if let Some(entry) = self.pages.get_mut(key) {
            entry.joins += 1;
            return JoinDecision::PassOn { incarnation: entry.incarnation, create: false };
        }
        if *key != PageKey::Pageless && self.named() >= self.max_pages {
            return JoinDecision::Refuse(Close::PagesFull);
        }
        let incarnation = self.incarnate();
        self.pages.insert(key.clone(), Entry { incarnation, joins: 1, crashes: VecDeque::new() });
        JoinDecision::PassOn { incarnation, create: true }
    }

    /// What the epochs of a new page start above.
    #[must_use]
    pub const fn announced_epoch(&self) -> Epoch {
        self.told
    }

    /// A page says that it is empty, and the highest epoch it told. True: it is forgotten. False: a join is on its way.
    #[must_use]
    pub fn retire(
        &mut self,
        key: &PageKey,
        incarnation: Incarnation,
        joins_seen: u64,
        told: Epoch,
    ) -> bool {
        self.told = self.told.max(told);
        let idle = self
            .pages
            .get(key)
            .is_some_and(|e| e.incarnation == incarnation && e.joins == joins_seen);
        if idle {
            self.pages.remove(key);
        }
        idle
    }

    /// A page's actor has stopped; `told` is the highest epoch it told.
    pub fn stopped(
        &mut self,
        now: Time,
        key: &PageKey,
        incarnation: Incarnation,
        told: Epoch,
    ) -> Succession {
        self.told = self.told.max(told);
        let next = Incarnation(self.next + 1);
        let Some(entry) = self.pages.get_mut(key).filter(|e| e.incarnation == incarnation) else {
            return Succession::Expected;
        };
        if self.draining {
            self.pages.remove(key);
            return Succession::Abandon(Close::Restart);
        }
        entry.crashes.retain(|at| now.since(*at) < CRASH_WINDOW);
        entry.crashes.push_back(now);
        if entry.crashes.len() > MOST_CRASHES {
            self.pages.remove(key);
            return Succession::Abandon(Close::Internal);
        }
        // what was passed on to the dead one is asked for again by its session
        *entry = Entry { incarnation: next, joins: 0, crashes: std::mem::take(&mut entry.crashes) };
        self.next = next.0;
        Succession::Recreate(next)
    }

    /// The server goes away: nobody is let in any more.
    pub const fn drain(&mut self) {
        self.draining = true;
    }

    /// How many pages there are, without that of the page-less.
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
        assert!(
            !pages.retire(&key("a"), first, 1, Epoch(7)),
            "an old life's word counts for nothing"
        );
    }

    #[test]
    fn a_dead_page_is_made_anew_but_not_for_ever() {
        let mut pages = DirectoryState::new(usize::MAX);
        let (mut life, _) = pass_on(pages.join(&key("a")));
        for n in 0..MOST_CRASHES as u64 {
            let Succession::Recreate(next) = pages.stopped(Time(n), &key("a"), life, Epoch(0))
            else {
                panic!("given up after {n}")
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
                panic!("rare ones are mended")
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
