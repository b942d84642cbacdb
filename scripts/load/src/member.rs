//! A well-behaved group member, like the browser library: it answers probes, sends heartbeats and
//! returns with its claim.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::backoff::{Backoff, is_terminal};
use crate::frame::{self, Frame};
use crate::ledger::Ledger;
use crate::socket::{Route, Socket};
use crate::words::{self, Assigned, Message, Restart};

const CONNECT: Duration = Duration::from_secs(10);
const LAST_WORDS: Duration = Duration::from_secs(2);

/// State that all members of a run share.
#[derive(Debug)]
pub struct World {
    /// Address of the server.
    pub server: Cell<SocketAddr>,
    /// Checks of what members are told.
    pub ledger: Ledger,
}

/// The assignment that a member was last told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Epoch of the host's term.
    pub epoch: u64,
    /// The host, or the host that a recovering page waits for. If that host returns, the server
    /// announces nothing.
    pub host: Box<str>,
}

/// A member as others see it.
#[derive(Debug)]
pub struct Seat {
    /// Number of its page, which is called `p{page}`.
    pub page: usize,
    /// Id of the member.
    pub id: Box<str>,
    /// Number from which its source address follows.
    pub number: usize,
    /// Whether it is in.
    pub up: Cell<bool>,
    /// When it last got in.
    pub opened: Cell<Option<Instant>>,
    /// Number of times it got in.
    pub opens: Cell<usize>,
    /// Number of its dials.
    pub dials: Cell<usize>,
    /// Number of its sockets that have ended.
    pub ends: Cell<usize>,
    /// When its socket last ended. Its page may hear of that later.
    pub lost: Cell<Option<Instant>>,
    /// Number of the node on which its present or last socket is, if a balancer said it.
    pub node: Cell<Option<usize>>,
    /// The assignment that it was last told.
    pub told: RefCell<Option<Told>>,
}

impl Seat {
    /// Returns a member that has not dialled yet.
    #[must_use]
    pub fn new(page: usize, id: &str, number: usize) -> Rc<Self> {
        Rc::new(Self {
            page,
            id: id.into(),
            number,
            up: Cell::default(),
            opened: Cell::default(),
            opens: Cell::default(),
            dials: Cell::default(),
            ends: Cell::default(),
            lost: Cell::default(),
            node: Cell::default(),
            told: RefCell::default(),
        })
    }

    /// Returns whether it hosts, as far as it was told.
    #[must_use]
    pub fn hosts(&self) -> bool {
        self.told.borrow().as_ref().is_some_and(|told| told.host == self.id)
    }
}

/// An order of the scenario to a member.
#[derive(Debug)]
pub enum Order {
    /// Leave for good, with a LEAVE.
    Leave,
    /// Lose the socket (RST) and return.
    Lose,
    /// Send this text to the server.
    Say(String),
}

/// Activity of a member beyond its presence.
pub trait Role {
    /// Handles the OPEN of a new socket.
    fn opened(&mut self, _out: &mut Vec<u8>) {}
    /// Handles a message that concerns no assignment.
    fn said(&mut self, _message: &Message<'_>, _out: &mut Vec<u8>) {}
    /// Returns when `act` is wanted next, while the member is in.
    fn due(&self) -> Option<Instant> {
        None
    }
    /// Acts at the time that `due` named.
    fn act(&mut self, _out: &mut Vec<u8>) {}
}

/// A member that only stays.
#[derive(Debug)]
pub struct Idle;

impl Role for Idle {}

enum End {
    Left,
    Lost(u16),
}

/// Runs one member until it leaves or is closed for good.
pub async fn live(
    world: Rc<World>,
    me: Rc<Seat>,
    mut role: impl Role,
    seed: u64,
    mut orders: UnboundedReceiver<Order>,
) {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut backoff = Backoff::default();
    loop {
        world.ledger.comes(&me);
        let end = connection(&world, &me, &mut role, &mut backoff, &mut orders).await;
        me.up.set(false);
        me.ends.set(me.ends.get() + 1);
        me.lost.set(Some(Instant::now()));
        world.ledger.goes(&me);
        let code = match end {
            Ok(End::Left) => return,
            Ok(End::Lost(code)) => code,
            Err(_) => 1006,
        };
        world.ledger.closed(code);
        if is_terminal(code) {
            return world
                .ledger
                .fault(format!("page {}: {} was sent away with {code}", me.page, me.id));
        }
        let back = Instant::now() + backoff.wait(code, &mut random);
        loop {
            tokio::select! {
                () = sleep_until(back) => break,
                order = orders.recv() => match order {
                    Some(Order::Leave) | None => return,
                    Some(Order::Lose | Order::Say(_)) => {}
                },
            }
        }
    }
}

/// Runs one socket of a member.
async fn connection(
    world: &World,
    me: &Seat,
    role: &mut impl Role,
    backoff: &mut Backoff,
    orders: &mut UnboundedReceiver<Order>,
) -> io::Result<End> {
    me.dials.set(me.dials.get() + 1);
    let claim = me.told.borrow().clone();
    let address = words::address(
        &format!("p{}", me.page),
        &me.id,
        claim.as_ref().map(|told| (told.epoch, &*told.host)),
    );
    let dial = timeout(CONNECT, Socket::open(Route::nth(world.server.get(), me.number), &address));
    let mut socket = dial.await.map_err(io::Error::from)??;
    me.node.set(socket.node);
    let mut ear = Ear {
        world,
        me,
        role,
        backoff,
        ping: Duration::from_secs(5),
        heard: Instant::now(),
        end: None,
    };
    let mut beat = ear.heard + CONNECT;
    let mut alarm = std::pin::pin!(sleep(CONNECT));
    loop {
        let due = ear.role.due().filter(|_| me.up.get()).unwrap_or(beat).min(beat);
        if alarm.deadline() != due {
            alarm.as_mut().reset(due);
        }
        tokio::select! {
            ready = socket.ready() => {
                ready?;
                let (opens, open) = (me.opens.get(), socket.read(|frame, out| ear.hear(frame, out))?);
                if let Some(code) = ear.end {
                    return Ok(End::Lost(code));
                }
                if !open {
                    return Ok(End::Lost(1006));
                }
                if me.opens.get() > opens {
                    beat = Instant::now() + ear.ping;
                }
            }
            () = &mut alarm => {
                let now = Instant::now();
                if now >= beat {
                    if ear.heard + 2 * ear.ping < now || !me.up.get() {
                        return Ok(End::Lost(1006)); // the socket is dead: nothing was heard for two pings
                    }
                    frame::push(&mut socket.out, frame::TEXT, br#"{"type":"HEARTBEAT"}"#);
                    beat = now + ear.ping;
                }
                if me.up.get() && ear.role.due().is_some_and(|due| now >= due) {
                    ear.role.act(&mut socket.out);
                }
                socket.flush()?;
            }
            order = orders.recv() => match order {
                Some(Order::Say(text)) => {
                    frame::push(&mut socket.out, frame::TEXT, text.as_bytes());
                    socket.flush()?;
                }
                Some(Order::Lose) => {
                    socket.reset();
                    return Ok(End::Lost(1006));
                }
                Some(Order::Leave) | None => {
                    frame::push(&mut socket.out, frame::TEXT, br#"{"type":"LEAVE"}"#);
                    frame::push(&mut socket.out, frame::CLOSE, &1000_u16.to_be_bytes());
                    socket.finish(LAST_WORDS).await;
                    return Ok(End::Left);
                }
            },
        }
    }
}

/// Reads what arrives on one socket.
struct Ear<'a, R> {
    world: &'a World,
    me: &'a Seat,
    role: &'a mut R,
    backoff: &'a mut Backoff,
    ping: Duration,
    heard: Instant,
    end: Option<u16>,
}

impl<R: Role> Ear<'_, R> {
    fn hear(&mut self, frame: Frame<'_>, out: &mut Vec<u8>) {
        self.heard = Instant::now();
        match frame.opcode {
            frame::TEXT => {
                let Ok(message) = Message::parse(frame.body) else {
                    return self
                        .fault(format!("no message: {}", String::from_utf8_lossy(frame.body)));
                };
                self.told(&message, out);
            }
            frame::PING => frame::push(out, frame::PONG, frame.body),
            frame::CLOSE => self.end = Some(frame.close_code()),
            other => self.fault(format!("a frame with opcode {other}")),
        }
    }

    fn told(&mut self, message: &Message<'_>, out: &mut Vec<u8>) {
        let me = self.me;
        match message.r#type {
            "OPEN" | "HOST" => {
                let Ok(now) = message.read::<Assigned>() else {
                    return self.fault(format!("{} says {:?}", message.r#type, message.payload));
                };
                self.world.ledger.told(me, &now);
                self.ping = now.ping_ms.map_or(self.ping, Duration::from_millis);
                *me.told.borrow_mut() = Some(Told { epoch: now.epoch, host: now.host });
                if message.r#type == "OPEN" {
                    self.world.ledger.joined();
                    me.up.set(true);
                    me.opens.set(me.opens.get() + 1);
                    me.opened.set(Some(self.heard));
                    self.backoff.reset();
                    self.role.opened(out);
                }
            }
            "PROBE" => frame::push(out, frame::TEXT, br#"{"type":"PROBE"}"#),
            "RESTART" => {
                self.backoff.retry_ms = message.read::<Restart>().ok().map(|said| said.retry_ms)
            }
            "HEARTBEAT" | "ERROR" => {}
            _ => self.role.said(message, out),
        }
    }

    fn fault(&self, what: String) {
        self.world.ledger.fault(format!("page {}: {} was sent {what}", self.me.page, self.me.id));
    }
}
