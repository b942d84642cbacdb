//! The conductor of a node: takes inputs, asks the parts, connects them.
//!
//! - [`keeper`]: answers of the registry, and its losses. [`membership`]: the lease, generations,
//!   nodes that come and go.
//! - [`sessions`]: joins, departures, and members that seek their page. [`asking`]: where a page
//!   lives. [`living`]: pages here. [`ending`]: pages that yield, move, or are released.
//! - [`drain`]: a node that leaves.
//! - [`check`]: what must always be true.
//!
//! Why it holds:
//! - *A claim that the registry acknowledged and forgot.* A page without record is given out only
//!   after five seconds of a generation, and while no node asserts. A node that comes later has its
//!   assertion answered with the record that stands, and yields.
//! - *An answer that comes after a freeze.* A page is created only while the lease holds at that
//!   moment: `Taken` by a node that is not sure is asked anew.
//! - *A renewal that was carried out and whose answer hangs.* The lease ends four seconds after it
//!   was sent, whatever the others see.
//! - *Two masters.* Both sides elect, in epochs of their own slots. On healing the page of the
//!   record wins, and records a fence above the other's before it answers its sessions.
//! - *A release that hangs, against a join.* The join waits until the release is answered, then the
//!   page is claimed again. A release that is carried out late is of a lower fence and removes
//!   nothing.
//! - *A claim that nobody wants any more.* Its record is given back, whatever its answer. If a lost
//!   claim is carried out after that, the first join that another node passes on finds the record.
//! - *A stale hint.* The record's host counts for a minute after its node has gone. Its epoch
//!   counts always, as a floor.
//! - *Deaths in a chain.* A page that was lost is asked for until somebody answers for it, and each
//!   answer is checked against the members.

mod asking;
mod check;
mod drain;
mod ending;
mod keeper;
mod living;
mod membership;
mod sessions;

use std::sync::Arc;

pub use check::Violation;

use self::drain::Drain;
use super::NodeId;
use super::assertions::Assertions;
use super::calls::{Calls, Purpose};
use super::fences::Fences;
use super::fingerprint::Fingerprint;
use super::generation::GenerationWatch;
use super::io::{Change, Deadline, DeadlineReason, Deciding, Env, Input, Output, Whereabouts};
use super::joins::Joins;
use super::lease::{Hold, Lease};
use super::members::Members;
use super::pages::{Pages, Place};
use super::registry::Call;
use super::sweep::Sweep;
use super::watch::Watch;
use crate::protocol::close::Close;
use crate::protocol::id::{Epoch, PageKey};
use crate::time::Time;

/// The settings as a node needs them.
#[derive(Debug, Clone)]
pub struct NodeRules {
    /// Version of the words between nodes that this process speaks.
    pub version: u32,
    /// Most pages with a name on this node (`usize::MAX` for no limit).
    pub max_pages: usize,
    /// The settings that must agree between nodes.
    pub settings: Fingerprint,
    /// The URL at which other nodes reach this one without the registry.
    pub address: Option<Arc<str>>,
}

/// The last decision that was put out.
#[derive(Debug)]
struct Told {
    deciding: Deciding,
    is_alone: bool,
    is_abandoned: bool,
    hold: Option<Hold>,
    /// Whether the records of empty pages could be given back.
    could_retire: bool,
}

/// One process in the cluster: its lease, what it knows of the other nodes, and where pages live.
#[derive(Debug)]
pub struct NodeState<J> {
    node: NodeId,
    rules: NodeRules,
    started: Time,
    lease: Lease,
    generation: GenerationWatch,
    /// Whether the node is registered in this generation, as far as it knows.
    is_registered: bool,
    /// Whether the next renewal registers.
    must_register: bool,
    /// Since when the node is not let in, because its clock is too far ahead of the others'; and
    /// whether the operator was told.
    kept_out: Option<(Time, bool)>,
    watch: Watch,
    members: Members,
    fences: Fences,
    calls: Calls,
    assertions: Assertions,
    sweep: Sweep,
    pages: Pages,
    joins: Joins<J>,
    /// The highest epoch of pages that are gone.
    announced: Epoch,
    drain: Option<Drain>,
    told: Told,
}

impl<J> NodeState<J> {
    /// Creates the state of a process that starts as `node`, and dials the registry. It registers
    /// when it is connected.
    #[must_use]
    pub fn new(node: NodeId, rules: NodeRules, Env { now, .. }: Env) -> Self {
        Self {
            node,
            rules,
            started: now,
            lease: Lease::new(now),
            generation: GenerationWatch::default(),
            is_registered: false,
            must_register: true,
            kept_out: None,
            watch: Watch::new(now),
            members: Members::default(),
            fences: Fences::default(),
            calls: Calls::default(),
            assertions: Assertions::new(now),
            sweep: Sweep::new(now),
            pages: Pages::default(),
            joins: Joins::default(),
            announced: Epoch::default(),
            drain: None,
            told: Told {
                deciding: Deciding::No,
                is_alone: false,
                is_abandoned: false,
                hold: None,
                could_retire: false,
            },
        }
    }

    /// Handles one input. Appends to `out` what is to be done.
    pub fn handle(&mut self, env: Env, input: Input<J>, out: &mut Vec<Output<J>>) {
        // a process that was frozen is unsure before it handles anything
        self.tell(env, out);
        match input {
            Input::Timer => {}
            Input::Keeper(input) => self.keeper(env, input, out),
            Input::Join { page, joining } => self.join(env, &page, joining, out),
            Input::Joined { session, .. } => self.joins.answered(session),
            Input::Seek { page, session } => self.seek(env, &page, session, out),
            Input::Departed { page, session, departure } => {
                self.departed(env, &page, session, departure, out);
            }
            Input::JoinFrom { node, page, joining } => {
                self.join_from(env, node, &page, joining, out);
            }
            Input::DepartedFrom { page, session, departure, .. } => {
                self.departed_from(&page, session, departure, out);
            }
            Input::Returned { node, page, joining } => {
                self.returned(env, node, &page, joining, out);
            }
            Input::PageLeft { node, page, left } => self.page_left(env, node, &page, left, out),
            Input::Announced { page, claim, is_local } => self.announced(&page, claim, is_local),
            Input::Fenced { node, page, fence } => self.fenced(node, &page, fence),
            Input::Idle { page, incarnation, joins_seen, announced } => {
                self.idle(env, &page, incarnation, joins_seen, announced, out);
            }
            Input::Stopped { page, incarnation, announced } => {
                self.stopped(env, &page, incarnation, announced, out);
            }
            Input::Link { node, is_up } => self.link(env, node, is_up, out),
            Input::Stranger(node) => {
                if !self.members.contains(node) {
                    self.watch.hurry(env.now);
                }
            }
            Input::Drain => self.begin_drain(env, out),
        }
        self.settle(env, out);
        self.tell(env, out);
    }

    /// Does what is due.
    fn settle(&mut self, env: Env, out: &mut Vec<Output<J>>) {
        self.come_of_age(env, out);
        self.members.tick(env.now);
        self.take_steps(env, out);
        self.settle_generation(env, out);
        self.keep_lease(env, out);
        if self.may_look() && self.watch.ask(env.now) {
            self.call(Purpose::Look, Call::Look, out);
        }
        self.close_late_joins(env, out);
        self.move_bare_pages(env, out);
        self.go_on_draining(env, out);
        self.ask_for_pages(env, out);
        self.sweep(env, out);
    }

    /// Tells the shell and the pages what has changed for them.
    fn tell(&mut self, env: Env, out: &mut Vec<Output<J>>) {
        let hold = self.lease.hold(env.now);
        let deciding = match hold {
            // a node that has lost its slot to another one could name an epoch of that one's
            _ if self.fences.slot().is_none() => Deciding::No,
            Hold::Sure(until) => Deciding::Until(until),
            Hold::Unsure => Deciding::No,
            Hold::Unreachable => Deciding::Alone,
        };
        let is_sure = matches!(hold, Hold::Sure(_));
        let was_sure = matches!(self.told.hold, Some(Hold::Sure(_)));
        let is_abandoned = self.members.is_abandoned();
        let is_alone = !is_sure || is_abandoned || self.generation.is_regaining();
        if std::mem::replace(&mut self.told.is_abandoned, is_abandoned) != is_abandoned {
            let change = if is_abandoned { Change::Abandoned } else { Change::Rejoined };
            out.push(Output::Changed(change));
        }
        // pages say that they are alone before they decide as such, and after
        let (begins, ends) = (is_alone && !self.told.is_alone, !is_alone && self.told.is_alone);
        self.told.is_alone = is_alone;
        if begins {
            self.tell_pages_alone(true, out);
        }
        if self.told.deciding != deciding {
            self.told.deciding = deciding;
            out.push(Output::Deciding(deciding));
        }
        if ends {
            self.tell_pages_alone(false, out);
        }
        let before = self.told.hold.replace(hold);
        let can_retire = is_sure && self.can_ask();
        let could_retire = std::mem::replace(&mut self.told.could_retire, can_retire);
        if can_retire && !could_retire {
            self.retire_idle_pages(env, out);
        }
        match hold {
            Hold::Unsure if was_sure => out.push(Output::Changed(Change::Unsure)),
            Hold::Unreachable if before != Some(hold) => {
                out.push(Output::Changed(Change::Unreachable));
                self.serve_pageless(env, out);
            }
            Hold::Sure(_) | Hold::Unsure | Hold::Unreachable => {}
        }
    }

    fn tell_pages_alone(&self, alone: bool, out: &mut Vec<Output<J>>) {
        let pages = self.pages.select(|entry| entry.here().is_some());
        out.extend(pages.into_iter().map(|page| Output::Alone { page, alone }));
    }

    fn call(&mut self, purpose: Purpose, call: Call, out: &mut Vec<Output<J>>) {
        out.push(Output::Call(self.calls.begin(purpose), call));
    }

    /// Returns whether the registry may be asked for more than the lease.
    const fn can_ask(&self) -> bool {
        self.lease.is_connected() && self.is_registered
    }

    /// Returns whether the membership is looked at. A node that is not let in looks as well: those
    /// who keep it out may be dead.
    const fn may_look(&self) -> bool {
        self.can_ask() || self.kept_out.is_some() && self.lease.is_connected()
    }

    fn is_sure(&self, now: Time) -> bool {
        matches!(self.lease.hold(now), Hold::Sure(_))
    }

    /// Returns when the node wants [`Input::Timer`], and why.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Deadline> {
        let asks = self.can_ask();
        let when = |condition: bool, at: Option<Time>| at.filter(|_| condition);
        [
            (when(!self.is_departing(), self.lease.next_deadline()), DeadlineReason::Lease),
            (when(self.may_look(), self.watch.next_deadline()), DeadlineReason::Look),
            (self.generation.next_deadline(), DeadlineReason::Generation),
            (when(asks, Some(self.assertions.next_deadline())), DeadlineReason::Assertion),
            (when(self.may_ask_for_pages(), self.pages.next_ask()), DeadlineReason::Claim),
            (self.joins.next_deadline(), DeadlineReason::Join),
            (self.pages.next_bare(), DeadlineReason::Move),
            (when(asks, self.sweep.next_deadline()), DeadlineReason::Sweep),
            (self.members.next_deadline(), DeadlineReason::Abandoned),
            (self.drain.as_ref().and_then(Drain::next_deadline), DeadlineReason::Drain),
        ]
        .into_iter()
        .filter_map(|(at, reason)| Some(Deadline { at: at?, reason }))
        .min()
    }

    /// Returns the number of this node.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// Returns where a page lives, as far as this node knows.
    #[must_use]
    pub fn whereabouts(&self, page: &PageKey) -> Option<Whereabouts> {
        match &self.pages.get(page)?.place {
            Place::Here(here) => {
                Some(Whereabouts::Here { incarnation: here.life.incarnation(), fence: here.fence })
            }
            Place::There { node, fence } => Some(Whereabouts::There { node: *node, fence: *fence }),
            Place::Asking(_) | Place::Leaving(_) => None,
        }
    }

    /// Returns whether the lease holds.
    #[must_use]
    pub fn hold(&self, now: Time) -> Hold {
        self.lease.hold(now)
    }

    /// Returns whether pages here may be on the lesser side of a cut, as they were told last.
    #[must_use]
    pub const fn is_alone(&self) -> bool {
        self.told.is_alone
    }

    /// Returns the other nodes, with the URLs at which they are reached without the registry.
    pub fn others(&self) -> impl Iterator<Item = (NodeId, Option<&Arc<str>>)> {
        self.members.addresses().filter(|(node, _)| *node != self.node)
    }

    /// Returns the number of nodes that have other settings or speak another version.
    #[must_use]
    pub fn different_nodes(&self) -> usize {
        self.members.different()
    }

    /// Returns the pages that live here, in no order.
    pub fn pages_here(&self) -> impl Iterator<Item = &PageKey> {
        self.pages.iter().filter(|(_, entry)| entry.here().is_some()).map(|(page, _)| page)
    }

    /// Returns how a session that cannot be served now is sent away: it comes back after a while.
    const fn later() -> Close {
        Close::Restart
    }
}
