//! Results of a soak, by round and in all.

use std::fmt;
use std::time::Duration;

use crate::server::Usage;
use crate::spread::Spread;

/// Results of one round.
#[derive(Debug)]
pub(super) struct Round {
    /// Whether a server or Redis was killed in the round.
    pub(super) upheaval: bool,
    /// Round trips, calm and under attack.
    pub(super) trips: [Spread; 2],
    /// Processors that the servers used, calm and under attack.
    pub(super) busy: [f64; 2],
    /// Processors that others used under attack.
    pub(super) others: f64,
    pub(super) panics: usize,
    pub(super) answered: u64,
    pub(super) expired: u64,
    pub(super) excused: u64,
    pub(super) relayed: u64,
    /// Use of each server under attack.
    pub(super) peak: Vec<Usage>,
    /// Use of each server after all had left.
    pub(super) left: Vec<Usage>,
}

fn ms(spread: &Spread) -> f64 {
    spread.at(0.99).as_secs_f64() * 1000.0
}

fn mib(memory: usize) -> f64 {
    memory as f64 / 1024.0 / 1024.0
}

/// Returns memory in MiB and descriptors of each server as text.
fn each(usages: &[Usage]) -> (String, String) {
    let join = |what: fn(&Usage) -> String| usages.iter().map(what).collect::<Vec<_>>().join("/");
    (join(|usage| format!("{:.0}", mib(usage.memory))), join(|usage| usage.descriptors.to_string()))
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            upheaval,
            trips: [calm, attacked],
            busy,
            others,
            panics,
            answered,
            expired,
            excused,
            relayed,
            peak,
            left,
        } = self;
        write!(f, "p99 {:.1} ms calm, {:.1} ms ", ms(calm), ms(attacked))?;
        if *upheaval {
            write!(f, "under attack, with an upheaval; ")?;
        } else {
            write!(
                f,
                "under attack; the servers used {:.2} and {:.2} processors, others {others:.2}; ",
                busy[0], busy[1]
            )?;
        }
        write!(
            f,
            "{panics} panics; {answered} answered, {expired} expired, {excused} excused, {relayed} relayed; "
        )?;
        let (most, most_open) = each(peak);
        let (kept, kept_open) = each(left);
        write!(f, "{most} MiB and {most_open} descriptors, {kept} and {kept_open} after all left")
    }
}

/// Results of all rounds.
#[derive(Debug, Default)]
pub(super) struct Total {
    pub(super) rounds: usize,
    pub(super) kills: usize,
    pub(super) drains: usize,
    pub(super) redis: usize,
    pub(super) panics: usize,
    /// Joins of well-behaved members, and attacks.
    pub(super) joins: [usize; 2],
    pub(super) messages: u64,
    /// Round trips of the rounds without a kill, calm and under attack.
    pub(super) trips: [Vec<Duration>; 2],
    /// Highest use under attack.
    pub(super) peak: usize,
}

impl Total {
    pub(super) fn add(&mut self, round: &Round, calm: &[Duration], attacked: &[Duration]) {
        self.rounds += 1;
        self.panics += round.panics;
        self.messages += round.answered * 4 + round.relayed;
        self.peak = round.peak.iter().map(|usage| usage.memory).fold(self.peak, usize::max);
        // the time after a kill measures a restart, not an attack
        if !round.upheaval {
            self.trips[0].extend_from_slice(calm);
            self.trips[1].extend_from_slice(attacked);
        }
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [calm, attacked] =
            self.trips.each_ref().map(|trips| trips.iter().copied().collect::<Spread>());
        let Self {
            rounds,
            kills,
            drains,
            redis,
            panics,
            joins: [members, attackers],
            messages,
            peak,
            ..
        } = self;
        writeln!(
            f,
            "{rounds} rounds; {members} joins of members, {attackers} lives of attackers, {messages} messages heard;"
        )?;
        writeln!(
            f,
            "{panics} panics, {kills} times killed, {drains} times replaced, Redis killed {redis} times; at most {:.0} MiB",
            mib(*peak)
        )?;
        writeln!(f, "round trips, calm: {calm}")?;
        write!(f, "round trips, under attack: {attacked}")
    }
}
