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
    // false is below true, and what comes first in a tuple outweighs what follows
    let merit = |c: &Candidate<T>| (c.group, c.present, c.eligible, c.reached, c.relay, c.visible, c.fresh);
    if let Some(best) = candidates.iter().map(merit).max() {
        candidates.retain(|c| merit(c) == best);
    }
    candidates
}

/// From how many candidates on [`pick_fresh`] draws some before it looks at all, and how often it draws.
const MANY: usize = 64;
const DRAWS: usize = 16;

/// Picks as [`pick`] does among those of `fit` that are fresh by `is_fresh`, or among all if none is. Of many candidates few
/// are looked at: to look up when each of 10,000 was heard from takes longer than all the rest of an election.
pub fn pick_fresh<T: Copy>(fit: &[Candidate<T>], policy: Policy, random: u64, is_fresh: impl Fn(T) -> bool) -> Option<T> {
    let mut next = random;
    match policy {
        Policy::Oldest => {
            let first = fit.iter().map(|c| c.who).find(|who| is_fresh(*who));
            return first.or_else(|| pick(fit, policy, random));
        }
        Policy::Random if fit.len() >= MANY => {
            for _ in 0..DRAWS {
                // one that is drawn and fresh is as likely as any other that is fresh
                let drawn = pick(fit, policy, next).filter(|who| is_fresh(*who));
                if drawn.is_some() {
                    return drawn;
                }
                next = mixed(next);
            }
        }
        Policy::Random => {}
    }
    let fresh: Vec<_> = fit.iter().filter(|c| is_fresh(c.who)).copied().collect();
    pick(if fresh.is_empty() { fit } else { &fresh }, policy, next)
}

/// Returns the number after `last` in a sequence of well-mixed ones (splitmix64).
const fn mixed(last: u64) -> u64 {
    let z = last.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
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

    #[test]
    fn the_pick_of_many_is_uniform_over_the_fresh() {
        // 99 of whom ten are fresh, and at times none of the draws finds one: chi-squared with 9 degrees of freedom is above
        // 27.88 once in 1,000
        let fit: Vec<_> = (0..99).map(candidate).collect();
        let is_fresh = |who: usize| who % 10 == 3;
        let draws = 100_000;
        let mut counts = [0_u32; 99];
        for random in numbers(43).take(draws) {
            counts[pick_fresh(&fit, Policy::Random, random, is_fresh).unwrap_or(0)] += 1;
        }
        let expected = draws as f64 / 10.0;
        let of = |who: &usize| (f64::from(counts[*who]) - expected).powi(2) / expected;
        let chi_squared: f64 = (0..99).filter(|who| is_fresh(*who)).map(|who| of(&who)).sum();
        assert!(chi_squared < 27.88, "chi-squared {chi_squared}, counts {counts:?}");
        assert!((0..99).all(|who| is_fresh(who) || counts[who] == 0), "one was picked that is not fresh: {counts:?}");
    }

    #[test]
    fn where_nobody_is_fresh_anybody_is_picked_and_the_oldest_fresh_where_age_decides() {
        for many in [3, 1000] {
            let fit: Vec<_> = (0..many).map(candidate).collect();
            let picked: std::collections::BTreeSet<_> =
                numbers(44).take(100).filter_map(|random| pick_fresh(&fit, Policy::Random, random, |_| false)).collect();
            assert!(picked.len() >= many.min(80), "{picked:?}");
            assert_eq!(pick_fresh(&fit, Policy::Oldest, 7, |who| who == many - 1), Some(many - 1));
            assert_eq!(pick_fresh(&fit, Policy::Oldest, 7, |_| false), Some(0));
        }
        assert_eq!(pick_fresh::<usize>(&[], Policy::Random, 7, |_| true), None);
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
