//! Leaves, and absent members.

use peerstar_core::page::member::Departure;
use peerstar_core::protocol::id::SessionId;

use super::{Absent, Model, Person, RETURN, grace};

impl Model {
    pub(crate) fn gone(&mut self, session: SessionId, departure: Departure) {
        let has_said = |p: &Person| p.leave_said.is_some_and(|said| self.now - said <= grace());
        match self.here.iter().position(|p| p.session == session) {
            Some(at) if has_said(&self.here[at]) => self.depart(at, Departure::Goodbye),
            Some(at) if departure == Departure::GoingAway => {
                let person = &mut self.here[at];
                if self.pending.iter().any(|(p, _)| p.id == person.id) {
                    return self.depart(at, Departure::Goodbye);
                }
                // without a socket, nothing is known of what the client sends
                (person.texts_sent, person.silent_since) = (0, None);
                self.leaving.push((session, self.now + grace()));
            }
            Some(at) => self.depart(at, departure),
            None => self.pending.retain(|(p, _)| p.session != session),
        }
    }

    /// A page says over HTTP that it leaves.
    pub(crate) fn take_leave(&mut self, id: &str, token: &str) {
        let is_its = |known: &Option<String>| known.as_deref() == Some(token);
        if let Some(at) = self.here.iter().position(|p| p.id == id) {
            if is_its(&self.here[at].token) {
                self.here[at].leave_said = Some(self.now);
                if self.is_leaving(self.here[at].session) {
                    self.depart(at, Departure::Goodbye);
                }
            }
        } else if let Some(at) = self.absent.iter().position(|a| a.id == id && is_its(&a.token)) {
            let away = self.absent.remove(at);
            self.gone_for_good(&Absent { lost: false, ..away });
        }
    }

    pub(crate) fn congested(&mut self, session: SessionId) {
        if let Some(at) = self.here.iter().position(|p| p.session == session) {
            self.close(session, "slow");
            self.depart(at, Departure::Lost);
        }
    }

    pub(crate) fn kick(&mut self, id: &str) {
        if let Some(pending) = self.pending.iter().position(|(p, _)| p.id == id) {
            let (newcomer, _) = self.pending.remove(pending);
            self.close(newcomer.session, "kicked");
        }
        if let Some(at) = self.here.iter().position(|p| p.id == id) {
            self.close(self.here[at].session, "kicked");
            self.depart(at, Departure::Expelled);
        }
        if let Some(at) = self.absent.iter().position(|a| a.id == id) {
            let away = self.absent.remove(at);
            self.gone_for_good(&Absent { lost: false, ..away });
        }
    }

    pub(super) fn depart(&mut self, at: usize, departure: Departure) {
        let person = self.here.remove(at);
        self.moved(person.seat);
        self.forget(&person);
        let mut hostless = Vec::new();
        if self.host.as_ref() == Some(&person.id) {
            self.host = None;
            hostless = self.remove_hostless();
            if !self.here.is_empty() {
                let epoch = self.next_epoch();
                let host = self.choose(epoch, None);
                self.install(&host, epoch);
                self.announce(
                    if departure == Departure::Silent { "timeout" } else { "left" },
                    None,
                );
            }
        }
        for person in hostless {
            self.release(person, Departure::Lost);
        }
        self.release(person, departure);
    }

    /// Removes the members that no present member may host.
    pub(super) fn remove_hostless(&mut self) -> Vec<Person> {
        let grouped_lead = self.here.iter().any(|p| p.rights.host && p.group > 0);
        let any_lead = self.here.iter().any(|p| p.rights.host);
        let (hostless, here) =
            self.here.drain(..).partition(|p| if p.group > 0 { !grouped_lead } else { !any_lead });
        self.here = here;
        let hostless: Vec<Person> = hostless;
        hostless.iter().for_each(|p| self.close(p.session, "no-host"));
        hostless.iter().for_each(|p| self.forget(p));
        hostless.iter().for_each(|p| self.moved(p.seat));
        hostless
    }

    pub(super) fn forget(&mut self, person: &Person) {
        self.fitter_since.remove(&person.id);
        self.leaving.retain(|(session, _)| *session != person.session);
        self.profiles.retain(|(id, ..)| *id != person.id);
    }

    pub(super) fn release(&mut self, person: Person, departure: Departure) {
        let away = Absent {
            id: person.id.clone(),
            token: person.token,
            contacts: person.contacts,
            announced: self.named || departure != Departure::Disconnected,
            lost: self.named
                && matches!(departure, Departure::Lost | Departure::Silent)
                && self.pending.iter().all(|(p, _)| p.id != person.id),
            until: self.now + RETURN,
        };
        let returns =
            departure == Departure::Lost || (!self.named && departure == Departure::Disconnected);
        if returns {
            self.absent.push(away)
        } else {
            self.gone_for_good(&away)
        }
        if let Some(newcomer) = self.pending.iter().position(|(p, _)| p.id == person.id) {
            let (newcomer, _) = self.pending.remove(newcomer);
            self.admit(newcomer);
        }
    }

    pub(super) fn gone_for_good(&mut self, away: &Absent) {
        if !away.announced {
            return;
        }
        let mut told = away.contacts.clone();
        told.extend(self.host.clone().filter(|host| !away.contacts.contains(host)));
        for id in told {
            self.tell(
                &id,
                format!("LEAVE from {}{}", away.id, if away.lost { " lost" } else { "" }),
            );
        }
    }
}
