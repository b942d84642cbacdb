//! A slow, obvious model of a page: lists, searched from end to end. The model says what each
//! client is told. Its files follow the conductor of the core.

mod announce;
mod challenge;
mod death;
mod deputy;
mod election;
mod join;
mod leave;
mod messages;
mod timer;
mod ways;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use peerstar_core::cluster::NodeId;
use peerstar_core::page::going_away::GRACE;
use peerstar_core::page::member::{Rights, Way};
use peerstar_core::protocol::id::SessionId;

use super::world::Got;

const HOLD: u64 = 2000;
const RETURN: u64 = 3000;
const EXPIRE: u64 = 5000;
const PROFILE_EVERY: u64 = 1000;
const TIMEOUT: u64 = 15_000;
const HOST_TIMEOUT: u64 = 6000;
const FRESH: u64 = 7500;
const PROBE: u64 = 2000;
const HIDDEN: u64 = 10_000;
const STAR: usize = 3;
const MAX_MEMBERS: usize = 12;
const DEPUTY: u64 = 10_000;
const CALM: u64 = 2000;
const CALM_MINUTE: u64 = 60_000;
const TRUCE: u64 = 60_000;

#[derive(Debug, Clone)]
struct Person {
    session: SessionId,
    /// A replacement keeps the seat.
    seat: u64,
    /// When the present socket joined.
    came: u64,
    id: String,
    token: Option<String>,
    group: u32,
    rights: Rights,
    eligible: bool,
    visible: bool,
    profile: Option<String>,
    contacts: Vec<String>,
    relay: bool,
    p2p: bool,
    channels: Vec<String>,
    /// Number of the deputy that was last announced to the member.
    told_deputy: Option<u64>,
    texts_sent: u64,
    /// Number of text frames that the member had sent when it was found stalled.
    stalled_at: Option<u64>,
    out_of_reach: bool,
    leave_said: Option<u64>,
    /// `None` while the member answers every ping.
    silent_since: Option<u64>,
    way: Way,
}

#[derive(Debug, Clone)]
struct Absent {
    id: String,
    token: Option<String>,
    contacts: Vec<String>,
    announced: bool,
    /// Whether the member neither said goodbye nor was sent away.
    lost: bool,
    until: u64,
}

#[derive(Debug, Clone)]
struct Parked {
    kind: &'static str,
    src: String,
    dst: String,
    n: u32,
    until: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub named: bool,
    relays: bool,
    deputies: bool,
    now: u64,
    here: Vec<Person>,
    next_seat: u64,
    pending: Vec<(Person, u64)>,
    /// Members whose browser closed the socket, and until when each keeps its seat.
    leaving: Vec<(SessionId, u64)>,
    absent: Vec<Absent>,
    parked: Vec<Parked>,
    host: Option<String>,
    host_since: u64,
    /// Members whose profile the host was told: until when it is told no other, and whether there
    /// is another.
    profiles: Vec<(String, u64, bool)>,
    /// Since when each member is fitter than a hidden host for being visible.
    fitter_since: BTreeMap<String, u64>,
    /// Members that suspect the host and have no relay to it: since when, and whether the suspicion
    /// counts.
    suspecting: BTreeMap<u64, (u64, bool)>,
    /// All members that suspect the host, by seat.
    doubting: BTreeSet<u64>,
    /// Since when the way to each other node is down.
    down: BTreeMap<NodeId, u64>,
    /// Durations of the last dials, in ms.
    dials: Vec<u64>,
    /// Number of doublings of the fair time, and until when they last.
    doublings: u32,
    calm_at: Option<u64>,
    /// Seat of the deputy, number of deputies before, and since when it is deputy.
    deputy: Option<u64>,
    deputy_number: u64,
    deputy_since: u64,
    /// Number of deputies in a row that were not reached.
    unreached: u32,
    /// When a member last joined or left, when the deputy was judged, and whether anything has
    /// changed since.
    moved_at: u64,
    judged_at: u64,
    changed: bool,
    /// Until when the host has to answer, and how many text frames it had sent when asked. `None`:
    /// another node counts them.
    probe: Option<(u64, Option<u64>)>,
    epoch: u64,
    /// What the clock of epochs shows less half the time, while it is ahead of the wall clock.
    lead: u64,
    got: Vec<Got>,
    /// Number of messages that a ticket did not allow.
    pub ignored: u32,
    /// Hosts that the page elected, by epoch. The model adopts each one that may be elected.
    chosen: BTreeMap<u64, String>,
    /// The deputies that the page named, in that order.
    named_deputies: VecDeque<Option<String>>,
}

fn grace() -> u64 {
    u64::try_from(GRACE.as_millis()).unwrap()
}

impl Model {
    pub(crate) fn new(named: bool, relays: bool, deputies: bool) -> Self {
        Self { named, relays, deputies, dials: vec![2500; 16], ..Self::default() }
    }

    /// Returns what all clients were told since the last call.
    pub(crate) fn drain(&mut self) -> Vec<Got> {
        std::mem::take(&mut self.got)
    }

    /// Notes the page's elections of this step, which the model cannot foresee. Called before the
    /// step.
    pub(crate) fn will_elect(
        &mut self,
        elections: &[(u64, String, &'static str)],
        deputies: &[Option<String>],
    ) {
        self.named_deputies = deputies.iter().cloned().collect();
        self.chosen = elections.iter().map(|(epoch, host, _)| (*epoch, host.clone())).collect();
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.here.iter().map(|p| p.id.clone()).collect()
    }

    pub(crate) fn assignment(&self) -> Option<(u64, String)> {
        Some((self.epoch, self.host.clone()?))
    }

    fn tell(&mut self, id: &str, what: String) {
        if let Some(person) = self.here.iter().find(|p| p.id == id && !self.is_leaving(p.session)) {
            self.got.push(Got { who: person.session, what });
        }
    }

    fn close(&mut self, who: SessionId, name: &str) {
        if !self.is_leaving(who) {
            self.got.push(Got { who, what: format!("closed {name}") });
        }
    }

    fn is_leaving(&self, session: SessionId) -> bool {
        self.leaving.iter().any(|(leaving, _)| *leaving == session)
    }

    /// Returns the time until no member has a grace any more, in ms.
    pub(crate) fn ms_of_grace(&self) -> u64 {
        if self.leaving.is_empty() { 0 } else { grace() }
    }

    fn person(&self, id: &str) -> &Person {
        self.here.iter().find(|p| p.id == id).unwrap()
    }
}
