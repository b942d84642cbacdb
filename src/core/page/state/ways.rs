//! Members on other nodes: what their nodes report, and ways that go down and come up.

use super::PageState;
use crate::cluster::NodeId;
use crate::page::io::{Env, Output};
use crate::page::member::{Departure, Seat, Way};
use crate::page::roster::Member;
use crate::protocol::close::Close;
use crate::protocol::id::{PeerId, SessionId};

impl PageState {
    /// Returns whether members over `way` are judged. They are not while the way has a truce, unless
    /// more than half of all members suspect the host: then the page goes on without them.
    pub(super) fn is_judged(&self, env: Env<'_>, way: Way) -> bool {
        let suspecting = self.term.challenge().suspicions().len();
        !self.ways.has_truce(way, env.now) || suspecting * 2 > self.roster.len()
    }

    /// Returns whether the member on `seat` can be told something now: its socket is open, and the
    /// way to it is up.
    pub(super) fn is_in_touch(&self, seat: Seat) -> bool {
        !self.going_away.contains(seat) && self.has_way_to(seat)
    }

    /// Returns whether the way to the member on `seat` is up.
    pub(super) fn has_way_to(&self, seat: Seat) -> bool {
        self.roster.get(seat).is_some_and(|member| self.ways.is_up(member.way()))
    }

    /// Handles [`Input::Silent`](crate::page::Input::Silent). Of a member on this node nobody else
    /// reports.
    pub(super) fn dismiss_reported(
        &mut self,
        env: Env<'_>,
        session: SessionId,
        out: &mut Vec<Output>,
    ) {
        let Some((seat, member)) = self.roster.find_session(session) else { return };
        let way = member.way();
        if way != Way::Local && !self.going_away.contains(seat) && self.is_judged(env, way) {
            self.dismiss(env, session, Close::Timeout, Departure::Silent, out);
        }
    }

    /// Handles [`Input::WayDown`](crate::page::Input::WayDown).
    pub(super) fn way_down(&mut self, env: Env<'_>, node: NodeId, out: &mut Vec<Output>) {
        self.ways.goes_down(node, env.now);
        self.drop_questions(node, out);
    }

    /// Handles [`Input::WayUp`](crate::page::Input::WayUp).
    pub(super) fn way_up(&mut self, node: NodeId, out: &mut Vec<Output>) {
        if self.ways.comes_up(node) {
            self.drop_questions(node, out);
        }
    }

    /// Ends what waits for an answer of a member on `node`, because an answer may come too late
    /// without the member's fault. Whoever wants to know asks again: members that suspect the host,
    /// and newcomers that want an id in use.
    fn drop_questions(&mut self, node: NodeId, out: &mut Vec<Output>) {
        // who may follow the host, and who may stay deputy, has changed
        self.deputy.touch();
        self.term.challenge_mut().suspicions_mut().touch();
        let is_there = |member: &Member| member.way() == Way::Node(node);
        if self.host_member().is_some_and(is_there) {
            self.term.challenge_mut().cancel_probe();
        }
        let is_asked = |id: &PeerId| self.roster.find(id).is_some_and(|(_, m)| is_there(m));
        let ids = self.pending_joins.iter().map(|request| &request.id);
        let ids: Vec<_> = ids.filter(|id| is_asked(id)).cloned().collect();
        for newcomer in ids.iter().filter_map(|id| self.pending_joins.take(id)) {
            out.push(Output::dismiss(newcomer.session, Close::Internal));
        }
    }
}
