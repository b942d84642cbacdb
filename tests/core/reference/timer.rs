//! Deadlines, and members that are silent.

use peerstar_core::page::member::{Departure, Way};
use peerstar_core::protocol::id::SessionId;

use super::{HIDDEN, HOST_TIMEOUT, Model, PROFILE_EVERY, Person, TIMEOUT, TRUCE};

impl Model {
    pub(crate) fn silence(&mut self, session: SessionId) {
        let now = self.now;
        if let Some(person) = self.here.iter_mut().find(|p| p.session == session) {
            person.silent_since.get_or_insert(now);
        }
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        let until = self.now + ms;
        while let Some(next) = self.deadlines().into_iter().filter(|at| *at <= until).min() {
            self.now = self.now.max(next);
            self.timer();
            self.review();
            self.forget_ways();
        }
        self.now = until;
    }

    pub(super) fn patience_ends(&self, person: &Person) -> Option<u64> {
        let since = person.silent_since.filter(|_| person.way == Way::Local)?;
        let ends = since + TIMEOUT;
        let hosting = self.host.as_ref() == Some(&person.id);
        Some(if hosting { ends.min(since.max(self.host_since) + HOST_TIMEOUT) } else { ends })
    }

    pub(super) fn deadlines(&self) -> Vec<u64> {
        let pending = self.pending.iter().map(|(_, until)| *until);
        let away = self.absent.iter().map(|a| a.until);
        let parked = self.parked.iter().map(|l| l.until);
        let silent = self.here.iter().filter_map(|p| self.patience_ends(p));
        let hidden = self.fitter_since.values().map(|since| since + HIDDEN);
        let probe = self.probe.map(|(until, _)| until);
        let profiles = self.profiles.iter().map(|(_, until, _)| *until);
        let leaving = self.leaving.iter().map(|(_, until)| *until);
        let suspicions = self
            .suspecting
            .values()
            .filter(|(_, counts)| !counts)
            .map(|(began, _)| began + self.fair());
        let more = leaving.chain(suspicions).chain(self.judged_next()).chain(self.calm_at);
        let truces = self.down.values().map(|since| since + TRUCE).filter(|at| *at > self.now);
        pending
            .chain(truces)
            .chain(profiles)
            .chain(away)
            .chain(parked)
            .chain(silent)
            .chain(hidden)
            .chain(probe)
            .chain(more)
            .collect()
    }

    pub(super) fn timer(&mut self) {
        let now = self.now;
        if self.calm_at.take_if(|at| *at <= now).is_some() {
            self.doublings = 0;
            self.here.iter_mut().for_each(|p| p.out_of_reach = false);
        }
        while let Some((session, _)) =
            self.leaving.first().copied().filter(|(_, until)| *until <= now)
        {
            let at = self
                .here
                .iter()
                .position(|p| p.session == session)
                .expect("a member with a grace is not here");
            self.depart(at, Departure::Goodbye);
        }
        while let Some(due) = self
            .pending
            .iter()
            .filter(|(_, until)| *until <= now)
            .min_by_key(|(p, until)| (*until, p.session))
            .cloned()
        {
            let at = self
                .here
                .iter()
                .position(|p| p.id == due.0.id)
                .expect("a newcomer waits for an id that is free");
            if !self.is_judged(self.here[at].way) {
                self.pending.retain(|(p, _)| p.session != due.0.session);
                self.close(due.0.session, "internal");
                continue;
            }
            let silent = self.here[at].session;
            self.close(silent, "timeout");
            self.depart(at, Departure::Silent);
        }
        while let Some(at) = self.absent.iter().position(|a| a.until <= now) {
            let away = self.absent.remove(at);
            self.gone_for_good(&away);
        }
        while self.profiles.first().is_some_and(|(_, until, _)| *until <= now) {
            let (id, _, another) = self.profiles.remove(0);
            if another {
                self.tell_host_of_profile(&id);
                self.profiles.push((id, now + PROFILE_EVERY, false));
            }
        }
        while let Some(due) = self.parked.iter().find(|l| l.until <= now).cloned() {
            let mut in_attempt = false;
            self.parked.retain(|l| {
                if (&l.src, &l.dst) != (&due.src, &due.dst) {
                    return true;
                }
                if l.until <= now || l.kind == "OFFER" {
                    in_attempt = l.until <= now;
                }
                !in_attempt
            });
            self.tell(&due.src, format!("EXPIRE from {}", due.dst));
        }
        let silent = |m: &Self, p: &Person| m.patience_ends(p).is_some_and(|at| at <= now);
        let mut gone: Vec<_> = self
            .here
            .iter()
            .filter(|p| silent(self, p))
            .map(|p| (self.host.as_ref() == Some(&p.id), p.session))
            .collect();
        gone.sort_unstable();
        for (_, session) in gone {
            if let Some(at) = self.here.iter().position(|p| p.session == session) {
                self.close(session, "timeout");
                self.depart(at, Departure::Silent);
            }
        }
        if let Some((_, texts_sent)) = self.probe.take_if(|(until, _)| *until <= now)
            && let Some(host) = self.host.clone()
        {
            let person = self.person(&host);
            match texts_sent {
                Some(texts) if texts == person.texts_sent => self.stalled(texts),
                None if !self.is_up(person.way) && self.is_judged(person.way) => {
                    self.stalled(u64::MAX);
                }
                Some(_) | None => {}
            }
        }
    }
}
