//! The supervisor: creates pages, retires them, makes them anew when their actor dies, and is told of every disconnect.
//!
//! Only it knows where a page lives.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Arbiter, AsyncContext, Context, Handler, ResponseFuture};
use futures_util::future::join_all;

use super::message::{
    Dying, Ids, IdsOf, Kick, KickFrom, Summarise, SummariseAll, Summary, ToDirectory, ToPage,
    ToSession,
};
use super::page::Page;
use super::writer::{Batch, Outbound, Outlet};
use crate::settings::limit;
use crate::shared::Shared;
use peerstar_core::directory::{DirectoryState, Incarnation, JoinDecision, Succession};
use peerstar_core::page::{Handover, Input};
use peerstar_core::protocol::id::{PageKey, PeerId, SessionId};

/// Over how long a drain tells its pages, at most.
const LONGEST_SPREAD: Duration = Duration::from_secs(3);

/// The actor that owns all pages.
pub struct PageDirectory {
    shared: Arc<Shared>,
    state: DirectoryState,
    pages: HashMap<PageKey, Addr<Page>>,
    /// The threads that pages live on; a page stays on one, so its messages keep their order.
    arbiters: Vec<Arbiter>,
}

impl PageDirectory {
    /// No pages yet, and `threads` (at least one) for them to live on. The directory is on the first: every coming and going
    /// takes both, and to another thread is a long way.
    #[must_use]
    pub fn start_with_pages(shared: Arc<Shared>, threads: usize) -> Addr<Self> {
        let state = DirectoryState::new(limit(shared.settings.pages.max));
        let arbiters: Vec<_> = (0..threads.max(1)).map(|_| Arbiter::new()).collect();
        let first = arbiters[0].handle();
        Self::start_in_arbiter(&first, move |_| Self {
            shared,
            state,
            pages: HashMap::new(),
            arbiters,
        })
    }

    /// Starts the actor of a page. `awaited` are the sessions that an earlier actor of the page had.
    fn create(
        &mut self,
        key: &PageKey,
        incarnation: Incarnation,
        estate: Handover,
        awaited: HashSet<SessionId>,
        ctx: &Context<Self>,
    ) -> Addr<Page> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let arbiter = &self.arbiters[(hasher.finish() % self.arbiters.len() as u64) as usize];
        let (name, shared, directory) = (key.clone(), Arc::clone(&self.shared), ctx.address());
        let page = Page::start_in_arbiter(&arbiter.handle(), move |_| {
            Page::new(name, incarnation, estate, awaited, shared, directory)
        });
        self.pages.insert(key.clone(), page.clone());
        page
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a page does little for one message, and never waits"
    )]
    fn tell(&self, key: &PageKey, message: ToPage) {
        if let Some(page) = self.pages.get(key) {
            page.do_send(message);
        }
    }

    fn succeed(
        &mut self,
        key: &PageKey,
        succession: Succession,
        estate: Handover,
        lines: &[Outlet],
        mut awaited: HashSet<SessionId>,
        ctx: &Context<Self>,
    ) {
        let mut bags = Batch::default();
        match succession {
            Succession::Expected => return,
            Succession::Recreate(incarnation) => {
                self.shared.metrics.page_restarts.inc();
                log::error!(
                    page = key.name(), sessions = lines.len();
                    "page actor died and is started again"
                );
                awaited.extend(lines.iter().map(|line| line.session));
                let successor = self.create(key, incarnation, estate, awaited, ctx);
                let note = || ToSession::PageLost(Some(successor.clone().recipient()));
                lines.iter().for_each(|line| bags.put(line, Outbound::Notice(note())));
            }
            Succession::Abandon(close) => {
                log::error!(
                    page = key.name(), sessions = lines.len(), close = close.name();
                    "page actor died too often and is given up"
                );
                self.pages.remove(key);
                lines
                    .iter()
                    .for_each(|line| bags.put(line, Outbound::Notice(ToSession::Close(close))));
            }
        }
        bags.send();
    }

    /// Tells one page after the other, so that not all clients come back in the same moment.
    fn drain(&mut self, ctx: &mut Context<Self>) {
        self.state.drain();
        let sockets = self.shared.admission.connections();
        let spread = LONGEST_SPREAD
            .min(Duration::from_millis(5) * u32::try_from(sockets).unwrap_or(u32::MAX));
        let pages = u32::try_from(self.pages.len()).unwrap_or(u32::MAX);
        for (n, key) in (0_u32..).zip(self.pages.keys().cloned().collect::<Vec<_>>()) {
            ctx.run_later(spread * n / pages, move |directory, _| {
                directory.tell(&key, ToPage::Input(Input::Drain));
            });
        }
    }
}

impl Actor for PageDirectory {
    type Context = Context<Self>;
}

impl Handler<ToDirectory> for PageDirectory {
    type Result = ();

    fn handle(&mut self, message: ToDirectory, ctx: &mut Self::Context) {
        match message {
            ToDirectory::Join { key, joiner, line } => match self.state.join(&key) {
                JoinDecision::PassOn { incarnation, create } => {
                    if create {
                        let told = self.state.announced_epoch();
                        self.create(&key, incarnation, Handover::above(told), HashSet::new(), ctx);
                    }
                    self.tell(&key, ToPage::Join { joiner, line });
                }
                JoinDecision::Refuse(close) => line.send(Outbound::Notice(ToSession::Close(close))),
            },
            ToDirectory::Seek { key, line } => {
                let page = self.pages.get(&key).cloned();
                line.send(Outbound::Notice(ToSession::PageLost(page.map(Addr::recipient))));
            }
            ToDirectory::Gone { key, session, departure } => {
                self.tell(&key, ToPage::Input(Input::SocketClosed { session, departure }));
            }
            ToDirectory::TakeLeave { key, id, token } => {
                self.tell(&key, ToPage::Input(Input::LeaveWithoutSocket { id, token }));
            }
            ToDirectory::Idle { key, incarnation, joins_seen, told } => {
                if self.state.retire(&key, incarnation, joins_seen, told) {
                    self.tell(&key, ToPage::Retire);
                    self.pages.remove(&key);
                }
            }
            ToDirectory::Stopped { key, incarnation, estate, lines, awaited } => {
                let succession = self.state.stopped(
                    self.shared.clock.now(),
                    &key,
                    incarnation,
                    estate.announced_epoch,
                );
                self.succeed(&key, succession, *estate, &lines, awaited, ctx);
            }
            ToDirectory::Drain => self.drain(ctx),
        }
        self.shared.metrics.pages.set(i64::try_from(self.pages.len()).unwrap_or(i64::MAX));
    }
}

// What is asked of a page is sent at once: before the order to stop that a page without members may be given next.

impl Handler<IdsOf> for PageDirectory {
    type Result = ResponseFuture<Result<Vec<PeerId>, Dying>>;

    fn handle(&mut self, IdsOf(key): IdsOf, _: &mut Self::Context) -> Self::Result {
        let asked = self.pages.get(&key).map(|page| page.send(Ids));
        Box::pin(async move {
            match asked {
                Some(answer) => answer.await.unwrap_or(Err(Dying)),
                None => Ok(Vec::new()),
            }
        })
    }
}

impl Handler<KickFrom> for PageDirectory {
    type Result = ResponseFuture<Result<bool, Dying>>;

    fn handle(&mut self, KickFrom { key, id }: KickFrom, _: &mut Self::Context) -> Self::Result {
        let asked = self.pages.get(&key).map(|page| page.send(Kick(id)));
        Box::pin(async move {
            match asked {
                Some(answer) => answer.await.unwrap_or(Err(Dying)),
                None => Ok(false),
            }
        })
    }
}

impl Handler<SummariseAll> for PageDirectory {
    type Result = ResponseFuture<Result<Vec<Summary>, Dying>>;

    fn handle(&mut self, _: SummariseAll, _: &mut Self::Context) -> Self::Result {
        let asked: Vec<_> = self.pages.values().map(|page| page.send(Summarise)).collect();
        Box::pin(async move {
            let answers =
                join_all(asked).await.into_iter().map(|answer| answer.unwrap_or(Err(Dying)));
            let answers: Vec<_> = answers.collect::<Result<_, _>>()?;
            let mut all: Vec<_> = answers.into_iter().flatten().collect();
            all.sort_by(|a: &Summary, b| a.page.cmp(&b.page));
            Ok(all)
        })
    }
}

#[cfg(feature = "faults")]
impl Handler<super::message::FailPage> for PageDirectory {
    type Result = bool;

    fn handle(
        &mut self,
        super::message::FailPage(key): super::message::FailPage,
        _: &mut Self::Context,
    ) -> bool {
        self.tell(&key, ToPage::Fail);
        self.pages.contains_key(&key)
    }
}
