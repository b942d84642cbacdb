//! Which pages this node knows, and where each lives.
//!
//! ```text
//!              claim: lives elsewhere             the other node is gone,
//!  (none) ──> Asking ───────────────> There ────> or has it no more ──> Asking
//!               │  ^
//!         taken │  │ released, somebody waits
//!               v  │
//!              Here ───────────────> Leaving ───> (none)
//!               │      empty, moved
//!               └── another node has the record ──> There
//! ```
//!
//! An entry exists while a session of this node is on the page, somebody waits for it, or a record
//! of it may name this node. So a claim that nobody wants any more ends in [`Place::Leaving`]:
//! its record is given back.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::{Fence, Floor, NodeId};
use crate::directory::{Incarnation, Incarnations, Life};
use crate::page::deadline_map::DeadlineMap;
use crate::protocol::claim::Claim;
use crate::protocol::id::{Epoch, PageKey, SessionId};
use crate::time::Time;

use super::io::CallId;

/// Time after which a page without members on this node moves. A member that reloads is back by
/// then.
const MOVE_AFTER: Duration = Duration::from_secs(10);
/// First pause before a question is asked again; it doubles up to [`MAX_PAUSE`].
const PAUSE: Duration = Duration::from_millis(125);
/// Longest pause between two questions.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// A page that lives on this node.
#[derive(Debug)]
pub struct Here {
    /// The page's actor.
    pub life: Life,
    /// The life of the page.
    pub fence: Fence,
    /// The higher fence that is being recorded.
    pub raising: Option<Fence>,
    /// The nodes whose sessions were passed on to the page.
    pub branches: BTreeSet<NodeId>,
    /// Number of joins after which the page said that it is empty, while its record could not be
    /// given back.
    pub idle: Option<u64>,
}

/// A page of which the registry is asked where it lives.
#[derive(Debug, Default)]
pub struct Asking {
    /// The question under way.
    pub call: Option<CallId>,
    /// The last claim whose answer is not known. Its record may name this node.
    pub claimed: Option<Fence>,
    /// Whether sessions here were on the page before. It is taken whatever the limit on pages.
    pub was_lost: bool,
    /// Number of questions that were answered with "later".
    attempts: u32,
}

impl Asking {
    /// Returns the place of a page on which sessions here were.
    #[must_use]
    pub fn lost() -> Self {
        Self { was_lost: true, ..Self::default() }
    }
}

/// A page that this node no longer wants, and whose record may still name it.
#[derive(Debug)]
pub struct Leaving {
    /// The call under way.
    pub call: Option<CallId>,
    /// The life in the record. `None` if that is to be found first.
    pub fence: Option<Fence>,
    /// Whether a member has asked for the page meanwhile.
    pub is_sought: bool,
}

/// Where a page lives.
#[derive(Debug)]
pub enum Place {
    /// On this node.
    Here(Here),
    /// On another node.
    There {
        /// The other node.
        node: NodeId,
        /// The life of the page there, as far as is known.
        fence: Fence,
    },
    /// That is asked.
    Asking(Asking),
    /// Nowhere, when its record is given back.
    Leaving(Leaving),
}

/// The consequence of an actor's stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// Nothing: it was to stop.
    Expected,
    /// Another incarnation, of a page with this fence.
    Next(Incarnation, Fence),
    /// The page is given up.
    TooOften,
}

/// A node's knowledge of a page.
#[derive(Debug)]
pub struct Entry {
    /// Where the page lives.
    pub place: Place,
    /// The sessions of this node that have asked for the page and have not ended.
    pub sessions: HashSet<SessionId>,
    /// The highest epoch and fence of the page that this node has heard of.
    pub floor: Floor,
    /// The last host that this node has heard of.
    pub host: Option<Claim>,
    /// Whether that host's session is on this node.
    pub is_host_local: bool,
}

impl Entry {
    fn new(place: Place) -> Self {
        Self {
            place,
            sessions: HashSet::new(),
            floor: Floor::default(),
            host: None,
            is_host_local: false,
        }
    }

    /// Notes an epoch and a fence of the page.
    pub fn raise_floor(&mut self, epoch: Epoch, fence: Fence) {
        self.floor.epoch = self.floor.epoch.max(epoch);
        self.floor.fence = self.floor.fence.max(fence);
    }

    /// Notes that a host was announced. Returns whether that is news.
    pub fn announced(&mut self, claim: Claim, is_local: bool) -> bool {
        if self.host.as_ref().is_some_and(|host| claim.epoch < host.epoch) {
            return false;
        }
        self.raise_floor(claim.epoch, Fence::default());
        self.is_host_local = is_local;
        let is_news = self.host.as_ref() != Some(&claim);
        self.host = Some(claim);
        is_news
    }

    /// Returns the page, if it lives here.
    #[must_use]
    pub const fn here(&self) -> Option<&Here> {
        if let Place::Here(here) = &self.place { Some(here) } else { None }
    }

    /// Returns the page, if it lives here.
    pub const fn here_mut(&mut self) -> Option<&mut Here> {
        if let Place::Here(here) = &mut self.place { Some(here) } else { None }
    }
}

/// All pages that a node knows.
#[derive(Debug, Default)]
pub struct Pages {
    entries: HashMap<PageKey, Entry>,
    /// Pages for which the registry is to be asked, and when.
    asks: DeadlineMap<PageKey, ()>,
    /// Pages here without a session of this node.
    bare: DeadlineMap<PageKey, ()>,
    /// Number of pages here with a name.
    named: usize,
    /// The lives of actors on this node.
    pub incarnations: Incarnations,
}

impl Pages {
    /// Returns what is known of a page.
    #[must_use]
    pub fn get(&self, page: &PageKey) -> Option<&Entry> {
        self.entries.get(page)
    }

    /// Returns what is known of a page, so that it can change. The place changes by
    /// [`Self::place`].
    pub fn get_mut(&mut self, page: &PageKey) -> Option<&mut Entry> {
        self.entries.get_mut(page)
    }

    /// Returns what is known of a page. A page that was not known is asked for.
    pub fn get_or_ask(&mut self, now: Time, page: &PageKey) -> &mut Entry {
        self.entries.entry(page.clone()).or_insert_with(|| {
            self.asks.insert(page.clone(), now, ());
            Entry::new(Place::Asking(Asking::default()))
        })
    }

    /// Notes where a page lives. It must be known.
    pub fn place(&mut self, now: Time, page: &PageKey, place: Place) {
        let Some(entry) = self.entries.get_mut(page) else { return };
        let named = usize::from(matches!(page, PageKey::Named(_)));
        self.named -= if entry.here().is_some() { named } else { 0 };
        entry.place = place;
        self.named += if entry.here().is_some() { named } else { 0 };
        self.asks.take(page);
        self.bare.take(page);
        self.watch_bare(now, page);
    }

    /// Has the registry asked for a page, at `at` or later.
    pub fn ask(&mut self, page: &PageKey, at: Time) {
        self.asks.insert(page.clone(), at, ());
    }

    /// Has the registry asked for a page again, after a pause.
    pub fn ask_later(&mut self, now: Time, page: &PageKey) {
        let attempts = match self.entries.get_mut(page) {
            Some(Entry { place: Place::Asking(asking), .. }) => {
                asking.attempts = asking.attempts.saturating_add(1);
                asking.attempts - 1
            }
            _ => 1,
        };
        self.ask(page, now.plus((PAUSE * (1 << attempts.min(8))).min(MAX_PAUSE)));
    }

    /// Takes a page for which the registry is to be asked now.
    pub fn take_ask(&mut self, now: Time) -> Option<PageKey> {
        self.asks.take_due(now).map(|(page, ())| page)
    }

    /// Returns whether the registry is to be asked for a page.
    #[must_use]
    pub fn is_asked(&self, page: &PageKey) -> bool {
        self.asks.has(page)
    }

    /// A session of this node asks for the page.
    pub fn enter(&mut self, page: &PageKey, session: SessionId) {
        if let Some(entry) = self.entries.get_mut(page) {
            entry.sessions.insert(session);
            self.bare.take(page);
        }
    }

    /// A session of this node has ended.
    pub fn leave(&mut self, now: Time, page: &PageKey, session: SessionId) {
        if self.entries.get_mut(page).is_some_and(|entry| entry.sessions.remove(&session)) {
            self.watch_bare(now, page);
        }
    }

    fn watch_bare(&mut self, now: Time, page: &PageKey) {
        let is_bare = |entry: &Entry| entry.here().is_some() && entry.sessions.is_empty();
        if self.entries.get(page).is_some_and(is_bare) && !self.bare.has(page) {
            self.bare.insert(page.clone(), now.plus(MOVE_AFTER), ());
        }
    }

    /// Takes a page here that has had no session of this node for a while. If it stays, it is taken
    /// again after the same time.
    pub fn take_bare(&mut self, now: Time) -> Option<PageKey> {
        let (page, ()) = self.bare.take_due(now)?;
        self.watch_bare(now, &page);
        Some(page)
    }

    /// The actor of a page here has stopped in this incarnation.
    pub fn crash(&mut self, now: Time, page: &PageKey, incarnation: Incarnation) -> Crash {
        let here = self.entries.get_mut(page).and_then(Entry::here_mut);
        let Some(here) = here.filter(|here| here.life.incarnation() == incarnation) else {
            return Crash::Expected;
        };
        match here.life.crash(now, &mut self.incarnations) {
            Some(next) => Crash::Next(next, here.fence),
            None => Crash::TooOften,
        }
    }

    /// Forgets a page.
    pub fn remove(&mut self, page: &PageKey) {
        if self.entries.remove(page).is_some_and(|entry| entry.here().is_some()) {
            self.named -= usize::from(matches!(page, PageKey::Named(_)));
        }
        self.asks.take(page);
        self.bare.take(page);
    }

    /// Returns the pages whose entry a condition holds for.
    pub fn select(&self, condition: impl Fn(&Entry) -> bool) -> Vec<PageKey> {
        let chosen = self.entries.iter().filter(|(_, entry)| condition(entry));
        let mut chosen: Vec<_> = chosen.map(|(page, _)| page.clone()).collect();
        // the order of a hash map is no reason for anything
        chosen.sort_unstable();
        chosen
    }

    /// Returns all pages, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&PageKey, &Entry)> {
        self.entries.iter()
    }

    /// Returns the number of pages here with a name.
    #[must_use]
    pub const fn named(&self) -> usize {
        self.named
    }

    /// Returns when the registry is to be asked for a page.
    #[must_use]
    pub fn next_ask(&self) -> Option<Time> {
        self.asks.next_deadline()
    }

    /// Returns when [`Self::take_bare`] is due.
    #[must_use]
    pub fn next_bare(&self) -> Option<Time> {
        self.bare.next_deadline()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::id::{PageName, PeerId};

    fn key(name: &str) -> PageKey {
        PageKey::Named(PageName::parse(name).unwrap_or_else(|e| panic!("{e}")))
    }

    fn here(pages: &mut Pages) -> Place {
        let life = Life::new(pages.incarnations.begin());
        let (fence, branches) = (Fence(1), BTreeSet::new());
        Place::Here(Here { life, fence, raising: None, branches, idle: None })
    }

    #[test]
    fn a_page_here_without_sessions_is_bare_after_a_while() {
        let (mut pages, page) = (Pages::default(), key("a"));
        pages.get_or_ask(Time(0), &page);
        pages.enter(&page, SessionId(1));
        let place = here(&mut pages);
        pages.place(Time(0), &page, place);
        assert_eq!((pages.named(), pages.next_bare(), pages.next_ask()), (1, None, None));
        pages.leave(Time(5), &page, SessionId(1));
        assert_eq!(pages.next_bare(), Some(Time(10_005)));
        pages.enter(&page, SessionId(2));
        assert_eq!(pages.next_bare(), None);
        pages.leave(Time(6), &page, SessionId(2));
        assert_eq!(pages.take_bare(Time(10_005)), None);
        assert_eq!(pages.take_bare(Time(10_006)), Some(page.clone()));
        assert_eq!(pages.next_bare(), Some(Time(20_006)), "it stays, and is looked at again");
        pages.place(Time(7), &page, Place::There { node: NodeId(2), fence: Fence(2) });
        assert_eq!((pages.named(), pages.next_bare()), (0, None));
    }

    #[test]
    fn questions_are_asked_at_once_and_then_less_and_less_often() {
        let (mut pages, page) = (Pages::default(), key("a"));
        pages.get_or_ask(Time(0), &page);
        let mut pauses = Vec::new();
        let mut now = Time(0);
        for _ in 0..6 {
            assert_eq!(pages.take_ask(now), Some(page.clone()));
            pages.ask_later(now, &page);
            let next = pages.next_ask().unwrap();
            pauses.push(next.since(now).as_millis());
            now = next;
        }
        assert_eq!(pauses, [125, 250, 500, 1000, 1000, 1000]);
    }

    #[test]
    fn an_older_host_is_no_news() {
        let mut entry = Entry::new(Place::There { node: NodeId(2), fence: Fence(2) });
        let claim = |epoch, host: &str| Claim {
            epoch: Epoch(epoch),
            host: PeerId::parse(host).unwrap_or_else(|e| panic!("{e}")),
        };
        assert!(entry.announced(claim(5, "a"), true));
        assert!(!entry.announced(claim(4, "b"), false));
        assert!(entry.is_host_local);
        assert!(!entry.announced(claim(5, "a"), false), "the host has moved");
        assert!(!entry.is_host_local);
        assert_eq!(entry.floor, Floor { epoch: Epoch(5), fence: Fence(0) });
    }
}
