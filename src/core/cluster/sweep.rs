//! Records of nodes that are gone, found by scan and removed ten minutes later. Until then a record
//! tells the page's next node above which epoch to begin.
//!
//! What is remembered are the nodes, not the records: a node that was first seen gone ten minutes
//! ago has its records removed as they are found.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::NodeId;
use crate::time::Time;

/// Time from the first record of a gone node that is seen to the removal of its records.
const KEEP: Duration = Duration::from_secs(600);
/// Pause between two scans.
const PAUSE: Duration = Duration::from_secs(60);
/// Pause between two steps of a scan.
const STEP: Duration = Duration::from_millis(50);
/// Most nodes that are remembered.
const MOST_NODES: usize = 4096;

/// The scan for records of nodes that are gone.
#[derive(Debug)]
pub struct Sweep {
    cursor: u64,
    /// When a record of a gone node was first seen.
    gone: BTreeMap<NodeId, Time>,
    /// The gone nodes of which this scan has seen records.
    seen: BTreeSet<NodeId>,
    is_under_way: bool,
    due: Time,
}

impl Sweep {
    /// Returns a sweep that begins its first scan after a pause.
    #[must_use]
    pub const fn new(now: Time) -> Self {
        Self {
            cursor: 0,
            gone: BTreeMap::new(),
            seen: BTreeSet::new(),
            is_under_way: false,
            due: now.plus(PAUSE),
        }
    }

    /// Returns where to scan on, if a step is due, and notes that it is asked.
    pub fn ask(&mut self, now: Time) -> Option<u64> {
        let is_due = !self.is_under_way && self.due <= now;
        self.is_under_way |= is_due;
        is_due.then_some(self.cursor)
    }

    /// This node is not the one that sweeps, or cannot now: the scan begins anew after a pause.
    pub fn skip(&mut self, now: Time) {
        self.lost(now);
        self.due = now.plus(PAUSE);
    }

    /// The step under way is lost.
    pub fn lost(&mut self, now: Time) {
        self.is_under_way = false;
        self.cursor = 0;
        self.seen.clear();
        self.due = now.plus(STEP);
    }

    /// A record of a gone node was found. Returns whether it is to be removed.
    pub fn found(&mut self, now: Time, node: NodeId) -> bool {
        if self.gone.len() >= MOST_NODES && !self.gone.contains_key(&node) {
            return false;
        }
        self.seen.insert(node);
        now.since(*self.gone.entry(node).or_insert(now)) >= KEEP
    }

    /// The step under way is done. `cursor` says where to go on; 0 ends the scan.
    pub fn stepped(&mut self, now: Time, cursor: u64) {
        self.is_under_way = false;
        self.cursor = cursor;
        self.due = now.plus(if cursor == 0 { PAUSE } else { STEP });
        if cursor == 0 {
            let seen = std::mem::take(&mut self.seen);
            self.gone.retain(|node, _| seen.contains(node));
        }
    }

    /// Returns when [`Self::ask`] is due, if no step is under way.
    #[must_use]
    pub const fn next_deadline(&self) -> Option<Time> {
        if self.is_under_way { None } else { Some(self.due) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_a_gone_node_are_removed_ten_minutes_after_the_first_was_seen() {
        let mut sweep = Sweep::new(Time(0));
        let (mut removed, mut now) = (None, Time(0));
        while removed.is_none() {
            now = sweep.next_deadline().unwrap();
            assert_eq!(sweep.ask(now), Some(0));
            assert_eq!(sweep.ask(now), None, "one step at a time");
            removed = sweep.found(now, NodeId(7)).then_some(now);
            sweep.stepped(now, 0);
        }
        assert_eq!(removed, Some(Time(660_000)));
        sweep.ask(now.plus(PAUSE));
        sweep.stepped(now.plus(PAUSE), 0);
        assert!(!sweep.found(now, NodeId(7)), "the node was forgotten with its last record");
    }
}
