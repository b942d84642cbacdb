//! The choice of the next host: a function of the candidates and one random number.

use serde::{Deserialize, Serialize};

/// How to choose among candidates that are equally fit (`election.policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Any of them, at random.
    #[default]
    Random,
    /// The candidate that is longest present.
    Oldest,
}

/// The merits of a member in an election.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<T> {
    /// The member. Candidates are listed longest present first.
    pub member: T,
    /// Whether the member speaks the group protocol. While one does, no stock client may host: it
    /// cannot sequence.
    pub group: bool,
    /// Whether the socket of the member is open and the way to it is up. A member whose browser has
    /// just closed its socket may be back within a moment.
    pub present: bool,
    /// Whether the member says that it can host.
    pub eligible: bool,
    /// Whether most members could reach the member when it hosted last. Others are tried first.
    pub reached: bool,
    /// Whether data may be relayed to the member. If not, every other member has to dial it.
    pub relay: bool,
    /// Whether somebody looks at the page of the member.
    pub visible: bool,
    /// Whether the member was heard from recently. Of two that vanish together the second does not
    /// follow the first.
    pub fresh: bool,
}

/// Returns the fittest candidates. Each merit counts only if a candidate has it, and more than all
/// after it: group member, socket, eligible, within reach, relay, visible, fresh.
#[must_use]
pub fn fittest<T>(mut candidates: Vec<Candidate<T>>) -> Vec<Candidate<T>> {
    // false is below true, and what comes first in a tuple outweighs what follows
    let merit =
        |c: &Candidate<T>| (c.group, c.present, c.eligible, c.reached, c.relay, c.visible, c.fresh);
    if let Some(best) = candidates.iter().map(merit).max() {
        candidates.retain(|c| merit(c) == best);
    }
    candidates
}

/// Most draws of [`draw`].
const DRAWS: u64 = 16;

/// Draws numbers below `count` until `judge` accepts one, at most 16 times. Returns what `judge`
/// makes of it. For a uniform `random`, every number that `judge` accepts is equally likely.
pub fn draw<T>(count: usize, random: u64, judge: impl FnMut(usize) -> Option<T>) -> Option<T> {
    // splitmix64, from `random` on: well-mixed numbers
    let numbers =
        (0..DRAWS).map(|n| mixed(random.wrapping_add(n.wrapping_mul(0x9E37_79B9_7F4A_7C15))));
    numbers.map(|number| below(count, number)).find_map(judge)
}

const fn mixed(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Returns a number below `count`, which is above 0; uniform to within `count` / 2^64 if `random`
/// is.
const fn below(count: usize, random: u64) -> usize {
    ((random as u128 * count as u128) >> 64) as usize
}

/// Picks one of the equally fit candidates by `policy`. For a uniform `random`, [`Policy::Random`]
/// picks each with the same probability. Returns `None` for no candidates.
#[must_use]
pub fn pick<T: Copy>(fit: &[Candidate<T>], policy: Policy, random: u64) -> Option<T> {
    let index = match policy {
        Policy::Random => below(fit.len(), random),
        Policy::Oldest => 0,
    };
    fit.get(index).map(|c| c.member)
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
    fn a_draw_is_uniform_over_what_is_accepted() {
        // ten of 30 are accepted: chi-squared with 9 degrees of freedom is above 27.88 once in
        // 1,000
        let (draws, mut counts, mut failed) = (100_000, [0_u32; 30], 0);
        for random in numbers(43).take(draws) {
            match draw(counts.len(), random, |n| (n % 3 == 1).then_some(n)) {
                Some(drawn) => counts[drawn] += 1,
                None => failed += 1,
            }
        }
        assert!(
            (1..draws / 100).contains(&failed),
            "each draw fails with 2/3, and 16 with 0.0015: {failed}"
        );
        let expected = (draws - failed) as f64 / 10.0;
        let chi_squared: f64 = counts
            .iter()
            .skip(1)
            .step_by(3)
            .map(|n| (f64::from(*n) - expected).powi(2) / expected)
            .sum();
        assert!(chi_squared < 27.88, "chi-squared {chi_squared}, counts {counts:?}");
        assert_eq!(counts.iter().sum::<u32>() as usize, draws - failed);
    }

    const fn candidate(member: usize) -> Candidate<usize> {
        Candidate {
            member,
            group: false,
            present: true,
            eligible: true,
            reached: true,
            relay: true,
            visible: true,
            fresh: true,
        }
    }

    #[test]
    fn the_pick_is_uniform_over_the_eligible() {
        // ten candidates of whom seven may host: chi-squared with 6 degrees of freedom is above
        // 22.46 once in 1,000
        let candidates: Vec<_> = (0..10)
            .map(|member| Candidate { eligible: member % 4 != 0, ..candidate(member) })
            .collect();
        let eligible = candidates.iter().filter(|c| c.eligible).count();
        let draws = 70_000;
        let mut counts = [0_u32; 10];
        let fit = fittest(candidates.clone());
        for random in numbers(42).take(draws) {
            counts[pick(&fit, Policy::Random, random).unwrap_or(0)] += 1;
        }
        let expected = draws as f64 / eligible as f64;
        let chi_squared: f64 = candidates
            .iter()
            .filter(|c| c.eligible)
            .map(|c| (f64::from(counts[c.member]) - expected).powi(2) / expected)
            .sum();
        assert!(chi_squared < 22.46, "chi-squared {chi_squared}, counts {counts:?}");
        assert_eq!(counts[0] + counts[4] + counts[8], 0, "an ineligible one was picked");
    }

    #[test]
    fn every_random_number_picks_a_candidate() {
        let candidates: Vec<_> = (0..3).map(candidate).collect();
        assert_eq!(pick(&candidates, Policy::Random, 0), Some(0));
        assert_eq!(pick(&candidates, Policy::Random, u64::MAX), Some(2));
        assert_eq!(pick::<usize>(&[], Policy::Random, 7), None);
    }
}
