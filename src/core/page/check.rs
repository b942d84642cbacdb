//! What must always be true of a page, by number.
//!
//! Tests check all of it after every step; release builds check what is cheap, and count.

use super::PageState;
use super::hosting::Term;

/// A broken invariant: a fault of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invariant {id} is broken: {what}")]
pub struct InvariantViolation {
    /// Its number.
    pub id: &'static str,
    /// What should be true.
    pub what: &'static str,
}

const fn holds(
    id: &'static str,
    what: &'static str,
    is_true: bool,
) -> Result<(), InvariantViolation> {
    if is_true { Ok(()) } else { Err(InvariantViolation { id, what }) }
}

impl PageState {
    /// What can be checked at once, whatever the page's size.
    ///
    /// # Errors
    /// The first that is broken.
    pub fn check_quickly(&self) -> Result<(), InvariantViolation> {
        let hosted = match &self.term {
            Term::Hosted { host, announced, .. } => {
                self.is_named() && *announced && self.members.contains_key(host)
            }
            Term::Recovering { .. } => self.is_named(),
            Term::Vacant { .. } => !self.is_named() || self.members.is_empty() || self.draining,
            Term::Open { .. } => false,
        };
        holds("P1", "a page with members that is not recovering has one host, a member", hosted)?;
        let indexed =
            self.by_id.len() == self.members.len() && self.by_session.len() == self.members.len();
        holds("P2", "ids and sessions are unique", indexed)?;
        let rightly = self
            .host_seat()
            .and_then(|host| self.members.get(&host))
            .is_none_or(|host| host.rights.host);
        holds("P11", "a host may host", rightly)?;
        let deputy = self.deputy_seat().filter(|_| !self.draining);
        let follows = |seat| {
            self.host_seat().is_some_and(|host| host != seat)
                && self.members.get(&seat).is_some_and(|m| m.group > 0 && m.rights.host)
        };
        holds(
            "P15",
            "a deputy is a group member that may host, and not the host",
            deputy.is_none_or(follows),
        )?;
        let strange = self.strangers.is_empty() || self.recovery_deadline().is_some();
        holds("P10", "strangers are kept only for a host that is yet to resume", strange)?;
        let awake = self.members.is_empty() || self.draining || self.next_deadline().is_some();
        holds("P3", "a page with members has a deadline", awake)
    }

    /// All of them; the cost grows with the page.
    ///
    /// # Errors
    /// The first that is broken.
    pub fn check(&self) -> Result<(), InvariantViolation> {
        self.check_quickly()?;
        let indexed = |(seat, m): (_, &super::Member)| {
            self.by_id.get(&m.id) == Some(seat) && self.by_session.get(&m.session) == Some(seat)
        };
        holds("P2", "ids and sessions are unique", self.members.iter().all(indexed))?;
        if let Term::Hosted { host, epoch, .. } = self.term {
            let told = self.members.values().all(|m| m.told.is_some_and(|(_, last)| last == epoch));
            holds("P4", "every member's last word is the current assignment", told)?;
            let grouped = self.members.get(&host).is_some_and(|h| h.group > 0);
            let sequences = grouped || self.grouped == 0;
            let number = Some(self.deputy.number());
            let mut dialling = self.members.values().filter(|m| self.dials_deputy(m));
            holds(
                "P16",
                "who dials the deputy was told of it",
                dialling.all(|m| m.told_deputy == number),
            )?;
            holds("P5", "a stock client does not host while a group member is there", sequences)?;
        }
        let counted = self.grouped == self.members.values().filter(|m| m.group > 0).count();
        holds("P5", "group members are counted", counted)?;
        let unrelayed = self.members.values().filter(|m| !m.rights.relay).count();
        let placed = !self.relays() || unrelayed <= self.rules.star;
        holds(
            "P12",
            "all who may not relay can dial the host",
            placed && unrelayed == self.unrelayed,
        )?;
        let mut suspecting = self.challenge.suspicions.seats();
        holds(
            "P17",
            "who suspects the host is a member",
            suspecting.all(|seat| self.members.contains_key(&seat)),
        )?;
        holds("P6", "waiting messages are bounded", self.waiting.is_bounded())?;
        let absent =
            self.members.iter().all(|(seat, m)| self.is_leaving(*seat) || !self.waiting.has(&m.id));
        holds("P7", "nothing waits for one who is here", absent)?;
        let held = self.held.iter().all(|joiner| self.by_id.contains_key(&joiner.id));
        holds("P8", "a newcomer is held only for an id in use", held)?;
        let seated = self.leaving.iter().all(|(seat, ())| self.members.contains_key(seat));
        holds(
            "P13",
            "one with a grace keeps its seat",
            seated && (!self.draining || self.leaving.is_empty()),
        )?;
        let away = self.returning.iter().all(|(id, _)| !self.by_id.contains_key(id));
        let entries = if self.is_named() { self.entries() } else { Vec::new() };
        let (mut roster, kept) =
            (String::new(), serde_json::to_string(&entries).unwrap_or_default());
        self.roster.write(&mut roster);
        holds(
            "P14",
            "the roster that is kept is that of the members",
            roster == kept && roster.len() == self.roster.len(),
        )?;
        holds("P9", "one who may return is not here", away)
    }
}
