//! What waits until a deadline: found by name, and in the order in which it is due.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use crate::time::Time;

/// Things with a name and a deadline. Of those due at the same time the one that was put in first comes first.
///
/// Every step costs the logarithm of how many there are.
#[derive(Debug)]
pub struct DeadlineMap<K, V> {
    order: BTreeMap<Place, K>,
    things: HashMap<K, (Place, V)>,
    next: u64,
}

/// When, and after how many others.
type Place = (Time, u64);

impl<K, V> Default for DeadlineMap<K, V> {
    fn default() -> Self {
        Self { order: BTreeMap::new(), things: HashMap::new(), next: 0 }
    }
}

impl<K: Clone + Eq + Hash, V> DeadlineMap<K, V> {
    /// Puts in `thing`, due at `until`. Gives back what had that name.
    pub fn insert(&mut self, name: K, until: Time, thing: V) -> Option<V> {
        let before = self.take(&name);
        let place = (until, self.next);
        self.next += 1;
        self.order.insert(place, name.clone());
        self.things.insert(name, (place, thing));
        before
    }

    /// Takes out what has that name.
    pub fn take(&mut self, name: &K) -> Option<V> {
        let (place, thing) = self.things.remove(name)?;
        self.order.remove(&place);
        Some(thing)
    }

    /// Takes out the first, if it is due.
    pub fn take_due(&mut self, now: Time) -> Option<(K, V)> {
        let name = self.due(now)?.clone();
        let thing = self.take(&name)?;
        Some((name, thing))
    }

    /// The first, if it is due.
    #[must_use]
    pub fn due(&self, now: Time) -> Option<&K> {
        self.order.first_key_value().filter(|((until, _), _)| *until <= now).map(|(_, name)| name)
    }

    /// When the first is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.order.first_key_value().map(|((until, _), _)| *until)
    }

    /// What has that name, and when it is due.
    #[must_use]
    pub fn get(&self, name: &K) -> Option<(Time, &V)> {
        self.things.get(name).map(|((until, _), thing)| (*until, thing))
    }

    /// What has that name, to be changed.
    pub fn change(&mut self, name: &K) -> Option<&mut V> {
        self.things.get_mut(name).map(|(_, thing)| thing)
    }

    /// All, in no order, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.things.values_mut().map(|(_, thing)| thing)
    }

    /// Whether something has that name.
    #[must_use]
    pub fn has(&self, name: &K) -> bool {
        self.things.contains_key(name)
    }

    /// All of them, the first due first.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.order.values().filter_map(|name| Some((name, &self.things.get(name)?.1)))
    }

    /// Takes all out, the first due first.
    pub fn take_all(&mut self) -> impl Iterator<Item = (K, V)> {
        let mut things = std::mem::take(&mut self.things);
        std::mem::take(&mut self.order).into_values().filter_map(move |name| {
            let (_, thing) = things.remove(&name)?;
            Some((name, thing))
        })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.things.len()
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.things.is_empty()
    }
}
