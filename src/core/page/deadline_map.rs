//! Values with a deadline, found by key and in the order in which they are due.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use crate::time::Time;

/// Values with a key and a deadline. Of values due at the same time the one that was inserted first
/// comes first.
///
/// Every operation on one value costs the logarithm of the number of values.
#[derive(Debug)]
pub struct DeadlineMap<K, V> {
    order: BTreeMap<Place, K>,
    values: HashMap<K, (Place, V)>,
    next: u64,
}

/// Deadline, and number of the insertion.
type Place = (Time, u64);

impl<K, V> Default for DeadlineMap<K, V> {
    fn default() -> Self {
        Self { order: BTreeMap::new(), values: HashMap::new(), next: 0 }
    }
}

impl<K: Clone + Eq + Hash, V> DeadlineMap<K, V> {
    /// Inserts `value`, due at `until`. Returns the value that had the key before.
    pub fn insert(&mut self, key: K, until: Time, value: V) -> Option<V> {
        let before = self.take(&key);
        let place = (until, self.next);
        self.next += 1;
        self.order.insert(place, key.clone());
        self.values.insert(key, (place, value));
        before
    }

    /// Removes the value with that key.
    pub fn take(&mut self, key: &K) -> Option<V> {
        let (place, value) = self.values.remove(key)?;
        self.order.remove(&place);
        Some(value)
    }

    /// Removes the first value, if it is due.
    pub fn take_due(&mut self, now: Time) -> Option<(K, V)> {
        let key = self.due(now)?.clone();
        let value = self.take(&key)?;
        Some((key, value))
    }

    /// Returns the key of the first value, if it is due.
    #[must_use]
    pub fn due(&self, now: Time) -> Option<&K> {
        self.order.first_key_value().filter(|((until, _), _)| *until <= now).map(|(_, key)| key)
    }

    /// Returns when the first value is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.order.first_key_value().map(|((until, _), _)| *until)
    }

    /// Returns the value with that key, and when it is due.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<(Time, &V)> {
        self.values.get(key).map(|((until, _), value)| (*until, value))
    }

    /// Returns the value with that key, so that it can change.
    pub fn change(&mut self, key: &K) -> Option<&mut V> {
        self.values.get_mut(key).map(|(_, value)| value)
    }

    /// Returns all values in no order, so that they can change.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.values.values_mut().map(|(_, value)| value)
    }

    /// Returns whether a value has that key.
    #[must_use]
    pub fn has(&self, key: &K) -> bool {
        self.values.contains_key(key)
    }

    /// Returns all keys and values, the first due first.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.order.values().filter_map(|key| Some((key, &self.values.get(key)?.1)))
    }

    /// Removes all values, the first due first.
    pub fn take_all(&mut self) -> impl Iterator<Item = (K, V)> {
        let mut values = std::mem::take(&mut self.values);
        std::mem::take(&mut self.order).into_values().filter_map(move |key| {
            let (_, value) = values.remove(&key)?;
            Some((key, value))
        })
    }

    /// Returns the number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Returns whether there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}
