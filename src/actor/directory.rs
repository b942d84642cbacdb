//! The supervisor of all pages: creates them, retires them, and restarts them when their actor
//! dies.
//!
//! Only the directory knows which pages exist, and it asks its [`Registry`] where they live. Every
//! join and every departure passes through it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, AsyncContext, Context, Handler, ResponseFuture};
use futures_util::future::join_all;

use super::message::{
    Batch, Dying, Gathered, Ids, IdsOf, Kick, KickFrom, Outbound, Outlet, PageAddress, Summarise,
    SummariseAll, Summary, ToDirectory, ToPage, ToSession,
};
use super::page::Page;
use super::registry::{Home, Registry, ThisProcess};
use crate::settings::limit;
use crate::shared::Shared;
use peerstar_core::directory::{DirectoryState, Incarnation, JoinDecision, Succession};
use peerstar_core::page::{Handover, Input};
use peerstar_core::protocol::id::{PageKey, PeerId, SessionId};

/// Longest time over which a drain tells its pages.
const MAX_DRAIN_SPREAD: Duration = Duration::from_secs(3);
/// Time that a drain takes for each connection, up to [`MAX_DRAIN_SPREAD`].
const DRAIN_SPREAD_A_CONNECTION: Duration = Duration::from_millis(5);

/// The actor that owns all pages.
pub struct PageDirectory {
    shared: Arc<Shared>,
    state: DirectoryState,
    registry: Box<dyn Registry + Send>,
}

impl PageDirectory {
    /// Starts a directory without pages, and `threads` threads (at least one) for pages to live on.
    /// The directory is on the first: every join and every departure takes both, and waking another
    /// thread is slow.
    #[must_use]
    pub fn start_with_pages(shared: Arc<Shared>, threads: usize) -> Addr<Self> {
        let state = DirectoryState::new(limit(shared.settings.pages.max));
        let registry = ThisProcess::start(threads);
        let first = registry.first_thread();
        Self::start_in_arbiter(&first, move |_| Self {
            shared,
            state,
            registry: Box::new(registry),
        })
    }

    /// Starts the actor of a page. `awaited` are the sessions of its earlier incarnation.
    fn create(
        &mut self,
        key: &PageKey,
        incarnation: Incarnation,
        handover: Handover,
        awaited: HashSet<SessionId>,
        ctx: &Context<Self>,
    ) -> Home {
        let (name, shared) = (key.clone(), Arc::clone(&self.shared));
        let directory = ctx.address().recipient();
        let make = move || Page::new(name, incarnation, handover, awaited, shared, directory);
        self.registry.place(key, Box::new(make))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a page does little for one message, and never waits"
    )]
    fn send(&self, key: &PageKey, message: ToPage) {
        match self.registry.find(key) {
            Some(Home::Here(page)) => page.do_send(message),
            None => {}
        }
    }

    fn succeed(
        &mut self,
        key: &PageKey,
        succession: Succession,
        handover: Handover,
        outlets: &[Outlet],
        mut awaited: HashSet<SessionId>,
        ctx: &Context<Self>,
    ) {
        let mut batch = Batch::default();
        match succession {
            Succession::Expected => return,
            Succession::Recreate(incarnation) => {
                self.shared.metrics.page_restarts.inc();
                log::error!(
                    page = key.name(), sessions = outlets.len();
                    "page actor died and is started again"
                );
                awaited.extend(outlets.iter().map(|outlet| outlet.session));
                let successor = address(&self.create(key, incarnation, handover, awaited, ctx));
                for outlet in outlets {
                    let notice = ToSession::PageLost(Some(successor.clone()));
                    batch.put(outlet, Outbound::Notice(notice));
                }
            }
            Succession::Abandon(close) => {
                log::error!(
                    page = key.name(), sessions = outlets.len(), close = close.name();
                    "page actor died too often and is given up"
                );
                self.registry.forget(key);
                for outlet in outlets {
                    batch.put(outlet, Outbound::Notice(ToSession::Close(close)));
                }
            }
        }
        batch.send();
    }

    /// Tells one page after the other, so that clients do not all return in the same moment.
    fn drain(&mut self, connections: usize, ctx: &mut Context<Self>) {
        self.state.drain();
        let connections = u32::try_from(connections).unwrap_or(u32::MAX);
        let spread = MAX_DRAIN_SPREAD.min(DRAIN_SPREAD_A_CONNECTION * connections);
        let pages = self.registry.pages();
        let count = u32::try_from(pages.len()).unwrap_or(u32::MAX);
        for (n, (key, _)) in (0_u32..).zip(pages) {
            ctx.run_later(spread * n / count, move |directory, _| {
                directory.send(&key, ToPage::Input(Input::Drain));
            });
        }
    }
}

fn address(Home::Here(page): &Home) -> PageAddress {
    PageAddress::Here(page.clone().recipient())
}

impl Actor for PageDirectory {
    type Context = Context<Self>;
}

impl Handler<ToDirectory> for PageDirectory {
    type Result = ();

    fn handle(&mut self, message: ToDirectory, ctx: &mut Self::Context) {
        match message {
            ToDirectory::Join { key, request, outlet } => match self.state.join(&key) {
                JoinDecision::PassOn { incarnation, create } => {
                    if create {
                        let handover = Handover::above(self.state.announced_epoch());
                        self.create(&key, incarnation, handover, HashSet::new(), ctx);
                    }
                    self.send(&key, ToPage::Join { request, outlet });
                }
                JoinDecision::Refuse(close) => {
                    outlet.send(Outbound::Notice(ToSession::Close(close)))
                }
            },
            ToDirectory::Seek { key, outlet } => {
                let page = self.registry.find(&key).map(address);
                outlet.send(Outbound::Notice(ToSession::PageLost(page)));
            }
            ToDirectory::Gone { key, session, departure } => {
                self.send(&key, ToPage::Input(Input::SocketClosed { session, departure }));
            }
            ToDirectory::TakeLeave { key, id, token } => {
                self.send(&key, ToPage::Input(Input::LeaveWithoutSocket { id, token }));
            }
            ToDirectory::Idle { key, incarnation, joins_seen, announced } => {
                if self.state.retire(&key, incarnation, joins_seen, announced) {
                    self.send(&key, ToPage::Retire);
                    self.registry.forget(&key);
                }
            }
            ToDirectory::Stopped { key, incarnation, handover, outlets, awaited } => {
                let succession = self.state.stopped(
                    self.shared.clock.now(),
                    &key,
                    incarnation,
                    handover.announced_epoch,
                );
                self.succeed(&key, succession, *handover, &outlets, awaited, ctx);
            }
            ToDirectory::Announced { .. } => {}
            ToDirectory::Drain { connections } => self.drain(connections, ctx),
        }
        self.shared.metrics.pages.set(i64::try_from(self.registry.count()).unwrap_or(i64::MAX));
    }
}

// A question to a page is sent in the handler: before the order to stop that a page without members
// may be given next.

impl Handler<IdsOf> for PageDirectory {
    type Result = ResponseFuture<Result<Gathered<Vec<PeerId>>, Dying>>;

    fn handle(&mut self, IdsOf(key): IdsOf, _: &mut Self::Context) -> Self::Result {
        let answer = self.registry.find(&key).map(|Home::Here(page)| page.send(Ids));
        Box::pin(async move {
            match answer {
                Some(answer) => answer.await.unwrap_or(Err(Dying)).map(Gathered::whole),
                None => Ok(Gathered::whole(Vec::new())),
            }
        })
    }
}

impl Handler<KickFrom> for PageDirectory {
    type Result = ResponseFuture<Result<Gathered<bool>, Dying>>;

    fn handle(&mut self, KickFrom { key, id }: KickFrom, _: &mut Self::Context) -> Self::Result {
        let answer = self.registry.find(&key).map(|Home::Here(page)| page.send(Kick(id)));
        Box::pin(async move {
            match answer {
                Some(answer) => answer.await.unwrap_or(Err(Dying)).map(Gathered::whole),
                None => Ok(Gathered::whole(false)),
            }
        })
    }
}

impl Handler<SummariseAll> for PageDirectory {
    type Result = ResponseFuture<Result<Gathered<Vec<Summary>>, Dying>>;

    fn handle(&mut self, _: SummariseAll, _: &mut Self::Context) -> Self::Result {
        let pages = self.registry.pages();
        let answers: Vec<_> =
            pages.iter().map(|(_, Home::Here(page))| page.send(Summarise)).collect();
        Box::pin(async move {
            let answers =
                join_all(answers).await.into_iter().map(|answer| answer.unwrap_or(Err(Dying)));
            let answers: Vec<_> = answers.collect::<Result<_, _>>()?;
            let mut all: Vec<_> = answers.into_iter().flatten().collect();
            all.sort_by(|a: &Summary, b| a.page.cmp(&b.page));
            Ok(Gathered::whole(all))
        })
    }
}

#[cfg(feature = "faults")]
impl Handler<super::message::Fault> for PageDirectory {
    type Result = bool;

    fn handle(&mut self, fault: super::message::Fault, _: &mut Self::Context) -> bool {
        let super::message::Fault { key, message } = fault;
        self.send(&key, message);
        self.registry.find(&key).is_some()
    }
}
