//! The clock of epochs, one for a whole process: which epoch comes next, and which claims are
//! believed.
//!
//! The clock shows the wall clock's milliseconds, or more: the highest epoch that any page of the
//! process has named or believed, and half the time since. So a page that knows nothing of its past
//! names a higher epoch than every page before it, although the wall clock may have been set back.
//! While the clock is ahead of the wall clock, it runs at half speed and so is caught up with. At
//! full speed, the node whose time runs fastest would drive all others ahead for ever.
//!
//! Clients can make up claims. A claim is therefore weighed twice. What a page *believes*, it goes
//! on above, because its members were told. What raises the *clock*, and with it all pages, is at
//! most [`LIFT_MS`] above the wall clock.

use std::time::Duration;

use crate::cluster::Slot;
use crate::protocol::id::Epoch;
use crate::time::Time;

/// How far above the wall clock an epoch may be that a client was told by an earlier process, in
/// ms. The clock may be set back while the server restarts, and the clocks of several nodes differ.
const BELIEF_MS: u64 = 600_000;
/// How far above the wall clock an epoch may raise the clock of epochs, in ms.
const LIFT_MS: u64 = 120_000;
/// How far above the clock of epochs a page names hosts as often as it needs to, in ms.
const FAR_MS: u64 = 300_000;
/// How far above the clock of epochs an epoch shows that the wall clock was set back, in ms.
const BEHIND_MS: u64 = 1000;
/// Most by which an epoch exceeds the one that it follows, while the clock is behind.
const GAP_MS: u64 = 1024;

/// The epochs named so far, as one process knows them. A plain value: whoever shares it between
/// threads keeps the fields in atomics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochClock {
    /// What the clock shows less half the time since the process started, in ms, if the wall clock
    /// shows less. It only grows.
    pub lead_ms: u64,
    /// The highest epoch that a client may have been told before the process started.
    pub told_before: Epoch,
    /// The node's share of the epochs. `None` for a process alone.
    pub slot: Option<Slot>,
}

impl EpochClock {
    /// Returns the clock of a process that starts at `unix_ms` by the wall clock.
    #[must_use]
    pub const fn start(unix_ms: u64) -> Self {
        let told_before = Epoch(unix_ms.saturating_add(BELIEF_MS));
        Self { lead_ms: 0, told_before, slot: None }
    }

    /// Reads the clock at `now`, `unix_ms` by the wall clock.
    #[must_use]
    pub fn read(self, now: Time, unix_ms: u64) -> EpochTime {
        let now_ms = unix_ms.max((now.0 / 2).saturating_add(self.lead_ms));
        let lifted_ms = now_ms.max(unix_ms.saturating_add(LIFT_MS));
        let credible = Epoch(lifted_ms.max(self.told_before.0).min(Epoch::LIMIT - 1));
        EpochTime { now_ms, lifted_ms, credible, slot: self.slot }
    }

    /// Notes the highest epoch that a page has named or believed.
    ///
    /// An epoch far above the wall clock counts only as far as [`LIFT_MS`] above it: it may stem
    /// from a claim that was made up.
    pub fn note(&mut self, now: Time, unix_ms: u64, epoch: Epoch) {
        let time = self.read(now, unix_ms);
        // a page rounds up to its slot, and the clock would run ahead by that with every term
        let named_ms = epoch.0.saturating_sub(time.step() - 1);
        self.raise(now, named_ms.min(time.lifted_ms));
    }

    /// Notes what the clock of another node showed, which it has limited by its own wall clock. The
    /// highest in the cluster is enough.
    pub fn note_cluster(&mut self, now: Time, epoch: Epoch) {
        self.raise(now, epoch.0);
    }

    fn raise(&mut self, now: Time, shown_ms: u64) {
        self.lead_ms = self.lead_ms.max(shown_ms.saturating_sub(now.0 / 2));
    }
}

/// One reading of the clock of epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochTime {
    now_ms: u64,
    lifted_ms: u64,
    credible: Epoch,
    slot: Option<Slot>,
}

impl EpochTime {
    /// Returns the time, in ms since 1970. It is not below the wall clock.
    #[must_use]
    pub const fn now_ms(self) -> u64 {
        self.now_ms
    }

    /// Returns whether a client that claims `epoch` can have been told it.
    ///
    /// What this process named is at or below its clock, or close above. Anything higher was told
    /// by an earlier process, and so is no more than [`BELIEF_MS`] above the time at which this one
    /// started.
    #[must_use]
    pub fn believes(self, epoch: Epoch) -> bool {
        epoch <= self.credible
    }

    /// Returns the epoch that follows `announced`, the highest that the page announced or believed.
    ///
    /// The result is not below the clock: this process may have forgotten any epoch up to that.
    /// While the clock is behind, the next few epochs may have been announced before a restart as
    /// well. `random` picks one that hardly was.
    #[must_use]
    pub fn next(self, announced: Epoch, random: u64) -> Epoch {
        let is_behind = announced.0 > self.now_ms.saturating_add(BEHIND_MS);
        let gap = if is_behind { random % GAP_MS } else { 0 };
        let least = self.now_ms.max(announced.0 + 1 + gap);
        Epoch(self.slot.map_or(least, |slot| slot.at_least(least)))
    }

    /// Returns whether a page that has come to `epoch` is so far above the clock that it names the
    /// next host no sooner than a second later.
    #[must_use]
    pub const fn is_far_below(self, epoch: Epoch) -> bool {
        epoch.0 > self.now_ms.saturating_add(FAR_MS)
    }

    /// Returns the least time until the clock is past `epoch`; zero if it is. A page may be forgotten
    /// then: another page of its name begins with a higher epoch.
    #[must_use]
    pub const fn until_past(self, epoch: Epoch) -> Duration {
        Duration::from_millis((epoch.0 + 1).saturating_sub(self.now_ms))
    }

    /// Returns the distance between two epochs of the process.
    const fn step(self) -> u64 {
        if self.slot.is_some() { Slot::COUNT } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const MINUTE: u64 = 60_000;
    /// The wall clock when the process starts.
    const START: u64 = 1_000_000_000;

    #[test]
    fn the_clock_shows_the_wall_clock_or_the_highest_epoch_and_half_the_time_since() {
        let mut clock = EpochClock::start(START);
        assert_eq!(clock.read(Time(7), START + 7).now_ms(), START + 7);
        clock.note(Time(7), START + 7, Epoch(START + 5007));
        assert_eq!(clock.read(Time(7), START + 7).now_ms(), START + 5007);
        assert_eq!(clock.read(Time(107), START + 107).now_ms(), START + 5057);
        clock.note(Time(107), START + 107, Epoch(START + 200));
        assert_eq!(clock.read(Time(107), START + 107).now_ms(), START + 5057);
        // the wall clock is set forward, and back
        assert_eq!(clock.read(Time(108), START + MINUTE).now_ms(), START + MINUTE);
        assert_eq!(clock.read(Time(109), START - MINUTE).now_ms(), START + 5058);
        // the wall clock has caught up
        assert_eq!(clock.read(Time(9994), START + 9994).now_ms(), START + 10_001);
        assert_eq!(clock.read(Time(10_010), START + 10_010).now_ms(), START + 10_010);
    }

    #[test]
    fn what_a_page_believes_raises_the_clock_by_two_minutes_at_most_however_often() {
        let mut clock = EpochClock::start(START);
        for n in 0..100 {
            let time = clock.read(Time(n), START + n);
            let highest = Epoch(START + 10 * MINUTE);
            assert!(time.believes(highest) && !time.believes(Epoch(highest.0 + 1)));
            clock.note(Time(n), START + n, highest);
            assert_eq!(clock.read(Time(n), START + n).now_ms(), START + n + 2 * MINUTE);
        }
        // other nodes have noted by their own clocks
        clock.note_cluster(Time(100), Epoch(START + 6 * MINUTE));
        let time = clock.read(Time(101), START + 101);
        assert_eq!(time.now_ms(), START + 6 * MINUTE);
    }

    #[test]
    fn whatever_was_told_before_the_start_is_believed_and_later_no_more_than_that() {
        let clock = EpochClock::start(START);
        let at = |ms| clock.read(Time(ms), START + ms);
        for minutes in 0..20 {
            let time = at(minutes * MINUTE);
            let bound = START + (minutes + 2).max(10) * MINUTE;
            assert!(time.believes(Epoch(bound)) && !time.believes(Epoch(bound + 1)), "{minutes}");
        }
        assert!(!EpochClock::start(u64::MAX).read(Time(0), 0).believes(Epoch(Epoch::LIMIT)));
    }

    #[test]
    fn an_epoch_follows_the_clock_and_while_that_is_behind_it_hardly_repeats_another() {
        let time = EpochClock::start(1000).read(Time(0), 1000);
        assert_eq!(time.next(Epoch(999), 7), Epoch(1000));
        assert_eq!(time.next(Epoch(1000), 7), Epoch(1001));
        assert_eq!(time.next(Epoch(2000), 7), Epoch(2001));
        let epochs: BTreeSet<_> =
            (0..2 * GAP_MS).map(|random| time.next(Epoch(5000), random)).collect();
        assert_eq!(
            (epochs.len(), epochs.first(), epochs.last()),
            (1024, Some(&Epoch(5001)), Some(&Epoch(6024)))
        );
    }

    #[test]
    fn nodes_with_different_slots_name_no_epoch_twice() {
        let named = |slot, random| {
            let clock = EpochClock { slot: Some(Slot(slot)), ..EpochClock::start(START) };
            let time = clock.read(Time(0), START);
            [Epoch(0), Epoch(START), Epoch(START + 5000)].map(|after| time.next(after, random))
        };
        for random in [0, 500, 1023] {
            let (one, other) = (named(3, random), named(4, random));
            assert!(one.iter().all(|epoch| !other.contains(epoch)), "{one:?} {other:?}");
            assert!(one.iter().all(|epoch| epoch.0 % Slot::COUNT == 3), "{one:?}");
        }
    }

    #[test]
    fn terms_of_many_pages_do_not_drive_the_clock_of_a_node_ahead() {
        let mut clock = EpochClock { slot: Some(Slot(200)), ..EpochClock::start(START) };
        for ms in 0..1000 {
            let named = clock.read(Time(ms), START + ms).next(Epoch(0), 0);
            clock.note(Time(ms), START + ms, named);
        }
        assert_eq!(clock.read(Time(1000), START + 1000).now_ms(), START + 1000);
    }

    #[test]
    fn nodes_whose_time_runs_fast_or_slow_do_not_drive_each_other_ahead() {
        // one node's time runs 10 % fast, and its wall clock is 4 min ahead; both name all the time
        let mut nodes =
            [10, 11].map(|slot| EpochClock { slot: Some(Slot(slot)), ..EpochClock::start(START) });
        let at = |node: usize, s: u64| {
            let (tenths, ahead) = [(11, 4 * MINUTE), (10, 0)][node];
            (Time(s * 100 * tenths), START + ahead + s * 1000)
        };
        for s in 0..3600 {
            let highest = [0, 1].map(|node| {
                let (now, wall) = at(node, s);
                let named = nodes[node].read(now, wall).next(Epoch(0), 0);
                nodes[node].note(now, wall, named);
                nodes[node].read(now, wall).now_ms()
            });
            let highest = Epoch(highest[0].max(highest[1]));
            (0..2).for_each(|node| nodes[node].note_cluster(at(node, s).0, highest));
        }
        for node in [0, 1] {
            let (now, wall) = at(node, 3600);
            let ahead = nodes[node].read(now, wall).now_ms() - (START + 3_600_000);
            assert!((4 * MINUTE - 1000..=4 * MINUTE).contains(&ahead), "{ahead}");
        }
    }

    #[test]
    fn a_page_is_forgotten_when_the_clock_is_past_its_epoch() {
        let mut clock = EpochClock { slot: Some(Slot(9)), ..EpochClock::start(START) };
        let named = clock.read(Time(0), START).next(Epoch(START + 777), 0);
        clock.note(Time(0), START, named);
        let wait = clock.read(Time(0), START).until_past(named);
        let at = Time(0).plus(2 * wait);
        let time = clock.read(at, START + at.0);
        assert!(wait < Duration::from_millis(512) && time.until_past(named) == Duration::ZERO);
        assert!(time.next(Epoch(0), 0) > named, "a page that knows nothing names a higher one");
    }

    #[test]
    fn a_page_more_than_five_minutes_above_the_clock_is_slow() {
        let time = EpochClock::start(START).read(Time(0), START);
        assert!(!time.is_far_below(Epoch(START + 5 * MINUTE)));
        assert!(time.is_far_below(Epoch(START + 5 * MINUTE + 1)));
    }
}
