//! A host that is still here but may have to go: suspected, stalled, hidden, or willing.

use super::PageState;
use crate::page::challenge::Gauge;
use crate::page::election::{Candidate, fittest, pick};
use crate::page::io::{Env, Output};
use crate::page::member::{Seat, Way};
use crate::page::roster::{Member, Stalled};
use crate::protocol::cause::Cause;
use crate::protocol::id::{Epoch, PeerId, SessionId};
use crate::protocol::incoming::Suspicion;
use crate::protocol::outgoing;

impl PageState {
    /// Handles [`Input::Suspect`](crate::page::Input::Suspect): begins a suspicion if nothing may
    /// be relayed between the two, and a probe of the host's page.
    pub(super) fn suspect(
        &mut self,
        env: Env<'_>,
        session: SessionId,
        suspicion: &Suspicion,
        out: &mut Vec<Output>,
    ) {
        // A stock client knows no PROBE: any member could depose it by suspecting it.
        let Some(host) = self.host_member().filter(|m| m.is_group_member()) else { return };
        let member = self.roster.find_session(session).filter(|(_, m)| m.is_group_member());
        let Some((seat, member)) = member.filter(|(seat, _)| Some(*seat) != self.term.host())
        else {
            return;
        };
        if !self.is_current(suspicion) {
            return;
        }
        let (to, way, epoch) = (host.session(), host.way(), suspicion.epoch);
        let suspecting = member.way();
        // a member that opens no data channels reaches no host
        let counts = !self.may_relay_between(member, host) && member.status().p2p;
        let challenge = self.term.challenge_mut();
        if counts {
            challenge.suspicions_mut().begin(seat, env.now);
        } else {
            challenge.suspicions_mut().note(seat);
        }
        let is_judged = self.is_judged(env, way) && self.is_judged(env, suspecting);
        let challenge = self.term.challenge_mut();
        if challenge.is_probing() || !is_judged {
            return;
        }
        let (frame, probe) = (outgoing::probe(epoch), self.rules.probe);
        match way {
            Way::Local => {
                challenge.begin_probe(env.now.plus(probe), Gauge::Texts((env.texts_sent)(to)));
                out.push(Output::Send { to, frame });
            }
            // the host has `probe`, and question and report as long again for their way
            Way::Node(_) => {
                challenge.begin_probe(env.now.plus(probe * 2), Gauge::Report);
                out.push(Output::Probe { to, frame });
            }
        }
    }

    /// Handles [`Input::Trust`](crate::page::Input::Trust): ends a suspicion.
    pub(super) fn trust(&mut self, session: SessionId, suspicion: &Suspicion) {
        if let Some(seat) = self.roster.seat_of_session(session)
            && self.is_current(suspicion)
        {
            self.term.challenge_mut().suspicions_mut().end(seat);
        }
    }

    /// Returns whether a message is about the present host and term.
    fn is_current(&self, suspicion: &Suspicion) -> bool {
        self.assignment()
            .is_some_and(|(epoch, id)| suspicion.epoch == epoch && suspicion.host == id)
    }

    /// Replaces a host that more than half of the members, and at least two, cannot reach. Where
    /// there are deputies, the deputy follows, and only if more members reach it.
    pub(super) fn weigh_suspicions(&mut self, env: Env<'_>, out: &mut Vec<Output>) {
        let Some(host) = self.term.host().filter(|_| !self.term.rests(env.now)) else { return };
        let suspicions = self.term.challenge_mut().suspicions_mut();
        let Some(count) = suspicions.weigh(env.now, self.dials.fair()) else { return };
        if count < 2 || count * 2 <= self.roster.len() {
            return;
        }
        let next = if self.rules.deputies == 0 {
            self.choose_host(env, Some(host)).filter(|next| self.may_host(*next))
        } else {
            let follows =
                |deputy: &Seat| self.has_way_to(*deputy) && self.reach(*deputy) > self.reach(host);
            self.deputy.seat().filter(follows)
        };
        if let Some(next) = next {
            self.dials.strain(env.now);
            if let Some(notes) = self.roster.notes_mut(host) {
                notes.is_out_of_reach = true;
            }
            self.elect(env, next, self.next_epoch(env), Cause::Unreachable, out);
            self.settle(env, out);
        }
    }

    /// Returns how many group members reach the member on `seat`: over the relay, or by a data
    /// channel to a member that they do not suspect.
    fn reach(&self, seat: Seat) -> usize {
        let Some(to) = self.roster.get(seat) else { return 0 };
        let is_host = self.term.host() == Some(seat);
        let suspicions = self.term.challenge().suspicions();
        let has_link = |other: Seat, m: &Member| {
            m.status().has_channel(to.id()) && !(is_host && suspicions.counts(other))
        };
        let others = self.roster.iter().filter(|(other, m)| *other != seat && m.is_group_member());
        others.filter(|(other, m)| self.may_relay_between(m, to) || has_link(*other, m)).count()
    }

    /// Returns whether data of either of the two may be relayed to the other.
    fn may_relay_between(&self, one: &Member, other: &Member) -> bool {
        self.relays() && one.rights().relay && other.rights().relay
    }

    /// Ends a probe whose time is over. A host whose page sent nothing since is replaced.
    pub(super) fn end_probe(&mut self, env: Env<'_>, out: &mut Vec<Output>) {
        let Some(gauge) = self.term.challenge_mut().end_probe(env.now) else { return };
        let Some(member) = self.host_member() else { return };
        match gauge {
            Gauge::Texts(before) if (env.texts_sent)(member.session()) == before => {
                self.replace_stalled(env, Stalled::AfterTexts(before), out);
            }
            // A report that is late says nothing of the host. Over a way that is down there is none.
            Gauge::Report
                if !self.ways.is_up(member.way()) && self.is_judged(env, member.way()) =>
            {
                self.replace_stalled(env, Stalled::Reported, out);
            }
            Gauge::Texts(_) | Gauge::Report => {}
        }
    }

    /// Handles [`Input::Ran`](crate::page::Input::Ran): another node has watched the page of a
    /// member.
    pub(super) fn note_ran(
        &mut self,
        env: Env<'_>,
        session: SessionId,
        ran: bool,
        out: &mut Vec<Output>,
    ) {
        let Some((seat, member)) = self.roster.find_session(session) else { return };
        let way = member.way();
        if way == Way::Local || (!ran && !self.is_judged(env, way)) {
            return;
        }
        if let Some(notes) = self.roster.notes_mut(seat).filter(|_| ran) {
            notes.stalled = None;
        }
        let is_host = self.term.host() == Some(seat);
        if is_host && self.term.challenge_mut().take_report() && !ran {
            self.replace_stalled(env, Stalled::Reported, out);
        }
    }

    fn replace_stalled(&mut self, env: Env<'_>, stalled: Stalled, out: &mut Vec<Output>) {
        let host = self.term.host();
        if let Some(notes) = host.and_then(|host| self.roster.notes_mut(host)) {
            notes.stalled = Some(stalled);
        }
        self.replace_host(env, None, Cause::Stalled, out);
    }

    /// Handles [`Input::Resign`](crate::page::Input::Resign): the host hands over.
    pub(super) fn resign(
        &mut self,
        env: Env<'_>,
        session: SessionId,
        epoch: Epoch,
        to: Option<&PeerId>,
        out: &mut Vec<Output>,
    ) {
        let Some(hosting) = self.term.hosting().filter(|hosting| hosting.epoch == epoch) else {
            return;
        };
        if self.roster.seat_of_session(session) == Some(hosting.host) {
            let to = to.and_then(|to| self.roster.seat_of(to));
            self.replace_host(env, to, Cause::Resigned, out);
        }
    }

    /// Replaces a hidden host by a member that has been fitter for a while.
    pub(super) fn relieve_hidden_host(&mut self, env: Env<'_>, out: &mut Vec<Output>) {
        let Some(patience) = self.rules.hidden else { return };
        let is_hidden = self
            .host_member()
            .is_some_and(|host| !host.status().visible && self.is_judged(env, host.way()));
        let host = self.term.host().filter(|_| is_hidden);
        let mut fitter = host.map(|host| self.fitter_than_hidden(env, host)).unwrap_or_default();
        let rests = self.term.rests(env.now);
        let relief = self.term.challenge_mut().relief_mut();
        relief.update(fitter.iter().map(|c| (c.member, c.fresh)), env.now, patience);
        if relief.is_due(env.now) && !rests {
            fitter.retain(|c| relief.has_waited(c.member, env.now));
            let deputy = self.deputy.seat().filter(|seat| fitter.iter().any(|c| c.member == *seat));
            let next = deputy.or_else(|| pick(&fitter, self.rules.policy, env.random));
            self.replace_host(env, next, Cause::Resigned, out);
            self.settle(env, out);
        }
    }

    /// Returns the members that are preferred to a hidden host for being visible, and which of them
    /// are fresh. A member that did not answer when it hosted is not among them.
    fn fitter_than_hidden(&self, env: Env<'_>, host: Seat) -> Vec<Candidate<Seat>> {
        let can_follow = |seat: Seat, m: &Member| {
            m.notes.stalled.is_none() && self.may_host(seat) && self.is_in_touch(seat)
        };
        let able = self.roster.iter().filter(|(seat, m)| *seat == host || can_follow(*seat, m));
        // whether a member is fresh matters only when its time has come
        let mut fit = fittest(able.map(|(seat, m)| self.candidate(seat, m)).collect());
        fit.retain(|c| c.visible && c.eligible);
        for candidate in &mut fit {
            let member = self.roster.get(candidate.member);
            candidate.fresh = member.is_some_and(|m| self.was_heard(env, m));
        }
        fit
    }
}
