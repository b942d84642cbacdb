//! Saying again which pages a node has.
//!
//! Three queues: pages that somebody waits for, pages that a generation owes, and pages that have
//! changed or whose turn has come. Everything is said again once in [`CYCLE`], a little each second.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::Duration;

use super::io::CallId;
use super::registry::MOST_ASSERTED;
use crate::protocol::id::PageKey;
use crate::time::Time;

/// Most calls under way.
const MOST_UNDER_WAY: usize = 2;
/// Time within which every page is asserted again.
const CYCLE: Duration = Duration::from_secs(60);
/// Interval at which a part of the pages is asserted again.
const STEP: Duration = Duration::from_secs(1);

/// The pages that are to be asserted.
#[derive(Debug)]
pub struct Assertions {
    urgent: VecDeque<PageKey>,
    owed: VecDeque<PageKey>,
    changed: VecDeque<PageKey>,
    /// The pages in `changed`.
    is_changed: HashSet<PageKey>,
    /// Calls under way, and whether they are owed by the generation.
    under_way: BTreeMap<CallId, bool>,
    /// Pages whose turn comes in this cycle.
    turns: VecDeque<PageKey>,
    /// Number of pages that were in the cycle when it began.
    cycle: usize,
    due: Time,
}

impl Assertions {
    /// Returns empty queues.
    #[must_use]
    pub fn new(now: Time) -> Self {
        Self {
            urgent: VecDeque::new(),
            owed: VecDeque::new(),
            changed: VecDeque::new(),
            is_changed: HashSet::new(),
            under_way: BTreeMap::new(),
            turns: VecDeque::new(),
            cycle: 0,
            due: now.plus(STEP),
        }
    }

    /// A generation begins: all these pages are owed, and calls under way count for nothing.
    pub fn owe(&mut self, pages: impl Iterator<Item = PageKey>) {
        self.under_way.clear();
        self.owed = pages.collect();
    }

    /// Somebody waits until this page is asserted.
    pub fn urge(&mut self, page: &PageKey) {
        self.urgent.push_back(page.clone());
    }

    /// The record of this page is out of date.
    pub fn change(&mut self, page: &PageKey) {
        if self.is_changed.insert(page.clone()) {
            self.changed.push_back(page.clone());
        }
    }

    /// Returns whether all pages that the generation owes are asserted.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.owed.is_empty() && !self.under_way.values().any(|is_owed| *is_owed)
    }

    /// Returns the pages of the next call, if one is due, and whether the generation owes them. The
    /// caller leaves out those that are gone.
    pub fn next_batch(&mut self) -> Option<(Vec<PageKey>, bool)> {
        if self.under_way.len() >= MOST_UNDER_WAY {
            return None;
        }
        let mut batch = Vec::new();
        while batch.len() < MOST_ASSERTED {
            let Some(page) = self.urgent.pop_front() else { break };
            batch.push(page);
        }
        let owed = self.owed.len().min(MOST_ASSERTED - batch.len());
        batch.extend(self.owed.drain(..owed));
        while batch.len() < MOST_ASSERTED {
            let Some(page) = self.changed.pop_front() else { break };
            self.is_changed.remove(&page);
            batch.push(page);
        }
        (!batch.is_empty()).then_some((batch, owed > 0))
    }

    /// A call is under way.
    pub fn asked(&mut self, call: CallId, is_owed: bool) {
        self.under_way.insert(call, is_owed);
    }

    /// A call was answered. Returns whether it was waited for: not if it is of an earlier
    /// generation.
    pub fn answered(&mut self, call: CallId) -> bool {
        self.under_way.remove(&call).is_some()
    }

    /// A call with these pages was lost. They are asserted again.
    pub fn lost(&mut self, call: CallId, pages: impl Iterator<Item = PageKey>) {
        match self.under_way.remove(&call) {
            Some(true) => self.owed.extend(pages),
            Some(false) => pages.for_each(|page| self.change(&page)),
            None => {}
        }
    }

    /// If a step is due, has a part of the pages asserted again. `all` gives all pages that the
    /// node has now, for the next cycle.
    pub fn step(&mut self, now: Time, all: impl FnOnce() -> VecDeque<PageKey>) {
        if now < self.due {
            return;
        }
        self.due = now.plus(STEP);
        if self.turns.is_empty() {
            self.turns = all();
            self.cycle = self.turns.len();
        }
        let steps = usize::try_from(CYCLE.as_secs() / STEP.as_secs()).unwrap_or(usize::MAX);
        for _ in 0..self.cycle.div_ceil(steps) {
            let Some(page) = self.turns.pop_front() else { break };
            self.change(&page);
        }
    }

    /// Returns when [`Self::step`] is due.
    #[must_use]
    pub const fn next_deadline(&self) -> Time {
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::id::PageName;

    fn page(n: usize) -> PageKey {
        PageKey::Named(PageName::parse(&n.to_string()).unwrap_or_else(|e| panic!("{e}")))
    }

    #[test]
    fn two_calls_of_200_are_under_way_and_waited_pages_go_first() {
        let mut assertions = Assertions::new(Time(0));
        assertions.owe((0..500).map(page));
        assertions.urge(&page(499));
        let (first, owed) = assertions.next_batch().unwrap();
        assert_eq!((first.len(), &first[0], owed), (200, &page(499), true));
        assertions.asked(CallId(1), owed);
        assert_eq!(assertions.next_batch().unwrap().0.len(), 200);
        assertions.asked(CallId(2), true);
        assert_eq!(assertions.next_batch(), None);
        assert!(assertions.answered(CallId(1)));
        assert_eq!(assertions.next_batch().unwrap().0.len(), 101);
        assertions.asked(CallId(3), true);
        assertions.lost(CallId(2), (0..7).map(page));
        assert!(assertions.answered(CallId(3)) && !assertions.is_settled());
        assert_eq!(assertions.next_batch().unwrap().0.len(), 7);
        assertions.asked(CallId(4), true);
        assert!(!assertions.is_settled());
        assertions.answered(CallId(4));
        assert!(assertions.is_settled());
    }

    #[test]
    fn an_answer_of_an_earlier_generation_counts_for_nothing() {
        let mut assertions = Assertions::new(Time(0));
        assertions.owe([page(1)].into_iter());
        assertions.next_batch();
        assertions.asked(CallId(1), true);
        assertions.owe([page(1)].into_iter());
        assert!(!assertions.answered(CallId(1)));
        assert!(!assertions.is_settled());
    }

    #[test]
    fn everything_is_asserted_once_a_minute() {
        let mut assertions = Assertions::new(Time(0));
        let mut said = Vec::new();
        for second in 1..=60 {
            assertions.step(Time(second * 1000), || (0..130).map(page).collect());
            let before = said.len();
            said.extend(assertions.next_batch().map(|(pages, _)| pages).into_iter().flatten());
            assert!(said.len() - before <= 3);
        }
        assert_eq!(said.iter().collect::<HashSet<_>>().len(), 130);
        assert!(said.len() <= 180, "a little each second");
    }
}
