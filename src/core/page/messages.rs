//! What members say to each other, and of themselves.

use std::time::Duration;

use crate::page::member::{Member, Seat};
use crate::protocol::id::{PeerId, SessionId};
use crate::protocol::incoming::{SignalKind, StatusUpdate};
use crate::protocol::outgoing::{self, Frame};

use super::{Env, Output, PageState};

/// How often the host is told of one member's new profiles; of several only the last.
const PROFILE_EVERY: Duration = Duration::from_secs(1);

impl PageState {
    pub(super) fn forward(
        &mut self,
        outside: Env<'_>,
        session: SessionId,
        kind: SignalKind,
        dst: &PeerId,
        frame: Frame,
        out: &mut Vec<Output>,
    ) {
        let Some(src) = self.id_of(session).cloned() else { return };
        let here = self
            .by_id
            .get(dst)
            .filter(|seat| !self.is_leaving(**seat))
            .and_then(|seat| self.members.get(seat));
        if let Some(to) = here.map(|member| member.session) {
            if kind.makes_contact() {
                self.acquaint(&src, dst);
            }
            let from = kind.waits().then(|| (session, dst.clone()));
            out.push(Output::Forward { to, frame, from });
        } else if kind.waits()
            && self.waiting.park(outside.now, self.rules.expire, &src, dst, kind, &frame).is_err()
        {
            out.push(Output::Send { to: session, frame: outgoing::expire(dst.as_str(), &src) });
        }
    }

    /// As if the receiver had never come.
    pub(super) fn undelivered(&self, session: SessionId, dst: &PeerId, out: &mut Vec<Output>) {
        if let Some(src) = self.id_of(session) {
            out.push(Output::Send { to: session, frame: outgoing::expire(dst.as_str(), src) });
        }
    }

    pub(super) fn acquaint(&mut self, one: &PeerId, other: &PeerId) {
        for (who, whom) in [(one, other), (other, one)] {
            if let Some(member) = self.by_id.get(who).and_then(|seat| self.members.get_mut(seat)) {
                member.contacts.meet(whom);
            }
        }
    }

    /// Data goes between group members only, and those who may. What comes from a host that is host no more goes to its successor, who
    /// knows it by its epoch. A member that has no room for what the host says is too slow for its page; for what others say to it
    /// nobody is to blame.
    pub(super) fn relay(
        &self,
        session: SessionId,
        dst: Option<&PeerId>,
        frame: &Frame,
        out: &mut Vec<Output>,
    ) {
        let Some((seat, sender)) =
            self.seat_of(session).and_then(|seat| Some((seat, self.members.get(&seat)?)))
        else {
            return;
        };
        if !self.relays() || sender.group == 0 {
            return;
        }
        if !sender.rights.relay {
            return out.push(Output::NotAllowed);
        }
        let host = self.host_seat();
        let mut tell = |member: &Member| {
            if member.group > 0 && member.rights.relay {
                let (to, frame) = (member.session, frame.clone());
                out.push(if host == Some(seat) {
                    Output::Send { to, frame }
                } else {
                    Output::Forward { to, frame, from: None }
                });
            }
        };
        match dst {
            Some(dst) => self
                .by_id
                .get(dst)
                .and_then(|seat| self.members.get(seat))
                .into_iter()
                .for_each(&mut tell),
            None if host == Some(seat) => {
                self.members
                    .iter()
                    .filter(|(s, m)| **s != seat && m.status.relay)
                    .for_each(|(_, m)| tell(m));
            }
            None => host.and_then(|host| self.members.get(&host)).into_iter().for_each(&mut tell),
        }
    }

    pub(super) fn status(
        &mut self,
        outside: Env<'_>,
        session: SessionId,
        update: StatusUpdate,
        out: &mut Vec<Output>,
    ) {
        let Some(seat) = self.seat_of(session) else { return };
        let Some(member) = self.members.get_mut(&seat) else { return };
        let news = update
            .channels
            .iter()
            .flatten()
            .filter(|(id, _)| member.group > 0 && !member.status.has_channel(id));
        news.for_each(|(_, ms)| self.dials.add(*ms));
        let new_profile = member.status.update(update);
        if !member.status.p2p {
            // whom it fails to reach need not be out of reach
            self.challenge.suspicions.end(seat);
        }
        self.challenge.suspicions.touch();
        self.deputy.touch();
        if new_profile {
            self.enrol(seat);
            match self.profiles.change(&seat) {
                Some(another) => *another = true,
                None => self.tell_of_profile(outside, seat, out),
            }
        }
    }

    /// In a second its host may be told of another.
    fn tell_of_profile(&mut self, outside: Env<'_>, seat: Seat, out: &mut Vec<Output>) {
        self.tell_host_of(seat, out);
        self.profiles.insert(seat, outside.now.plus(PROFILE_EVERY), false);
    }

    pub(super) fn tell_of_profiles(&mut self, outside: Env<'_>, out: &mut Vec<Output>) {
        while let Some((seat, another)) = self.profiles.take_due(outside.now) {
            if another {
                self.tell_of_profile(outside, seat, out);
            }
        }
    }
}
