//! Rules that every kind of outlet keeps, checked with real sockets: this process's writer, the
//! in-memory link, and the link between nodes with its bags.

use std::cell::RefCell;
use std::collections::HashMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{self, Poll};
use std::time::Duration;

use actix::fut::ActorFuture;
use actix::{Actor, Addr, AsyncContext, Context, Handler};
use actix_web::rt::net::TcpStream;
use actix_web::web::Bytes;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;

use super::cluster::branch::Branch;
use super::cluster::bus::Bus;
use super::cluster::inbox::{Inbox, Waiting};
use super::cluster::message::ToNode;
use super::cluster::other_node::OtherNodes;
use super::cluster::page_route::PageRoute;
use super::cluster::tables::Tables;
use super::cluster::visitor::{PageFence, Visitor};
use super::memory_link::{FarEnd, MemoryLink};
use super::message::{
    Batch, Outbound, Outlet, PageAddress, RoutingTable, ThreadSockets, ToDirectory, ToPage,
    ToSession,
};
use super::outbound::{Judged, NoRoom};
use super::outlet::Link;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::transport::connection::Stream;
use crate::transport::counters::SessionCounters;
use crate::transport::socket::Socket;
use crate::transport::upgrade::Upgraded;
use peerstar_core::cluster::branch::BranchInput;
use peerstar_core::cluster::entry::{Join, Place};
use peerstar_core::cluster::{Fence, NodeId};
use peerstar_core::frame::reader::Opcode;
use peerstar_core::page::Input;
use peerstar_core::page::member::{Departure, JoinRequest, Rights, Status, Way};
use peerstar_core::protocol::claim::Claim;
use peerstar_core::protocol::close::Close;
use peerstar_core::protocol::id::{Capabilities, Epoch, PageKey, PeerId, SessionId};
use peerstar_core::protocol::outgoing::Frame;
use peerstar_core::time::Time;

/// Bytes that the far end of the link takes for one session before the link has to wait.
const FAR_WINDOW: usize = 64 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Writer,
    Link,
    /// By a page's route, a link, bags, and the branch on another node.
    Nodes,
}

/// A session that answers every notice with a frame that describes it.
struct Recorder {
    socket: Rc<RefCell<Socket>>,
}

struct FlushSocket;

impl ActorFuture<Recorder> for FlushSocket {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        recorder: &mut Recorder,
        _: &mut Context<Recorder>,
        cx: &mut task::Context<'_>,
    ) -> Poll<()> {
        let _ = recorder.socket.borrow_mut().poll_flush(cx);
        Poll::Pending
    }
}

impl Actor for Recorder {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.spawn(FlushSocket);
    }
}

impl Handler<ToSession> for Recorder {
    type Result = ();

    fn handle(&mut self, notice: ToSession, _: &mut Self::Context) {
        let text = match notice {
            ToSession::Joined { page, claim, .. } => {
                format!("joined page={} claim={claim:?}", page.runs())
            }
            ToSession::Hosts(claim) => format!("hosts claim={claim:?}"),
            ToSession::Ping => "ping".into(),
            ToSession::Close(close) => format!("close {}", close.name()),
            ToSession::PageLost(page) => {
                format!("page lost, successor={}", page.is_some_and(|page| page.runs()))
            }
        };
        self.socket.borrow_mut().answer(Opcode::Text, text);
    }
}

/// A page that does nothing: only its address is used.
struct IdlePage;

impl Actor for IdlePage {
    type Context = Context<Self>;
}

impl Handler<ToPage> for IdlePage {
    type Result = ();

    fn handle(&mut self, _: ToPage, _: &mut Self::Context) {}
}

/// The node at the far end: its sessions' outlets, and its address of the page.
struct FarNode {
    outlets: Mutex<HashMap<SessionId, Outlet>>,
    page: PageAddress,
    routing: Arc<RoutingTable>,
}

impl FarNode {
    fn outlet(&self, session: SessionId) -> Option<Outlet> {
        self.outlets.lock().unwrap_or_else(PoisonError::into_inner).get(&session).cloned()
    }
}

fn encode_claim(claim: Option<&Claim>) -> Vec<u8> {
    claim.map_or_else(Vec::new, |claim| {
        [&claim.epoch.0.to_le_bytes()[..], claim.host.as_str().as_bytes()].concat()
    })
}

fn decode_claim(bytes: &[u8]) -> Option<Claim> {
    let (epoch, host) = bytes.split_first_chunk()?;
    let host = std::str::from_utf8(host).unwrap_or_else(|e| panic!("{e}"));
    let host = PeerId::parse(host).unwrap_or_else(|e| panic!("{e}"));
    Some(Claim { epoch: Epoch(u64::from_le_bytes(*epoch)), host })
}

impl FarEnd<ToSession> for FarNode {
    fn encode(&self, notice: &ToSession) -> Vec<u8> {
        let (tag, body) = match notice {
            ToSession::Joined { claim, .. } => (b'j', encode_claim(claim.as_ref())),
            ToSession::Hosts(claim) => (b'h', encode_claim(Some(claim))),
            ToSession::Ping => (b'p', Vec::new()),
            ToSession::Close(close) => (b'c', close.name().into()),
            ToSession::PageLost(successor) => (b'l', vec![u8::from(successor.is_some())]),
        };
        [&[tag], &*body].concat()
    }

    fn decode(&self, bytes: &[u8]) -> ToSession {
        let page = || self.page.clone();
        match bytes {
            [b'j', claim @ ..] => ToSession::Joined {
                page: page(),
                routing: Arc::clone(&self.routing),
                claim: decode_claim(claim),
                open: None,
            },
            [b'h', claim @ ..] => {
                ToSession::Hosts(decode_claim(claim).unwrap_or_else(|| panic!("no claim")))
            }
            [b'p'] => ToSession::Ping,
            [b'c', name @ ..] => {
                let close = Close::ALL.into_iter().find(|close| close.name().as_bytes() == name);
                ToSession::Close(close.unwrap_or_else(|| panic!("no close")))
            }
            [b'l', has_successor] => ToSession::PageLost((*has_successor == 1).then(page)),
            other => panic!("no notice: {other:?}"),
        }
    }

    fn has_room(&self, session: SessionId) -> bool {
        self.outlet(session).is_none_or(|outlet| outlet.counters.has_room(FAR_WINDOW))
    }

    fn deliver(&self, session: SessionId, item: Outbound) -> Result<(), Outbound> {
        match self.outlet(session) {
            Some(outlet) => outlet.send(item),
            None => return Err(item),
        }
        Ok(())
    }
}

const NEAR: NodeId = NodeId(1);
const FAR: NodeId = NodeId(2);

/// Takes what the actors of this suite say beside the point, and keeps what a page is told.
#[derive(Default)]
struct Sink(Arc<Mutex<Vec<ToPage>>>);

impl Actor for Sink {
    type Context = Context<Self>;
}

impl Handler<ToPage> for Sink {
    type Result = ();

    fn handle(&mut self, message: ToPage, _: &mut Self::Context) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(message);
    }
}

impl Handler<ToNode> for Sink {
    type Result = ();

    fn handle(&mut self, _: ToNode, _: &mut Self::Context) {}
}

impl Handler<ToDirectory> for Sink {
    type Result = ();

    fn handle(&mut self, _: ToDirectory, _: &mut Self::Context) {}
}

/// A node with a page, and another one with the sessions of the page.
struct Nodes {
    near: (Tables, Bus),
    far: (Tables, Bus),
    branch: Arc<Branch>,
    route: Arc<PageRoute>,
    fence: PageFence,
    page: Addr<Sink>,
    /// What the page was told.
    told: Arc<Mutex<Vec<ToPage>>>,
}

impl Nodes {
    fn new() -> Self {
        let shared = Shared::new(Settings::default());
        let told = Arc::default();
        let page = Sink(Arc::clone(&told)).start();
        let node = |own, other| {
            let others = Arc::new(OtherNodes::new(shared.clock, Arc::new(|| {})));
            others.open(own, other);
            let tables = Tables {
                others,
                branches: Arc::default(),
                visitors: Arc::default(),
                waiting: Waiting::default(),
            };
            let inbox = Inbox::new(page.clone().recipient(), tables.waiting.clone());
            let bus = Bus::new(tables.clone(), inbox);
            (tables, bus)
        };
        let (near, far) = (node(NEAR, FAR), node(FAR, NEAR));
        let key = PageKey::Pageless;
        let fence = PageFence::new(Fence(7));
        let place = Place { page: key.clone(), fence: Fence(7) };
        let others = Arc::clone(&far.0.others);
        let directory = page.clone().recipient();
        let own = Inbox::new(page.clone().recipient(), far.0.waiting.clone());
        let branch = Arc::new(Branch::new(place, NEAR, shared, others, directory, own));
        far.0.branches.add(Arc::clone(&branch));
        let other = near.0.others.get(FAR).unwrap_or_else(|| panic!("it is open"));
        let visitors = Arc::clone(&near.0.visitors);
        let actor = page.clone().recipient();
        let route = Arc::new(PageRoute::new(key, fence.clone(), actor, other, visitors));
        Self { near, far, branch, route, fence, page, told }
    }

    /// Lets a session of the far node be a member of the page, and returns its outlet there.
    fn admit(&self, session: SessionId, local: Outlet) -> Outlet {
        let id = PeerId::parse(&format!("peer-{}", session.0)).unwrap_or_else(|e| panic!("{e}"));
        let request = JoinRequest {
            session,
            id: id.clone(),
            token: None,
            group: 2,
            can: Capabilities::default(),
            rights: Rights::ALL,
            address: None,
            way: Way::Local,
            claim: None,
            resumed: Some(Status::default()),
        };
        let join = Join { request, proof: None, seat: None, contacts: Vec::new() };
        self.branch.bind(id, local);
        self.branch.step(BranchInput::Join(Box::new(join)));
        let counters = Arc::<SessionCounters>::default();
        let visitor = Visitor {
            node: FAR,
            fence: self.fence.clone(),
            page: self.page.clone().recipient(),
            counters: Arc::clone(&counters),
            routing: None,
        };
        self.near.0.visitors.add(session, visitor);
        Outlet::linked(session, counters, Arc::clone(&self.route) as Arc<dyn Link<ToSession>>)
    }

    /// Carries all bags, both ways.
    fn pump(&self) {
        let mut bag = Vec::new();
        self.near.1.run(&mut bag, |_, bag| {
            self.far.1.receive(NEAR, Bytes::copy_from_slice(bag));
        });
        self.far.1.run(&mut bag, |_, bag| {
            self.near.1.receive(FAR, Bytes::copy_from_slice(bag));
        });
    }
}

/// One client, and the session that serves it.
struct Client {
    session: SessionId,
    outlet: Outlet,
    /// Counters of the socket itself.
    counters: Arc<SessionCounters>,
    received: Rc<RefCell<Vec<u8>>>,
    reads: watch::Sender<bool>,
    recorder: Addr<Recorder>,
}

impl Client {
    /// Returns the texts that have arrived.
    fn texts(&self) -> Vec<String> {
        let received = self.received.borrow();
        let (mut rest, mut texts) = (&received[..], Vec::new());
        while let [_, length, after @ ..] = rest {
            let (length, body) = match length {
                126 => match after.split_first_chunk() {
                    Some((length, body)) => (usize::from(u16::from_be_bytes(*length)), body),
                    None => break,
                },
                127 => panic!("no frame of this test is so long"),
                short => (usize::from(*short), after),
            };
            let Some((text, after)) = body.split_at_checked(length) else { break };
            texts.push(String::from_utf8_lossy(text).into_owned());
            rest = after;
        }
        texts
    }
}

/// A page's view of some sessions, over outlets of one kind.
struct Bench {
    kind: Kind,
    sockets: ThreadSockets,
    far: Arc<FarNode>,
    link: Arc<MemoryLink<ToSession>>,
    page: PageAddress,
    nodes: Nodes,
    next: u64,
}

impl Bench {
    fn new(kind: Kind) -> Self {
        let page = PageAddress::Here(IdlePage.start().recipient());
        let far = Arc::new(FarNode {
            outlets: Mutex::default(),
            page: page.clone(),
            routing: Arc::new(RoutingTable::new(0)),
        });
        let link = MemoryLink::to(Arc::clone(&far) as Arc<dyn FarEnd<ToSession>>);
        let nodes = Nodes::new();
        Self { kind, sockets: ThreadSockets::start(), far, link, page, nodes, next: 0 }
    }

    /// Starts a session. Its client reads all the time, unless `reads` is false.
    async fn client(&mut self, reads: bool) -> Client {
        self.next += 1;
        let session = SessionId(self.next);
        let (stream, client) = connection().await;
        let counters = Arc::<SessionCounters>::default();
        let upgraded =
            Upgraded { stream: Stream::Plain(stream), ahead: Bytes::new(), answer: Bytes::new() };
        let settings = Settings::default();
        let socket = Socket::new(upgraded, Arc::clone(&counters), &settings, Time(0));
        let socket = Rc::new(RefCell::new(socket));
        let recorder = Recorder { socket: Rc::clone(&socket) }.start();
        self.sockets.add(session, socket, recorder.clone().recipient());
        let local = self.sockets.outlet(session, Arc::clone(&counters));
        let outlet = match self.kind {
            Kind::Writer => local,
            Kind::Nodes => {
                let outlet = self.nodes.admit(session, local);
                // the page lets the session in
                let routing = Arc::new(RoutingTable::new(0));
                let joined =
                    ToSession::Joined { page: self.page.clone(), routing, claim: None, open: None };
                outlet.send(Outbound::Notice(joined));
                outlet
            }
            Kind::Link => {
                let mut outlets = self.far.outlets.lock().unwrap_or_else(PoisonError::into_inner);
                outlets.insert(session, local);
                let counters = self.link.counters(session);
                let link = Arc::clone(&self.link) as Arc<dyn Link<ToSession>>;
                Outlet::linked(session, counters, link)
            }
        };
        let (may_read, reading) = watch::channel(true);
        let received = Rc::<RefCell<Vec<u8>>>::default();
        actix_web::rt::spawn(read(client, Rc::clone(&received), reading));
        let client = Client { session, outlet, counters, received, reads: may_read, recorder };
        if self.kind == Kind::Nodes {
            self.until("it is let in", || client.texts().len() == 1).await;
            client.received.borrow_mut().clear();
        }
        let _ = client.reads.send(reads);
        client
    }

    /// Ends the session of a client.
    fn end(&self, client: &Client) {
        self.sockets.remove(client.session);
        let (session, departure) = (client.session, Departure::Lost);
        self.nodes.branch.step(BranchInput::SocketClosed { session, departure });
        self.nodes.branch.unbind(session);
        self.far.outlets.lock().unwrap_or_else(PoisonError::into_inner).remove(&client.session);
    }

    /// Waits until a condition holds.
    async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        for _ in 0..10_000 {
            if holds() {
                return;
            }
            self.link.pump();
            self.nodes.pump();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("{:?}: never: {what}", self.kind);
    }
}

/// Returns a server's stream with a small buffer, and the client's end of it.
async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|e| panic!("{e}"));
    let address = listener.local_addr().unwrap_or_else(|e| panic!("{e}"));
    let client = TcpSocket::new_v4().unwrap_or_else(|e| panic!("{e}"));
    client.set_recv_buffer_size(4096).unwrap_or_else(|e| panic!("{e}"));
    let client = client.connect(address).await.unwrap_or_else(|e| panic!("{e}"));
    let (server, _) = listener.accept().await.unwrap_or_else(|e| panic!("{e}"));
    socket2::SockRef::from(&server)
        .set_send_buffer_size(16 * 1024)
        .unwrap_or_else(|e| panic!("{e}"));
    (server, client)
}

async fn read(
    mut client: TcpStream,
    received: Rc<RefCell<Vec<u8>>>,
    mut may_read: watch::Receiver<bool>,
) {
    let mut bytes = [0; 16 * 1024];
    while may_read.wait_for(|may| *may).await.is_ok() {
        match client.read(&mut bytes).await {
            Ok(length @ 1..) => received.borrow_mut().extend_from_slice(&bytes[..length]),
            Ok(0) | Err(_) => return,
        }
    }
}

/// Runs a test with outlets of each kind.
fn with_each_kind(test: impl AsyncFn(Bench)) {
    for kind in [Kind::Writer, Kind::Link, Kind::Nodes] {
        actix_web::rt::System::new().block_on(async { test(Bench::new(kind)).await });
    }
}

fn frame(text: impl Into<String>) -> Outbound {
    Outbound::Frame(Frame::from(text.into()))
}

fn claim(epoch: u64) -> Claim {
    let host = PeerId::parse("ann").unwrap_or_else(|e| panic!("{e}"));
    Claim { epoch: Epoch(epoch), host }
}

#[test]
fn frames_arrive_in_the_order_in_which_they_were_sent() {
    with_each_kind(async |mut bench: Bench| {
        // over a link between nodes each frame says how much may wait for its receiver
        let kind = bench.kind;
        let frame = |text: String| match kind {
            Kind::Writer | Kind::Link => frame(text),
            Kind::Nodes => {
                let (frame, no_room) = (Frame::from(text), NoRoom::CloseLater);
                Outbound::Judged(Box::new(Judged { frame, no_room, tells: None }))
            }
        };
        let (ann, bob) = (bench.client(true).await, bench.client(true).await);
        ann.outlet.send(frame("0".into()));
        let mut batch = Batch::default();
        for n in 1..3000 {
            batch.put(&ann.outlet, frame(n.to_string()));
            batch.put(&bob.outlet, frame(n.to_string()));
        }
        batch.send();
        ann.outlet.send(frame("3000".into()));
        bench.until("all", || ann.texts().len() == 3001 && bob.texts().len() == 2999).await;
        assert!(
            ann.texts()
                .iter()
                .eq((0..=3000).map(|n: u32| n.to_string()).collect::<Vec<_>>().iter())
        );
        assert!(
            bob.texts().iter().eq((1..3000).map(|n: u32| n.to_string()).collect::<Vec<_>>().iter())
        );
    });
}

#[test]
fn a_notice_is_handled_after_earlier_frames_are_in_the_socket() {
    with_each_kind(async |mut bench: Bench| {
        let ann = bench.client(true).await;
        let mut batch = Batch::default();
        let routing = Arc::new(RoutingTable::new(0));
        let page = bench.page.clone();
        let notices = [
            ToSession::Joined { page: page.clone(), routing, claim: Some(claim(7)), open: None },
            ToSession::Hosts(claim(8)),
            ToSession::Ping,
            ToSession::PageLost(Some(page)),
            ToSession::PageLost(None),
            ToSession::Close(Close::Kicked),
        ];
        let mut expected = vec![
            format!("joined page=true claim={:?}", Some(claim(7))),
            format!("hosts claim={:?}", claim(8)),
            "ping".into(),
            "page lost, successor=true".into(),
            "page lost, successor=false".into(),
            "close kicked".into(),
        ];
        for (n, notice) in notices.into_iter().enumerate() {
            batch.put(&ann.outlet, frame(format!("before {n}")));
            batch.put(&ann.outlet, Outbound::Notice(notice));
        }
        if bench.kind == Kind::Nodes {
            // what a session is told of its host goes with the frame, and a lost page is the matter
            // of the node
            expected.retain(|text| !text.starts_with("hosts") && !text.starts_with("page lost"));
        }
        batch.send();
        bench.until("all", || ann.texts().len() == 6 + expected.len()).await;
        let texts = ann.texts();
        let at = |text: &str| texts.iter().position(|found| found == text);
        let positions: Vec<_> = expected.iter().map(|text| at(text)).collect();
        assert!(positions.iter().all(Option::is_some) && positions.is_sorted(), "{texts:?}");
        for (n, position) in positions.iter().enumerate() {
            assert!(at(&format!("before {n}")) < *position, "{n}: {texts:?}");
        }
    });
}

#[test]
fn nothing_passes_an_urgent_frame_until_it_is_written() {
    with_each_kind(async |mut bench: Bench| {
        let (host, other) = (bench.client(true).await, bench.client(true).await);
        let mut batch = Batch::default();
        batch.put(&other.outlet, frame("before"));
        batch.send_urgent(&host.outlet, Frame::from_static("urgent"), None);
        batch.put(&other.outlet, frame("after"));
        batch.send();
        let (ran, counters) = (Arc::<AtomicBool>::default(), Arc::clone(&host.counters));
        let set = Arc::clone(&ran);
        batch.then(move || set.store(counters.has_room(0), Ordering::Relaxed));
        // over a link between nodes it is enough that the frame is in the link
        let holds_back = bench.kind != Kind::Nodes;
        assert_eq!(batch.holds_back(), holds_back);
        assert_eq!(ran.load(Ordering::Relaxed), !holds_back, "nothing is written yet");
        bench.until("the urgent frame", || host.texts() == ["urgent"]).await;
        bench.until("the rest", || other.texts() == ["before", "after"]).await;
        assert!(ran.load(Ordering::Relaxed), "the action ran after the urgent frame was written");
        batch.put(&other.outlet, frame("later"));
        batch.send();
        assert!(!batch.holds_back());
        bench.until("the last", || other.texts().len() == 3).await;
    });
}

#[test]
fn a_client_that_does_not_read_uses_up_its_room_and_gets_it_back() {
    const ROOM: usize = 256 * 1024;
    with_each_kind(async |mut bench: Bench| {
        let (slow, other) = (bench.client(false).await, bench.client(true).await);
        let text = "x".repeat(16 * 1024);
        if bench.kind == Kind::Nodes {
            let told = Arc::clone(&bench.nodes.told);
            let is_told = || {
                let told = told.lock().unwrap_or_else(PoisonError::into_inner);
                let congested = Input::Congested(slow.session);
                told.iter().any(|message| {
                    let ToPage::FromClient { input, .. } = message else { return false };
                    format!("{input:?}") == format!("{congested:?}")
                })
            };
            for _ in 0..2000 {
                let frame = Frame::from(text.clone());
                let judged = Judged { frame, no_room: NoRoom::Close, tells: None };
                slow.outlet.send(Outbound::Judged(Box::new(judged)));
                bench.nodes.pump();
                tokio::time::sleep(Duration::from_millis(1)).await;
                if is_told() {
                    break;
                }
            }
            assert!(is_told(), "room without end");
            other.outlet.send(frame("hello"));
            bench.until("another session is not held up", || other.texts() == ["hello"]).await;
            return;
        }
        let mut sent = 0;
        while slow.outlet.counters.has_room(ROOM) {
            slow.outlet.send(frame(text.clone()));
            sent += 1;
            assert!(sent < 2000, "{:?}: room without end", bench.kind);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        other.outlet.send(frame("hello"));
        bench.until("another session is not held up", || other.texts() == ["hello"]).await;
        assert!(!slow.outlet.counters.has_room(ROOM), "still");
        let _ = slow.reads.send(true);
        bench.until("all", || slow.texts().len() == sent).await;
        assert!(slow.texts().iter().all(|got| *got == text));
        bench.until("room", || slow.outlet.counters.has_room(0)).await;
    });
}

#[test]
fn items_for_a_session_that_has_gone_are_dropped_and_hold_nothing_back() {
    with_each_kind(async |mut bench: Bench| {
        let (gone, other) = (bench.client(true).await, bench.client(true).await);
        gone.outlet.send(frame("while it is here"));
        bench.until("the first", || gone.texts().len() == 1).await;
        bench.end(&gone);
        let mut batch = Batch::default();
        batch.put(&gone.outlet, frame("too late"));
        batch.put(&gone.outlet, Outbound::Notice(ToSession::Ping));
        batch.send_urgent(&gone.outlet, Frame::from_static("too late"), None);
        batch.put(&other.outlet, frame("after"));
        batch.send();
        bench.until("the other", || other.texts() == ["after"]).await;
        assert!(gone.recorder.connected());
        assert_eq!(gone.texts(), ["while it is here"]);
    });
}

#[test]
fn a_directory_that_is_behind_holds_links_back() {
    with_each_kind(async |mut bench: Bench| {
        let client = bench.client(true).await;
        if bench.kind != Kind::Nodes {
            return;
        }
        let waiting = bench.nodes.far.0.waiting.clone();
        let inbox = Inbox::new(bench.nodes.page.clone().recipient(), waiting.clone());
        while !waiting.is_full() {
            inbox.tell(ToNode::Stranger(NEAR));
        }
        client.outlet.send(frame("hello"));
        for _ in 0..3 {
            bench.nodes.pump();
        }
        let near = bench.nodes.near.0.others.get(FAR).unwrap_or_else(|| panic!("it is open"));
        assert!(near.look().1 > 0, "what is not handled is not acknowledged");
        assert!(client.texts().is_empty());
        (0..10).for_each(|_| waiting.taken());
        bench.until("room", || client.texts() == ["hello"]).await;
    });
}
