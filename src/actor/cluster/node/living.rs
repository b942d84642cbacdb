//! Pages that live on this node.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::sync::Arc;

use actix::{AsyncContext, Context};

use super::{Here, Left, NodeDirectory, Request};
use crate::actor::cluster::page_route::PageRoute;
use crate::actor::cluster::visitor::{PageFence, Visitor};
use crate::actor::message::{Outbound, Outlet, PageAddress, ToPage, ToSession};
use crate::actor::outlet;
use crate::actor::page::Page;
use crate::actor::registry::{Home, Registry};
use peerstar_core::cluster::entry::{self, Entry, Place, ToBranch};
use peerstar_core::cluster::io::{Input, Joining};
use peerstar_core::cluster::{Fence, NodeId};
use peerstar_core::directory::Incarnation;
use peerstar_core::page::member::{JoinRequest, Way};
use peerstar_core::page::{self, Handover};
use peerstar_core::protocol::close::Close;
use peerstar_core::protocol::id::{PageKey, SessionId};
use peerstar_core::time::Time;

/// Interval at which a page compares its members with other nodes, in seconds.
const COMPARED_EVERY_S: u64 = 60;

impl NodeDirectory {
    #[expect(
        clippy::disallowed_methods,
        reason = "a page does little for one message, and never waits"
    )]
    pub(super) fn tell_page(&self, page: &PageKey, message: ToPage) {
        if let Some(here) = self.pages.get(page) {
            here.actor.do_send(message);
        }
    }

    pub(super) fn stop(&mut self, page: &PageKey, incarnation: Incarnation, order: ToPage) {
        if self.pages.get(page).is_some_and(|here| here.incarnation == incarnation) {
            self.tell_page(page, order);
            self.pages.remove(page);
            self.registry.forget(page);
        }
    }

    pub(super) fn create(
        &mut self,
        page: &PageKey,
        incarnation: Incarnation,
        fence: Fence,
        handover: Handover,
        awaited: HashSet<SessionId>,
        ctx: &Context<Self>,
    ) {
        let (name, shared) = (page.clone(), Arc::clone(&self.shared));
        let directory = ctx.address().recipient();
        let make = move || Page::new(name, incarnation, handover, awaited, shared, directory);
        let Home::Here(actor) = self.registry.place(page, Box::new(make));
        let fence = PageFence::new(fence);
        self.pages.insert(page.clone(), Here { actor, incarnation, fence, routes: HashMap::new() });
    }

    /// Starts a successor of an actor that has died, and tells the sessions.
    pub(super) fn recreate(
        &mut self,
        page: &PageKey,
        incarnation: Incarnation,
        fence: Fence,
        ctx: &Context<Self>,
    ) {
        let Some((_, left)) = self.left.take_if(|(key, _)| key == page) else { return };
        let Left { handover, outlets, mut awaited } = left;
        self.shared.metrics.page_restarts.inc();
        log::error!(
            page = page.name(), sessions = outlets.len();
            "page actor died and is started again"
        );
        awaited.extend(outlets.iter().map(|outlet| outlet.session));
        self.create(page, incarnation, fence, *handover, awaited, ctx);
        let Some(here) = self.pages.get(page) else { return };
        let successor = PageAddress::Here(here.actor.clone().recipient());
        for outlet in &outlets {
            let notice = ToSession::PageLost(Some(successor.clone()));
            outlet.send(Outbound::Notice(notice));
        }
    }

    /// Sends the sessions of a page away whose actor dies again and again.
    pub(super) fn abandon(&mut self, page: &PageKey) {
        self.pages.remove(page);
        self.registry.forget(page);
        let Some((_, left)) = self.left.take_if(|(key, _)| key == page) else { return };
        log::error!(
            page = page.name(), sessions = left.outlets.len();
            "page actor died too often and is given up"
        );
        for outlet in &left.outlets {
            outlet.send(Outbound::Notice(ToSession::Close(Close::Internal)));
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a page does little for one message, and never waits"
    )]
    pub(super) fn admit(
        &mut self,
        page: &PageKey,
        joining: Joining<Request>,
        from: Option<NodeId>,
    ) {
        let Joining { session, resumes, request: Request { join, outlet }, .. } = joining;
        if resumes {
            self.shared.metrics.cluster.resumes.inc();
        }
        let Some(here) = self.pages.get_mut(page) else { return };
        let outlet = match (outlet, from) {
            (Some(outlet), _) => outlet,
            (None, Some(node)) => {
                let Some(other) = self.tables.others.get(node) else { return };
                other.with_link(|link, now| link.set_bound(now, true));
                let visitors = &self.tables.visitors;
                let route = here.routes.entry(node).or_insert_with(|| {
                    let actor = here.actor.clone().recipient();
                    let (fence, visitors) = (here.fence.clone(), Arc::clone(visitors));
                    Arc::new(PageRoute::new(page.clone(), fence, actor, other, visitors))
                });
                let counters = Arc::default();
                let visitor = Visitor {
                    node,
                    fence: here.fence.clone(),
                    page: here.actor.clone().recipient(),
                    counters: Arc::clone(&counters),
                    routing: None,
                };
                visitors.add(session, visitor);
                let route = Arc::clone(route) as Arc<dyn outlet::Link<ToSession>>;
                Outlet::linked(session, counters, route)
            }
            (None, None) => return,
        };
        if let Some(local) = self.locals.get_mut(&session) {
            (local.bound, local.asks) = (here.fence.get(), None);
        }
        let way = from.map_or(Way::Local, Way::Node);
        let request = Box::new(JoinRequest { way, ..join.request });
        here.actor.do_send(ToPage::Join { request, outlet });
        if resumes && !join.contacts.is_empty() {
            let input = page::Input::Met { session, peers: join.contacts };
            here.actor.do_send(ToPage::Input(input));
        }
    }

    /// Has a page say which sessions of another node are members. Those that have missed something
    /// say again who they are.
    pub(super) fn say_members(&self, to: NodeId, page: PageKey, missed: Vec<SessionId>) {
        let here = self.pages.get(&page);
        let route = here.and_then(|here| here.routes.get(&to)).cloned();
        match (here, route) {
            (_, Some(route)) => {
                let link = route as Arc<dyn outlet::Link<ToSession>>;
                self.tell_page(
                    &page,
                    if missed.is_empty() {
                        ToPage::SayMembers(link)
                    } else {
                        ToPage::Missed(link, missed)
                    },
                );
            }
            (Some(here), None) => {
                let place = Place { page, fence: here.fence.get() };
                let none = ToBranch::Here { sessions: Vec::new(), host: None };
                self.tables.others.say(to, &Entry::ToBranch(place, none));
            }
            (None, None) => {}
        }
    }

    /// Has each page tell other nodes once a minute, in a second of its own, which of their sessions
    /// are members.
    pub(super) fn compare_members(&mut self, now: Time) {
        let second = now.0 / 1000;
        if std::mem::replace(&mut self.compared, second) == second {
            return;
        }
        for (page, here) in self.pages.iter().filter(|(_, here)| !here.routes.is_empty()) {
            if self.hasher.hash_one(page) % COMPARED_EVERY_S == second % COMPARED_EVERY_S {
                for route in here.routes.values() {
                    let link = Arc::clone(route) as Arc<dyn outlet::Link<ToSession>>;
                    self.tell_page(page, ToPage::CompareMembers(link));
                }
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most words go elsewhere")]
    pub(super) fn hear(
        &mut self,
        from: NodeId,
        place: Place,
        word: entry::ToPage,
        ctx: &mut Context<Self>,
    ) {
        let page = place.page;
        let input = match word {
            entry::ToPage::SocketClosed { session, departure } => {
                let input = Input::DepartedFrom { node: from, page, session, departure };
                return self.step(input, ctx);
            }
            entry::ToPage::Undelivered { session, dst } => {
                page::Input::Undelivered { session, dst }
            }
            entry::ToPage::LeaveWithoutSocket { id, proof } => match proof.to_token() {
                Some(token) => page::Input::LeaveWithoutSocket { id, token },
                None => return,
            },
            entry::ToPage::Who => return self.say_members(from, page, Vec::new()),
            entry::ToPage::Missed(sessions) => return self.say_members(from, page, sessions),
            // what sessions say goes to their visitors
            _ => return,
        };
        self.tell_page(&page, ToPage::Input(input));
    }
}
