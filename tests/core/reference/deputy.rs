//! The deputy: which member it is, and which members know it.

use super::super::world::house;
use super::{CALM, DEPUTY, Model, Person};

impl Model {
    /// Notes that a member joined or left, or has a new socket.
    pub(super) fn moved(&mut self, seat: u64) {
        self.suspecting.remove(&seat);
        self.doubting.remove(&seat);
        self.moved_at = self.now;
        self.changed = true;
    }

    pub(crate) fn deputy(&self) -> Option<String> {
        self.deputy_person().map(|p| p.id.clone())
    }

    pub(super) fn deputy_person(&self) -> Option<&Person> {
        self.here.iter().find(|p| Some(p.seat) == self.deputy)
    }

    pub(super) fn dials_deputy(&self, person: &Person) -> bool {
        self.named && self.deputies && person.group > 0 && (!self.relays || !person.rights.relay)
    }

    pub(super) fn may_be_deputy(&self, person: &Person) -> bool {
        person.group > 0 && person.rights.host && self.is_eligible(person)
    }

    /// Returns what a member that dials the deputy is told of it, and notes that the member knows
    /// it.
    pub(super) fn note_deputy(&mut self, id: &str) -> String {
        let (deputy, number) = (self.deputy(), self.deputy_number);
        let at = self.here.iter().position(|p| p.id == id).unwrap();
        self.here[at].told_deputy = Some(number);
        deputy
            .filter(|_| self.dials_deputy(&self.here[at]))
            .map(|deputy| format!(" deputy={deputy}"))
            .unwrap_or_default()
    }

    /// Returns when the deputy is judged.
    pub(super) fn judged_next(&self) -> Option<u64> {
        let term = self.fair().max(DEPUTY) << self.unreached.saturating_sub(1).min(5);
        let at = (self.deputy_since + term).max(self.moved_at + CALM).max(self.judged_at + CALM);
        (self.deputy.is_some() && self.changed).then_some(at)
    }

    pub(super) fn review_deputy(&mut self) {
        let Some(host) =
            self.host.clone().filter(|_| self.named && self.deputies && self.needs_dialling())
        else {
            if self.deputy.is_some() {
                self.name_deputy(&[]);
            }
            return;
        };
        let able = self.deputy_person().filter(|p| p.id != host && self.may_be_deputy(p)).cloned();
        let Some(deputy) = able else {
            let fit = self.fit_deputies(&host, None);
            if !fit.is_empty() || self.deputy.is_some() {
                self.name_deputy(&fit);
            }
            return;
        };
        if self.judged_next().is_some_and(|at| at <= self.now) {
            if !self.is_judged(deputy.way) {
                self.judged_at = self.now;
                return;
            }
            let concerned = |p: &&Person| {
                p.id != host && p.seat != deputy.seat && p.p2p && self.dials_deputy(p)
            };
            let dialling: Vec<&Person> = self.here.iter().filter(concerned).collect();
            let without: Vec<&&Person> =
                dialling.iter().filter(|p| !p.channels.contains(&deputy.id)).collect();
            let late = |p: &&&&Person| p.came.max(self.deputy_since) + self.fair() <= self.now;
            let missing = without.iter().filter(late).count();
            let pending = missing < without.len();
            let is_reached = missing * 2 <= dialling.len();
            (self.judged_at, self.changed) = (self.now, pending);
            let others = self.fit_deputies(&host, Some(deputy.seat));
            let is_fit = self.fit_deputies(&host, None).contains(&deputy.id);
            if (!is_reached || !is_fit) && !others.is_empty() {
                self.name_deputy(&others);
            }
            if is_reached {
                self.unreached = 0;
            } else if !others.is_empty() {
                self.unreached += 1;
            }
        }
    }

    pub(super) fn fit_deputies(&self, host: &str, but: Option<u64>) -> Vec<String> {
        let able = |p: &&Person| p.id != host && Some(p.seat) != but && self.may_be_deputy(p);
        let mut fit: Vec<&Person> = self.here.iter().filter(able).collect();
        self.keep_present(&mut fit);
        self.keep_fittest(&mut fit);
        let elsewhere = |p: &&Person| house(&p.id) != house(host);
        let linked = |p: &&Person| p.channels.iter().any(|id| id == host);
        for merit in
            [&(|p: &&Person| self.runs(p)) as &dyn Fn(&&Person) -> bool, &linked, &elsewhere]
        {
            if fit.iter().any(merit) {
                fit.retain(merit);
            }
        }
        fit.into_iter().map(|p| p.id.clone()).collect()
    }

    /// Adopts the deputy that the page named, if it is in `fit`.
    pub(super) fn name_deputy(&mut self, fit: &[String]) {
        let named = self.named_deputies.pop_front().expect("the page named no deputy");
        assert_eq!(named.is_some(), !fit.is_empty(), "{named:?} was named deputy");
        assert!(
            named.as_ref().is_none_or(|named| fit.contains(named)),
            "{named:?} was named deputy, but only {fit:?} are fit"
        );
        self.deputy = named.map(|named| self.person(&named).seat);
        self.deputy_number += 1;
        (self.deputy_since, self.changed) = (self.now, true);
    }

    /// Announces the deputy to members that dial it and know another one.
    pub(super) fn tell_of_deputy(&mut self) {
        let Some(_) = self.host else { return };
        let (number, deputy) = (self.deputy_number, self.deputy());
        let untold = |p: &&Person| p.told_deputy != Some(number) && self.dials_deputy(p);
        let ids: Vec<_> = self.here.iter().filter(untold).map(|p| p.id.clone()).collect();
        for id in ids {
            self.note_deputy(&id);
            self.tell(
                &id,
                format!(
                    "DEPUTY{}",
                    deputy.as_ref().map(|id| format!(" deputy={id}")).unwrap_or_default()
                ),
            );
        }
    }

    /// Reviews the deputy, suspicions and a hidden host, as a page does after each step.
    pub(crate) fn review(&mut self) {
        self.review_deputy();
        self.weigh();
        self.relieve();
        self.tell_of_deputy();
    }
}
