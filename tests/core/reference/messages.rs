//! Signalling, relay and status.

use peerstar_core::protocol::id::SessionId;

use super::{EXPIRE, Model, PROFILE_EVERY, Parked, Person};

impl Model {
    pub(crate) fn forward(&mut self, session: SessionId, kind: &'static str, dst: &str, n: u32) {
        let src = self.here.iter().find(|p| p.session == session).unwrap().id.clone();
        let message = Parked { kind, src, dst: dst.into(), n, until: self.now + EXPIRE };
        if self.here.iter().any(|p| p.id == dst && !self.is_leaving(p.session)) {
            self.deliver(&message);
        } else if kind != "LEAVE" {
            self.parked.push(message);
        }
    }

    pub(super) fn deliver(&mut self, message: &Parked) {
        if message.kind == "OFFER" || message.kind == "ANSWER" {
            for (who, whom) in [(&message.src, &message.dst), (&message.dst, &message.src)] {
                if let Some(person) = self.here.iter_mut().find(|p| p.id == *who)
                    && !person.contacts.contains(whom)
                {
                    person.contacts.push(whom.clone());
                }
            }
        }
        self.tell(&message.dst, format!("{} from {} n={}", message.kind, message.src, message.n));
    }

    pub(crate) fn sent_text(&mut self, session: SessionId) {
        self.here.iter_mut().filter(|p| p.session == session).for_each(|p| p.texts_sent += 1);
    }

    pub(crate) fn relay(&mut self, session: SessionId, dst: Option<&str>, n: u32) {
        let sender = self.here.iter().find(|p| p.session == session).unwrap().clone();
        let hosting = self.host.as_ref() == Some(&sender.id);
        let receives = |p: &&Person| match dst {
            Some(dst) => p.id == dst,
            None if hosting => p.id != sender.id && p.relay,
            None => self.host.as_ref() == Some(&p.id),
        };
        let to: Vec<_> = self
            .here
            .iter()
            .filter(receives)
            .filter(|p| self.named && self.relays && sender.group > 0 && p.group > 0)
            .filter(|p| sender.rights.relay && p.rights.relay)
            .map(|p| p.id.clone())
            .collect();
        self.ignored +=
            u32::from(self.named && self.relays && sender.group > 0 && !sender.rights.relay);
        for id in to {
            self.tell(&id, format!("RELAY from {} n={n}", sender.id));
        }
    }

    pub(crate) fn status(
        &mut self,
        session: SessionId,
        eligible: bool,
        visible: bool,
        relay: bool,
        profile: Option<&str>,
    ) {
        let person = self.here.iter_mut().find(|p| p.session == session).unwrap();
        (person.eligible, person.visible, person.relay) = (eligible, visible, relay);
        let news = profile.is_some() && person.profile.as_deref() != profile;
        if news {
            person.profile = profile.map(Into::into);
        }
        if news {
            let id = person.id.clone();
            match self.profiles.iter_mut().find(|(told, ..)| *told == id) {
                Some((.., another)) => *another = true,
                None => {
                    self.tell_host_of_profile(&id);
                    self.profiles.push((id, self.now + PROFILE_EVERY, false));
                }
            }
        }
    }

    pub(super) fn tell_host_of_profile(&mut self, id: &str) {
        if let Some(host) = self.host.clone().filter(|host| host != id) {
            self.tell_host_of(&host, id);
        }
    }

    pub(crate) fn alive(&mut self, session: SessionId) {
        let Some(id) = self.here.iter().find(|p| p.session == session).map(|p| p.id.clone()) else {
            return;
        };
        if let Some(pending) = self.pending.iter().position(|(p, _)| p.id == id) {
            let (loser, _) = self.pending.remove(pending);
            self.close(loser.session, "id-taken");
        }
    }

    /// Handles what a member says of its data channels.
    pub(crate) fn connected(
        &mut self,
        session: SessionId,
        p2p: bool,
        channels: Option<Vec<(String, u64)>>,
    ) {
        let person = self.here.iter_mut().find(|p| p.session == session).unwrap();
        person.p2p = p2p;
        if let Some(mut channels) = channels {
            channels.sort();
            let known = std::mem::take(&mut person.channels);
            person.channels = channels.iter().map(|(id, _)| id.clone()).collect();
            if person.group > 0 {
                self.dials.extend(
                    channels.into_iter().filter(|(id, _)| !known.contains(id)).map(|(_, ms)| ms),
                );
            }
        }
        if !p2p {
            let seat = person.seat;
            self.suspecting.remove(&seat);
        }
        self.changed = true;
    }
}
