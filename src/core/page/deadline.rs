//! When a page has something to do without an input, and why.

use crate::time::Time;

/// The next moment at which a page wants [`Input::Timer`](super::Input::Timer).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline {
    /// When the page wants the input.
    pub at: Time,
    /// What is due then.
    pub reason: DeadlineReason,
}

/// What is due at a [`Deadline`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeadlineReason {
    /// A minute has passed without an `unreachable` election: dials no longer have twice the time.
    DialCalm,
    /// A member whose browser closed the socket did not come back.
    GoingAway,
    /// The claimed host did not come back.
    Recovery,
    /// The host of a page that has moved is told who is here.
    HostRoster,
    /// A page far above the clock of epochs may name the next host.
    Election,
    /// The holder of an id that a newcomer wants did not answer.
    PendingJoin,
    /// An absent member did not come back.
    Absence,
    /// The host may be told another profile of a member.
    Profile,
    /// A parked message expires.
    ParkedMessage,
    /// A member may have been silent for too long.
    Silence,
    /// Members over a way that is down are judged again.
    Truce,
    /// The host had time to answer the probe.
    Probe,
    /// A suspicion begins to count.
    Suspicion,
    /// A member has been fitter than a hidden host for long enough.
    Relief,
    /// The deputy is judged.
    DeputyReview,
    /// The clock of epochs is past the epoch of an empty page: the page may be forgotten.
    Idle,
}

impl DeadlineReason {
    /// All reasons, in the order in which a page handles those that are due together.
    pub const ALL: [Self; 16] = [
        Self::DialCalm,
        Self::GoingAway,
        Self::Recovery,
        Self::HostRoster,
        Self::Election,
        Self::PendingJoin,
        Self::Absence,
        Self::Profile,
        Self::ParkedMessage,
        Self::Silence,
        Self::Truce,
        Self::Probe,
        Self::Suspicion,
        Self::Relief,
        Self::DeputyReview,
        Self::Idle,
    ];
}
