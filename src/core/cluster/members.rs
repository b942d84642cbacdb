//! The members of the cluster, as one node sees them.
//!
//! In a young generation a node that has not registered again is *awaited*: it is a member like
//! before. When the generation comes of age, it counts as buried.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::registry::{Standing, View};
use super::{NodeId, Slot};
use crate::time::Time;

/// Time within which losses count together.
const LOSS_WINDOW: Duration = Duration::from_secs(10);
/// Time for which a node that has lost half of the cluster goes on as `ALONE`.
const ABANDONED_FOR: Duration = Duration::from_secs(600);
/// Time for which a node that has gone is remembered.
const GONE_FOR: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy)]
struct Member {
    slot: Option<Slot>,
    is_leaving: bool,
    /// Whether the member has not registered in this generation.
    is_awaited: bool,
    /// Whether the link to it is not known to be broken.
    is_linked: bool,
}

/// How the membership has changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Nodes that are new.
    pub joined: Vec<NodeId>,
    /// Nodes that have gone, and whether they had said that they leave.
    pub gone: Vec<(NodeId, bool)>,
}

/// The other nodes and this one.
#[derive(Debug, Default)]
pub struct Members {
    members: BTreeMap<NodeId, Member>,
    /// When nodes have gone, for a minute.
    gone: BTreeMap<NodeId, Time>,
    /// When a node was lost, and how many there were before.
    losses: VecDeque<(Time, usize)>,
    /// Until when the node counts as abandoned, and how many must be there before that.
    abandoned: Option<(Time, usize)>,
}

impl Members {
    /// Takes a view of the membership. In a young generation nobody goes.
    pub fn update(&mut self, now: Time, view: &View, is_young: bool) -> Changes {
        let mut changes = Changes::default();
        for one in &view.nodes {
            let member = self.members.entry(one.node).or_insert_with(|| {
                changes.joined.push(one.node);
                Member { slot: None, is_leaving: false, is_awaited: false, is_linked: true }
            });
            member.slot = one.slot;
            member.is_leaving = one.standing == Standing::Leaving;
            member.is_awaited = false;
            self.gone.remove(&one.node);
        }
        for (node, member) in &mut self.members {
            member.is_awaited |= view.get(*node).is_none();
        }
        if !is_young {
            changes.gone = self.bury_awaited(now);
        }
        if self.abandoned.is_some_and(|(_, size)| self.members.len() >= size) {
            self.abandoned = None;
            self.losses.clear();
        }
        changes
    }

    /// Takes off the members that have not registered.
    pub fn bury_awaited(&mut self, now: Time) -> Vec<(NodeId, bool)> {
        let size = self.members.len();
        let gone: Vec<_> = self
            .members
            .extract_if(.., |_, member| member.is_awaited)
            .map(|(node, member)| (node, member.is_leaving))
            .collect();
        self.gone.retain(|_, at| now.since(*at) < GONE_FOR);
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

    /// Takes off the node itself, which was buried. Links are begun anew.
    pub fn forget_own(&mut self, own: NodeId) {
        self.members.remove(&own);
        self.members.values_mut().for_each(|member| member.is_linked = true);
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

    /// Notes whether the link to a node is up.
    pub fn set_linked(&mut self, node: NodeId, is_up: bool) {
        if let Some(member) = self.members.get_mut(&node) {
            member.is_linked = is_up;
        }
    }

    /// Returns whether something can be sent to a node.
    #[must_use]
    pub fn is_linked(&self, node: NodeId) -> bool {
        self.members.get(&node).is_some_and(|member| member.is_linked)
    }

    /// Returns whether a node has gone within the last minute.
    #[must_use]
    pub fn has_just_gone(&self, now: Time, node: NodeId) -> bool {
        self.gone.get(&node).is_some_and(|at| now.since(*at) < GONE_FOR)
    }

    /// Returns whether half of the cluster was lost within ten seconds.
    #[must_use]
    pub fn is_abandoned(&self, now: Time) -> bool {
        self.abandoned.is_some_and(|(until, _)| now < until)
    }

    /// Returns until when the node counts as abandoned.
    #[must_use]
    pub fn abandoned_until(&self) -> Option<Time> {
        self.abandoned.map(|(until, _)| until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Generation;
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
        };
        let nodes = nodes.iter().map(one).collect();
        View { generation: Generation("a".into()), renewals: 0, nodes }
    }

    #[test]
    fn nobody_goes_while_a_generation_is_young() {
        let mut members = Members::default();
        let changes = members.update(Time(0), &view(&[1, 2, 3]), false);
        assert_eq!(changes.joined, [1, 2, 3].map(NodeId));
        members.await_all();
        assert!(members.contains(NodeId(2)) && !members.is_registered(NodeId(2)));
        let changes = members.update(Time(1), &view(&[1, 3]), true);
        assert_eq!(changes, Changes::default());
        assert!(members.is_registered(NodeId(3)));
        assert_eq!(members.slots().count(), 3);
        assert_eq!(members.bury_awaited(Time(5)), [(NodeId(2), false)]);
        assert!(!members.contains(NodeId(2)));
        assert!(members.has_just_gone(Time(60_004), NodeId(2)));
        assert!(!members.has_just_gone(Time(60_005), NodeId(2)));
    }

    #[test]
    fn who_loses_half_of_the_cluster_within_ten_seconds_is_abandoned() {
        for (second, is_abandoned) in [(9_999, true), (10_000, false)] {
            let mut members = Members::default();
            members.update(Time(0), &view(&[1, 2, 3, 4]), false);
            members.update(Time(0), &view(&[1, 2, 3]), false);
            assert!(!members.is_abandoned(Time(0)));
            members.update(Time(second), &view(&[1, 2]), false);
            assert_eq!(members.is_abandoned(Time(second)), is_abandoned);
        }
        let mut members = Members::default();
        members.update(Time(0), &view(&[1, 2, 98, 99]), false);
        members.update(Time(0), &view(&[1, 2]), false);
        assert!(!members.is_abandoned(Time(0)), "nodes that leave are not lost");
    }

    #[test]
    fn it_is_over_when_as_many_are_back_or_after_ten_minutes() {
        let mut members = Members::default();
        members.update(Time(0), &view(&[1, 2]), false);
        members.update(Time(0), &view(&[1]), false);
        assert!(members.is_abandoned(Time(599_999)) && !members.is_abandoned(Time(600_000)));
        members.update(Time(1), &view(&[1, 3]), false);
        assert!(!members.is_abandoned(Time(1)));
    }
}
