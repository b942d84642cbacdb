//! The lease, generations, and nodes that come and go.

use std::time::Duration;

use super::NodeState;
use crate::cluster::calls::Purpose;
use crate::cluster::io::{Change, Env, Output};
use crate::cluster::lease::Order;
use crate::cluster::pages::Place;
use crate::cluster::registry::{Call, Record, Standing, View};
use crate::cluster::{Fence, Generation, NodeId};
use crate::protocol::id::{Epoch, PageKey};

/// Time after which the operator is told that a node is not let in. Dead nodes are buried sooner.
const KEPT_OUT_FOR: Duration = Duration::from_secs(10);

impl<J> NodeState<J> {
    const fn standing(&self) -> Standing {
        if self.drain.is_some() {
            Standing::Leaving
        } else if self.generation.is_asserting() {
            Standing::Asserting
        } else {
            Standing::Settled
        }
    }

    /// Renews or registers, if that is due, or has the registry dialled anew.
    pub(super) fn keep_lease(&mut self, env: Env, out: &mut Vec<Output<J>>) {
        if self.is_departing() {
            return;
        }
        match self.lease.tick(env.now) {
            None => {}
            Some(Order::Reconnect) => {
                self.lose_calls(env, out);
                out.push(Output::Reconnect);
            }
            Some(Order::Renew) => {
                self.lease.asked(env.now);
                // A node that is not sure may have been buried, and must not register as if it
                // were not.
                let call = if self.must_register && (!self.is_registered || self.is_sure(env.now)) {
                    self.register(env)
                } else {
                    let (node, standing) = (self.node, self.standing());
                    Call::Renew { node, epoch: env.epoch, standing }
                };
                self.call(Purpose::Lease, call, out);
            }
        }
    }

    fn register(&mut self, env: Env) -> Call {
        // The registry may forget everything before this call is carried out.
        if self.pages_here().next().is_some() {
            self.generation.assert(false);
        }
        let own = self.fences.slot().map(|slot| (self.node, slot));
        let others = self.members.slots().filter(|(node, _)| *node != self.node);
        self.is_registered = false;
        Call::Register {
            node: self.node,
            version: self.rules.version,
            epoch: env.epoch,
            standing: self.standing(),
            settings: self.rules.settings,
            address: self.rules.address.clone(),
            carried: others.chain(own).collect(),
            wants_slot: !self.generation.is_young(),
        }
    }

    /// The registry confirmed a registration.
    pub(super) fn registered(&mut self, env: Env, view: &View, out: &mut Vec<Output<J>>) {
        let was_sure = self.is_sure(env.now);
        self.lease.confirmed(env.now);
        let is_first = self.learn_if(env, &view.generation, was_sure, out);
        let Some(own) = view.get(self.node) else { return };
        self.must_register = false;
        self.is_registered = true;
        self.kept_out = None;
        if self.generation.is_asserting() {
            self.generation.assert(!was_sure);
        } else if is_first {
            out.push(Output::Changed(Change::Settled));
        }
        if self.fences.set_slot(own.slot) {
            out.push(Output::Slot(own.slot));
            self.go_on_raising(env, out);
        }
        if own.slot.is_none() && !self.generation.is_young() {
            // all slots are taken or rest: asked again with the next renewal
            self.must_register = true;
        }
        out.push(Output::Epoch(view.epoch()));
        self.update_members(env, view, out);
    }

    /// The registry does not let this node in: its clock is too far ahead of all others, and would
    /// drive them ahead. It asks again with each renewal. The others may be dead, so the operator is
    /// told when they would have been buried.
    pub(super) fn not_let_in(
        &mut self,
        env: Env,
        generation: &Generation,
        others: Epoch,
        out: &mut Vec<Output<J>>,
    ) {
        self.lease.not_let_in();
        self.learn(env, generation, out);
        let (since, is_told) = self.kept_out.get_or_insert((env.now, false));
        if !*is_told && env.now.since(*since) >= KEPT_OUT_FOR {
            *is_told = true;
            let ahead_ms = env.epoch.0.saturating_sub(others.0);
            out.push(Output::Changed(Change::Ahead { ahead_ms }));
        }
    }

    /// The registry confirmed a renewal.
    pub(super) fn renewed(
        &mut self,
        env: Env,
        generation: &Generation,
        epoch: Epoch,
        out: &mut Vec<Output<J>>,
    ) {
        let was_sure = self.is_sure(env.now);
        self.lease.confirmed(env.now);
        self.learn_if(env, generation, was_sure, out);
        out.push(Output::Epoch(epoch));
    }

    /// The registry does not know this node: it was buried, or the registry has forgotten.
    pub(super) fn denied(&mut self, env: Env, generation: &Generation, out: &mut Vec<Output<J>>) {
        self.lease.denied(env.now);
        // A renewal that was sent before the generation was learned of is no burial.
        let was_registered = self.is_registered;
        let is_another = self.learn(env, generation, out);
        if was_registered && !is_another && !self.is_departing() {
            self.buried(env, out);
        }
    }

    /// Notes the generation of an answer. Returns whether it is another one.
    pub(super) fn learn(
        &mut self,
        env: Env,
        generation: &Generation,
        out: &mut Vec<Output<J>>,
    ) -> bool {
        let is_sure = self.is_sure(env.now);
        self.learn_if(env, generation, is_sure, out)
    }

    fn learn_if(
        &mut self,
        env: Env,
        generation: &Generation,
        was_sure: bool,
        out: &mut Vec<Output<J>>,
    ) -> bool {
        let is_another = self.generation.learn(env.now, generation);
        if is_another {
            self.watch.begin_anew();
            self.members.await_all();
            self.is_registered = false;
            self.must_register = true;
            self.lease.hurry(env.now);
            let mut pages: Vec<_> = self.pages_here().cloned().collect();
            // pages that somebody waits for go first
            pages.sort_by_key(|page| self.joins.held(page).is_empty());
            if !pages.is_empty() {
                self.generation.assert(!was_sure);
                out.push(Output::Changed(Change::Asserting));
            }
            self.assertions.owe(pages.into_iter());
        }
        is_another
    }

    /// The generation comes of age: who has not registered counts as buried.
    pub(super) fn come_of_age(&mut self, env: Env, out: &mut Vec<Output<J>>) {
        if self.generation.comes_of_age(env.now) {
            for (node, has_left) in self.members.bury_awaited(env.now, self.node) {
                self.node_gone(env, node, has_left, out);
            }
            if self.fences.slot().is_none() {
                self.must_register = true;
                self.lease.hurry(env.now);
            }
        }
    }

    /// The node has asserted all that the generation owes.
    pub(super) fn settle_generation(&mut self, env: Env, out: &mut Vec<Output<J>>) {
        let is_done = self.is_registered && self.assertions.is_settled();
        if is_done && self.generation.settle() {
            self.lease.hurry(env.now);
            out.push(Output::Changed(Change::Settled));
        }
    }

    /// Takes the answer to a look.
    pub(super) fn looked(
        &mut self,
        env: Env,
        view: &View,
        listening: &[NodeId],
        out: &mut Vec<Output<J>>,
    ) {
        self.learn(env, &view.generation, out);
        let dead = self.watch.look(env.now, self.node, view, listening);
        if view.get(self.node).is_none() && self.kept_out.is_none() {
            // buried, or forgotten: the renewal tells
            self.lease.hurry(env.now);
            return;
        }
        for (node, counter) in dead {
            self.call(Purpose::Bury(node), Call::Bury { node, counter }, out);
        }
        if self.kept_out.is_none() {
            self.update_members(env, view, out);
        }
    }

    fn update_members(&mut self, env: Env, view: &View, out: &mut Vec<Output<J>>) {
        let is_young = self.generation.is_young();
        let changes = self.members.update(env.now, view, self.node, is_young);
        // Who counted as buried, and registers late, is made so: it takes another number, and
        // yields what others have taken.
        for (node, counter) in changes.revenants {
            self.call(Purpose::Bury(node), Call::Bury { node, counter }, out);
        }
        let mut different = Vec::new();
        for one in changes.joined.iter().filter_map(|node| view.get(*node)) {
            if one.version == self.rules.version {
                out.push(Output::OpenLink(one.node));
            } else {
                self.members.set_linked(one.node, false);
                self.members.set_different(one.node);
                let (node, version) = (one.node, one.version);
                out.push(Output::Changed(Change::OtherVersion { node, version }));
            }
            let is_different = self.rules.settings.differences(one.settings).next().is_some();
            if is_different {
                self.members.set_different(one.node);
            }
            if is_different && !different.contains(&one.settings) {
                different.push(one.settings);
                let (node, settings) = (one.node, one.settings);
                out.push(Output::Changed(Change::OtherSettings { node, settings }));
            }
        }
        for (node, has_left) in changes.gone {
            self.node_gone(env, node, has_left, out);
        }
    }

    fn node_gone(&mut self, env: Env, node: NodeId, has_left: bool, out: &mut Vec<Output<J>>) {
        out.push(Output::CloseLink(node));
        if !has_left {
            out.push(Output::Changed(Change::Lost(node)));
        }
        self.joins.forget_node(node);
        for page in self.pages.select(|entry| match &entry.place {
            Place::There { node: there, .. } => *there == node,
            Place::Here(here) => here.branches.contains(&node),
            Place::Asking(_) | Place::Leaving(_) => false,
        }) {
            match self.pages.get_mut(&page).and_then(|entry| entry.here_mut()) {
                Some(here) => drop(here.branches.remove(&node)),
                None => self.lose(env, &page, out),
            }
        }
    }

    /// This node was buried: its pages may be elsewhere. It goes on as another node.
    fn buried(&mut self, env: Env, out: &mut Vec<Output<J>>) {
        self.lease.buried();
        out.push(Output::Changed(Change::Buried { was: self.node }));
        for node in self.members.nodes().filter(|node| *node != self.node) {
            out.push(Output::CloseLink(node));
            self.joins.forget_node(node);
        }
        self.members.begin_anew(env.now, self.node);
        // answers to the calls of the buried node mean nothing any more
        self.lose_calls(env, out);
        self.node = NodeId(env.random.max(1));
        out.push(Output::Identity(self.node));
        for page in self.pages.select(|_| true) {
            match self.pages.get(&page).map(|entry| &entry.place) {
                Some(Place::Here(_)) => self.yield_page(env, &page, None, out),
                Some(Place::There { .. }) => self.lose_at_once(env, &page, out),
                Some(Place::Asking(_)) => self.forget_claim(env, &page),
                Some(Place::Leaving(_)) => self.has_left(env, &page, out),
                None => {}
            }
        }
        self.is_registered = false;
        self.must_register = true;
        self.assertions.owe(std::iter::empty());
        self.generation.settle();
        if self.fences.set_slot(None) {
            out.push(Output::Slot(None));
        }
    }

    /// Looks for records of nodes that are gone, if this node is the one that does.
    pub(super) fn sweep(&mut self, env: Env, out: &mut Vec<Output<J>>) {
        if !self.can_ask() {
            return;
        }
        let Some(cursor) = self.sweep.ask(env.now) else { return };
        let is_first = self.members.nodes().next() == Some(self.node);
        if is_first && self.is_sure(env.now) && !self.generation.is_young() {
            self.call(Purpose::Scan, Call::Scan { cursor }, out);
        } else {
            self.sweep.skip(env.now);
        }
    }

    pub(super) fn swept(
        &mut self,
        env: Env,
        records: Vec<(PageKey, Record)>,
        cursor: u64,
        out: &mut Vec<Output<J>>,
    ) {
        for (page, Record { node, fence, .. }) in records {
            if self.sweep.found(env.now, node) {
                self.remove_record(page, node, fence, out);
            }
        }
        self.sweep.stepped(env.now, cursor);
    }

    fn remove_record(
        &mut self,
        page: PageKey,
        node: NodeId,
        fence: Fence,
        out: &mut Vec<Output<J>>,
    ) {
        let call = Call::Release { by: self.node, page, node, fence };
        self.call(Purpose::Remove, call, out);
    }
}
