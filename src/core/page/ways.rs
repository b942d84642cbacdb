//! Ways to members on other nodes: which are down, and since when.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cluster::NodeId;
use crate::page::deadline_map::DeadlineMap;
use crate::page::member::Way;
use crate::time::Time;

/// How long nobody is judged over a way that is down. A node that is lost is buried by then. A way
/// that stays down for longer keeps no member in office any more.
pub const TRUCE: Duration = Duration::from_secs(60);

/// The ways that are down.
///
/// Over such a way nothing is heard of its members, and that is not their fault. For the
/// [`TRUCE`] they are not judged. After it they are judged by what others say of them.
#[derive(Debug, Default)]
pub struct Ways {
    down: BTreeSet<NodeId>,
    /// Until when each way has its truce.
    truces: DeadlineMap<NodeId, ()>,
}

impl Ways {
    /// Notes that the way to `node` went down. A way that is down already stays down since then.
    pub fn goes_down(&mut self, node: NodeId, now: Time) {
        if self.down.insert(node) {
            self.truces.insert(node, now.plus(TRUCE), ());
        }
    }

    /// Notes that the way to `node` is up. Returns whether it was down.
    pub fn comes_up(&mut self, node: NodeId) -> bool {
        self.truces.take(&node);
        self.down.remove(&node)
    }

    /// Returns whether a way is up.
    #[must_use]
    pub fn is_up(&self, way: Way) -> bool {
        match way {
            Way::Local => true,
            Way::Node(node) => !self.down.contains(&node),
        }
    }

    /// Returns whether nobody is judged over a way: it went down within the [`TRUCE`].
    #[must_use]
    pub fn has_truce(&self, way: Way, now: Time) -> bool {
        match way {
            Way::Local => false,
            Way::Node(node) => self.truces.get(&node).is_some_and(|(until, ())| now < until),
        }
    }

    /// Ends the truces that are over at `now`.
    pub fn end_truces(&mut self, now: Time) {
        while self.truces.take_due(now).is_some() {}
    }

    /// Returns when the next truce ends.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.truces.next_deadline()
    }

    /// Forgets the ways for which `is_used` does not hold.
    pub fn retain(&mut self, is_used: impl Fn(NodeId) -> bool) {
        let unused: Vec<_> = self.down().filter(|node| !is_used(*node)).collect();
        for node in unused {
            self.comes_up(node);
        }
    }

    /// Returns the nodes to which the way is down.
    pub fn down(&self) -> impl Iterator<Item = NodeId> {
        self.down.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEAR: Way = Way::Node(NodeId(1));
    const FAR: Way = Way::Node(NodeId(2));

    #[test]
    fn a_truce_lasts_from_when_the_way_first_went_down() {
        let mut ways = Ways::default();
        ways.goes_down(NodeId(1), Time(1000));
        ways.goes_down(NodeId(1), Time(50_000));
        assert!(ways.has_truce(NEAR, Time(60_999)) && !ways.has_truce(NEAR, Time(61_000)));
        assert_eq!(ways.next_deadline(), Some(Time(61_000)));
        ways.end_truces(Time(61_000));
        assert_eq!((ways.next_deadline(), ways.is_up(NEAR)), (None, false), "it stays down");
        for way in [FAR, Way::Local] {
            assert!(ways.is_up(way) && !ways.has_truce(way, Time(2000)));
        }
        assert!(ways.comes_up(NodeId(1)) && !ways.comes_up(NodeId(1)));
        assert!(ways.is_up(NEAR) && !ways.has_truce(NEAR, Time(2000)));
        ways.goes_down(NodeId(1), Time(70_000));
        assert!(ways.has_truce(NEAR, Time(129_999)), "each time has its own truce");
    }

    #[test]
    fn a_way_that_nobody_uses_is_forgotten() {
        let mut ways = Ways::default();
        [1, 2].into_iter().for_each(|node| ways.goes_down(NodeId(node), Time(0)));
        ways.retain(|node| node == NodeId(2));
        assert_eq!(ways.down().collect::<Vec<_>>(), [NodeId(2)]);
        assert!(ways.is_up(NEAR) && !ways.is_up(FAR));
        ways.retain(|_| false);
        assert_eq!(ways.next_deadline(), None);
    }
}
