//! The watch over the other nodes: whose counter stands still is dead.
//!
//! Only the own monotonic clock counts. A counter that is seen in an answer moved at the latest
//! when that answer came; one that is seen again stood still at least until that look was asked.
//! The time in between is what counts, so that neither a freeze of this process nor a slow answer
//! makes it longer.
//!
//! While the registry does not answer, nobody can renew. After a pause of the looks the watch
//! begins anew: when a registry that hung goes on, it may carry out a look before the renewals that
//! wait beside it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::NodeId;
use super::registry::View;
use crate::time::Time;

/// Interval of looks. Looks once a second would find 4 % of deaths later than 3.5 s after them.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Time for which a counter stands still until its node is buried.
const DEAD_AFTER: Duration = Duration::from_secs(5);
/// The same for a node whose inbox nobody is subscribed to: its process is gone, or both of its
/// connections are.
const UNHEARD_AFTER: Duration = Duration::from_millis(2200);
/// Longest time for a look, and between two, after which counters may have stood still because the
/// registry did.
const MAX_PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy)]
struct Seen {
    counter: u64,
    /// When the counter was first seen.
    since: Time,
}

/// One node's view of the others' counters.
#[derive(Debug)]
pub struct Watch {
    seen: BTreeMap<NodeId, Seen>,
    /// When the look under way was asked.
    asked: Option<Time>,
    /// When the last look was answered.
    answered: Option<Time>,
    due: Time,
}

impl Watch {
    /// Returns a watch that has seen nobody.
    #[must_use]
    pub const fn new(now: Time) -> Self {
        Self { seen: BTreeMap::new(), asked: None, answered: None, due: now }
    }

    /// Begins anew: nobody's counter has stood still yet.
    pub fn begin_anew(&mut self) {
        self.seen.clear();
    }

    /// Returns whether a look is to be asked at `now`, and notes that it is.
    pub fn ask(&mut self, now: Time) -> bool {
        let is_due = self.asked.is_none() && self.due <= now;
        if is_due {
            self.asked = Some(now);
            self.due = now.plus(LOOK_EVERY);
        }
        is_due
    }

    /// The next look is due.
    pub const fn hurry(&mut self, now: Time) {
        self.due = now;
    }

    /// The look under way is lost.
    pub const fn lost(&mut self) {
        self.asked = None;
    }

    /// Returns when [`Self::ask`] is due, if no look is under way.
    #[must_use]
    pub const fn next_deadline(&self) -> Option<Time> {
        if self.asked.is_none() { Some(self.due) } else { None }
    }

    /// Takes the answer to the look under way, at `now`. Returns the nodes but `own` that are dead,
    /// with the counter that stood still.
    pub fn look(
        &mut self,
        now: Time,
        own: NodeId,
        view: &View,
        listening: &[NodeId],
    ) -> Vec<(NodeId, u64)> {
        let Some(asked) = self.asked.take() else { return Vec::new() };
        let paused = self.answered.is_none_or(|answered| asked.since(answered) > MAX_PAUSE);
        self.answered = Some(now);
        if paused || now.since(asked) > MAX_PAUSE {
            self.seen.clear();
        }
        self.seen.retain(|node, _| view.get(*node).is_some());
        let mut dead = Vec::new();
        for one in view.nodes.iter().filter(|one| one.node != own) {
            let fresh = Seen { counter: one.counter, since: now };
            let seen = self.seen.entry(one.node).or_insert(fresh);
            if seen.counter != one.counter {
                *seen = fresh;
            }
            let is_heard = listening.contains(&one.node);
            let limit = if is_heard { DEAD_AFTER } else { UNHEARD_AFTER };
            if asked.since(seen.since) >= limit {
                dead.push((one.node, one.counter));
            }
        }
        dead
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::fingerprint::Fingerprint;
    use crate::cluster::registry::{Registered, Standing};
    use crate::cluster::{Generation, Slot};
    use crate::protocol::id::Epoch;

    const OWN: NodeId = NodeId(1);
    const OTHER: NodeId = NodeId(2);

    fn view(counter: u64) -> View {
        let one = |node, counter| Registered {
            node,
            counter,
            slot: Some(Slot(0)),
            version: 1,
            epoch: Epoch(0),
            standing: Standing::Settled,
            settings: Fingerprint::NONE,
            address: None,
        };
        let nodes = vec![one(OWN, 0), one(OTHER, counter)];
        View { generation: Generation("a".into()), renewals: 0, nodes }
    }

    /// Looks every 250 ms from `from` to `to`, at a counter that stands still. Returns when the
    /// other node is first found dead.
    fn dies(watch: &mut Watch, from: u64, to: u64, listening: &[NodeId]) -> Option<u64> {
        (from..to).step_by(250).find(|at| {
            assert!(watch.ask(Time(*at)), "{at}");
            let dead = watch.look(Time(at + 1), OWN, &view(7), listening);
            assert!(dead.is_empty() || dead == [(OTHER, 7)]);
            !dead.is_empty()
        })
    }

    #[test]
    fn a_counter_that_stands_still_is_dead_after_5_s_or_2_2_s_if_unheard() {
        let mut watch = Watch::new(Time(0));
        assert_eq!(dies(&mut watch, 0, 9000, &[OWN, OTHER]), Some(5250));
        let mut watch = Watch::new(Time(0));
        assert_eq!(dies(&mut watch, 0, 9000, &[OWN]), Some(2250));
        watch.ask(Time(2500));
        assert_eq!(watch.look(Time(2501), OWN, &view(8), &[]), [], "the counter moves");
    }

    #[test]
    fn looks_that_pause_or_hang_and_another_generation_begin_anew() {
        let mut watch = Watch::new(Time(0));
        assert_eq!(dies(&mut watch, 0, 2000, &[]), None);
        assert_eq!(dies(&mut watch, 3000, 5250, &[]), None, "the look at 3000 begins anew");
        assert!(dies(&mut watch, 5250, 9000, &[]).is_some());

        let mut watch = Watch::new(Time(0));
        assert_eq!(dies(&mut watch, 0, 2000, &[]), None);
        watch.ask(Time(2000));
        assert_eq!(watch.look(Time(3200), OWN, &view(7), &[]), []);
        assert_eq!(dies(&mut watch, 3250, 5250, &[]), None, "the registry hung");

        let mut watch = Watch::new(Time(0));
        assert_eq!(dies(&mut watch, 0, 2000, &[]), None);
        watch.begin_anew();
        assert_eq!(dies(&mut watch, 2000, 4250, &[]), None);
    }

    #[test]
    fn one_look_at_a_time() {
        let mut watch = Watch::new(Time(0));
        assert!(watch.ask(Time(0)));
        assert!(!watch.ask(Time(300)));
        watch.lost();
        assert_eq!(watch.next_deadline(), Some(Time(250)));
        assert!(watch.ask(Time(300)));
    }
}
