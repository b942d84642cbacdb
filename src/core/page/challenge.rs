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
    /// Number of text frames that the host had sent when the probe began.
    texts_sent: u64,
}

impl Challenge {
    /// Returns whether a probe is under way.
    #[must_use]
    pub const fn is_probing(&self) -> bool {
        self.probe.is_some()
    }

    /// Begins a probe of a host that has sent `texts_sent` text frames.
    pub const fn begin_probe(&mut self, until: Time, texts_sent: u64) {
        self.probe = Some(Probe { until, texts_sent });
    }

    /// Ends the probe if its time is over. Returns how many text frames the host had sent when the
    /// probe began.
    pub fn end_probe(&mut self, now: Time) -> Option<u64> {
        self.probe.take_if(|probe| probe.until <= now).map(|probe| probe.texts_sent)
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
    fn a_probe_ends_once_and_remembers_what_the_host_had_sent() {
        let mut challenge = Challenge::default();
        assert_eq!(challenge.probe_deadline(), None);
        challenge.begin_probe(Time(2000), 7);
        assert_eq!((challenge.is_probing(), challenge.end_probe(Time(1999))), (true, None));
        assert_eq!(challenge.end_probe(Time(2000)), Some(7));
        assert_eq!((challenge.is_probing(), challenge.end_probe(Time(2000))), (false, None));
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
