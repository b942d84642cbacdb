//! Claims: what a client says it was last told, after the server or one of its pages lost its
//! memory.

use std::collections::HashMap;

use crate::protocol::id::{Epoch, PeerId};

/// The assignment that a client was last told (`&epoch=&host=`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The term of the host.
    pub epoch: Epoch,
    /// Id of the host.
    pub host: PeerId,
}

/// How far above the clock an honest epoch may be, in ms. Epochs start at the clock's milliseconds
/// and grow slowly, but the clock may be set back by some minutes while the server restarts.
const AHEAD_MS: u64 = 600_000;
/// How far above the clock an epoch must be to show that the clock was set back, in ms.
const BEHIND_MS: u64 = 1000;
/// Most by which an epoch exceeds the one that it follows, while the clock is behind.
const GAP_MS: u64 = 1024;

impl Claim {
    /// Returns whether the claim can be true, at `unix_ms` by the server's clock. A made-up epoch
    /// must not raise the page's epochs until none follows.
    #[must_use]
    pub const fn is_credible(&self, unix_ms: u64) -> bool {
        self.epoch.0 <= unix_ms.saturating_add(AHEAD_MS) && self.epoch.0 < Epoch::LIMIT
    }
}

/// Returns the epoch that follows `announced`, the highest that was announced or claimed, at
/// `unix_ms` by the server's clock.
///
/// The result is never below the clock: this server may have forgotten any epoch up to that. While
/// the clock is behind, the next few epochs may have been announced before a restart as well.
/// `random` picks one that hardly was.
#[must_use]
pub fn above(unix_ms: u64, announced: Epoch, random: u64) -> Epoch {
    let is_behind = announced.0 > unix_ms.saturating_add(BEHIND_MS);
    Epoch(unix_ms.max(announced.0 + 1 + if is_behind { random % GAP_MS } else { 0 }))
}

/// Returns who hosts after `claims` (claimant, claim) that may disagree: of the claimed hosts that
/// `may_host`, the one that most *other* members claim.
///
/// A claim for oneself counts only when all claims agree, so that no member makes itself host.
/// Returns `None` if no claimed host may host, or no member is claimed by another.
#[must_use]
pub fn most_claimed<'a>(
    claims: &[(&'a PeerId, &'a Claim)],
    may_host: impl Fn(&PeerId) -> bool,
) -> Option<&'a PeerId> {
    let (_, first) = claims.first()?;
    if claims.iter().all(|(_, claim)| claim.host == first.host) {
        return may_host(&first.host).then_some(&first.host);
    }
    let mut votes: HashMap<&PeerId, usize> = HashMap::new();
    for (_, claim) in claims.iter().filter(|(who, claim)| claim.host != **who) {
        *votes.entry(&claim.host).or_default() += 1;
    }
    let ranked = claims
        .iter()
        .filter_map(|(_, claim)| Some((*votes.get(&claim.host)?, claim.epoch, &claim.host)));
    ranked
        .filter(|(.., host)| may_host(host))
        .max_by_key(|(votes, epoch, _)| (*votes, *epoch))
        .map(|(.., host)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> PeerId {
        PeerId::parse(text).unwrap_or_else(|e| panic!("{e}"))
    }

    fn chosen(claims: &[(&str, &str, u64)]) -> Option<String> {
        let claims: Vec<_> = claims
            .iter()
            .map(|(who, host, e)| (id(who), Claim { epoch: Epoch(*e), host: id(host) }))
            .collect();
        let claims: Vec<_> = claims.iter().map(|(who, claim)| (who, claim)).collect();
        most_claimed(&claims, |_| true).map(ToString::to_string)
    }

    #[test]
    fn other_members_decide_and_a_claim_for_oneself_counts_only_unopposed() {
        assert_eq!(chosen(&[("a", "a", 1)]), Some("a".into()));
        assert_eq!(chosen(&[("x", "x", 9), ("b", "a", 1)]), Some("a".into()));
        assert_eq!(chosen(&[("x", "x", 9), ("y", "y", 8)]), None);
        assert_eq!(chosen(&[("b", "a", 1), ("c", "a", 1), ("d", "b", 2)]), Some("a".into()));
        assert_eq!(chosen(&[]), None);
    }

    #[test]
    fn a_claim_far_above_the_clock_is_not_believed() {
        let claim = |epoch| Claim { epoch: Epoch(epoch), host: id("a") };
        assert!(claim(601_000).is_credible(1000));
        assert!(!claim(601_001).is_credible(1000));
        assert!(!claim(Epoch::LIMIT).is_credible(u64::MAX));
    }

    #[test]
    fn an_epoch_follows_the_clock_and_while_that_is_behind_it_hardly_repeats_another() {
        assert_eq!(above(1000, Epoch(999), 7), Epoch(1000));
        assert_eq!(above(1000, Epoch(1000), 7), Epoch(1001));
        assert_eq!(above(1000, Epoch(2000), 7), Epoch(2001));
        let epochs: std::collections::BTreeSet<_> =
            (0..2 * GAP_MS).map(|random| above(1000, Epoch(5000), random)).collect();
        assert_eq!(
            (epochs.len(), epochs.first(), epochs.last()),
            (1024, Some(&Epoch(5001)), Some(&Epoch(6024)))
        );
    }
}
