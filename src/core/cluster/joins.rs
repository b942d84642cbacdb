//! Sessions that wait for their page.
//!
//! A newcomer is answered within [`ANSWER_AFTER`] of its first question, or told to come back,
//! wherever its request is by then: held here, on the way to another node, or lost. A member that
//! resumes has a socket to lose, and waits.
//!
//! Held requests are bounded by [`MOST_HELD`]. Beyond that a newcomer is told to come back at once.
//! A resume that finds no room is forgotten: its session asks again.

use std::collections::HashMap;
use std::time::Duration;

use super::NodeId;
use super::io::Joining;
use crate::page::deadline_map::DeadlineMap;
use crate::protocol::id::{PageKey, SessionId};
use crate::time::Time;

/// Time after which a newcomer is told to come back.
const ANSWER_AFTER: Duration = Duration::from_secs(8);
/// Most requests that a node holds.
const MOST_HELD: usize = 16_384;

/// A request that is held.
#[derive(Debug)]
pub struct Held<J> {
    /// The request.
    pub joining: Joining<J>,
    /// The node of the session, if it is another one.
    pub from: Option<NodeId>,
}

/// All sessions that wait for an answer.
#[derive(Debug)]
pub struct Joins<J> {
    held: HashMap<PageKey, Vec<Held<J>>>,
    count: usize,
    /// Newcomers of this node that were not answered, held or not.
    newcomers: DeadlineMap<SessionId, PageKey>,
}

impl<J> Default for Joins<J> {
    fn default() -> Self {
        Self { held: HashMap::new(), count: 0, newcomers: DeadlineMap::default() }
    }
}

impl<J> Joins<J> {
    /// A newcomer of this node asks. Only its first question counts.
    pub fn asks(&mut self, now: Time, page: &PageKey, session: SessionId) {
        if !self.newcomers.has(&session) {
            self.newcomers.insert(session, now.plus(ANSWER_AFTER), page.clone());
        }
    }

    /// A newcomer was let in.
    pub fn answered(&mut self, session: SessionId) {
        self.newcomers.take(&session);
    }

    /// Holds a request, in place of an earlier one of the session.
    ///
    /// # Errors
    /// Gives the request back if too many are held.
    pub fn hold(&mut self, page: &PageKey, held: Held<J>) -> Result<(), Held<J>> {
        let session = held.joining.session;
        let waiting = self.held.entry(page.clone()).or_default();
        match waiting.iter_mut().find(|one| one.joining.session == session) {
            Some(earlier) => *earlier = held,
            None if self.count >= MOST_HELD => {
                self.drop_if_empty(page);
                return Err(held);
            }
            None => {
                waiting.push(held);
                self.count += 1;
            }
        }
        Ok(())
    }

    fn drop_if_empty(&mut self, page: &PageKey) {
        if self.held.get(page).is_some_and(Vec::is_empty) {
            self.held.remove(page);
        }
    }

    /// Returns the requests that are held for a page, in the order in which they came.
    #[must_use]
    pub fn held(&self, page: &PageKey) -> &[Held<J>] {
        self.held.get(page).map_or(&[], Vec::as_slice)
    }

    /// Takes all requests that are held for a page.
    pub fn take(&mut self, page: &PageKey) -> Vec<Held<J>> {
        let taken = self.held.remove(page).unwrap_or_default();
        self.count -= taken.len();
        taken
    }

    /// Takes the requests that other nodes passed on for a page.
    pub fn take_foreign(&mut self, page: &PageKey) -> Vec<Held<J>> {
        let Some(waiting) = self.held.get_mut(page) else { return Vec::new() };
        let taken: Vec<_> = waiting.extract_if(.., |one| one.from.is_some()).collect();
        self.count -= taken.len();
        self.drop_if_empty(page);
        taken
    }

    /// Takes all requests that are held, page by page.
    pub fn take_all(&mut self) -> Vec<(PageKey, Held<J>)> {
        let mut held: Vec<_> = std::mem::take(&mut self.held).into_iter().collect();
        self.count = 0;
        held.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let each = |(page, held): (PageKey, Vec<Held<J>>)| {
            held.into_iter().map(move |one| (page.clone(), one))
        };
        held.into_iter().flat_map(each).collect()
    }

    /// Forgets a session that has ended.
    pub fn forget(&mut self, page: &PageKey, session: SessionId) {
        self.newcomers.take(&session);
        self.drop_held(page, session);
    }

    fn drop_held(&mut self, page: &PageKey, session: SessionId) {
        if let Some(waiting) = self.held.get_mut(page) {
            let before = waiting.len();
            waiting.retain(|one| one.joining.session != session);
            self.count -= before - waiting.len();
            self.drop_if_empty(page);
        }
    }

    /// Forgets what a node passed on that has gone.
    pub fn forget_node(&mut self, node: NodeId) {
        let count = &mut self.count;
        self.held.retain(|_, waiting| {
            let before = waiting.len();
            waiting.retain(|one| one.from != Some(node));
            *count -= before - waiting.len();
            !waiting.is_empty()
        });
    }

    /// Takes a newcomer that has waited for as long as it may, with its page. Its request is no
    /// longer held.
    pub fn take_due(&mut self, now: Time) -> Option<(SessionId, PageKey)> {
        let (session, page) = self.newcomers.take_due(now)?;
        self.drop_held(&page, session);
        Some((session, page))
    }

    /// Returns when [`Self::take_due`] is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.newcomers.next_deadline()
    }

    /// Returns the number of requests that are held.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Returns whether no request is held.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Fence;

    fn held(session: u64, from: Option<u64>, request: u32) -> Held<u32> {
        let session = SessionId(session);
        let joining = Joining { session, bound: Fence(0), resumes: false, request };
        Held { joining, from: from.map(NodeId) }
    }

    #[test]
    fn a_newcomer_waits_eight_seconds_from_its_first_question() {
        let (mut joins, page) = (Joins::default(), PageKey::Pageless);
        for (at, request) in [(0, 1), (4000, 2)] {
            joins.asks(Time(at), &page, SessionId(1));
            assert!(joins.hold(&page, held(1, None, request)).is_ok());
        }
        assert_eq!(
            joins.held(&page).iter().map(|one| one.joining.request).collect::<Vec<_>>(),
            [2]
        );
        assert_eq!(joins.take_due(Time(7999)), None);
        assert_eq!(joins.take_due(Time(8000)), Some((SessionId(1), page)));
        assert!(joins.is_empty());
        assert_eq!(joins.next_deadline(), None);
    }

    #[test]
    fn held_requests_are_bounded_and_counted() {
        let (mut joins, page) = (Joins::default(), PageKey::Pageless);
        for n in 0..MOST_HELD as u64 {
            assert!(joins.hold(&page, held(n, (n % 2 == 0).then_some(9), 0)).is_ok());
        }
        assert!(joins.hold(&page, held(u64::MAX, None, 0)).is_err());
        assert!(joins.hold(&page, held(0, Some(9), 0)).is_ok(), "in place of an earlier one");
        joins.forget_node(NodeId(9));
        assert_eq!(joins.len(), MOST_HELD / 2);
        joins.forget(&page, SessionId(1));
        assert_eq!(joins.take(&page).len(), MOST_HELD / 2 - 1);
        assert_eq!((joins.len(), joins.held.len()), (0, 0));
    }
}
