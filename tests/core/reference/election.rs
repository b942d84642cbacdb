//! Which members may be elected.

use peerstar_core::page::member::Way;

use super::{FRESH, Model, Person};

impl Model {
    /// Keeps the fittest candidates. Each merit counts more than all after it.
    pub(super) fn keep_fittest(&self, fit: &mut Vec<&Person>) {
        let eligible = |p: &Person| self.is_eligible(p);
        let merits: [&dyn Fn(&Person) -> bool; 5] =
            [&|p| p.group > 0, &eligible, &|p| !p.out_of_reach, &|p| p.rights.relay, &|p| {
                p.visible
            }];
        for merit in merits {
            if fit.iter().any(|p| merit(p)) {
                fit.retain(|p| merit(p));
            }
        }
    }

    /// Returns whether `person` can host. A member that opens no data channels cannot where another
    /// one needs one.
    pub(super) fn is_eligible(&self, person: &Person) -> bool {
        person.eligible && (person.p2p || !self.needs_dialling())
    }

    pub(super) fn needs_dialling(&self) -> bool {
        !self.relays || self.here.iter().any(|p| !p.rights.relay)
    }

    /// Returns the host that the page elected, if it is fit.
    pub(super) fn choose(&self, epoch: u64, but: Option<&str>) -> String {
        let ready = |p: &&Person| self.runs(p) && self.was_heard(p) && Some(p.id.as_str()) != but;
        let deputy = self.deputy_person().filter(|p| self.may_be_deputy(p)).filter(ready);
        let mut fit = self.fit(but);
        let best = fit.first().map(|id| self.person(id));
        let merits = |p: &Person| {
            (p.group > 0, self.is_in_touch(p), self.is_eligible(p), p.out_of_reach, p.rights.relay)
        };
        if let Some(deputy) =
            deputy.filter(|deputy| best.is_some_and(|best| merits(best) == merits(deputy)))
        {
            fit = vec![deputy.id.clone()];
        }
        let host = self.chosen.get(&epoch).cloned().unwrap_or_default();
        assert!(fit.contains(&host), "{host:?} was elected, but only {fit:?} are fit");
        host
    }

    pub(super) fn was_heard(&self, person: &Person) -> bool {
        match person.way {
            Way::Local => person.silent_since.is_none_or(|since| self.now - since <= FRESH),
            Way::Node(_) => self.is_up(person.way),
        }
    }

    pub(super) fn runs(&self, person: &Person) -> bool {
        person.stalled_at.is_none_or(|at| person.texts_sent > at)
    }

    /// Keeps group members if there are any, and of these the members with a socket.
    pub(super) fn keep_present(&self, fit: &mut Vec<&Person>) {
        for merit in [|_: &Self, p: &Person| p.group > 0, |m: &Self, p: &Person| m.is_in_touch(p)] {
            if fit.iter().any(|p| merit(self, p)) {
                fit.retain(|p| merit(self, p));
            }
        }
    }

    /// Returns the fittest members: group, socket, eligible, relay, visible, heard from recently.
    pub(super) fn fit(&self, but: Option<&str>) -> Vec<String> {
        let mut fit: Vec<&Person> =
            self.here.iter().filter(|p| p.rights.host && Some(p.id.as_str()) != but).collect();
        let is_fresh = |p: &&Person| self.runs(p) && self.was_heard(p);
        self.keep_present(&mut fit);
        self.keep_fittest(&mut fit);
        if fit.iter().any(is_fresh) {
            fit.retain(is_fresh);
        }
        fit.into_iter().map(|p| p.id.clone()).collect()
    }
}
