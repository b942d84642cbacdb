//! Pages that are lost, yield, move, or are released.

use std::time::Duration;

use super::NodeState;
use crate::cluster::io::{CallId, Env, Output};
use crate::cluster::pages::{Asking, Leaving, Place};
use crate::cluster::registry::Record;
use crate::cluster::{Fence, Floor, NodeId};
use crate::directory::Incarnation;
use crate::protocol::id::{Epoch, PageKey};

/// Time for which a node without the host's session leaves a lost page to the node that has it.
const HOST_FIRST: Duration = Duration::from_millis(150);

impl<J> NodeState<J> {
    /// A page of another node is lost. The node of the host's session takes it at once: there the
    /// host resumes before anybody else is asked.
    pub(super) fn lose(&mut self, env: Env, page: &PageKey, out: &mut Vec<Output<J>>) {
        let is_host_local = self.pages.get(page).is_some_and(|entry| entry.is_host_local);
        let wait = if is_host_local { Duration::ZERO } else { HOST_FIRST };
        self.set_adrift(env, page, out);
        self.pages.ask(page, env.now.plus(wait));
    }

    /// A page of another node is to be asked for anew, by a node that was buried.
    pub(super) fn lose_at_once(&mut self, env: Env, page: &PageKey, out: &mut Vec<Output<J>>) {
        self.set_adrift(env, page, out);
        self.pages.ask(page, env.now);
    }

    /// A page is not where it should be. Its record may say so for a moment longer.
    pub(super) fn lose_slowly(&mut self, env: Env, page: &PageKey, out: &mut Vec<Output<J>>) {
        self.set_adrift(env, page, out);
        self.pages.ask_later(env.now, page);
    }

    /// Nobody knows where a page lives on which sessions here are.
    fn set_adrift(&mut self, env: Env, page: &PageKey, out: &mut Vec<Output<J>>) {
        if let Some(entry) = self.pages.get_mut(page)
            && let Place::There { fence, .. } = entry.place
        {
            entry.raise_floor(Epoch::default(), fence);
        }
        out.push(Output::Adrift { page: page.clone() });
        let asking = Asking::lost();
        self.pages.place(env.now, page, Place::Asking(asking));
    }

    /// Another node's page is no more there.
    pub(super) fn page_left(
        &mut self,
        env: Env,
        node: NodeId,
        page: &PageKey,
        left: Floor,
        out: &mut Vec<Output<J>>,
    ) {
        self.fences.see(left.fence);
        let Some(entry) = self.pages.get_mut(page) else { return };
        entry.raise_floor(left.epoch, left.fence);
        let was_there = matches!(
            entry.place,
            Place::There { node: there, fence } if there == node && fence <= left.fence
        );
        if was_there {
            self.lose(env, page, out);
        }
    }

    /// A page here must live elsewhere: where the record says, or where somebody takes it.
    pub(super) fn yield_page(
        &mut self,
        env: Env,
        page: &PageKey,
        record: Option<&Record>,
        out: &mut Vec<Output<J>>,
    ) {
        self.stop(page, true, out);
        match record {
            _ if !self.is_wanted(page) => self.remove_silently(page),
            Some(record) => self.settle_there(env, page, record, out),
            None => {
                let asking = Asking::lost();
                self.pages.place(env.now, page, Place::Asking(asking));
                let is_host_local = self.pages.get(page).is_some_and(|entry| entry.is_host_local);
                let wait = if is_host_local { Duration::ZERO } else { HOST_FIRST };
                self.pages.ask(page, env.now.plus(wait));
            }
        }
    }

    /// Stops the actor of a page here that yields, and tells the other nodes.
    fn stop(&mut self, page: &PageKey, was_alone: bool, out: &mut Vec<Output<J>>) {
        let Some(here) = self.pages.get(page).and_then(|entry| entry.here()) else { return };
        let incarnation = here.life.incarnation();
        out.push(Output::Yield { page: page.clone(), incarnation, was_alone });
        self.tell_left(page, out);
    }

    /// Tells the nodes whose sessions are on a page here that it is no more there, and gives them
    /// back the requests that are held.
    pub(super) fn tell_left(&mut self, page: &PageKey, out: &mut Vec<Output<J>>) {
        let Some(entry) = self.pages.get_mut(page) else { return };
        let Some(here) = entry.here() else { return };
        let (fence, branches) = (here.raising.unwrap_or(here.fence), here.branches.clone());
        entry.raise_floor(Epoch::default(), fence);
        let left = entry.floor;
        self.announced = self.announced.max(left.epoch);
        for to in branches.into_iter().filter(|node| self.members.contains(*node)) {
            out.push(Output::TellLeft { to, page: page.clone(), left });
        }
        self.return_joins(page, out);
    }

    /// Gives the requests that other nodes passed on back to them.
    fn return_joins(&mut self, page: &PageKey, out: &mut Vec<Output<J>>) {
        for held in self.joins.take_foreign(page) {
            if let Some(to) = held.from {
                let joining = held.joining;
                out.push(Output::ReturnJoin { to, page: page.clone(), joining });
            }
        }
    }

    /// Moves pages here on which only sessions of other nodes are.
    pub(super) fn move_bare_pages(&mut self, env: Env, out: &mut Vec<Output<J>>) {
        while let Some(page) = self.pages.take_bare(env.now) {
            let here = self.pages.get(&page).and_then(|entry| entry.here());
            let is_known_elsewhere = here.is_some_and(|here| !here.branches.is_empty());
            let may_move = self.drain.is_none()
                && self.can_ask()
                && self.is_sure(env.now)
                && !self.generation.is_asserting();
            if is_known_elsewhere && may_move && self.joins.held(&page).is_empty() {
                self.stop(&page, false, out);
                self.leave_here(env, &page, out);
            }
        }
    }

    /// A page here is empty.
    pub(super) fn idle(
        &mut self,
        env: Env,
        page: &PageKey,
        incarnation: Incarnation,
        joins_seen: u64,
        announced: Epoch,
        out: &mut Vec<Output<J>>,
    ) {
        self.announced = self.announced.max(announced);
        let Some(entry) = self.pages.get_mut(page) else { return };
        entry.raise_floor(announced, Fence::default());
        let Some(here) = entry.here_mut() else { return };
        if !here.life.is_idle(incarnation, joins_seen) || here.raising.is_some() {
            return;
        }
        // While the registry cannot be asked, the record stays and so does the page: its next
        // member would have to wait.
        here.idle = Some(joins_seen);
        if self.can_ask() && self.is_sure(env.now) {
            self.retire(env, page, out);
        }
    }

    fn retire(&mut self, env: Env, page: &PageKey, out: &mut Vec<Output<J>>) {
        let here = self.pages.get(page).and_then(|entry| entry.here());
        let Some(here) = here.filter(|here| here.idle.is_some()) else { return };
        if self.joins.held(page).is_empty() {
            let incarnation = here.life.incarnation();
            out.push(Output::Retire { page: page.clone(), incarnation });
            self.leave_here(env, page, out);
        }
    }

    /// The registry can be asked again: pages that became empty meanwhile retire.
    pub(super) fn retire_idle_pages(&mut self, env: Env, out: &mut Vec<Output<J>>) {
        let idle = self.pages.select(|entry| entry.here().is_some_and(|here| here.idle.is_some()));
        idle.iter().for_each(|page| self.retire(env, page, out));
    }

    /// A page here has no actor any more. Its record is given back.
    pub(super) fn leave_here(&mut self, env: Env, page: &PageKey, out: &mut Vec<Output<J>>) {
        let Some(here) = self.pages.get(page).and_then(|entry| entry.here()) else { return };
        let fence = here.raising.unwrap_or(here.fence);
        // a fence that was being recorded may be in the record, or not
        let fence = here.raising.is_none().then_some(fence);
        self.return_joins(page, out);
        self.leave(env, page, fence);
    }

    /// A record of this node is given back: of this life, or of the one that it is found to have.
    pub(super) fn leave(&mut self, env: Env, page: &PageKey, fence: Option<Fence>) {
        let is_sought = matches!(
            self.pages.get(page).map(|entry| &entry.place),
            Some(Place::Leaving(Leaving { is_sought: true, .. }))
        );
        let leaving = Leaving { call: None, fence, is_sought };
        self.pages.place(env.now, page, Place::Leaving(leaving));
        self.pages.ask(page, env.now);
    }

    /// Takes the answer to a release.
    pub(super) fn released(
        &mut self,
        env: Env,
        id: CallId,
        page: &PageKey,
        out: &mut Vec<Output<J>>,
    ) {
        if self.end_question(page, id) {
            self.has_left(env, page, out);
        }
    }

    /// No record of a page names this node any more. Who has asked for the page meanwhile waits
    /// for the answer to another claim.
    pub(super) fn has_left(&mut self, env: Env, page: &PageKey, out: &mut Vec<Output<J>>) {
        self.return_joins(page, out);
        let is_sought = matches!(
            self.pages.get(page).map(|entry| &entry.place),
            Some(Place::Leaving(Leaving { is_sought: true, .. }))
        );
        if is_sought || !self.joins.held(page).is_empty() {
            self.pages.place(env.now, page, Place::Asking(Asking::default()));
            self.pages.ask(page, env.now);
        } else {
            self.remove_silently(page);
        }
    }

    /// Forgets a page that lives elsewhere, or that nobody asks for any more.
    pub(super) fn remove(&mut self, page: &PageKey, out: &mut Vec<Output<J>>) {
        self.remove_silently(page);
        out.push(Output::Forget { page: page.clone() });
    }

    pub(super) fn remove_silently(&mut self, page: &PageKey) {
        if let Some(entry) = self.pages.get(page) {
            self.announced = self.announced.max(entry.floor.epoch);
        }
        self.pages.remove(page);
    }
}
