//! Leaves: members that go, and whom that is announced to.

use super::PageState;
use crate::page::absent::AbsentMember;
use crate::page::io::{Env, Output};
use crate::page::member::{Departure, Seat};
use crate::page::roster::Member;
use crate::protocol::cause::Cause;
use crate::protocol::close::Close;
use crate::protocol::id::{PeerId, SessionId};
use crate::protocol::outgoing::{self, Leave};

impl PageState {
    /// Handles [`Input::SocketClosed`](crate::page::Input::SocketClosed): a member may have left.
    pub(super) fn socket_closed(
        &mut self,
        env: Env<'_>,
        session: SessionId,
        departure: Departure,
        out: &mut Vec<Output>,
    ) {
        let Some(seat) = self.roster.seat_of_session(session) else {
            return self.pending_joins.forget(session);
        };
        if self.has_said_leave(env, seat) {
            self.depart(env, seat, Departure::Goodbye, out);
        } else if departure == Departure::GoingAway {
            self.begin_grace(env, seat, out);
        } else {
            self.depart(env, seat, departure, out);
        }
    }

    /// Closes the session of a member and removes the member.
    pub(super) fn dismiss(
        &mut self,
        env: Env<'_>,
        session: SessionId,
        close: Close,
        departure: Departure,
        out: &mut Vec<Output>,
    ) {
        if let Some(seat) = self.roster.seat_of_session(session) {
            out.push(Output::dismiss(session, close));
            self.depart(env, seat, departure, out);
        }
    }

    /// Handles [`Input::Kick`](crate::page::Input::Kick): removes the holder of an id for good.
    pub(super) fn kick(&mut self, env: Env<'_>, id: &PeerId, out: &mut Vec<Output>) {
        if let Some(pending) = self.pending_joins.take(id) {
            out.push(Output::dismiss(pending.session, Close::Kicked));
        }
        if let Some(session) = self.session_of(id) {
            self.dismiss(env, session, Close::Kicked, Departure::Expelled, out);
        }
        self.end_absence(id, out);
    }

    /// Removes a member. If it hosted, the next host is announced before anything else: all wait
    /// for it.
    pub(super) fn depart(
        &mut self,
        env: Env<'_>,
        seat: Seat,
        departure: Departure,
        out: &mut Vec<Output>,
    ) {
        let Some(member) = self.remove(env, seat, departure, out) else { return };
        self.settle(env, out);
        self.release(env, member, departure, out);
    }

    /// Sends away members that no present member may host. Returns them, to be released after the
    /// next host is announced.
    pub(super) fn dismiss_hostless(&mut self, env: Env<'_>, out: &mut Vec<Output>) -> Vec<Member> {
        let has_host_of =
            |group: u32| self.roster.iter().any(|(_, m)| m.rights().host && m.group() >= group);
        let (any, grouped) = (has_host_of(0), self.roster.group_members() == 0 || has_host_of(1));
        if any && grouped {
            return Vec::new(); // without a look at each member: the next host waits for this
        }
        let is_hostless = |m: &Member| !any || (m.is_group_member() && !grouped);
        let hostless: Vec<_> = self
            .roster
            .iter()
            .filter(|(_, m)| is_hostless(m))
            .map(|(seat, m)| (seat, m.session()))
            .collect();
        let send_away = |(seat, session)| {
            out.push(Output::dismiss(session, Close::NoHost));
            self.remove(env, seat, Departure::Lost, out)
        };
        hostless.into_iter().filter_map(send_away).collect()
    }

    /// Removes a member from all parts.
    fn remove(
        &mut self,
        env: Env<'_>,
        seat: Seat,
        departure: Departure,
        out: &mut Vec<Output>,
    ) -> Option<Member> {
        self.expand_announcement(out);
        let member = self.roster.remove(seat)?;
        let session = member.session();
        self.member_moved(env, seat);
        self.profiles.forget(seat);
        if self.going_away.end(seat) {
            out.retain(|output| output.receiver() != Some(session));
        }
        if self.roster.is_empty() {
            self.silence.stop();
        }
        out.push(Output::Left { session, id: member.id().clone(), departure });
        if self.term.host() == Some(seat) {
            match departure {
                _ if self.is_draining => self.term.vacate(),
                Departure::Silent => self.term.open(Cause::Timeout),
                Departure::Goodbye
                | Departure::GoingAway
                | Departure::Disconnected
                | Departure::Lost
                | Departure::Expelled => self.term.open(Cause::Left),
            }
        }
        Some(member)
    }

    /// Keeps the id of a removed member for its return, or announces that the member is gone.
    /// Admits the newcomer that waits for the id.
    pub(super) fn release(
        &mut self,
        env: Env<'_>,
        member: Member,
        departure: Departure,
        out: &mut Vec<Output>,
    ) {
        let (id, token, contacts, profile) = member.into_parts();
        // a newcomer that waits for the id shows that the member does not come back
        let newcomer = self.pending_joins.take(&id);
        let absent = AbsentMember {
            token,
            contacts,
            is_announced: departure != Departure::Disconnected || self.is_named(),
            is_lost: departure.is_loss() && newcomer.is_none(),
            profile,
            is_awaited: false,
            is_known: true,
            is_news: false,
        };
        let is_kept = departure.may_return(!self.is_named())
            // a host that is yet to resume has to hear of the leave as well
            || self.term.is_recovering();
        if is_kept && !self.is_draining {
            self.absent.insert(id, env.now, self.rules.return_after, absent);
        } else {
            self.announce_leave(&id, &absent, out);
        }
        if let Some(newcomer) = newcomer {
            self.admit(env, newcomer, out);
        }
    }

    /// Tells the contacts of a member, and the host, that the member is gone for good.
    pub(super) fn announce_leave(&self, id: &PeerId, absent: &AbsentMember, out: &mut Vec<Output>) {
        if self.is_draining || !absent.is_announced {
            return;
        }
        let is_lost = absent.is_lost && self.is_named();
        let frame = outgoing::leave(id, if is_lost { Leave::Lost } else { Leave::Known });
        let host = self.host_member().map(Member::session);
        let contacts = absent.contacts.iter().filter_map(|id| self.session_of(id));
        let receivers = contacts.filter(|session| Some(*session) != host).chain(host);
        out.extend(receivers.map(|to| Output::RosterChange { to, frame: frame.clone() }));
    }

    /// Handles [`Input::Drain`](crate::page::Input::Drain): asks all clients to come back, the host
    /// first.
    pub(super) fn drain(&mut self, out: &mut Vec<Output>) {
        self.is_draining = true;
        self.going_away.clear();
        let host = self.term.host();
        let others = self.roster.iter().filter(|(seat, _)| Some(*seat) != host).map(|(_, m)| m);
        let members = self.host_member().into_iter().chain(others).map(Member::session);
        let pending = self.pending_joins.iter().map(|request| request.session);
        out.extend(members.chain(pending).map(|session| Output::dismiss(session, Close::Restart)));
        self.pending_joins.clear();
        // no member is announced as gone any more
        self.absent.clear();
    }
}
