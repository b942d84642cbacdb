//! The two connections of a node: one for commands, and one that is subscribed to its inbox.

use peerstar_core::cluster::NodeId;
use redis::aio::MultiplexedConnection;
use redis::{PushInfo, PushKind, RedisError, Value};
use tokio::sync::mpsc;

use super::address::Address;
use super::dial::{self, Patience, Refusal};
use super::registry_script::{Names, SOURCE};

/// Begins the word that a new connection publishes into its own inbox.
const PROBE: &[u8] = b"probe ";
/// Begins what a renewal publishes into the inbox of its node. The counter follows.
const TICK: &[u8] = b"tick ";

/// A push message of one of the two connections.
#[derive(Debug)]
pub enum Pushed {
    /// The connection for commands ended.
    CommandsEnded,
    /// The inbox's connection ended.
    InboxEnded,
    /// The tick of the renewal with this counter, from the inbox.
    Tick(u64),
    /// The word of a new connection, from the inbox.
    Probe(Vec<u8>),
}

/// Called for each message in the inbox, by the connection itself.
pub type OnMessage = std::sync::Arc<dyn Fn(Vec<u8>) + Send + Sync>;

/// Where an inbox is, and to whom its content goes.
#[derive(Clone)]
pub struct Inbox {
    /// The Redis.
    pub address: Address,
    /// The channel.
    pub channel: String,
    /// How long each step of subscribing may take.
    pub patience: Patience,
    /// Gets the messages.
    pub on_message: OnMessage,
    /// Gets everything else.
    pub pushes: mpsc::UnboundedSender<Pushed>,
}

impl Inbox {
    /// Makes a connection that is subscribed. It ends when it is dropped.
    ///
    /// # Errors
    /// When the connection cannot be made, or the subscription is refused.
    pub async fn subscribe(&self) -> Result<MultiplexedConnection, Refusal> {
        let (on_message, pushes) = (self.on_message.clone(), self.pushes.clone());
        let pushed = move |info| match hear(info) {
            Some(Heard::Message(bytes)) => on_message(bytes),
            // the supervisor may have given this connection up already
            Some(Heard::Pushed(pushed)) => drop(pushes.send(pushed)),
            None => {}
        };
        let mut inbox = dial::connect(&self.address, self.patience, pushed).await?;
        self.patience.wait(inbox.subscribe(&self.channel)).await?;
        Ok(inbox)
    }
}

enum Heard {
    Message(Vec<u8>),
    Pushed(Pushed),
}

fn hear(info: PushInfo) -> Option<Heard> {
    if info.kind == PushKind::Disconnection {
        return Some(Heard::Pushed(Pushed::InboxEnded));
    }
    if info.kind != PushKind::Message {
        return None;
    }
    let Some(Value::BulkString(bytes)) = info.data.into_iter().nth(1) else { return None };
    if bytes.starts_with(PROBE) {
        return Some(Heard::Pushed(Pushed::Probe(bytes)));
    }
    if let Some(counter) = bytes.strip_prefix(TICK) {
        let counter = std::str::from_utf8(counter).ok()?.parse().ok()?;
        return Some(Heard::Pushed(Pushed::Tick(counter)));
    }
    Some(Heard::Message(bytes))
}

/// Both connections, as long as they serve.
pub struct Connections {
    /// The connection for commands.
    pub commands: MultiplexedConnection,
    /// Subscribed to the inbox.
    pub inbox: MultiplexedConnection,
    /// The push messages of both.
    pub pushed: mpsc::UnboundedReceiver<Pushed>,
    /// Given to a connection that takes the place of the inbox's.
    pub pushes: mpsc::UnboundedSender<Pushed>,
    /// Digest of the script.
    pub digest: String,
    /// Stands for the run of the server where `INFO` is forbidden.
    pub name: String,
    /// A warning for the operator.
    pub warning: Option<String>,
}

/// Connects, checks, loads the script, subscribes, and waits for a word through the inbox.
///
/// # Errors
/// When one of these fails, or takes too long.
pub async fn connect(
    address: Address,
    names: Names,
    node: NodeId,
    patience: Patience,
    on_message: OnMessage,
) -> Result<Connections, Refusal> {
    let (pushes, mut pushed) = mpsc::unbounded_channel();
    let ended = pushes.clone();
    let mut commands = dial::connect(&address, patience, move |info| {
        if info.kind == PushKind::Disconnection {
            let _ = ended.send(Pushed::CommandsEnded);
        }
    })
    .await?;
    dial::check(&mut commands, patience).await?;
    let warning = dial::warning(&mut commands, patience).await;
    let digest = patience.wait(load(&mut commands)).await?;
    let channel = names.inbox(node);
    let name = random_word();
    let probe = [PROBE, name.as_bytes()].concat();
    let publish = redis::cmd("PUBLISH").arg(&channel).arg(&probe).to_owned();
    let inbox = Inbox { address, channel, patience, on_message, pushes: pushes.clone() };
    let inbox = inbox.subscribe().await?;
    let () = patience.ask(&mut commands, &publish).await?;
    let heard = async {
        loop {
            match pushed.recv().await {
                Some(Pushed::Probe(word)) if word == probe => return Ok(()),
                Some(Pushed::CommandsEnded | Pushed::InboxEnded) | None => {
                    return Err(Refusal::Unreachable("the connection ended".to_owned()));
                }
                Some(Pushed::Probe(_) | Pushed::Tick(_)) => {}
            }
        }
    };
    patience.wait(heard).await?;
    Ok(Connections { commands, inbox, pushed, pushes, digest, name, warning })
}

/// Loads the script. Returns its digest.
///
/// # Errors
/// When Redis refuses it.
pub async fn load(connection: &mut MultiplexedConnection) -> Result<String, RedisError> {
    redis::cmd("SCRIPT").arg("LOAD").arg(SOURCE).query_async(connection).await
}

/// Returns a random text.
#[must_use]
pub fn random_word() -> String {
    format!("{:016x}", rand::random::<u64>())
}
