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
}
