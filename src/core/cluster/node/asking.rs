//! Where a page lives: asking the registry, and what its answers lead to.

use super::NodeState;
use crate::cluster::Fence;
use crate::cluster::calls::Purpose;
use crate::cluster::io::{CallId, Env, Output, Whereabouts};
use crate::cluster::joins::Held;
use crate::cluster::pages::{Asking, Entry, Leaving, Place};
use crate::cluster::registry::{Call, Record};
use crate::protocol::close::Close;
use crate::protocol::id::{PageKey, SessionId};

/// Most questions for pages that are under way at once. A node that died may have had thousands.
const MOST_ASKED: usize = 256;

impl<J> NodeState<J> {
    pub(super) const fn may_ask_for_pages(&self) -> bool {
        self.can_ask() && self.calls.asks() < MOST_ASKED
    }

    /// Returns whether a session of this node is on the page, or somebody waits for it.
    pub(super) fn is_wanted(&self, page: &PageKey) -> bool {
        let has_sessions = self.pages.get(page).is_some_and(|entry| !entry.sessions.is_empty());
        has_sessions || !self.joins.held(page).is_empty()
    }

    /// Returns whether this node may take a page of which another node may know.
    fn may_take(&self, env: Env) -> bool {
        self.drain.is_none() && self.fences.slot().is_some() && self.is_sure(env.now)
    }

    /// Returns whether the limit on pages allows one more.
    fn has_room(&self, page: &PageKey, was_lost: bool) -> bool {
        was_lost || *page == PageKey::Pageless || self.pages.named() < self.rules.max_pages
    }

    /// Asks the registry for the pages that are due.
    pub(super) fn ask_for_pages(&mut self, env: Env, out: &mut Vec<Output<J>>) {
        while self.may_ask_for_pages() {
            let Some(page) = self.pages.take_ask(env.now) else { break };
            self.ask_for(env, page, out);
        }
    }

    fn ask_for(&mut self, env: Env, page: PageKey, out: &mut Vec<Output<J>>) {
        let is_wanted = self.is_wanted(&page);
        match self.pages.get(&page).map(|entry| &entry.place) {
            Some(Place::Asking(Asking { call: None, claimed, was_lost, .. })) => {
                let (claimed, was_lost) = (*claimed, *was_lost);
                if !is_wanted {
                    self.give_up_asking(env, &page, claimed, out);
                } else if !self.generation.is_young()
                    && self.may_take(env)
                    && self.has_room(&page, was_lost)
                {
                    self.claim(env, page, out);
                } else {
                    self.find(page, out);
                }
            }
            Some(Place::Leaving(Leaving { call: None, fence, .. })) => match *fence {
                Some(fence) => self.release(page, fence, out),
                None => self.find(page, out),
            },
            _ => {}
        }
    }

    fn claim(&mut self, env: Env, page: PageKey, out: &mut Vec<Output<J>>) {
        // A claim whose answer was lost is asked again as it was: a release finds its record.
        let again = match self.pages.get(&page).map(|entry| (&entry.place, entry.floor.fence)) {
            Some((Place::Asking(asking), floor)) => asking.claimed.filter(|fence| *fence > floor),
            _ => None,
        };
        let Some(fence) = again.or_else(|| self.fences.give()) else {
            self.pages.ask_later(env.now, &page);
            return;
        };
        let call = Call::Claim { page: page.clone(), node: self.node, fence };
        let id = self.calls.begin(Purpose::Claim(page.clone(), fence));
        if let Some(Entry { place: Place::Asking(asking), .. }) = self.pages.get_mut(&page) {
            asking.call = Some(id);
            asking.claimed = Some(fence);
        }
        out.push(Output::Call(id, call));
    }

    fn find(&mut self, page: PageKey, out: &mut Vec<Output<J>>) {
        let id = self.calls.begin(Purpose::Find(page.clone()));
        self.note_call(&page, id);
        out.push(Output::Call(id, Call::Find { page }));
    }

    fn release(&mut self, page: PageKey, fence: Fence, out: &mut Vec<Output<J>>) {
        let id = self.calls.begin(Purpose::Release(page.clone()));
        self.note_call(&page, id);
        let node = self.node;
        out.push(Output::Call(id, Call::Release { by: node, page, node, fence }));
    }

    fn note_call(&mut self, page: &PageKey, id: CallId) {
        match self.pages.get_mut(page).map(|entry| &mut entry.place) {
            Some(Place::Asking(asking)) => asking.call = Some(id),
            Some(Place::Leaving(leaving)) => leaving.call = Some(id),
            _ => {}
        }
    }

    /// Takes note that a question for a page was answered. Returns whether it is the present one.
    pub(super) fn end_question(&mut self, page: &PageKey, id: CallId) -> bool {
        let call = match self.pages.get_mut(page).map(|entry| &mut entry.place) {
            Some(Place::Asking(asking)) => &mut asking.call,
            Some(Place::Leaving(leaving)) => &mut leaving.call,
            _ => return false,
        };
        call.take_if(|call| *call == id).is_some()
    }

    /// A question for a page was lost, or refused.
    pub(super) fn ask_again(&mut self, env: Env, id: CallId, page: &PageKey) {
        if self.end_question(page, id) {
            self.pages.ask_later(env.now, page);
        }
    }

    /// Nobody wants a page any more that the node asks for. A record of it may name the node.
    fn give_up_asking(
        &mut self,
        env: Env,
        page: &PageKey,
        claimed: Option<Fence>,
        out: &mut Vec<Output<J>>,
    ) {
        match claimed {
            Some(fence) => self.leave(env, page, Some(fence)),
            None => self.remove(page, out),
        }
    }

    /// The claims of a node that was buried mean nothing to the one that it is now.
    pub(super) fn forget_claim(&mut self, env: Env, page: &PageKey) {
        if let Some(Entry { place: Place::Asking(asking), .. }) = self.pages.get_mut(page) {
            asking.claimed = None;
            asking.call = None;
            self.pages.ask(page, env.now);
        }
    }

    /// A page was claimed, and is this node's. `before` is its record before, if there was one.
    pub(super) fn taken(
        &mut self,
        env: Env,
        id: CallId,
        (page, fence): (&PageKey, Fence),
        before: Option<Record>,
        out: &mut Vec<Output<J>>,
    ) {
        if !self.end_question(page, id) {
            return;
        }
        if let Some(record) = &before {
            self.see(page, record);
        }
        if self.drain.is_some() || !self.is_wanted(page) {
            self.leave(env, page, Some(fence));
        } else if self.is_sure(env.now) {
            self.create(env, page, fence, before.as_ref(), out);
        } else {
            // the node may have been frozen, and buried, since the claim
            self.pages.ask_later(env.now, page);
        }
    }

    /// A page was claimed, and lives on another node.
    pub(super) fn taken_by_another(
        &mut self,
        env: Env,
        id: CallId,
        page: &PageKey,
        record: &Record,
        out: &mut Vec<Output<J>>,
    ) {
        if self.end_question(page, id) {
            self.not_claimed(page);
            self.lives(env, page, record, out);
        }
    }

    /// A page was claimed with too low a fence, or while nodes assert (without a record here).
    pub(super) fn not_taken(
        &mut self,
        env: Env,
        id: CallId,
        page: &PageKey,
        record: Option<&Record>,
    ) {
        if !self.end_question(page, id) {
            return;
        }
        self.not_claimed(page);
        match record {
            Some(record) => {
                self.see(page, record);
                self.pages.ask(page, env.now);
            }
            None => self.pages.ask_later(env.now, page),
        }
    }

    /// The registry has answered a claim with no: no record of the page names this node by it.
    fn not_claimed(&mut self, page: &PageKey) {
        if let Some(Entry { place: Place::Asking(asking), .. }) = self.pages.get_mut(page) {
            asking.claimed = None;
        }
    }

    /// Takes the record of a page that was looked for.
    pub(super) fn found(
        &mut self,
        env: Env,
        id: CallId,
        page: &PageKey,
        record: Option<Record>,
        out: &mut Vec<Output<J>>,
    ) {
        if !self.end_question(page, id) {
            return;
        }
        let is_leaving =
            self.pages.get(page).is_some_and(|entry| matches!(entry.place, Place::Leaving(_)));
        if is_leaving {
            match record.filter(|record| record.node == self.node) {
                Some(record) => self.leave(env, page, Some(record.fence)),
                None => self.has_left(env, page, out),
            }
            return;
        }
        match record {
            Some(record) if record.node != self.node && !record.has_left => {
                self.lives(env, page, &record, out);
            }
            record => {
                if let Some(record) = &record {
                    self.see(page, record);
                }
                self.take_later(env, page, out);
            }
        }
    }

    /// A page has no node. It is taken as soon as that is allowed.
    fn take_later(&mut self, env: Env, page: &PageKey, out: &mut Vec<Output<J>>) {
        let was_lost = self
            .pages
            .get(page)
            .is_some_and(|entry| matches!(&entry.place, Place::Asking(asking) if asking.was_lost));
        if !self.has_room(page, was_lost) {
            for Held { joining, from } in self.joins.take(page) {
                match from {
                    None => out
                        .push(Output::Close { session: joining.session, close: Close::PagesFull }),
                    Some(to) => out.push(Output::ReturnJoin { to, page: page.clone(), joining }),
                }
            }
        }
        self.pages.ask_later(env.now, page);
    }

    /// Notes what a record says.
    fn see(&mut self, page: &PageKey, record: &Record) {
        self.fences.see(record.fence);
        if let Some(entry) = self.pages.get_mut(page) {
            entry.raise_floor(record.epoch, record.fence);
        }
    }

    /// The registry says that a page lives on another node.
    fn lives(&mut self, env: Env, page: &PageKey, record: &Record, out: &mut Vec<Output<J>>) {
        self.see(page, record);
        let claimed = match self.pages.get(page).map(|entry| &entry.place) {
            Some(Place::Asking(asking)) => asking.claimed,
            _ => None,
        };
        if !self.is_wanted(page) {
            self.give_up_asking(env, page, claimed, out);
        } else if self.members.is_registered(record.node) {
            self.settle_there(env, page, record, out);
        } else if self.members.has_gone(record.node) && !self.members.contains(record.node) {
            // gone here, and not yet in the registry
            self.take_later(env, page, out);
        } else {
            // this node has not seen it yet, or it has not registered again
            self.watch.hurry(env.now);
            self.pages.ask_later(env.now, page);
        }
    }

    /// From now on a page lives on another node.
    pub(super) fn settle_there(
        &mut self,
        env: Env,
        page: &PageKey,
        record: &Record,
        out: &mut Vec<Output<J>>,
    ) {
        let (node, fence) = (record.node, record.fence);
        self.pages.place(env.now, page, Place::There { node, fence });
        self.locate(page, Whereabouts::There { node, fence }, out);
        self.flush(env, page, out);
        if !self.is_wanted(page) {
            // sessions of other nodes alone had asked
            self.remove(page, out);
        }
    }

    /// Tells the sessions of this node where their page lives, but those whose request is held.
    pub(super) fn locate(&self, page: &PageKey, at: Whereabouts, out: &mut Vec<Output<J>>) {
        let held = self.joins.held(page);
        let Some(entry) = self.pages.get(page) else { return };
        let is_held = |session: &SessionId| held.iter().any(|one| one.joining.session == *session);
        let mut sessions: Vec<_> = if held.len() == entry.sessions.len() {
            // every session here has asked; a crowd is not searched for one by one
            Vec::new()
        } else {
            entry.sessions.iter().copied().filter(|session| !is_held(session)).collect()
        };
        sessions.sort_unstable();
        out.push(Output::Locate { page: page.clone(), at, sessions });
    }
}
