//! The term of a host: the stages from one host to the next, the epochs announced, and the
//! challenge of the present host.
//!
//! ```text
//!            a member, no claim                       the host leaves
//! Vacant ───────────────────────────> Hosted ───────────────────────────> Open
//!   │                                  ^  ^                                │
//!   │ a member with a claim            │  └────────── election ────────────┘
//!   v                                  │            (in the same step)
//! Recovering ──────────────────────────┘
//!              the host is back, or the time is over
//! ```
//!
//! An election is in the same step, unless the page rests: far above the clock of epochs it names
//! one host a second. `Open` and `Recovering` end in `Vacant` if nobody is left to elect. A host that is replaced
//! while it is still a member goes from `Hosted` to `Hosted`.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::page::challenge::Challenge;
use crate::page::member::Seat;
use crate::protocol::cause::Cause;
use crate::protocol::claim::Claim;
use crate::protocol::id::Epoch;
use crate::time::Time;

#[derive(Debug)]
enum Stage {
    /// No host: nobody is here who may host, the server shuts down, or the clients named no page.
    Vacant { announced: Epoch },
    /// The host has just left. The next one is elected in the same step, unless the page rests.
    Open { announced: Epoch, cause: Cause },
    /// A member of the page hosts.
    Hosted(Hosting),
    /// The page waits until the given time for a host that clients claim.
    Recovering(Recovery, Time),
}

/// The present host and its term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hosting {
    /// Seat of the host.
    pub host: Seat,
    /// Number of the term.
    pub epoch: Epoch,
    /// Why the member became host.
    pub cause: Cause,
    /// When the term began. From then on the shorter limit on a host's silence applies.
    pub since: Time,
    /// Whether the term was announced to all members.
    pub is_announced: bool,
}

/// Facts that a page keeps while it waits for a claimed host.
#[derive(Debug)]
pub struct Recovery {
    /// The claim with the highest epoch.
    pub expected: Claim,
    /// The highest epoch that was announced before.
    pub announced: Epoch,
    /// Members that joined or changed their profile meanwhile. A host that resumes is told of them.
    pub untold: BTreeSet<Seat>,
}

/// Who hosts a page: one of four stages, and the challenge of the present host. [`Hosting`] is one
/// term in the sense of the glossary.
#[derive(Debug)]
pub struct Term {
    stage: Stage,
    challenge: Challenge,
    created: Time,
    /// Whether claims were weighed when a host was named. Until then, and while the page is young,
    /// a claim may still replace the host.
    has_weighed_claims: bool,
    /// When the next host may be named, if this one was named far above the clock of epochs.
    rests_until: Option<Time>,
}

impl Term {
    /// Returns the state of a page without a host. Epochs start above `announced`.
    #[must_use]
    pub fn vacant(now: Time, announced: Epoch) -> Self {
        Self {
            stage: Stage::Vacant { announced },
            challenge: Challenge::default(),
            created: now,
            has_weighed_claims: false,
            rests_until: None,
        }
    }

    /// Returns the present host and its term.
    #[must_use]
    pub const fn hosting(&self) -> Option<Hosting> {
        match self.stage {
            Stage::Hosted(hosting) => Some(hosting),
            Stage::Vacant { .. } | Stage::Open { .. } | Stage::Recovering(..) => None,
        }
    }

    /// Returns the seat of the host.
    #[must_use]
    pub fn host(&self) -> Option<Seat> {
        self.hosting().map(|hosting| hosting.host)
    }

    /// Returns the claim on whose host the page waits.
    #[must_use]
    pub const fn expected(&self) -> Option<&Claim> {
        match &self.stage {
            Stage::Recovering(recovery, _) => Some(&recovery.expected),
            Stage::Vacant { .. } | Stage::Open { .. } | Stage::Hosted(_) => None,
        }
    }

    /// Returns whether the page waits for a claimed host.
    #[must_use]
    pub const fn is_recovering(&self) -> bool {
        matches!(self.stage, Stage::Recovering(..))
    }

    /// Returns whether a host has left and no other is elected yet.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open { .. })
    }

    /// Returns the highest epoch that any client may know of.
    #[must_use]
    pub fn announced_epoch(&self) -> Epoch {
        match &self.stage {
            Stage::Vacant { announced } | Stage::Open { announced, .. } => *announced,
            Stage::Hosted(hosting) => hosting.epoch,
            Stage::Recovering(recovery, _) => recovery.expected.epoch.max(recovery.announced),
        }
    }

    /// Begins the term of a host. Nothing speaks against it yet. No other host is named before
    /// `rests_until`.
    pub fn begin(
        &mut self,
        host: Seat,
        epoch: Epoch,
        cause: Cause,
        now: Time,
        rests_until: Option<Time>,
    ) {
        let hosting = Hosting { host, epoch, cause, since: now, is_announced: false };
        self.stage = Stage::Hosted(hosting);
        self.challenge = Challenge::default();
        self.rests_until = rests_until;
    }

    /// Ends the term because the host left. An election is to follow.
    pub fn open(&mut self, cause: Cause) {
        self.stage = Stage::Open { announced: self.announced_epoch(), cause };
    }

    /// Ends the term. No election follows.
    pub fn vacate(&mut self) {
        self.stage = Stage::Vacant { announced: self.announced_epoch() };
    }

    /// Returns whether it is too early at `now` to name another host.
    #[must_use]
    pub fn rests(&self, now: Time) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }

    /// Returns when the next host may be named, if the last one was named far above the clock of
    /// epochs.
    #[must_use]
    pub const fn rests_until(&self) -> Option<Time> {
        self.rests_until
    }

    /// Takes the cause of the election that is due, if one is. The stage is `Vacant` after that.
    pub fn take_open(&mut self) -> Option<Cause> {
        let Stage::Open { cause, .. } = self.stage else { return None };
        self.vacate();
        Some(cause)
    }

    /// Returns the term if it is yet to be announced, and notes that it is announced.
    pub const fn take_unannounced(&mut self) -> Option<Hosting> {
        match &mut self.stage {
            Stage::Hosted(hosting) if !hosting.is_announced => {
                hosting.is_announced = true;
                Some(*hosting)
            }
            Stage::Hosted(_)
            | Stage::Vacant { .. }
            | Stage::Open { .. }
            | Stage::Recovering(..) => None,
        }
    }

    /// Notes that a member does not know of the present term.
    pub const fn announce_again(&mut self) {
        if let Stage::Hosted(hosting) = &mut self.stage {
            hosting.is_announced = false;
        }
    }

    /// Begins to wait for the host of `expected`, until `until`.
    pub fn recover(&mut self, expected: Claim, until: Time) {
        let announced = self.announced_epoch();
        let recovery = Recovery { expected, announced, untold: BTreeSet::new() };
        self.stage = Stage::Recovering(recovery, until);
    }

    /// Waits for the host of `claim` instead, if its epoch is higher.
    pub fn raise_claim(&mut self, claim: Claim) {
        if let Stage::Recovering(recovery, _) = &mut self.stage
            && claim.epoch > recovery.expected.epoch
        {
            recovery.expected = claim;
        }
    }

    /// Notes a member that a host that resumes has not heard of.
    pub fn note_untold(&mut self, seat: Seat) {
        if let Stage::Recovering(recovery, _) = &mut self.stage {
            recovery.untold.insert(seat);
        }
    }

    /// Returns whether a host that resumes has not heard of a member.
    #[must_use]
    pub fn is_untold(&self, seat: Seat) -> bool {
        match &self.stage {
            Stage::Recovering(recovery, _) => recovery.untold.contains(&seat),
            Stage::Vacant { .. } | Stage::Open { .. } | Stage::Hosted(_) => false,
        }
    }

    /// Ends the wait for a claimed host. Whoever hosts next follows from what clients were told.
    pub fn end_recovery(&mut self) -> Option<Recovery> {
        if !self.is_recovering() {
            return None;
        }
        let next = Stage::Vacant { announced: self.announced_epoch() };
        self.has_weighed_claims = true;
        match std::mem::replace(&mut self.stage, next) {
            Stage::Recovering(recovery, _) => Some(recovery),
            Stage::Vacant { .. } | Stage::Open { .. } | Stage::Hosted(_) => None,
        }
    }

    /// Returns whether a claim may still decide who hosts: the page is younger than `recovery`, and
    /// its host follows from who joined first.
    #[must_use]
    pub fn may_follow_claim(&self, now: Time, recovery: Duration) -> bool {
        !self.has_weighed_claims && now < self.created.plus(recovery)
    }

    /// Notes that the present host follows from what clients were told.
    pub const fn note_claims_weighed(&mut self) {
        self.has_weighed_claims = true;
    }

    /// Returns until when the page waits for a claimed host.
    #[must_use]
    pub const fn recovery_deadline(&self) -> Option<Time> {
        match self.stage {
            Stage::Recovering(_, until) => Some(until),
            Stage::Vacant { .. } | Stage::Open { .. } | Stage::Hosted(_) => None,
        }
    }

    /// Returns the challenge of the present host.
    #[must_use]
    pub const fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// Returns the challenge of the present host.
    pub const fn challenge_mut(&mut self) -> &mut Challenge {
        &mut self.challenge
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::challenge::Gauge;
    use crate::protocol::id::PeerId;

    fn claim(host: &str, epoch: u64) -> Claim {
        let host = PeerId::parse(host).unwrap_or_else(|e| panic!("{e}"));
        Claim { epoch: Epoch(epoch), host }
    }

    #[test]
    fn a_term_is_announced_once_unless_a_member_missed_it() {
        let mut term = Term::vacant(Time(0), Epoch(5));
        assert_eq!((term.host(), term.announced_epoch()), (None, Epoch(5)));
        term.begin(Seat(1), Epoch(6), Cause::Left, Time(10), None);
        assert_eq!(term.take_unannounced().map(|hosting| hosting.host), Some(Seat(1)));
        assert_eq!(term.take_unannounced(), None);
        term.announce_again();
        assert!(term.take_unannounced().is_some());
    }

    #[test]
    fn a_host_that_leaves_opens_the_term_for_one_election() {
        let mut term = Term::vacant(Time(0), Epoch(0));
        term.begin(Seat(1), Epoch(6), Cause::Left, Time(0), None);
        term.challenge_mut().begin_probe(Time(9), Gauge::Report);
        term.open(Cause::Timeout);
        assert!(term.is_open() && term.announced_epoch() == Epoch(6));
        assert_eq!((term.take_open(), term.take_open()), (Some(Cause::Timeout), None));
        term.begin(Seat(2), Epoch(7), Cause::Timeout, Time(1), None);
        assert!(!term.challenge().is_probing(), "a new term begins without a challenge");
    }

    #[test]
    fn a_recovery_waits_for_the_highest_claim_and_keeps_newcomers() {
        let mut term = Term::vacant(Time(0), Epoch(3));
        term.note_untold(Seat(9));
        term.recover(claim("a", 5), Time(5000));
        term.raise_claim(claim("b", 4));
        assert_eq!(term.expected(), Some(&claim("a", 5)));
        term.raise_claim(claim("b", 8));
        term.note_untold(Seat(1));
        assert!(term.is_untold(Seat(1)) && !term.is_untold(Seat(9)));
        assert_eq!(
            (term.recovery_deadline(), term.announced_epoch()),
            (Some(Time(5000)), Epoch(8))
        );
        assert!(term.may_follow_claim(Time(0), Duration::from_secs(1)));
        let recovery = term.end_recovery().unwrap_or_else(|| panic!("it waits"));
        assert_eq!((recovery.expected, recovery.announced), (claim("b", 8), Epoch(3)));
        assert_eq!((term.announced_epoch(), term.recovery_deadline()), (Epoch(8), None));
        assert!(!term.may_follow_claim(Time(0), Duration::from_secs(1)));
    }
}
