//! The world: processes with their clocks, Redis, virtual time, and what a script does to them.
//!
//! A [`World`] is the same for both kinds of simulation. What lives on the nodes, pages and
//! sessions, is a [`Body`].

use std::collections::VecDeque;
use std::fmt::Debug;
use std::rc::Rc;

use peerstar_core::cluster::fingerprint::Fingerprint;
use peerstar_core::cluster::io::{Deciding, Env, Input, KeeperInput, Output};
use peerstar_core::cluster::node::{NodeRules, NodeState};
use peerstar_core::cluster::registry::{Call, Reply};
use peerstar_core::cluster::{NodeId, Slot};
use peerstar_core::epoch_clock::{EpochClock, EpochTime};
use peerstar_core::protocol::id::Epoch;
use peerstar_core::time::Time;

use crate::faults::Faults;
use crate::keeper::{Keeper, Wake};
use crate::prng::Prng;
use crate::queue::{MS, Queue, S, Us};
use crate::redis::{self, Channel, Later, Notice, Process, Redis, Request};
use crate::script::{Action, Deed, Expected, Name, Script};

/// Unix time at which a schedule begins, in ms.
const BEGINS_AT: u64 = 1_700_000_000_000;
/// How often the invariants of a calm cluster are checked.
const CHECK_EVERY: Us = 100 * MS;

/// What lives on the nodes: pages and sessions, and the links between nodes.
pub(crate) trait Body: Sized {
    /// A request to join.
    type Join: Clone + Debug;
    /// What nodes publish to each other.
    type Bag: Clone + Debug;
    /// What happens to pages, sessions and browsers.
    type Event: Debug;

    /// A process has started, or goes on as another node.
    fn is_node(&mut self, io: &mut Io<Self>, process: Process);
    /// A process has died or ended: all that it had is gone.
    fn died(&mut self, io: &mut Io<Self>, process: Process);
    /// A connection to Redis stands anew.
    fn reconnected(&mut self, io: &mut Io<Self>, process: Process);
    /// An event was for a process that is gone.
    fn refused(&mut self, io: &mut Io<Self>, event: Self::Event);
    /// A node wants something done that is not the keeper's.
    fn output(&mut self, io: &mut Io<Self>, process: Process, output: Output<Self::Join>);
    /// A bag has arrived.
    fn bag(&mut self, io: &mut Io<Self>, process: Process, bag: Self::Bag);
    /// An event has come.
    fn event(&mut self, io: &mut Io<Self>, process: Option<Process>, event: Self::Event);
    /// A member does something.
    fn member(&mut self, io: &mut Io<Self>, who: &Name, does: &Deed);
    /// Checks what a script expects.
    fn expect(&mut self, io: &mut Io<Self>, expected: &Expected);
    /// Checks what must hold while no fault is on.
    fn check_calm(&mut self, io: &mut Io<Self>);
    /// Checks what must hold some time after the last fault.
    fn check_healed(&mut self, io: &mut Io<Self>);
}

/// What happens in a world.
#[derive(Debug)]
pub(crate) enum Event<B: Body> {
    /// A step of the script.
    Step(usize),
    /// Something at Redis, or on the way from it.
    Redis(redis::Event<B::Bag>),
    /// A node's deadline. The number tells whether it is still meant.
    Timer(Process, u64),
    /// The keeper's time has come.
    Keeper(Process, Wake),
    /// What a process decided before it was stopped goes out.
    Say(Process, Request<B::Bag>),
    /// Something of the body. With a process, it waits while that is stopped.
    Body(Option<Process>, B::Event),
    /// A process goes on.
    Thaw(Process),
    /// The invariants are checked.
    Check,
}

/// One life of a server process.
#[derive(Debug)]
pub(crate) struct Machine<B: Body> {
    pub name: Name,
    /// `None`: dead.
    pub state: Option<NodeState<B::Join>>,
    pub id: NodeId,
    pub slot: Option<Slot>,
    pub deciding: Deciding,
    /// Its clock of epochs.
    pub epochs: EpochClock,
    pub keeper: Keeper,
    pub is_draining: bool,
    /// How much faster its clock runs, in thousandths.
    rate: i64,
    wall_ms: i64,
    started: Us,
    base: u64,
    paused_until: Us,
    /// What it says before then is said then.
    speaks_at: Us,
    /// It is to stop when it next decides, for so long.
    stops: Option<Us>,
    inputs: VecDeque<Input<B::Join>>,
    /// What came while it stood still, in order.
    held: VecDeque<Event<B>>,
    timer: u64,
    timer_at: Option<Us>,
    timers_in_vain: u32,
}

impl<B: Body> Machine<B> {
    /// Returns the time by its own clock.
    pub(crate) fn local(&self, now: Us) -> Time {
        let passed = now - self.started;
        Time(self.base + (passed as i64 * (1000 + self.rate) / 1000) as u64 / MS)
    }

    /// Returns when its clock will show a time.
    pub(crate) fn global(&self, now: Us, local: Time) -> Us {
        let ms = local.0.saturating_sub(self.base) as i64;
        let mut at = self.started + (ms * MS as i64 * 1000 / (1000 + self.rate)) as u64;
        at = at.max(now);
        while self.local(at) < local {
            at += 100;
        }
        at
    }

    /// Returns its wall clock, in ms since 1970.
    pub(crate) const fn unix_ms(&self, now: Us) -> u64 {
        (BEGINS_AT + now / MS).saturating_add_signed(self.wall_ms)
    }

    /// Returns what its clock of epochs shows.
    pub(crate) fn epoch_time(&self, now: Us) -> EpochTime {
        self.epochs.read(self.local(now), self.unix_ms(now))
    }

    /// Notes an epoch that a page here has named or believed.
    pub(crate) fn note_epoch(&mut self, now: Us, epoch: Epoch) {
        let (local, unix_ms) = (self.local(now), self.unix_ms(now));
        self.epochs.note(local, unix_ms, epoch);
    }

    pub(crate) fn lives(&self) -> bool {
        self.state.is_some()
    }

    /// Returns whether pages here may decide now.
    pub(crate) fn may_decide(&self, now: Us) -> bool {
        match self.deciding {
            Deciding::Until(until) => self.local(now) < until,
            Deciding::Alone => true,
            Deciding::No => false,
        }
    }
}

/// All of a world but its body, which works with it.
pub(crate) struct Io<B: Body> {
    pub now: Us,
    pub queue: Queue<Event<B>>,
    pub redis: Redis<B::Bag>,
    pub machines: Vec<Machine<B>>,
    pub faults: Faults,
    pub prng: Prng,
    /// The first broken invariant.
    pub broken: Option<String>,
    pub log: Option<Vec<String>>,
    /// Number of living nodes that were buried.
    pub buried_alive: usize,
    /// Number of events so far.
    pub events: u64,
    later: Later<B::Bag>,
    ready: Vec<Process>,
    dirty: bool,
}

impl<B: Body> Io<B> {
    /// Notes that an invariant is broken.
    pub(crate) fn fail(&mut self, what: impl FnOnce() -> String) {
        if self.broken.is_none() {
            let what = what();
            self.note(|| format!("BROKEN {what}"));
            self.broken = Some(what);
        }
    }

    /// Writes a line for a person who reads what happened.
    pub(crate) fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push(format!("{:>9.3} {}", self.now as f64 / S as f64, what()));
        }
    }

    /// Gives a node an input, to be handled in this step.
    pub(crate) fn feed(&mut self, process: Process, input: Input<B::Join>) {
        self.machines[process].inputs.push_back(input);
        self.ready.push(process);
    }

    /// Adds an event of the body. What a process says that was stopped before it could speak waits
    /// until it goes on.
    pub(crate) fn add(
        &mut self,
        from: Option<Process>,
        after: Us,
        to: Option<Process>,
        event: B::Event,
    ) {
        let speaks_at = from.map_or(0, |from| self.machines[from].speaks_at);
        self.queue.add(self.now.max(speaks_at) + after, Event::Body(to, event));
    }

    /// Publishes a bag. Returns whether there is a connection.
    pub(crate) fn publish(&mut self, process: Process, to: NodeId, bag: B::Bag) -> bool {
        let stands = self.machines[process].keeper.is_connected();
        if stands {
            self.say(process, Request::Publish { to, bag });
        }
        stands
    }

    fn say(&mut self, process: Process, request: Request<B::Bag>) {
        let speaks_at = self.machines[process].speaks_at;
        if speaks_at > self.now {
            self.queue.add(speaks_at, Event::Say(process, request));
        } else {
            self.redis.send(self.now, process, request, &mut self.later);
        }
    }

    /// Says that a process decides something just now: it may be stopped before it can say it.
    pub(crate) fn decides(&mut self, process: Process) {
        let now = self.now;
        if let Some(lasts) = self.machines[process].stops.take() {
            let machine = &mut self.machines[process];
            machine.speaks_at = now + lasts;
            machine.paused_until = machine.paused_until.max(now + lasts);
            self.faults.note(now + lasts);
            self.note(|| format!("process {process} is stopped before it speaks"));
        }
    }

    /// Returns the process that is this node now.
    pub(crate) fn process_of(&self, node: NodeId) -> Option<Process> {
        self.machines.iter().position(|machine| machine.lives() && machine.id == node)
    }

    /// Returns the living process with this name.
    pub(crate) fn named(&self, name: &Name) -> Option<Process> {
        self.machines.iter().rposition(|machine| machine.lives() && machine.name == *name)
    }

    /// Returns until when a process stands still, if it does.
    pub(crate) fn paused_until(&self, process: Process) -> Us {
        self.machines[process].paused_until
    }

    /// Keeps an event for a process that stands still.
    fn hold(&mut self, process: Process, event: Event<B>) {
        let machine = &mut self.machines[process];
        if machine.held.is_empty() {
            self.queue.add(machine.paused_until, Event::Thaw(process));
        }
        machine.held.push_back(event);
    }

    /// Returns when what a process says now goes out.
    pub(crate) fn speaks_at(&self, process: Process) -> Us {
        self.machines[process].speaks_at
    }

    fn flush(&mut self) {
        let mut later = std::mem::take(&mut self.later);
        for (at, event) in later.drain(..) {
            self.queue.add(at, Event::Redis(event));
        }
        self.later = later;
    }

    fn dial(&mut self, process: Process, channel: Channel) {
        let node = self.machines[process].id;
        self.redis.dial(self.now, process, channel, node, &mut self.later);
        let wake = self.machines[process].keeper.dials(channel);
        self.queue.add(self.now + S, Event::Keeper(process, wake));
    }

    fn connection_lost(&mut self, process: Process, channel: Channel) {
        let machine = &mut self.machines[process];
        let (had, wait, wake) = machine.keeper.lost(channel);
        self.queue.add(self.now + wait, Event::Keeper(process, wake));
        if channel == Channel::Commands {
            let input = if had { KeeperInput::Disconnected } else { KeeperInput::DialFailed };
            self.feed(process, Input::Keeper(input));
        }
    }
}

/// A world with its script.
pub(crate) struct World<B: Body> {
    pub io: Io<B>,
    pub body: B,
    script: Rc<Script>,
    outputs: Vec<Output<B::Join>>,
}

impl<B: Body> World<B> {
    pub(crate) fn new(script: Rc<Script>, body: B, logs: bool) -> Self {
        let prng = Prng::new(script.seed);
        let mut queue = Queue::default();
        for (number, step) in script.steps.iter().enumerate() {
            if let Action::Redis(fault) = &step.action
                && let Some((at, event)) = Redis::foresee(number, step.at, fault)
            {
                queue.add(at, Event::Redis(event));
            }
        }
        for (number, step) in script.steps.iter().enumerate() {
            queue.add(step.at, Event::Step(number));
        }
        queue.add(CHECK_EVERY, Event::Check);
        let io = Io {
            now: 0,
            queue,
            redis: Redis::new(prng.fork(1)),
            machines: Vec::new(),
            faults: Faults::default(),
            prng: prng.fork(2),
            broken: None,
            log: logs.then(Vec::new),
            buried_alive: 0,
            events: 0,
            later: Vec::new(),
            ready: Vec::new(),
            dirty: false,
        };
        Self { io, body, script, outputs: Vec::new() }
    }

    /// Runs until the last fault is over and all must be well.
    pub(crate) fn run(&mut self) {
        let last = self.script.steps.last().map_or(0, |step| step.at);
        let mut healed = false;
        while self.io.broken.is_none()
            && let Some((at, event)) = self.io.queue.next()
        {
            self.io.now = at;
            self.io.events += 1;
            if matches!(event, Event::Check) {
                let until = self.io.faults.over_at().max(last) + crate::faults::HEALING + S;
                if self.io.now > until && healed {
                    break;
                }
                healed |= self.check(last);
                self.io.queue.add(self.io.now + CHECK_EVERY, Event::Check);
                continue;
            }
            self.handle(event);
            self.io.flush();
        }
    }

    /// Checks what must hold now. Returns whether all must be well.
    fn check(&mut self, last: Us) -> bool {
        let calm = self.io.faults.calm_for(self.io.now);
        if calm > crate::faults::SETTLING && std::mem::take(&mut self.io.dirty) {
            self.body.check_calm(&mut self.io);
        }
        let heals = calm > crate::faults::HEALING && self.io.now > last + crate::faults::HEALING;
        if heals {
            self.body.check_healed(&mut self.io);
        }
        heals
    }

    fn handle(&mut self, event: Event<B>) {
        let io = &mut self.io;
        if let Some(process) = process_of(&event) {
            let machine = &io.machines[process];
            if !machine.lives() {
                if let Event::Body(_, event) = event {
                    self.body.refused(io, event);
                }
                return;
            }
            if machine.paused_until > io.now || !machine.held.is_empty() {
                io.hold(process, event);
                return;
            }
        }
        self.handle_now(event);
    }

    fn handle_now(&mut self, event: Event<B>) {
        let io = &mut self.io;
        match event {
            Event::Step(number) => self.step(number),
            Event::Redis(redis::Event::Notified { process, connection, channel, notice }) => {
                if io.redis.is_current(process, channel, connection) {
                    self.hear(process, notice);
                }
            }
            Event::Redis(event) => io.redis.handle(io.now, event, &mut io.later),
            Event::Timer(process, number) => {
                if io.machines[process].timer == number {
                    io.machines[process].timer_at = None;
                    io.feed(process, Input::Timer);
                }
            }
            Event::Keeper(process, wake) => {
                if io.machines[process].keeper.is_meant(wake) {
                    match wake {
                        // a dial that takes too long
                        Wake::GiveUp(channel, _) => {
                            io.redis.hang_up(process, channel);
                            io.connection_lost(process, channel);
                        }
                        Wake::Dial(channel, _) => io.dial(process, channel),
                        Wake::Ticks(_) => {
                            io.note(|| format!("process {process} is deaf"));
                            io.dial(process, Channel::Inbox);
                        }
                    }
                }
            }
            Event::Say(process, request) => {
                io.redis.send(io.now, process, request, &mut io.later);
            }
            Event::Body(process, event) => self.body.event(io, process, event),
            Event::Thaw(process) => {
                let machine = &mut io.machines[process];
                if machine.paused_until > io.now {
                    io.queue.add(machine.paused_until, Event::Thaw(process));
                    return;
                }
                while let Some(event) = self.io.machines[process].held.pop_front() {
                    self.handle_now(event);
                    let machine = &self.io.machines[process];
                    if machine.paused_until > self.io.now {
                        self.io.queue.add(machine.paused_until, Event::Thaw(process));
                        return;
                    }
                }
                return;
            }
            Event::Check => {}
        }
        self.settle();
    }

    /// Something from Redis has reached a process.
    fn hear(&mut self, process: Process, notice: Notice<B::Bag>) {
        let io = &mut self.io;
        match notice {
            Notice::Up(channel) => {
                io.machines[process].keeper.connected(channel);
                if channel == Channel::Commands {
                    io.feed(process, Input::Keeper(KeeperInput::Connected));
                }
                self.body.reconnected(io, process);
            }
            Notice::Down(channel) => io.connection_lost(process, channel),
            Notice::Reply { number, reply } => {
                if matches!(reply, Reply::Renewed { .. }) {
                    let wake = io.machines[process].keeper.renewed();
                    io.queue.add(io.now + S, Event::Keeper(process, wake));
                }
                let call = peerstar_core::cluster::io::CallId(number);
                io.feed(process, Input::Keeper(KeeperInput::Replied(call, reply)));
            }
            Notice::Tick => io.machines[process].keeper.ticked(),
            Notice::Bag(bag) => self.body.bag(io, process, bag),
        }
    }

    /// Lets nodes handle their inputs until none is left.
    fn settle(&mut self) {
        let mut steps = 0;
        while let Some(process) = self.io.ready.pop() {
            while let Some(input) = self.io.machines[process].inputs.pop_front() {
                steps += 1;
                if steps > 100_000 {
                    self.io.fail(|| "a step does not end".to_owned());
                    return;
                }
                self.turn(process, input);
            }
        }
    }

    /// Lets one node handle one input.
    fn turn(&mut self, process: Process, input: Input<B::Join>) {
        let io = &mut self.io;
        io.dirty = true;
        let machine = &mut io.machines[process];
        let now = io.now;
        let local = machine.local(now);
        let epoch = Epoch(machine.epoch_time(now).now_ms());
        let Some(state) = &mut machine.state else { return };
        let is_timer = matches!(input, Input::Timer);
        let shown = io.log.is_some().then(|| match &input {
            Input::Timer
            | Input::Seek { .. }
            | Input::Keeper(KeeperInput::Replied(
                _,
                Reply::View(..) | Reply::Found(None) | Reply::Asserted(_),
            )) => None,
            Input::Keeper(KeeperInput::Replied(_, Reply::Renewed { .. })) => None,
            other => Some(format!("{other:?}")),
        });
        let env = Env { now: local, random: io.prng.next(), epoch };
        let mut outputs = std::mem::take(&mut self.outputs);
        state.handle(env, input, &mut outputs);
        machine.timers_in_vain =
            if is_timer && outputs.is_empty() { machine.timers_in_vain + 1 } else { 0 };
        let timers_in_vain = machine.timers_in_vain;
        let violation = state.check().err();
        if let Some(Some(shown)) = shown {
            io.note(|| format!("{process} <- {shown}"));
        }
        if let Some(violation) = violation {
            io.fail(|| format!("node of process {process}: {}", violation.0));
        }
        if timers_in_vain > 50 {
            io.fail(|| format!("the timer of process {process} fires for ever"));
        }
        for output in outputs.drain(..) {
            self.carry_out(process, output);
        }
        self.outputs = outputs;
        self.arm(process);
    }

    fn arm(&mut self, process: Process) {
        let io = &mut self.io;
        let machine = &mut io.machines[process];
        let Some(next) = machine.state.as_ref().and_then(NodeState::next_deadline) else { return };
        let at = machine.global(io.now, next.at).max(io.now);
        if machine.timer_at != Some(at) {
            machine.timer += 1;
            machine.timer_at = Some(at);
            io.queue.add(at, Event::Timer(process, machine.timer));
        }
    }

    fn carry_out(&mut self, process: Process, output: Output<B::Join>) {
        let io = &mut self.io;
        let is_quiet = matches!(
            output,
            Output::Call(_, Call::Look | Call::Renew { .. } | Call::Find { .. })
                | Output::Deciding(Deciding::Until(_))
                | Output::Epoch(_)
        );
        if !is_quiet {
            io.note(|| format!("{process} -> {output:?}"));
        }
        match output {
            Output::Call(number, call) => {
                if let Call::Bury { node, .. } = &call
                    && let Some(buried) = io.process_of(*node)
                {
                    io.note(|| format!("process {process} buries {buried}, which lives"));
                }
                io.say(process, Request::Call { number: number.0, call });
            }
            Output::Reconnect => io.dial(process, Channel::Commands),
            Output::Identity(node) => {
                io.machines[process].id = node;
                io.dial(process, Channel::Inbox);
                self.body.is_node(io, process);
            }
            Output::Slot(slot) => {
                io.machines[process].slot = slot;
                io.machines[process].epochs.slot = slot;
            }
            Output::Epoch(epoch) => {
                let machine = &mut io.machines[process];
                let local = machine.local(io.now);
                machine.epochs.note_cluster(local, epoch);
            }
            Output::Deciding(deciding) => {
                io.machines[process].deciding = deciding;
                self.body.output(io, process, Output::Deciding(deciding));
            }
            Output::Changed(change) => {
                if let peerstar_core::cluster::io::Change::Buried { .. } = change {
                    io.buried_alive += 1;
                }
            }
            Output::Drained => self.end(process),
            other => self.body.output(io, process, other),
        }
    }

    fn end(&mut self, process: Process) {
        let io = &mut self.io;
        io.redis.die(process);
        io.machines[process].state = None;
        io.machines[process].inputs.clear();
        for event in std::mem::take(&mut io.machines[process].held) {
            if let Event::Body(_, event) = event {
                self.body.refused(io, event);
            }
        }
        self.body.died(io, process);
    }

    fn start(&mut self, name: &Name, rate: i64, wall_ms: i64) {
        let io = &mut self.io;
        if io.named(name).is_some() {
            return;
        }
        let process = io.redis.add(name.clone());
        let id = NodeId(io.prng.next() | 1);
        let base = io.prng.range(1, 1_000_000);
        let env = Env { now: Time(base), random: io.prng.next(), epoch: Epoch::default() };
        let machine = Machine {
            name: name.clone(),
            state: Some(NodeState::new(id, RULES, env)),
            id,
            slot: None,
            deciding: Deciding::No,
            epochs: EpochClock::start((BEGINS_AT + io.now / MS).saturating_add_signed(wall_ms)),
            keeper: Keeper::default(),
            is_draining: false,
            rate: rate.clamp(-500, 500),
            wall_ms,
            started: io.now,
            base,
            paused_until: 0,
            speaks_at: 0,
            stops: None,
            inputs: VecDeque::new(),
            held: VecDeque::new(),
            timer: 0,
            timer_at: None,
            timers_in_vain: 0,
        };
        io.machines.push(machine);
        io.note(|| format!("process {process} is {name}, node {id}"));
        io.dial(process, Channel::Commands);
        io.dial(process, Channel::Inbox);
        self.body.is_node(io, process);
        self.arm(process);
    }

    /// Does a step of the script.
    fn step(&mut self, number: usize) {
        let script = Rc::clone(&self.script);
        let step = &script.steps[number];
        let io = &mut self.io;
        io.note(|| format!("== {}", step.action));
        let now = io.now;
        match &step.action {
            Action::Start { node, rate, wall_ms } => self.start(node, *rate, *wall_ms),
            Action::Die(node) => {
                if let Some(process) = io.named(node) {
                    io.faults.note(now);
                    self.end(process);
                }
            }
            Action::Drain(node) => {
                if let Some(process) = io.named(node) {
                    io.machines[process].is_draining = true;
                    io.faults.note(now);
                    io.feed(process, Input::Drain);
                }
            }
            Action::Pause { node, lasts, after_deciding } => {
                if let Some(process) = io.named(node) {
                    let machine = &mut io.machines[process];
                    if *after_deciding {
                        machine.stops = Some(*lasts);
                    } else {
                        machine.paused_until = machine.paused_until.max(now + lasts);
                        io.faults.note(now + lasts);
                    }
                }
            }
            Action::Cut { node, line, lasts } => {
                if let Some(process) = io.named(node) {
                    io.redis.cut(now, process, *line, *lasts, &mut io.later);
                    io.faults.note(now + lasts);
                }
            }
            Action::Redis(fault) => {
                let until = io.redis.break_down(now, number, fault, &mut io.later);
                io.faults.note(until);
            }
            Action::Member { who, does } => self.body.member(io, who, does),
            Action::Expect(expected) => {
                if let Expected::Buried(most) = expected
                    && io.buried_alive > *most
                {
                    io.fail(|| format!("{} living nodes were buried", io_count(most)));
                }
                self.body.expect(&mut self.io, expected);
            }
        }
    }
}

fn io_count(most: &usize) -> String {
    format!("more than {most}")
}

/// Returns the process that handles an event.
const fn process_of<B: Body>(event: &Event<B>) -> Option<Process> {
    match event {
        Event::Redis(redis::Event::Notified { process, .. })
        | Event::Timer(process, _)
        | Event::Keeper(process, _)
        | Event::Say(process, _) => Some(*process),
        Event::Body(process, _) => *process,
        Event::Step(_) | Event::Redis(_) | Event::Thaw(_) | Event::Check => None,
    }
}

const RULES: NodeRules =
    NodeRules { version: 1, max_pages: usize::MAX, settings: Fingerprint::NONE, address: None };
