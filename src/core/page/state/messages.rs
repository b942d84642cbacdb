//! Messages of members: signalling to each other, status, and data over the relay.

use super::PageState;
use crate::page::io::{Env, Output};
use crate::page::member::{ProfileChange, Seat};
use crate::page::profiles::Send;
use crate::page::roster::Member;
use crate::protocol::id::{PeerId, SessionId};
use crate::protocol::incoming::{SignalKind, StatusUpdate};
use crate::protocol::outgoing::{self, Frame};

impl PageState {
    /// Handles [`Input::Forward`](crate::page::Input::Forward): delivers or parks a message.
    pub(super) fn forward(
        &mut self,
        env: Env<'_>,
        session: SessionId,
        kind: SignalKind,
        dst: &PeerId,
        frame: Frame,
        out: &mut Vec<Output>,
    ) {
        let Some(src) = self.id_of(session).cloned() else { return };
        let receiver = self.roster.find(dst).filter(|(seat, _)| !self.going_away.contains(*seat));
        if let Some(to) = receiver.map(|(_, member)| member.session()) {
            if kind.makes_contact() {
                self.introduce(&src, dst);
            }
            let from = kind.waits().then(|| (session, dst.clone()));
            out.push(Output::Forward { to, frame, from });
        } else if kind.waits()
            && self.parked.park(env.now, self.rules.expire, &src, dst, kind, &frame).is_err()
        {
            out.push(Output::Send { to: session, frame: outgoing::expire(dst.as_str(), &src) });
        }
    }

    /// Handles [`Input::Undelivered`](crate::page::Input::Undelivered) as if the receiver had never
    /// come.
    pub(super) fn expire_undelivered(
        &self,
        session: SessionId,
        dst: &PeerId,
        out: &mut Vec<Output>,
    ) {
        if let Some(src) = self.id_of(session) {
            out.push(Output::Send { to: session, frame: outgoing::expire(dst.as_str(), src) });
        }
    }

    /// Makes two members contacts of each other.
    pub(super) fn introduce(&mut self, one: &PeerId, other: &PeerId) {
        for (id, contact) in [(one, other), (other, one)] {
            if let Some(seat) = self.roster.seat_of(id)
                && let Some(notes) = self.roster.notes_mut(seat)
            {
                notes.contacts.meet(contact);
            }
        }
    }

    /// Handles [`Input::Relay`](crate::page::Input::Relay). Data goes between group members that
    /// may relay.
    ///
    /// Data from a former host goes to its successor, which knows it by its epoch. A member without
    /// room for the host's data is too slow for its page. For data of other members nobody is to
    /// blame.
    pub(super) fn relay(
        &self,
        session: SessionId,
        dst: Option<&PeerId>,
        frame: &Frame,
        out: &mut Vec<Output>,
    ) {
        let Some((seat, sender)) = self.roster.find_session(session) else { return };
        if !self.relays() || !sender.is_group_member() {
            return;
        }
        if !sender.rights().relay {
            return out.push(Output::NotAllowed);
        }
        let is_from_host = self.term.host() == Some(seat);
        let mut send = |receiver: &Member| {
            if receiver.is_group_member() && receiver.rights().relay {
                let (to, frame) = (receiver.session(), frame.clone());
                out.push(if is_from_host {
                    Output::Relay { to, frame }
                } else {
                    Output::Forward { to, frame, from: None }
                });
            }
        };
        match dst {
            Some(dst) => self.roster.find(dst).into_iter().for_each(|(_, member)| send(member)),
            None if is_from_host => self
                .roster
                .iter()
                .filter(|(other, m)| *other != seat && m.status().relay)
                .for_each(|(_, member)| send(member)),
            None => self.host_member().into_iter().for_each(send),
        }
    }

    /// Handles [`Input::Status`](crate::page::Input::Status): a member changed.
    pub(super) fn update_status(
        &mut self,
        env: Env<'_>,
        session: SessionId,
        update: StatusUpdate,
        out: &mut Vec<Output>,
    ) {
        let Some((seat, member)) = self.roster.find_session(session) else { return };
        let channels = update.channels.iter().flatten();
        channels
            .filter(|(id, _)| member.is_group_member() && !member.status().has_channel(id))
            .for_each(|(_, ms)| self.dials.add(*ms));
        let profile = self.roster.update_status(seat, update);
        let suspicions = self.term.challenge_mut().suspicions_mut();
        if !self.roster.get(seat).is_some_and(|m| m.status().p2p) {
            // a member that opens no data channels proves nothing about the host
            suspicions.disregard(seat);
        }
        suspicions.touch();
        self.deputy.touch();
        if profile == ProfileChange::Changed {
            self.profile_changed(env, seat, out);
        }
    }

    fn profile_changed(&mut self, env: Env<'_>, seat: Seat, out: &mut Vec<Output>) {
        match self.profiles.changed(seat, env.now) {
            Send::Now => self.tell_host_of(seat, out),
            Send::Later => {}
        }
    }

    /// Tells the host of profiles that had to wait.
    pub(super) fn send_due_profiles(&mut self, env: Env<'_>, out: &mut Vec<Output>) {
        while let Some(seat) = self.profiles.take_due(env.now) {
            self.tell_host_of(seat, out);
        }
    }
}
