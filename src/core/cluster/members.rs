//! The members of the cluster, as one node sees them.
//!
//! In a young generation a node that has not registered again is *awaited*: it is a member like
//! before. When the generation comes of age, it counts as buried.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::registry::{Standing, View};
use super::{NodeId, Slot};
use crate::time::Time;

/// Time within which losses count together.
const LOSS_WINDOW: Duration = Duration::from_secs(10);
/// Time for which a node that has lost half of the cluster goes on as `ALONE`.
const ABANDONED_FOR: Duration = Duration::from_secs(600);
/// Time for which a node that has gone is remembered.
const GONE_FOR: Duration = Duration::from_secs(600);
/// Time for which the record of a node that has gone says who hosts.
const HINT_FOR: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
struct Member {
    slot: Option<Slot>,
    is_leaving: bool,
    /// Whether the member has not registered in this generation.
    is_awaited: bool,
    /// Whether the link to it is not known to be broken.
    is_linked: bool,
    /// Whether it has other settings than this node, or speaks another version.
    is_different: bool,
    /// The URL at which it is reached without the registry.
    address: Option<Arc<str>>,
}

/// How the membership has changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Nodes that are new, but this one.
    pub joined: Vec<NodeId>,
    /// Nodes that counted as buried and have registered again, with their counters.
    pub revenants: Vec<(NodeId, u64)>,
    /// Nodes that have gone, and whether they had said that they leave.
    pub gone: Vec<(NodeId, bool)>,
}

/// The other nodes and this one.
#[derive(Debug, Default)]
pub struct Members {
    members: BTreeMap<NodeId, Member>,
    /// When nodes have gone.
    gone: BTreeMap<NodeId, Time>,
    /// When a node was lost, and how many there were before.
    losses: VecDeque<(Time, usize)>,
    /// Until when the node counts as abandoned, and how many must be there before that.
    abandoned: Option<(Time, usize)>,
}

impl Members {
    /// Takes a view of the membership, which this node, `own`, belongs to. In a young generation
    /// nobody goes.
    pub fn update(&mut self, now: Time, view: &View, own: NodeId, is_young: bool) -> Changes {
        let mut changes = Changes::default();
        self.gone.retain(|_, at| now.since(*at) < GONE_FOR);
        for one in &view.nodes {
            if self.gone.contains_key(&one.node) {
                changes.revenants.push((one.node, one.counter));
                continue;
            }
            let member = self.members.entry(one.node).or_insert_with(|| {
                changes.joined.extend(Some(one.node).filter(|node| *node != own));
                Member {
                    slot: None,
                    is_leaving: false,
                    is_awaited: false,
                    is_linked: true,
                    is_different: false,
                    address: one.address.clone(),
                }
            });
            member.slot = one.slot;
            member.is_leaving = one.standing == Standing::Leaving;
            member.is_awaited = false;
        }
        for (node, member) in &mut self.members {
            member.is_awaited |= view.get(*node).is_none();
        }
        if !is_young {
            changes.gone = self.bury_awaited(now, own);
        }
        if self.abandoned.is_some_and(|(_, size)| self.members.len() >= size) {
            self.abandoned = None;
            self.losses.clear();
        }
        changes
    }

    /// Takes off the members that have not registered, but this node. Returns them, and whether
    /// they had said that they leave.
    pub fn bury_awaited(&mut self, now: Time, own: NodeId) -> Vec<(NodeId, bool)> {
        let size = self.members.len();
        let is_gone = |node: NodeId, member: &Member| member.is_awaited && node != own;
        let gone = self.members.iter().filter(|(node, member)| is_gone(**node, member));
        let gone: Vec<_> = gone.map(|(node, member)| (*node, member.is_leaving)).collect();
        self.members.retain(|node, member| !is_gone(*node, member));
        self.gone.extend(gone.iter().map(|(node, _)| (*node, now)));
        let lost = gone.iter().filter(|(_, has_left)| !has_left).count();
        self.losses.retain(|(at, _)| now.since(*at) < LOSS_WINDOW);
        self.losses.extend(std::iter::repeat_n((now, size), lost));
        let before = self.losses.iter().map(|(_, size)| *size).max().unwrap_or(0);
        if lost > 0 && self.losses.len() * 2 >= before {
            let size = self.abandoned.map_or(before, |(_, size)| size.max(before));
            self.abandoned = Some((now.plus(ABANDONED_FOR), size));
        }
        gone
    }

    /// The registry begins another generation: everybody is awaited.
    pub fn await_all(&mut self) {
        self.members.values_mut().for_each(|member| member.is_awaited = true);
    }

    /// The node itself, `own`, was buried. It begins anew, as another one.
    pub fn begin_anew(&mut self, now: Time, own: NodeId) {
        self.members.clear();
        self.losses.clear();
        self.abandoned = None;
        self.gone.insert(own, now);
    }

    /// Returns whether a node is a member.
    #[must_use]
    pub fn contains(&self, node: NodeId) -> bool {
        self.members.contains_key(&node)
    }

    /// Returns whether a node has registered in this generation.
    #[must_use]
    pub fn is_registered(&self, node: NodeId) -> bool {
        self.members.get(&node).is_some_and(|member| !member.is_awaited)
    }

    /// Returns all members, by number.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.members.keys().copied()
    }

    /// Returns the members and the slots that they hold.
    pub fn slots(&self) -> impl Iterator<Item = (NodeId, Slot)> {
        self.members.iter().filter_map(|(node, member)| Some((*node, member.slot?)))
    }

    /// Returns the members, and the URLs at which they are reached without the registry.
    pub fn addresses(&self) -> impl Iterator<Item = (NodeId, Option<&Arc<str>>)> {
        self.members.iter().map(|(node, member)| (*node, member.address.as_ref()))
    }

    /// Notes whether the link to a node is up.
    pub fn set_linked(&mut self, node: NodeId, is_up: bool) {
        if let Some(member) = self.members.get_mut(&node) {
            member.is_linked = is_up;
        }
    }

    /// Notes that a node has other settings than this one, or speaks another version.
    pub fn set_different(&mut self, node: NodeId) {
        if let Some(member) = self.members.get_mut(&node) {
            member.is_different = true;
        }
    }

    /// Returns the number of nodes that have other settings or speak another version.
    #[must_use]
    pub fn different(&self) -> usize {
        self.members.values().filter(|member| member.is_different).count()
    }

    /// Returns whether something can be sent to a node.
    #[must_use]
    pub fn is_linked(&self, node: NodeId) -> bool {
        self.members.get(&node).is_some_and(|member| member.is_linked)
    }

    /// Returns whether a node has gone within the last minute.
    #[must_use]
    pub fn has_just_gone(&self, now: Time, node: NodeId) -> bool {
        self.gone.get(&node).is_some_and(|at| now.since(*at) < HINT_FOR)
    }

    /// Returns whether a node has gone, as far as is remembered.
    #[must_use]
    pub fn has_gone(&self, node: NodeId) -> bool {
        self.gone.contains_key(&node)
    }

    /// Returns whether half of the cluster was lost within ten seconds.
    #[must_use]
    pub const fn is_abandoned(&self) -> bool {
        self.abandoned.is_some()
    }

    /// Notes the time.
    pub fn tick(&mut self, now: Time) {
        self.abandoned.take_if(|(until, _)| *until <= now);
    }

    /// Returns when [`Self::tick`] is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.abandoned.map(|(until, _)| until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Generation;
    use crate::cluster::fingerprint::Fingerprint;
    use crate::cluster::registry::Registered;
    use crate::protocol::id::Epoch;

    fn view(nodes: &[u64]) -> View {
        let one = |node: &u64| Registered {
            node: NodeId(*node),
            counter: 0,
            slot: u8::try_from(*node).ok().map(Slot),
            version: 1,
            epoch: Epoch(0),
            standing: if *node > 90 { Standing::Leaving } else { Standing::Settled },
            settings: Fingerprint::NONE,
            address: None,
        };
        let nodes = nodes.iter().map(one).collect();
        View { generation: Generation("a".into()), renewals: 0, nodes }
    }

    const OWN: NodeId = NodeId(1);

    #[test]
    fn nobody_goes_while_a_generation_is_young() {
        let mut members = Members::default();
        let changes = members.update(Time(0), &view(&[1, 2, 3]), OWN, false);
        assert_eq!(changes.joined, [2, 3].map(NodeId));
        members.await_all();
        assert!(members.contains(NodeId(2)) && !members.is_registered(NodeId(2)));
        let changes = members.update(Time(1), &view(&[3]), OWN, true);
        assert_eq!(changes, Changes::default());
        assert!(members.is_registered(NodeId(3)));
        assert_eq!(members.slots().count(), 3);
        assert_eq!(members.bury_awaited(Time(5), OWN), [(NodeId(2), false)], "and not oneself");
        assert!(!members.contains(NodeId(2)));
        assert!(members.has_just_gone(Time(60_004), NodeId(2)));
        assert!(!members.has_just_gone(Time(60_005), NodeId(2)));
    }

    #[test]
    fn who_has_gone_does_not_come_back_by_that_number() {
        let mut members = Members::default();
        members.update(Time(0), &view(&[1, 2]), OWN, false);
        members.update(Time(0), &view(&[1]), OWN, false);
        let changes = members.update(Time(1), &view(&[1, 2]), OWN, false);
        assert_eq!((changes.joined, changes.revenants), (vec![], vec![(NodeId(2), 0)]));
        assert!(!members.contains(NodeId(2)));
    }

    #[test]
    fn who_loses_half_of_the_cluster_within_ten_seconds_is_abandoned() {
        for (second, is_abandoned) in [(9_999, true), (10_000, false)] {
            let mut members = Members::default();
            members.update(Time(0), &view(&[1, 2, 3, 4]), OWN, false);
            members.update(Time(0), &view(&[1, 2, 3]), OWN, false);
            assert!(!members.is_abandoned());
            members.update(Time(second), &view(&[1, 2]), OWN, false);
            assert_eq!(members.is_abandoned(), is_abandoned);
        }
        let mut members = Members::default();
        members.update(Time(0), &view(&[1, 2, 98, 99]), OWN, false);
        members.update(Time(0), &view(&[1, 2]), OWN, false);
        assert!(!members.is_abandoned(), "nodes that leave are not lost");
    }

    #[test]
    fn it_is_over_when_as_many_are_back_or_after_ten_minutes() {
        let mut members = Members::default();
        members.update(Time(0), &view(&[1, 2]), OWN, false);
        members.update(Time(0), &view(&[1]), OWN, false);
        members.tick(Time(599_999));
        assert!(members.is_abandoned());
        members.tick(Time(600_000));
        assert!(!members.is_abandoned());
        members.update(Time(600_001), &view(&[1, 3]), OWN, false);
        members.update(Time(600_002), &view(&[1]), OWN, false);
        assert!(members.is_abandoned());
        members.update(Time(600_003), &view(&[1, 4]), OWN, false);
        assert!(!members.is_abandoned());
    }
}
