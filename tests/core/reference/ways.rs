//! Members on other nodes, and ways that go down and come up.

use peerstar_core::cluster::NodeId;
use peerstar_core::page::member::{Departure, Way};
use peerstar_core::protocol::id::SessionId;

use super::{Model, Person, TRUCE};

impl Model {
    pub(super) fn is_up(&self, way: Way) -> bool {
        !self.down.keys().any(|node| Way::Node(*node) == way)
    }

    /// Nobody is judged for a minute over a way that is down, unless most suspect the host.
    pub(super) fn is_judged(&self, way: Way) -> bool {
        let recent =
            |(node, since): (&NodeId, &u64)| Way::Node(*node) == way && self.now < since + TRUCE;
        self.doubting.len() * 2 > self.here.len() || !self.down.iter().any(recent)
    }

    pub(super) fn is_in_touch(&self, person: &Person) -> bool {
        !self.is_leaving(person.session) && self.is_up(person.way)
    }

    pub(crate) fn way_down(&mut self, node: NodeId) {
        self.down.entry(node).or_insert(self.now);
        self.end_questions(node);
    }

    pub(crate) fn way_up(&mut self, node: NodeId) {
        if self.down.remove(&node).is_some() {
            self.end_questions(node);
        }
    }

    fn end_questions(&mut self, node: NodeId) {
        self.changed = true;
        let there: Vec<_> =
            self.here.iter().filter(|p| p.way == Way::Node(node)).map(|p| p.id.clone()).collect();
        if self.host.as_ref().is_some_and(|host| there.contains(host)) {
            self.probe = None;
        }
        let (closed, pending) = self.pending.drain(..).partition(|(p, _)| there.contains(&p.id));
        self.pending = pending;
        let closed: Vec<(Person, u64)> = closed;
        closed.iter().for_each(|(p, _)| self.close(p.session, "internal"));
    }

    /// A way without members is forgotten.
    pub(crate) fn forget_ways(&mut self) {
        let here = &self.here;
        self.down.retain(|node, _| here.iter().any(|p| p.way == Way::Node(*node)));
    }

    pub(crate) fn reported_silent(&mut self, session: SessionId) {
        let Some(at) = self.here.iter().position(|p| p.session == session) else { return };
        let way = self.here[at].way;
        if way != Way::Local && !self.is_leaving(session) && self.is_judged(way) {
            self.close(session, "timeout");
            self.depart(at, Departure::Silent);
        }
    }

    pub(crate) fn reported(&mut self, session: SessionId, ran: bool) {
        let Some(at) = self.here.iter().position(|p| p.session == session) else { return };
        let (way, id) = (self.here[at].way, self.here[at].id.clone());
        if way == Way::Local || (!ran && !self.is_judged(way)) {
            return;
        }
        if ran {
            self.here[at].stalled_at = None;
        }
        let asked = self.host == Some(id) && self.probe.is_some();
        if asked {
            self.probe = None;
        }
        if asked && !ran {
            self.stalled(u64::MAX);
        }
    }

    /// Replaces a host that does not run: until it has sent more than `texts`.
    pub(super) fn stalled(&mut self, texts: u64) {
        let host = self.host.clone();
        let is_host = |p: &&mut Person| Some(&p.id) == host.as_ref();
        self.here.iter_mut().filter(is_host).for_each(|p| p.stalled_at = Some(texts));
        self.replace("stalled", None);
    }
}
