//! Suspicions, probes, handovers, and hosts that are hidden.

use peerstar_core::page::member::Way;
use peerstar_core::protocol::id::SessionId;

use super::{CALM_MINUTE, HIDDEN, Model, PROBE, Person};

impl Model {
    pub(crate) fn suspect(&mut self, session: SessionId, epoch: u64) {
        let hosts = |p: &&Person| self.host.as_ref() == Some(&p.id);
        let suspecting =
            self.here.iter().find(|p| p.session == session && !hosts(p) && p.group > 0);
        let Some((suspecting, suspected)) =
            suspecting.zip(self.here.iter().find(|p| hosts(p) && p.group > 0))
        else {
            return;
        };
        if epoch != self.epoch {
            return;
        }
        let (host, way) = (suspected.id.clone(), suspected.way);
        let (seat, from) = (suspecting.seat, suspecting.way);
        if !self.may_relay_between(suspecting, suspected) && suspecting.p2p {
            self.suspecting.entry(seat).or_insert((self.now, false));
        }
        self.doubting.insert(seat);
        if self.probe.is_none() && self.is_judged(way) && self.is_judged(from) {
            let texts = self.person(&host).texts_sent;
            self.probe = Some(match way {
                Way::Local => (self.now + PROBE, Some(texts)),
                Way::Node(_) => (self.now + 2 * PROBE, None),
            });
            self.tell(&host, format!("PROBE epoch={epoch}"));
        }
    }

    pub(crate) fn resign(&mut self, session: SessionId, epoch: u64, to: &str) {
        let hosts =
            self.here.iter().any(|p| p.session == session && self.host.as_ref() == Some(&p.id));
        if hosts && epoch == self.epoch {
            self.replace("resigned", Some(to));
        }
    }

    pub(super) fn replace(&mut self, cause: &str, to: Option<&str>) {
        let old = self.host.clone().unwrap();
        let grouped = self.here.iter().any(|p| p.group > 0);
        let can = |p: &&Person| p.id != old && p.rights.host && (p.group > 0 || !grouped);
        let named =
            self.here.iter().filter(can).find(|p| Some(p.id.as_str()) == to).map(|p| p.id.clone());
        if !self.here.iter().any(|p| can(&p)) {
            return;
        }
        let epoch = self.next_epoch();
        let next = named.unwrap_or_else(|| self.choose(epoch, Some(&old)));
        self.install(&next, epoch);
        self.announce(cause, None);
    }

    /// Replaces a hidden host by a member that has been fitter for being visible for a while.
    pub(super) fn relieve(&mut self) {
        let Some(host) = self.host.clone() else { return };
        let grouped = self.here.iter().any(|p| p.group > 0);
        let can = |p: &&Person| {
            self.is_in_touch(p)
                && p.stalled_at.is_none()
                && p.rights.host
                && (p.group > 0 || !grouped)
        };
        let mut fit: Vec<&Person> = self.here.iter().filter(|p| p.id == host || can(p)).collect();
        if !self.is_judged(self.person(&host).way) {
            fit.clear();
        }
        self.keep_fittest(&mut fit);
        fit.retain(|p| p.visible && self.is_eligible(p) && !self.person(&host).visible);
        let since = |p: &Person| {
            let since = self.fitter_since.get(&p.id).copied();
            since.filter(|since| self.was_heard(p) || self.now < since + HIDDEN).unwrap_or(self.now)
        };
        self.fitter_since = fit.into_iter().map(|p| (p.id.clone(), since(p))).collect();
        let long = |(id, since): (&String, &u64)| (since + HIDDEN <= self.now).then(|| id.clone());
        let long: Vec<String> = self.fitter_since.iter().filter_map(long).collect();
        if !long.is_empty() {
            let epoch = self.next_epoch();
            let next = self.chosen.get(&epoch).cloned().unwrap_or_default();
            assert!(
                long.contains(&next),
                "{next:?} was elected, but only {long:?} have been fitter for long enough"
            );
            let deputy = self.deputy().filter(|deputy| long.contains(deputy));
            assert!(
                deputy.as_ref().is_none_or(|deputy| *deputy == next),
                "{next:?} was elected, but {deputy:?} is deputy"
            );
            self.install(&next, epoch);
            self.announce("resigned", None);
        }
    }

    pub(crate) fn trust(&mut self, session: SessionId) {
        let seat = self.here.iter().find(|p| p.session == session).unwrap().seat;
        self.suspecting.remove(&seat);
        self.doubting.remove(&seat);
    }

    /// Three times what all but the slowest of the last sixteen dials took, 3 to 30 s, and doubled.
    pub(super) fn fair(&self) -> u64 {
        let mut last: Vec<u64> = self.dials.iter().rev().take(16).copied().collect();
        last.sort_unstable();
        let fair = (last[14] * 3).clamp(3000, 30_000);
        (fair << self.doublings.min(8)).min(30_000)
    }

    pub(super) fn fair_told(&self) -> String {
        let fair = self.fair();
        if fair == 7500 { String::new() } else { format!(" fair={fair}") }
    }

    pub(super) fn may_relay_between(&self, one: &Person, other: &Person) -> bool {
        self.relays && one.rights.relay && other.rights.relay
    }

    pub(super) fn reach(&self, seat: u64) -> usize {
        let to = self.here.iter().find(|p| p.seat == seat).unwrap();
        let counts = |p: &Person| self.suspecting.get(&p.seat).is_some_and(|(_, counts)| *counts);
        let linked = |p: &Person| {
            p.channels.contains(&to.id) && !(self.host.as_ref() == Some(&to.id) && counts(p))
        };
        let others = self.here.iter().filter(|p| p.seat != seat && p.group > 0);
        others.filter(|p| self.may_relay_between(p, to) || linked(p)).count()
    }

    pub(super) fn weigh(&mut self) {
        let Some(host) = self.host.clone() else { return };
        let (now, fair) = (self.now, self.fair());
        self.suspecting.values_mut().for_each(|(began, counts)| *counts |= *began + fair <= now);
        let many = self.suspecting.values().filter(|(_, counts)| *counts).count();
        if many < 2 || many * 2 <= self.here.len() {
            return;
        }
        let seat = self.person(&host).seat;
        let deputy = self.deputy.filter(|deputy| self.reach(*deputy) > self.reach(seat));
        let deputy = deputy.filter(|_| self.deputy_person().is_some_and(|p| self.is_up(p.way)));
        let grouped = self.here.iter().any(|p| p.group > 0);
        let can = |p: &Person| p.id != host && p.rights.host && (p.group > 0 || !grouped);
        if if self.deputies { deputy.is_none() } else { !self.here.iter().any(can) } {
            return;
        }
        let epoch = self.next_epoch();
        let next = self
            .deputy()
            .filter(|_| self.deputies)
            .unwrap_or_else(|| self.choose(epoch, Some(&host)));
        self.doublings += 1;
        self.calm_at = Some(now + CALM_MINUTE);
        self.here.iter_mut().filter(|p| p.id == host).for_each(|p| p.out_of_reach = true);
        self.install(&next, epoch);
        self.announce("unreachable", None);
    }
}
