//! Random lives of a registry, and what it promises after each step.

mod calls;

use std::collections::BTreeMap;

use calls::{Random, crowd, node, page, random_call, registration};

use super::*;
use crate::cluster::fingerprint::Fingerprint;
use crate::cluster::{Fence, Generation, NodeId, Slot};
use crate::protocol::id::{Epoch, PageKey, PageName, PeerId};

fn generation(n: u64) -> Generation {
    Generation(n.to_string().into())
}

fn look(state: &mut RegistryState) -> View {
    let (Reply::View(view, _), _) = state.apply(&Call::Look) else { panic!("no view") };
    view
}

/// What the registry promised at some time.
#[derive(Default)]
struct Seen {
    /// Slots of buried nodes, with the number of renewals at that time.
    buried: BTreeMap<Slot, (NodeId, u64)>,
    taken: usize,
    refused: usize,
    reused: usize,
}

/// Returns the node that asks, if the call is of one node.
fn asker(call: &Call) -> Option<NodeId> {
    match call {
        Call::Register { node, .. }
        | Call::Renew { node, .. }
        | Call::Depart { node }
        | Call::Claim { node, .. }
        | Call::Assert { node, .. }
        | Call::GiveUp { node, .. } => Some(*node),
        Call::Release { by, .. } => Some(*by),
        Call::Look | Call::Bury { .. } | Call::Find { .. } | Call::Scan { .. } => None,
    }
}

fn check_members(seen: &mut Seen, call: &Call, before: &View, after: &View) {
    let slots: Vec<_> = after.nodes.iter().filter_map(|one| one.slot).collect();
    let different: std::collections::BTreeSet<_> = slots.iter().collect();
    assert_eq!(slots.len(), different.len(), "two nodes have one slot: {after:?}");

    for one in &before.nodes {
        let Some(now) = after.get(one.node) else {
            let counts = matches!(call, Call::Bury { node, counter }
                if *node == one.node && *counter == one.counter);
            let departs = *call == Call::Depart { node: one.node };
            assert!(counts || departs, "{call:?} took {one:?} off");
            if let Some(slot) = one.slot.filter(|_| counts) {
                seen.buried.insert(slot, (one.node, after.renewals));
            }
            continue;
        };
        let renews = matches!(call, Call::Renew { node, .. } if *node == one.node);
        assert_eq!(now.counter, one.counter + u64::from(renews), "{call:?}");
        assert!(one.slot.is_none() || now.slot == one.slot, "{call:?} took a slot of {one:?}");
    }
    for one in &after.nodes {
        let Some(slot) = one.slot else { continue };
        if before.get(one.node).is_some_and(|before| before.slot == one.slot) {
            continue;
        }
        if let Some((holder, at)) = seen.buried.remove(&slot) {
            let returns = matches!(call, Call::Register { carried, .. }
                if carried.contains(&(one.node, slot)));
            assert!(
                returns || after.renewals >= at + SLOT_REST,
                "{one:?} got the slot that {holder} may still use"
            );
            seen.reused += usize::from(!returns);
        }
    }
}

fn check_record(call: &Call, members: &View, before: Option<&Record>, after: Option<&Record>) {
    if before == after {
        return;
    }
    let Some(before) = before else {
        let after = after.unwrap();
        assert!(members.get(after.node).is_some(), "{call:?} gave a page to a node unknown");
        return;
    };
    let stands = !before.has_left && members.get(before.node).is_some();
    assert!(!stands || asker(call) == Some(before.node), "{call:?} changed {before:?}");
    if let Some(after) = after {
        assert!(after.fence >= before.fence, "{call:?} lowered the fence of {before:?}");
        assert!(after.epoch >= before.epoch, "{call:?} lowered the epoch of {before:?}");
        assert!(
            after.fence > before.fence || after.has_left >= before.has_left,
            "{call:?} revived {before:?}"
        );
    }
}

#[test]
fn promises_hold_in_random_lives() {
    let mut seen = Seen::default();
    for seed in 1..=60 {
        let mut random = Random::new(seed);
        let mut state = RegistryState::empty(generation(0));
        seen.buried.clear();
        crowd().for_each(|call| drop(state.apply(&call)));
        for step in 1..600 {
            if random.one_in(150) {
                state.delete_members(generation(step));
                crowd().for_each(|call| drop(state.apply(&call)));
                seen.buried.clear();
            }
            let call = random_call(&mut random, &state);
            let (members, records) = (look(&mut state), state.clone());
            let (reply, tick) = state.apply(&call);
            check_members(&mut seen, &call, &members, &state.view());
            for n in 0..4 {
                let page = page(n);
                check_record(&call, &members, records.record(&page), state.record(&page));
            }
            assert_eq!(tick.is_some(), matches!(reply, Reply::Renewed { .. }));
            if let Reply::Taken(before) = &reply {
                seen.taken += 1;
                let own = before.as_ref().is_some_and(|one| Some(one.node) == asker(&call));
                assert!(own || !members.is_asserting(), "{call:?} was given a page");
            }
            if matches!(
                reply,
                Reply::Lives(_)
                    | Reply::Behind(_)
                    | Reply::Asserting
                    | Reply::Ahead(..)
                    | Reply::NotRegistered(_)
            ) {
                seen.refused += 1;
                assert_eq!(state.view(), members, "{call:?} was refused and changed something");
            }
            check_again(&state, &call, &reply);
            if random.one_in(40) {
                for _ in 0..4000 {
                    let node = node(random.below(5));
                    let standing = Standing::Settled;
                    state.apply(&Call::Renew { node, epoch: Epoch(0), standing });
                }
            }
        }
    }
    let Seen { taken, refused, reused, .. } = seen;
    let is_lively = taken > 800 && refused > 1000 && reused > 20;
    assert!(is_lively, "dull: {taken} taken, {refused} refused, {reused} slots reused");
}

/// A node whose answer was lost asks again. Only counters may differ then.
fn check_again(state: &RegistryState, call: &Call, reply: &Reply) {
    let mut again = state.clone();
    let (second, _) = again.apply(call);
    if !matches!(call, Call::Renew { .. }) {
        assert_eq!(again.view(), state.view(), "{call:?} twice is not as once");
    }
    for n in 0..4 {
        assert_eq!(again.record(&page(n)), state.record(&page(n)), "{call:?} twice is not as once");
    }
    let taken = matches!(reply, Reply::Taken(_));
    assert!(!taken || matches!(second, Reply::Taken(_)), "{call:?} was taken, then {second:?}");
}

#[test]
fn a_scan_finds_all_that_stay_while_others_come_and_go() {
    let mut state = RegistryState::empty(generation(0));
    let named = |n: u64| page(n + 1);
    state.apply(&registration(node(0), &[]));
    for n in 0..1000 {
        state.apply(&Call::Claim { page: named(n), node: node(0), fence: Fence(1) });
    }
    state.apply(&Call::Depart { node: node(0) });
    state.apply(&registration(node(1), &[]));
    let (mut cursor, mut found, mut calls) = (0, vec![], 0);
    loop {
        let (Reply::Scanned(some, next), _) = state.apply(&Call::Scan { cursor }) else { panic!() };
        found.extend(some.into_iter().map(|(page, _)| page));
        for n in (0..20).map(|n| n + calls * 20) {
            let gone =
                Call::Release { by: node(1), page: named(n), node: node(0), fence: Fence(1) };
            assert_eq!(state.apply(&gone).0, Reply::Changed(1));
            state.apply(&Call::Claim { page: named(n + 5000), node: node(1), fence: Fence(1) });
        }
        calls += 1;
        if next == 0 {
            break;
        }
        cursor = next;
    }
    assert!(calls > 5, "one call looks at some of them only");
    for n in 20 * calls..1000 {
        assert!(found.contains(&named(n)), "{n} was not found");
    }
}

#[test]
fn carried_slots_rest_and_go_back_to_their_holders() {
    let mut state = RegistryState::empty(generation(0));
    let register = |n, carried: &[(u64, u8)]| {
        let carried: Vec<_> = carried.iter().map(|(n, slot)| (node(*n), Slot(*slot))).collect();
        registration(node(n), &carried)
    };
    let slot = |state: &RegistryState, n| state.view().get(node(n)).and_then(|one| one.slot);
    // the memory is gone; node 1 is back first, and knows who had what
    state.apply(&register(1, &[(0, 0), (1, 1), (2, 2)]));
    assert_eq!(slot(&state, 1), Some(Slot(1)));
    state.apply(&register(3, &[]));
    assert_eq!(slot(&state, 3), Some(Slot(3)), "0 and 2 rest");
    state.apply(&register(0, &[(0, 0)]));
    assert_eq!(slot(&state, 0), Some(Slot(0)), "its holder gets it back");
    state.apply(&register(4, &[(4, 3)]));
    assert_eq!(slot(&state, 4), Some(Slot(4)), "3 is held meanwhile");
    for n in 5..=256 {
        state.apply(&register(n, &[]));
    }
    assert_eq!(slot(&state, 256), None, "all others are held, and 2 rests");
    for _ in 0..SLOT_REST {
        let (epoch, standing) = (Epoch(0), Standing::Settled);
        state.apply(&Call::Renew { node: node(1), epoch, standing });
    }
    state.apply(&register(256, &[]));
    assert_eq!(slot(&state, 256), Some(Slot(2)));
    state.apply(&Call::Depart { node: node(4) });
    state.apply(&register(300, &[]));
    assert_eq!(slot(&state, 300), Some(Slot(4)), "who departs leaves a slot that does not rest");
}
