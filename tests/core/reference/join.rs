//! Joins, and replacements of sockets.

use peerstar_core::page::member::{Departure, Rights, Way};
use peerstar_core::protocol::id::SessionId;

use super::{Absent, HOLD, MAX_MEMBERS, Model, Person, STAR};

impl Model {
    pub(crate) fn join(
        &mut self,
        session: SessionId,
        id: &str,
        token: Option<&str>,
        group: u32,
        rights: Rights,
        way: Way,
    ) {
        let newcomer = Person {
            session,
            seat: 0,
            came: self.now,
            id: id.into(),
            token: token.map(Into::into),
            group,
            rights,
            eligible: true,
            visible: true,
            profile: None,
            contacts: vec![],
            relay: true,
            p2p: true,
            channels: vec![],
            told_deputy: None,
            texts_sent: 0,
            stalled_at: None,
            out_of_reach: false,
            leave_said: None,
            silent_since: None,
            way,
        };
        let same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
        let pending = self.pending.iter().position(|(p, _)| p.id == id);
        let Some(at) = self.here.iter().position(|p| p.id == id) else {
            return self.admit(newcomer);
        };
        if same(&self.here[at].token, &newcomer.token) {
            if let Some(pending) = pending {
                let (loser, _) = self.pending.remove(pending);
                self.close(loser.session, "id-taken");
            }
            let old = self.here[at].session;
            self.close(old, "replaced");
            if group == 0 && self.here[at].group == 0 && rights == self.here[at].rights {
                self.here[at].session = session;
                self.leaving.retain(|(leaving, _)| *leaving != old);
                let had_profile = self.here[at].profile.is_some();
                (self.here[at].eligible, self.here[at].visible, self.here[at].profile) =
                    (true, true, None);
                (self.here[at].relay, self.here[at].texts_sent, self.here[at].stalled_at) =
                    (true, 0, None);
                self.here[at].out_of_reach = false;
                (self.here[at].p2p, self.here[at].channels, self.here[at].came) =
                    (true, vec![], self.now);
                self.moved(self.here[at].seat);
                self.here[at].leave_said = None;
                self.here[at].silent_since = None;
                if std::mem::replace(&mut self.here[at].way, way) != way
                    && self.host.as_deref() == Some(id)
                {
                    self.probe = None;
                }
                self.open(id);
                if had_profile && let Some(host) = self.host.clone().filter(|host| host != id) {
                    self.tell_host_of(&host, id);
                }
                self.deliver_parked(id);
            } else {
                // the newcomer does not know what the old socket was told
                self.depart(at, Departure::Expelled);
                self.admit(newcomer);
            }
            return;
        }
        if self.is_leaving(self.here[at].session) {
            self.depart(at, Departure::Goodbye);
            return self.admit(newcomer);
        }
        if !self.is_judged(self.here[at].way) {
            return self.close(session, "internal");
        }
        let mut until = self.now + HOLD;
        if let Some(pending) = pending {
            if !same(&self.pending[pending].0.token, &newcomer.token) {
                return self.close(session, "id-taken");
            }
            let (loser, since) = self.pending.remove(pending);
            self.close(loser.session, "replaced");
            until = since;
        }
        self.tell(id, "ping".into());
        self.pending.push((newcomer, until));
    }

    pub(super) fn admit(&mut self, mut newcomer: Person) {
        let must_dial = self.here.iter().filter(|p| !p.rights.relay).count();
        if self.here.len() >= MAX_MEMBERS
            || (self.named && self.relays && !newcomer.rights.relay && must_dial == STAR)
        {
            return self.close(newcomer.session, "page-full");
        }
        let hosted = self
            .host
            .as_ref()
            .is_some_and(|host| newcomer.group == 0 || self.person(host).group > 0);
        if self.named && !newcomer.rights.host && !hosted {
            return self.close(newcomer.session, "no-host");
        }
        let id = newcomer.id.clone();
        if let Some(at) = self.absent.iter().position(|a| a.id == id) {
            let away = self.absent.remove(at);
            if away.token.is_some() && away.token == newcomer.token {
                newcomer.contacts = away.contacts;
            } else {
                self.gone_for_good(&Absent { lost: false, ..away });
            }
        }
        let leads = newcomer.group > 0 && newcomer.rights.host;
        (newcomer.seat, newcomer.came) = (self.next_seat, self.now);
        self.next_seat += 1;
        self.moved(newcomer.seat);
        self.here.push(newcomer);
        if self.named {
            match self.host.clone() {
                None => {
                    let epoch = self.next_epoch();
                    self.install(&id, epoch);
                    self.review_deputy();
                    self.open(&id);
                }
                Some(host) if leads && self.person(&host).group == 0 => {
                    self.install(&id, self.next_epoch());
                    self.review_deputy();
                    self.open(&id);
                    self.announce("upgraded", Some(&id));
                }
                Some(host) => {
                    self.review_deputy();
                    self.open(&id);
                    self.tell_host_of(&host, &id);
                }
            }
        } else {
            self.open(&id);
        }
        self.deliver_parked(&id);
    }

    pub(super) fn deliver_parked(&mut self, id: &str) {
        let (mine, others): (Vec<_>, Vec<_>) = self.parked.drain(..).partition(|l| l.dst == id);
        self.parked = others;
        for message in mine {
            self.deliver(&message);
        }
    }
}
