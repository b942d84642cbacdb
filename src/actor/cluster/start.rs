//! Starts a node: its directory, its bus, and the connection to Redis.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::{Actor, Addr, Arbiter, AsyncContext};
use actix_web::web::Bytes;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::bus::Bus;
use super::inbox::{Inbox, Waiting};
use super::message::ToNode;
use super::node::{Keeper, NodeDirectory};
use super::other_node::OtherNodes;
use super::tables::Tables;
use crate::actor::registry::ThisProcess;
use crate::cluster::address::Address;
use crate::cluster::agreement;
use crate::cluster::seal::{Keys, Purpose, Seal};
use crate::cluster::supervisor::{self, Event, Handle, Timing, Unanswered};
use crate::settings::limit;
use crate::shared::Shared;
use peerstar_core::cluster::NodeId;
use peerstar_core::cluster::bag;
use peerstar_core::cluster::io::{CallId, KeeperInput};
use peerstar_core::cluster::node::NodeRules;
use peerstar_core::cluster::registry::Call;

/// Longest time after which the bus looks at the links.
const REST: Duration = Duration::from_secs(1);
/// Number of bytes behind the text of a sealed message.
const TAG: usize = 16;

/// The seal of the node that this process is now.
struct CurrentSeal {
    keys: Keys,
    seal: Mutex<Arc<Seal>>,
}

impl CurrentSeal {
    fn new(secret: &str, node: NodeId) -> io::Result<Self> {
        let keys = Keys::new(secret);
        let seal = keys.seal(Purpose::Link, node).map_err(io::Error::other)?;
        Ok(Self { keys, seal: Mutex::new(Arc::new(seal)) })
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Seal>> {
        self.seal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self) -> Arc<Seal> {
        Arc::clone(&self.lock())
    }

    fn set(&self, node: NodeId) {
        if let Ok(seal) = self.keys.seal(Purpose::Link, node) {
            *self.lock() = Arc::new(seal);
        }
    }
}

/// The keeper that asks Redis.
struct RedisKeeper {
    handle: Handle,
    seal: Arc<CurrentSeal>,
}

impl Keeper for RedisKeeper {
    fn call(&self, id: CallId, call: Call) {
        self.handle.call(id.0, call);
    }

    fn reconnect(&self) {
        self.handle.reconnect();
    }

    fn identity(&self, node: NodeId) {
        self.seal.set(node);
        self.handle.become_node(node);
    }
}

/// The keeper of a process that has no thread for a connection. It never becomes ready.
struct NoKeeper;

impl Keeper for NoKeeper {
    fn call(&self, _: CallId, _: Call) {}

    fn reconnect(&self) {}

    fn identity(&self, _: NodeId) {}
}

/// Starts the directory of a node, on a thread of its own, and `threads` threads for pages. Must run
/// inside an actix `System`.
///
/// # Errors
/// When the system gives no random numbers.
pub fn start(
    shared: &Arc<Shared>,
    address: Address,
    threads: usize,
) -> io::Result<Addr<NodeDirectory>> {
    let node = NodeId(rand::random::<u64>().max(1));
    let seal = Arc::new(CurrentSeal::new(shared.settings.cluster.secret.expose(), node)?);
    let settings = agreement::fingerprint(&shared.settings).map_err(io::Error::other)?;
    let (shared, pages) = (Arc::clone(shared), ThisProcess::start(threads));
    let thread = Arbiter::new().handle();
    let kept = thread.clone();
    Ok(NodeDirectory::start_in_arbiter(&thread, move |ctx| {
        let due = Arc::new(Notify::new());
        let wake = Arc::clone(&due);
        let others = OtherNodes::new(shared.clock, Arc::new(move || wake.notify_one()));
        let tables = Tables {
            others: Arc::new(others),
            branches: Arc::default(),
            visitors: Arc::default(),
            waiting: Waiting::default(),
        };
        let inbox = Inbox::new(ctx.address().recipient(), tables.waiting.clone());
        let bus = Arc::new(Bus::new(tables.clone(), inbox));
        let keeper = keeper(address, node, bus, Arc::clone(&shared), due, seal);
        let max_pages = limit(shared.settings.pages.max);
        let address = &shared.settings.cluster.address;
        let address = (!address.is_empty()).then(|| address.as_str().into());
        let rules = NodeRules { version: bag::VERSION.into(), max_pages, settings, address };
        NodeDirectory::new(shared, node, rules, pages, keeper, tables, kept)
    }))
}

fn keeper(
    address: Address,
    node: NodeId,
    bus: Arc<Bus>,
    shared: Arc<Shared>,
    due: Arc<Notify>,
    seal: Arc<CurrentSeal>,
) -> Box<dyn Keeper> {
    let (publishing, sealing) = (Arc::clone(&bus), Arc::clone(&seal));
    let publishing_shared = Arc::clone(&shared);
    let beside = move |handle| publish(publishing, publishing_shared, due, sealing, handle);
    let opening = Arc::clone(&seal);
    let telling = Arc::clone(&shared);
    let tell = move |event| handle_event(&bus, &opening, &telling, event);
    match supervisor::start_beside(address, node, Timing::default(), beside, tell) {
        Ok(handle) => Box::new(RedisKeeper { handle, seal }),
        Err(error) => {
            log::error!(error:%; "there is no thread for the connection to Redis");
            Box::new(NoKeeper)
        }
    }
}

/// Publishes what links have to send, for ever.
async fn publish(
    bus: Arc<Bus>,
    shared: Arc<Shared>,
    due: Arc<Notify>,
    seal: Arc<CurrentSeal>,
    handle: Handle,
) {
    let (mut bag, metrics) = (Vec::new(), &shared.metrics.cluster);
    loop {
        let seal = seal.get();
        let next = bus.run(&mut bag, |to, bag| match seal.seal(to, bag) {
            // links send again what is not published
            Ok(sealed) => {
                metrics.bags.inc();
                metrics.bag_bytes.inc_by(sealed.len() as u64);
                handle.publish(to, sealed);
            }
            Err(_) => log::error!("a bag cannot be sealed"),
        });
        // the clock counts whole milliseconds: without one more the alarm may be early
        let rest = next.map_or(REST, |at| at.since(shared.clock.now()) + Duration::from_millis(1));
        tokio::select! {
            () = due.notified() => {}
            () = sleep(rest.min(REST)) => {}
        }
    }
}

/// Handles what the connection to Redis tells. Runs on its thread.
fn handle_event(bus: &Bus, seal: &CurrentSeal, shared: &Shared, event: Event) {
    let input = match event {
        Event::Inbox(message) => return open(bus, &seal.get(), shared, message),
        Event::Connected(warning) => {
            log::info!("connected to Redis");
            if let Some(warning) = warning {
                log::warn!(warning; "Redis serves, but not as it should");
            }
            bus.reconnected();
            KeeperInput::Connected
        }
        Event::Refused(refusal)
            if refusal.is_final() && !shared.is_ready.load(Ordering::Acquire) =>
        {
            let _ = shared.hopeless.set(refusal.to_string());
            shared.stops_hopeless.cancel();
            return;
        }
        Event::Refused(refusal) => {
            log::warn!(error:% = refusal; "no connection to Redis; trying again");
            KeeperInput::DialFailed
        }
        Event::Lost(refusal) => {
            log::warn!(error:% = refusal; "the connection to Redis was lost");
            KeeperInput::Disconnected
        }
        Event::Answered(number, Ok(reply)) => KeeperInput::Replied(CallId(number), reply),
        // the connection is or will be lost, and with it all calls
        Event::Answered(_, Err(Unanswered::NotSent | Unanswered::Unknown)) => return,
        Event::Answered(number, Err(error)) => {
            log::warn!(error:%; "Redis does not answer a call");
            KeeperInput::Refused(CallId(number))
        }
        Event::Resubscribed => return bus.reconnected(),
        Event::Tick(_) => return,
    };
    bus.tell(ToNode::Keeper(input));
}

fn open(bus: &Bus, seal: &Seal, shared: &Shared, mut message: Vec<u8>) {
    match seal.open(&mut message) {
        Ok((from, text)) => {
            let length = text.len();
            let end = message.len() - TAG;
            if !bus.receive(from, Bytes::from(message).slice(end - length..end)) {
                shared.metrics.cluster.refused.inc();
            }
        }
        Err(error) => {
            shared.metrics.cluster.refused.inc();
            log::debug!(error:%; "a message between nodes was not opened");
        }
    }
}
