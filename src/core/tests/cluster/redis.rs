//! Redis and the ways to it, with all their faults, around the model of the registry.
//!
//! A process has two connections: one for commands, which also publishes, and one for the inbox.
//! Each carries everything in order, or breaks. What a process sends and hears passes through here
//! as [`Event`]s, which the world keeps in its queue.

use std::collections::{BTreeMap, VecDeque};

use peerstar_core::cluster::registry::{Call, RegistryState, Reply};
use peerstar_core::cluster::{Generation, NodeId};

use crate::prng::Prng;
use crate::queue::{MS, Us};
use crate::script::{Line, Name, RedisFault};

/// Number of a process, which is one life of a node.
pub(crate) type Process = usize;

/// One of the two connections of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    Commands,
    Inbox,
}

/// What a process sends to Redis.
#[derive(Debug, Clone)]
pub(crate) enum Request<G> {
    Call { number: u64, call: Call },
    Publish { to: NodeId, bag: G },
}

/// What a process hears.
#[derive(Debug, Clone)]
pub(crate) enum Notice<G> {
    /// A connection stands.
    Up(Channel),
    /// A connection broke, or could not be made.
    Down(Channel),
    Reply {
        number: u64,
        reply: Reply,
    },
    /// The renewing script ran, and published this into the inbox.
    Tick,
    Bag(G),
}

/// What happens at Redis, or on the way from it.
#[derive(Debug)]
pub(crate) enum Event<G> {
    /// A dial arrives.
    Dialled { process: Process, channel: Channel, connection: u64, node: NodeId },
    /// A request arrives.
    Arrives { process: Process, connection: u64, request: Request<G> },
    /// Something arrives at a process. Without a connection it does not depend on one.
    Notified { process: Process, connection: Option<u64>, channel: Channel, notice: Notice<G> },
    /// The replica is to be promoted later: it stops here.
    Snapshot(usize),
    /// Redis goes on.
    PauseOver,
    /// The old master ends.
    SplitOver,
    /// Connections that never answered are reset.
    SwallowOver,
}

/// One connection, as its process sees it.
#[derive(Debug, Default)]
struct Connection {
    /// 0: none.
    number: u64,
    stands: bool,
    /// Which of the copies it reaches.
    copy: usize,
    /// The inbox that is subscribed.
    node: Option<NodeId>,
    /// Until when dials fail.
    cut_until: Us,
    /// Until when nothing passes.
    silent_until: Us,
    /// Arrival of the last thing in each direction, for order.
    last_there: Us,
    last_back: Us,
    swallowed: bool,
}

#[derive(Debug)]
struct Client {
    name: Name,
    commands: Connection,
    inbox: Connection,
    is_dead: bool,
}

impl Client {
    const fn channel(&mut self, channel: Channel) -> &mut Connection {
        match channel {
            Channel::Commands => &mut self.commands,
            Channel::Inbox => &mut self.inbox,
        }
    }
}

/// Redis, its copies, and all connections to it.
#[derive(Debug)]
pub(crate) struct Redis<G> {
    /// The registry, and during a split the old master.
    copies: Vec<RegistryState>,
    /// The nodes that the replica serves during a split.
    moved: Vec<Name>,
    /// What lagging replicas hold, by the step that promotes them.
    replicas: BTreeMap<usize, RegistryState>,
    clients: Vec<Client>,
    connections: u64,
    generations: u64,
    refuses_until: Us,
    hangs_until: Us,
    swallows_until: Us,
    pauses_until: Us,
    /// What came while it stood still, in order.
    held: VecDeque<Event<G>>,
    prng: Prng,
    bag: std::marker::PhantomData<G>,
    /// Number of bags that nobody heard.
    pub(crate) unheard: u64,
}

/// Events with their times, for the queue.
pub(crate) type Later<G> = Vec<(Us, Event<G>)>;

impl<G: Clone> Redis<G> {
    pub(crate) fn new(prng: Prng) -> Self {
        let mut redis = Self {
            copies: Vec::new(),
            moved: Vec::new(),
            replicas: BTreeMap::new(),
            clients: Vec::new(),
            connections: 0,
            generations: 0,
            refuses_until: 0,
            hangs_until: 0,
            swallows_until: 0,
            pauses_until: 0,
            held: VecDeque::new(),
            prng,
            bag: std::marker::PhantomData,
            unheard: 0,
        };
        let first = redis.generation();
        redis.copies.push(RegistryState::empty(first));
        redis
    }

    fn generation(&mut self) -> Generation {
        self.generations += 1;
        Generation(format!("run-{}", self.generations).into())
    }

    /// Returns the memory that stays.
    pub(crate) fn registry(&self) -> &RegistryState {
        &self.copies[0]
    }

    /// Adds a process.
    pub(crate) fn add(&mut self, name: Name) -> Process {
        self.clients.push(Client {
            name,
            commands: Connection::default(),
            inbox: Connection::default(),
            is_dead: false,
        });
        self.clients.len() - 1
    }

    /// Returns how long something is on its way: mostly below a millisecond, now and then long.
    fn delay(&mut self) -> Us {
        if self.prng.percent(2) { self.prng.range(MS, 30 * MS) } else { self.prng.range(50, 700) }
    }

    /// Dials. The answer is a [`Notice::Up`] or [`Notice::Down`], or never comes. The inbox of
    /// `node` is subscribed by the dial itself.
    pub(crate) fn dial(
        &mut self,
        now: Us,
        process: Process,
        channel: Channel,
        node: NodeId,
        later: &mut Later<G>,
    ) {
        self.hang_up(process, channel);
        self.connections += 1;
        let number = self.connections;
        let delay = self.delay();
        let connection = self.clients[process].channel(channel);
        *connection = Connection {
            number,
            cut_until: connection.cut_until,
            silent_until: connection.silent_until,
            ..Connection::default()
        };
        let at = (now + delay).max(connection.silent_until);
        later.push((at, Event::Dialled { process, channel, connection: number, node }));
    }

    /// Gives a connection up. What is on its way may still be executed.
    pub(crate) fn hang_up(&mut self, process: Process, channel: Channel) {
        let client = &mut self.clients[process];
        let connection = client.channel(channel);
        connection.number = 0;
        if std::mem::take(&mut connection.stands)
            && let Some(node) = connection.node.take()
        {
            let copy = connection.copy;
            if let Some(copy) = self.copies.get_mut(copy) {
                copy.set_listening(node, false);
            }
        }
    }

    /// Sends a request. Returns whether there is a connection to send it on.
    pub(crate) fn send(
        &mut self,
        now: Us,
        process: Process,
        request: Request<G>,
        later: &mut Later<G>,
    ) -> bool {
        let delay = self.delay();
        let connection = &mut self.clients[process].commands;
        if !connection.stands {
            return false;
        }
        let at = (now + delay).max(connection.silent_until).max(connection.last_there);
        connection.last_there = at;
        let number = connection.number;
        later.push((at, Event::Arrives { process, connection: number, request }));
        true
    }

    /// Ends all that a process has.
    pub(crate) fn die(&mut self, process: Process) {
        self.hang_up(process, Channel::Commands);
        self.hang_up(process, Channel::Inbox);
        self.clients[process].is_dead = true;
    }

    /// Returns whether something that has arrived is heard: its connection stands.
    pub(crate) fn is_current(
        &self,
        process: Process,
        channel: Channel,
        connection: Option<u64>,
    ) -> bool {
        let client = &self.clients[process];
        let current = match channel {
            Channel::Commands => client.commands.number,
            Channel::Inbox => client.inbox.number,
        };
        !client.is_dead && connection.is_none_or(|one| one == current)
    }

    /// Handles what happens at Redis itself.
    pub(crate) fn handle(&mut self, now: Us, event: Event<G>, later: &mut Later<G>) {
        if now < self.pauses_until && matches!(event, Event::Dialled { .. } | Event::Arrives { .. })
        {
            self.held.push_back(event);
            return;
        }
        match event {
            Event::Dialled { process, channel, connection, node } => {
                self.accept(now, process, channel, connection, node, later);
            }
            Event::Arrives { process, connection, request } => {
                let client = &self.clients[process];
                let is_current = client.commands.number == connection;
                // what was on its way when the connection broke may have arrived before
                if is_current || self.prng.percent(50) {
                    self.execute(now, process, connection, request, later);
                }
            }
            Event::Notified { .. } => unreachable!("the process handles it"),
            Event::Snapshot(step) => {
                self.replicas.insert(step, self.copies[0].clone());
            }
            Event::PauseOver => {
                while now >= self.pauses_until
                    && let Some(event) = self.held.pop_front()
                {
                    self.handle(now, event, later);
                }
            }
            Event::SplitOver => {
                self.moved.clear();
                for process in 0..self.clients.len() {
                    for channel in [Channel::Commands, Channel::Inbox] {
                        if self.clients[process].channel(channel).copy == 1 {
                            self.reset(now, process, channel, later);
                        }
                    }
                }
                self.copies.truncate(1);
            }
            Event::SwallowOver => {
                for process in 0..self.clients.len() {
                    if self.clients[process].commands.swallowed {
                        self.reset(now, process, Channel::Commands, later);
                    }
                }
            }
        }
    }

    fn accept(
        &mut self,
        now: Us,
        process: Process,
        channel: Channel,
        number: u64,
        node: NodeId,
        later: &mut Later<G>,
    ) {
        let copy = self.copy_of(process);
        let refuses = now < self.refuses_until;
        let client = &mut self.clients[process];
        let connection = client.channel(channel);
        if connection.number != number {
            return;
        }
        let stands = !refuses && now >= connection.cut_until;
        connection.stands = stands;
        connection.copy = copy;
        if stands && channel == Channel::Inbox {
            connection.node = Some(node);
            self.copies[copy].set_listening(node, true);
        }
        let notice = if stands { Notice::Up(channel) } else { Notice::Down(channel) };
        self.notify(now, process, channel, notice, later);
    }

    fn copy_of(&self, process: Process) -> usize {
        let is_split = self.copies.len() > 1;
        usize::from(is_split && !self.moved.contains(&self.clients[process].name))
    }

    /// Sends something to a process on one of its connections.
    fn notify(
        &mut self,
        now: Us,
        process: Process,
        channel: Channel,
        notice: Notice<G>,
        later: &mut Later<G>,
    ) {
        let delay = self.delay();
        let connection = self.clients[process].channel(channel);
        let at = (now + delay).max(connection.silent_until).max(connection.last_back);
        connection.last_back = at;
        let number = Some(connection.number);
        later.push((at, Event::Notified { process, connection: number, channel, notice }));
    }

    fn execute(
        &mut self,
        now: Us,
        process: Process,
        number: u64,
        request: Request<G>,
        later: &mut Later<G>,
    ) {
        let copy = self.clients[process].commands.copy.min(self.copies.len() - 1);
        match request {
            Request::Publish { to, bag } => self.publish(now, copy, to, &Notice::Bag(bag), later),
            Request::Call { number: call_number, call } => {
                let (reply, tick) = self.copies[copy].apply(&call);
                if let Some(node) = tick {
                    self.publish(now, copy, node, &Notice::Tick, later);
                }
                let connection = &mut self.clients[process].commands;
                if connection.number != number {
                    return;
                }
                if now < self.swallows_until {
                    connection.swallowed = true;
                    return;
                }
                let at = now.max(self.hangs_until);
                let notice = Notice::Reply { number: call_number, reply };
                self.notify(at, process, Channel::Commands, notice, later);
            }
        }
    }

    fn publish(
        &mut self,
        now: Us,
        copy: usize,
        to: NodeId,
        what: &Notice<G>,
        later: &mut Later<G>,
    ) {
        let hears = |client: &Client| {
            let inbox = &client.inbox;
            inbox.stands && inbox.node == Some(to) && inbox.copy == copy
        };
        match self.clients.iter().position(hears) {
            Some(process) => self.notify(now, process, Channel::Inbox, what.clone(), later),
            None => self.unheard += 1,
        }
    }

    /// Breaks a connection, if there is one. Its process is told at once.
    fn reset(&mut self, now: Us, process: Process, channel: Channel, later: &mut Later<G>) {
        let had = self.clients[process].channel(channel).number != 0;
        self.hang_up(process, channel);
        if had && !self.clients[process].is_dead {
            let delay = self.delay();
            let notice = Notice::Down(channel);
            later.push((
                now + delay,
                Event::Notified { process, connection: Some(0), channel, notice },
            ));
        }
    }

    fn reset_all(&mut self, now: Us, later: &mut Later<G>) {
        for process in 0..self.clients.len() {
            self.reset(now, process, Channel::Commands, later);
            self.reset(now, process, Channel::Inbox, later);
        }
    }

    /// Cuts a process off.
    pub(crate) fn cut(
        &mut self,
        now: Us,
        process: Process,
        line: Line,
        lasts: Us,
        later: &mut Later<G>,
    ) {
        for (channel, is_cut) in
            [(Channel::Commands, line.has_commands()), (Channel::Inbox, line.has_inbox())]
        {
            if !is_cut {
                continue;
            }
            if line.resets() {
                self.reset(now, process, channel, later);
                let connection = self.clients[process].channel(channel);
                connection.cut_until = connection.cut_until.max(now + lasts);
            } else {
                let connection = self.clients[process].channel(channel);
                connection.silent_until = connection.silent_until.max(now + lasts);
            }
        }
    }

    /// Says what must happen before the step `number` of a script that breaks Redis.
    pub(crate) fn foresee(number: usize, at: Us, fault: &RedisFault) -> Option<(Us, Event<G>)> {
        match fault {
            RedisFault::Forgets(last) => Some((at.saturating_sub(*last), Event::Snapshot(number))),
            RedisFault::Refuses(_)
            | RedisFault::Hangs(_)
            | RedisFault::Swallows(_)
            | RedisFault::Pauses(_)
            | RedisFault::Empties
            | RedisFault::LosesMembership
            | RedisFault::Restarts { .. }
            | RedisFault::Splits { .. } => None,
        }
    }

    /// Breaks Redis. Returns until when the fault lasts.
    pub(crate) fn break_down(
        &mut self,
        now: Us,
        step: usize,
        fault: &RedisFault,
        later: &mut Later<G>,
    ) -> Us {
        let generation = self.generation();
        match fault {
            RedisFault::Refuses(lasts) => {
                self.refuses_until = self.refuses_until.max(now + lasts);
                self.reset_all(now, later);
                now + lasts
            }
            RedisFault::Hangs(lasts) => {
                self.hangs_until = self.hangs_until.max(now + lasts);
                now + lasts
            }
            RedisFault::Swallows(lasts) => {
                self.swallows_until = self.swallows_until.max(now + lasts);
                later.push((now + lasts, Event::SwallowOver));
                now + lasts
            }
            RedisFault::Pauses(lasts) => {
                self.pauses_until = self.pauses_until.max(now + lasts);
                later.push((self.pauses_until, Event::PauseOver));
                now + lasts
            }
            RedisFault::Forgets(_) => {
                if let Some(replica) = self.replicas.remove(&step) {
                    self.copies[0] = replica;
                }
                self.copies[0].restart(generation);
                self.reset_all(now, later);
                now
            }
            RedisFault::Empties => {
                self.copies[0].delete_all(generation);
                now
            }
            RedisFault::LosesMembership => {
                self.copies[0].delete_members(generation);
                now
            }
            RedisFault::Restarts { after, keeps } => {
                if *keeps {
                    self.copies[0].restart(generation);
                } else {
                    self.copies[0] = RegistryState::empty(generation);
                }
                self.refuses_until = self.refuses_until.max(now + after);
                self.reset_all(now, later);
                now + after
            }
            RedisFault::Splits { nodes, lasts } => {
                if self.copies.len() == 1 {
                    let old = self.copies[0].clone();
                    self.copies.push(old);
                    self.copies[0].restart(generation);
                    self.moved.clone_from(nodes);
                    for process in 0..self.clients.len() {
                        if nodes.contains(&self.clients[process].name) {
                            self.reset(now, process, Channel::Commands, later);
                            self.reset(now, process, Channel::Inbox, later);
                        } else {
                            self.clients[process].commands.copy = 1;
                            self.clients[process].inbox.copy = 1;
                        }
                    }
                    later.push((now + lasts, Event::SplitOver));
                    return now + lasts;
                }
                now
            }
        }
    }
}
