//! The registry as a value: what the scripts do in Redis, without Redis.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Asserted, Call, MOST_AHEAD_MS, Record, Registered, Reply, SLOT_REST, Standing, View};
use crate::cluster::{Fence, Generation, NodeId, Slot};
use crate::protocol::id::{Epoch, PageKey};

/// Number of records that one [`Call::Scan`] looks at. Redis looks at about as many keys.
const SCANNED: usize = 100;

/// When a slot became free, and whether it rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Freed {
    /// Number of renewals of the cluster at that time.
    at: u64,
    /// Whether its holder was buried, and may still use it.
    rests: bool,
}

/// The memory of the registry. A clone is a replica.
#[derive(Debug, Clone)]
pub struct RegistryState {
    generation: Generation,
    renewals: u64,
    nodes: BTreeMap<NodeId, Registered>,
    /// Slots that had a holder and have none.
    freed: BTreeMap<Slot, Freed>,
    /// Records, in the order in which a scan walks over them: that of a hash of the page. A page
    /// that is there during a whole scan is found, whatever comes and goes beside it.
    records: BTreeMap<(u64, PageKey), Record>,
    /// The nodes that are subscribed to their inbox.
    listening: BTreeSet<NodeId>,
}

fn place(page: &PageKey) -> (u64, PageKey) {
    let mut hasher = DefaultHasher::new();
    page.hash(&mut hasher);
    (hasher.finish(), page.clone())
}

impl RegistryState {
    /// Returns an empty registry.
    #[must_use]
    pub const fn empty(generation: Generation) -> Self {
        Self {
            generation,
            renewals: 0,
            nodes: BTreeMap::new(),
            freed: BTreeMap::new(),
            records: BTreeMap::new(),
            listening: BTreeSet::new(),
        }
    }

    /// Restarts the registry with its data, or promotes a replica: another generation, and nobody
    /// is subscribed.
    pub fn restart(&mut self, generation: Generation) {
        self.generation = generation;
        self.listening.clear();
    }

    /// Deletes the membership alone. Records and subscriptions stay.
    pub fn delete_members(&mut self, generation: Generation) {
        self.generation = generation;
        self.renewals = 0;
        self.nodes.clear();
        self.freed.clear();
    }

    /// Deletes the records alone.
    pub fn delete_records(&mut self) {
        self.records.clear();
    }

    /// Deletes everything (`FLUSHALL`). Subscriptions stay.
    pub fn delete_all(&mut self, generation: Generation) {
        self.delete_members(generation);
        self.delete_records();
    }

    /// Notes whether a node is subscribed to its inbox.
    pub fn set_listening(&mut self, node: NodeId, is_listening: bool) {
        if is_listening {
            self.listening.insert(node);
        } else {
            self.listening.remove(&node);
        }
    }

    /// Returns the life of the registry's memory.
    #[must_use]
    pub const fn generation(&self) -> &Generation {
        &self.generation
    }

    /// Returns the membership.
    #[must_use]
    pub fn view(&self) -> View {
        View {
            generation: self.generation.clone(),
            renewals: self.renewals,
            nodes: self.nodes.values().cloned().collect(),
        }
    }

    /// Returns the record of a page.
    #[must_use]
    pub fn record(&self, page: &PageKey) -> Option<&Record> {
        self.records.get(&place(page))
    }

    /// Returns all records, in no particular order.
    pub fn records(&self) -> impl Iterator<Item = (&PageKey, &Record)> {
        self.records.iter().map(|((_, page), record)| (page, record))
    }

    /// Carries out a call. Returns the answer, and the node in whose inbox a tick is published.
    pub fn apply(&mut self, call: &Call) -> (Reply, Option<NodeId>) {
        let reply = match call {
            Call::Register { node, epoch, carried, .. }
                if self.is_ahead(*node, *epoch, carried) =>
            {
                Reply::Ahead(self.generation.clone(), self.view().epoch())
            }
            Call::Register {
                node,
                version,
                epoch,
                standing,
                settings,
                address,
                carried,
                wants_slot,
            } => {
                let before = self.nodes.get(node);
                let said = Registered {
                    node: *node,
                    counter: before.map_or(0, |one| one.counter),
                    slot: before.and_then(|one| one.slot),
                    version: *version,
                    epoch: *epoch,
                    standing: *standing,
                    settings: *settings,
                    address: address.clone(),
                };
                self.nodes.insert(*node, said);
                self.give_slot(*node, carried, *wants_slot);
                Reply::Registered(self.view())
            }
            Call::Renew { node, epoch, standing } => {
                let reply = self.renew(*node, *epoch, *standing);
                let tick = matches!(reply, Reply::Renewed { .. }).then_some(*node);
                return (reply, tick);
            }
            Call::Look => {
                let listening = self.nodes.keys().filter(|node| self.listening.contains(node));
                Reply::View(self.view(), listening.copied().collect())
            }
            Call::Bury { node, counter } => {
                let stood = self.nodes.get(node).is_some_and(|one| one.counter == *counter);
                Reply::Removed(stood && self.remove(*node, true))
            }
            Call::Depart { node } => Reply::Removed(self.remove(*node, false)),
            Call::Claim { page, node, fence } => self.claim(page, *node, *fence),
            Call::Assert { node, pages } if self.nodes.contains_key(node) => {
                let pages = pages.iter().map(|page| self.assert(*node, page));
                Reply::Asserted(pages.collect())
            }
            Call::Assert { .. } => self.not_registered(),
            Call::Release { by, page, node, fence } => {
                let may = by == node || !self.nodes.contains_key(node);
                let is_same = self.record(page).is_some_and(|one| one.is_of(*node, *fence));
                let removed = may && is_same && self.records.remove(&place(page)).is_some();
                Reply::Changed(usize::from(removed))
            }
            Call::GiveUp { node, pages } => {
                let given_up = pages.iter().filter(|(page, fence)| {
                    self.records
                        .get_mut(&place(page))
                        .filter(|one| one.is_of(*node, *fence) && !one.has_left)
                        .map(|one| one.has_left = true)
                        .is_some()
                });
                Reply::Changed(given_up.count())
            }
            Call::Find { page } => Reply::Found(self.record(page).cloned()),
            Call::Scan { cursor } => self.scan(*cursor),
        };
        (reply, None)
    }

    fn not_registered(&self) -> Reply {
        Reply::NotRegistered(self.generation.clone())
    }

    /// Returns whether a newcomer's epoch is too far above those of all others. A node that carries
    /// a slot of its own was let in before.
    fn is_ahead(&self, node: NodeId, epoch: Epoch, carried: &[(NodeId, Slot)]) -> bool {
        let is_known = self.nodes.contains_key(&node)
            || carried.iter().any(|(carried, _)| *carried == node)
            || self.nodes.is_empty();
        !is_known && epoch.0 > self.view().epoch().0.saturating_add(MOST_AHEAD_MS)
    }

    fn holder(&self, slot: Slot) -> Option<NodeId> {
        self.nodes.values().find(|one| one.slot == Some(slot)).map(|one| one.node)
    }

    /// Gives a registered node the slot that it has already, lets the slots rest that nobody holds
    /// any more, and looks for a free one if none was found.
    fn give_slot(&mut self, node: NodeId, carried: &[(NodeId, Slot)], wants_slot: bool) {
        let mut slot = self.nodes.get(&node).and_then(|one| one.slot);
        let own = carried.iter().find(|(holder, _)| *holder == node).map(|(_, slot)| *slot);
        slot = slot.or_else(|| own.filter(|own| self.holder(*own).is_none()));
        for (_, carried) in carried {
            if self.holder(*carried).is_none() {
                self.freed.insert(*carried, Freed { at: self.renewals, rests: true });
            }
        }
        if wants_slot {
            slot = slot.or_else(|| self.longest_free());
        }
        if let Some(slot) = slot {
            self.freed.remove(&slot);
        }
        if let Some(one) = self.nodes.get_mut(&node) {
            one.slot = slot;
        }
    }

    /// Returns the slot that has been free for longest, if one does not rest. Slots that nobody
    /// has had come first.
    fn longest_free(&self) -> Option<Slot> {
        let held: BTreeSet<_> = self.nodes.values().filter_map(|one| one.slot).collect();
        let free = (0..=u8::MAX).map(Slot).filter(|slot| !held.contains(slot));
        let rested = free.filter_map(|slot| match self.freed.get(&slot) {
            None => Some((None, slot)),
            Some(Freed { at, rests: true }) if self.renewals < at + SLOT_REST => None,
            Some(Freed { at, .. }) => Some((Some(*at), slot)),
        });
        rested.min().map(|(_, slot)| slot)
    }

    fn renew(&mut self, node: NodeId, epoch: Epoch, standing: Standing) -> Reply {
        let Some(one) = self.nodes.get_mut(&node) else { return self.not_registered() };
        one.counter += 1;
        one.epoch = epoch;
        one.standing = standing;
        let counter = one.counter;
        self.renewals += 1;
        let epoch = self.nodes.values().map(|one| one.epoch).max().unwrap_or_default();
        Reply::Renewed { generation: self.generation.clone(), counter, epoch }
    }

    fn remove(&mut self, node: NodeId, was_buried: bool) -> bool {
        let Some(one) = self.nodes.remove(&node) else { return false };
        if let Some(slot) = one.slot {
            self.freed.insert(slot, Freed { at: self.renewals, rests: was_buried });
        }
        true
    }

    fn claim(&mut self, page: &PageKey, node: NodeId, fence: Fence) -> Reply {
        if !self.nodes.contains_key(&node) {
            return self.not_registered();
        }
        let place = place(page);
        let before = self.records.get(&place).cloned();
        // the record may be the one of this very claim, whose answer was lost
        let is_own = before.as_ref().is_some_and(|one| one.node == node && !one.has_left);
        if let Some(record) = &before {
            let again = is_own && record.fence == fence;
            if !is_own && self.stands(record) {
                return Reply::Lives(record.clone());
            }
            if record.fence >= fence && !again {
                return Reply::Behind(record.clone());
            }
        }
        if !is_own && self.nodes.values().any(|one| one.standing == Standing::Asserting) {
            return Reply::Asserting;
        }
        let (epoch, host) =
            before.as_ref().map_or_else(Default::default, |one| (one.epoch, one.host.clone()));
        self.records.insert(place, Record { node, fence, epoch, host, has_left: false });
        Reply::Taken(before)
    }

    /// Returns whether the node of a record is registered, and has the page.
    fn stands(&self, record: &Record) -> bool {
        !record.has_left && self.nodes.contains_key(&record.node)
    }

    /// Notes that a node has a page. Returns the record that stands instead.
    fn assert(&mut self, node: NodeId, asserted: &Asserted) -> Option<Record> {
        let Asserted { page, fence, epoch, host } = asserted;
        let place = place(page);
        let before = self.records.get(&place);
        let is_known = before.is_some_and(|one| one.is_of(node, *fence));
        let stands = before.is_some_and(|one| {
            !is_known && (one.fence >= *fence || one.node != node && self.stands(one))
        });
        if stands {
            return before.cloned();
        }
        // an assertion may come late: the same life gave the page up, or a later host was named
        let has_left = is_known && before.is_some_and(|one| one.has_left);
        let (epoch, host) = match before.filter(|one| one.epoch > *epoch) {
            Some(later) => (later.epoch, later.host.clone()),
            None => (*epoch, host.clone()),
        };
        self.records.insert(place, Record { node, fence: *fence, epoch, host, has_left });
        None
    }

    fn scan(&self, cursor: u64) -> Reply {
        let rest = self.records.range((cursor, PageKey::Pageless)..);
        let (mut found, mut seen, mut next) = (Vec::new(), 0, 0);
        for ((hash, page), record) in rest {
            if seen >= SCANNED && next != *hash {
                return Reply::Scanned(found, *hash);
            }
            (seen, next) = (seen + 1, *hash);
            if !self.nodes.contains_key(&record.node) {
                found.push((page.clone(), record.clone()));
            }
        }
        Reply::Scanned(found, 0)
    }
}
