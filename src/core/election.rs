//! Who hosts next: a function of the roster and one random number.

use serde::{Deserialize, Serialize};

/// Why a page has a new host; the `cause` in `HOST`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// The old one said goodbye or lost its socket.
    Left,
    /// The old one was silent for `liveness.host_timeout_ms`.
    Timeout,
    /// The old one's page did not answer, although its socket did.
    Stalled,
    /// Most members say that they cannot reach the old one, and have no other way to it: nothing may be relayed between them.
    Unreachable,
    /// The old one handed over, or was hidden for too long.
    Resigned,
    /// The server lost its memory, and what it was told did not agree.
    Restarted,
    /// The first group member came to a page hosted by a stock client.
    Upgraded,
}

impl Cause {
    /// As the wire spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Timeout => "timeout",
            Self::Stalled => "stalled",
            Self::Unreachable => "unreachable",
            Self::Resigned => "resigned",
            Self::Restarted => "restarted",
            Self::Upgraded => "upgraded",
        }
    }
}

/// How to choose among those who are equally fit (`election.policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Any of them.
    #[default]
    Random,
    /// The one longest present.
    Oldest,
}

/// What matters of a member in an election.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<T> {
    /// Who; candidates are listed longest present first.
    pub who: T,
    /// Speaks the group protocol. While one does, no other may host: a stock client cannot sequence.
    pub group: bool,
    /// Its socket is open. One whose browser has just closed it may yet be back, and then is told who hosts.
    pub present: bool,
    /// Says it can host.
    pub eligible: bool,
    /// Was not found out of reach of most when it hosted: others are tried first.
    pub reached: bool,
    /// Data may go to it over the server: to one that hosts without that, all have to find a way of their own.
    pub relay: bool,
    /// Its page is being looked at.
    pub visible: bool,
    /// Was heard from lately, so that of two that vanished together the second does not follow the first.
    pub fresh: bool,
}

/// The fittest to host: group members before others, then those with a socket, the eligible, those not known to be out of reach, those who may
/// relay, the visible, the fresh, each time only if there is one.
#[must_use]
pub fn fittest<T>(mut candidates: Vec<Candidate<T>>) -> Vec<Candidate<T>> {
    type Merit<T> = fn(&Candidate<T>) -> bool;
    let merits: [Merit<T>; 7] =
        [|c| c.group, |c| c.present, |c| c.eligible, |c| c.reached, |c| c.relay, |c| c.visible, |c| c.fresh];
    for merit in merits {
        if candidates.iter().any(merit) {
            candidates.retain(merit);
        }
    }
    candidates
}

/// Picks a host of those equally fit by `policy`; each is as likely as any, for a uniform `random`.
///
/// None for no candidates.
#[must_use]
pub fn pick<T: Copy>(fit: &[Candidate<T>], policy: Policy, random: u64) -> Option<T> {
    let index = match policy {
        // the high half of the product: uniform to within n / 2^64
        Policy::Random => (u128::from(random) * fit.len() as u128) >> 64,
        Policy::Oldest => 0,
    };
    fit.get(index as usize).map(|c| c.who)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fixed sequence of well-mixed numbers (splitmix64), so that a failure repeats.
    fn numbers(seed: u64) -> impl Iterator<Item = u64> {
        let mut state = seed;
        std::iter::repeat_with(move || {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        })
    }

    const fn candidate(who: usize) -> Candidate<usize> {
        Candidate { who, group: false, present: true, eligible: true, reached: true, relay: true, visible: true, fresh: true }
    }

    #[test]
    fn the_pick_is_uniform_over_the_eligible() {
        // ten candidates of whom seven may host: chi-squared with 6 degrees of freedom is above 22.46 once in 1,000
        let candidates: Vec<_> = (0..10).map(|who| Candidate { eligible: who % 4 != 0, ..candidate(who) }).collect();
        let eligible = candidates.iter().filter(|c| c.eligible).count();
        let draws = 70_000;
        let mut counts = [0_u32; 10];
        let fit = fittest(candidates.clone());
        for random in numbers(42).take(draws) {
            counts[pick(&fit, Policy::Random, random).unwrap_or(0)] += 1;
        }
        let expected = draws as f64 / eligible as f64;
        let chi_squared: f64 =
            candidates.iter().filter(|c| c.eligible).map(|c| (f64::from(counts[c.who]) - expected).powi(2) / expected).sum();
        assert!(chi_squared < 22.46, "chi-squared {chi_squared}, counts {counts:?}");
        assert_eq!(counts[0] + counts[4] + counts[8], 0, "an ineligible one was picked");
    }

    #[test]
    fn every_random_number_picks_somebody() {
        let candidates: Vec<_> = (0..3).map(candidate).collect();
        assert_eq!(pick(&candidates, Policy::Random, 0), Some(0));
        assert_eq!(pick(&candidates, Policy::Random, u64::MAX), Some(2));
        assert_eq!(pick::<usize>(&[], Policy::Random, 7), None);
    }
}
