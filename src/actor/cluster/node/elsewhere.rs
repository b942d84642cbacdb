//! Pages that live on other nodes, and the links to those.

use std::sync::Arc;

use actix::{AsyncContext, Context};

use super::{BRANCH_TICK, NodeDirectory, Request};
use crate::actor::cluster::branch::Branch;
use crate::actor::cluster::inbox::Inbox;
use crate::actor::message::{Outbound, PageAddress, ToPage, ToSession};
use peerstar_core::cluster::branch::BranchInput;
use peerstar_core::cluster::entry::Place;
use peerstar_core::cluster::io::{Input, Joining, Whereabouts};
use peerstar_core::cluster::{Fence, Floor, NodeId};
use peerstar_core::page;
use peerstar_core::protocol::id::{Epoch, PageKey, SessionId};

impl NodeDirectory {
    /// Returns the address of a page. Begins its branch if it lives on another node.
    pub(super) fn address(
        &mut self,
        page: &PageKey,
        at: Whereabouts,
        ctx: &Context<Self>,
    ) -> Option<PageAddress> {
        match at {
            Whereabouts::Here { .. } => {
                let here = self.pages.get(page)?;
                Some(PageAddress::Here(here.actor.clone().recipient()))
            }
            Whereabouts::There { node, fence } => {
                Some(self.branch(page, node, fence, ctx).address())
            }
        }
    }

    /// Returns the branch of a page on another node.
    pub(super) fn branch(
        &mut self,
        page: &PageKey,
        node: NodeId,
        fence: Fence,
        ctx: &Context<Self>,
    ) -> Arc<Branch> {
        if let Some(branch) = self.tables.branches.get(page) {
            return branch;
        }
        if let Some(other) = self.tables.others.get(node) {
            other.with_link(|link, now| link.set_bound(now, true));
        }
        let place = Place { page: page.clone(), fence };
        let (shared, others) = (Arc::clone(&self.shared), Arc::clone(&self.tables.others));
        let directory = ctx.address().recipient();
        let own = Inbox::new(ctx.address().recipient(), self.tables.waiting.clone());
        let branch = Arc::new(Branch::new(place, node, shared, others, directory, own));
        self.tables.branches.add(Arc::clone(&branch));
        branch
    }

    pub(super) fn step_branch(&self, page: &PageKey, input: BranchInput) {
        if let Some(branch) = self.tables.branches.get(page) {
            branch.step(input);
            branch.flush();
        }
    }

    /// Tells sessions of this node where their page lives. A branch speaks for those that it knows.
    pub(super) fn locate(
        &mut self,
        page: &PageKey,
        at: Whereabouts,
        sessions: Vec<SessionId>,
        ctx: &Context<Self>,
    ) {
        let Some(address) = self.address(page, at, ctx) else { return };
        let branch = match at {
            Whereabouts::Here { .. } => {
                self.tables.branches.remove(page);
                None
            }
            Whereabouts::There { node, fence } => {
                self.step_branch(page, BranchInput::Lives { node, fence });
                self.tables.branches.get(page)
            }
        };
        for session in sessions {
            if !branch.as_ref().is_some_and(|branch| branch.knows(session)) {
                self.lose_page(session, Some(address.clone()));
            }
        }
    }

    /// Tells a session of this node that its page lives at another address now.
    pub(super) fn lose_page(&self, session: SessionId, address: Option<PageAddress>) {
        if let (Some(local), Some(address)) = (self.locals.get(&session), address) {
            local.outlet.send(Outbound::Notice(ToSession::PageLost(Some(address))));
        }
    }

    pub(super) fn pass_join(
        &mut self,
        to: NodeId,
        page: PageKey,
        joining: Joining<Request>,
        ctx: &Context<Self>,
    ) {
        let fence = match self.state.whereabouts(&page) {
            Some(Whereabouts::There { node, fence }) if node == to => fence,
            _ => Fence::default(),
        };
        let branch = self.branch(&page, to, fence.max(joining.bound), ctx);
        let Some(local) = self.locals.get_mut(&joining.session) else { return };
        branch.bind(local.id.clone(), local.outlet.clone());
        let join = joining.request.join.clone();
        local.asks = Some(joining);
        branch.step(BranchInput::Join(join));
        branch.flush();
    }

    /// Ends the link to a node that has gone. The pages here lose its sessions.
    #[expect(clippy::disallowed_methods, reason = "one message for each session")]
    pub(super) fn close_link(&mut self, node: NodeId) {
        self.tables.others.close(node);
        for (session, visitor) in self.tables.visitors.remove_all_of(node) {
            let departure = page::member::Departure::Lost;
            let input = page::Input::SocketClosed { session, departure };
            visitor.page.do_send(ToPage::Input(input));
        }
        self.pages.values_mut().for_each(|here| drop(here.routes.remove(&node)));
    }

    /// Tells pages and branches that the link to a node is up or broken.
    #[expect(clippy::disallowed_methods, reason = "one message for each page")]
    pub(super) fn link_changed(&self, node: NodeId, is_up: bool) {
        for branch in self.tables.branches.all() {
            if branch.home() == Some(node) {
                branch.step(if is_up { BranchInput::LinkUp } else { BranchInput::LinkDown });
                branch.flush();
            }
        }
        for here in self.pages.values().filter(|here| here.routes.contains_key(&node)) {
            let input = if is_up { page::Input::WayUp(node) } else { page::Input::WayDown(node) };
            here.actor.do_send(ToPage::Input(input));
        }
    }

    /// Looks at what branches have to judge.
    pub(super) fn tick_branches(&mut self, ctx: &mut Context<Self>) {
        let now = self.shared.clock.now();
        for branch in self.tables.branches.all() {
            if branch.next_deadline().is_some_and(|at| at <= now) {
                branch.step(BranchInput::Timer);
                branch.flush();
            }
        }
        self.show(now);
        self.measure(now);
        self.compare_members(now);
        ctx.run_later(BRANCH_TICK, Self::tick_branches);
    }

    pub(super) fn joined(&mut self, place: &Place, session: SessionId, ctx: &mut Context<Self>) {
        if let Some(local) = self.locals.get_mut(&session) {
            (local.bound, local.asks) = (local.bound.max(place.fence), None);
        }
        self.step(Input::Joined { page: place.page.clone(), session }, ctx);
    }

    /// A session whose join was not taken, or whose page has a new actor, asks again.
    pub(super) fn returned(
        &mut self,
        node: NodeId,
        place: &Place,
        session: SessionId,
        ctx: &mut Context<Self>,
    ) {
        let Some(local) = self.locals.get_mut(&session) else { return };
        let page = place.page.clone();
        if let Some(joining) = local.asks.take() {
            self.step(Input::Returned { node, page, joining }, ctx);
        } else {
            let left = Floor { fence: place.fence, epoch: Epoch::default() };
            self.step(Input::PageLeft { node, page, left }, ctx);
        }
    }
}
