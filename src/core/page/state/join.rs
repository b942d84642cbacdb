//! Joins: newcomers, members that come back, and clients whose id is in use.

use super::PageState;
use super::hosting::ALL_RESUME_WITHIN;
use crate::page::absent::AbsentMember;
use crate::page::io::{Env, Output};
use crate::page::member::{Departure, JoinRequest, ProfileChange, Seat};
use crate::page::roster::Notes;
use crate::protocol::claim::Claim;
use crate::protocol::close::Close;
use crate::protocol::id::{PeerId, SessionId, Token};
use crate::protocol::outgoing;

impl PageState {
    /// Handles [`Input::Join`](crate::page::Input::Join): admits, replaces, delays or refuses.
    pub(super) fn join(&mut self, env: Env<'_>, request: JoinRequest, out: &mut Vec<Output>) {
        let resumes = request.resumed.is_some();
        if !resumes {
            self.joins_seen += 1;
        }
        self.is_idle_reported = false;
        let session = request.session;
        if self.roster.seat_of_session(session).is_some() || self.pending_joins.contains(session) {
            return; // the session asked again, because it had no answer yet
        }
        if self.term.is_open() && !resumes {
            // the page rests before it names the next host
            return out.push(Output::dismiss(session, Close::Internal));
        }
        let awaited = self.absent.get(&request.id).filter(|absent| absent.is_awaited && !resumes);
        if awaited.is_some_and(|absent| !Token::same(absent.token.as_ref(), request.token.as_ref()))
        {
            // a moment later it is known whether the holder of the id resumes
            return out.push(Output::dismiss(session, Close::Internal));
        }
        let Some((seat, holder)) = self.roster.find(&request.id) else {
            return self.admit(env, request, out);
        };
        let holder_session = holder.session();
        let is_same_user = Token::same(holder.token(), request.token.as_ref());
        if !is_same_user && self.going_away.contains(seat) {
            // another client with the id shows that its holder is gone
            self.depart(env, seat, Departure::Goodbye, out);
            return self.admit(env, request, out);
        }
        if !is_same_user && !resumes {
            return self.wait_for_id(env, request, holder_session, out);
        }
        if let Some(pending) = self.pending_joins.take(&request.id) {
            out.push(Output::dismiss(pending.session, Close::IdTaken));
        }
        match (is_same_user, resumes) {
            (true, false) => self.replace(env, seat, request, out),
            // the session was here before the page's actor died; its successor has joined meanwhile
            (true, true) => out.push(Output::dismiss(session, Close::Replaced)),
            // an intruder has joined meanwhile
            (false, _) => {
                self.dismiss(env, holder_session, Close::IdTaken, Departure::Expelled, out);
                self.admit(env, request, out);
            }
        }
    }

    /// Lets a newcomer wait while the holder of its id is pinged. After a network drop the holder
    /// often is gone.
    fn wait_for_id(
        &mut self,
        env: Env<'_>,
        request: JoinRequest,
        holder: SessionId,
        out: &mut Vec<Output>,
    ) {
        if !self.roster.find(&request.id).is_some_and(|(_, m)| self.is_judged(env, m.way())) {
            // a moment later the holder can be asked
            return out.push(Output::dismiss(request.session, Close::Internal));
        }
        let first = self.pending_joins.get(&request.id);
        if first.is_some_and(|first| !Token::same(first.token.as_ref(), request.token.as_ref())) {
            return out.push(Output::dismiss(request.session, Close::IdTaken));
        }
        if let Some(first) = self.pending_joins.insert(request, env.now) {
            // the same user, who reloaded once more
            out.push(Output::dismiss(first.session, Close::Replaced));
        }
        out.push(Output::Ping(holder));
    }

    /// Gives the seat of a member to a newer socket of the same user.
    ///
    /// A client with other rights or capabilities gets a new seat, and so does a group member that
    /// does not know what the old one knew: a second tab with copied storage must not speak as host. A
    /// client that was told a later epoch gets one as well, because its claim is weighed like a
    /// newcomer's.
    fn replace(&mut self, env: Env<'_>, seat: Seat, request: JoinRequest, out: &mut Vec<Output>) {
        let knows = request.claim.as_ref().is_some_and(|claim| self.was_announced(seat, claim));
        // an earlier process announced it, or this page to an earlier socket
        let told = self.assignment().map(|(epoch, _)| epoch);
        let later = self.believed(env, &request).filter(|_| !knows);
        let later = later.filter(|claim| told.is_none_or(|told| claim.epoch >= told)).cloned();
        let Some(member) = self.roster.get(seat) else { return };
        let old = member.session();
        let is_alike = (request.group, &request.can, request.rights)
            == (member.group(), member.can(), member.rights());
        if !is_alike || later.is_some() || (request.group > 0 && !knows) {
            self.dismiss(env, old, Close::Replaced, Departure::Expelled, out);
            // any other claim of the newcomer was never announced to it
            return self.admit(env, JoinRequest { claim: later, ..request }, out);
        }
        if self.term.host() == Some(seat) && member.way() != request.way {
            // the node that watches the host has changed
            self.term.challenge_mut().cancel_probe();
        }
        self.going_away.end(seat);
        // the client says its status again after every OPEN
        let profile = self.roster.replace_socket(seat, &request, env.now);
        if let Some(notes) = self.roster.notes_mut(seat) {
            (notes.stalled, notes.leave_said_at, notes.is_out_of_reach) = (None, None, false);
        }
        out.push(Output::dismiss(old, Close::Replaced));
        self.member_moved(env, seat);
        self.watch_silence(env, seat);
        self.welcome(env, seat, out);
        if profile == ProfileChange::Changed {
            self.tell_host_of(seat, out);
        }
        self.deliver_parked(&request.id, request.session, out);
    }

    /// Makes a client a member, if the page has room and a host for it.
    pub(super) fn admit(&mut self, env: Env<'_>, request: JoinRequest, out: &mut Vec<Output>) {
        let must_dial = self.relays() && !request.rights.relay;
        let star_is_full = must_dial && self.roster.without_relay() >= self.rules.star;
        if self.roster.len() >= self.rules.max_members || star_is_full {
            return out.push(Output::dismiss(request.session, Close::PageFull));
        }
        if self.rests_for(env, &request) {
            return out.push(Output::dismiss(request.session, Close::Internal));
        }
        if self.has_no_host_for(env, &request) {
            return out.push(Output::dismiss(request.session, Close::NoHost));
        }
        let (session, id) = (request.session, request.id.clone());
        let resumes = request.resumed.is_some();
        let known = self.take_absent(&id, request.token.as_ref(), resumes, out);
        let host_before = self.term.host();
        // a member that was away until it was announced as gone is news to the host, although the
        // member does not know that
        let status = request.resumed.as_ref();
        let is_news = status.zip(known.as_ref()).is_none_or(|(status, k)| k.is_news_with(status));
        // its contacts may have died with the node from which the page has moved
        let has_moved = resumes && self.was_alone.is_none();
        let met = known.as_ref().filter(|_| has_moved).map(|known| known.contacts.clone());
        let seat = self.take_seat(env, request, known);
        if let Some(met) = met {
            self.met(env, session, met.iter().cloned());
        }
        self.consider_newcomer(env, seat, out);
        if !self.roster.contains(seat) {
            return; // the recovery ended, and the member has no host
        }
        self.watch_silence(env, seat);
        // the newcomer learns in its OPEN who the deputy is, also if it is the first to need one
        self.review_deputy(env, out);
        if resumes {
            self.welcome_back(seat, out);
        } else {
            self.welcome(env, seat, out);
        }
        self.announce_if_missed(seat);
        self.settle(env, out);
        // a host that is new itself learns of the newcomer from its roster
        let is_in_roster = resumes && self.will_tell_host_roster();
        if is_news && !is_in_roster && self.term.host() == host_before {
            self.tell_host_of(seat, out);
        }
        self.deliver_parked(&id, session, out);
    }

    /// Handles [`Input::Met`](crate::page::Input::Met). Who has met a peer that is not here is told
    /// if the peer does not say who it is, either.
    pub(super) fn met(
        &mut self,
        env: Env<'_>,
        session: SessionId,
        peers: impl IntoIterator<Item = PeerId>,
    ) {
        let Some(id) = self.id_of(session).cloned() else { return };
        for peer in peers {
            self.introduce(&id, &peer);
            if self.has(&peer) {
                continue;
            }
            if let Some(absent) = self.absent.get_mut(&peer) {
                absent.contacts.meet(&id);
            } else {
                let wait = self.rules.return_after.max(ALL_RESUME_WITHIN);
                self.absent.insert(peer, env.now, wait, AbsentMember::met_by(&id));
            }
        }
    }

    /// Adds a member to the roster and to the parts that watch members.
    fn take_seat(
        &mut self,
        env: Env<'_>,
        request: JoinRequest,
        known: Option<AbsentMember>,
    ) -> Seat {
        let resumes = request.resumed.is_some();
        let claim = self.believed(env, &request).filter(|_| self.is_named()).cloned();
        // what a session claims that resumes, this server announced to it
        let announced = claim.as_ref().filter(|_| resumes).map(|c| (c.epoch, c.epoch));
        let contacts = known.map(|known| known.contacts).unwrap_or_default();
        let notes = Notes { contacts, claim, announced, ..Notes::default() };
        let seat = self.roster.add(request, env.now, notes);
        self.member_moved(env, seat);
        if resumes && self.roster.get(seat).is_some_and(|m| self.dials_deputy(m)) {
            self.deputy.resumed();
        }
        seat
    }

    /// Sends a member the messages that were parked for it.
    fn deliver_parked(&mut self, id: &PeerId, to: SessionId, out: &mut Vec<Output>) {
        for parked in self.parked.take(id) {
            if parked.kind.makes_contact() {
                self.introduce(&parked.src, id);
            }
            out.push(Output::Send { to, frame: parked.frame });
        }
    }

    /// Notes that the member on `seat` joined or left, or has a new socket. Its suspicion ends, and
    /// the deputy is not judged before the page is calm.
    pub(super) fn member_moved(&mut self, env: Env<'_>, seat: Seat) {
        let suspicions = self.term.challenge_mut().suspicions_mut();
        suspicions.end(seat);
        suspicions.touch();
        self.deputy.moved(env.now);
    }

    /// Returns whether `claim` is what this server announced to the member on `seat`.
    fn was_announced(&self, seat: Seat, claim: &Claim) -> bool {
        let announced = self.roster.get(seat).and_then(|m| m.notes.announced);
        let (Some((epoch, host)), Some((first, _))) = (self.assignment(), announced) else {
            return false;
        };
        (first..=epoch).contains(&claim.epoch) && (claim.epoch < epoch || claim.host == host)
    }

    /// Returns whether a client that may not host finds no host, and none is expected.
    fn has_no_host_for(&self, env: Env<'_>, request: &JoinRequest) -> bool {
        if request.rights.host || !self.is_named() || self.term.is_recovering() {
            return false;
        }
        if self.term.hosting().is_some() {
            return request.group > 0 && !self.host_member().is_some_and(|m| m.is_group_member());
        }
        self.believed(env, request).is_none_or(|claim| claim.host == request.id)
    }

    /// Returns the absent member that comes back. Another client with its id shows that the member
    /// is gone for good.
    fn take_absent(
        &mut self,
        id: &PeerId,
        token: Option<&Token>,
        resumes: bool,
        out: &mut Vec<Output>,
    ) -> Option<AbsentMember> {
        let absent = self.absent.take(id)?;
        if resumes || !absent.is_known || Token::same(absent.token.as_ref(), token) {
            return Some(absent);
        }
        self.announce_leave(id, &AbsentMember { is_lost: false, ..absent }, out);
        None
    }

    /// Sends the host `JOIN` with the roster entry of a new or changed member. Keeps it for a host
    /// that is yet to resume.
    pub(super) fn tell_host_of(&mut self, seat: Seat, out: &mut Vec<Output>) {
        self.term.note_untold(seat);
        let host = self.host_member().filter(|_| self.term.host() != Some(seat));
        if let (Some(host), Some(member)) = (host, self.roster.get(seat)) {
            let frame = outgoing::join(&member.entry());
            out.push(Output::RosterChange { to: host.session(), frame });
        }
    }
}
