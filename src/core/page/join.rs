//! Who comes: newcomers, those who come back, those whose id is in use.

use crate::page::member::{AbsentMember, Departure, JoinRequest, Member, Seat};
use crate::page::pending_joins;
use crate::protocol::close::Close;
use crate::protocol::id::{PeerId, SessionId, Token};
use crate::protocol::outgoing;

use super::hosting::Term;
use super::{Env, Output, PageState, refuse};

impl PageState {
    pub(super) fn join(&mut self, outside: Env<'_>, joiner: JoinRequest, out: &mut Vec<Output>) {
        let resumes = joiner.resumed.is_some();
        if !resumes {
            self.joins_seen += 1;
        }
        self.idle_told = false;
        let session = joiner.session;
        if self.by_session.contains_key(&session) || self.held.has(session) {
            return; // it asked again, not knowing that we heard it
        }
        let awaited = self.returning.get(&joiner.id).filter(|(_, gone)| gone.awaited && !resumes);
        if awaited.is_some_and(|(_, gone)| !Token::same(gone.token.as_ref(), joiner.token.as_ref()))
        {
            return refuse(session, Close::Internal, out); // whose id this is shows in a moment
        }
        let Some((seat, live)) =
            self.by_id.get(&joiner.id).and_then(|s| Some((*s, self.members.get(s)?)))
        else {
            return self.admit(outside, joiner, out);
        };
        let (live_session, same_user) =
            (live.session, Token::same(live.token.as_ref(), joiner.token.as_ref()));
        if !same_user && self.is_leaving(seat) {
            // somebody else with its id shows that it is gone
            self.depart(outside, seat, Departure::Goodbye, out);
            return self.admit(outside, joiner, out);
        }
        if !same_user && !resumes {
            return self.hold(outside, joiner, live_session, out);
        }
        if let Some(held) = self.held.take(&joiner.id) {
            refuse(held.session, Close::IdTaken, out);
        }
        match (same_user, resumes) {
            (true, false) => self.take_over(outside, seat, joiner, out),
            // it was here before the page's actor died; who came meanwhile is its successor
            (true, true) => refuse(session, Close::Replaced, out),
            // or an intruder
            (false, _) => {
                self.dismiss(outside, live_session, Close::IdTaken, Departure::Expelled, out);
                self.admit(outside, joiner, out);
            }
        }
    }

    /// Lets a newcomer wait while we see whether the user of its id lives: after a network drop it often does not.
    pub(super) fn hold(
        &mut self,
        outside: Env<'_>,
        joiner: JoinRequest,
        live: SessionId,
        out: &mut Vec<Output>,
    ) {
        let mut until = outside.now.plus(pending_joins::WAIT);
        if let Some((since, first)) = self.held.waits_for(&joiner.id) {
            if !Token::same(first.token.as_ref(), joiner.token.as_ref()) {
                return refuse(joiner.session, Close::IdTaken, out);
            }
            // the same user, who reloaded once more
            until = since;
            refuse(first.session, Close::Replaced, out);
        }
        out.push(Output::Ping(live));
        self.held.hold(joiner, until);
    }

    /// A newer socket of the same user. It keeps the seat, unless its rights are others, or it is a group member that does
    /// not know what the old one knew: a second tab with copied storage must not speak as host.
    pub(super) fn take_over(
        &mut self,
        outside: Env<'_>,
        seat: Seat,
        joiner: JoinRequest,
        out: &mut Vec<Output>,
    ) {
        let knows = joiner.claim.as_ref().is_some_and(|claim| self.was_told(seat, claim));
        let Some(member) = self.members.get_mut(&seat) else { return };
        let (old, new) = (member.session, joiner.session);
        let is_same = (joiner.group, joiner.rights) == (member.group, member.rights);
        if !is_same || (joiner.group > 0 && !knows) {
            self.dismiss(outside, old, Close::Replaced, Departure::Expelled, out);
            // what it says it was told, it was not
            return self.admit(outside, JoinRequest { claim: None, ..joiner }, out);
        }
        member.session = new;
        let id = member.id.clone();
        self.leaving.take(&seat);
        member.stalled_at = None;
        member.out_of_reach = false;
        (member.address, member.came) = (joiner.address, outside.now);
        member.leave_said = None;
        // a status is a session's word: the new one is to say it again, after every OPEN
        let had_profile = std::mem::take(&mut member.status).profile.is_some();
        refuse(old, Close::Replaced, out);
        self.by_session.remove(&old);
        self.by_session.insert(new, seat);
        self.stir(outside, seat);
        self.watch(outside, seat);
        if had_profile {
            self.enrol(seat);
        }
        self.welcome(outside, seat, true, out);
        if had_profile {
            self.tell_host_of(seat, out);
        }
        self.deliver_parked(&id, new, out);
    }

    pub(super) fn admit(&mut self, outside: Env<'_>, joiner: JoinRequest, out: &mut Vec<Output>) {
        let no_place = !joiner.rights.relay && self.relays() && self.unrelayed >= self.rules.star;
        if self.members.len() >= self.rules.max_members || no_place {
            return refuse(joiner.session, Close::PageFull, out);
        }
        if self.has_nobody_for(outside, &joiner) {
            return refuse(joiner.session, Close::NoHost, out);
        }
        let JoinRequest { session, id, token, group, rights, address, claim, resumed } = joiner;
        let known = self.welcome_back(&id, token.as_ref(), resumed.is_some(), out);
        let seat = Seat(self.next_seat);
        self.next_seat += 1;
        self.by_id.insert(id.clone(), seat);
        self.by_session.insert(session, seat);
        let silent = resumed.is_some();
        let status = resumed.unwrap_or_default();
        let host_before = self.host_seat();
        // one that was away for so long that it was said to be gone is news, although it knows nothing of that
        let news = !silent || known.as_ref().is_none_or(|known| known.has_news(&status));
        let contacts = known.map(|known| known.contacts).unwrap_or_default();
        let claim = claim.filter(|c| self.is_named() && c.is_credible(outside.unix_ms));
        // what a resumed one claims, we told it
        let told = claim.as_ref().filter(|_| silent).map(|c| (c.epoch, c.epoch));
        let member = Member {
            session,
            id: id.clone(),
            token,
            group,
            rights,
            address,
            came: outside.now,
            status,
            contacts,
            claim,
            told,
            told_deputy: None,
            stalled_at: None,
            out_of_reach: false,
            leave_said: None,
        };
        self.members.insert(seat, member);
        self.enrol(seat);
        self.stir(outside, seat);
        if silent && self.members.get(&seat).is_some_and(|m| self.dials_deputy(m)) {
            self.deputy.resumed();
        }
        self.grouped += usize::from(group > 0);
        self.unrelayed += usize::from(!rights.relay);
        self.consider_newcomer(outside, seat, out);
        if !self.members.contains_key(&seat) {
            return; // it was waited for, and may not host
        }
        self.watch(outside, seat);
        // the newcomer learns in its OPEN who the deputy is, also if it is the first to need one
        self.review_deputy(outside, out);
        self.welcome(outside, seat, !silent, out);
        self.catch_up(seat);
        self.settle(outside, out);
        // a host that is new itself learns of the newcomer from its roster
        if news && self.host_seat() == host_before {
            self.tell_host_of(seat, out);
        }
        self.deliver_parked(&id, session, out);
    }

    /// Sends what has waited for a member.
    fn deliver_parked(&mut self, id: &PeerId, to: SessionId, out: &mut Vec<Output>) {
        for parked in self.waiting.take(id) {
            if parked.kind.makes_contact() {
                self.acquaint(&parked.src, id);
            }
            out.push(Output::Send { to, frame: parked.frame });
        }
    }

    /// Notes that the member on `seat` came or went, or has a new socket: its suspicion ends, and the deputy is not judged
    /// before the page is calm.
    pub(super) fn stir(&mut self, outside: Env<'_>, seat: Seat) {
        self.challenge.suspicions.end(seat);
        self.challenge.suspicions.touch();
        self.deputy.moved(outside.now);
    }

    /// Whether there is no host for one that may not host itself, nor one yet to come.
    fn has_nobody_for(&self, outside: Env<'_>, joiner: &JoinRequest) -> bool {
        if joiner.rights.host || !self.is_named() {
            return false;
        }
        match self.term {
            Term::Hosted { host, .. } => {
                joiner.group > 0 && self.members.get(&host).is_none_or(|host| host.group == 0)
            }
            Term::Recovering { .. } => false,
            Term::Vacant { .. } | Term::Open { .. } => {
                let claim =
                    joiner.claim.as_ref().filter(|claim| claim.is_credible(outside.unix_ms));
                claim.is_none_or(|claim| claim.host == joiner.id)
            }
        }
    }

    /// What is known of one that comes back as the same. Anybody else with its id shows that it is gone for good.
    pub(super) fn welcome_back(
        &mut self,
        id: &PeerId,
        token: Option<&Token>,
        resumes: bool,
        out: &mut Vec<Output>,
    ) -> Option<AbsentMember> {
        let gone = self.returning.take(id)?;
        if resumes || Token::same(gone.token.as_ref(), token) {
            return Some(gone);
        }
        self.say_gone(id, &AbsentMember { lost: false, ..gone }, out);
        None
    }

    /// `JOIN`: the roster entry of a member, new or changed, for the host; or for one that is yet to resume.
    pub(super) fn tell_host_of(&mut self, seat: Seat, out: &mut Vec<Output>) {
        if self.recovery_deadline().is_some() {
            self.strangers.insert(seat);
        }
        let host =
            self.host_seat().filter(|host| *host != seat).and_then(|host| self.members.get(&host));
        if let (Some(host), Some(member)) = (host, self.members.get(&seat)) {
            out.push(Output::RosterChange {
                to: host.session,
                frame: outgoing::join(&member.entry()),
            });
        }
    }
}
