//! The clock of faults: whether one is on, and when the last one was over. Some invariants hold
//! only then (CLUSTER: C9 and C10 while no fault is on, C11–C15 ten seconds after the last).

use crate::queue::{S, Us};

/// How long the cluster takes to notice that a fault is over, before C9 and C10 are required: a
/// node that was buried learns of it by its next renewal, and says its pages again. A node that has
/// lost its slot gets another one, and so a fence above all, when the generation is 5 s old.
pub(crate) const SETTLING: Us = 8 * S;
/// How long after the last fault all must be well. A node may dial Redis 2 s late, a generation
/// takes 5 s, a join is retried, and then a page waits 5 s for a host that has gone.
pub(crate) const HEALING: Us = 15 * S;

/// When faults are on.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    over_at: Us,
    seen: u64,
}

impl Faults {
    /// Notes a fault that lasts until `until`.
    pub(crate) fn note(&mut self, until: Us) {
        self.over_at = self.over_at.max(until);
        self.seen += 1;
    }

    /// Returns how long no fault has been on.
    pub(crate) const fn calm_for(&self, now: Us) -> Us {
        now.saturating_sub(self.over_at)
    }

    /// Returns when the last fault known so far is over.
    pub(crate) const fn over_at(&self) -> Us {
        self.over_at
    }
}
