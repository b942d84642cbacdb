//! Ways to members on other nodes: which are down, and since when.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cluster::NodeId;
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
    /// When each way went down.
    down: BTreeMap<NodeId, Time>,
}

impl Ways {
    /// Notes that the way to `node` went down. A way that is down already stays down since then.
    pub fn goes_down(&mut self, node: NodeId, now: Time) {
        self.down.entry(node).or_insert(now);
    }

    /// Notes that the way to `node` is up. Returns whether it was down.
    pub fn comes_up(&mut self, node: NodeId) -> bool {
        self.down.remove(&node).is_some()
    }

    /// Returns whether a way is up.
    #[must_use]
    pub fn is_up(&self, way: Way) -> bool {
        self.down_since(way).is_none()
    }

    /// Returns whether nobody is judged over a way: it went down within the [`TRUCE`].
    #[must_use]
    pub fn has_truce(&self, way: Way, now: Time) -> bool {
        self.down_since(way).is_some_and(|since| now < since.plus(TRUCE))
    }

    /// Forgets the ways for which `is_used` does not hold.
    pub fn retain(&mut self, is_used: impl Fn(NodeId) -> bool) {
        self.down.retain(|node, _| is_used(*node));
    }

    /// Returns the nodes to which the way is down.
    pub fn down(&self) -> impl Iterator<Item = NodeId> {
        self.down.keys().copied()
    }

    fn down_since(&self, way: Way) -> Option<Time> {
        match way {
            Way::Local => None,
            Way::Node(node) => self.down.get(&node).copied(),
        }
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
        assert!(!ways.is_up(NEAR), "it stays down after the truce");
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
    }
}
