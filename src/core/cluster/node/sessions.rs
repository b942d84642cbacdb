//! Joins, departures, and members that seek their page.

use super::NodeState;
use crate::cluster::io::{Env, Joining, Output, Whereabouts};
use crate::cluster::joins::Held;
use crate::cluster::pages::Place;
use crate::cluster::{Fence, NodeId};
use crate::page::member::Departure;
use crate::protocol::id::{Epoch, PageKey, SessionId};

impl<J> NodeState<J> {
    /// A session of this node asks for its page.
    pub(super) fn join(
        &mut self,
        env: Env,
        page: &PageKey,
        joining: Joining<J>,
        out: &mut Vec<Output<J>>,
    ) {
        let (session, bound) = (joining.session, joining.bound);
        if self.drain.is_some() {
            out.push(Output::Close { session, close: Self::later() });
            return;
        }
        self.fences.see(bound);
        self.pages.get_or_ask(env.now, page).raise_floor(Epoch::default(), bound);
        self.pages.enter(page, session);
        if !joining.resumes {
            self.joins.asks(env.now, page, session);
        }
        if *page == PageKey::Pageless {
            self.serve_pageless(env, out);
        }
        self.pass(env, page, Held { joining, from: None }, out);
    }

    /// Another node passes on a session for a page that should be here.
    pub(super) fn join_from(
        &mut self,
        env: Env,
        node: NodeId,
        page: &PageKey,
        joining: Joining<J>,
        out: &mut Vec<Output<J>>,
    ) {
        if !self.members.contains(node) {
            return;
        }
        self.fences.see(joining.bound);
        let place = self.pages.get(page).map(|entry| &entry.place);
        let is_elsewhere = matches!(place, None | Some(Place::There { .. }));
        if is_elsewhere || self.drain.is_some() {
            if place.is_none() && self.drain.is_none() {
                // a lost claim of this node may have been carried out
                self.pages.get_or_ask(env.now, page);
                self.leave(env, page, None);
            }
            out.push(Output::ReturnJoin { to: node, page: page.clone(), joining });
            return;
        }
        self.pass(env, page, Held { joining, from: Some(node) }, out);
    }

    /// Passes a request on to its page, or holds it.
    fn pass(&mut self, env: Env, page: &PageKey, held: Held<J>, out: &mut Vec<Output<J>>) {
        let bound = held.joining.bound;
        let must_rise = match self.pages.get(page).map(|entry| &entry.place) {
            Some(Place::Here(here)) if bound <= here.fence => {
                self.admit(page, held, out);
                return;
            }
            Some(Place::Here(here)) => here.raising.is_none_or(|raising| raising < bound),
            Some(Place::There { node, .. }) => match held.from {
                Some(to) => {
                    let joining = held.joining;
                    out.push(Output::ReturnJoin { to, page: page.clone(), joining });
                    return;
                }
                None if self.members.is_linked(*node) => {
                    let (to, joining) = (*node, held.joining);
                    out.push(Output::PassJoin { to, page: page.clone(), joining });
                    return;
                }
                None => false,
            },
            Some(Place::Asking(_) | Place::Leaving(_)) | None => false,
        };
        self.keep(page, held, out);
        if must_rise {
            self.raise(env, page);
        }
    }

    fn keep(&mut self, page: &PageKey, held: Held<J>, out: &mut Vec<Output<J>>) {
        if let Err(Held { joining, from }) = self.joins.hold(page, held) {
            match from {
                Some(to) => out.push(Output::ReturnJoin { to, page: page.clone(), joining }),
                None if !joining.resumes => {
                    self.joins.forget(page, joining.session);
                    out.push(Output::Close { session: joining.session, close: Self::later() });
                }
                // a member seeks its page again
                None => {}
            }
        }
    }

    /// Passes on all requests that are held for a page, as far as that goes now.
    pub(super) fn flush(&mut self, env: Env, page: &PageKey, out: &mut Vec<Output<J>>) {
        for held in self.joins.take(page) {
            self.pass(env, page, held, out);
        }
    }

    /// Passes a request on to a page here.
    fn admit(&mut self, page: &PageKey, held: Held<J>, out: &mut Vec<Output<J>>) {
        let Some(here) = self.pages.get_mut(page).and_then(|entry| entry.here_mut()) else {
            return;
        };
        let Held { joining, from } = held;
        here.idle = None;
        if !joining.resumes {
            here.life.pass_on();
        }
        here.branches.extend(from);
        out.push(Output::Admit { page: page.clone(), joining, from });
    }

    /// Another node does not have the page on which a session of this node wanted to be.
    pub(super) fn returned(
        &mut self,
        env: Env,
        node: NodeId,
        page: &PageKey,
        joining: Joining<J>,
        out: &mut Vec<Output<J>>,
    ) {
        let Some(entry) = self.pages.get(page) else { return };
        if !entry.sessions.contains(&joining.session) {
            return;
        }
        if matches!(entry.place, Place::There { node: there, .. } if there == node) {
            self.lose_slowly(env, page, out);
        }
        self.pass(env, page, Held { joining, from: None }, out);
    }

    /// A member asks where its page is.
    pub(super) fn seek(
        &mut self,
        env: Env,
        page: &PageKey,
        session: SessionId,
        out: &mut Vec<Output<J>>,
    ) {
        if self.drain.is_some() {
            return;
        }
        let entry = self.pages.get_or_ask(env.now, page);
        if let Place::Leaving(leaving) = &mut entry.place {
            leaving.is_sought = true;
        }
        self.pages.enter(page, session);
        if let Some(at) = self.whereabouts(page) {
            let is_reachable = match at {
                Whereabouts::Here { .. } => true,
                Whereabouts::There { node, .. } => self.members.is_linked(node),
            };
            if is_reachable {
                out.push(Output::Tell { session, page: page.clone(), at });
            }
        }
    }

    /// A session of this node has ended.
    pub(super) fn departed(
        &mut self,
        env: Env,
        page: &PageKey,
        session: SessionId,
        departure: Departure,
        out: &mut Vec<Output<J>>,
    ) {
        self.joins.forget(page, session);
        self.pages.leave(env.now, page, session);
        let is_wanted = self.is_wanted(page);
        match self.pages.get(page).map(|entry| &entry.place) {
            Some(Place::Here(_)) => {
                out.push(Output::Depart { page: page.clone(), session, departure });
            }
            Some(Place::There { node, .. }) => {
                let to = *node;
                out.push(Output::PassDeparture { to, page: page.clone(), session, departure });
                if !is_wanted {
                    self.remove(page, out);
                }
            }
            // what is asked is given up when the answer comes
            Some(Place::Asking(asking)) if asking.call.is_none() => {
                if !is_wanted {
                    self.pages.ask(page, env.now);
                }
            }
            Some(Place::Asking(_) | Place::Leaving(_)) | None => {}
        }
    }

    /// A session of another node has ended.
    pub(super) fn departed_from(
        &mut self,
        page: &PageKey,
        session: SessionId,
        departure: Departure,
        out: &mut Vec<Output<J>>,
    ) {
        self.joins.forget(page, session);
        if self.pages.get(page).is_some_and(|entry| entry.here().is_some()) {
            out.push(Output::Depart { page: page.clone(), session, departure });
        }
    }

    /// The page of another node has a higher fence. Sessions of this node are bound to it.
    pub(super) fn fenced(&mut self, node: NodeId, page: &PageKey, fence: Fence) {
        self.fences.see(fence);
        let Some(entry) = self.pages.get_mut(page) else { return };
        entry.raise_floor(Epoch::default(), fence);
        if let Place::There { node: there, fence: known } = &mut entry.place
            && *there == node
        {
            *known = fence.max(*known);
        }
    }

    /// The link to a node is up, or broken.
    pub(super) fn link(&mut self, env: Env, node: NodeId, is_up: bool, out: &mut Vec<Output<J>>) {
        self.members.set_linked(node, is_up);
        if !is_up {
            return;
        }
        let waits = self.pages.select(
            |entry| matches!(entry.place, Place::There { node: there, .. } if there == node),
        );
        for page in waits {
            self.flush(env, &page, out);
        }
    }

    /// Tells newcomers to come back that have waited for as long as they may.
    pub(super) fn close_late_joins(&mut self, env: Env, out: &mut Vec<Output<J>>) {
        while let Some((session, page)) = self.joins.take_due(env.now) {
            // a page here answers by itself
            if self.pages.get(&page).is_none_or(|entry| entry.here().is_none()) {
                out.push(Output::Close { session, close: Self::later() });
            }
        }
    }
}
