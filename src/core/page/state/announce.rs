//! Announcements of the host: `OPEN` to a newcomer, `HOST` to all.

use super::PageState;
use crate::page::io::{Announcement, Assignment, Env, Output};
use crate::page::member::Seat;
use crate::page::roster::Member;
use crate::page::term::Hosting;
use crate::protocol::id::{Epoch, PageName, SessionId};
use crate::protocol::outgoing::{self, Frame};

/// The part of `HOST` that differs between members.
#[derive(Clone, Copy)]
struct Receiver {
    dials_host: bool,
    may_relay: bool,
    dials_deputy: bool,
}

/// Index of the frame in [`Announcement::frames`] by how a member reaches the host.
const fn frame_index(receiver: Receiver) -> usize {
    receiver.dials_host as usize + !receiver.may_relay as usize
}

impl PageState {
    /// Announces a term: to the host, which gets the roster, and then to all others.
    ///
    /// The host waits for no other member here. [`PageState::announce_to_others`] visits the others
    /// when the frame of the host is on its way.
    pub(super) fn announce(&mut self, hosting: Hosting, out: &mut Vec<Output>) {
        let (Some(page), Some((epoch, host))) = (self.name().cloned(), self.assignment()) else {
            return;
        };
        self.expand_announcement(out);
        let deputy = self.deputy.number();
        let assignment = Assignment { epoch, host, hosting: false };
        if let Some(output) = self.announcement_to_host(&page, &assignment, hosting) {
            out.push(output);
            if let Some(notes) = self.roster.notes_mut(hosting.host) {
                notes.announce(epoch, deputy);
            }
            self.absent.mark_all_news();
        }
        let frame = |receiver| self.host_frame(&page, &assignment, hosting, receiver, None);
        let frames = [false, true].map(|dials_deputy| {
            [(false, true), (true, true), (true, false)].map(|(dials_host, may_relay)| {
                frame(Receiver { dials_host, may_relay, dials_deputy })
            })
        });
        let places = self.places();
        let announcement = Announcement { assignment, frames, places, deputy };
        self.announcement_at = Some(out.len());
        out.push(Output::AnnounceHostToOthers(Box::new(announcement)));
        if self.needs_dialling() {
            // pages with a deputy are small, and this step has yet to know which deputy each member
            // was told of
            self.expand_announcement(out);
        }
    }

    /// Returns the announcement to the host itself, unless the host knows it.
    fn announcement_to_host(
        &self,
        page: &PageName,
        assignment: &Assignment,
        hosting: Hosting,
    ) -> Option<Output> {
        let member = self.host_member().filter(|m| !m.notes.knows(hosting.epoch))?;
        let frame = self.frame_for_host(page, assignment, hosting, member);
        let assignment = Assignment { hosting: true, ..assignment.clone() };
        Some(Output::AnnounceHost { to: member.session(), frame, assignment })
    }

    /// Returns `HOST` for the host, with the roster.
    fn frame_for_host(
        &self,
        page: &PageName,
        assignment: &Assignment,
        hosting: Hosting,
        host: &Member,
    ) -> Frame {
        let receiver = Receiver {
            dials_host: self.dials_host(hosting.host, host),
            may_relay: host.rights().relay,
            dials_deputy: self.dials_deputy(host),
        };
        let roster = self.roster.pieces();
        self.host_frame(page, assignment, hosting, receiver, Some(&roster))
    }

    /// Returns whether a host that comes from a page on another node is told of all members at
    /// once, later.
    pub(super) const fn will_tell_host_roster(&self) -> bool {
        self.host_roster.is_some() || self.was_alone.is_none() && self.term.is_recovering()
    }

    /// Tells a host that came from a page on another node who is here: `HOST` of its own epoch.
    /// Members that died with that node are missing. Only then it hears that it is not alone: until
    /// then it could confirm what members have not got that it does not miss.
    pub(super) fn tell_host_roster(&mut self, out: &mut Vec<Output>) {
        let Some((told, to, _)) = self.host_roster.take() else { return };
        let Some((seat, member)) = self.roster.find_session(to) else { return };
        let hosting = self.term.hosting().filter(|now| (now.epoch, now.host) == (told, seat));
        if let (Some(hosting), Some(page)) = (hosting, self.name()) {
            let host = member.id().clone();
            let assignment = Assignment { epoch: told, host, hosting: false };
            let frame = self.frame_for_host(page, &assignment, hosting, member);
            out.push(Output::Send { to, frame });
            self.absent.mark_all_news();
        }
        if !self.is_alone && member.is_group_member() {
            out.push(Output::Send { to, frame: outgoing::alone(false) });
        }
    }

    fn host_frame(
        &self,
        page: &PageName,
        assignment: &Assignment,
        hosting: Hosting,
        receiver: Receiver,
        roster: Option<&[&str]>,
    ) -> Frame {
        let deputy = self.deputy_member().filter(|_| receiver.dials_deputy);
        outgoing::host(&outgoing::Host {
            page,
            host: &assignment.host,
            epoch: assignment.epoch,
            cause: hosting.cause,
            members: self.roster.len(),
            p2p: receiver.dials_host,
            fair_ms: self.dials.fair_ms(),
            deputy: deputy.map(Member::id),
            may_relay: receiver.may_relay,
            roster,
        })
    }

    /// Replaces an [`Output::AnnounceHostToOthers`] of this step by one output for each member.
    /// Needed before another election, and before a member leaves: the announcement is for the
    /// members of that moment.
    pub(super) fn expand_announcement(&mut self, out: &mut Vec<Output>) {
        let Some(at) = self.announcement_at.take() else { return };
        let Some(Output::AnnounceHostToOthers(announcement)) = out.get(at).cloned() else { return };
        let mut others = Vec::new();
        self.announce_to_others(&announcement, |to, frame| {
            let assignment = announcement.assignment.clone();
            others.push(Output::AnnounceHost { to, frame, assignment });
        });
        out.splice(at..=at, others);
    }

    /// Calls `each` with the frame for every member that knows neither what `announcement` says nor
    /// of a later election.
    pub fn announce_to_others(
        &mut self,
        announcement: &Announcement,
        mut each: impl FnMut(SessionId, Frame),
    ) {
        let (epoch, mut places) = (announcement.assignment.epoch, announcement.places);
        let (has_deputies, relays) = (self.has_deputies(), self.relays());
        for (seat, member) in self.roster.iter_mut() {
            let may_relay = member.rights().relay;
            let dials_host = !may_relay || places > 0;
            places = places.saturating_sub(usize::from(may_relay));
            if member.notes.announced.is_none_or(|(_, last)| last < epoch) {
                member.notes.announce(epoch, announcement.deputy);
                if self.going_away.contains(seat) {
                    continue; // the member has no socket
                }
                let dials_deputy = has_deputies && member.needs_channel(relays);
                let receiver = Receiver { dials_host, may_relay, dials_deputy };
                let frames = &announcement.frames[usize::from(dials_deputy)];
                each(member.session(), frames[frame_index(receiver)].clone());
            }
        }
    }

    /// Handles [`Input::Alone`](crate::page::Input::Alone): tells all group members, once a change.
    /// Newcomers learn it from `OPEN`.
    pub(super) fn set_alone(&mut self, is_alone: bool, out: &mut Vec<Output>) {
        if self.is_alone == is_alone {
            return;
        }
        if !is_alone {
            self.tell_host_roster(out);
        }
        self.is_alone = is_alone;
        if !self.is_named() {
            return;
        }
        let frame = outgoing::alone(is_alone);
        let members = self.roster.iter().filter(|(_, member)| member.is_group_member());
        let send =
            |(_, member): (_, &Member)| Output::Send { to: member.session(), frame: frame.clone() };
        out.extend(members.map(send));
    }

    /// Handles [`Input::HostHeartbeat`](crate::page::Input::HostHeartbeat): confirms to the host
    /// that it hosts. The answer follows all that the page has sent the member, and no answer goes
    /// to a member that has been or will be told of another host.
    pub(super) fn confirm_hosting(&self, session: SessionId, epoch: Epoch, out: &mut Vec<Output>) {
        let hosts = self.term.hosting().is_some_and(|hosting| {
            hosting.epoch == epoch && self.roster.seat_of_session(session) == Some(hosting.host)
        });
        if hosts {
            out.push(Output::Send { to: session, frame: outgoing::host_heartbeat(epoch) });
        }
    }

    /// Tells a newcomer with `OPEN` that it is a member and who hosts.
    pub(super) fn welcome(&mut self, env: Env<'_>, seat: Seat, out: &mut Vec<Output>) {
        let Some(member) = self.roster.get(seat) else { return };
        let to = member.session();
        let (Some(page), Some(assignment)) = (self.name(), self.assignment_for(seat)) else {
            return out.push(Output::Welcome {
                to,
                open: Some(outgoing::open()),
                assignment: None,
            });
        };
        let open = Some(self.open_frame(env, page, (seat, member), &assignment));
        if let Some(notes) = self.roster.notes_mut(seat) {
            notes.announce(assignment.epoch, self.deputy.number());
        }
        if assignment.hosting {
            self.absent.mark_all_news();
        }
        out.push(Output::Welcome { to, open, assignment: Some(assignment) });
    }

    /// Tells a session that resumes that it is a member. Its client is told nothing that it knows.
    pub(super) fn welcome_back(&self, seat: Seat, out: &mut Vec<Output>) {
        let Some(member) = self.roster.get(seat) else { return };
        let (to, assignment) = (member.session(), self.assignment_for(seat));
        out.push(Output::Welcome { to, open: None, assignment });
        let is_told_later = !self.is_alone && self.host_roster.is_some_and(|(_, who, _)| who == to);
        let is_news = self.was_alone != Some(self.is_alone) && self.is_named();
        if is_news && !is_told_later && member.is_group_member() {
            out.push(Output::Send { to, frame: outgoing::alone(self.is_alone) });
        }
    }

    fn assignment_for(&self, seat: Seat) -> Option<Assignment> {
        let (epoch, host) = self.assignment().filter(|_| self.is_named())?;
        Some(Assignment { epoch, host, hosting: self.term.host() == Some(seat) })
    }

    fn open_frame(
        &self,
        env: Env<'_>,
        page: &PageName,
        (seat, member): (Seat, &Member),
        assignment: &Assignment,
    ) -> Frame {
        let roster = assignment.hosting.then(|| self.roster.pieces());
        let deputy = self.deputy_member().filter(|_| self.dials_deputy(member));
        let terms = self.rules.terms;
        outgoing::open_page(&outgoing::Open {
            page,
            host: &assignment.host,
            epoch: assignment.epoch,
            members: self.roster.len(),
            roster: roster.as_deref(),
            p2p: self.dials_host(seat, member),
            fair_ms: self.dials.fair_ms(),
            deputy: deputy.map(Member::id),
            recovering: self.term.is_recovering(),
            alone: self.is_alone && member.is_group_member(),
            up_ms: env.now.0,
            terms: if member.rights().relay { terms } else { terms.without_relay() },
            ice: &self.rules.ice.for_client(member.id(), env.epochs.now_ms()),
        })
    }

    /// Returns whether a member should dial the host.
    fn dials_host(&self, seat: Seat, member: &Member) -> bool {
        !member.rights().relay || self.has_place(seat)
    }

    /// Returns the number of members that may relay and dial the host: those longest present.
    fn places(&self) -> usize {
        if !self.relays() || self.host_member().is_some_and(|host| !host.rights().relay) {
            return usize::MAX; // there is no other way
        }
        self.rules.star.saturating_sub(self.roster.without_relay())
    }

    /// Returns whether a member that may relay dials the host. Counts only as far as it matters, so
    /// that a join costs the same on a large page.
    fn has_place(&self, seat: Seat) -> bool {
        let places = self.places();
        let before = self.roster.iter().take_while(|(s, _)| *s < seat);
        let mut before = before.filter(|(_, m)| m.rights().relay);
        places == usize::MAX || before.by_ref().take(places).count() < places
    }
}
