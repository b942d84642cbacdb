//! Keeps a node's two connections to Redis, for ever: one for commands, and one that is subscribed
//! to the node's inbox.
//!
//! A connection serves when Redis was found fit, has the script, and a word that was published into
//! the inbox came out of it. It is dropped after a broken connection, an answer that does not come in
//! time, and errors that say that this Redis is not the one to talk to. Another attempt follows
//! after pauses that grow. What was under way meanwhile has an unknown outcome.
//!
//! A message is told by the connection itself, so it never waits for a call. Each renewal checks the
//! inbox: Redis publishes a tick into it. If the tick does not come, the inbox's connection alone is
//! made anew.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use peerstar_core::cluster::NodeId;
use peerstar_core::cluster::registry::{Call, Reply};
use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::address::Address;
use super::connections::{Connections, Inbox, OnMessage, Pushed, connect, load, random_word};
use super::dial::{self, Patience, Refusal};
use super::publisher::{self, Publisher};
use super::registry_script::{Names, Words, command, reply};

/// Errors that say that this Redis is not the one to talk to, or not any more.
const DROPS: [&str; 7] =
    ["READONLY", "LOADING", "MASTERDOWN", "NOAUTH", "UNBLOCKED", "NOREPLICAS", "MISCONF"];

/// How long the supervisor waits for what.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Time for an answer, before the connection is dropped.
    pub answer: Duration,
    /// Time for each step of making a connection.
    pub dial: Duration,
    /// Time for the tick of a renewal, before the inbox's connection is made anew.
    pub tick: Duration,
    /// Before the second attempt to connect. The pause doubles.
    pub least_pause: Duration,
    /// Longest pause between two attempts.
    pub most_pause: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(2),
            dial: Duration::from_secs(1),
            tick: Duration::from_secs(1),
            least_pause: Duration::from_millis(50),
            most_pause: Duration::from_secs(2),
        }
    }
}

/// Why there is no answer to a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// The call was not sent: there is no connection.
    #[error("there is no connection to Redis")]
    NotSent,
    /// The call may have been carried out or not, or may still be.
    #[error("the connection to Redis was lost before the answer")]
    Unknown,
    /// Redis answered with an error: there is no room, or the user may not do that. Nothing was
    /// changed, unless another program wrote into the keys of the cluster.
    #[error("Redis refuses a call: {0}")]
    Refused(String),
    /// Nothing that the script says. Nothing is known of what was changed.
    #[error("{0}")]
    Senseless(String),
}

/// An event that the supervisor reports. Events come from its own thread, one at a time.
#[derive(Debug)]
pub enum Event {
    /// There is a connection that serves. With what the operator should know.
    Connected(Option<String>),
    /// An attempt to connect failed. Another one follows.
    Refused(Refusal),
    /// The connection was dropped. All calls under way were told `Unknown` before.
    Lost(Refusal),
    /// The inbox was subscribed to anew, and messages may have been missed.
    Resubscribed,
    /// The answer to the call with this number.
    Answered(u64, Result<Reply, Unanswered>),
    /// A message from the inbox, which may come before `Connected`.
    Inbox(Vec<u8>),
    /// The tick of the renewal with this counter, from the inbox.
    Tick(u64),
}

enum Command {
    Call(u64, Call),
    Become(NodeId),
    Reconnect,
}

/// Sends calls and messages to Redis, from any thread. When the last clone is dropped, the
/// supervisor ends.
#[derive(Debug, Clone)]
pub struct Handle {
    commands: mpsc::UnboundedSender<Command>,
    publisher: Publisher,
}

impl Handle {
    /// Carries out a call. [`Event::Answered`] with this number follows, whatever happens.
    pub fn call(&self, number: u64, call: Call) {
        // the supervisor ends only after all handles
        let _ = self.commands.send(Command::Call(number, call));
    }

    /// Publishes a message in the inbox of a node. Messages to one node stay in order. A message is
    /// lost if there is no connection. Returns whether there was room for it.
    pub fn publish(&self, to: NodeId, bytes: Vec<u8>) -> bool {
        self.publisher.publish(to, bytes)
    }

    /// Takes another node's number, and its inbox. [`Event::Resubscribed`] follows, or
    /// [`Event::Connected`].
    pub fn become_node(&self, node: NodeId) {
        let _ = self.commands.send(Command::Become(node));
    }

    /// Drops the connection, and dials anew at once.
    pub fn reconnect(&self) {
        let _ = self.commands.send(Command::Reconnect);
    }
}

/// Starts the supervisor on a thread of its own. `tell` is called there and should be fast.
///
/// # Errors
/// When the system gives no thread or no poller.
pub fn start(
    address: Address,
    node: NodeId,
    timing: Timing,
    tell: impl Fn(Event) + Send + Sync + 'static,
) -> std::io::Result<Handle> {
    start_beside(address, node, timing, |_| std::future::ready(()), tell)
}

/// Starts the supervisor like [`start`]. What `beside` returns runs on its thread as well.
///
/// # Errors
/// When the system gives no thread or no poller.
pub fn start_beside<B: Future<Output = ()> + Send + 'static>(
    address: Address,
    node: NodeId,
    timing: Timing,
    beside: impl FnOnce(Handle) -> B,
    tell: impl Fn(Event) + Send + Sync + 'static,
) -> std::io::Result<Handle> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (commands, calls) = mpsc::unbounded_channel();
    let names = Names::new(&address.prefix);
    let (serving, served) = watch::channel(None);
    let (publisher, publishing) = publisher::new(names.clone(), served);
    let supervisor =
        Supervisor { address, names, node, timing, tell: Arc::new(tell), commands: calls, serving };
    let handle = Handle { commands, publisher };
    let beside = beside(handle.clone());
    std::thread::Builder::new().name("redis".to_owned()).spawn(move || {
        // of all features of rustls, the redis crate uses what the process has by default
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        runtime.block_on(async {
            tokio::spawn(publishing);
            tokio::spawn(beside);
            supervisor.run().await;
        });
    })?;
    Ok(handle)
}

type Tell = Arc<dyn Fn(Event) + Send + Sync>;
type Answers = FuturesUnordered<Pin<Box<dyn Future<Output = Answer> + Send>>>;

/// How a call ended.
struct Answer {
    number: u64,
    result: Result<Reply, Unanswered>,
    /// Why the connection is to be dropped.
    drops: Option<Refusal>,
}

struct Supervisor {
    address: Address,
    names: Names,
    node: NodeId,
    timing: Timing,
    tell: Tell,
    commands: mpsc::UnboundedReceiver<Command>,
    serving: watch::Sender<Option<MultiplexedConnection>>,
}

/// All handles are gone.
struct Over;

impl Supervisor {
    async fn run(mut self) {
        let mut pause = self.timing.least_pause;
        loop {
            let attempt = connect(
                self.address.clone(),
                self.names.clone(),
                self.node,
                Patience(self.timing.dial),
                self.on_message(),
            );
            let node = self.node;
            let Ok(attempt) = self.refuse_during(attempt).await else { return };
            match attempt {
                Err(refusal) => (self.tell)(Event::Refused(refusal)),
                Ok(_) if self.node != node => continue,
                Ok(mut connections) => {
                    pause = self.timing.least_pause;
                    self.serving.send_replace(Some(connections.commands.clone()));
                    (self.tell)(Event::Connected(connections.warning.take()));
                    let lost = self.serve(connections).await;
                    self.serving.send_replace(None);
                    match lost {
                        Ok(refusal) => (self.tell)(Event::Lost(refusal)),
                        Err(Over) => return,
                    }
                }
            }
            if self.refuse_during(sleep(pause)).await.is_err() {
                return;
            }
            pause = (pause * 2).min(self.timing.most_pause);
        }
    }

    /// Waits for something, and answers calls meanwhile that there is no connection.
    async fn refuse_during<T>(&mut self, something: impl Future<Output = T>) -> Result<T, Over> {
        tokio::pin!(something);
        loop {
            tokio::select! {
                done = &mut something => return Ok(done),
                command = self.commands.recv() => match command.ok_or(Over)? {
                    Command::Call(number, _) => {
                        (self.tell)(Event::Answered(number, Err(Unanswered::NotSent)));
                    }
                    Command::Become(node) => self.node = node,
                    Command::Reconnect => {}
                },
            }
        }
    }

    /// Serves until the connection is to be dropped. Returns why.
    async fn serve(&mut self, mut connections: Connections) -> Result<Refusal, Over> {
        let mut answers = Answers::new();
        let mut numbers = VecDeque::new();
        let mut inbox = InboxState::Subscribed;
        // the last tick that came
        let mut ticked = 0;
        let reason = loop {
            tokio::select! {
                command = self.commands.recv() => match command.ok_or(Over)? {
                    Command::Call(number, call) => {
                        numbers.push_back(number);
                        answers.push(self.ask(&connections, number, &call));
                    }
                    Command::Reconnect => {
                        break Refusal::Unreachable("a new connection is wanted".to_owned());
                    }
                    Command::Become(node) => {
                        self.node = node;
                        inbox = self.resubscribe(&connections);
                    }
                },
                Some(answer) = answers.next() => {
                    numbers.retain(|number| *number != answer.number);
                    if let Ok(Reply::Renewed { counter, .. }) = answer.result
                        && counter != ticked && matches!(inbox, InboxState::Subscribed)
                    {
                        inbox = InboxState::Awaits { counter, until: Instant::now() + self.timing.tick };
                    }
                    (self.tell)(Event::Answered(answer.number, answer.result));
                    if let Some(reason) = answer.drops {
                        break reason;
                    }
                }
                Some(pushed) = connections.pushed.recv() => match pushed {
                    Pushed::CommandsEnded => {
                        break Refusal::Unreachable("the connection ended".to_owned());
                    }
                    Pushed::InboxEnded if matches!(inbox, InboxState::Resubscribes(_)) => {}
                    Pushed::InboxEnded => inbox = self.resubscribe(&connections),
                    Pushed::Tick(counter) => {
                        (self.tell)(Event::Tick(counter));
                        ticked = counter;
                        if matches!(inbox, InboxState::Awaits { counter: awaited, .. } if counter >= awaited) {
                            inbox = InboxState::Subscribed;
                        }
                    }
                    Pushed::Probe(_) => {}
                },
                done = inbox.next() => {
                    let Some(fresh) = done else {
                        inbox = self.resubscribe(&connections);
                        continue;
                    };
                    connections.inbox = fresh;
                    inbox = InboxState::Subscribed;
                    (self.tell)(Event::Resubscribed);
                }
            }
        };
        for number in numbers {
            (self.tell)(Event::Answered(number, Err(Unanswered::Unknown)));
        }
        Ok(reason)
    }

    /// Makes the inbox's connection anew, for as long as it takes.
    fn resubscribe(&self, connections: &Connections) -> InboxState {
        let inbox = Inbox {
            address: self.address.clone(),
            channel: self.names.inbox(self.node),
            patience: Patience(self.timing.dial),
            on_message: self.on_message(),
            pushes: connections.pushes.clone(),
        };
        let Timing { least_pause, most_pause, .. } = self.timing;
        InboxState::Resubscribes(Box::pin(async move {
            let mut pause = least_pause;
            loop {
                if let Ok(fresh) = inbox.subscribe().await {
                    return fresh;
                }
                sleep(pause).await;
                pause = (pause * 2).min(most_pause);
            }
        }))
    }

    fn on_message(&self) -> OnMessage {
        let tell = Arc::clone(&self.tell);
        Arc::new(move |bytes| tell(Event::Inbox(bytes)))
    }

    fn ask(
        &self,
        connections: &Connections,
        number: u64,
        call: &Call,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        let words = Words {
            digest: connections.digest.clone(),
            fresh: random_word(),
            connection: connections.name.clone(),
        };
        let command = command(call, &self.names, &words);
        let (mut connection, names) = (connections.commands.clone(), self.names.clone());
        let limit = self.timing.answer;
        Box::pin(async move {
            let asked = async {
                let answer: Result<Value, RedisError> = command.query_async(&mut connection).await;
                match answer {
                    Err(error) if is_script_missing(&error) => {
                        load(&mut connection).await?;
                        command.query_async(&mut connection).await
                    }
                    answer => answer,
                }
            };
            let (result, drops) = match timeout(limit, asked).await {
                Err(_) => (Err(Unanswered::Unknown), Some(Refusal::Silent(limit))),
                // not an answer of the server
                Ok(Err(error)) if error.code().is_none() => {
                    (Err(Unanswered::Unknown), Some(error.into()))
                }
                Ok(Err(error)) => {
                    let drops = drops(&error);
                    let refused = Unanswered::Refused(dial::said(&error));
                    (Err(refused), drops.then(|| error.into()))
                }
                Ok(Ok(value)) => {
                    let said = reply(value, &names);
                    (said.map_err(|bad| Unanswered::Senseless(bad.to_string())), None)
                }
            };
            Answer { number, result, drops }
        })
    }
}

/// The state of the inbox's connection.
enum InboxState {
    Subscribed,
    /// A renewal was answered, and its tick has not come.
    Awaits {
        counter: u64,
        until: Instant,
    },
    Resubscribes(Pin<Box<dyn Future<Output = MultiplexedConnection> + Send>>),
}

impl InboxState {
    /// Waits for what is next: a new connection, or nothing when a tick has not come in time.
    async fn next(&mut self) -> Option<MultiplexedConnection> {
        match self {
            Self::Subscribed => std::future::pending().await,
            Self::Awaits { until, .. } => {
                sleep_until(*until).await;
                None
            }
            Self::Resubscribes(fresh) => Some(fresh.await),
        }
    }
}

fn is_script_missing(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// Redis 6.2 wraps an error of a script's command in another one.
fn drops(error: &RedisError) -> bool {
    let code = error.code().unwrap_or_default();
    let text = error.detail().unwrap_or_default();
    DROPS.iter().any(|name| code == *name || text.contains(&format!("-{name} ")))
}
