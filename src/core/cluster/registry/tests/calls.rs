//! Random calls, for the tests of the model and for those of the script. Each includes this file.

use super::*;

/// Xorshift: numbers that are random enough for choices.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) const fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    pub(crate) const fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

pub(crate) fn node(n: u64) -> NodeId {
    NodeId(n + 1)
}

pub(crate) fn page(n: u64) -> PageKey {
    match n {
        0 => PageKey::Pageless,
        n => PageKey::Named(PageName::parse(&n.to_string()).unwrap()),
    }
}

/// Returns calls that register so many other nodes that slots are scarce: 0 to 250 are held.
pub(crate) fn crowd() -> impl Iterator<Item = Call> {
    (1000..1251).map(|n| registration(NodeId(n), &[]))
}

/// Returns the registration of a node that carries these slots and wants one.
pub(crate) fn registration(node: NodeId, carried: &[(NodeId, Slot)]) -> Call {
    let (epoch, standing, carried) = (Epoch(0), Standing::Settled, carried.to_vec());
    let settings = Fingerprint::NONE;
    let (address, wants_slot) = (None, true);
    Call::Register { node, version: 1, epoch, standing, settings, address, carried, wants_slot }
}

/// Returns a call that may do something: about half of them are of what the registry has.
pub(crate) fn random_call(random: &mut Random, state: &RegistryState) -> Call {
    let node = node(random.below(5));
    let fence = Fence(random.below(30));
    let epoch = Epoch(random.below(30));
    let standing = match random.below(20) {
        0 => Standing::Asserting,
        1 => Standing::Leaving,
        _ => Standing::Settled,
    };
    let page = page(random.below(4));
    let record = state.record(&page).cloned();
    let known = record.filter(|_| random.one_in(2));
    match random.below(14) {
        0 | 1 => {
            let carried = (0..random.below(4))
                .map(|_| (self::node(random.below(5)), Slot(250 + random.below(6) as u8)))
                .collect();
            let wants_slot = !random.one_in(3);
            let settings = Fingerprint::new([random.below(3) as u16]);
            // the clock of a newcomer may be at the limit, or beyond
            let epoch = Epoch(epoch.0 + random.below(3) * MOST_AHEAD_MS);
            let address = random.one_in(2).then(|| "http://[::1]:9/-/".into());
            let version = 1;
            Call::Register {
                node,
                version,
                epoch,
                standing,
                settings,
                address,
                carried,
                wants_slot,
            }
        }
        2 | 3 => Call::Renew { node, epoch, standing },
        4 => {
            let counter = state.view().get(node).map_or(0, |one| one.counter);
            Call::Bury { node, counter: counter + random.below(2) }
        }
        5 if random.one_in(2) => Call::Depart { node },
        5 => Call::Look,
        6..=8 => Call::Claim { page, node, fence },
        9 | 10 => {
            let host = random.one_in(2).then(|| PeerId::parse("a").unwrap());
            let (node, fence) = known.map_or((node, fence), |one| (one.node, one.fence));
            Call::Assert { node, pages: [Asserted { page, fence, epoch, host }].into() }
        }
        11 => {
            let (node, fence) = known.map_or((node, fence), |one| (one.node, one.fence));
            let by = if random.one_in(2) { node } else { self::node(random.below(5)) };
            Call::Release { by, page, node, fence }
        }
        12 => {
            let (node, fence) = known.map_or((node, fence), |one| (one.node, one.fence));
            Call::GiveUp { node, pages: [(page, fence)].into() }
        }
        _ => Call::Find { page },
    }
}
