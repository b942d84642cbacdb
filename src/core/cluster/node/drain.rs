//! A node that leaves. A drain is a death that says so: the records are marked first, so that the
//! next node may take them, then the pages stop and the other nodes are told.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::NodeState;
use crate::cluster::Fence;
use crate::cluster::calls::Purpose;
use crate::cluster::io::{Change, Env, Output};
use crate::cluster::pages::Place;
use crate::cluster::registry::{Call, MOST_ASSERTED};
use crate::protocol::id::PageKey;
use crate::time::Time;

/// Longest time for the registry to mark the records. Without it the pages stop all the same.
const MARK_WITHIN: Duration = Duration::from_secs(2);
/// Longest time for the sessions on pages of other nodes to end.
const END_WITHIN: Duration = Duration::from_secs(10);
/// Longest time for the registry to take the node off.
const DEPART_WITHIN: Duration = Duration::from_secs(1);
/// Most calls under way.
const MOST_UNDER_WAY: usize = 2;

type Batch = Arc<[(PageKey, Fence)]>;

/// How far a drain has come.
#[derive(Debug)]
pub(super) struct Drain {
    since: Time,
    /// Pages that are still to be marked.
    queue: VecDeque<Batch>,
    under_way: Vec<Batch>,
    /// When the node has asked to be taken off.
    departs: Option<Time>,
    is_over: bool,
}

impl Drain {
    /// Returns when the drain goes on without an answer.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        if self.is_over {
            return None;
        }
        let is_marking = !self.queue.is_empty() || !self.under_way.is_empty();
        Some(match self.departs {
            Some(since) => since.plus(DEPART_WITHIN),
            None if is_marking => self.since.plus(MARK_WITHIN),
            None => self.since.plus(END_WITHIN),
        })
    }
}

impl<J> NodeState<J> {
    /// Returns whether the node has asked to be taken off, or ends.
    pub(super) fn is_departing(&self) -> bool {
        self.drain.as_ref().is_some_and(|drain| drain.is_over || drain.departs.is_some())
    }

    pub(super) fn begin_drain(&mut self, env: Env, out: &mut Vec<Output<J>>) {
        if self.drain.is_some() {
            return;
        }
        let pages = self.pages.select(|entry| entry.here().is_some());
        let life = |page: &PageKey| {
            let here = self.pages.get(page)?.here()?;
            Some((page.clone(), here.raising.unwrap_or(here.fence)))
        };
        let lives: Vec<_> = pages.iter().filter_map(life).collect();
        self.drain = Some(Drain {
            since: env.now,
            queue: lives.chunks(MOST_ASSERTED).map(Arc::from).collect(),
            under_way: Vec::new(),
            departs: None,
            is_over: false,
        });
        out.push(Output::Changed(Change::Draining));
        self.lease.hurry(env.now);
        for (page, held) in self.joins.take_all() {
            let joining = held.joining;
            match held.from {
                Some(to) => out.push(Output::ReturnJoin { to, page, joining }),
                None => out.push(Output::Close { session: joining.session, close: Self::later() }),
            }
        }
    }

    pub(super) fn go_on_draining(&mut self, env: Env, out: &mut Vec<Output<J>>) {
        let can_ask = self.can_ask();
        let Some(drain) = self.drain.as_mut().filter(|drain| !drain.is_over) else { return };
        if env.now >= drain.since.plus(MARK_WITHIN) {
            let rest: Vec<_> = drain.under_way.drain(..).chain(drain.queue.drain(..)).collect();
            rest.iter().for_each(|batch| self.end_pages(batch, out));
        } else if can_ask {
            let room = MOST_UNDER_WAY - drain.under_way.len();
            let batches: Vec<_> = drain.queue.drain(..room.min(drain.queue.len())).collect();
            drain.under_way.extend(batches.iter().cloned());
            for pages in batches {
                let call = Call::GiveUp { node: self.node, pages: Arc::clone(&pages) };
                self.call(Purpose::GiveUp(pages), call, out);
            }
        }
        let has_sessions = self.pages.iter().any(|(_, entry)| {
            matches!(entry.place, Place::There { .. }) && !entry.sessions.is_empty()
        });
        let node = self.node;
        let Some(drain) = self.drain.as_mut() else { return };
        if !drain.queue.is_empty() || !drain.under_way.is_empty() {
            return;
        }
        match drain.departs {
            None if has_sessions && env.now < drain.since.plus(END_WITHIN) => {}
            None if can_ask => {
                drain.departs = Some(env.now);
                self.call(Purpose::Depart, Call::Depart { node }, out);
            }
            None => self.end_drain(out),
            Some(since) if env.now >= since.plus(DEPART_WITHIN) => self.end_drain(out),
            Some(_) => {}
        }
    }

    fn end_drain(&mut self, out: &mut Vec<Output<J>>) {
        if let Some(drain) = self.drain.as_mut().filter(|drain| !drain.is_over) {
            drain.is_over = true;
            out.push(Output::Drained);
        }
    }

    /// The node was taken off, or the answer is lost: it would be buried anyway.
    pub(super) fn has_departed(&mut self, out: &mut Vec<Output<J>>) {
        self.is_registered = false;
        self.end_drain(out);
    }

    /// Pages were marked as given up.
    pub(super) fn given_up(&mut self, batch: &Batch, out: &mut Vec<Output<J>>) {
        let Some(drain) = &mut self.drain else { return };
        let before = drain.under_way.len();
        drain.under_way.retain(|one| !Arc::ptr_eq(one, batch));
        if drain.under_way.len() < before {
            self.end_pages(batch, out);
        }
    }

    /// The call that marks pages was lost.
    pub(super) fn not_given_up(&mut self, batch: &Batch) {
        if let Some(drain) = &mut self.drain {
            let before = drain.under_way.len();
            drain.under_way.retain(|one| !Arc::ptr_eq(one, batch));
            if drain.under_way.len() < before {
                drain.queue.push_back(Arc::clone(batch));
            }
        }
    }

    fn end_pages(&mut self, batch: &Batch, out: &mut Vec<Output<J>>) {
        for (page, _) in batch.iter() {
            let here = self.pages.get(page).and_then(|entry| entry.here());
            if let Some(incarnation) = here.map(|here| here.life.incarnation()) {
                out.push(Output::DrainPage { page: page.clone(), incarnation });
                self.tell_left(page, out);
                self.remove_silently(page);
            }
        }
    }
}
