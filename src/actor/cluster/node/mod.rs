//! The directory of a node: does what [`NodeState`] decides.
//!
//! Joins and departures pass through it, those of this node's sessions and those of other nodes'
//! sessions for pages here. It starts and stops the actors of pages, keeps the branches of pages
//! that live elsewhere, and opens the links to other nodes.

mod elsewhere;
mod living;
mod questions;

use std::collections::{HashMap, HashSet};
use std::hash::RandomState;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::{Actor, Addr, ArbiterHandle, AsyncContext, Context, Handler, SpawnHandle};

use self::questions::Questions;
use super::message::ToNode;
use super::page_route::PageRoute;
use super::tables::Tables;
use super::visitor::PageFence;
use crate::actor::message::{Outbound, Outlet, ToDirectory, ToPage, ToSession};
use crate::actor::page::Page;
use crate::actor::registry::ThisProcess;
use crate::cluster::agreement;
use crate::shared::{Others, Shared};
use peerstar_core::cluster::bag;
use peerstar_core::cluster::branch::BranchInput;
use peerstar_core::cluster::entry::{self, Entry, Join, Place, ToBranch, TokenHash};
use peerstar_core::cluster::fingerprint::Fingerprint;
use peerstar_core::cluster::io::{CallId, Change, Deciding, Env, Input, Joining, Output};
use peerstar_core::cluster::lease::Hold;
use peerstar_core::cluster::node::{NodeRules, NodeState};
use peerstar_core::cluster::registry::Call;
use peerstar_core::cluster::{Fence, Floor, NodeId};
use peerstar_core::directory::Incarnation;
use peerstar_core::page::{self, Handover};
use peerstar_core::protocol::close::Close;
use peerstar_core::protocol::id::{Epoch, PageKey, PeerId, SessionId};
use peerstar_core::time::Time;

/// Interval at which the branches of a node look for silent sessions.
const BRANCH_TICK: Duration = Duration::from_millis(250);
/// Longest time over which a drain tells its pages.
const MAX_DRAIN_SPREAD: Duration = Duration::from_secs(3);
/// Time that a drain takes for each connection, up to [`MAX_DRAIN_SPREAD`].
const DRAIN_SPREAD_A_CONNECTION: Duration = Duration::from_millis(5);

/// The connection to the registry, as the directory uses it. Nothing waits for it.
pub trait Keeper: Send {
    /// Asks the registry. The answer comes as [`ToNode::Keeper`].
    fn call(&self, id: CallId, call: Call);

    /// Drops the connection, and dials anew.
    fn reconnect(&self);

    /// Listens to the inbox of `node`, which this process is from now on.
    fn identity(&self, node: NodeId);
}

/// A request to join, as it waits here.
#[derive(Debug, Clone)]
pub struct Request {
    join: Box<Join>,
    /// How to reach the session, if it is one of this node.
    outlet: Option<Outlet>,
}

/// A session of this node.
struct Local {
    id: PeerId,
    outlet: Outlet,
    /// The highest fence in which a page of another node, or of this one, has let it in.
    bound: Fence,
    /// The session's join, until a page of another node has let it in.
    asks: Option<Joining<Request>>,
}

/// A page that lives here.
struct Here {
    actor: Addr<Page>,
    incarnation: Incarnation,
    fence: PageFence,
    routes: HashMap<NodeId, Arc<PageRoute>>,
}

/// The handover and the sessions of a page's actor that has stopped.
struct Left {
    handover: Box<Handover>,
    outlets: Vec<Outlet>,
    awaited: HashSet<SessionId>,
}

/// The actor that drives a [`NodeState`].
pub struct NodeDirectory {
    shared: Arc<Shared>,
    settings: Fingerprint,
    state: NodeState<Request>,
    keeper: Box<dyn Keeper>,
    tables: Tables,
    /// The thread of this actor, which ends with the last handle.
    _thread: ArbiterHandle,
    pages: HashMap<PageKey, Here>,
    /// Threads for pages.
    registry: ThisProcess,
    locals: HashMap<SessionId, Local>,
    /// The page whose actor has stopped in this step.
    left: Option<(PageKey, Left)>,
    timer: Option<(Time, SpawnHandle)>,
    outputs: Vec<Output<Request>>,
    has_settled: bool,
    has_slot: bool,
    questions: Questions,
    /// The second in which pages last compared their members with other nodes.
    compared: u64,
    /// Spreads pages over the seconds of a minute.
    hasher: RandomState,
}

impl NodeDirectory {
    /// Returns the directory of a process that starts as `node`, with threads for pages.
    #[must_use]
    pub fn new(
        shared: Arc<Shared>,
        node: NodeId,
        rules: NodeRules,
        registry: ThisProcess,
        keeper: Box<dyn Keeper>,
        tables: Tables,
        thread: ArbiterHandle,
    ) -> Self {
        shared.deciding.set(Deciding::No);
        let now = shared.clock.now();
        let env = Env { now, random: rand::random(), epoch: Epoch::default() };
        Self {
            settings: rules.settings,
            state: NodeState::new(node, rules, env),
            shared,
            keeper,
            tables,
            _thread: thread,
            pages: HashMap::new(),
            registry,
            locals: HashMap::new(),
            left: None,
            timer: None,
            outputs: Vec::new(),
            has_settled: false,
            has_slot: false,
            questions: Questions::default(),
            compared: 0,
            hasher: RandomState::new(),
        }
    }

    /// Hands one input to the state, performs all outputs, and arms the timer.
    fn step(&mut self, input: Input<Request>, ctx: &mut Context<Self>) {
        let now = self.shared.clock.now();
        let epoch = Epoch(self.shared.epochs.read(now).now_ms());
        let env = Env { now, random: rand::random(), epoch };
        let mut outputs = std::mem::take(&mut self.outputs);
        self.state.handle(env, input, &mut outputs);
        outputs.drain(..).for_each(|output| self.perform(output, ctx));
        self.outputs = outputs;
        self.rearm(ctx);
        let pages = i64::try_from(self.pages.len()).unwrap_or(i64::MAX);
        self.shared.metrics.pages.set(pages);
    }

    fn rearm(&mut self, ctx: &mut Context<Self>) {
        let Some(at) = self.state.next_deadline().map(|deadline| deadline.at) else { return };
        if self.timer.is_some_and(|(armed, _)| armed <= at) {
            return;
        }
        if let Some((_, later)) = self.timer.take() {
            ctx.cancel_future(later);
        }
        // the clock counts whole milliseconds: without one more the timer may be early
        let delay = at.since(self.shared.clock.now()) + Duration::from_millis(1);
        let timer = ctx.run_later(delay, |node, ctx| {
            node.timer = None;
            node.step(Input::Timer, ctx);
        });
        self.timer = Some((at, timer));
    }

    fn perform(&mut self, output: Output<Request>, ctx: &mut Context<Self>) {
        match output {
            Output::Call(id, call) => self.keeper.call(id, call),
            Output::Reconnect => self.keeper.reconnect(),
            Output::Identity(node) => {
                self.tables.others.clear();
                self.tables.visitors.clear();
                self.pages.values_mut().for_each(|here| here.routes.clear());
                self.keeper.identity(node);
            }
            Output::Slot(slot) => {
                self.shared.epochs.set_slot(slot);
                self.has_slot = slot.is_some();
                self.look_whether_ready();
            }
            Output::Epoch(epoch) => self.shared.epochs.note_cluster(epoch),
            Output::Deciding(deciding) => self.shared.deciding.set(deciding),
            Output::Create { page, incarnation, fence, announced, claim } => {
                if claim.is_some() {
                    self.shared.metrics.cluster.take_overs.inc();
                }
                let mut handover = Handover::above(announced);
                handover.claim = claim;
                if let Some(branch) = self.tables.branches.get(&page) {
                    branch.hand_over(&mut handover);
                }
                self.create(&page, incarnation, fence, handover, HashSet::new(), ctx);
            }
            Output::Recreate { page, incarnation, fence } => {
                self.recreate(&page, incarnation, fence, ctx);
            }
            Output::Retire { page, incarnation } => {
                self.stop(&page, incarnation, ToPage::Retire);
            }
            Output::Abandon { page } => self.abandon(&page),
            Output::DrainPage { page, incarnation } => {
                self.stop(&page, incarnation, ToPage::DrainHere);
            }
            Output::Yield { page, incarnation, was_alone } => {
                self.stop(&page, incarnation, ToPage::Yield { was_alone });
            }
            Output::Fence { page, fence } => {
                if let Some(here) = self.pages.get(&page) {
                    here.fence.set(fence);
                }
            }
            Output::Alone { page, alone } => {
                self.tell_page(&page, ToPage::Input(page::Input::Alone(alone)));
            }
            Output::Adrift { page } => self.step_branch(&page, BranchInput::Lost),
            Output::Forget { page } => self.tables.branches.remove(&page),
            Output::Locate { page, at, sessions } => self.locate(&page, at, sessions, ctx),
            Output::Tell { session, page, at } => {
                let address = self.address(&page, at, ctx);
                self.lose_page(session, address);
            }
            Output::Admit { page, joining, from } => self.admit(&page, joining, from),
            Output::Depart { page, session, departure } => {
                self.tables.visitors.remove(session);
                let input = page::Input::SocketClosed { session, departure };
                self.tell_page(&page, ToPage::Input(input));
            }
            Output::PassJoin { to, page, joining } => self.pass_join(to, page, joining, ctx),
            Output::PassDeparture { to: _, page, session, departure } => {
                self.step_branch(&page, BranchInput::SocketClosed { session, departure });
                if let Some(branch) = self.tables.branches.get(&page) {
                    branch.unbind(session);
                }
            }
            Output::ReturnJoin { to, page, joining } => {
                let place = Place { page, fence: joining.bound };
                let word = ToBranch::JoinReturned(joining.session);
                self.tables.others.say(to, &Entry::ToBranch(place, word));
            }
            Output::TellLeft { to, page, left } => {
                let place = Place { page, fence: left.fence };
                self.tables.others.say(to, &Entry::ToBranch(place, ToBranch::PageLost(None)));
            }
            Output::Close { session, close } => {
                if let Some(local) = self.locals.get(&session) {
                    local.outlet.send(Outbound::Notice(ToSession::Close(close)));
                }
            }
            Output::OpenLink(node) => self.tables.others.open(self.state.node(), node),
            Output::CloseLink(node) => self.close_link(node),
            Output::Changed(change) => self.changed(change),
            Output::Drained => self.shared.drained.cancel(),
        }
    }

    /// A node is ready when it is in the cluster and has a share of the epochs, and stays ready.
    fn look_whether_ready(&self) {
        if self.has_settled && self.has_slot {
            self.shared.is_ready.store(true, Ordering::Release);
        }
    }

    /// Shows HTTP how the cluster is.
    fn show(&self, now: Time) {
        let has_redis = matches!(self.state.hold(now), Hold::Sure(_));
        self.shared.cluster.has_redis.store(has_redis, Ordering::Release);
        if has_redis {
            let (count, addresses) = (self.state.others().count(), self.state.others());
            let addresses = addresses.filter_map(|(_, address)| address.cloned()).collect();
            self.shared.cluster.set_others(Others { count, addresses });
        }
    }

    fn measure(&self, now: Time) {
        let metrics = &self.shared.metrics.cluster;
        let (mut links, mut down, mut waiting, mut dropped) = (0, 0, 0, 0);
        for other in self.tables.others.all() {
            let (is_down, bytes, relays) = other.look();
            links += 1;
            down += i64::from(is_down);
            waiting += i64::try_from(bytes).unwrap_or(i64::MAX);
            dropped += i64::try_from(relays).unwrap_or(i64::MAX);
        }
        metrics.lease_left.set(self.shared.deciding.left_ms(now));
        let different = i64::try_from(self.state.different_nodes()).unwrap_or(i64::MAX);
        metrics.different_nodes.set(different);
        metrics.inbox.set(i64::try_from(self.tables.waiting.get()).unwrap_or(i64::MAX));
        metrics.links.set(links);
        metrics.links_down.set(down);
        metrics.waiting_bytes.set(waiting);
        metrics.relays_dropped.set(dropped);
    }

    /// Begins to leave the cluster. Sessions on pages of other nodes are asked to come back one
    /// branch after the other, so that not all return in the same moment. The pages here are given
    /// up first, and then stop at once: their next life may begin on another node.
    fn drain(&mut self, connections: usize, ctx: &mut Context<Self>) {
        let connections = u32::try_from(connections).unwrap_or(u32::MAX);
        let spread = MAX_DRAIN_SPREAD.min(DRAIN_SPREAD_A_CONNECTION * connections);
        let branches = self.tables.branches.all();
        let count = u32::try_from(branches.len()).unwrap_or(u32::MAX);
        for (n, branch) in (0_u32..).zip(branches) {
            ctx.run_later(spread * n / count, move |_, _| branch.close_all(Close::Restart));
        }
        self.step(Input::Drain, ctx);
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "others are only logged")]
    fn changed(&mut self, change: Change) {
        log_change(self.state.node(), self.settings, change);
        match change {
            Change::Settled => {
                self.has_settled = true;
                self.look_whether_ready();
            }
            Change::Buried { .. } => drop(self.shared.metrics.cluster.burials.inc()),
            _ => {}
        }
    }
}

fn log_change(node: NodeId, settings: Fingerprint, change: Change) {
    match change {
        Change::Settled => log::info!(node:%; "node is in the cluster"),
        Change::Asserting => {
            log::info!(node:%; "registry has begun anew: node says which pages it has")
        }
        Change::Unsure => log::info!(node:%; "lease was not renewed in time: pages wait"),
        Change::Unreachable => log::info!(node:%; "registry cannot be reached: pages go on alone"),
        Change::Buried { was } => {
            log::info!(node:%, was:%; "node was taken for dead, and goes on as another")
        }
        Change::Abandoned => log::info!(node:%; "half of the nodes have gone: pages go on alone"),
        Change::Rejoined => log::info!(node:%; "nodes are back"),
        Change::Lost(other) => log::info!(node:%, other:%; "another node has gone"),
        Change::Ahead { ahead_ms } => log::error!(
            node:%, ahead_ms;
            "the clock is more than 5 min ahead of all other nodes: this node is not let in until \
             that is mended"
        ),
        Change::OtherVersion { node: other, version } => log::warn!(
            node:%, other:%, version, own_version = bag::VERSION;
            "another node speaks another version: its pages cannot be joined here"
        ),
        Change::OtherSettings { node: other, settings: theirs } => log::warn!(
            node:%, other:%, settings = agreement::differences(settings, theirs);
            "another node has other settings: members see those of either"
        ),
        Change::Draining => log::info!(node:%; "node gives its pages up"),
    }
}

impl Actor for NodeDirectory {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.rearm(ctx);
        self.tick_branches(ctx);
    }
}

impl Handler<ToDirectory> for NodeDirectory {
    type Result = ();

    fn handle(&mut self, message: ToDirectory, ctx: &mut Self::Context) {
        match message {
            ToDirectory::Join { key, request, outlet } => {
                let session = request.session;
                let id = request.id.clone();
                let new = Local { id, outlet: outlet.clone(), bound: Fence::default(), asks: None };
                let bound = self.locals.entry(session).or_insert(new).bound;
                let proof = request.token.as_ref().and_then(TokenHash::of_token);
                let join = Join { request: *request, proof, seat: None, contacts: Vec::new() };
                let joining = joining(bound, Box::new(join), Some(outlet));
                self.step(Input::Join { page: key, joining }, ctx);
            }
            ToDirectory::Seek { key, outlet } => {
                self.step(Input::Seek { page: key, session: outlet.session }, ctx);
            }
            ToDirectory::Gone { key, session, departure } => {
                self.locals.remove(&session);
                self.step(Input::Departed { page: key, session, departure }, ctx);
            }
            ToDirectory::TakeLeave { key, id, token } => {
                if self.pages.contains_key(&key) {
                    let input = page::Input::LeaveWithoutSocket { id, token };
                    self.tell_page(&key, ToPage::Input(input));
                } else if let (Some(branch), Some(proof)) =
                    (self.tables.branches.get(&key), TokenHash::of_token(&token))
                {
                    branch.step(BranchInput::Said(entry::ToPage::LeaveWithoutSocket { id, proof }));
                }
            }
            ToDirectory::Idle { key, incarnation, joins_seen, announced } => {
                let input = Input::Idle { page: key, incarnation, joins_seen, announced };
                self.step(input, ctx);
            }
            ToDirectory::Stopped { key, incarnation, handover, outlets, awaited } => {
                let announced = handover.announced_epoch;
                let left = Left { handover, outlets, awaited };
                self.left = Some((key.clone(), left));
                self.step(Input::Stopped { page: key, incarnation, announced }, ctx);
                self.left = None;
            }
            ToDirectory::Announced { key, claim, is_local } => {
                self.step(Input::Announced { page: key, claim, is_local }, ctx);
            }
            ToDirectory::Drain { connections } => self.drain(connections, ctx),
        }
    }
}

/// Returns a session that wants to be on a page. `outlet` is that of a session of this node.
fn joining(bound: Fence, join: Box<Join>, outlet: Option<Outlet>) -> Joining<Request> {
    let (session, resumes) = (join.request.session, join.request.resumed.is_some());
    Joining { session, bound, resumes, request: Request { join, outlet } }
}

impl Handler<ToNode> for NodeDirectory {
    type Result = ();

    fn handle(&mut self, message: ToNode, ctx: &mut Self::Context) {
        self.tables.waiting.taken();
        match message {
            ToNode::Keeper(input) => self.step(Input::Keeper(input), ctx),
            ToNode::Stranger(node) => self.step(Input::Stranger(node), ctx),
            ToNode::Link { node, is_up } => {
                self.link_changed(node, is_up);
                self.step(Input::Link { node, is_up }, ctx);
            }
            ToNode::Join { from, place, join } => {
                let joining = joining(place.fence, join, None);
                self.step(Input::JoinFrom { node: from, page: place.page, joining }, ctx);
            }
            ToNode::ToPage { from, place, word } => self.hear(from, place, word, ctx),
            ToNode::Fenced { node, page, fence } => {
                self.step(Input::Fenced { node, page, fence }, ctx);
            }
            ToNode::Joined { place, session } => self.joined(&place, session, ctx),
            ToNode::Returned { from, place, session } => {
                self.returned(from, &place, session, ctx);
            }
            ToNode::PageLeft { from, page, fence } => {
                let left = Floor { fence, epoch: Epoch::default() };
                self.step(Input::PageLeft { node: from, page, left }, ctx);
            }
            ToNode::Announced { page, claim, is_local } => {
                self.step(Input::Announced { page, claim, is_local }, ctx);
            }
            ToNode::Question { from, number, question } => {
                self.answer(from, number, question, ctx);
            }
            ToNode::Answer { from, number, answer } => {
                self.questions.answered(from, number, answer);
            }
        }
    }
}
