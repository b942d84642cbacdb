//! Pages here: created, asserted, given a higher fence.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::NodeState;
use crate::cluster::Fence;
use crate::cluster::calls::Purpose;
use crate::cluster::io::{Env, Output, Whereabouts};
use crate::cluster::lease::Hold;
use crate::cluster::pages::{Crash, Here, Place};
use crate::cluster::registry::{Asserted, Call, Record};
use crate::directory::{Incarnation, Life};
use crate::protocol::claim::Claim;
use crate::protocol::id::{Epoch, PageKey};

/// Time after its start within which a process cannot know when a node went.
const NEW_FOR: Duration = Duration::from_secs(60);

impl<J> NodeState<J> {
    /// From now on a page lives here. `before` is its record before it was taken.
    pub(super) fn create(
        &mut self,
        env: Env,
        page: &PageKey,
        fence: Fence,
        before: Option<&Record>,
        out: &mut Vec<Output<J>>,
    ) {
        let hint = before
            .filter(|record| self.is_fresh(env, record))
            .and_then(|record| Some(Claim { epoch: record.epoch, host: record.host.clone()? }));
        let incarnation = self.pages.incarnations.begin();
        let (life, branches) = (Life::new(incarnation), BTreeSet::new());
        let here = Here { life, fence, raising: None, branches, idle: None };
        self.pages.place(env.now, page, Place::Here(here));
        let Some(entry) = self.pages.get_mut(page) else { return };
        let known = entry.host.clone();
        let claim = hint.into_iter().chain(known).max_by_key(|claim| claim.epoch);
        // Epochs of pages that are gone are no reason to doubt what is known of this one.
        let forgotten = if claim.is_none() { self.announced } else { Epoch::default() };
        let announced = entry.floor.epoch.max(forgotten);
        entry.raise_floor(announced, fence);
        out.push(Output::Create { page: page.clone(), incarnation, fence, announced, claim });
        if self.told.is_alone {
            out.push(Output::Alone { page: page.clone(), alone: true });
        }
        self.locate(page, Whereabouts::Here { incarnation, fence }, out);
        self.flush(env, page, out);
    }

    /// Returns whether the host of a record may still be there: its node went within a minute, or
    /// has given the page up.
    fn is_fresh(&self, env: Env, record: &Record) -> bool {
        record.has_left
            || record.node == self.node
            || self.members.has_just_gone(env.now, record.node)
            || !self.members.has_gone(record.node) && env.now.since(self.started) < NEW_FOR
    }

    /// While the registry cannot be reached, clients without a page are served here: they have no
    /// host that could be named twice.
    pub(super) fn serve_pageless(&mut self, env: Env, out: &mut Vec<Output<J>>) {
        let page = PageKey::Pageless;
        let is_here = |place: &Place| matches!(place, Place::Here(_));
        let is_away = self.pages.get(&page).is_some_and(|entry| !is_here(&entry.place));
        let is_unreachable = self.lease.hold(env.now) == Hold::Unreachable;
        if !is_away || !is_unreachable || self.drain.is_some() || !self.is_wanted(&page) {
            return;
        }
        let Some(fence) = self.fences.give() else { return };
        self.create(env, &page, fence, None, out);
        self.assertions.change(&page);
    }

    /// A page here, or behind a branch, announced a host.
    pub(super) fn announced(&mut self, page: &PageKey, claim: Claim, is_local: bool) {
        let Some(entry) = self.pages.get_mut(page) else { return };
        if entry.announced(claim, is_local) && entry.here().is_some() {
            self.assertions.change(page);
        }
    }

    /// Asserts what is due.
    pub(super) fn take_steps(&mut self, env: Env, out: &mut Vec<Output<J>>) {
        if !self.can_ask() {
            return;
        }
        let pages = &self.pages;
        self.assertions.step(env.now, || pages.select(|entry| entry.here().is_some()).into());
        while let Some((batch, is_owed)) = self.assertions.next_batch() {
            let asserted: Arc<[_]> =
                batch.into_iter().filter_map(|page| self.assertion(page)).collect();
            if asserted.is_empty() {
                continue;
            }
            let id = self.calls.begin(Purpose::Assert(Arc::clone(&asserted)));
            self.assertions.asked(id, is_owed);
            out.push(Output::Call(id, Call::Assert { node: self.node, pages: asserted }));
        }
    }

    fn assertion(&self, page: PageKey) -> Option<Asserted> {
        let entry = self.pages.get(&page)?;
        let here = entry.here()?;
        let fence = here.raising.unwrap_or(here.fence);
        let (epoch, host) = match &entry.host {
            Some(claim) => (claim.epoch, Some(claim.host.clone())),
            None => (entry.floor.epoch, None),
        };
        Some(Asserted { page, fence, epoch, host })
    }

    /// Takes the answer to an assertion: nothing, or the record that stands instead.
    pub(super) fn asserted(
        &mut self,
        env: Env,
        asserted: &Asserted,
        record: Option<Record>,
        out: &mut Vec<Output<J>>,
    ) {
        let page = &asserted.page;
        let Some(here) = self.pages.get_mut(page).and_then(|entry| entry.here_mut()) else {
            return;
        };
        if here.raising.unwrap_or(here.fence) != asserted.fence {
            self.assertions.change(page);
            return;
        }
        match record {
            None if here.raising.take().is_some() => {
                here.fence = asserted.fence;
                if let Some(entry) = self.pages.get_mut(page) {
                    entry.raise_floor(Epoch::default(), asserted.fence);
                }
                out.push(Output::Fence { page: page.clone(), fence: asserted.fence });
                self.flush(env, page, out);
            }
            None => {}
            Some(record) => {
                self.fences.see(record.fence);
                let is_another = record.node != self.node && !record.has_left;
                if is_another && self.members.is_registered(record.node) {
                    self.yield_page(env, page, Some(&record), out);
                } else {
                    // the record of a node that is gone, with a fence as high
                    self.raise(env, page);
                }
            }
        }
    }

    /// Gives a page here a fence above all that were seen, and records it first.
    pub(super) fn raise(&mut self, env: Env, page: &PageKey) {
        let Some(here) = self.pages.get_mut(page).and_then(|entry| entry.here_mut()) else {
            return;
        };
        if let Some(fence) = self.fences.give() {
            here.raising = Some(fence);
            self.assertions.urge(page);
        } else {
            // without a slot: when there is one
            self.lease.hurry(env.now);
        }
    }

    /// The node has a slot again: pages that wait for a fence get one.
    pub(super) fn go_on_raising(&mut self, env: Env, out: &mut Vec<Output<J>>) {
        for page in self.pages.select(|entry| entry.here().is_some_and(|one| one.raising.is_none()))
        {
            if !self.joins.held(&page).is_empty() {
                self.flush(env, &page, out);
            }
        }
    }

    /// The actor of a page here has stopped.
    pub(super) fn stopped(
        &mut self,
        env: Env,
        page: &PageKey,
        incarnation: Incarnation,
        announced: Epoch,
        out: &mut Vec<Output<J>>,
    ) {
        self.announced = self.announced.max(announced);
        match self.pages.crash(env.now, page, incarnation) {
            Crash::Expected => {}
            Crash::Next(incarnation, fence) if self.drain.is_none() => {
                out.push(Output::Recreate { page: page.clone(), incarnation, fence });
                if self.told.is_alone {
                    out.push(Output::Alone { page: page.clone(), alone: true });
                }
            }
            Crash::Next(..) | Crash::TooOften => {
                out.push(Output::Abandon { page: page.clone() });
                self.leave_here(env, page, out);
            }
        }
    }
}
