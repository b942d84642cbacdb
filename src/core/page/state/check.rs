//! Invariants of a page, by number.
//!
//! Tests check all invariants after every step. Release builds check the cheap ones, and count
//! violations.
//!
//! P10, that newcomers are kept only for a host that is yet to resume, holds by construction: they
//! are part of the stage `Recovering` of the term.

use super::PageState;
use crate::page::member::Seat;

/// A broken invariant of a page: a fault of the server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invariant {id} is broken: {what}")]
pub struct InvariantViolation {
    /// Number of the invariant.
    pub id: &'static str,
    /// The condition that does not hold.
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
    /// Checks the invariants whose cost does not grow with the page.
    ///
    /// # Errors
    /// The first that is broken.
    pub fn check_quickly(&self) -> Result<(), InvariantViolation> {
        let has_host = match self.term.hosting() {
            Some(hosting) => {
                self.is_named() && hosting.is_announced && self.roster.contains(hosting.host)
            }
            None if self.term.is_recovering() => self.is_named(),
            None if self.term.is_open() => self.term.rests_until().is_some(),
            None => !self.is_named() || self.roster.is_empty() || self.is_draining,
        };
        holds(
            "P1",
            "a page with members that neither recovers nor rests has one host, a member",
            has_host,
        )?;
        holds("P2", "ids and sessions are unique", self.roster.has_full_indexes())?;
        let has_right = self.host_member().is_none_or(|host| host.rights().host);
        holds("P11", "a host may host", has_right)?;
        let follows = |seat: Seat| {
            self.term.host().is_some_and(|host| host != seat)
                && self.roster.get(seat).is_some_and(|m| m.is_group_member() && m.rights().host)
        };
        let deputy = self.deputy.seat().filter(|_| !self.is_draining);
        let is_deputy_able = deputy.is_none_or(follows);
        holds("P15", "a deputy is a group member that may host, and not the host", is_deputy_able)?;
        let is_used = self.ways.down().all(|node| self.roster.is_on(node));
        holds("P18", "a way that is down leads to members", is_used)?;
        let wakes = !self.roster.has_local() || self.is_draining || self.next_deadline().is_some();
        holds("P3", "a page with members on its node has a deadline", wakes)
    }

    /// Checks all invariants. The cost grows with the page.
    ///
    /// # Errors
    /// The first that is broken.
    pub fn check(&self) -> Result<(), InvariantViolation> {
        self.check_quickly()?;
        holds("P2", "ids and sessions are unique", self.roster.is_indexed())?;
        self.check_announcements()?;
        let group_members = "group members and members that may not relay are counted";
        holds("P5", group_members, self.roster.is_counted())?;
        let is_star = !self.relays() || self.roster.without_relay() <= self.rules.star;
        holds("P12", "all members that may not relay can dial the host", is_star)?;
        let mut suspecting = self.term.challenge().suspicions().seats();
        let are_members = suspecting.all(|seat| self.roster.contains(seat));
        holds("P17", "a member that suspects the host is on the page", are_members)?;
        self.check_waiting()?;
        holds("P14", "the encoded roster is that of the members", self.roster.is_encoded())
    }

    /// Checks that all members know who hosts and who is deputy.
    fn check_announcements(&self) -> Result<(), InvariantViolation> {
        let Some(hosting) = self.term.hosting() else { return Ok(()) };
        let mut members = self.roster.iter();
        let is_known = members.all(|(_, m)| m.notes.knows(hosting.epoch));
        holds("P4", "the last announcement to every member is the current assignment", is_known)?;
        let number = Some(self.deputy.number());
        let mut dialling = self.roster.iter().filter(|(_, m)| self.dials_deputy(m));
        let is_known = dialling.all(|(_, m)| m.notes.announced_deputy == number);
        holds("P16", "the deputy was announced to every member that dials it", is_known)?;
        let is_group_member = self.host_member().is_some_and(|host| host.is_group_member());
        let can_stamp = is_group_member || self.roster.group_members() == 0;
        holds("P5", "a stock client does not host while a group member is there", can_stamp)
    }

    /// Checks messages, newcomers and members that wait.
    fn check_waiting(&self) -> Result<(), InvariantViolation> {
        holds("P6", "parked messages are bounded", self.parked.is_bounded())?;
        let mut present = self.roster.iter().filter(|(seat, _)| !self.going_away.contains(*seat));
        let is_absent = present.all(|(_, m)| !self.parked.has(m.id()));
        holds("P7", "no message is parked for a member that has a socket", is_absent)?;
        let mut pending = self.pending_joins.iter();
        let is_in_use = pending.all(|request| self.roster.seat_of(&request.id).is_some());
        holds("P8", "a newcomer waits only for an id in use", is_in_use)?;
        let keeps_seat = self.going_away.seats().all(|seat| self.roster.contains(seat))
            && (!self.is_draining || self.going_away.is_empty());
        holds("P13", "a member with a grace keeps its seat", keeps_seat)?;
        let is_gone = self.absent.ids().all(|id| self.roster.seat_of(id).is_none());
        holds("P9", "an absent member has no seat", is_gone)
    }
}
