//! Who goes, and who is told that it is for good.

use crate::page::deadline_map::DeadlineMap;
use crate::page::member::{AbsentMember, Departure, Member, Seat};
use crate::protocol::cause::Cause;
use crate::protocol::close::Close;
use crate::protocol::id::{PeerId, SessionId};
use crate::protocol::outgoing;

use super::{Env, Output, PageState, refuse};

impl PageState {
    pub(super) fn gone(
        &mut self,
        outside: Env<'_>,
        session: SessionId,
        departure: Departure,
        out: &mut Vec<Output>,
    ) {
        match self.seat_of(session) {
            Some(seat) if self.has_said_leave(outside, seat) => {
                self.depart(outside, seat, Departure::Goodbye, out)
            }
            Some(seat) if departure == Departure::GoingAway => self.begin_grace(outside, seat, out),
            Some(seat) => self.depart(outside, seat, departure, out),
            None => self.held.forget(session),
        }
    }

    pub(super) fn dismiss(
        &mut self,
        outside: Env<'_>,
        session: SessionId,
        close: Close,
        departure: Departure,
        out: &mut Vec<Output>,
    ) {
        if let Some(seat) = self.seat_of(session) {
            refuse(session, close, out);
            self.depart(outside, seat, departure, out);
        }
    }

    pub(super) fn kick(&mut self, outside: Env<'_>, id: &PeerId, out: &mut Vec<Output>) {
        if let Some(held) = self.held.take(id) {
            refuse(held.session, Close::Kicked, out);
        }
        if let Some(session) = self.session_of(id) {
            self.dismiss(outside, session, Close::Kicked, Departure::Expelled, out);
        }
        self.await_no_more(id, out);
    }

    pub(super) fn depart(
        &mut self,
        outside: Env<'_>,
        seat: Seat,
        departure: Departure,
        out: &mut Vec<Output>,
    ) {
        let Some(member) = self.remove(outside, seat, departure, out) else { return };
        // the new host first: everybody waits for it
        self.settle(outside, out);
        self.see_off(outside, member, departure, out);
    }

    /// Those who may not host, and whom nobody that is here may host: sent away, and yet to be seen off.
    pub(super) fn strand(&mut self, outside: Env<'_>, out: &mut Vec<Output>) -> Vec<Member> {
        let leads = |group: u32| self.members.values().any(|m| m.rights.host && m.group >= group);
        let (anybody, group_member) = (leads(0), self.grouped == 0 || leads(1));
        if anybody && group_member {
            return Vec::new(); // without a look at each member: the next host waits for this
        }
        let is_stranded = |m: &Member| !anybody || (m.group > 0 && !group_member);
        let stranded: Vec<_> = self
            .members
            .iter()
            .filter(|(_, m)| is_stranded(m))
            .map(|(seat, m)| (*seat, m.session))
            .collect();
        let send_away = |(seat, session)| {
            refuse(session, Close::NoHost, out);
            self.remove(outside, seat, Departure::Lost, out)
        };
        stranded.into_iter().filter_map(send_away).collect()
    }

    fn remove(
        &mut self,
        outside: Env<'_>,
        seat: Seat,
        departure: Departure,
        out: &mut Vec<Output>,
    ) -> Option<Member> {
        self.spell_out(out);
        let member = self.members.remove(&seat)?;
        self.stir(outside, seat);
        self.grouped -= usize::from(member.group > 0);
        self.unrelayed -= usize::from(!member.rights.relay);
        self.profiles.take(&seat);
        if self.leaving.take(&seat).is_some() {
            out.retain(|output| output.receiver() != Some(member.session));
        }
        self.roster.remove(seat);
        self.by_id.remove(&member.id);
        self.by_session.remove(&member.session);
        out.push(Output::Left { session: member.session, id: member.id.clone(), departure });
        self.vacate(
            seat,
            if departure == Departure::Silent { Cause::Timeout } else { Cause::Left },
        );
        Some(member)
    }

    /// What becomes of one that is on the page no more, and of its id.
    pub(super) fn see_off(
        &mut self,
        outside: Env<'_>,
        member: Member,
        departure: Departure,
        out: &mut Vec<Output>,
    ) {
        let Member { id, token, contacts, status, .. } = member;
        let announced = departure != Departure::Disconnected || self.is_named();
        // a newcomer that waits for the id shows that it is not the same one that may come back
        let heir = self.held.take(&id);
        let lost = departure.is_loss() && heir.is_none();
        let gone = AbsentMember {
            token,
            contacts,
            announced,
            lost,
            profile: status.profile,
            awaited: false,
            is_news: false,
        };
        // a host that is yet to resume has to hear of it too
        let unheard = self.recovery_deadline().is_some();
        if (departure.may_return(!self.is_named()) || unheard) && !self.draining {
            self.returning.insert(id.clone(), outside.now.plus(self.rules.return_after), gone);
        } else {
            self.say_gone(&id, &gone, out);
        }
        if let Some(heir) = heir {
            self.admit(outside, heir, out);
        }
    }

    /// Tells those it connected with, and the host, that it will not come back.
    pub(super) fn say_gone(&self, id: &PeerId, gone: &AbsentMember, out: &mut Vec<Output>) {
        if self.draining || !gone.announced {
            return;
        }
        let frame = outgoing::leave(id, gone.lost && self.is_named());
        let host =
            self.host_seat().and_then(|seat| self.members.get(&seat)).map(|host| host.session);
        let contacts =
            gone.contacts.iter().filter_map(|id| self.session_of(id)).filter(|s| Some(*s) != host);
        out.extend(
            contacts.chain(host).map(|to| Output::RosterChange { to, frame: frame.clone() }),
        );
    }

    pub(super) fn drain(&mut self, out: &mut Vec<Output>) {
        self.draining = true;
        // nobody is said to be gone any more
        self.leaving = DeadlineMap::default();
        let host = self.host_seat();
        let hosting = host.and_then(|seat| self.members.get(&seat));
        let others = self.members.iter().filter(|(seat, _)| Some(**seat) != host).map(|(_, m)| m);
        let members = hosting.into_iter().chain(others).map(|m| m.session);
        for session in members.chain(self.held.iter().map(|joiner| joiner.session)) {
            refuse(session, Close::Restart, out);
        }
        self.held.clear();
        self.returning = DeadlineMap::default();
    }
}
