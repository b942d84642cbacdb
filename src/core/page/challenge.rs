//! Reasons to replace a present host: a probe of its page, suspicions of members, and fitter
//! members while it is hidden.

use std::time::Duration;

use crate::page::deadline_map::DeadlineMap;
use crate::page::member::Seat;
use crate::page::suspicion::Suspicions;
use crate::time::Time;

/// Reasons to replace the present host. Each term begins with an empty challenge.
#[derive(Debug, Default)]
pub struct Challenge {
    probe: Option<Probe>,
    suspicions: Suspicions,
    relief: Relief,
}

/// A check whether the host's page runs.
#[derive(Debug)]
struct Probe {
    until: Time,
    gauge: Gauge,
}

/// How a probe finds out whether the host's page runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gauge {
    /// The host is on this node, and had sent this number of text frames when the probe began.
    Texts(u64),
    /// The host is on another node, which reports what it finds.
    Report,
}

impl Challenge {
    /// Returns whether a probe is under way.
    #[must_use]
    pub const fn is_probing(&self) -> bool {
        self.probe.is_some()
    }

    /// Begins a probe of the host.
    pub const fn begin_probe(&mut self, until: Time, gauge: Gauge) {
        self.probe = Some(Probe { until, gauge });
    }

    /// Ends the probe if its time is over. Returns how the probe was to find out whether the host's
    /// page runs.
    pub fn end_probe(&mut self, now: Time) -> Option<Gauge> {
        self.probe.take_if(|probe| probe.until <= now).map(|probe| probe.gauge)
    }

    /// Ends a probe that waits for the report of another node. Returns whether there was one.
    pub fn take_report(&mut self) -> bool {
        self.probe.take_if(|probe| probe.gauge == Gauge::Report).is_some()
    }

    /// Ends a probe without a result. Members that still suspect the host say so again.
    pub const fn cancel_probe(&mut self) {
        self.probe = None;
    }

    /// Returns when the probe ends.
    #[must_use]
    pub fn probe_deadline(&self) -> Option<Time> {
        self.probe.as_ref().map(|probe| probe.until)
    }

    /// Returns the suspicions of the host.
    #[must_use]
    pub const fn suspicions(&self) -> &Suspicions {
        &self.suspicions
    }

    /// Returns the suspicions of the host.
    pub const fn suspicions_mut(&mut self) -> &mut Suspicions {
        &mut self.suspicions
    }

    /// Returns the members that are fitter than a hidden host.
    #[must_use]
    pub const fn relief(&self) -> &Relief {
        &self.relief
    }

    /// Returns the members that are fitter than a hidden host.
    pub const fn relief_mut(&mut self) -> &mut Relief {
        &mut self.relief
    }
}

/// Members that are fitter than the host for being visible, while it is hidden. One follows it
/// after it was fitter for a while: by then it has the state of the group.
#[derive(Debug, Default)]
pub struct Relief(DeadlineMap<Seat, ()>);

impl Relief {
    /// Updates who is `fitter`: seat, and whether the member was heard from recently. Members that
    /// are fitter for the first time wait for `patience`. A candidate that is not fresh when its
    /// wait ends starts the wait again.
    pub fn update(
        &mut self,
        fitter: impl Iterator<Item = (Seat, bool)>,
        now: Time,
        patience: Duration,
    ) {
        let before = std::mem::take(&mut self.0);
        for (seat, is_fresh) in fitter {
            let until = before.get(&seat).map(|(until, ())| until);
            let until = until.filter(|until| is_fresh || now < *until);
            self.0.insert(seat, until.unwrap_or_else(|| now.plus(patience)), ());
        }
    }

    /// Returns whether a member has been fitter for long enough.
    #[must_use]
    pub fn has_waited(&self, seat: Seat, now: Time) -> bool {
        self.0.get(&seat).is_some_and(|(until, ())| until <= now)
    }

    /// Returns whether any member has been fitter for long enough.
    #[must_use]
    pub fn is_due(&self, now: Time) -> bool {
        self.0.due(now).is_some()
    }

    /// Returns when the first member has been fitter for long enough.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.0.next_deadline()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_ends_once_and_remembers_how_the_host_is_judged() {
        let mut challenge = Challenge::default();
        assert_eq!(challenge.probe_deadline(), None);
        challenge.begin_probe(Time(2000), Gauge::Texts(7));
        assert_eq!((challenge.is_probing(), challenge.end_probe(Time(1999))), (true, None));
        assert!(!challenge.take_report(), "no other node is asked");
        assert_eq!(challenge.end_probe(Time(2000)), Some(Gauge::Texts(7)));
        assert_eq!((challenge.is_probing(), challenge.end_probe(Time(2000))), (false, None));
        challenge.begin_probe(Time(3000), Gauge::Report);
        assert!(challenge.take_report() && !challenge.take_report() && !challenge.is_probing());
        challenge.begin_probe(Time(3000), Gauge::Report);
        challenge.cancel_probe();
        assert_eq!((challenge.probe_deadline(), challenge.take_report()), (None, false));
    }

    #[test]
    fn a_member_relieves_the_host_after_it_was_fitter_all_the_time() {
        let (mut relief, patience) = (Relief::default(), Duration::from_secs(10));
        let mut update = |now, fitter: &[(u64, bool)]| {
            let fitter = fitter.iter().map(|(seat, is_fresh)| (Seat(*seat), *is_fresh));
            relief.update(fitter, Time(now), patience);
            (relief.next_deadline().map(|at| at.0), relief.is_due(Time(now)))
        };
        assert_eq!(update(0, &[(1, true), (2, true)]), (Some(10_000), false));
        assert_eq!(update(5000, &[(2, true)]), (Some(10_000), false), "1 is as hidden as the host");
        assert_eq!(update(6000, &[(1, true), (2, true)]), (Some(10_000), false));
        assert_eq!(
            update(10_000, &[(1, true), (2, false)]),
            (Some(16_000), false),
            "2 waits again"
        );
        assert_eq!(update(16_000, &[(1, true), (2, true)]), (Some(16_000), true));
        assert!(relief.has_waited(Seat(1), Time(16_000)));
        assert!(!relief.has_waited(Seat(2), Time(16_000)));
    }
}
