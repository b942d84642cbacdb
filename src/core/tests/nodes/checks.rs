//! What must hold, at any time and when nothing has happened for long enough.

use std::collections::BTreeMap;

use peerstar_core::protocol::id::PageKey;

use super::world::World;

impl World {
    pub(crate) fn check(&self) {
        for (session, one) in &self.sessions {
            let waits = self.now - one.asked;
            let is_excused = self.processes[one.process].frozen_until + 10_000 > self.now
                && self.processes[one.process].frozen_until > 0;
            assert!(
                one.is_member || waits <= 10_000 || is_excused,
                "C8: {session:?} has waited for {waits} ms at {}: {one:?}",
                one.process
            );
        }
        if !self.now.is_multiple_of(50) {
            return;
        }
        let is_calm = self.now > self.fault + 10_000;
        let mut decides: BTreeMap<&PageKey, Vec<usize>> = BTreeMap::new();
        for process in 0..self.processes.len() {
            for (page, actor) in &self.processes[process].actors {
                if self.decides(process) && !actor.alone {
                    decides.entry(page).or_default().push(process);
                }
            }
        }
        for (page, who) in decides {
            // nothing but a registry that forgets, or an early burial, gives a page away twice
            let is_early = self.now < self.early_until;
            let is_excused = !is_calm && (self.has_forgotten || is_early);
            assert!(who.len() < 2 || is_excused, "C9: {page:?} decides on {who:?}");
        }
    }

    /// Returns the pages whose record names a node that does not have them: a lost claim was
    /// carried out late.
    pub(crate) fn orphans(&self) -> Vec<PageKey> {
        let is_orphan = |page: &PageKey, node| {
            self.process_of(node).is_some_and(|at| !self.processes[at].actors.contains_key(page))
        };
        let records = self.registry.records();
        let orphans = records.filter(|(page, record)| is_orphan(page, record.node));
        orphans.map(|(page, _)| page.clone()).collect()
    }

    /// Checks what must hold when nothing has happened for long enough.
    pub(crate) fn check_calm(&self) {
        for process in (0..self.processes.len()).filter(|one| self.processes[*one].is_alive) {
            let node = self.processes[process].state.node();
            for (page, actor) in &self.processes[process].actors {
                let record = self.registry.record(page);
                assert!(
                    record.is_some_and(|record| record.is_of(node, actor.fence)),
                    "C10: {page:?} on {process} at {:?}: {record:?}",
                    actor.fence
                );
                for (session, at) in &actor.members {
                    let is_on = self.sessions.get(session).is_some_and(|one| {
                        one.page == *page && one.bound == actor.fence && one.is_member
                    });
                    assert!(is_on, "C12: {session:?} of {at:?} on {page:?}");
                }
                assert!(!actor.members.is_empty(), "C12: {page:?} on {process} is empty");
            }
        }
        for (session, one) in &self.sessions {
            let node = self.processes[one.process].state.node();
            let actors: Vec<_> = self
                .processes
                .iter()
                .filter(|process| process.is_alive)
                .filter_map(|process| process.actors.get(&one.page))
                .collect();
            assert_eq!(actors.len(), 1, "C11: {session:?} {one:?}");
            assert!(
                !one.is_member || actors[0].members.get(session) == Some(&node),
                "C11: {session:?} {one:?} {:?}",
                actors[0]
            );
        }
    }
}
