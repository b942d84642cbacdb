//! `OPEN`, `HOST` and `JOIN`.

use super::super::world::START_MS;
use super::{Model, Person, STAR};

impl Model {
    pub(super) fn open(&mut self, id: &str) {
        let Some((epoch, host)) = self.assignment().filter(|_| self.named) else {
            return self.tell(id, "OPEN".into());
        };
        let p2p = self.dials(id);
        let roster = if host == id { format!(" roster={}", self.roster()) } else { String::new() };
        let members = self.here.len();
        let relay = if self.relays { self.relay_denied(id) } else { " relay=false" };
        let (deputy, fair) = (self.note_deputy(id), self.fair_told());
        self.tell(id, format!("OPEN host={host} epoch={epoch} members={members} p2p={p2p}{deputy}{fair}{relay}{roster}"));
    }

    /// Returns whether a member dials the host. Members that may not relay always do; of the others
    /// those longest present, up to the size of the star. If the host may not relay, all do.
    pub(super) fn dials(&self, id: &str) -> bool {
        if !self.relays {
            return true;
        }
        let (cannot_but, others): (Vec<_>, Vec<_>) =
            self.here.iter().partition(|p| !p.rights.relay);
        let host_relays = self.host.as_ref().is_none_or(|host| self.person(host).rights.relay);
        let longest: Vec<_> = others.iter().take(STAR - cannot_but.len()).collect();
        !host_relays || cannot_but.iter().any(|p| p.id == id) || longest.iter().any(|p| p.id == id)
    }

    pub(super) fn relay_denied(&self, id: &str) -> &'static str {
        if self.person(id).rights.relay { "" } else { " relay=false" }
    }

    pub(super) fn announce(&mut self, cause: &str, but: Option<&str>) {
        self.review_deputy();
        let (epoch, host) = self.assignment().unwrap();
        let (members, roster) = (self.here.len(), self.roster());
        for id in self.ids().into_iter().filter(|id| Some(id.as_str()) != but) {
            let roster = if id == host { format!(" roster={roster}") } else { String::new() };
            let (p2p, relay) = (self.dials(&id), self.relay_denied(&id));
            let what = format!("{}{}{relay}{roster}", self.note_deputy(&id), self.fair_told());
            self.tell(
                &id,
                format!(
                    "HOST host={host} epoch={epoch} cause={cause} members={members} p2p={p2p}{what}"
                ),
            );
        }
    }

    pub(super) fn entry(person: &Person) -> String {
        let profile = person.profile.as_ref().map(|p| format!(":{p}")).unwrap_or_default();
        format!(
            "{}{}{}{profile}",
            person.id,
            if person.group > 0 { "*" } else { "" },
            if person.rights.relay { "" } else { "-" }
        )
    }

    pub(super) fn roster(&self) -> String {
        self.here.iter().map(Self::entry).collect::<Vec<_>>().join(",")
    }

    pub(super) fn tell_host_of(&mut self, host: &str, id: &str) {
        let entry = Self::entry(self.person(id));
        self.tell(host, format!("JOIN from {id} {entry}"));
    }

    pub(super) fn next_epoch(&self) -> u64 {
        (START_MS + self.now).max(self.lead + self.now / 2).max(self.epoch + 1)
    }

    pub(super) fn install(&mut self, host: &str, epoch: u64) {
        self.host = Some(host.into());
        self.host_since = self.now;
        self.epoch = epoch;
        self.lead = self.lead.max(epoch - self.now / 2);
        self.probe = None;
        self.fitter_since.clear();
        self.suspecting.clear();
        self.doubting.clear();
        self.changed = true;
    }
}
