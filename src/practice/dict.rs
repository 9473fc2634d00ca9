//! A map from bytes that can be walked in pieces while it changes.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use super::random;

/// Cursors of SCAN fit into the whole numbers of every client (JavaScript's have 53 bits).
const CURSOR_BITS: u32 = 48;

/// Entries in the order of a keyed hash of their names.
///
/// That order gives SCAN its promise: a cursor is a place in it, so whatever is there from the first call to the last
/// is met exactly once, however much comes and goes in between.
#[derive(Clone, Debug)]
pub(super) struct Dict<V> {
    hasher: RandomState,
    // A bucket holds the entries that share a hash: nearly always one.
    buckets: BTreeMap<u64, Vec<(Vec<u8>, V)>>,
    length: usize,
}

impl<V> Default for Dict<V> {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            buckets: BTreeMap::new(),
            length: 0,
        }
    }
}

impl<V> Dict<V> {
    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<&V> {
        let bucket = self.buckets.get(&self.place(name))?;
        bucket.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, name: &[u8]) -> Option<&mut V> {
        let place = self.place(name);
        let bucket = self.buckets.get_mut(&place)?;
        bucket
            .iter_mut()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// Puts an entry in and returns the one that it replaces.
    pub(super) fn insert(&mut self, name: Vec<u8>, value: V) -> Option<V> {
        let bucket = self.buckets.entry(self.place(&name)).or_default();
        if let Some((_, old)) = bucket.iter_mut().find(|(key, _)| *key == name) {
            return Some(std::mem::replace(old, value));
        }
        bucket.push((name, value));
        self.length += 1;
        None
    }

    pub(super) fn remove(&mut self, name: &[u8]) -> Option<V> {
        let place = self.place(name);
        let bucket = self.buckets.get_mut(&place)?;
        let index = bucket.iter().position(|(key, _)| key == name)?;
        let (_, value) = bucket.swap_remove(index);
        if bucket.is_empty() {
            self.buckets.remove(&place);
        }
        self.length -= 1;
        Some(value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Vec<u8>, &V)> {
        self.buckets.values().flatten().map(|(key, value)| (key, value))
    }

    /// At least `count` entries from `cursor` on (0: from the start), and the cursor that goes on (0: at the end).
    pub(super) fn walk(&self, cursor: u64, count: usize) -> (u64, Vec<(&Vec<u8>, &V)>) {
        let mut found = Vec::new();
        for (place, bucket) in self.buckets.range(cursor..) {
            if found.len() >= count {
                return (*place, found);
            }
            found.extend(bucket.iter().map(|(key, value)| (key, value)));
        }
        (0, found)
    }

    /// An entry picked at random.
    pub(super) fn pick(&self) -> Option<(&Vec<u8>, &V)> {
        let place = random::number() >> (64 - CURSOR_BITS);
        let mut from_there = self.buckets.range(place..).chain(self.buckets.iter());
        let (_, bucket) = from_there.next()?;
        bucket.first().map(|(key, value)| (key, value))
    }

    /// Never 0, which means the start as a cursor and the end as an answer.
    fn place(&self, name: &[u8]) -> u64 {
        (self.hasher.hash_one(name) >> (64 - CURSOR_BITS)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_walk_meets_everything_that_stays_exactly_once() {
        let mut dict = Dict::default();
        for number in 0..1000 {
            dict.insert(format!("stays:{number}").into_bytes(), ());
        }
        let mut met: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        let (mut cursor, mut round) = (0, 0);
        loop {
            let (next, found) = dict.walk(cursor, 10);
            for (key, ()) in found {
                *met.entry(key.clone()).or_default() += 1;
            }
            cursor = next;
            if cursor == 0 {
                break;
            }
            dict.insert(format!("comes:{round}").into_bytes(), ());
            dict.remove(format!("comes:{}", round / 2).as_bytes());
            round += 1;
        }
        for number in 0..1000 {
            assert_eq!(met.get(format!("stays:{number}").as_bytes()), Some(&1));
        }
    }

    #[test]
    fn entries_come_and_go() {
        let mut dict = Dict::default();
        assert_eq!(dict.insert(b"a".to_vec(), 1), None);
        assert_eq!(dict.insert(b"a".to_vec(), 2), Some(1));
        *dict.get_mut(b"a").unwrap() += 1;
        assert_eq!(dict.pick(), Some((&b"a".to_vec(), &3)));
        assert_eq!(dict.remove(b"a"), Some(3));
        assert_eq!((dict.len(), dict.get(b"a")), (0, None));
    }
}
